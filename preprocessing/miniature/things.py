"""The object classes ("things") of the miniature world: their places, words and drawings."""

import dataclasses
import math

from preprocessing.miniature.drawings import DRAWINGS

COLOURS = {
    "red": (205, 48, 44),
    "blue": (52, 98, 196),
    "green": (58, 142, 66),
    "yellow": (240, 202, 56),
    "orange": (236, 132, 38),
    "purple": (130, 70, 168),
    "pink": (240, 140, 176),
    "brown": (132, 86, 48),
    "black": (42, 42, 46),
    "white": (246, 246, 242),
    "gray": (140, 144, 150),
    # Only for parts of drawings; never named in a sentence.
    "skin": (232, 186, 150),
    "glass": (186, 220, 240),
    "steel": (92, 98, 108),
    "wood": (112, 74, 44),
    "leaf": (50, 122, 58),
    "shade": (70, 74, 70),
}
NAMED_COLOURS = tuple(COLOURS)[:11]


@dataclasses.dataclass(frozen=True)
class Thing:
    """One class of objects.

    Attributes:
      name: singular English noun.
      aspect: width / height of the box of its drawing.
      height: usual height as a share of the picture's height.
      colours: tuple of colour names, the most probable first.
      places: dict place -> weight; objects of this class occur only in these places.
      verbs: tuple of participles that are true of the drawing.
      traits: frozenset of "air" (is in the air), "water" (is on the water), "small", "large", "support" (objects can be
        on it), "shelter" (objects can be under it), "rider" (can ride) and "mount" (can be ridden).
      alike: tuple of the classes with which the detector confuses it.
      drawing: tuple of (colour name, shape, tuple of numbers), the shapes in painting order (drawings.py).
    """

    name: str
    aspect: float
    height: float
    colours: tuple
    places: dict
    verbs: tuple
    traits: frozenset
    alike: tuple
    drawing: tuple


def _drawing(text):
    """Parses the text of a drawing (see drawings.py); returns a tuple of (colour name, shape, tuple of float)."""
    lines = (line.split() for line in text.strip().splitlines())
    return tuple((colour, shape, tuple(float(number) for number in numbers)) for colour, shape, *numbers in lines)


def _thing(name, aspect, height, colours, places, verbs, traits, alike):
    """Returns a Thing, with the drawing of its name.

    Args: name, aspect, height: fields of Thing. colours, places, verbs, traits, alike: texts of words between blanks; a
      place may have a weight, else 1: "grass:4 beach".
    """
    weights = {place: float(weight or 1) for place, _, weight in (word.partition(":") for word in places.split())}
    words = (tuple(colours.split()), weights, tuple(verbs.split()), frozenset(traits.split()), tuple(alike.split()))
    return Thing(name, aspect, height, *words, _drawing(DRAWINGS[name]))


