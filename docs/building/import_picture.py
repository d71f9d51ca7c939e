"""Draws the packages of the program and the imports between them: docs/images/floors.svg.

    python -m docs.building.import_picture

Boxes are the packages and the modules of the root folder. They are on floors, which tests/test_import_floors.py
defines: a package imports only from its own floor and those below. An arrow goes from a package to each package that it
imports. Arrows that are implied by others are left out: if A imports B and B imports C, there is no arrow from A to C.
"""

import collections
import pathlib

from tests.test_import_floors import FLOORS, ROOT, read_imports

PICTURE = ROOT / "docs" / "images" / "floors.svg"
WIDTH, FLOOR, BOX, GAP, LEFT = 1060, 76, 32, 22, 20  # pixels
COLOURS = ("#e8eaf6", "#ffffff")  # of the floors, alternating


def package_imports(imports):
    """Returns the imports between packages: dict package -> set of the other packages that it imports.

    Args: imports: dict module name -> set of the module names that it imports, from `read_imports`.
    """
    packages = collections.defaultdict(set)
    for module, targets in imports.items():
        package = module.partition(".")[0]
        packages[package] |= {target.partition(".")[0] for target in targets} - {package}
    return packages


def reduced(packages):
    """Returns the imports that others do not imply (transitive reduction): dict package -> set of packages.

    Args: packages: result of `package_imports`.
    """
    reach = {}

    def reachable(package):
        if package not in reach:
            reach[package] = set().union(*({target} | reachable(target) for target in packages[package]), set())
        return reach[package]

    return {
        package: {target for target in targets if not any(target in reachable(other) for other in targets - {target})}
        for package, targets in packages.items()
    }


def places(packages):
    """Returns dict package -> (x, y, width) of its box in pixels; the lowest floor is at the bottom.

    Args: packages: names of the packages to draw; others on the floors are left out.
    """
    found = {}
    for number, floor in enumerate(FLOORS):
        names = [name for name in floor if name in packages]
        widths = [9 * len(name) + 24 for name in names]
        space = (WIDTH - 2 * LEFT - sum(widths)) / (len(names) + 1)
        x, y = LEFT + space, (len(FLOORS) - 1 - number) * FLOOR + (FLOOR - BOX) / 2
        for name, width in zip(names, widths, strict=True):
            found[name] = (x, y, width)
            x += width + space
    return found


def arrow(start, end):
    """Returns the SVG text of an arrow between two boxes: down to a lower floor, or above the boxes of the same floor.

    Args: start, end: (x, y, width) of the boxes.
    """
    (x1, y1, w1), (x2, y2, w2) = start, end
    a, b, bend = x1 + w1 / 2, x2 + w2 / 2, max(GAP, (y2 - y1 - BOX) / 2)
    top, bottom = y1 + BOX, y2
    if y1 == y2:
        top, over = y1, y1 - GAP
        curve = f"M {a:.0f} {top:.0f} C {a:.0f} {over:.0f} {b:.0f} {over:.0f} {b:.0f} {bottom:.0f}"
        return f'<path d="{curve}" marker-end="url(#tip)"/>'
    curve = f"M {a:.0f} {top:.0f} C {a:.0f} {top + bend:.0f} {b:.0f} {bottom - bend:.0f} {b:.0f} {bottom:.0f}"
    return f'<path d="{curve}" marker-end="url(#tip)"/>'


def picture(imports):
    """Returns the picture of the packages and the imports between them as the text (str) of an SVG file.

    Args: imports: dict module name -> set of the module names that it imports, from `read_imports`.
    """
    packages = package_imports(imports)
    boxes = places(packages)
    height = FLOOR * len(FLOORS)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="monospace" font-size="15">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M 0 0 L 8 4 L 0 8 z" fill="#3949ab"/></marker></defs>',
    ]
    for row in range(len(FLOORS)):
        fill = COLOURS[row % 2]
        lines.append(f'<rect x="0" y="{row * FLOOR}" width="{WIDTH}" height="{FLOOR}" fill="{fill}"/>')
    lines.append('<g fill="none" stroke="#3949ab" stroke-opacity="0.55" stroke-width="1.3">')
    for package, targets in sorted(reduced(packages).items()):
        lines += [arrow(boxes[package], boxes[target]) for target in sorted(targets)]
    lines.append("</g>")
    for name, (x, y, width) in sorted(boxes.items()):
        lines += [
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{width}" height="{BOX}" rx="5" fill="#fff" stroke="#3949ab"/>',
            f'<text x="{x + width / 2:.0f}" y="{y + BOX / 2 + 5:.0f}" text-anchor="middle" fill="#1a237e">'
            f"{name}</text>",
        ]
    return "\n".join([*lines, "</svg>", ""])


def main():
    """Reads the imports of all modules and writes the picture to docs/images/floors.svg."""
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(read_imports()))
    print(f"{pathlib.Path(PICTURE).relative_to(ROOT)} written")


if __name__ == "__main__":
    main()
