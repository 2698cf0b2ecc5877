import shutil
from dataclasses import replace
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import mnist

from ygan_core.config import Config
from ygan_core.data import (
    COLOURS,
    DATASETS,
    DataError,
    anomalous,
    color_mnist,
    data_root,
    datasets,
    load,
    species,
    split,
    sub_classes,
)
from ygan_core.data.color import assign_colours, colourise, read_ground, read_ink
from ygan_core.data.prepare import prepare

AT_HAND = {name: (data_root() / source.folder).is_dir() for name, source in DATASETS.items()}


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
    sizes = data.labels.bincount()
    assert len(sizes) == classes and sizes.min() == sizes.max()  # balanced
    assert data.index.diff().min() > 0  # in the order of the full dataset, none twice


@pytest.mark.parametrize("name", DATASETS)
def test_starter_pack_is_a_part_of_the_full_data(name):
    if not AT_HAND[name]:
        pytest.skip(f"the full {name} is not in {data_root()} (set YGAN_DATA)")
    size = {"mnist": 28, "fmnist": 28, "cifar10": 32, "plantvillage": 64}[name]
    part, full = load(name, size), load(name, size, "full")
    if name == "plantvillage" and full.classes != part.classes:
        pytest.skip(
            "this copy of PlantVillage has other folders than the one that the pack was made from"
        )
    assert full.classes == part.classes and full.labels[part.index].equal(part.labels)
    if name == "plantvillage":  # JPEG: near, not equal
        difference = (
            (full.images[part.index].float() - part.images.float()).abs().flatten(1).mean(1)
        )
        assert difference.mean() < 4 and difference.max() < 16
    else:
        assert full.images[part.index].equal(part.images)


def pack_copy(tmp_path, monkeypatch):
    shutil.copytree(datasets.STARTER, tmp_path / "starter")
    monkeypatch.setattr(datasets, "STARTER", tmp_path / "starter")
    return tmp_path / "starter"


@pytest.mark.parametrize("damage", ["missing", "cut", "other pixels", "bad labels"])
def test_damaged_starter_pack_is_one_line_that_says_what_to_do(tmp_path, monkeypatch, damage):
    pack = pack_copy(tmp_path, monkeypatch)
    sheet = pack / "mnist-1.webp"
    if damage == "missing":
        sheet.unlink()
    elif damage == "cut":
        sheet.write_bytes(sheet.read_bytes()[:5000])
    elif damage == "other pixels":
        shutil.copy(pack / "mnist-0.webp", sheet)
    else:
        (pack / "mnist.json").write_text('{"sheets": ')
    with pytest.raises(DataError, match="git checkout -- data/starter") as error:
        load("mnist")
    assert "\n" not in str(error.value)


def offline(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise URLError("no network")

    monkeypatch.setenv("YGAN_DATA", str(tmp_path))
    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", refuse)
    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)


@pytest.mark.parametrize(
    "name, file",
    [
        ("mnist", "train-images-idx3-ubyte"),
        ("fmnist", "t10k-labels-idx1-ubyte"),
        ("cifar10", "data_batch_1"),
    ],
)
def test_no_copy_and_no_network_names_the_files_and_their_place(tmp_path, monkeypatch, name, file):
    offline(monkeypatch, tmp_path)
    with pytest.raises(DataError) as error:
        load(name, source="full")
    text = str(error.value)
    assert (
        file in text
        and str(tmp_path / DATASETS[name].folder) in text
        and "YGAN_DATA" in text
        and "\n" not in text
    )


def test_a_cut_idx_file_is_said_to_be_damaged(tmp_path, monkeypatch):
    offline(monkeypatch, tmp_path)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, _ in mnist.MNIST.resources:
        (raw / name.removesuffix(".gz")).write_bytes(b"\0\0\x08\x01")
    with pytest.raises(DataError, match="damaged.*remove it and run again"):
        load("mnist", source="full")


def test_plantvillage_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("YGAN_DATA", str(tmp_path))
    with pytest.raises(DataError, match="no class folders in"):
        load("plantvillage", source="full")
    folders = [
        tmp_path / "PlantVillage" / name for name in ("Apple___healthy", "Apple___Black_rot")
    ]
    for shade, folder in zip((10, 200), folders, strict=True):
        folder.mkdir(parents=True)
        Image.new("RGB", (64, 64), (shade, 0, 0)).save(folder / "leaf.png")
    data = load("plantvillage", 32, "full")
    assert data.classes == ("Apple___Black_rot", "Apple___healthy") and data.images[
        :, 0, 0, 0
    ].tolist() == [200, 10]
    datasets._load.cache_clear()
    (folders[0] / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match="cut.jpg is damaged"):
        load("plantvillage", 32, "full")
    (folders[0] / "cut.jpg").unlink()
    (folders[0] / "leaf.png").unlink()
    with pytest.raises(DataError, match="holds no images"):
        load("plantvillage", 32, "full")


@pytest.mark.parametrize("wrong", [("digits", 32, "starter"), ("mnist", 32, "everything")])
def test_unknown_names_are_refused(wrong):
    with pytest.raises(DataError, match="choose"):
        load(*wrong)


