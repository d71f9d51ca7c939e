"""The old name of `python -m initialization.assign_captions`; runs that command."""

import aliases

if __name__ == "__main__":
    aliases.run_module("initialization.fit_captions")
