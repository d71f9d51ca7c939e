"""Writes an HTML report about one or several runs: scores, training curves, images with captions, alarms, provenance.

    python -m evaluation.report runs/demo/scratch runs/demo/full --output report.html

The file is self-contained, so it can be sent to others. Without --output it is RUN/report.html of the first run.
`eval_test.py --report` writes it for its run.
"""

import cli
from evaluation.report.report import Options, main

if __name__ == "__main__":
    cli.run(main, Options)
