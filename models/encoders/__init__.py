"""Image encoders: networks that map a photograph to image vectors.

`load_encoder` makes an encoder from its name; base.py has the base class.
"""

from models.encoders.base import Encoder, WholeImageEncoder, exif_of, fingerprint, identity, random_windows
from models.encoders.kinds import describe_caption_embeddings, load_data_encoder
from models.encoders.registry import load_encoder, load_encoder_from

__all__ = [
    "Encoder",
    "WholeImageEncoder",
    "describe_caption_embeddings",
    "exif_of",
    "fingerprint",
    "identity",
    "load_data_encoder",
    "load_encoder",
    "load_encoder_from",
    "random_windows",
]
