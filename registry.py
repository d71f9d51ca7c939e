"""The registry of systems, by the stage name in a run directory: what they read, and where their parts are.

caption.py, serve.py, the evaluation and the report get the kind of a run from it. Parts are named as `module:name` and
imported on demand, so this file imports no system. A package of your own adds its systems by `add` when it is imported;
`--system PACKAGE` imports it (docs/extending.md).
"""

import dataclasses
import importlib

import cli

VECTORS, CELLS, CONCEPTS, NOTHING = "image vectors", "grids of cells", "concept words", "no images"


@dataclasses.dataclass(frozen=True)
class System:
    """A trained system.

    Attributes:
      stage: its name in RUN/config.json, which is the name of its settings class.
      settings: the frozen dataclass of its settings.
      reads: the captioner's input for a photograph; NOTHING for a stage that does not caption photographs.
      captioner: class with `from_run(job_dir, checkpoint)`.
      network: function (content of config.json, vocabulary size) -> network with new weights.
      semantics: whether captions depend on `--semantics` (`reference` cuts the last token of unfinished ones, Q22).
    """

    stage: str
    settings: str
    reads: str = VECTORS
    captioner: str = "captioning.captioner:Captioner"
    network: str = "captioning.captioner:unpaired_network"
    semantics: bool = True

    @property
    def attends(self):
        """Whether it has attention weights for each word."""
        return self.reads == CELLS

    @property
    def reads_concepts(self):
        """Whether it reads concept words in place of an image."""
        return self.reads == CONCEPTS

    def takes_photographs(self, content):
        """Returns whether a run of this system can caption photographs. Args: content: of its config.json."""
        return self.reads_concepts or (self.reads != NOTHING and content["facts"].get("image_dim") is not None)

    def load(self, part):
        """Imports the class or function of an attribute. Args: part: "settings", "captioner" or "network"."""
        module, _, name = getattr(self, part).partition(":")
        return getattr(importlib.import_module(module), name)


SYSTEMS = {
    system.stage: system
    for system in (
        System("FullModel", "config:FullModel"),
        System("ImageCaption", "config:ImageCaption"),
        System("SentenceGan", "config:SentenceGan", NOTHING),
        System("SentenceAutoEncoder", "config:SentenceAutoEncoder", NOTHING),
        System(
            "ObjectToSentence",
            "config:ObjectToSentence",
            CONCEPTS,
            captioner="initialization.object_captioner:ObjectCaptioner",
        ),
        System("R2M", "baselines.r2m.configuration:R2M", CONCEPTS, captioner="baselines.r2m.captioner:R2MCaptioner"),
        System(
            "ShowTell",
            "baselines.supervised.settings:ShowTell",
            network="baselines.show_tell.network:of_run",
            semantics=False,
        ),
        System(
            "ShowAttendTell",
            "baselines.supervised.settings:ShowAttendTell",
            CELLS,
            network="baselines.show_attend_tell.network:of_run",
            semantics=False,
        ),
    )
}


def system_of(content, job_dir="the run"):
    """Returns the System of a run. Args: content: of its config.json. Raises: cli.UserError for an unknown stage."""
    stage = content["stage"]
    if stage not in SYSTEMS:
        raise cli.UserError(
            f"{job_dir}/config.json: there is no stage {str(stage)[:80]!r}, expected one of {', '.join(SYSTEMS)}. For "
            "a system of your own name its package by --system (docs/extending.md); else restore it from a backup"
        )
    return SYSTEMS[stage]


def is_stage(content, settings_class):
    """Returns whether a run was trained with this settings class. Args: content: of its config.json."""
    return content["stage"] == settings_class.__name__


# --------------------------------------------------------------------------------------------------------------
# Systems of your own


def add(system):
    """Adds a System. Raises: ValueError if another system has its stage name."""
    if SYSTEMS.setdefault(system.stage, system) != system:
        raise ValueError(f"the stage {system.stage!r} exists already; rename the settings class")


def packages_field():
    """Returns the field `system` of every command that opens runs: packages to import for their systems."""
    return cli.field((), "packages of your own that add systems to the registry (docs/extending.md)")


def import_packages(names):
    """Imports packages that add systems. Args: names: from the command line. Raises: cli.UserError."""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # a foreign file may raise anything
            raise cli.UserError(
                f"--system {name}: cannot be imported, {type(error).__name__}: {error}. Expected a Python package; the "
                "folder that it is in must be on PYTHONPATH"
            ) from error
