"""Reads picture files inside a TensorFlow graph, for captioners that are exported with their encoder.

The pixels are those of formats.images.read_image, which needs Python and Pillow. docs/export.md lists the exceptions.

Shape suffixes: H height, W width, C colour.
"""

import tensorflow as tf

HEADERS = 1 << 18  # bytes of a JPEG file in which its EXIF block is looked for; it is at the start and below 64 kB
EXIF_SEGMENT, SCAN, END_OF_IMAGE = 0xE1, 0xDA, 0xD9  # JPEG markers, after 0xFF
ORIENTATION, SHORT = 0x0112, 3  # the EXIF tag, and the type of its value


def decode(data, exif):
    """Returns the pixels of a picture file: uint8 [H, W, 3].

    Args: data: string scalar, the bytes of the file. exif: whether the picture of a JPEG file is turned by its EXIF
      orientation (bool).
    """
    pixels_HWC = tf.case(
        [
            (tf.io.is_jpeg(data), lambda: tf.io.decode_jpeg(data, channels=3)),
            (is_transparent_png(data), lambda: on_white(tf.io.decode_png(data, channels=4))),
        ],
        lambda: tf.io.decode_image(data, channels=3, expand_animations=False),
    )
    pixels_HWC = tf.ensure_shape(pixels_HWC, [None, None, 3])
    return turned(pixels_HWC, orientation(data)) if exif else pixels_HWC


def is_transparent_png(data):
    """Returns whether a file is a PNG file with opacities: bool scalar.

    They are a channel (the file's colour type is 4 or 6), or in a block `tRNS` before the pixels. Of other PNG files
    decode_png would read wrong opacities.

    Args: data: string scalar, the bytes of a file of any kind.
    """
    headers = tf.strings.split(data, "IDAT")[:1]  # of an empty file there is no part
    colour_type = tf.strings.substr(data + 26 * "\0", 25, 1)  # after a short file there are zeros
    has_channel = (colour_type == b"\4") | (colour_type == b"\6")
    has_block = tf.size(tf.strings.split(headers, "tRNS").flat_values) > 1
    return (tf.strings.substr(data, 0, 4) == b"\x89PNG") & (has_channel | has_block)


def on_white(pixels_HWC):
    """Returns a picture on a white background: uint8 [H, W, 3].

    The integer arithmetic is that of Pillow's alpha_composite.
    Args: pixels_HWC: uint8 [H, W, 4], colours and opacity.
    """
    colours, opacity = tf.cast(pixels_HWC[..., :3], tf.int32), tf.cast(pixels_HWC[..., 3:], tf.int32)
    total = 128 * (opacity * colours + (255 - opacity) * 255) + 128 * 128
    return tf.cast((total // 256 + total) // 256 // 128, tf.uint8)


# --------------------------------------------------------------------------------------------------------------
# EXIF orientation


def orientation(data):
    """Returns the EXIF orientation of a JPEG file, 1 to 8: int32 scalar; 1 if it has none or it cannot be read.

    Args: data: string scalar, the bytes of a file of any kind.
    """
    bytes_N = tf.cast(tf.io.decode_raw(tf.strings.substr(data, 0, HEADERS), tf.uint8), tf.int32)
    bytes_N = tf.concat([bytes_N, tf.zeros([16], tf.int32)], 0)  # beyond the end there are zeros
    last = tf.size(bytes_N) - 1

    def at(place):
        return tf.gather(bytes_N, tf.clip_by_value(place, 0, last))

    def is_exif(place):
        is_named = tf.reduce_all(at(place + 4 + tf.range(6)) == tf.constant(list(b"Exif\0\0")))
        return (at(place + 1) == EXIF_SEGMENT) & is_named

    def is_other_segment(place):
        marker = at(place + 1)
        return (at(place) == 0xFF) & (marker != SCAN) & (marker != END_OF_IMAGE) & ~is_exif(place)

    place = tf.while_loop(
        is_other_segment, lambda place: (place + 2 + 256 * at(place + 2) + at(place + 3),), (tf.constant(2),)
    )[0]
    start = place + 10  # of the block, after marker, length and name
    is_little_endian = at(start) == ord("I")

    def number(place, size):  # in the block's order of bytes
        digits = [at(place + i) for i in range(size)]
        little = sum(digit * 256**i for i, digit in enumerate(digits))
        big = sum(digit * 256**i for i, digit in enumerate(reversed(digits)))
        return tf.where(is_little_endian, little, big)

    directory = start + number(start + 4, 4)
    entries_M = directory + 2 + 12 * tf.range(number(directory, 2))
    is_orientation_M = (number(entries_M, 2) == ORIENTATION) & (number(entries_M + 2, 2) == SHORT)
    values = tf.boolean_mask(number(entries_M + 8, 2), is_orientation_M)
    value = tf.concat([values, [1]], 0)[0]
    return tf.where(is_exif(place) & (value >= 1) & (value <= 8), value, 1)


def turned(pixels_HWC, orientation):
    """Returns a picture turned by its EXIF orientation as image viewers do: uint8 [H, W, 3] or [W, H, 3].

    Args: pixels_HWC: uint8. orientation: int32 scalar, 1 to 8.
    """

    def where_in(numbers, change, pixels):
        return tf.cond(tf.reduce_any(orientation == numbers), lambda: change(pixels), lambda: pixels)

    pixels_HWC = where_in([5, 6, 7, 8], lambda pixels: tf.transpose(pixels, [1, 0, 2]), pixels_HWC)
    pixels_HWC = where_in([3, 4, 7, 8], lambda pixels: tf.reverse(pixels, [0]), pixels_HWC)
    return where_in([2, 3, 6, 7], lambda pixels: tf.reverse(pixels, [1]), pixels_HWC)
