"""Draws random scenes of the miniature world: which objects occur together, where, and in which relation.

A scene depends only on a numpy Generator (rng) and the seed of the world. Pictures and sentences use different sets of
pairs of classes: some pairs occur only in pictures, some only in text, so a captioner must combine classes that no
sentence combines. The argument `side` is "pictures" or "text".

Lengths and coordinates are shares of the picture's side, x to the right and y down.
"""

import dataclasses
import functools
import itertools

import numpy as np

from preprocessing.miniature.things import BY_NAME, NAMED_COLOURS, NAMES
from preprocessing.sharding.shards import digest_of

PLACES = {"grass": 1.2, "beach": 1.0, "snow": 0.9, "street": 1.2, "room": 1.0, "lake": 0.8, "desert": 0.7, "night": 0.7}
SKIES = {"clear": 0.35, "sunny": 0.3, "cloudy": 0.2, "sunset": 0.15}
# Heights of objects on land and on water, as shares of the picture's height (0 is the top).
GROUND = {place: (0.76, 0.93) for place in PLACES} | {
    "lake": (0.88, 0.96),
    "beach": (0.80, 0.95),
    "street": (0.80, 0.9),
}
WATER = {"lake": (0.62, 0.76), "beach": (0.58, 0.66)}
# The height at which a thing stands on a support, as a share of the support's height from its top.
SURFACE = {"table": 0.08, "chair": 0.54, "car": 0.11, "bus": 0.10, "house": 0.10}
FITS_ON = {
    "table": {"cup", "lamp", "clock", "cat", "ball", "guitar", "mushroom", "bird"},
    "chair": {"cat", "ball", "guitar", "clock", "dog", "cup"},
    "car": {"cat", "bird", "dog"},
    "bus": {"bird", "cat"},
    "house": {"bird", "cat"},
}
PICTURES_ONLY, TEXT_ONLY = 0.35, 0.35  # shares of all pairs of things


@dataclasses.dataclass(frozen=True)
class Item:
    """One object of a scene.

    Attributes:
      name: its class. colour: name of its colour. size: "small", "large", or "" for the usual size.
      left, foot: x of its left edge, y of its lower edge. width, height: of its box.
      flip: whether it is mirrored left to right. tilt: rotation in radians.
    """

    name: str
    colour: str
    size: str
    left: float
    foot: float
    width: float
    height: float
    flip: bool
    tilt: float

    @property
    def box(self):
        """Returns the box (ymin, xmin, ymax, xmax), a tuple of float, clipped to 0 to 1."""
        edges = (self.foot - self.height, self.left, self.foot, self.left + self.width)
        return tuple(float(min(1.0, max(0.0, edge))) for edge in edges)


@dataclasses.dataclass(frozen=True)
class Scene:
    """The objects of a picture or of a sentence.

    Attributes:
      place: key of PLACES. sky: key of SKIES, or "" for a place without sky.
      items: tuple of Item in painting order.
      relations: tuple of (i, relation, j): the relation of item i to item j, a key of phrases.RELATIONS.
    """

    place: str
    sky: str
    items: tuple
    relations: tuple

    @property
    def combination(self):
        """Returns the frozenset of the classes in the scene."""
        return frozenset(item.name for item in self.items)


# --------------------------------------------------------------------------------------------------------------
# Which things occur together


def frequency(name):
    """Returns the unnormalised frequency of a class, which decreases along THINGS by Zipf's law."""
    return 1.0 / (NAMES.index(name) + 5)


def pair_side(seed, first, second):
    """Returns where a pair of different classes may occur together: "pictures", "text" or "both".

    Args: seed: seed of the world. first, second: the classes.
    """
    share = digest_of(f"{seed} " + " ".join(sorted((first, second)))) / 2**64
    if share < PICTURES_ONLY:
        return "pictures"
    return "text" if share < PICTURES_ONLY + TEXT_ONLY else "both"


