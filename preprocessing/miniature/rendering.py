"""Draws the pictures of the miniature world: background, objects, a little noise; converts them to JPEG.

The background of each place is drawn by a function of (canvas, rng, sky), which returns the colour of the ground. Here
and below, canvas is a _Canvas, rng a numpy Generator, sky a key of SKY_COLOURS, and a colour (r, g, b) in 0 to 255.
"""

import io

import numpy as np
from PIL import Image, ImageDraw

from preprocessing.miniature.scenes import WATER
from preprocessing.miniature.things import BY_NAME, COLOURS, mix, paint

OVERSAMPLE = 3  # pictures are painted larger and reduced, which makes smooth edges
JPEG_QUALITY = 90
SKY_COLOURS = {
    "clear": ((92, 158, 226), (196, 224, 244)),
    "sunny": ((110, 180, 240), (226, 240, 248)),
    "cloudy": ((150, 164, 178), (208, 216, 222)),
    "sunset": ((236, 118, 84), (252, 214, 142)),
}
WALLS = ((226, 206, 176), (190, 212, 204), (214, 196, 214), (232, 222, 196))


def _shift(rng, colour, spread=10):
    """Returns a random colour near `colour`. Args: spread: standard deviation of each channel, of 0 to 255."""
    return tuple(int(value) for value in np.clip(np.asarray(colour) + rng.normal(0, spread, 3), 0, 255))


class _Canvas:
    """A square drawing surface. Coordinates are shares of its side, x to the right and y down; fill is a colour.

    Args: side: in pixels.
    """

    def __init__(self, side):
        self.side = side
        self.image = Image.new("RGB", (side, side))
        self.draw = ImageDraw.Draw(self.image)

    def _scaled(self, points):
        """Returns a list of points in pixels. Args: points: sequence of (x, y)."""
        return [(x * self.side, y * self.side) for x, y in points]

    def rect(self, x0, y0, x1, y1, fill):
        """Draws a filled rectangle with the corners (x0, y0) and (x1, y1)."""
        self.draw.rectangle(self._scaled([(x0, y0), (x1, y1)]), fill)

    def ellipse(self, x0, y0, x1, y1, fill):
        """Draws a filled ellipse in the box with the corners (x0, y0) and (x1, y1)."""
        self.draw.ellipse(self._scaled([(x0, y0), (x1, y1)]), fill)

    def poly(self, points, fill):
        """Draws a filled polygon. Args: points: sequence of (x, y)."""
        self.draw.polygon(self._scaled(points), fill)

    def line(self, points, fill, width):
        """Draws a line through points. Args: points: sequence of (x, y). width: share of the side."""
        self.draw.line(self._scaled(points), fill, max(1, round(width * self.side)))

    def fade(self, y0, y1, top, bottom):
        """Draws a vertical gradient from the colour `top` at height y0 to the colour `bottom` at height y1."""
        first, last = round(y0 * self.side), round(y1 * self.side)
        share = np.linspace(0, 1, max(1, last - first))[:, None, None]
        rows = np.asarray(top) * (1 - share) + np.asarray(bottom) * share
        strip = np.broadcast_to(rows, (len(rows), self.side, 3)).astype(np.uint8)
        self.image.paste(Image.fromarray(strip), (0, first))


# --------------------------------------------------------------------------------------------------------------
# Places


def _sky(canvas, rng, sky, horizon):
    """Draws the sky down to the height `horizon`, with sun and clouds."""
    top, bottom = SKY_COLOURS[sky]
    canvas.fade(0, horizon, _shift(rng, top), bottom)
    if sky in ("sunny", "sunset"):
        x, y, radius = rng.uniform(0.1, 0.9), (0.13 if sky == "sunny" else horizon - 0.02), 0.07
        canvas.ellipse(x - 1.4 * radius, y - 1.4 * radius, x + 1.4 * radius, y + 1.4 * radius, (255, 240, 190))
        canvas.ellipse(x - radius, y - radius, x + radius, y + radius, (255, 226, 92))
    for _ in range({"clear": 1, "cloudy": 5}.get(sky, 0)):
        x, y = rng.uniform(0, 0.9), rng.uniform(0.04, 0.3)
        for across, width in ((0, 0.14), (0.07, 0.16), (0.15, 0.12)):
            canvas.ellipse(x + across, y, x + across + width, y + 0.07, (236, 239, 243))


def _hills(canvas, rng, horizon, colour, height):
    """Draws three hills on the horizon.

    Args: horizon: height of their foot. colour: colour of all three. height: largest possible height of a hill.
    """
    for _ in range(3):
        x, width = rng.uniform(-0.3, 0.9), rng.uniform(0.4, 0.8)
        rise = rng.uniform(0.4, 1) * height
        canvas.ellipse(x, horizon - rise, x + width, horizon + rise, _shift(rng, colour, 6))


