"""docs/architecture.md: its picture shows the imports as they are."""

from docs.building import import_picture
from tests.test_import_floors import read_imports


def test_arrows_that_follow_from_others_are_left_out():
    imports = {"a": {"b", "c"}, "b": {"c"}, "c": set(), "d.x": {"d.y", "c"}, "d.y": {"b"}}
    packages = import_picture.package_imports(imports)
    assert import_picture.reduced(packages) == {"a": {"b"}, "b": {"c"}, "c": set(), "d": {"b"}}


def test_the_picture_is_that_of_the_imports():
    drawn = import_picture.PICTURE.read_text()
    assert drawn == import_picture.picture(read_imports()), "run: python -m docs.building.import_picture"
