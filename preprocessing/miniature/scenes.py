"""Draws random scenes of the miniature world: which things occur together, where, and in which relation.

A scene depends only on a numpy Generator. Photographs and sentences use different sets of pairs of things: some pairs
occur only in pictures, some only in text, so a captioner must combine things that no sentence combines.
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
    """One object of a scene. size: "", "small" or "large". left, foot, width, height: shares of the picture."""

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
        """Returns (ymin, xmin, ymax, xmax) in 0..1."""
        edges = (self.foot - self.height, self.left, self.foot, self.left + self.width)
        return tuple(float(min(1.0, max(0.0, edge))) for edge in edges)


@dataclasses.dataclass(frozen=True)
class Scene:
    """Items in painting order, and the relations between them: (index, relation, index)."""

    place: str
    sky: str
    items: tuple
    relations: tuple

    @property
    def combination(self):
        """Returns the set of the classes in the scene."""
        return frozenset(item.name for item in self.items)


# --------------------------------------------------------------------------------------------------------------
# Which things occur together


def frequency(name):
    """Returns the unnormalised frequency of a class, by Zipf's law along THINGS."""
    return 1.0 / (NAMES.index(name) + 5)


def pair_side(seed, first, second):
    """Returns "pictures", "text" or "both": where a pair of different classes may occur together."""
    share = digest_of(f"{seed} " + " ".join(sorted((first, second)))) / 2**64
    if share < PICTURES_ONLY:
        return "pictures"
    return "text" if share < PICTURES_ONLY + TEXT_ONLY else "both"


def common_places(names):
    """Returns dict place -> weight for things that occur together; empty if no place fits all."""
    weights = {}
    for place, weight in PLACES.items():
        shares = [BY_NAME[name].places.get(place, 0) / sum(BY_NAME[name].places.values()) for name in names]
        if all(shares):
            weights[place] = weight * float(np.prod(shares)) ** (1 / len(shares))
    return weights


def may_meet(seed, side, names):
    """Returns whether the different classes of `names` may be in one scene of this side ("pictures" or "text")."""
    pairs = itertools.combinations(sorted(set(names)), 2)
    return bool(common_places(names)) and all(pair_side(seed, *pair) in (side, "both") for pair in pairs)


def pick(rng, weights):
    """Draws a key of a dict of weights."""
    keys = list(weights)
    shares = np.cumsum(np.fromiter(weights.values(), float))
    return keys[int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))]


@functools.cache
def _partners(seed, side, chosen):
    """Returns dict class -> weight of the classes that can be added to the chosen ones."""
    # Things with common places occur together more often: cups stand on tables, not on trains.
    return {
        name: frequency(name) * sum(common_places([*chosen, name]).values())
        for name in NAMES
        if name not in chosen and may_meet(seed, side, [*chosen, name])
    }


def choose_names(rng, seed, side):
    """Draws the classes of the 1 to 3 objects of a scene; a class may occur several times."""
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
    """Returns dict relation -> weight of the first thing to the second when they stand together."""
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
    """Draws a pair of objects with a relation.

    Returns: (i, relation, j) with indices into `names`, or None if all stand beside each other.
    """
    options = {(None,): 1.0}
    for i, j in itertools.permutations(range(len(names)), 2):
        if names.count(names[i]) == names.count(names[j]) == 1:
            options.update({(i, relation, j): weight for relation, weight in ties(names[i], names[j]).items()})
    choice = pick(rng, options)
    return choice if len(choice) == 3 else None


def _sizes(rng, names):
    """Draws (size word, height, width) of each object, before they are fitted into the picture."""
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
    """Draws the position of the upper thing relative to the lower: (x of its centre, height of its foot, its scale)."""
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
    """Returns (groups of objects that stand at one position, the lower one first; the objects in the air)."""
    tied = {tie[0], tie[2]} if tie else set()
    units = [[tie[2], tie[0]]] if tie else []
    airborne = []
    for index, name in enumerate(names):
        if index not in tied:
            (airborne.append(index) if "air" in BY_NAME[name].traits else units.append([index]))
    return units, airborne


def _stand(rng, place, names, sizes, tie):
    """Positions all objects; returns (list of (left, foot, width, height), units from left to right, airborne)."""
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
    """Positions the airborne objects side by side in the upper part of the picture."""
    slots = rng.permutation(len(airborne))
    for slot, index in zip(slots, airborne, strict=True):
        limit = 0.92 / len(airborne)
        scale = min(1.0, 0.46 / sizes[index][1], limit / sizes[index][2])
        width, height = sizes[index][2] * scale, sizes[index][1] * scale
        left = 0.04 + slot * limit + rng.random() * (limit - width)
        boxes[index] = (left, rng.uniform(0.04, max(0.05, 0.46 - height)) + height, width, height)


def _relations(boxes, units, airborne, tie):
    """Returns all true relations between two objects: list of (i, relation, j)."""
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
    """Draws one scene.

    Args:
      rng: numpy Generator; the scene depends only on its state.
      seed: the world's seed, which determines where pairs of classes may occur.
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
    """Returns object indices from the farthest to the nearest."""
    order = list(airborne)
    for unit in sorted(units, key=lambda unit: items[unit[0]].foot):
        # A rider is partly hidden by the horse.
        order += unit[::-1] if tie and len(unit) == 2 and tie[1] == "riding" else unit
    return order


def make_single(rng, name):
    """Draws a scene with one object of any colour, size and place, for training the compact encoder."""
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