def common_places(names):
    """Returns the places where all of the given classes can be: dict name of a place -> weight; {} if there is none.

    `pick` draws a place in proportion to its weight: the frequency of the place times the geometric mean of the shares
    that it has among the places of each class. The weights do not add up to 1.

    Args: names: names of classes, at least one.
    """
    weights = {}
    for place, weight in PLACES.items():
        shares = [BY_NAME[name].places.get(place, 0) / sum(BY_NAME[name].places.values()) for name in names]
        if all(shares):
            weights[place] = weight * float(np.prod(shares)) ** (1 / len(shares))
    return weights


def may_meet(seed, side, names):
    """Returns whether the classes `names` may occur together in one scene.

    Args: seed: seed of the world. side: "pictures" or "text".
    """
    pairs = itertools.combinations(sorted(set(names)), 2)
    return bool(common_places(names)) and all(pair_side(seed, *pair) in (side, "both") for pair in pairs)


def pick(rng, weights):
    """Returns a random key of the dict `weights`, with probability proportional to its value.

    Args: rng: numpy Generator.
    """
    keys = list(weights)
    shares = np.cumsum(np.fromiter(weights.values(), float))
    return keys[int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))]


@functools.cache
def _partners(seed, side, chosen):
    """Returns dict class -> weight, for the classes that can be added to those in the tuple `chosen`."""
    # Things with common places occur together more often: cups stand on tables, not on trains.
    return {
        name: frequency(name) * sum(common_places([*chosen, name]).values())
        for name in NAMES
        if name not in chosen and may_meet(seed, side, [*chosen, name])
    }


def choose_names(rng, seed, side):
    """Returns a random list of the classes of the 1 to 3 objects of a scene; a class may occur several times.

    Args: rng: numpy Generator. seed: seed of the world. side: "pictures" or "text".
    """
    shape = pick(rng, {"a": 0.27, "aa": 0.08, "aaa": 0.03, "ab": 0.37, "aab": 0.07, "abc": 0.18})
    by_frequency = {name: frequency(name) for name in NAMES}
    while True:
        chosen = [pick(rng, by_frequency)]
        while len(chosen) < len(set(shape)):
            weights = _partners(seed, side, tuple(chosen))
            if not weights:
                break
            chosen.append(pick(rng, weights))
        if len(chosen) == len(set(shape)):
            return [chosen["abc".index(letter)] for letter in shape]


# --------------------------------------------------------------------------------------------------------------
# Relations and positions


def ties(upper, lower):
    """Returns the relations that an object can have to another at the same position: dict relation -> weight.

    Args: upper: class of the first object. lower: class of the second, e.g. of the support.
    """
    first, second = BY_NAME[upper].traits, BY_NAME[lower].traits
    possible = {}
    if upper in FITS_ON.get(lower, ()):
        possible["on"] = 4.0
    if "rider" in first and "mount" in second:
        possible["riding"] = 3.0
    if lower == "boat" and (upper in ("dog", "cat") or "rider" in first):
        possible["in"] = 4.0
    if "shelter" in second and ("small" in first or upper == "sheep") and not first & {"air", "water"}:
        possible["under"] = 2.0
    if "large" in second and not (first | second) & {"water", "air"} and "large" not in first:
        possible["in front of"] = 1.0
    return possible


def tie_first_pair(rng, names):
    """Draws which two objects of a scene, if any, share a position, and in which relation ("cat on sofa").

    Only classes that occur once in `names` are candidates. Each possible relation is drawn in proportion to its weight
    from `ties`. The outcome without a pair has the weight 1.

    Args: rng: numpy Generator. names: list of the classes of the scene's objects.
    Returns: (i, relation, j): object names[i] has the relation, e.g. "on", to object names[j]; None without a pair.
    """
    options = {(None,): 1.0}
    for i, j in itertools.permutations(range(len(names)), 2):
        if names.count(names[i]) == names.count(names[j]) == 1:
            options.update({(i, relation, j): weight for relation, weight in ties(names[i], names[j]).items()})
    choice = pick(rng, options)
    return choice if len(choice) == 3 else None


