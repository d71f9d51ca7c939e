"""Computes SPICE, if its jars and a suitable Java runtime (8 or 11) are installed.

pycocoevalcap's `Spice` tries to download Stanford CoreNLP whenever it is constructed, and writes its cache into its
package folder. Here a missing jar is reported as a reason, and files are written to a temporary folder.
"""

import json
import os
import subprocess
import tempfile

from evaluation.metrics.java import JavaError, command, environment, find_java

MAJORS = (8, 11)


def folder():
    """Returns the path of the folder of SPICE's jar inside pycocoevalcap."""
    from pycocoevalcap.spice import spice

    return os.path.dirname(os.path.abspath(spice.__file__))


def missing_jars():
    """Returns the list of the jars that SPICE needs and that are not installed, as paths relative to `folder()`."""
    jars = ["spice-1.0.jar", "lib/stanford-corenlp-3.6.0.jar", "lib/stanford-corenlp-3.6.0-models.jar"]
    return [jar for jar in jars if not os.path.exists(os.path.join(folder(), jar))]


def compute_score(references, captions):
    """Scores one caption per image.

    Args:
      references: dict image id -> list of tokenized references (strings).
      captions: dict image id -> list of exactly one tokenized caption, the same ids.

    Returns:
      (mean of the images' F scores, list of the F scores in the order of `captions`), floats 0 to 1.

    Raises:
      JavaError: jars or a usable Java are missing, or the program failed or took too long.
    """
    absent = missing_jars()
    if absent:
        raise JavaError(
            f"its jars are not installed ({', '.join(absent)} in pycocoevalcap's folder spice); "
            "`python -m pycocoevalcap.spice.get_stanford_models` downloads them (384 MB)"
        )
    java = find_java(MAJORS)
    items = [{"image_id": name, "test": captions[name][0], "refs": references[name]} for name in captions]
    with tempfile.TemporaryDirectory() as scratch:
        source, target = os.path.join(scratch, "in.json"), os.path.join(scratch, "out.json")
        with open(source, "w", encoding="utf-8") as file:
            json.dump(items, file)
        arguments = ("-Xmx8G", "-jar", "spice-1.0.jar", source, "-out", target, "-subset", "-silent")
        try:
            subprocess.run(
                command(java, *arguments),
                cwd=folder(),
                env=environment(),
                capture_output=True,
                timeout=600 + len(items),
                check=True,
            )
            with open(target, encoding="utf-8") as file:
                results = json.load(file)
        except subprocess.CalledProcessError as error:
            complaint = error.stderr.decode(errors="replace").strip()[-300:]
            raise JavaError(f"SPICE ended with code {error.returncode}: {complaint}") from None
        except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError) as error:
            raise JavaError(f"SPICE failed: {error}") from None
    by_image = {item["image_id"]: item["scores"]["All"]["f"] for item in results}
    if by_image.keys() != captions.keys():
        raise JavaError(f"SPICE answered for {len(by_image)} of {len(captions)} images")
    scores = [float(by_image[name]) for name in captions]
    return sum(scores) / len(scores), scores
