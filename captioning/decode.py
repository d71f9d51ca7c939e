"""What --decode means; needs no TensorFlow."""

import config


def parse_decode(decode):
    """`greedy` -> 0, `beam3` -> 3. Raises config.UserError."""
    if decode == "greedy":
        return 0
    size = decode.removeprefix("beam")
    if decode.startswith("beam") and size.isdigit() and int(size) > 0:
        return int(size)
    raise config.UserError(f"--decode {decode}: expected greedy or beamK, for example beam3")
