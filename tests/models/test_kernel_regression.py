"""Neighbour weights, kernel ridge regression, and the encoder `caption_embeddings:`."""

import dataclasses
import math
import os
import shutil

import numpy as np
import pytest

import cli
from models import encoders
from models.consensus.kernel_regression import (
    KernelFit,
    KnownImages,
    neighbour_weights,
    principal_directions,
    similarities,
    unit_vectors,
)
from models.encoders import registry, saved
from models.encoders.base import as_banked
from models.standardise import Standardise, standardised
from tests.models.encoders import compact_files


def test_neighbours_are_the_closest_others():
    angles = np.array([0.0, 0.1, 0.3, 2.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    of = lambda rows, k: neighbour_weights(vectors[rows], vectors, k, np.array(rows)).toarray()  # noqa: E731
    weights = of([0, 3], 2)
    assert weights.sum(1) == pytest.approx(1) and (weights[0] > 0).tolist() == [False, True, True, False]
    assert weights[0, 1] / weights[0, 2] == pytest.approx(math.exp(10 * (math.cos(0.1) - math.cos(0.3))), rel=1e-4)
    assert (weights[1] > 0).tolist() == [False, True, True, False]
    assert of([1], 9)[0].astype(bool).tolist() == [True, False, True, True]


def test_an_image_that_is_not_among_the_known_ones_has_all_of_them_as_neighbours():
    vectors = unit_vectors(np.random.default_rng(0).normal(size=(5, 3)))
    weights = neighbour_weights(vectors[:1], vectors, 9).toarray()
    assert (weights > 0).all() and weights.argmax() == 0
    assert neighbour_weights(vectors[:0], vectors, 2).shape == (0, 5)


def test_many_images_are_handled_piece_by_piece():
    rng = np.random.default_rng(1)
    known, asked = (unit_vectors(rng.normal(size=(count, 4))) for count in (300, 600))
    together = neighbour_weights(asked, known, 7).toarray()
    apart = np.concatenate([neighbour_weights(asked[i : i + 1], known, 7).toarray() for i in range(600)])
    np.testing.assert_allclose(together, apart, atol=1e-6)


def test_standardised_and_unit_vectors():
    [row] = standardised(np.array([[5.0, 1.0]]), np.array([1.0, 1.0]), np.array([2.0, 0.0]))
    assert row == pytest.approx([2.0, 0.0]) and unit_vectors(row[None])[0] == pytest.approx([1.0, 0.0])


def test_similarities():
    units = unit_vectors(np.array([[1.0, 0.0], [1.0, 1.0], [-1.0, 0.0]]))
    found = similarities(units, units, 2.0)
    np.testing.assert_allclose(np.diag(found), 1.0, rtol=1e-5)
    np.testing.assert_allclose(found[0, 1:], [math.exp(2 * (0.5**0.5 - 1)), math.exp(-4)], rtol=1e-5)


def test_with_all_images_as_landmarks_it_is_kernel_ridge_regression():
    rng = np.random.default_rng(4)
    units, asked = unit_vectors(rng.normal(size=(20, 6))), unit_vectors(rng.normal(size=(9, 6)))
    targets = rng.normal(size=(20, 3))
    kernel = similarities(units, units, 2.0).astype(np.float64)
    expected = similarities(asked, units, 2.0) @ np.linalg.solve(kernel + 0.5 * np.eye(20), targets)
    fit = KernelFit.of(units, units, targets, 2.0, 0.5)
    np.testing.assert_allclose(similarities(asked, units, 2.0) @ fit.weights_MT, expected, atol=1e-3)


@pytest.mark.parametrize("landmarks", [20, 7])
def test_an_image_is_left_out_of_the_fit_as_if_it_had_not_been_there(landmarks, monkeypatch):
    monkeypatch.setattr("models.consensus.kernel_regression.ROWS_OF_A_FIT", 6)
    rng = np.random.default_rng(4)
    units, crops = unit_vectors(rng.normal(size=(20, 6))), unit_vectors(rng.normal(size=(20, 6)))
    targets = rng.normal(size=(20, 3))
    marks = units[:landmarks]
    fit, similar = KernelFit.of(units, marks, targets, 2.0, 0.5), similarities(crops, marks, 2.0)
    found = similar @ fit.weights_MT - fit.decided(similar, np.arange(20))
    for i in range(20):
        rest = np.delete(np.arange(20), i)
        without = KernelFit.of(units[rest], marks, targets[rest], 2.0, 0.5)
        np.testing.assert_allclose(found[i], similar[i] @ without.weights_MT, atol=1e-4)
    assert np.abs(found - similar @ fit.weights_MT).max() > 0.01
    own = similarities(units, marks, 2.0)
    np.testing.assert_allclose(fit.left_out_IT, own @ fit.weights_MT - fit.decided(own, np.arange(20)), atol=1e-5)


def test_the_same_photograph_twice_does_not_harm():
    units = unit_vectors(np.random.default_rng(5).normal(size=(8, 3)))[[0, 1, 2, 3, 4, 5, 6, 7, 7, 7]]
    targets = np.arange(10.0)[:, None]
    fit = KernelFit.of(units, units, targets, 2.0, 1e-3)
    expected = similarities(units, units, 2.0) @ fit.weights_MT
    assert expected[7:, 0] == pytest.approx(8.0, abs=0.1) and np.abs(expected - targets)[:7].max() < 0.3


def test_principal_directions_keep_the_most_variance():
    vectors = np.random.default_rng(6).normal(size=(50, 5)) * [1, 4, 2, 3, 0.1]
    centred = vectors - vectors.mean(0)
    directions = principal_directions(vectors.astype(np.float32), 3)
    np.testing.assert_allclose(directions @ directions.T, np.eye(3), atol=1e-5)
    kept = np.sort(np.linalg.eigvalsh(centred.T @ centred))[::-1][:3]
    np.testing.assert_allclose(((centred @ directions.T) ** 2).sum(0), kept, rtol=1e-4)
    with pytest.raises(cli.UserError, match="--pca 6: expected at most 5: 50 images of 5 dimensions"):
        principal_directions(vectors.astype(np.float32), 6)


@pytest.fixture
def known(tmp_path):
    """Returns (path of the file, KnownImages, the base encoder) with six known images and two targets of each."""
    base = encoders.load_encoder(f"compact:{compact_files.write(tmp_path / 'compact.npz')}")
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(6, base.dim)).astype(np.float32)
    mean, std = vectors.mean(0), vectors.std(0)
    path = str(tmp_path / "neighbours.npz")
    units = unit_vectors(standardised(vectors, mean, std)).astype(np.float16).astype(np.float32)
    weights = rng.normal(size=(6, 2)).astype(np.float32)
    found = KnownImages(units, weights, mean, std, 2.0, base.describe())
    found.save(path)
    return path, found, base


def test_the_encoder_gives_what_known_images_let_expect(known):
    path, found, base = known
    encoder = encoders.load_encoder(f"caption_embeddings:{path}")
    assert (encoder.dim, encoder.cells, encoder.image_size) == (2, None, base.image_size)
    image = np.random.default_rng(3).integers(0, 255, (40, 50, 3), np.uint8)
    crops = encoder.crops(image, 2, 7)
    vectors = encoder.encode(crops)
    np.testing.assert_array_equal(vectors, as_banked(found.expected(base.encode(base.crops(image, 2, 7)))))
    [row] = standardised(base.encode(crops)[:1], found.mean_D, found.std_D)
    cosine = found.units_MD @ (row / np.linalg.norm(row))
    np.testing.assert_allclose(vectors[0], np.exp(2 * (cosine - 1)) @ found.weights_MT, rtol=1e-3, atol=1e-4)


def test_reduced_vectors_are_compared_alike_by_the_encoder(known, tmp_path):
    """Reduced to all principal components a regression gives what it gave; with two of them, its definition."""
    path, found, base = known
    images = np.random.default_rng(3).integers(
        0, 255, (3, *base.crops(np.zeros((40, 50, 3), np.uint8), 0, 7).shape[1:])
    )
    vectors = base.encode(images.astype(np.uint8))
    for count in (base.dim, 2):
        directions = np.linalg.qr(np.random.default_rng(4).normal(size=(base.dim, base.dim)))[0][:count]
        units = unit_vectors(found.units_MD @ directions.T).astype(np.float16).astype(np.float32)
        reduced = dataclasses.replace(found, units_MD=units, directions_PD=directions.astype(np.float32))
        reduced.save(path)
        encoder = encoders.load_encoder(f"caption_embeddings:{path}")
        np.testing.assert_array_equal(encoder.encode(images.astype(np.uint8)), as_banked(reduced.expected(vectors)))
        rows = standardised(vectors, found.mean_D, found.std_D) @ directions.T
        cosine = (rows / np.linalg.norm(rows, axis=1, keepdims=True)) @ units.T
        np.testing.assert_allclose(reduced.expected(vectors), np.exp(2 * (cosine - 1)) @ found.weights_MT, atol=1e-4)
        np.testing.assert_allclose(reduced.expected_in_graph(vectors), reduced.expected(vectors), atol=1e-4)
        if count == base.dim:
            np.testing.assert_allclose(reduced.expected(vectors), found.expected(vectors), atol=5e-3)
    dataclasses.replace(reduced, directions_PD=directions[:, :-1]).save(path)
    with pytest.raises(cli.UserError, match="its arrays do not fit together"):
        KnownImages.load(path)


def test_a_run_keeps_it_with_the_files_of_its_base(known, tmp_path):
    path, _, base = known
    encoder = encoders.load_encoder(f"caption_embeddings:{path}")
    saved.save_encoder(encoder.describe(), str(tmp_path / "run"))
    identity = encoders.identity(encoder.describe())
    os.rename(tmp_path / "run", tmp_path / "moved")
    for file in (path, *base.files):
        os.remove(file)
    again = registry.load_encoder_from(str(tmp_path / "moved"))
    assert encoders.identity(again.describe()) == identity
    image = np.full((32, 32, 3), 90, np.uint8)
    np.testing.assert_array_equal(again.encode(again.crops(image, 0, 1)), encoder.encode(encoder.crops(image, 0, 1)))


def test_another_file_is_another_encoder(known, tmp_path):
    path, found, _ = known
    description = encoders.load_encoder(f"caption_embeddings:{path}").describe()
    other = str(tmp_path / "other.npz")
    KnownImages(**(vars(found) | {"sharpness": 3.0})).save(other)
    with pytest.raises(ValueError, match="is not the one that the features were made with"):
        registry.load_encoder_from(description, spec=f"caption_embeddings:{other}")


def test_what_is_no_such_file_is_named(tmp_path):
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"no archive")
    for path in (broken, tmp_path / "absent.npz"):
        with pytest.raises(ValueError, match=path.name):
            encoders.load_encoder(f"caption_embeddings:{path}")
    np.savez(tmp_path / "else.npz", units=np.zeros(3))
    with pytest.raises(ValueError, match="else.npz"):
        encoders.load_encoder(f"caption_embeddings:{tmp_path / 'else.npz'}")


