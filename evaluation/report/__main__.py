"""One HTML file about a run or several: scores, training curves, pictures with captions, alarms, where it came from.

    python -m evaluation.report runs/demo/scratch runs/demo/full --output report.html

The file holds everything it shows, so it can be mailed. Without --output it is RUN/report.html of the first run.
`eval_test.py --report` writes it for its run.
"""

import cli
from evaluation.report.report import Options, main

if __name__ == "__main__":
    cli.run(main, Options)
