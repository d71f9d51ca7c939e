"""Resizing, cropping and scaling of photographs for the encoders.

`legacy` is the bilinear resize of TensorFlow 1 (no half-pixel centres, no antialiasing), which made the authors'
features (quirk Q25 of docs/implementation_details.md). `modern` samples at pixel centres, with antialiasing.

Shape suffixes: B batch, H height, W width, C colour.
"""

import tensorflow as tf

RESIZED = 346
CROPPED = 299
CENTRE = 23  # the evaluation crop is rows and columns 23..321
OFFSETS = RESIZED - CROPPED + 1  # a training crop starts at 0..47
RESIZE_MODES = ("legacy", "modern")


def to_unit(images_BHWC):
    """Returns uint8 images in 0 to 255 as float32 in 0 to 1, of the same shape."""
    return tf.image.convert_image_dtype(images_BHWC, tf.float32)


def to_signed(images_BHWC):
    """Returns float32 images in 0 to 1 as float32 in -1 to 1, of the same shape."""
    return images_BHWC * 2.0 - 1.0


def legacy_resize(images_BHWC, size):
    """Returns images resized bilinearly as in TensorFlow 1, ignoring the aspect ratio: float32 [B, size, size, 3].

    Args: images_BHWC: float32 [B, H, W, 3]. size: pixels of each side of the result.
    """
    return tf.raw_ops.ResizeBilinear(
        images=images_BHWC, size=[size, size], align_corners=False, half_pixel_centers=False
    )


def modern_resize(images_BHWC, size):
    """Returns images resized bilinearly at pixel centres, with antialiasing, ignoring the aspect ratio.

    Args: images_BHWC: float32 [B, H, W, 3]. size: pixels of each side of the result.
    Returns: float32 [B, size, size, 3].
    """
    return tf.image.resize(images_BHWC, [size, size], method="bilinear", antialias=True)


def resize(images_BHWC, size, mode):
    """Returns images resized bilinearly in one of two modes, ignoring the aspect ratio: float32 [B, size, size, 3].

    Args:
      images_BHWC: float32 [B, H, W, 3].
      size: pixels of each side of the result.
      mode: "legacy": the resize of TensorFlow 1; "modern": at pixel centres, with antialiasing.

    Raises: ValueError for another mode.
    """
    if mode not in RESIZE_MODES:
        raise ValueError(f"resize {mode!r}: expected one of {', '.join(RESIZE_MODES)}")
    return (legacy_resize if mode == "legacy" else modern_resize)(images_BHWC, size)


def portable_resize(images_BHWC, size, mode):
    """Returns what `resize` returns, up to rounding, by operations that TensorFlow Lite has.

    Args: images_BHWC: float32 [1, H, W, 3]. size, mode: as of `resize`.
    """
    if mode == "legacy":
        return legacy_resize(images_BHWC, size)
    height, width = tf.unstack(tf.shape(images_BHWC)[1:3])
    rows_SX = tf.matmul(_triangles(height, size), tf.reshape(images_BHWC, [height, width * 3]))
    columns_WX = tf.reshape(tf.transpose(tf.reshape(rows_SX, [size, width, 3]), [1, 0, 2]), [width, size * 3])
    resized_SSC = tf.reshape(tf.matmul(_triangles(width, size), columns_WX), [size, size, 3])
    return tf.transpose(resized_SSC, [1, 0, 2])[None]


def _triangles(length, size):
    """Returns the weights of the pixels of a line in the pixels of a resized line: float32 [size, length].

    They are those of bilinear resizing at pixel centres; with antialiasing the triangle of a smaller line is as wide as
    two of its pixels.

    Args: length: int32 scalar tensor, number of pixels. size: number of pixels of the resized line.
    """
    step = tf.cast(length, tf.float32) / size
    centres_S = (tf.range(size, dtype=tf.float32) + 0.5) * step
    distances_SL = tf.abs(tf.range(tf.cast(length, tf.float32))[None] + 0.5 - centres_S[:, None]) / tf.maximum(
        step, 1.0
    )
    weights_SL = tf.maximum(1.0 - distances_SL, 0.0)
    return weights_SL / tf.reduce_sum(weights_SL, 1, keepdims=True)


def crop_299(images_BHWC, offsets_B2):
    """Returns a crop of 299x299 pixels of each image: [B, 299, 299, 3], of the dtype of the images.

    Args: images_BHWC: [B, 346, 346, 3]. offsets_B2: int32 [B, 2], row and column of each crop's upper left corner.
    """
    window = tf.range(CROPPED)
    rows = tf.gather(images_BHWC, offsets_B2[:, :1] + window, axis=1, batch_dims=1)
    columns = tf.gather(tf.transpose(rows, [0, 2, 1, 3]), offsets_B2[:, 1:] + window, axis=1, batch_dims=1)
    return tf.transpose(columns, [0, 2, 1, 3])
