"""Data that was overwritten, exchanged, cut, or misnamed: one line that says what to do, before anything is trained."""

import hashlib
import json
import os
import shutil
import struct
import zlib
from dataclasses import replace
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image

from ygan_core.config import Config, ConfigError
from ygan_core.data import DATASETS, DataError, datasets, load
from ygan_study.plan.jobs import Job
from ygan_study.run.store import Study
from ygan_study.run.training import run_all, run_job


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise URLError("no network")

    monkeypatch.setenv("YGAN_DATA", str(tmp_path))
    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", refuse)
    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)
    datasets._load.cache_clear()
    yield
    datasets._load.cache_clear()


def refused(name, match):
    datasets._load.cache_clear()
    with pytest.raises(DataError, match=match) as error:
        load(name, 32, "full")
    assert "\n" not in str(error.value)


# --- MNIST and FMNIST ---


def idx(path, values):
    """Write uint8 values as the datasets' own files have them."""
    path.write_bytes(
        struct.pack(f">I{values.ndim}I", 0x800 + values.ndim, *values.shape) + values.tobytes()
    )


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """Small files in the place of MNIST's and of FMNIST's, known by their checksums: the folders by name."""
    random, places = np.random.RandomState(0), {}
    for name in ("mnist", "fmnist"):
        source = DATASETS[name]
        places[name] = tmp_path / source.folder
        places[name].mkdir(parents=True)
        for part in ("train", "t10k"):
            idx(
                places[name] / f"{part}-images-idx3-ubyte",
                random.randint(256, size=(20, 28, 28)).astype(np.uint8),
            )
            idx(places[name] / f"{part}-labels-idx1-ubyte", np.arange(20, dtype=np.uint8) % 10)
        known = {
            path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in places[name].iterdir()
        }
        monkeypatch.setitem(datasets._FILES, source.torchvision, known)
    return places


def test_overwritten_labels_and_pixels_of_the_right_size_are_refused(digits):
    assert len(load("mnist", 32, "full")) == len(load("fmnist", 32, "full")) == 40
    for name, shape in (("train-labels-idx1-ubyte", 20), ("t10k-images-idx3-ubyte", (20, 28, 28))):
        file = digits["mnist"] / name
        content = file.read_bytes()
        idx(file, np.zeros(shape, np.uint8))
        assert file.stat().st_size == len(content)
        refused(
            "mnist",
            f"MNIST: {name} damaged in {digits['mnist']}, or not MNIST's: remove it and run again",
        )
        file.write_bytes(content)
    datasets._load.cache_clear()
    assert len(load("mnist", 32, "full")) == 40


def test_one_dataset_in_the_place_of_the_other_is_refused(digits, tmp_path):
    digits["mnist"].rename(tmp_path / "between")
    digits["fmnist"].rename(digits["mnist"])
    (tmp_path / "between").rename(digits["fmnist"])
    refused("mnist", "or not MNIST's")
    refused("fmnist", "or not FMNIST's")


def test_every_file_that_is_read_has_a_checksum():
    for name in ("mnist", "fmnist"):
        kind = DATASETS[name].torchvision
        assert {file.removesuffix(".gz") for file, _ in kind.resources} == datasets._FILES[
            kind
        ].keys()
    assert len({md5 for files in datasets._FILES.values() for md5 in files.values()}) == 15


# --- the starter pack ---


@pytest.mark.parametrize("change", ["labels", "index", "fmnist in the place of mnist"])
def test_a_starter_pack_that_says_something_else_is_refused(
    change, tmp_path, monkeypatch, read_json
):
    pack = shutil.copytree(datasets.STARTER, tmp_path / "starter")
    monkeypatch.setattr(datasets, "STARTER", pack)
    assert len(load("mnist")) == 10_000
    about = read_json(pack / ("fmnist.json" if change.startswith("fmnist") else "mnist.json"))
    if change in about:
        about[change] = about[change][::-1]
    (pack / "mnist.json").write_text(json.dumps(about))
    datasets._load.cache_clear()
    with pytest.raises(
        DataError,
        match="the starter pack of mnist in .* is damaged .mnist.json has another checksum",
    ):
        load("mnist")