def test_it_cannot_be_joined(known):
    path, _, base = known
    with pytest.raises(ValueError, match="cannot be joined"):
        encoders.load_encoder(f"{base.spec}+caption_embeddings:{path}")


def test_the_encoder_below_it_can_be_named(known, tmp_path):
    """The part after the plus is the base; it must be the encoder that the file was made for."""
    path, found, base = known
    moved = shutil.copyfile(base.files[0], tmp_path / "moved.npz")
    encoder = encoders.load_encoder(f"caption_embeddings:{path}+compact:{moved}")
    crops = encoder.crops(np.zeros((40, 50, 3), np.uint8), 0, 0)
    np.testing.assert_array_equal(encoder.encode(crops), as_banked(found.expected(base.encode(crops))))
    with pytest.raises(ValueError, match="was made for vectors of"):
        encoders.load_encoder(f"caption_embeddings:{path}+compact:{moved}#grid")


def test_numbers_that_never_change_count_for_nothing():
    """A feature bank stores .1 as float16, a network returns it as float32."""
    banked = np.full((50, 3), 0.1, np.float32).astype(np.float16).astype(np.float64)
    banked[:, 1] = np.arange(50)
    banked[:, 2] = 700.5  # its std may come out as nearly 0 (a difference of squares)
    statistics = banked.mean(0), np.array([0.0, banked[:, 1].std(), 2e-5])
    for fresh in (0.1, 0.1004):
        np.testing.assert_array_equal(standardised([[fresh, 49.0, 701.0]], *statistics)[0, [0, 2]], [0.0, 0.0])
        module = Standardise(3)
        np.testing.assert_array_equal(module(np.array([[1.0, 2.0, 3.0]], np.float32)), [[1.0, 2.0, 3.0]])
        module.assign(*statistics)
        np.testing.assert_array_equal(
            module(np.array([[fresh, 49.0, 701.0]], np.float32)),
            standardised([[fresh, 49.0, 701.0]], *statistics),
        )


def test_a_file_that_calls_the_std_deviation_is_read(tmp_path):
    """Written before the array was called std."""
    vectors = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    known = KnownImages(vectors, vectors[:, :2], vectors.mean(0), vectors.std(0), 2.0, {"kind": "none"})
    with open(tmp_path / "new.npz", "wb") as file:
        known.save(file)
    arrays = dict(np.load(tmp_path / "new.npz"))
    arrays["deviation"] = arrays.pop("std")
    np.savez(tmp_path / "old.npz", **arrays)
    for name in ("new", "old"):
        np.testing.assert_array_equal(KnownImages.load(tmp_path / f"{name}.npz").std_D, vectors.std(0))
