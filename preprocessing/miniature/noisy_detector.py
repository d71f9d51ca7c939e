"""Simulates the object detector of the miniature world: returns the true objects with known noise.

missed      with probability 0.20 + 0.18 exp(-area / 0.03), where area is a share of the picture's
confused    13 % of the detected objects have a wrong class, 70 % of these a class that looks similar
invented    Poisson(0.06) false objects a picture, of any class
score       0.3 + 0.7 Beta(5, 2) if the class is right, 0.3 + 0.7 Beta(2, 4) if it is wrong: in (0.3, 1)
box         every edge is moved by a normal error of 4 % of the object's side
"""

import numpy as np

from preprocessing.miniature.things import BY_NAME, NAMES

MISSED_LARGE, MISSED_SMALL, SMALL_AREA = 0.20, 0.18, 0.03
CONFUSED, ALIKE = 0.13, 0.7
INVENTED = 0.06
JITTER = 0.04


def noise_model():
    """Returns the constants of the noise for the sidecar: dict name in lower case -> value."""
    names = ("MISSED_LARGE", "MISSED_SMALL", "SMALL_AREA", "CONFUSED", "ALIKE", "INVENTED", "JITTER")
    return {name.lower(): globals()[name] for name in names}


def _other_class(rng, name):
    """Returns a random wrong class for an object of class `name`, mostly one that looks similar."""
    pool = BY_NAME[name].alike if rng.random() < ALIKE else [other for other in NAMES if other != name]
    return pool[int(rng.integers(len(pool)))]


def _detection(rng, name, right, box):
    """Returns a detection with random score and box errors as a dict {"name", "score", "box"}.

    Args: name: detected class. right: whether it is the true class. box: true (ymin, xmin, ymax, xmax) in 0 to 1.
    """
    ymin, xmin, ymax, xmax = box
    sides = np.array([ymax - ymin, xmax - xmin] * 2)
    edges = np.clip(np.asarray(box) + rng.normal(0, JITTER, 4) * sides, 0, 1)
    score = 0.3 + 0.7 * (rng.beta(5, 2) if right else rng.beta(2, 4))
    return {
        "name": name,
        "score": round(float(np.clip(score, 0.3001, 0.9999)), 4),
        "box": [round(float(edge), 4) for edge in edges],
    }


def detect(rng, scene):
    """Draws random detections for a scene.

    Args:
      rng: numpy Generator.
      scene: scenes.Scene.

    Returns: (objects, counts): objects is a list of {"name", "score", "box": [ymin, xmin, ymax, xmax] in 0 to 1} by
      descending score. counts is a dict with the numbers of objects: "true" (in the scene), "missed" (of these),
      "confused" (detected with a wrong class) and "invented" (false).
    """
    objects = []
    counts = {"true": len(scene.items), "missed": 0, "confused": 0, "invented": int(rng.poisson(INVENTED))}
    for item in scene.items:
        if rng.random() < MISSED_LARGE + MISSED_SMALL * np.exp(-item.width * item.height / SMALL_AREA):
            counts["missed"] += 1
            continue
        wrong = rng.random() < CONFUSED
        counts["confused"] += int(wrong)
        objects.append(_detection(rng, _other_class(rng, item.name) if wrong else item.name, not wrong, item.box))
    for _ in range(counts["invented"]):
        top, left, height, width = rng.uniform([0, 0, 0.1, 0.1], [0.7, 0.7, 0.3, 0.3])
        name = NAMES[int(rng.integers(len(NAMES)))]
        objects.append(_detection(rng, name, False, (top, left, top + height, left + width)))
    return sorted(objects, key=lambda found: -found["score"]), counts
