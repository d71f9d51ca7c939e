"""Converts a checkpoint of the authors' program (TensorFlow 1) to a run: weights, Adam's slots and the step.

    python -m scripts.import_tf1_checkpoint --checkpoint model.ckpt-10000 --word_counts word_counts.txt \
        --job_dir runs/released

The run can be evaluated, used for captions, trained further, and used to initialise other runs (--imcap_ckpt,
--sae_ckpt, --o2s_ckpt). Sizes are read from the variables; all other settings are those of the row of
configs/coco_shutterstock.py (`--semantics reference`). The command that continues the training is printed. obj2sen and
sentence_ae have the same variables, so --stage must say which one it is. The encoder is read from the checkpoint if it
contains InceptionV4, else from --inc_ckpt; --features names the sidecar of a feature bank that was made with it.
Without any of them the run captions only image vectors.
"""

import dataclasses
import math
import os
import shlex

import cli
import experiments


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of scripts.import_tf1_checkpoint."""

    checkpoint: str = cli.field("", "prefix of the TF1 checkpoint: model.ckpt-N, or one of its files")
    word_counts: str = cli.field("data/word_counts.txt", "the dictionary it was trained with, `word count` a line")
    job_dir: str = cli.field("", "run directory to write")
    stage: str = cli.choice(
        "auto",
        ("auto", "full", "im_caption", "obj2sen", "sentence_ae", "sentence_gan"),
        "trainer that wrote the checkpoint; auto: recognised by its variables",
    )
    inc_ckpt: str | None = cli.field(None, "the encoder: a slim Inception-v4 checkpoint, or KIND:FILE")
    features: str | None = cli.field(None, "features_SPLIT.json of a bank made with the encoder")
    settings: tuple[str, ...] = cli.field((), "settings that replace those of the recipe, e.g. batch_size=64")
    fresh_optimizer: bool = cli.field(False, "start with a new Adam: for a checkpoint without its slots")

    def outputs(self):
        """Returns (files, folders) that the command will write: two tuples of paths, which cli.run checks first."""
        return (), (self.job_dir,)


# stage -> (recipe, command)
STAGES = {
    "full": ("coco_shutterstock/full", "python train.py"),
    "im_caption": ("coco_shutterstock/feat2sen", "python -m initialization.im_caption"),
    "obj2sen": ("coco_shutterstock/con2sen", "python -m initialization.obj2sen"),
    "sentence_ae": ("coco_shutterstock/sentence_ae", "python -m initialization.sentence_ae"),
    "sentence_gan": ("coco_shutterstock/sentence_gan", "python -m initialization.sentence_gan"),
}


def check(options):
    """Checks the flags before TensorFlow starts. Raises: cli.UserError if one is wrong; the message names it."""
    for name in ("checkpoint", "job_dir"):
        if not getattr(options, name):
            raise cli.UserError(f"--{name} is missing; see --help")
    if not os.path.exists(options.word_counts):
        raise cli.UserError(f"--word_counts {options.word_counts}: no such file")
    if options.features and options.inc_ckpt:
        raise cli.UserError("--features and --inc_ckpt both describe the encoder: give one of them")
    if os.path.exists(os.path.join(options.job_dir, "config.json")):
        raise cli.UserError(f"{options.job_dir} is already a run; choose another --job_dir")


# --------------------------------------------------------------------------------------------------------------
# Reading


def read_all(path):
    """Reads all variables of a TF1 checkpoint except those of the encoder: dict name -> array.

    Args: path: prefix of the checkpoint, or one of its files. Raises: cli.UserError if it is damaged.
    """
    from models import checkpoint_files
    from training import checkpoints

    prefix = checkpoints.choose(path, "newest").prefix
    try:
        with checkpoint_files.reader(prefix) as reader:
            names = [name for name in reader.get_variable_to_shape_map() if not name.startswith("InceptionV4/")]
            return {name: reader.get_tensor(name) for name in names}
    except checkpoints.UNREADABLE as error:
        raise cli.UserError(f"{prefix}: damaged or cut short ({str(error).splitlines()[0]})") from error


def stage_of(arrays, options):
    """Returns the stage whose trainer wrote a checkpoint, a key of STAGES: --stage, or found by the variables' scopes.

    Args: arrays: dict variable name -> array. options: Options. Raises: cli.UserError if no trainer of the authors
      wrote it, or if --stage is auto and the variables do not decide.
    """
    has = lambda *scopes: any(name.startswith(scopes) for name in arrays)  # noqa: E731
    if not has("Generator/"):
        raise cli.UserError(
            f"{options.checkpoint}: not a checkpoint of the authors' trainers; it holds {some_of(arrays)}"
        )
    if options.stage != "auto":
        return options.stage
    if has("Generator/fully_connected/"):
        return "full" if has("Discriminator/") else "im_caption"
    if has("Discriminator/recon/"):
        return "full"
    if has("Discriminator/fc/"):
        return "sentence_gan"
    raise cli.UserError(f"{options.checkpoint}: obj2sen or sentence_ae? Their variables are the same: give --stage")


def some_of(arrays):
    """Returns the first eight names in sorted order as a text, with ", ..." if there are more.

    Args: arrays: dict variable name -> array.
    """
    return ", ".join(sorted(arrays)[:8]) + (", ..." if len(arrays) > 8 else "")


def sizes_of(arrays, options):
    """Returns (vocabulary size, dimension of word vectors and LSTM, dimension of image vectors or None).

    Args: arrays: dict variable name -> array. options: Options. Raises: cli.UserError if a variable is missing.
    """
    path = options.checkpoint
    for name in ("Generator/embedding", "Generator/basic_lstm_cell/kernel", "global_step"):
        if name not in arrays:
            raise cli.UserError(f"{path}: has no variable {name}; it holds {some_of(arrays)}")
    vocabulary_size, dim = arrays["Generator/embedding"].shape
    mem_dim = arrays["Generator/basic_lstm_cell/kernel"].shape[1] // 4
    if dim != mem_dim:
        raise cli.UserError(f"{path}: words have {dim} dimensions, the LSTM {mem_dim}; they must be equal")
    projection = arrays.get("Generator/fully_connected/weights")
    return vocabulary_size, dim, None if projection is None else projection.shape[0]


def trainer_options(stage, dim, options):
    """Returns the settings of the run, an instance of the trainer's settings class, e.g. config.FullModel.

    They are those of the paper's recipe, with the sizes of the checkpoint, overridden by --settings.

    Args: stage: key of STAGES. dim: dimension of word vectors and LSTM. options: Options.
    Raises: cli.UserError for a wrong --settings.
    """
    base = experiments.row(STAGES[stage][0])
    changes = {"job_dir": options.job_dir, "emb_dim": dim, "mem_dim": dim, "images": "bank"}
    if stage == "full":
        changes["max_steps"] = 1_000_000  # a checkpoint may be later than the recipe's last step
    if options.inc_ckpt:
        changes |= {"inc_ckpt": options.inc_ckpt, "images": "auto"}
    fields = {item.name for item in dataclasses.fields(base)}
    changes = {name: value for name, value in changes.items() if name in fields}
    for setting in options.settings:
        name, _, text = setting.partition("=")
        if name not in fields:
            raise cli.UserError(f"--settings {setting}: {type(base).__name__} has no setting {name!r}")
        kind = str if getattr(base, name) is None else type(getattr(base, name))
        try:
            changes[name] = text.lower() in ("1", "true") if kind is bool else kind(text)
        except (TypeError, ValueError) as error:
            raise cli.UserError(f"--settings {setting}: expected a value of type {kind.__name__}") from error
    return dataclasses.replace(base, **changes)


# --------------------------------------------------------------------------------------------------------------
# Networks and optimizers


def build(stage, options, vocabulary_size, image_dim):
    """Returns (the stage's objective with new weights, dict of its optimizers).

    The key is the optimizer's name in the objective's `checkpointed()`; the value is (list of the variables that it
    trains, scope of the beta powers' names in the TF1 checkpoint).

    Args: stage: key of STAGES. options: settings from `trainer_options`. image_dim: dimension of image vectors or None.
    """
    if stage in ("full", "sentence_gan"):
        from objectives.full import FullObjective
        from objectives.sentence_gan import SentenceGanObjective

        made = (
            FullObjective(options, vocabulary_size, image_dim)
            if stage == "full"
            else SentenceGanObjective(options, vocabulary_size)
        )
        return made, {
            "generator_optimizer": (made.generator.trainable_variables, "train/generator_train/"),
            "discriminator_optimizer": (made.discriminator.trainable_variables, "train/discriminator_train/"),
        }
    from objectives.im_caption import ImageCaptionObjective
    from objectives.obj2sen import ObjectToSentenceObjective
    from objectives.sentence_ae import SentenceAutoEncoderObjective

    if stage == "im_caption":
        made = ImageCaptionObjective(options, vocabulary_size, image_dim)
    else:
        kind = {"obj2sen": ObjectToSentenceObjective, "sentence_ae": SentenceAutoEncoderObjective}[stage]
        made = kind(options, vocabulary_size)
    return made, {"optimizer": (made.trainable_variables, "")}


def hand_over(objective, optimizers, arrays, options):
    """Assigns the checkpoint's weights to the networks and, unless --fresh_optimizer, its slots and steps to Adam.

    Args: objective, optimizers: from `build`; changed. arrays: dict variable name -> array. options: Options.
    Raises: cli.UserError if a variable or slot is missing or has another shape.
    """
    from models import layers
    from training import checkpoints

    parts = objective.checkpointed()
    networks = [parts[name] for name in ("generator", "discriminator") if name in parts]
    checkpoints.assign_variables(layers.named_variables(*networks), arrays, options.checkpoint)
    if not options.fresh_optimizer:
        for name, (variables, scope) in optimizers.items():
            assign_adam(parts[name], variables, scope, arrays, options.checkpoint)


def assign_adam(optimizer, variables, scope, arrays, source):
    """Assigns the slots of TF1's Adam to Keras' Adam: m is NAME/Adam, v is NAME/Adam_1.

    The beta powers give the number of updates.

    Args:
      optimizer: Keras optimizer, changed. variables: list of those that it trains, in the order in which it has them.
      scope: scope of the beta powers' names. arrays: dict variable name -> array. source: the checkpoint, for messages.
    Raises: cli.UserError if a slot is missing or has another shape.
    """
    slots = {"": optimizer.iterations}
    for kind, ending in (("momentum", "/Adam"), ("velocity", "/Adam_1")):
        ours = [slot for slot in optimizer.variables if slot.path.endswith(kind)]
        for variable, slot in zip(variables, ours, strict=True):
            slots[variable.name.split(":")[0] + ending] = slot
    powers = [f"{scope}beta2_power", "global_step"]
    for name in [*slots, *powers]:
        if name and name not in arrays:
            raise cli.UserError(
                f"{source}: has no {name}, so Adam cannot continue. Add --fresh_optimizer to start with a new Adam."
            )
        if name in slots and name and tuple(slots[name].shape) != arrays[name].shape:
            raise cli.UserError(f"{source}: {name} has shape {arrays[name].shape}, expected {slots[name].shape}")
    slots.pop("").assign(updates_made(*(float(arrays[name]) for name in powers)))
    for name, slot in slots.items():
        slot.assign(arrays[name])


def updates_made(beta2_power, global_step, beta2=0.999):
    """Returns the number of updates of an optimizer (int), from its power beta2 ** (updates + 1) in float32.

    After many updates the power is inaccurate, and zero in the end. Then the global step is returned, which is the same
    number in all of the authors' trainers.

    Args: beta2_power, global_step: numbers in the checkpoint.
    """
    if beta2_power < 1e-37:
        return int(global_step)
    updates = math.log(beta2_power) / math.log(beta2) - 1
    return int(global_step) if abs(updates - global_step) <= 0.5 + 1e-3 * updates else round(updates)


# --------------------------------------------------------------------------------------------------------------
# The encoder


def find_encoder(options, image_dim):
    """Returns a training.setup.TrainingImages with the encoder of the image vectors; None when it is not known.

    Args: options: Options. image_dim: dimension of the image vectors, or None.
    Raises: cli.UserError if the encoder gives vectors of another dimension.
    """
    from formats.sidecars import read_sidecar
    from models import checkpoint_files
    from training import checkpoints, setup

    if image_dim is None:
        return None
    prefix = checkpoints.choose(options.checkpoint, "newest").prefix
    inside = "InceptionV4/Conv2d_1a_3x3/weights"
    spec = options.inc_ckpt
    if not spec and not options.features:
        with checkpoint_files.reader(prefix) as reader:
            spec = prefix if reader.has_tensor(inside) else None
    if spec:
        encoder = setup.encoder_of_checkpoint(
            spec, exif=False
        )  # the authors' programs do not apply the EXIF orientation
        description = encoder.describe()
    elif options.features:
        encoder, description = None, read_sidecar(options.features).get("encoder")
        if not description:
            raise cli.UserError(f"--features {options.features}: not the sidecar of a feature bank")
    else:
        return None
    if description["dim"] != image_dim:
        raise cli.UserError(
            f"the encoder {description['spec']} gives vectors of {description['dim']} dimensions, the checkpoint was "
            f"trained on {image_dim}"
        )
    return setup.TrainingImages(None, image_dim, encoder, description, None)


# --------------------------------------------------------------------------------------------------------------


def main(options):
    """Reads and checks the checkpoint and writes the run directory. Args: options: Options."""
    check(options)

    from formats.vocabulary import Vocabulary
    from training import checkpoints, setup
    from training.run_directory import RunDirectory

    arrays = read_all(options.checkpoint)
    stage = stage_of(arrays, options)
    vocabulary_size, dim, image_dim = sizes_of(arrays, options)
    vocabulary = Vocabulary.load(options.word_counts)
    if vocabulary.size != vocabulary_size:
        raise cli.UserError(
            f"{options.word_counts} makes a dictionary of {vocabulary.size} words, with the unknown word; "
            f"{options.checkpoint} was trained with {vocabulary_size}. Give the file of this training by --word_counts."
        )
    if stage in ("full", "im_caption") and image_dim is None:
        raise cli.UserError(f"{options.checkpoint}: has no variable Generator/fully_connected/weights")
    settings = trainer_options(stage, dim, options)
    objective, optimizers = build(stage, settings, vocabulary_size, image_dim)
    hand_over(objective, optimizers, arrays, options)
    images = find_encoder(options, image_dim)

    facts = {"vocabulary": vocabulary.fingerprint()}
    if image_dim is not None:
        facts |= {"image_dim": image_dim, "encoder": images.identity if images else None}
    run = RunDirectory(settings, facts)
    setup.keep_for_inference(run, vocabulary, images)
    step = int(arrays["global_step"])
    checkpoints.save(options.job_dir, step, objective.checkpointed(), {"step": step, "pending": {}})
    print(f"{options.job_dir}: {stage} at step {step}, {vocabulary_size} words, {dim} dimensions")
    print("train on with: " + " ".join([STAGES[stage][1], *flags_of(settings), "--data_dir DATA"]))
    run.close()


def flags_of(settings):
    """Returns the flags that give these settings to their trainer: list of str, quoted for a shell.

    Args: settings: of the trainer, e.g. a config.FullModel.
    """
    base = experiments.row(settings.recipe)
    values = {item.name: getattr(settings, item.name) for item in dataclasses.fields(settings)}
    changed = {name: value for name, value in values.items() if value != getattr(base, name) and name != "recipe"}
    texts = {name: ",".join(value) if isinstance(value, tuple) else str(value) for name, value in changed.items()}
    return [f"--recipe={settings.recipe}", *(shlex.quote(f"--{name}={text}") for name, text in texts.items())]


if __name__ == "__main__":
    cli.run(main, Options)
