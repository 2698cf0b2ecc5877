"""Data that are missing, damaged, exchanged or misnamed: one line that says what to do."""

import shutil
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image

from ygan_core.config import ConfigError
from ygan_core.data import DATASETS, DataError, datasets, load
from ygan_study.plan.jobs import Job
from ygan_study.plan.settings import Settings
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


def load_anew(name, source="full"):
    datasets._load.cache_clear()
    return load(name, 32, source)


def refused(name, match, source="full"):
    with pytest.raises(DataError, match=match) as error:
        load_anew(name, source)
    assert "\n" not in str(error.value)


# what torchvision downloads


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_without_files_and_network_the_place_and_the_way_out_are_named(tmp_path, name):
    place = tmp_path / DATASETS[name].folder
    refused(name, f"missing or damaged in {place} and the download failed .*YGAN_DATA")


def idx(path, values):
    """Write uint8 values in the format of MNIST's files."""
    header = struct.pack(f">I{values.ndim}I", 0x800 + values.ndim, *values.shape)
    path.write_bytes(header + values.tobytes())


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """Small files in the places of MNIST's and FMNIST's, with their checksums: the folders."""
    random, places = np.random.RandomState(0), {}
    for name in ("mnist", "fmnist"):
        places[name] = tmp_path / DATASETS[name].folder
        places[name].mkdir(parents=True)
        images = random.randint(256, size=(40, 28, 28)).astype(np.uint8)
        for part, here in (("train", images[:20]), ("t10k", images[20:])):
            idx(places[name] / f"{part}-images-idx3-ubyte", here)
            idx(places[name] / f"{part}-labels-idx1-ubyte", np.arange(20, dtype=np.uint8) % 10)
        labels = np.arange(40) % 20 % 10
        checksum = datasets.hashlib.sha256(images.tobytes() + labels.astype(np.int64).tobytes())
        monkeypatch.setitem(datasets._CHECKSUMS, name, ("", checksum.hexdigest()))
    return places


def test_changed_cut_and_exchanged_files_are_refused(digits, tmp_path):
    assert len(load("mnist", 32, "full")) == len(load("fmnist", 32, "full")) == 40
    labels, images = (
        digits["mnist"] / name for name in ("train-labels-idx1-ubyte", "t10k-images-idx3-ubyte")
    )
    whole = labels.read_bytes(), images.read_bytes()
    idx(labels, np.zeros(20, np.uint8))
    refused("mnist", "damaged, or not MNIST's: remove the folder and run again")
    labels.write_bytes(whole[0])
    images.write_bytes(whole[1][:-5])
    refused("mnist", f"missing or damaged in {digits['mnist']}")
    images.write_bytes(whole[1])
    digits["mnist"].rename(tmp_path / "between")
    digits["fmnist"].rename(digits["mnist"])
    (tmp_path / "between").rename(digits["fmnist"])
    refused("mnist", "or not MNIST's")
    refused("fmnist", "or not FMNIST's")


# the starter pack


@pytest.mark.parametrize(
    "damage",
    [
        lambda pack: (pack / "mnist-1.webp").unlink(),
        lambda pack: (pack / "mnist-1.webp").write_bytes(b"cut short"),
        lambda pack: shutil.copy(pack / "mnist-0.webp", pack / "mnist-1.webp"),
        lambda pack: shutil.copy(pack / "fmnist.json", pack / "mnist.json"),
    ],
    ids=["missing", "cut", "other pixels", "another dataset"],
)
def test_a_damaged_starter_pack_is_refused(tmp_path, monkeypatch, damage):
    pack = shutil.copytree(datasets.STARTER, tmp_path / "starter")
    monkeypatch.setattr(datasets, "STARTER", pack)
    assert len(load("mnist")) == 10_000
    damage(pack)
    refused("mnist", "starter pack .*: restore it with: git checkout -- data/starter", "starter")


# PlantVillage


@pytest.fixture
def leaves(tmp_path):
    """A small PlantVillage: its folder."""
    random, root = np.random.RandomState(0), tmp_path / "PlantVillage"
    for name in ("Apple___Black_rot", "Apple___healthy", "Pepper,_bell___healthy"):
        (root / name).mkdir(parents=True)
        for number in range(20):
            leaf = random.randint(256, size=(32, 32, 3)).astype(np.uint8)
            Image.fromarray(leaf).save(root / name / f"{number:02d}.png")
    return root


def test_leaves_are_read_in_order_and_hidden_files_are_ignored(leaves):
    (leaves / ".ipynb_checkpoints").mkdir()
    (leaves / "Apple___healthy" / "._00.JPG").write_bytes(b"macOS's note about 00.JPG")
    data = load("plantvillage", 32, "full")
    assert data.classes == ("Apple___Black_rot", "Apple___healthy", "Pepper,_bell___healthy")
    assert data.labels.tolist() == [label for label in range(3) for _ in range(20)]
    first = np.array(Image.open(leaves / "Apple___healthy" / "00.png")).transpose(2, 0, 1)
    assert data.images[20].numpy().tolist() == first.tolist()


