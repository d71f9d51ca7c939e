"""The commands that a page of the manual prints, read from its text; and what a shell would make of them.

A block of shell lines (```bash, or indented) and the inline commands of a page are given to bash. Stand-ins for the
programs write down how they are called. So variables, loops, continued lines and the scripts of scripts/ are understood
as a reader's shell understands them, and a program or a script that is not there is an error.
"""

import dataclasses
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The changelog tells of commands that are gone.
PAGES = sorted({ROOT / "README.md", *ROOT.glob("docs/**/*.md")} - {ROOT / "docs" / "changelog.md"})
PROGRAMS = ("python", "python3", "pip", "curl", "mkdocs", "tensorboard", "ruff", "git", "dask")
FIRST = re.compile(rf"(?:srun )?(?:(?:\.venv/bin/)?(?:{'|'.join(PROGRAMS)})\s+\S|(?:bash )?scripts/\w+\.sh\b)")
FENCED = re.compile(r"^([ ]*)```(\w*)[^\n]*\n(.*?)^\1```[ ]*$", re.M | re.S)
INDENTED = re.compile(r"(?:^    .*\n|^[ ]*\n(?=    ))+", re.M)
INLINE = re.compile(r"`([^`]+)`")
PAGE = "the page"


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a program.

    Attributes: script: where it is made, PAGE or a file of scripts/. path: PYTHONPATH there. words: its arguments.
    """

    script: str
    path: str
    program: str
    words: tuple[str, ...]

    def __str__(self):
        return " ".join([self.program, *self.words])


# --------------------------------------------------------------------------------------------------------------
# From a text to shell lines


def blocks(text):
    """The shell lines of the blocks of a page, in order: list of texts."""
    found = [(match.start(), textwrap.dedent(match[3]), match[2]) for match in FENCED.finditer(text)]
    rest = FENCED.sub(lambda match: re.sub(r"[^\n]", "", match[0]).ljust(len(match[0])), text)
    found += [(match.start(), textwrap.dedent(match[0]), "") for match in INDENTED.finditer(rest)]
    lines = [re.sub(r"^\$ ", "", block, flags=re.M) for _, block, kind in sorted(found) if kind in ("", "bash", "sh")]
    return [block for block in lines if any(FIRST.match(line) for line in block.splitlines())]


def inline(text, short_names=None):
    """The commands inside sentences and tables, each of several alternatives a command of its own: list of texts.

    What is in [] is taken, ... is left out. A program or script that is merely named is no command.

    Args: short_names: dict name -> words; `process_images --overwrite` is short for `WORDS --overwrite`.
    """
    found = []
    for code in INLINE.findall(FENCED.sub("", text)):
        code = re.sub(r"\s+", " ", code.replace("\\|", "|")).strip()
        first, _, rest = code.partition(" ")
        if first in (short_names or {}) and re.match(r"--\w", rest):
            code = f"{short_names[first]} {rest}"
        if not FIRST.match(code) or re.fullmatch(r"(bash )?\S+( -m)?", code):
            continue
        words = re.sub(r"[][]|…|\.\.\.", " ", code).split()
        choices = [[part for part in word.split("|") if part] if "|" in word else [word] for word in words]
        found += [" ".join(choice) for choice in itertools.product(*filter(None, choices))]
    return found


# --------------------------------------------------------------------------------------------------------------
# From shell lines to calls

STAND_IN = r"""#!/bin/bash
row=$(printf "%s\x1f" "${WHERE:-the page}" "${PYTHONPATH:-}" "$(basename "$0")" "$@"; printf "\x1e")
printf "%s" "$row" >> "$CALLS"  # in one write: workers run side by side
"""
FOUND_THERE = (  # what scripts look for
    "data/miniature/features_train.json",
    "data/r2m_smoke/raw/classes.txt",
    "data/flickr8k_supervised/sentence.json",
    "real/corpora/none",
    "real/flickr8k/none",
    "real/models/none",
)


def calls(folder, lines, may_lack=False):
    """The calls that a shell makes of the lines, in `folder`: list of Call.

    Args:
      folder: a pathlib.Path whose files the lines may read; scripts/ and .venv/ are put there.
      lines: text of a shell script.
      may_lack: whether a script may say that an argument is missing, which a sentence need not name.

    Raises: AssertionError with the shell's message where something is not understood or not there.
    """
    programs = folder / ".venv" / "bin"
    if not programs.exists():
        programs.mkdir(parents=True)
        (programs / "activate").write_text("")
        stand_ins = dict.fromkeys(PROGRAMS, STAND_IN) | {"srun": '"$@"', "scontrol": "echo node"}
        for name, text in stand_ins.items():
            (programs / name).write_text(text if text.startswith("#!") else f"#!/bin/bash\n{text}\n")
            (programs / name).chmod(0o755)
        shutil.copytree(ROOT / "scripts", folder / "scripts")
        (folder / "scripts" / "setup.sh").write_text("")  # no installation
        for script in (folder / "scripts").glob("*.sh"):  # each says where its calls are made
            first, _, rest = script.read_text().partition("\n")
            script.write_text(f"{first}\nexport WHERE=scripts/{script.name}\n{rest}")
        for name in FOUND_THERE:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
    log = folder / "calls"
    log.write_text("")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        cwd=folder,
        env=os.environ
        | {"PATH": f"{programs}:{os.environ['PATH']}", "CALLS": str(log), "UIC_REALDATA": str(folder / "real")}
        | {"PYTHONPATH": "", "SLURM_JOB_NODELIST": "node", "SLURM_NODEID": "0"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    lacks = may_lack and re.search(r"^ERROR: .*is missing", done.stderr, re.M)
    assert done.returncode == 0 or lacks, f"{lines}\n{done.stdout[-500:]}{done.stderr[-1500:]}"
    rows = [row.split("\x1f")[:-1] for row in log.read_text().split("\x1e")[:-1]]
    return [Call(where, path, program, tuple(words)) for where, path, program, *words in rows]
