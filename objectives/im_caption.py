"""im_caption: image -> caption, trained by teacher forcing on pseudo captions (docs/method.md, equation X1).

    image -> Generator.image_feature -> unit feature -> Generator -> caption

Pseudo captions are generated or retrieved for images that have no true caption.

Shapes: B batch, D image vector, E embedding, S words of a caption with start and end token.
"""

import tensorflow as tf

from models.randomness import apply_mask, dropout_mask, fold_in
from models.standardise import Standardise
from objectives.cross_entropy import CrossEntropyObjective
from objectives.encoder_updates import EncoderUpdates
from objectives.networks import build_generator

TEXT_GRADIENT_FACTOR = 0.1  # on the generator's gradients but the projection's, before the clip (quirk Q9)


class ImageCaptionObjective(CrossEntropyObjective):
    """Trains im_caption.

    Batches have `image` float32 [B, D] or `pixels` ([B, height, width, 3], prepared crops), `sentence` int32
    [B, S] and `length` int32 [B].
    """

    def __init__(self, options, vocabulary_size, image_dim, encode=None):
        """Builds the networks and the optimizer; must be called inside `strategy.scope()`.

        Args:
          options: config.ImageCaption. vocabulary_size: number of words. image_dim: D.
          encode: function batch["pixels"] (prepared crops) -> image vectors [B, D], such as an InStepEncoder, whose
            trained blocks are updated too; None if batches have vectors.
        """
        self.encode, self.standardise = encode, Standardise(image_dim)
        generator = build_generator(options, vocabulary_size, image_dim)
        super().__init__(options, generator=generator, standardise=self.standardise)
        self.encoder_updates = EncoderUpdates(options, encode, self.decayed(options.encoder_lr))

    def feature(self, batch, seed):
        image_BD = self.encode(batch["pixels"]) if "pixels" in batch else batch["image"]
        vectors_BD, mask_BD = self.standardise(image_BD), None
        if seed is not None:
            keep = self.options.image_keep_prob
            mask_BD = dropout_mask(tf.shape(vectors_BD), keep, fold_in(seed, "image vector"))
        return self.generator.image_feature(apply_mask(vectors_BD, mask_BD))

    def gradients(self, batch, seed):
        """Computes the cross entropy of the batch's captions under teacher forcing, and its gradients.

        Loss and gradients are those of CrossEntropyObjective; but with --semantics reference, the generator's gradients
        except those of the image projection are multiplied by 0.1 (quirk Q9 of docs/implementation_details.md).

        Args: batch: dict of tensors of this replica. seed: int32 [2], different in every step and replica.
        Returns: (metrics: dict name -> (sum, count); gradients: list in the order of `trainable_variables`).
        """
        metrics, gradients = super().gradients(batch, seed)
        if self.options.semantics == "reference":
            whole = (*self.generator.fully_connected.trainable_variables, *self.encoder_updates.variables)
            unchanged = {variable.ref() for variable in whole}
            gradients = [
                gradient if variable.ref() in unchanged else TEXT_GRADIENT_FACTOR * tf.convert_to_tensor(gradient)
                for gradient, variable in zip(gradients, self.trainable_variables, strict=True)
            ]
        return metrics, gradients