def _sizes(rng, names):
    """Returns a list with a random (size word, height, width) for each object, not yet fitted into the picture."""
    sizes = []
    for name in names:
        word = pick(rng, {"": 0.7, "small": 0.16, "large": 0.14})
        factor = {"": rng.uniform(0.92, 1.08), "small": rng.uniform(0.6, 0.7), "large": rng.uniform(1.3, 1.45)}[word]
        if len(names) == 1:
            factor *= 1.2
        height = min(BY_NAME[name].height * factor, 0.72)
        sizes.append((word, height, height * BY_NAME[name].aspect * rng.uniform(0.92, 1.08)))
    return sizes


def _tied_offset(rng, relation, upper, lower):
    """Returns a random position of an object relative to the one to which it is tied.

    Args: relation: a key of the result of `ties`. upper, lower: (class, height, width) of the two objects.
    Returns: (x of its centre from the centre of the other, height of its foot above that of the other, factor of its
      size).
    """
    (_, upper_height, upper_width), (lower_name, height, width) = upper, lower
    side = rng.choice([-1, 1])
    if relation == "on":
        scale = min(1.0, 0.9 * width / upper_width, 0.6 * height / upper_height if lower_name == "house" else 1.0)
        room = max(0.0, (0.8 * width - scale * upper_width) / 2) if lower_name not in ("house", "chair") else 0.0
        return side * rng.uniform(0, 1) * room, (1 - SURFACE[lower_name]) * height, scale
    if relation == "riding":
        return -0.06 * width, 0.26 * height, min(1.0, 1.0 * height / upper_height)
    if relation == "in":
        return side * 0.30 * width, 0.24 * height, min(1.0, 0.5 * height / upper_height)
    if relation == "under":
        return side * 0.27 * width, -0.02, min(1.0, 0.46 * height / upper_height, 0.5 * width / upper_width)
    return side * rng.uniform(0.1, 0.3) * width, -0.05, min(1.0, 0.75 * height / upper_height)


def _units(names, tie):
    """Groups objects by position. Args: names: list of the objects' classes. tie: result of `tie_first_pair`.

    Returns: (list of lists of indices of objects at the same position, the lower one first; list of those in the air).
    """
    tied = {tie[0], tie[2]} if tie else set()
    units = [[tie[2], tie[0]]] if tie else []
    airborne = []
    for index, name in enumerate(names):
        if index not in tied:
            (airborne.append(index) if "air" in BY_NAME[name].traits else units.append([index]))
    return units, airborne


def _stand(rng, place, names, sizes, tie):
    """Chooses the positions of all objects of a scene.

    Args: place: key of PLACES. names: classes. sizes: result of `_sizes`. tie: result of `tie_first_pair`.
    Returns: (list of (left, foot, width, height), one for each object; groups of `_units` from left to right; indices
      of the objects in the air).
    """
    units, airborne = _units(names, tie)
    units = [units[i] for i in rng.permutation(len(units))]
    total = sum(sizes[unit[0]][2] for unit in units)
    shrink = min(1.0, 0.90 / total) if units else 1.0
    gaps = rng.dirichlet(np.ones(len(units) + 1)) * max(0.0, 0.96 - shrink * total)
    boxes, x = [None] * len(names), 0.02
    for unit, gap in zip(units, gaps, strict=False):
        base = unit[0]
        in_water = "water" in BY_NAME[names[base]].traits and place in WATER
        foot = rng.uniform(*(WATER if in_water else GROUND)[place])
        height, width = shrink * sizes[base][1], shrink * sizes[base][2]
        boxes[base] = (x + gap, foot, width, height)
        for upper in unit[1:]:
            raw = (names[upper], shrink * sizes[upper][1], shrink * sizes[upper][2])
            across, up, scale = _tied_offset(rng, tie[1], raw, (names[base], height, width))
            top_width, top_height = raw[2] * scale, raw[1] * scale
            left = x + gap + width / 2 + across - top_width / 2
            boxes[upper] = (min(max(left, 0.0), 1 - top_width), min(foot - up, 0.99), top_width, top_height)
        x += gap + width
    _fly(rng, names, sizes, airborne, boxes)
    return boxes, units, airborne


