"""Captions concept words with a trained R2M, without any image, and plots its attention and gates word by word.

    python -m baselines.r2m_traces --job_dir runs/demo/r2m/tri_rec "dog ball" "man horse" --output traces.png

For each set of concept words the figure shows, word by word: the memory's attention to itself and to the input, the
fusion memory's attention to the word and to the concepts, and the mean of the gates with their 10 % to 90 % range.
"""

import cli
from baselines.r2m.traces import Options, main

if __name__ == "__main__":
    cli.run(main, Options)
