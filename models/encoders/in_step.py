"""The image encoder inside the training step; the last blocks of its network can be trained with the captioner."""

import numpy as np
import tensorflow as tf

import cli

PART = "image_encoder"  # its name in checkpoints


class InStepEncoder(tf.Module):
    """An encoder in a training step: prepared crops -> image vectors.

    The weights of the trained blocks are variables, which checkpoints contain under the names of `Encoder.blocks`. All
    other weights are those of the encoder's files.

    Attributes: encoder: models.encoders.Encoder. weights: dict name -> tf.Variable, the trained weights.
    """

    def __init__(self, encoder, trained=0):
        """Makes the variables; must be called inside `strategy.scope()`.

        Args: encoder: models.encoders.Encoder that has `in_step`. trained: number of blocks that are trained, counted
          from the last one.
        Raises: cli.UserError if the encoder has fewer blocks.
        """
        super().__init__()
        self.encoder, blocks = encoder, encoder.blocks() if trained else []
        if trained > len(blocks):
            has = f"has {len(blocks)} blocks" if blocks else "cannot be trained; expected a compact: or keras: encoder"
            raise cli.UserError(f"--train_encoder {trained}: {encoder.spec} {has}")
        last = blocks[len(blocks) - trained :]
        self.weights = {name: tf.Variable(array) for block in last for name, array in block.items()}

    def __call__(self, pixels_BSSC):
        """Returns the image vectors of prepared crops: float32 [B, D]. Args: pixels_BSSC: from `Encoder.step_crop`."""
        return self.encoder.in_step(pixels_BSSC, self.weights)

    def present(self):
        """Returns the Encoder with the present values of the trained weights."""
        if self.weights:
            self.encoder.assign({name: tf.convert_to_tensor(value).numpy() for name, value in self.weights.items()})
        return self.encoder


def assign_trained(encoder, arrays, source):
    """Replaces weights of an encoder by those that were trained with a captioner.

    Args: encoder: models.encoders.Encoder. arrays: dict name -> array, the variables of a checkpoint by the names of
      training.checkpoints.read_variables. source: path of the checkpoint, for messages.
    Raises: cli.UserError if the checkpoint has no trained blocks, or has blocks of another encoder.
    """
    found = trained_in(arrays)
    if not found:
        raise cli.UserError(f"{source}: has no weights of the image encoder, though the run trains it; choose another")
    own = {name: array for block in encoder.blocks() for name, array in block.items()}
    for name, array in found.items():
        if name not in own or own[name].shape != array.shape:
            there = f"of shape {own[name].shape}" if name in own else "missing"
            raise cli.UserError(
                f"{source}: the weight {name} of the image encoder has shape {array.shape}; in {encoder.spec} it is "
                f"{there}"
            )
    encoder.assign(found)


def trained_in(arrays):
    """Returns the trained weights of the image encoder in a checkpoint: dict name, as in `Encoder.blocks`, -> array.

    Args: arrays: dict name -> array, from training.checkpoints.read_variables.
    """
    start = f"{PART.capitalize()}/weights/"
    found = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
    return {name: np.asarray(array, np.float32) for name, array in found.items()}