# --- PlantVillage ---


@pytest.fixture
def leaves(tmp_path):
    """A small PlantVillage: its folder."""
    random, root = np.random.RandomState(0), tmp_path / "PlantVillage"
    for name in ("Apple___Black_rot", "Apple___healthy", "Pepper,_bell___healthy"):
        (root / name).mkdir(parents=True)
        for number in range(20):
            Image.fromarray(random.randint(256, size=(32, 32, 3)).astype(np.uint8)).save(
                root / name / f"{number}.png"
            )
    return root


@pytest.mark.parametrize(
    "name",
    [
        "3Apple___rot",
        "<b>Apple___rot",
        "Äpfel___Fäule",
        "Apple___<rot>",
        "Apple",
        "color",
        "Applet___rot",
    ],
)
def test_a_folder_with_another_name_is_refused_before_the_training(leaves, name):
    (leaves / "Apple___Black_rot").rename(leaves / name)
    refused(
        "plantvillage",
        f"{name} is not named after a plant of Table 4 and its state: give it its published name",
    )


def test_a_hidden_folder_is_no_class(leaves):
    (leaves / ".ipynb_checkpoints").mkdir()
    assert len(load("plantvillage", 32, "full").classes) == 3


def test_a_side_without_a_folder_is_one_line(leaves):
    away = leaves.with_name("away")
    (leaves / "Apple___Black_rot").rename(away)
    refused(
        "plantvillage", "no folder of diseased leaves in .*: copy one there, Apple___Black_rot say"
    )
    for name in ("Apple___healthy", "Pepper,_bell___healthy"):
        (leaves / name).rename(leaves / name.replace("healthy", "unhealthy"))
    refused(
        "plantvillage", "no folder of healthy leaves in .*: copy one there, Apple___healthy say"
    )


def test_too_few_leaves_to_split_are_one_line_and_no_failure_to_be_tried_again(leaves, tmp_path):
    for name in ("Apple___healthy", "Pepper,_bell___healthy"):
        for number in range(1, 20):
            (leaves / name / f"{number}.png").unlink()
    study = Study(
        "smoke",
        tmp_path / "results",
        settings={"source": "full", "images_per_class": "0", "image_size": "32"},
    )
    job = study.select(dataset="plantvillage", group="classifier")[0]
    with pytest.raises(DataError, match="plantvillage: 2 normal images are too few to split"):
        run_job(study, job)
    assert study.state(job) == "waiting"


def bomb(path):
    """A PNG that says it has 900 million pixels."""
    Image.new("L", (1, 1)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 30_000, 30_000)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    path.write_bytes(content)


