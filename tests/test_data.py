"""The starter pack, the protocol of section 4.2, and Color-MNIST."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ygan_core.data.color import COLOURS, assign_colours, colourise
from ygan_core.data.datasets import DATASETS, DataError, color_mnist, data_root, load
from ygan_core.data.protocol import anomalous, species, split, sub_classes
from ygan_study.measure.colours import read_background, read_ink
from ygan_study.plan.images import prepare
from ygan_study.plan.settings import Settings


@pytest.mark.parametrize(
    "name, shape, classes",
    [
        ("mnist", (10_000, 1, 32, 32), 10),
        ("fmnist", (10_000, 1, 32, 32), 10),
        ("cifar10", (5_000, 3, 32, 32), 10),
        ("plantvillage", (4_080, 3, 32, 32), 34),
    ],
)
def test_starter_pack(name, shape, classes):
    data = load(name)
    assert data.images.shape == shape and data.images.dtype == torch.uint8
    assert data.labels.dtype == torch.int64 and len(data.classes) == classes
    assert data.labels.bincount().unique().numel() == 1  # as many images of each class
    assert data.index.diff().min() > 0  # in the order of the full dataset, none twice


@pytest.mark.parametrize("name", DATASETS)
def test_starter_pack_is_a_part_of_the_full_data(name):
    if not (data_root() / DATASETS[name].folder).is_dir():
        pytest.skip(f"the full {name} is not in {data_root()} (set YGAN_DATA)")
    size = {"mnist": 28, "fmnist": 28, "cifar10": 32, "plantvillage": 64}[name]
    part, full = load(name, size), load(name, size, "full")
    if full.classes != part.classes:
        pytest.skip("this copy of PlantVillage has other folders than the starter pack")
    assert full.labels[part.index].equal(part.labels)
    difference = (full.images[part.index].float() - part.images.float()).abs().flatten(1).mean(1)
    if name == "plantvillage":  # saved as JPEG: similar, not equal
        assert difference.mean() < 4 and difference.max() < 16
    else:
        assert difference.max() == 0


@pytest.mark.parametrize("wrong", [("digits", 32, "starter"), ("mnist", 32, "everything")])
def test_unknown_names_are_refused(wrong):
    with pytest.raises(DataError, match="choose"):
        load(*wrong)


# the protocol


def test_split_sizes_and_disjointness():
    sizes = [690, 787, 699, 714, 682, 631, 687, 729, 682, 695]
    labels = torch.arange(10).repeat_interleave(torch.tensor(sizes))
    parts, normal = split(labels == 9, seed=0), int((labels != 9).sum())
    pool = round(0.8 * normal)
    assert len(parts.calibration) == round(0.05 * pool)
    assert len(parts.train) == pool - len(parts.calibration)
    assert len(parts.held_back) == normal - pool
    assert len(parts.test_normal) == len(parts.test_anomalous) == 695
    normals = torch.cat([parts.train, parts.calibration, parts.held_back])
    assert (labels[normals] != 9).all() and (labels[parts.test_anomalous] == 9).all()
    assert len(normals.unique()) == len(normals) == normal
    assert torch.isin(parts.test_normal, parts.held_back).all()


def test_more_anomalies_than_held_back_images_still_balance():
    parts = split(torch.arange(400) >= 100, seed=0)
    assert len(parts.test_normal) == len(parts.test_anomalous) == 20


def test_split_hash_is_the_same_everywhere_and_tells_splits_apart():
    labels = load("mnist").labels
    hashes = [split(labels == held_out, seed).hash for held_out in (0, 1) for seed in (0, 1)]
    assert hashes[0] == "354c8aff2fbbec2e" and len(set(hashes)) == 4


def test_a_split_without_anomalies_or_with_too_few_normal_images_is_refused():
    with pytest.raises(ValueError, match="no image is an anomaly"):
        split(torch.zeros(150, dtype=torch.bool), seed=0)
    with pytest.raises(ValueError, match="too few"):
        split(torch.tensor([False, False, True]), seed=0)


def test_healthy_leaves_are_normal_and_all_diseased_ones_anomalous():
    data = load("plantvillage", 64)
    diseased, y = anomalous(data, -1), sub_classes(data, -1)
    for label, name in enumerate(data.classes):
        here = data.labels == label
        assert diseased[here].all() == (not name.endswith("___healthy"))
        assert diseased[here].any() == diseased[here].all()
    assert (y[diseased] == -1).all() and y[~diseased].unique().tolist() == list(range(10))
    parts = split(diseased, seed=0, balanced=False)
    assert len(parts.test_anomalous) == diseased.sum()
    assert parts.test_normal.equal(parts.held_back)
    assert {"Cherry", "Corn", "Pepper", "Orange"} <= set(species(data.classes))


def test_normal_classes_are_renumbered_without_the_one_held_out():
    data = load("mnist").per_class(1)
    assert sub_classes(data, 3).tolist() == [0, 1, 2, -1, 3, 4, 5, 6, 7, 8]


def test_the_validation_split_sees_neither_the_reported_class_nor_any_test_image():
    config = Settings(dataset="mnist", held_out=4, source="starter", images_per_class=100)
    data, reported = prepare(config)
    _, parts = prepare(replace(config, stand_in=7))
    seen = torch.cat([parts.train, parts.calibration, parts.held_back, parts.test_anomalous])
    assert len(seen.unique()) == len(seen)
    assert not torch.isin(seen, torch.cat([reported.held_back, reported.test_anomalous])).any()
    assert set(data.labels[parts.test_anomalous].tolist()) == {7}
    assert set(data.labels[parts.train].tolist()) == set(range(10)) - {4, 7}
    assert sub_classes(data, 4, 7)[parts.train].unique().tolist() == list(range(8))


def test_a_split_is_named_by_its_pixels_too():
    config = Settings(dataset="mnist", held_out=4, source="starter", images_per_class=40)
    (_, parts), (_, other) = prepare(config), prepare(replace(config, pixels="background"))
    assert parts.train.equal(other.train) and parts.hash != other.hash


# Color-MNIST


def test_colours_are_equally_frequent_within_each_digit():
    labels = load("mnist").labels
    colours = assign_colours(labels, seed=0)
    assert (np.histogram2d(labels, colours, bins=(10, 10))[0] == 100).all()
    assert assign_colours(labels, 0).equal(colours) and not assign_colours(labels, 1).equal(colours)


def test_black_digits_on_coloured_backgrounds():
    data, digits = color_mnist(), load("mnist").images
    palette = torch.tensor(list(COLOURS.values()), dtype=torch.uint8)
    background = palette[data.colours][:, :, None, None].expand_as(data.images)
    assert data.images.equal(torch.where(digits >= 128, 0, background))


def test_background_and_ink_are_read_off_the_pixels():
    digits = load("mnist").images[:500]
    for colour in range(10):
        shown = colourise(digits, torch.full((500,), colour))
        assert (read_background(shown) == colour).all()
        assert (read_ink(shown).view(500, 32, 32) > 0.5).equal(digits[:, 0] >= 128)