def _grass(canvas, rng, sky):
    _sky(canvas, rng, sky, 0.6)
    _hills(canvas, rng, 0.6, (98, 158, 88), 0.14)
    ground = _shift(rng, (112, 178, 74))
    canvas.fade(0.6, 1, mix(ground, (255, 255, 255), 0.15), mix(ground, (0, 0, 0), 0.1))
    for _ in range(26):
        x, y = rng.random(), rng.uniform(0.64, 0.99)
        canvas.line([(x, y), (x + rng.uniform(-0.01, 0.01), y - 0.025)], mix(ground, (0, 60, 0), 0.35), 0.006)
    return ground


def _beach(canvas, rng, sky):
    _sky(canvas, rng, sky, 0.5)
    sea = _shift(rng, (40, 128, 176))
    canvas.fade(0.5, 0.73, sea, mix(sea, (255, 255, 255), 0.35))
    for _ in range(7):
        x, y = rng.uniform(-0.1, 0.9), rng.uniform(0.52, 0.67)
        canvas.line([(x, y), (x + rng.uniform(0.06, 0.2), y)], (222, 238, 244), 0.006)
    sand = _shift(rng, (232, 208, 150), 6)
    canvas.poly([(0, 0.69), (0.3, 0.71), (0.7, 0.68), (1, 0.70), (1, 1), (0, 1)], sand)
    return sand


def _snow(canvas, rng, sky):
    _sky(canvas, rng, sky, 0.6)
    canvas.poly([(0.05, 0.6), (0.3, 0.3), (0.5, 0.6)], (150, 166, 190))
    canvas.poly([(0.22, 0.4), (0.3, 0.3), (0.365, 0.4), (0.3, 0.38)], (250, 252, 255))
    canvas.poly([(0.4, 0.6), (0.7, 0.36), (1, 0.6)], (166, 182, 204))
    _hills(canvas, rng, 0.6, (226, 234, 244), 0.08)
    canvas.fade(0.6, 1, (232, 240, 250), (214, 226, 242))
    for _ in range(30):
        x, y, radius = rng.random(), rng.random(), rng.uniform(0.004, 0.009)
        canvas.ellipse(x - radius, y - radius, x + radius, y + radius, (255, 255, 255))
    return (214, 226, 242)


def _street(canvas, rng, sky):
    _sky(canvas, rng, sky, 0.66)
    x = -0.05
    while x < 1:
        width, height = rng.uniform(0.12, 0.22), rng.uniform(0.2, 0.44)
        wall = _shift(rng, (176, 168, 164), 14)
        canvas.rect(x, 0.66 - height, x + width, 0.66, wall)
        for row in np.arange(0.66 - height + 0.03, 0.62, 0.07):
            for column in np.arange(x + 0.025, x + width - 0.03, 0.05):
                canvas.rect(column, row, column + 0.025, row + 0.035, mix(wall, (40, 50, 80), 0.4))
        x += width
    canvas.rect(0, 0.66, 1, 0.73, (190, 186, 180))
    road = _shift(rng, (104, 106, 112), 5)
    canvas.rect(0, 0.73, 1, 1, road)
    for start in np.arange(-0.05, 1, 0.24):
        canvas.rect(start, 0.94, start + 0.13, 0.96, (238, 232, 214))
    return road


def _room(canvas, rng, _):
    wall = _shift(rng, WALLS[int(rng.integers(len(WALLS)))], 6)
    canvas.fade(0, 0.68, wall, mix(wall, (255, 255, 255), 0.2))
    if rng.random() < 0.6:
        x = rng.choice([0.06, 0.66])
        canvas.rect(x, 0.10, x + 0.28, 0.42, (250, 248, 242))
        canvas.rect(x + 0.02, 0.12, x + 0.13, 0.40, (176, 214, 240))
        canvas.rect(x + 0.15, 0.12, x + 0.26, 0.40, (176, 214, 240))
    floor = _shift(rng, (178, 132, 88), 8)
    canvas.rect(0, 0.68, 1, 1, floor)
    canvas.rect(0, 0.665, 1, 0.69, (244, 240, 232))
    for y in (0.75, 0.83, 0.92):
        canvas.line([(0, y), (1, y)], mix(floor, (0, 0, 0), 0.18), 0.005)
    return floor