@pytest.mark.parametrize("name", ["Apple", "color", "Applet___rot", "Apple___<rot>", "Äpfel___rot"])
def test_a_folder_with_another_name_is_refused(leaves, name):
    (leaves / "Apple___Black_rot").rename(leaves / name)
    refused("plantvillage", f"{name} is not named after a plant of Table 4 .*published name")


def test_missing_and_empty_folders_are_refused(leaves):
    (leaves / "Apple___Rust").mkdir()
    refused("plantvillage", "Apple___Rust holds no images: remove the folder or fill it")
    for name in ("Apple___Rust", "Apple___Black_rot"):
        shutil.rmtree(leaves / name)
    refused("plantvillage", "no folder of diseased leaves in .*Apple___Black_rot")
    for name in ("Apple___healthy", "Pepper,_bell___healthy"):
        (leaves / name).rename(leaves / name.replace("healthy", "unhealthy"))
    refused("plantvillage", "no folder of healthy leaves in .*Apple___healthy")
    shutil.rmtree(leaves)
    refused("plantvillage", f"no class folders in {leaves}: copy the published colour folder")


def bomb(path):
    """A PNG that claims to have 900 million pixels."""
    Image.new("L", (1, 1)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 30_000, 30_000)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    path.write_bytes(content)


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda path: path.symlink_to("nowhere"), "damaged .FileNotFoundError"),
        (bomb, "too large .DecompressionBombError"),
        (lambda path: path.mkdir(), "damaged .IsADirectoryError"),
        (lambda path: path.write_text("<html>404</html>"), "damaged .UnidentifiedImageError"),
    ],
    ids=["a link to nothing", "900 megapixels", "a folder", "a page of HTML"],
)
def test_a_leaf_that_cannot_be_read_is_named(leaves, make, said):
    make(leaves / "Apple___healthy" / "20.png")
    refused("plantvillage", f"20.png is {said}.*: fetch it again or remove it")
    assert not list(leaves.parent.glob("*.uint8"))  # nothing half-decoded is left


def test_decoded_leaves_that_were_changed_are_decoded_anew(leaves, monkeypatch, capsys):
    pixels = load("plantvillage", 32, "full").images.clone()
    (kept,) = leaves.parent.glob("PlantVillage-32px-*.uint8")
    content = kept.read_bytes()
    for damage in (bytes([content[0] ^ 1]) + content[1:], content[:-5000], b""):
        kept.write_bytes(damage)
        assert load_anew("plantvillage").images.equal(pixels) and kept.read_bytes() == content
        assert capsys.readouterr().out.startswith(f"{kept} is damaged, was changed")
    monkeypatch.setattr(datasets, "_leaves", lambda *_: pytest.fail("decoded twice"))
    again = load_anew("plantvillage")
    assert again.images.equal(pixels) and again.hash == datasets.sha256(pixels)


def test_of_two_processes_that_start_at_once_one_decodes(leaves, monkeypatch):
    decoded, decode = [], datasets._leaves
    monkeypatch.setattr(datasets, "_leaves", lambda *a: decoded.append(1) or decode(*a))
    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(datasets._load.__wrapped__, "plantvillage", 32, leaves.parent)
    assert len(decoded) == 1


def test_on_a_full_disk_nothing_is_kept_and_the_work_goes_on(leaves):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # the leaves have 184 kB
        data = load("plantvillage", 32, "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [path for path in leaves.parent.iterdir() if ".uint8" in path.name]
    assert data.hash == load_anew("plantvillage").hash


# jobs whose data are wrong


def test_images_of_another_copy_are_not_shown_as_those_of_the_training(leaves, tmp_path, capsys):
    study = Study("smoke", tmp_path / "results")
    config = Settings(dataset="plantvillage", held_out=-1, epochs=1, batch_size=16, width=4)
    job, other = (Job(replace(config, method=method)) for method in ("knn_pixels", "ganomaly"))
    run, rows = run_job(study, job), np.arange(5)
    assert run.images(rows).shape == (5, 3, 32, 32)
    shutil.copytree(leaves / "Apple___healthy", leaves / "Apple___Aphids")
    datasets._load.cache_clear()
    assert study.state(job) == "done"
    with pytest.raises(DataError, match=f"{job.id} was trained on another copy of plantvillage"):
        run.images(rows)
    assert "same images" not in capsys.readouterr().out
    run_job(study, other)
    assert f"not of the same images: {other.id}, {job.id}: train those" in capsys.readouterr().out


def test_other_jobs_go_on_without_one_whose_data_or_settings_are_wrong(tmp_path, capsys):
    study = Study("smoke", tmp_path / "results")
    good = study.select(method="knn_pixels")[0]
    no_data = Job(replace(good.config, source="full"))
    too_large = Job(replace(good.config, method="ganomaly", batch_size=10_000))
    assert [run.job for run in run_all(study, [no_data, too_large, good])] == [good]
    said = capsys.readouterr().out
    assert "download failed" in said and "do not fill a batch of 10000" in said
    assert study.state(no_data) == "waiting"
    with pytest.raises(ConfigError):
        run_all(study, [too_large])