def _fly(rng, names, sizes, airborne, boxes):
    """Chooses the positions of objects in the air, side by side in the upper part; sets them in the list `boxes`."""
    slots = rng.permutation(len(airborne))
    for slot, index in zip(slots, airborne, strict=True):
        limit = 0.92 / len(airborne)
        scale = min(1.0, 0.46 / sizes[index][1], limit / sizes[index][2])
        width, height = sizes[index][2] * scale, sizes[index][1] * scale
        left = 0.04 + slot * limit + rng.random() * (limit - width)
        boxes[index] = (left, rng.uniform(0.04, max(0.05, 0.46 - height)) + height, width, height)


def _relations(boxes, units, airborne, tie):
    """Returns all true relations between two objects as a list of (i, relation, j) with indices of the objects.

    Args: boxes, units, airborne: results of `_stand`. tie: result of `tie_first_pair`.
    """
    found = [tie] if tie else []
    bases = [unit[0] for unit in units]
    for left, right in itertools.pairwise(bases):
        found += [(left, "left of", right), (right, "right of", left)]
        found += [(left, "beside", right), (right, "beside", left)]
    for flyer in airborne:
        for base in bases:
            apart = boxes[flyer][0] + boxes[flyer][2] / 2 - boxes[base][0] - boxes[base][2] / 2
            clear = boxes[flyer][1] < boxes[base][1] - boxes[base][3] + 0.02
            if clear and abs(apart) < 0.5 * (boxes[flyer][2] + boxes[base][2]):
                found.append((flyer, "above", base))
    return found


def make_scene(rng, seed, side):
    """Returns a random Scene.

    Args:
      rng: numpy Generator.
      seed: seed of the world, which determines where pairs of classes may occur.
      side: "pictures" or "text".
    """
    names = choose_names(rng, seed, side)
    place = pick(rng, common_places(names))
    sky = "" if place in ("room", "night") else pick(rng, SKIES)
    tie = tie_first_pair(rng, names)
    sizes = _sizes(rng, names)
    boxes, units, airborne = _stand(rng, place, names, sizes, tie)
    items = []
    for name, (size, _, _), (left, foot, width, height) in zip(names, sizes, boxes, strict=True):
        thing = BY_NAME[name]
        colour = pick(rng, {colour: 0.55**rank for rank, colour in enumerate(thing.colours)})
        tilt = float(rng.normal(0, 0.12 if "air" in thing.traits else 0.02))
        items.append(Item(name, colour, size, left, foot, width, height, bool(rng.random() < 0.5), tilt))
    relations = _relations(boxes, units, airborne, tie)
    order = painting_order(units, airborne, items, tie)
    position = {index: rank for rank, index in enumerate(order)}
    renamed = tuple((position[i], relation, position[j]) for i, relation, j in relations)
    return Scene(place, sky, tuple(items[index] for index in order), renamed)


def painting_order(units, airborne, items, tie):
    """Returns the list of the objects' indices from the farthest to the nearest.

    Args:
      units: list of lists of indices of objects on land or water; those in one list are at the same position.
      airborne: list of the indices of objects in the air.
      items: list of Item, all objects.
      tie: result of `tie_first_pair`, (i, relation, j) or None.
    """
    order = list(airborne)
    for unit in sorted(units, key=lambda unit: items[unit[0]].foot):
        # A rider is partly hidden by the horse.
        order += unit[::-1] if tie and len(unit) == 2 and tie[1] == "riding" else unit
    return order


def make_single(rng, name):
    """Returns a random Scene with one object of class `name` in any colour, size and place, to train the encoder."""
    thing = BY_NAME[name]
    place = pick(rng, thing.places if rng.random() < 0.5 else PLACES)
    colours = thing.colours if rng.random() < 0.6 else NAMED_COLOURS
    height = rng.uniform(0.16, 0.66)
    width = min(height * thing.aspect * rng.uniform(0.85, 1.18), 0.96)
    height = min(height, width / thing.aspect * 1.18)
    left, top = rng.uniform(-0.05, 1.05 - width), rng.uniform(-0.05, 1.05 - height)
    colour = colours[int(rng.integers(len(colours)))]
    item = Item(name, colour, "", left, top + height, width, height, bool(rng.random() < 0.5), rng.normal(0, 0.08))
    sky = "" if place in ("room", "night") else pick(rng, SKIES)
    return Scene(place, sky, (item,), ())
