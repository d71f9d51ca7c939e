"""Resizing, cropping and scaling of photographs for the encoders.

`legacy` is the bilinear resize of TensorFlow 1 (no half-pixel centres, no antialiasing), which the authors' features
were made with (quirk Q25). `modern` samples at pixel centres, with antialiasing.

Shape suffixes: B batch, H height, W width, C colour.
"""

import tensorflow as tf

RESIZED = 346
CROPPED = 299
CENTRE = 23  # the evaluation crop is rows and columns 23..321
OFFSETS = RESIZED - CROPPED + 1  # a training crop starts at 0..47
RESIZE_MODES = ("legacy", "modern")


def to_unit(images_BHWC):
    """Converts uint8 images in 0..255 to float32 in [0, 1]."""
    return tf.image.convert_image_dtype(images_BHWC, tf.float32)


def to_signed(images_BHWC):
    """Converts float32 images in [0, 1] to float32 in [-1, 1]."""
    return images_BHWC * 2.0 - 1.0


def legacy_resize(images_BHWC, size):
    """Resizes bilinearly as TensorFlow 1 does, ignoring the aspect ratio.

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
    """Resizes bilinearly at pixel centres, with antialiasing. Arguments and result as for `legacy_resize`."""
    return tf.image.resize(images_BHWC, [size, size], method="bilinear", antialias=True)


def resize(images_BHWC, size, mode):
    """Resizes bilinearly in one of two modes, ignoring the aspect ratio.

    Args:
      images_BHWC: float32 [B, H, W, 3].
      size: pixels of each side.
      mode: "legacy" (see `legacy_resize`) or "modern" (see `modern_resize`).

    Returns: float32 [B, size, size, 3].
    Raises: ValueError for another mode.
    """
    if mode not in RESIZE_MODES:
        raise ValueError(f"resize {mode!r}: expected one of {', '.join(RESIZE_MODES)}")
    return (legacy_resize if mode == "legacy" else modern_resize)(images_BHWC, size)


def crop_299(images_BHWC, offsets_B2):
    """Returns a 299x299 crop of each image: [B, 299, 299, 3].

    Args: images_BHWC: [B, 346, 346, 3]. offsets_B2: int32 [B, 2], row and column of each crop's upper left corner.
    """
    window = tf.range(CROPPED)
    rows = tf.gather(images_BHWC, offsets_B2[:, :1] + window, axis=1, batch_dims=1)
    columns = tf.gather(tf.transpose(rows, [0, 2, 1, 3]), offsets_B2[:, 1:] + window, axis=1, batch_dims=1)
    return tf.transpose(columns, [0, 2, 1, 3])
