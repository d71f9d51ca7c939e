"""Geometry and scaling of photographs, as the encoders expect them.

`legacy` is the bilinear resize of TensorFlow 1 (no half-pixel centres, no smoothing when shrinking): the weights and
features of the reference were made with it. `modern` samples at pixel centres and smooths when shrinking.

Shape suffixes: B batch, H height, W width, C colour.
Source: UIC spec 5.3, 5.4, 12 (Q25).
"""

import tensorflow as tf

RESIZED = 346
CROPPED = 299
CENTRE = 23  # the evaluation crop is rows and columns 23..321
OFFSETS = RESIZED - CROPPED + 1  # a training crop starts at 0..47
RESIZE_MODES = ("legacy", "modern")


def to_unit(images_BHWC):
    """uint8 in 0..255 -> float32 in [0, 1]."""
    return tf.image.convert_image_dtype(images_BHWC, tf.float32)


def to_signed(images_BHWC):
    """float32 in [0, 1] -> float32 in [-1, 1]."""
    return images_BHWC * 2.0 - 1.0


def legacy_resize(images_BHWC, size):
    """Bilinear resize of TensorFlow 1, aspect ratio ignored.

    Args:
      images_BHWC: float32 [B, H, W, 3].
      size: pixels of each side.

    Returns:
      float32 [B, size, size, 3].
    """
    return tf.raw_ops.ResizeBilinear(
        images=images_BHWC, size=[size, size], align_corners=False, half_pixel_centers=False
    )


def modern_resize(images_BHWC, size):
    """Bilinear resize at pixel centres that smooths when shrinking; arguments as for `legacy_resize`."""
    return tf.image.resize(images_BHWC, [size, size], method="bilinear", antialias=True)


def resize(images_BHWC, size, mode):
    """`legacy_resize` or `modern_resize`, by name."""
    if mode not in RESIZE_MODES:
        raise ValueError(f"resize {mode!r}: there are {', '.join(RESIZE_MODES)}")
    return (legacy_resize if mode == "legacy" else modern_resize)(images_BHWC, size)


def crop_299(images_BHWC, offsets_B2):
    """Crops of resized images: [B, 346, 346, 3] at int32 [B, 2] (row, column) -> [B, 299, 299, 3]."""
    window = tf.range(CROPPED)
    rows = tf.gather(images_BHWC, offsets_B2[:, :1] + window, axis=1, batch_dims=1)
    columns = tf.gather(tf.transpose(rows, [0, 2, 1, 3]), offsets_B2[:, 1:] + window, axis=1, batch_dims=1)
    return tf.transpose(columns, [0, 2, 1, 3])
