"""Networks of the zoo and of TensorFlow Hub, made on the spot with the real signatures; the authors' HDF5 file."""

import http.server
import json
import shutil
import sys
import tarfile
import threading

import h5py
import numpy as np
import pytest

import cli
from formats import images, records
from preprocessing import detect_objects
from preprocessing.detection import detectors
from tests.preprocessing.detection import detection_networks
from tests.preprocessing.picture_files import write_pictures

LABELS = "item { id: 1 display_name: 'Person' } item { id: 3 display_name: 'Wine glass' }"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    detection_networks.open_images(folder / "open_images")
    detection_networks.zoo_saved_model(folder / "zoo")
    detection_networks.tf1_saved_model(folder / "tf1")
    detection_networks.frozen_graph(folder / "frozen.pb")
    (folder / "map.pbtxt").write_text(LABELS)
    (folder / "names.txt").write_text("Person\nTree\nWine glass\n")
    return folder


def red(share, height=6, width=9):
    return np.full((height, width, 3), [round(255 * share), 0, 0], np.uint8)


def load(spec, labels=None):
    return detectors.load(detectors.parse(spec, labels and str(labels)), 0.1, 3)


def check_open_images(found, source):
    assert [(item.class_id, item.class_name) for item in found] == [(69, "Person"), (7, "Wine glass"), (3, "Tree")]
    np.testing.assert_allclose([item.score for item in found], [0.8, 0.5, 0.25], atol=1e-6)
    np.testing.assert_allclose(found[0].box, [0, 0, 0.8, 1], atol=1e-6)  # 1.2 is cut at the border
    assert {item.source for item in found} == {source}


def test_open_images_saved_model(folder):
    detector = load(f"saved_model:{folder}/open_images")
    check_open_images(detector.detect("a.jpg", red(0.8)), "saved_model:open_images")
    names = [item.class_name for item in detector.detect("a.jpg", red(0.4))]
    assert names == ["Wine glass", "Person", "Tree"]  # by falling score


@pytest.mark.parametrize("labels", ["map.pbtxt", "names.txt"])
@pytest.mark.parametrize("spec", ["saved_model:{}/zoo", "saved_model:{}/tf1", "frozen:{}/frozen.pb"])
def test_networks_of_the_zoo(folder, spec, labels):
    detector = load(spec.format(folder), folder / labels)
    for share, size in ((0.8, (6, 9)), (0.6, (11, 4))):  # photographs are taken at their own size
        found = detector.detect("a.jpg", red(share, *size))
        assert [(item.class_id, item.class_name) for item in found] == [(1, "Person"), (3, "Wine glass")]
        np.testing.assert_allclose([item.score for item in found], [share, 0.5], atol=1e-6)
        assert found[1].box == (0.25, 0.25, 0.75, 0.75)


def test_labels_that_do_not_fit(folder, tmp_path):
    (tmp_path / "few.txt").write_text("Person\nTree\n")
    with pytest.raises(cli.UserError, match=r"class 3 was found in a\.jpg, but there are only 3 labels"):
        load(f"frozen:{folder}/frozen.pb", tmp_path / "few.txt").detect("a.jpg", red(0.5))
    with pytest.raises(cli.UserError, match="zoo: give its class names by --labels"):
        load(f"saved_model:{folder}/zoo")


def test_frozen_graph_without_an_output(tmp_path):
    detection_networks.frozen_graph(tmp_path / "other.pb", leave_out=("detection_scores", "num_detections"))
    (tmp_path / "names.txt").write_text("a\n")
    with pytest.raises(cli.UserError, match="no detection_scores, num_detections; expected a frozen_inference"):
        load(f"frozen:{tmp_path}/other.pb", tmp_path / "names.txt")
    (tmp_path / "text.pb").write_text("this is no graph")
    with pytest.raises(cli.UserError, match=r"text\.pb: not a readable frozen graph"):
        load(f"frozen:{tmp_path}/text.pb", tmp_path / "names.txt")


