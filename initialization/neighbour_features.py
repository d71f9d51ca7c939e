"""The old name of `python -m initialization.predict_caption_embeddings`; runs that command."""

import aliases

if __name__ == "__main__":
    aliases.run_module("initialization.neighbour_features")