FILES = {
    "a link to nothing": (lambda path: path.symlink_to("nowhere"), "damaged .FileNotFoundError"),
    "900 megapixels": (bomb, "too large .DecompressionBombError"),
    "a folder": (lambda path: path.mkdir(), "damaged .IsADirectoryError"),
    "empty": (lambda path: path.write_bytes(b""), "damaged .UnidentifiedImageError"),
    "a page of HTML": (
        lambda path: path.write_text("<html>404</html>"),
        "damaged .UnidentifiedImageError",
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_leaf_that_cannot_be_read_is_named(leaves, kind):
    make, said = FILES[kind]
    make(leaves / "Apple___healthy" / "20.png")
    refused("plantvillage", f"20.png is {said}.*: fetch it again or remove it")
    assert not list(leaves.parent.glob(".*.npy"))  # nothing half-decoded is left


def test_decoded_leaves_that_were_changed_are_decoded_anew(leaves, monkeypatch, capsys):
    pixels = load("plantvillage", 32, "full").images.clone()
    (kept,) = leaves.parent.glob("PlantVillage-32px-*.npy")
    content = kept.read_bytes()
    mark = kept.with_suffix(".sha256").read_text()
    for damage in (
        content[:-1] + bytes([content[-1] ^ 1]),
        content[:-5000],
        b"",
        b"something else",
    ):
        kept.write_bytes(damage)
        datasets._load.cache_clear()
        assert (
            load("plantvillage", 32, "full").images.equal(pixels) and kept.read_bytes() == content
        )
        assert (
            capsys.readouterr().out
            == f"{kept} is damaged or was changed: the leaves are decoded anew\n"
        )
    left = kept.with_name(f".1.{kept.name}")
    left.write_bytes(b"half")
    kept.with_suffix(".sha256").unlink()  # so is what was kept without a checksum
    datasets._load.cache_clear()
    assert (
        load("plantvillage", 32, "full").hash == datasets.pixel_hash(pixels) == mark
        and not left.exists()
    )
    monkeypatch.setattr(datasets, "_decode", lambda *_: pytest.fail("decoded twice"))
    datasets._load.cache_clear()
    assert load("plantvillage", 32, "full").images.equal(pixels)


def test_images_of_another_copy_are_not_shown_as_those_of_the_training(leaves, tmp_path, capsys):
    study = Study("smoke", tmp_path / "results")
    config = Config(dataset="plantvillage", held_out=-1, epochs=1, batch_size=16, width=4)
    job, other = (Job(replace(config, method=method)) for method in ("knn_pixels", "ganomaly"))
    run, rows = run_job(study, job), np.arange(5)
    assert run.images(rows).shape == (5, 3, 32, 32)
    shutil.copytree(
        leaves / "Apple___healthy", leaves / "Apple___Aphids"
    )  # every other leaf now has another place
    datasets._load.cache_clear()
    assert study.state(job) == "done"
    with pytest.raises(
        DataError, match=f"{job.id} was trained on another copy of plantvillage .*: set YGAN_DATA"
    ):
        run.images(rows)
    assert "same images" not in capsys.readouterr().out
    run_job(study, other)
    assert f"not of the same images: {other.id}, {job.id}: train those" in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="a call of POSIX")
def test_a_full_disk_keeps_no_decoded_leaves_and_the_work_goes_on(leaves, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert len(load("plantvillage", 32, "full")) == 60
    assert not [path for path in leaves.parent.iterdir() if ".npy" in path.name]


# --- jobs whose data are wrong ---


def test_the_other_jobs_go_on(digits, tmp_path):
    idx(digits["mnist"] / "train-labels-idx1-ubyte", np.zeros(20, np.uint8))
    study = Study(
        "smoke",
        tmp_path / "results",
        settings={"source": "full", "images_per_class": "0", "batch_size": "16"},
    )
    jobs = [study.select(dataset=name, method="classifier")[0] for name in ("mnist", "fmnist")]
    assert [run.job for run in run_all(study, jobs)] == jobs[1:] and study.state(
        jobs[0]
    ) == "waiting"


def test_a_notebook_goes_on_without_a_training_whose_settings_do_not_fit(digits, tmp_path, capsys):
    study = Study(
        "smoke",
        tmp_path / "results",
        settings={"source": "full", "images_per_class": "0", "batch_size": "28"},
    )
    wide = Study(
        "smoke",
        tmp_path / "results",
        settings={"source": "full", "images_per_class": "0", "batch_size": "29"},
    )
    jobs = [one.select(dataset="mnist", method="classifier")[0] for one in (wide, study)]
    assert [run.job for run in run_all(study, jobs)] == jobs[1:]
    assert (
        "28 training images do not fill one batch of 29: lower batch_size"
        in capsys.readouterr().out
    )
    with pytest.raises(ConfigError):
        run_all(wide, jobs[:1])