def test_split_sizes_and_disjointness():
    labels = torch.arange(10).repeat_interleave(
        torch.tensor([690, 787, 699, 714, 682, 631, 687, 729, 682, 695])
    )
    parts = split(labels == 9, seed=0)
    normal, anomalous = int((labels != 9).sum()), int((labels == 9).sum())
    pool = round(0.8 * normal)
    assert len(parts.train) + len(parts.calibration) == pool and len(parts.calibration) == round(
        0.05 * pool
    )
    assert len(parts.held_back) == normal - pool
    assert len(parts.test_normal) == len(parts.test_anomalous) == anomalous
    together = torch.cat([parts.train, parts.calibration, parts.held_back, parts.test_anomalous])
    assert len(together.unique()) == len(together) == len(labels)
    assert (labels[parts.test_anomalous] == 9).all() and (
        labels[together[: -len(parts.test_anomalous)]] != 9
    ).all()
    assert torch.isin(parts.test_normal, parts.held_back).all()


def test_more_anomalies_than_held_back_images_still_balance():
    parts = split(torch.tensor([0] * 100 + [1] * 300) == 1, seed=0)
    assert len(parts.test_normal) == len(parts.test_anomalous) == 20


def test_split_hash_is_the_same_everywhere_and_tells_splits_apart():
    labels = load("mnist").labels
    assert split(labels == 0, 0).hash == split(labels == 0, 0).hash == "354c8aff2fbbec2e"
    assert (
        len({split(labels == held_out, seed).hash for held_out in (0, 1) for seed in (0, 1)}) == 4
    )


def test_a_class_without_images_is_refused():
    with pytest.raises(ValueError, match="no image is an anomaly"):
        split(torch.tensor([0, 1, 2] * 50) == 4, seed=0)
    with pytest.raises(ValueError, match="too few"):
        split(torch.tensor([0, 0, 1]) == 1, seed=0)


def test_leaves_healthy_ones_are_normal_all_diseased_ones_anomalous():
    data = load("plantvillage", 64)
    sick, y = anomalous(data, -1), sub_classes(data, -1)
    assert all(
        sick[data.labels == k].all() != name.endswith("healthy")
        for k, name in enumerate(data.classes)
    )
    healthy = sorted({name.split("___")[0] for name in data.classes if name.endswith("___healthy")})
    assert (
        y[~sick].unique().tolist() == list(range(len(healthy))) == list(range(10))
        and (y[sick] == -1).all()
    )
    parts = split(sick, seed=0, balanced=False)
    assert len(parts.test_anomalous) == sick.sum() and parts.test_normal.equal(parts.held_back)
    assert len(parts.held_back) == int((~sick).sum()) - round(0.8 * int((~sick).sum()))
    assert {"Cherry", "Corn", "Pepper", "Orange"} <= set(
        species(data.classes)
    )  # Orange has no healthy leaves
    assert not any(name.startswith("Orange") and name.endswith("healthy") for name in data.classes)


def test_normal_classes_are_renumbered_without_the_one_held_out():
    data = load("mnist").per_class(2)
    assert sub_classes(data, 3).tolist() == [
        0,
        0,
        1,
        1,
        2,
        2,
        -1,
        -1,
        *sum(([k, k] for k in range(3, 9)), []),
    ]


def test_colours_are_equally_frequent_within_each_digit():
    labels = load("mnist").labels
    colours = assign_colours(labels, seed=0)
    counts = np.histogram2d(labels, colours, bins=(10, 10))[0]
    assert (counts == 100).all()
    assert assign_colours(labels, 0).equal(colours) and not assign_colours(labels, 1).equal(colours)


def test_a_dark_digit_on_a_coloured_ground():
    data = color_mnist()
    digits = load("mnist").images
    ground = torch.tensor(list(COLOURS.values()), dtype=torch.uint8)[data.colours]
    ink = (digits >= 128).expand_as(data.images)
    assert (data.images[ink] == 0).all()
    assert data.images.equal(torch.where(ink, 0, ground[:, :, None, None].expand_as(ink)))


def test_what_the_eye_reads():
    digits = load("mnist").images[:500]
    for colour in range(10):
        shown = colourise(digits, torch.full((500,), colour))
        assert (read_ground(shown) == colour).all()
        assert (read_ink(shown).view(500, 32, 32) > 0.5).equal(digits[:, 0] >= 128)


def test_the_validation_split_sees_neither_the_reported_class_nor_any_test_image():
    config = Config(dataset="mnist", held_out=4, source="starter", images_per_class=100)
    data, reported = prepare(config)
    _, parts = prepare(replace(config, stand_in=7))
    everything = torch.cat([parts.train, parts.calibration, parts.held_back, parts.test_anomalous])
    assert len(everything.unique()) == len(everything)
    assert not torch.isin(
        everything, torch.cat([reported.held_back, reported.test_anomalous])
    ).any()
    assert set(data.labels[parts.test_anomalous].tolist()) == {7}
    assert set(data.labels[parts.train].tolist()) == set(range(10)) - {4, 7}
    y = sub_classes(data, 4, 7)[parts.train]
    assert y.unique().tolist() == list(range(8))


def test_a_split_is_named_by_its_pixels_too():
    config = Config(
        dataset="mnist", held_out=4, source="starter", images_per_class=40, pixels="all"
    )
    _, parts = prepare(config)
    _, other = prepare(replace(config, pixels="background"))
    assert parts.train.equal(other.train) and parts.hash != other.hash
