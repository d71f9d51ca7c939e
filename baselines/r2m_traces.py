"""Captions concept words with a trained R2M, without any image, and plots what its memory did word by word.

    python -m baselines.r2m_traces --job_dir runs/demo/r2m/tri_rec "dog ball" "man horse" --output traces.png

For each set of concepts the picture shows, word by word: how the memory attends to itself and to the input, how the
fusion memory attends to the word and to the concepts, and the means of the gates with their 10 % to 90 % range.
"""

import cli
from baselines.r2m.traces import Options, main

if __name__ == "__main__":
    cli.run(main, Options)
