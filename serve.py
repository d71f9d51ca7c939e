"""Serves a web page on this machine that captions photographs with one run, or with two runs side by side.

    python serve.py --job_dir runs/full [--job_dir2 runs/scratch] [--examples photos/] [--port 7860]

Then open http://127.0.0.1:7860. It cannot be reached from other machines, sends no data to them, and deletes uploads
when it stops. `--detector` draws detected objects as well (a run of R2M has its own detector). It needs
`pip install -r requirements-serve.txt`.

For programs: POST an image to /caption, as bytes, in a form, or as base64 in JSON (docs/captioning.md).
    curl --data-binary @photo.jpg 'http://127.0.0.1:7860/caption?beam=3&name=photo.jpg'
"""

import contextlib
import dataclasses
import importlib.util
import os
import signal
import socket
import tempfile

import cli
import registry
from training import rankings
from training.run_directory import read_config
from web import temporary_folders

HOST = "127.0.0.1"
MAX_EXAMPLES = 12


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of serve.py."""

    job_dir: str = cli.field("runs/full", "run directory")
    job_dir2: str | None = cli.field(None, "a second run, shown side by side with the first")
    checkpoint: str = cli.field("best", rankings.CHECKPOINT)
    checkpoint2: str = cli.field("best", "checkpoint of the second run")
    encoder: str | None = cli.field(None, "the first run's encoder with its new path, if it has moved")
    encoder2: str | None = cli.field(None, "the second run's encoder with its new path, if it has moved")
    detector: str | None = cli.field(None, "detector whose objects are drawn (preprocessing/detection/detectors.py)")
    labels: str | None = cli.field(None, "class names of --detector")
    exif: bool | None = cli.field(
        None, "apply (--exif) or ignore (--noexif) the EXIF orientation; default: as in each run's training images"
    )
    examples: tuple[str, ...] = cli.field((), f"folders and image files of example images; {MAX_EXAMPLES} are shown")
    system: tuple[str, ...] = registry.packages_field()
    port: int = cli.field(7860, "port on 127.0.0.1; 0 = a free port, which is printed")


def check(options):
    """Checks the flags before TensorFlow starts. Returns the run directories: list of one or two str.

    Args: options: Options.
    Raises: cli.UserError if a flag is wrong, a run cannot caption images, or a package is not installed.
    """
    registry.import_packages(options.system)
    job_dirs = [path for path in (options.job_dir, options.job_dir2) if path]
    for job_dir in job_dirs:
        content = read_config(job_dir)
        if not registry.system_of(content, job_dir).takes_photographs(content):
            raise cli.UserError(f"{job_dir}: a run of {content['stage']} cannot caption images")
    if not 0 <= options.port < 65536:
        raise cli.UserError(f"--port {options.port}: expected 0 to 65535")
    for name in ("gradio", "fastapi", "uvicorn"):
        if importlib.util.find_spec(name) is None:
            raise cli.UserError(f"{name} is not installed: pip install -r requirements-serve.txt")
    return job_dirs


def example_files(paths):
    """Returns the paths of at most MAX_EXAMPLES images, taken at even intervals from files and folders: list of str.

    Images that cannot be read are left out, with a message. Args: paths: files and folders.
    Raises: cli.UserError if a path does not exist.
    """
    from formats.images import image_names
    from web import uploads

    files = []
    for path in paths:
        if not os.path.exists(path):
            raise cli.UserError(f"--examples {path}: no such file or folder")
        files += [os.path.join(path, name) for name in image_names(path)] if os.path.isdir(path) else [path]
    chosen = files[:: max(1, len(files) // MAX_EXAMPLES)][:MAX_EXAMPLES]
    good = []
    for path in chosen:
        try:
            uploads.check_file(path)
            good.append(path)
        except uploads.Refused as refused:
            print(f"--examples {path}: left out. {refused.message}")
    return good


def listening(port):
    """Returns a listening TCP socket on 127.0.0.1: socket.socket.

    Args: port: its number, 0 for a free one. Raises: cli.UserError if the port cannot be used.
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        found.listen()  # clients that connect before the server is ready wait
    except OSError as error:
        raise cli.UserError(f"--port {port} cannot be used ({error.strerror}); choose another, or 0") from error
    return found


def main(options):
    """Serves the page until the process is stopped. Args: options: Options."""
    job_dirs = check(options)
    files = example_files(options.examples)
    bound = listening(options.port)
    temporary_folders.remove_abandoned(tempfile.gettempdir())
    with temporary_folders.new() as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # read when Gradio is imported
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["HF_HUB_OFFLINE"] = "1"

        from web import showing

        runs = [
            showing.Shown(job_dir, checkpoint, encoder, options.detector, options.labels, options.exif)
            for job_dir, checkpoint, encoder in zip(
                job_dirs,
                (options.checkpoint, options.checkpoint2),
                (options.encoder, options.encoder2),
                strict=False,
            )
        ]

        import uvicorn

        from web import connections, page

        app = page.application(runs, files, folder)
        server = uvicorn.Server(uvicorn.Config(app, http=connections.Limited, log_level="warning"))
        print(f"captions of {', '.join(run.name for run in runs)}: http://{HOST}:{bound.getsockname()[1]}", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as for Ctrl-C, so that uploads are deleted
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[bound])


if __name__ == "__main__":
    cli.run(main, Options)
