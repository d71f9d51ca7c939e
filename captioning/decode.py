"""Parses the value of --decode. This module does not import TensorFlow."""

import cli


def parse_decode(decode):
    """Returns the beam size in a --decode value: 3 for "beam3", 0 for "greedy".

    Raises cli.UserError for other values.
    """
    if decode == "greedy":
        return 0
    size = decode.removeprefix("beam")
    if decode.startswith("beam") and size.isdigit() and int(size) > 0:
        return int(size)
    raise cli.UserError(f"--decode {decode}: expected greedy or beamK, for example beam3")