def _lake(canvas, rng, sky):
    _sky(canvas, rng, sky, 0.48)
    _hills(canvas, rng, 0.48, (84, 140, 100), 0.16)
    water = _shift(rng, (66, 142, 186))
    canvas.fade(0.48, 0.87, mix(water, (255, 255, 255), 0.3), water)
    for _ in range(12):
        x, y = rng.uniform(-0.1, 0.9), rng.uniform(0.52, 0.8)
        canvas.line([(x, y), (x + rng.uniform(0.06, 0.16), y)], mix(water, (255, 255, 255), 0.45), 0.006)
    shore = _shift(rng, (120, 172, 84), 6)
    canvas.poly([(0, 0.84), (0.4, 0.81), (1, 0.85), (1, 1), (0, 1)], shore)
    return shore


def _desert(canvas, rng, sky):
    _sky(canvas, rng, sky, 0.58)
    sand = _shift(rng, (222, 168, 98), 7)
    canvas.poly([(0.1, 0.58), (0.2, 0.42), (0.42, 0.42), (0.5, 0.58)], mix(sand, (120, 50, 30), 0.5))
    canvas.fade(0.58, 1, mix(sand, (255, 255, 255), 0.12), sand)
    for _ in range(3):
        x, y, width = rng.uniform(-0.3, 0.7), rng.uniform(0.6, 0.85), rng.uniform(0.5, 0.9)
        canvas.ellipse(x, y, x + width, y + 0.09, mix(sand, (140, 80, 30), 0.16))
        canvas.ellipse(x - 0.02, y + 0.012, x + width + 0.02, y + 0.11, sand)
    return sand


def _night(canvas, rng, _):
    canvas.fade(0, 0.66, (14, 20, 58), (46, 58, 112))
    for _ in range(34):
        x, y, radius = rng.random(), rng.uniform(0, 0.6), rng.uniform(0.003, 0.008)
        canvas.ellipse(x - radius, y - radius, x + radius, y + radius, (250, 246, 214))
    x = rng.uniform(0.08, 0.86)
    canvas.ellipse(x, 0.06, x + 0.13, 0.19, (246, 238, 196))
    canvas.ellipse(x + 0.045, 0.045, x + 0.16, 0.165, (22, 29, 70))
    _hills(canvas, rng, 0.66, (30, 50, 66), 0.12)
    canvas.fade(0.66, 1, (38, 62, 66), (28, 46, 52))
    return (28, 46, 52)


_PLACES = {
    "grass": _grass,
    "beach": _beach,
    "snow": _snow,
    "street": _street,
    "room": _room,
    "lake": _lake,
    "desert": _desert,
    "night": _night,
}


# --------------------------------------------------------------------------------------------------------------
# The whole picture


def _foot(canvas, scene, item, ground):
    """Draws a shadow under an object on land, a ripple under one on water; nothing in the air or on other objects.

    Args: scene: scenes.Scene. item: scenes.Item of it. ground: colour of the ground.
    """
    traits = BY_NAME[item.name].traits
    if "air" in traits or any(
        i < len(scene.items) and scene.items[i] is item
        for i, kind, _ in scene.relations
        if kind in ("on", "riding", "in")
    ):
        return
    swims = "water" in traits and scene.place in WATER
    colour = (206, 228, 240) if swims else mix(ground, (20, 24, 30), 0.28)
    inset, depth = 0.06 * item.width, 0.018 + 0.03 * item.height
    x0, x1 = item.left + inset, item.left + item.width - inset
    canvas.ellipse(x0, item.foot - depth, x1, item.foot + 0.6 * depth, colour)


def render(rng, scene, side, oversample=OVERSAMPLE):
    """Draws the picture of a scene; returns uint8 [side, side, 3].

    Args:
      rng: numpy Generator for the details that no sentence mentions.
      scene: scenes.Scene.
      side: width and height in pixels.
      oversample: int, factor by which the picture is drawn larger and then reduced.
    """
    canvas = _Canvas(oversample * side)
    ground = _PLACES[scene.place](canvas, rng, scene.sky)
    for item in scene.items:
        colour = _shift(rng, COLOURS[item.colour], 8)
        if scene.place == "night":
            colour = mix(colour, (20, 28, 70), 0.15)
        _foot(canvas, scene, item, ground)
        corner = (item.left * canvas.side, (item.foot - item.height) * canvas.side)
        size = (item.width * canvas.side, item.height * canvas.side)
        paint(canvas.draw, BY_NAME[item.name], colour, corner, size, item.flip, item.tilt)
    pixels = np.asarray(canvas.image.reduce(oversample), np.float32)
    noisy = pixels * rng.uniform(0.93, 1.04) + rng.normal(0, 3.0, pixels.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def jpeg(pixels):
    """Returns the JPEG bytes of a picture uint8 [H, W, 3]."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