def test_saved_models_of_another_kind(folder, tmp_path):
    with pytest.raises(cli.UserError, match=r"takes \['x'\] and gives \['y'\]; expected one picture"):
        load(f"saved_model:{detection_networks.no_detector(tmp_path / 'other')}")
    shutil.copytree(folder / "zoo", tmp_path / "cut")
    graph = (tmp_path / "cut/saved_model.pb").read_bytes()
    (tmp_path / "cut/saved_model.pb").write_bytes(graph[: len(graph) // 2])
    with pytest.raises(cli.UserError, match="cut: not a folder with a SavedModel"):
        load(f"saved_model:{tmp_path}/cut", folder / "names.txt")
    with pytest.raises(cli.UserError, match=r"not a folder with a saved_model\.pb"):
        detectors.parse(f"saved_model:{tmp_path}")


def test_changed_folders_are_other_networks(folder, tmp_path):
    shutil.copytree(folder / "zoo", tmp_path / "zoo")
    (before,) = detectors.parse(f"saved_model:{folder}/zoo")
    (same,) = detectors.parse(f"saved_model:{tmp_path}/zoo/")
    assert before.identity() == same.identity() and same.source == "saved_model:zoo"
    (tmp_path / "zoo/variables/more").touch()
    assert detectors.parse(f"saved_model:{tmp_path}/zoo")[0].identity() != before.identity()


def test_handle_of_tensorflow_hub(folder, tmp_path, monkeypatch):
    """Downloaded from a local server, in the form in which TensorFlow Hub serves models."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(folder / "open_images", arcname=".")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write((tmp_path / "model.tar.gz").read_bytes())

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handle = f"http://127.0.0.1:{server.server_port}/google/openimages/1"
    try:
        check_open_images(load(f"hub:{handle}").detect("a.jpg", red(0.8)), f"hub:{handle}")
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(cli.UserError, match="downloaded elsewhere is given as saved_model:FOLDER"):
        load(f"hub:{handle}/other")


def test_short_handles():
    (part,) = detectors.parse("hub:google/faster_rcnn/openimages_v4/inception_resnet_v2/1")
    assert part.path == "https://tfhub.dev/google/faster_rcnn/openimages_v4/inception_resnet_v2/1"
    assert part.identity()["source"] == f"hub:{part.path}" and part.sha256 is None


def test_tensorflow_hub_that_cannot_be_imported(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_hub", None)
    with pytest.raises(cli.UserError, match="tensorflow-hub cannot be imported.*setuptools<81"):
        load(f"saved_model:{folder}/open_images#labels={folder}/names.txt")


# --------------------------------------------------------------------------------------------------------------
# The authors' file of detections


def write_hdf5(path, groups):
    with h5py.File(path, "w") as file:
        for stem, (boxes, classes, scores) in groups.items():
            group = file.create_group(stem)
            group["detection_boxes"] = np.asarray(boxes, np.float32).reshape(-1, 4)
            group["detection_classes"] = np.asarray(classes, np.float32)
            group["detection_scores"] = np.asarray(scores, np.float32)
    return str(path)


def test_the_authors_detections(folder, tmp_path):
    path = write_hdf5(tmp_path / "object.hdf5", {"a": ([[0, 0, 0.5, 1]] * 2, [1, 3], [0.9, 0.4]), "b": ([], [], [])})
    detector = load(f"hdf5:{path}", folder / "map.pbtxt")
    assert not detector.needs_pixels
    found = detector.detect("a.jpg")
    assert [(item.class_id, item.class_name, item.source) for item in found] == [
        (1, "Person", "hdf5:object.hdf5"),
        (3, "Wine glass", "hdf5:object.hdf5"),
    ]
    np.testing.assert_allclose([item.score for item in found], [0.9, 0.4], atol=1e-6)
    assert detector.detect("b.jpg") == []
    with pytest.raises(images.ImageError, match=r"c\.jpg: has no group c in .*object\.hdf5"):
        detector.detect("c.jpg")


def test_broken_files_of_detections(folder, tmp_path):
    labels = folder / "map.pbtxt"
    (tmp_path / "text.hdf5").write_text("no")
    with pytest.raises(cli.UserError, match=r"text\.hdf5: not a readable HDF5 file"):
        load(f"hdf5:{tmp_path}/text.hdf5", labels)
    with pytest.raises(cli.UserError, match="holds no detections"):
        load(f"hdf5:{write_hdf5(tmp_path / 'empty.hdf5', {})}", labels)
    path = write_hdf5(
        tmp_path / "odd.hdf5", {"a": ([[0, 0, 1, 1]], [1, 3], [0.9, 0.4]), "n": ([[0] * 4], [1], [np.nan])}
    )
    with pytest.raises(cli.UserError, match="the arrays of a do not fit"):
        load(f"hdf5:{path}", labels).detect("a.jpg")
    with pytest.raises(cli.UserError, match="not a finite number"):
        load(f"hdf5:{path}", labels).detect("n.jpg")
    with h5py.File(tmp_path / "flat.hdf5", "w") as file:
        file["a"] = np.zeros(3)
    with pytest.raises(cli.UserError, match=r"a\S* cannot be read"):
        load(f"hdf5:{tmp_path}/flat.hdf5", labels).detect("a.jpg")


# --------------------------------------------------------------------------------------------------------------
# Through the stage


def test_the_stage_counts_classes_of_networks_that_name_their_own(folder, tmp_path):
    names = write_pictures(tmp_path / "photographs", 5)
    groups = {name[:-4]: ([[0, 0, 1, 1]], [3], [0.7]) for name in names}
    path = write_hdf5(tmp_path / "object.hdf5", groups)
    results = {}
    for processes in (1, 2):
        data = tmp_path / f"data{processes}"
        options = detect_objects.Options(
            data_dir=str(data),
            image_dir=str(tmp_path / "photographs"),
            detector=f"saved_model:{folder}/open_images+hdf5:{path}#labels={folder}/map.pbtxt",
            shards=2,
            processes=processes,
        )
        detect_objects.main(options)
        results[processes] = [file.read_bytes() for file in sorted(data.glob("*.tfrec"))]
    assert results[1] == results[2]
    about = json.loads((tmp_path / "data1/detections.json").read_text())
    assert [(entry["source"], entry["first_class_id"], entry["detections"]) for entry in about["detectors"]] == [
        ("saved_model:open_images", 0, {"Tree": 5, "Wine glass": 5, "Person": 5}),
        ("hdf5:object.hdf5", 1000, {"Wine glass": 5}),
    ]
    assert about["detectors"][0]["class_names"] is None
    found = dict(records.each_detections(records.find_files(options.data_dir, "detections")))
    assert {item.class_id for items in found.values() for item in items} == {3, 7, 69, 1003}
