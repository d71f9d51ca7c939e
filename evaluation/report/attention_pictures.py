"""Where a network looked while it said a caption: one panel a word, drawn over the photograph.

Shapes: T words, C cells of a square grid.
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
    """The weights of a square grid as a smooth map of the photograph.

    Args: weights_C: float [C], row by row. width, height: pixels.

    Returns: float32 [height, width] in 0 to 1, 1 where the network looked most; cells are joined by bicubic curves.
    """
    side = grid_side(len(weights_C))
    grid = np.asarray(weights_C, np.float32).reshape(side, side)
    grid = grid / max(float(grid.max()), 1e-12)
    # A border as wide as a cell, so that the curves do not bend outwards at the edge.
    padded = Image.fromarray(np.pad(grid, 1, mode="edge"))
    cell_x, cell_y = width / side, height / side
    box = (round(cell_x), round(cell_y), round(cell_x) + width, round(cell_y) + height)
    large = padded.resize((round(cell_x * (side + 2)), round(cell_y * (side + 2))), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(large.crop(box)), 0.0, 1.0)


def grid_side(cells):
    """Cells a side. Raises: cli.UserError for a grid that is not square."""
    side = math.isqrt(cells)
    if side * side != cells:
        raise cli.UserError(f"{cells} cells are no square grid: they cannot be laid over a photograph")
    return side


def figure(image_HWC, words, weights_TC):
    """A matplotlib figure: the photograph, then for each word the photograph where the network looked at it.

    Args: image_HWC: uint8. words: T texts. weights_TC: float, rows sum to 1.
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
    """Writes the figure to a PNG file, whole or not at all; see `figure`."""
    save_figure(path, figure(image_HWC, words, weights_TC))


def save_figure(path, drawing):
    """Writes a matplotlib figure to a PNG file, whole or not at all."""
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png", dpi=110)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    write_whole(str(path), buffer.getvalue())


def covered_cells(cells, box):
    """How much of each cell a box (ymin, xmin, ymax, xmax in 0 to 1) covers: float [C], 0 to 1."""
    side = grid_side(cells)
    return np.outer(_covered(box[0], box[2], side), _covered(box[1], box[3], side)).reshape(-1)


def middle_cells(cells, box):
    """1 for each cell whose middle lies in a box, else 0: float [C]."""
    side = grid_side(cells)
    middles = (np.arange(side) + 0.5) / side
    rows, columns = ((low <= middles) & (middles <= high) for low, high in ((box[0], box[2]), (box[1], box[3])))
    return np.outer(rows, columns).astype(np.float64).reshape(-1)


def _covered(low, high, side):
    """How much of each of `side` equal parts of 0 to 1 lies between low and high: float [side], 0 to 1."""
    edges = np.arange(side + 1) / side
    return np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None) * side
