"""Draws the attention of a captioner over the photograph, one panel for each word.

Shapes: H, W height and width of the photograph, T words, C cells of a square grid.
"""

import io
import math
import os

import numpy as np
from PIL import Image

import cli
from formats.sidecars import write_whole

COLUMNS = 5
SIDE = 240  # pixels of the photograph in a panel, longer side


def smooth_map(weights_C, width, height):
    """Interpolates the attention weights of a square grid to the size of the photograph, bicubically.

    Args: weights_C: float, the cells row by row. width, height: of the result, in pixels.

    Returns: float32 [height, width] in 0 to 1; 1 is the maximum weight.
    """
    side = grid_side(len(weights_C))
    grid = np.asarray(weights_C, np.float32).reshape(side, side)
    grid = grid / max(float(grid.max()), 1e-12)
    # A border as wide as a cell, to avoid interpolation artefacts at the edges.
    padded = Image.fromarray(np.pad(grid, 1, mode="edge"))
    cell_x, cell_y = width / side, height / side
    box = (round(cell_x), round(cell_y), round(cell_x) + width, round(cell_y) + height)
    large = padded.resize((round(cell_x * (side + 2)), round(cell_y * (side + 2))), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(large.crop(box)), 0.0, 1.0)


def grid_side(cells):
    """Returns how many cells a square grid of `cells` cells has in a row (int).

    Raises: cli.UserError if their number is not a square.
    """
    side = math.isqrt(cells)
    if side * side != cells:
        raise cli.UserError(f"{cells} cells are not a square grid, so attention cannot be drawn over a photograph")
    return side


def figure(image_HWC, words, weights_TC):
    """Returns a matplotlib Figure: the photograph, then for each word the photograph with the word's attention.

    Args: image_HWC: uint8 RGB. words: list of T strings. weights_TC: float, rows sum to 1.
    """
    from matplotlib.figure import Figure

    image = Image.fromarray(image_HWC)
    image.thumbnail((SIDE, SIDE))
    pixels = np.asarray(image)
    columns = min(COLUMNS, len(words) + 1)
    rows = math.ceil((len(words) + 1) / columns)
    drawing = Figure(figsize=(2.4 * columns, 2.4 * rows * pixels.shape[0] / pixels.shape[1] + 0.35 * rows))
    panels = drawing.subplots(rows, columns, squeeze=False).reshape(-1)
    for panel in panels:
        panel.axis("off")
    panels[0].imshow(pixels)
    for panel, word, weights_C in zip(panels[1:], words, weights_TC, strict=False):
        seen = smooth_map(weights_C, image.width, image.height)[:, :, None]
        panel.imshow((pixels * (0.25 + 0.75 * seen)).astype(np.uint8))
        panel.imshow(seen[:, :, 0], cmap="inferno", alpha=0.35 * seen[:, :, 0], vmin=0, vmax=1)
        panel.set_title(f"{word}  {weights_C.max():.2f}", fontsize=10)
    drawing.tight_layout(pad=0.4)
    return drawing


def save(path, image_HWC, words, weights_TC):
    """Draws the attention for each word over a photograph, and writes the figure to a PNG file, atomically.

    Args: path: of the PNG file. image_HWC: uint8 RGB. words: list of T strings. weights_TC: float, rows sum to 1.
    """
    save_figure(path, figure(image_HWC, words, weights_TC))


def save_figure(path, drawing):
    """Writes the matplotlib figure `drawing` to a PNG file, atomically, and creates its folder if needed."""
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png", dpi=110)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    write_whole(str(path), buffer.getvalue())


def covered_cells(cells, box):
    """Returns for each cell of a square grid which share of it a box covers: float [C], 0 to 1.

    Args: cells: C. box: (ymin, xmin, ymax, xmax) in 0 to 1.
    """
    side = grid_side(cells)
    return np.outer(_covered(box[0], box[2], side), _covered(box[1], box[3], side)).reshape(-1)


def middle_cells(cells, box):
    """Returns for each cell of a square grid 1 if its centre is in a box, else 0: float [C].

    Args: cells: C. box: (ymin, xmin, ymax, xmax) in 0 to 1.
    """
    side = grid_side(cells)
    middles = (np.arange(side) + 0.5) / side
    rows, columns = ((low <= middles) & (middles <= high) for low, high in ((box[0], box[2]), (box[1], box[3])))
    return np.outer(rows, columns).astype(np.float64).reshape(-1)


def _covered(low, high, side):
    """Divides the interval 0 to 1 into `side` equal parts; returns which share of each is between low and high.

    Returns: float [side], 0 to 1.
    """
    edges = np.arange(side + 1) / side
    return np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None) * side
