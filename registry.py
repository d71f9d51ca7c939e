"""The registry of systems: for each stage name, what the system reads, and in which modules its parts are.

A system is a kind of trained captioner; a run directory stores its stage name. caption.py, serve.py, the evaluation and
the report ask this registry what to do with a run. Parts are named as `module:name` and imported on demand, so this
file imports no system. A package of your own calls `add` for its systems when it is imported; `--system PACKAGE`
imports it (docs/extending.md).
"""

import dataclasses
import importlib

import cli

VECTORS, CELLS, CONCEPTS, NOTHING = "image vectors", "grids of cells", "concept words", "no images"


@dataclasses.dataclass(frozen=True)
class System:
    """A kind of trained captioner.

    Attributes:
      stage: its name in RUN/config.json, which is the name of its settings class.
      settings: the frozen dataclass of its settings, as `module:name`.
      reads: the captioner's input for a photograph: VECTORS, CELLS or CONCEPTS; NOTHING for a stage that does not
        caption photographs.
      captioner: class with `from_run(job_dir, checkpoint)`, as `module:name`.
      network: function (content of config.json, vocabulary size) -> network with new weights, as `module:name`.
      semantics: whether `--semantics` changes the captions: with "reference" the last token of a caption without end
        token is cut (quirk Q22 of docs/implementation_details.md).
    """

    stage: str
    settings: str
    reads: str = VECTORS
    captioner: str = "captioning.captioner:Captioner"
    network: str = "captioning.captioner:unpaired_network"
    semantics: bool = True

    @property
    def attends(self):
        """Whether the system has attention weights over image cells for each word: bool."""
        return self.reads == CELLS

    @property
    def reads_concepts(self):
        """Whether the system reads concept words (names of detected objects) in place of an image: bool."""
        return self.reads == CONCEPTS

    def takes_photographs(self, content):
        """Returns whether a run of this system can caption photographs: bool.

        Args: content: dict of the run's config.json.
        """
        return self.reads_concepts or (self.reads != NOTHING and content["facts"].get("image_dim") is not None)

    def load(self, part):
        """Imports a part of the system: returns the class or function that the attribute `part` names.

        Args: part: "settings", "captioner" or "network".
        Raises: ImportError or AttributeError if there is no such module or name.
        """
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
    """Returns the System of a run.

    Args: content: dict of its config.json. job_dir: the run directory, for the message.
    Raises: cli.UserError if no system has its stage name.
    """
    stage = content["stage"]
    if stage not in SYSTEMS:
        raise cli.UserError(
            f"{job_dir}/config.json: there is no stage {str(stage)[:80]!r}, expected one of {', '.join(SYSTEMS)}. For "
            "a system of your own name its package by --system (docs/extending.md); else restore it from a backup"
        )
    return SYSTEMS[stage]


def is_stage(content, settings_class):
    """Returns whether a run was trained with settings of the class `settings_class`: bool.

    Args: content: dict of the run's config.json. settings_class: a class, e.g. config.FullModel.
    """
    return content["stage"] == settings_class.__name__


# --------------------------------------------------------------------------------------------------------------
# Systems of your own


def add(system):
    """Adds a System to the registry; adding an equal one again changes nothing.

    Raises: ValueError if a different system has the same stage name.
    """
    if SYSTEMS.setdefault(system.stage, system) != system:
        raise ValueError(f"the stage {system.stage!r} exists already; rename the settings class")


def packages_field():
    """Returns the dataclass field `system` of commands that open runs: names of packages that add systems."""
    return cli.field((), "packages of your own that add systems to the registry (docs/extending.md)")


def import_packages(names):
    """Imports packages that add systems.

    Args: names: iterable of str, the packages that --system names. Raises: cli.UserError if one cannot be imported.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # a foreign file may raise anything
            raise cli.UserError(
                f"--system {name}: cannot be imported, {type(error).__name__}: {error}. Expected a Python package; the "
                "folder that it is in must be on PYTHONPATH"
            ) from error