# The most frequent thing first: frequencies decrease along this list (see scenes.frequency).
# fmt: off
THINGS = (
    _thing("dog", 1.2, 0.31, "brown black white", "grass:4 beach:2 street:2 snow room lake",
           "standing waiting playing", "small", "cat sheep horse"),
    _thing("tree", 0.8, 0.60, "green", "grass:4 street:2 lake:2 snow:2 night desert:0.3",
           "standing growing", "large shelter", "umbrella flower"),
    _thing("man", 0.42, 0.46, "blue red green black", "street:3 beach:2 grass:2 snow:2 room lake",
           "standing waiting walking", "rider", "woman snowman"),
    _thing("car", 1.9, 0.25, "red blue yellow white black", "street:6 desert beach night grass:0.5 snow",
           "parked driving", "large support", "bus train"),
    _thing("house", 1.05, 0.50, "white yellow red brown", "grass:3 snow:3 street:2 night:2 lake:1 beach:0.5",
           "standing", "large support", "tent"),
    _thing("bird", 1.3, 0.20, "blue red yellow black white", "grass:2 beach:2 lake:2 street:1 snow desert",
           "flying", "air small", "duck airplane kite"),
    _thing("cat", 1.0, 0.28, "orange black gray white", "room:4 grass:2 street:2 snow:0.5 night",
           "sitting resting", "small", "dog duck"),
    _thing("boat", 1.3, 0.40, "white red blue brown", "lake:5 beach:3",
           "sailing floating", "water large", "kite tent"),
    _thing("ball", 1.0, 0.19, "red yellow blue orange", "grass:3 beach:3 room:2 street",
           "lying resting", "small", "balloon clock"),
    _thing("flower", 0.62, 0.32, "red yellow pink purple", "grass:5 room:1 lake desert:0.5",
           "growing blooming", "small", "mushroom tree kite"),
    _thing("woman", 0.46, 0.45, "red pink purple green", "street:2 beach:2 grass:2 room:2 lake snow",
           "standing waiting walking", "rider", "man"),
    _thing("table", 1.6, 0.30, "brown white black", "room:6 grass beach:0.5 street",
           "standing", "support", "chair"),
    _thing("horse", 1.25, 0.43, "brown black white", "grass:4 desert:2 beach snow street:0.5",
           "standing grazing", "large mount", "dog sheep"),
    _thing("kite", 0.8, 0.34, "red yellow purple green orange", "beach:4 grass:3 snow:0.5",
           "flying", "air", "balloon umbrella bird"),
    _thing("chair", 0.72, 0.36, "brown red white blue", "room:6 beach:2 grass",
           "standing", "support", "table"),
    _thing("cup", 1.1, 0.19, "white blue red", "room:7 street:0.5 beach:0.5",
           "standing", "small", "lamp ball"),
    _thing("bicycle", 1.5, 0.32, "red blue black green", "street:4 grass:2 beach",
           "parked standing", "mount", "horse car"),
    _thing("umbrella", 1.1, 0.42, "red yellow blue purple", "beach:5 street:2 grass",
           "standing opened", "shelter", "mushroom kite tent"),
    _thing("bus", 2.0, 0.32, "yellow red green blue", "street:7 desert night snow",
           "parked driving", "large support", "train car"),
    _thing("balloon", 0.72, 0.34, "red yellow blue pink", "grass:2 night:2 beach room snow:0.5",
           "floating flying", "air", "ball kite"),
    _thing("sheep", 1.25, 0.29, "white black gray", "grass:6 snow desert:0.5",
           "standing grazing", "", "dog horse"),
    _thing("airplane", 1.9, 0.22, "white red blue gray", "street desert:2 beach:2 grass night:2 lake",
           "flying", "air", "bird boat"),
    _thing("train", 2.3, 0.30, "green red black blue", "desert:2 snow:2 street night:2 grass",
           "passing standing", "large", "bus car"),
    _thing("lamp", 0.6, 0.34, "yellow white red", "room:5 street:2 night",
           "standing shining", "small", "umbrella mushroom cup"),
    _thing("tent", 1.4, 0.34, "orange green blue red", "grass:3 desert:3 snow:2 night:2 lake beach:0.5",
           "standing pitched", "large", "house umbrella"),
    _thing("duck", 1.2, 0.23, "yellow white brown", "lake:6 grass beach:0.5",
           "floating swimming", "water small", "bird cat"),
    _thing("mushroom", 0.9, 0.25, "red brown orange", "grass:6 lake",
           "growing", "small", "umbrella lamp"),
    _thing("clock", 0.85, 0.25, "white yellow black blue", "room:6 street",
           "standing ticking", "small", "ball cup"),
    _thing("guitar", 0.42, 0.40, "brown red black orange", "room:5 beach grass:0.5 street:0.5",
           "standing resting", "small", "clock chair"),
    _thing("snowman", 0.62, 0.43, "white", "snow:9 street:0.3 night",
           "standing smiling", "", "sheep man"),
)
# fmt: on
BY_NAME = {thing.name: thing for thing in THINGS}
NAMES = tuple(BY_NAME)


# --------------------------------------------------------------------------------------------------------------
# Painting

_CIRCLE = [(math.cos(2 * math.pi * i / 28), math.sin(2 * math.pi * i / 28)) for i in range(28)]


def mix(colour, other, share):
    """Returns `colour` mixed with a share (0 to 1) of the colour `other`; colours are (r, g, b) in 0 to 255."""
    return tuple(round((1 - share) * a + share * b) for a, b in zip(colour, other, strict=True))


def paint(draw, thing, colour, corner, size, flip=False, tilt=0.0):
    """Draws one object into a picture.

    Args:
      draw: PIL.ImageDraw of the picture, which is changed.
      thing: Thing.
      colour: (r, g, b) of the main parts.
      corner: (left, top) of its box in pixels.
      size: (width, height) of its box in pixels.
      flip: whether to mirror it left to right.
      tilt: rotation about the centre of the box, in radians, clockwise.
    """
    palette = {"main": colour, "dark": mix(colour, (0, 0, 0), 0.28), "light": mix(colour, (255, 255, 255), 0.35)}
    sine, cosine = math.sin(tilt), math.cos(tilt)

    def on_canvas(point):
        across = ((1 - point[0] if flip else point[0]) - 0.5) * size[0]
        down = (point[1] - 0.5) * size[1]
        x = corner[0] + 0.5 * size[0] + cosine * across - sine * down
        return x, corner[1] + 0.5 * size[1] + sine * across + cosine * down

    for name, shape, numbers in thing.drawing:
        fill = palette.get(name) or COLOURS[name]
        if shape == "line":
            points = zip(numbers[1::2], numbers[2::2], strict=True)
            width = max(1, round(numbers[0] * size[0]))
            draw.line([on_canvas(point) for point in points], fill, width, joint="curve")
        else:
            draw.polygon([on_canvas(point) for point in _outline(shape, numbers)], fill)


def _outline(shape, numbers):
    """Returns the corners of a closed shape in the unit box: list of (x, y).

    Args: shape: "poly", "rect" or "ellipse". numbers: its coordinates in the unit box, x and y in turn.
    """
    if shape == "poly":
        return list(zip(numbers[::2], numbers[1::2], strict=True))
    x0, y0, x1, y1 = numbers
    if shape == "rect":
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    centre_x, centre_y, radius_x, radius_y = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2
    return [(centre_x + radius_x * x, centre_y + radius_y * y) for x, y in _CIRCLE]
