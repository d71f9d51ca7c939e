"""The systems by the stage name that a run directory keeps: what they read, and where their parts are.

Everybody who has to know what kind of run is before them asks here: caption.py, serve.py, the evaluation, the report.
Parts are named as `module:name` and imported when they are asked for, so this file imports no system. A package of your
own adds its systems by `add` when it is imported; `--system PACKAGE` imports it (docs/extending.md).
"""

import dataclasses
import importlib

import cli

VECTORS, CELLS, CONCEPTS, NOTHING = "image vectors", "grids of cells", "concept words", "no images"


@dataclasses.dataclass(frozen=True)
class System:
    """A trained system.

    Attributes:
      stage: its name in RUN/config.json, that of its settings class.
      settings: the frozen dataclass of its settings.
      reads: what its captioner is fed for a photograph; NOTHING for a stage that captions none.
      captioner: class with `from_run(job_dir, checkpoint)`.
      network: function (content of config.json, vocabulary size) -> network without its weights.
      semantics: whether `--semantics reference` decides how a caption is cut (the authors of UIC cut its last token).
    """

    stage: str
    settings: str
    reads: str = VECTORS
    captioner: str = "captioning.captioner:Captioner"
    network: str = "captioning.captioner:unpaired_network"
    semantics: bool = True

    @property
    def attends(self):
        """Whether it can say where it looked before each word."""
        return self.reads == CELLS

    @property
    def told_concepts(self):
        """Whether it is told concept words in the place of an image."""
        return self.reads == CONCEPTS

    def takes_photographs(self, content):
        """Whether a run of it can caption photographs. Args: content: of its config.json."""
        return self.told_concepts or (self.reads != NOTHING and content["facts"].get("image_dim") is not None)

    def load(self, part):
        """The class or function that an attribute names. Args: part: "settings", "captioner" or "network"."""
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
    """The system of a run. Args: content: of its config.json. Raises: cli.UserError for an unknown stage."""
    stage = content["stage"]
    if stage not in SYSTEMS:
        raise cli.UserError(
            f"{job_dir}/config.json: there is no stage {str(stage)[:80]!r}, expected one of {', '.join(SYSTEMS)}. For "
            "a system of your own name its package by --system (docs/extending.md); else restore a copy"
        )
    return SYSTEMS[stage]


def is_stage(content, settings_class):
    """Whether a run was trained with these settings. Args: content: of its config.json."""
    return content["stage"] == settings_class.__name__


# --------------------------------------------------------------------------------------------------------------
# Systems of your own


def add(system):
    """Adds a System. Raises: ValueError when another one has its stage name."""
    if SYSTEMS.setdefault(system.stage, system) != system:
        raise ValueError(f"there is a stage {system.stage!r} already; give the settings class another name")


def packages_field():
    """The setting of every command that opens runs: which packages are imported for the systems they add."""
    return cli.field((), "packages of your own that add the runs' systems to the registry, docs/extending.md")


def import_packages(names):
    """Imports packages that add systems. Args: names: as the command line gives them. Raises: cli.UserError."""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a stranger's file may raise
            raise cli.UserError(
                f"--system {name}: cannot be imported, {type(error).__name__}: {error}. Expected a Python package; the "
                "folder that it is in must be on PYTHONPATH"
            ) from error
