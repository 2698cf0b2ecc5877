"""What the detector takes for images: folders, files of every kind, arrays, tensors; what not."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from small_detector import CLASSES, TINY, pictures, trained, write_folder

from ygan_detector import DetectorError, YGANDetector, training
from ygan_detector.export import resampling
from ygan_detector.images import find_images
from ygan_detector.pixels import ROUNDING, read, resize

pytestmark = pytest.mark.filterwarnings("ignore:threshold", "ignore:C recog", "ignore:.*fewer than")
RANDOM = np.random.RandomState(0)
COLOUR = RANDOM.randint(0, 256, (6, 9, 3)).astype(np.uint8)
GREY = COLOUR[..., 0]


def reread(image, path, **options):
    image.save(path, **options)
    return read(path)


# ---- pixels


def test_grey_colour_palette_and_one_bit(tmp_path):
    assert np.array_equal(reread(Image.fromarray(COLOUR), tmp_path / "a.png"), COLOUR)
    assert np.array_equal(reread(Image.fromarray(GREY), tmp_path / "a.png"), GREY[..., None])
    palette = Image.fromarray(COLOUR).quantize(7)
    assert np.array_equal(reread(palette, tmp_path / "a.gif"), np.asarray(palette.convert("RGB")))
    bits = Image.fromarray(GREY > 127)
    assert np.array_equal(reread(bits, tmp_path / "a.png"), 255 * (GREY > 127)[..., None])
    assert read(Image.fromarray(COLOUR).convert("CMYK")).shape == (6, 9, 3)


def test_transparent_parts_are_laid_on_white(tmp_path):
    alpha = np.full((6, 9), 255, np.uint8)
    alpha[:, :4] = 0
    for pixels, mode in ((np.dstack([COLOUR, alpha]), "RGBA"), (np.dstack([GREY, alpha]), "LA")):
        seen = reread(Image.fromarray(pixels, mode), tmp_path / "a.png")
        assert (seen[:, :4] == 255).all() and np.array_equal(seen[:, 4:], pixels[:, 4:, :-1])
        assert np.array_equal(read(pixels), seen)


def test_sixteen_bits_are_scaled(tmp_path):
    deep = (GREY.astype(np.uint16) * 257 + 3).clip(max=65535).astype(np.uint16)
    for name in ("a.png", "a.tiff"):
        assert np.array_equal(reread(Image.fromarray(deep), tmp_path / name), GREY[..., None])
    with pytest.raises(DetectorError, match="exceed 16 bits"):
        read(Image.fromarray(np.full((3, 3), 70_000, np.int32)))


def test_exif_turns_the_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    seen = reread(Image.fromarray(COLOUR), tmp_path / "a.png", exif=exif)
    assert np.array_equal(seen, np.rot90(COLOUR, -1))


def test_kinds_of_numbers():
    for values, scale in (
        (GREY > 127, 255),
        (GREY.astype(np.int64), 1),
        (GREY.astype(np.uint16) * 257, 1 / 257),
        ((GREY / 255).astype(np.float32), 255),
    ):
        assert np.array_equal(read(values[..., None])[..., 0], np.round(values * scale))


@pytest.mark.parametrize("shape", [(100, 60), (7, 9), (1, 1), (32, 32)])
def test_resizing_is_pillows_and_that_of_the_exported_file(shape):
    image = RANDOM.randint(0, 256, (*shape, 3)).astype(np.uint8)
    pillow = np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))
    ours = resize(image, 32, 3).transpose(1, 2, 0)
    assert np.abs(ours.astype(int) - pillow).max() <= 1  # it rounds after each of two steps
    rows, columns = (resampling(side, 32).numpy() for side in shape)
    exported = np.floor(np.einsum("ih,hwc,jw->ijc", rows, image, columns) + ROUNDING)
    assert np.array_equal(ours, exported)


def test_channels_follow_the_detector():
    assert resize(GREY[..., None], 32, 3).shape == (3, 32, 32)
    grey = np.asarray(Image.fromarray(COLOUR).convert("L"))[..., None]
    assert np.array_equal(resize(COLOUR, 32, 1), resize(grey, 32, 1))


# ---- arrays


@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy])
def test_shapes_of_arrays(make):
    images, labels = pictures(4)
    for X in (images, images.transpose(0, 3, 1, 2).copy()):
        assert np.array_equal(read(find_images(make(X)).sources[3]), images[3])
    grey = find_images(make(images[..., 0].copy()))
    assert np.array_equal(read(grey.sources[3]), images[3, ..., :1]) and grey.channels == 1
    named = find_images(make(images), pd.Series([CLASSES[label] for label in labels]))
    assert tuple(named.classes) == CLASSES and np.array_equal(named.labels, labels)
    odd = make(images[:5, :3])  # both ends could be channels: NumPy has them last, torch first
    shape = (3, 32, 3) if make is np.asarray else (32, 3, 3)
    assert read(find_images(odd).sources[0]).shape == shape


def test_tensors_of_different_sizes_have_their_channels_first():
    tensors = [torch.zeros(3, 40, 50), torch.ones(3, 30, 20), torch.ones(30, 20)]
    found = find_images(tensors)
    assert found.sides.tolist() == [[40, 50], [30, 20], [30, 20]] and found.channels == 3


def test_lists_of_pictures_of_any_size(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    arrays = [image[: 20 + i] for i, image in enumerate(pictures(1)[0])]
    for path, array in zip(paths, arrays, strict=True):
        Image.fromarray(array).save(path)
    expected = trained().decision_function(paths)
    for X in (arrays, [Image.open(path) for path in paths]):
        assert np.array_equal(trained().decision_function(X), expected)
    mixed = find_images([GREY, Image.fromarray(COLOUR[:4])])
    assert mixed.channels == 3 and mixed.sides.tolist() == [[6, 9], [4, 9]]
    with pytest.raises(ValueError):
        find_images([GREY, "a file"])


@pytest.mark.filterwarnings("ignore")  # some of them warn before they are refused
@pytest.mark.parametrize(
    "X, y, message",
    [
        (np.zeros((30, 5)), None, "Reshape your data"),
        (np.zeros((30, 5, 5, 7)), None, "1 to 4 channels"),
        (np.zeros((48, 64, 3)), None, r"single image of shape .48, 64, 3. .* X.None."),
        (np.full((30, 32, 32), "a"), None, "numeric"),
        (np.full((30, 32, 32), 2.0), None, "go from 2 to 2: scale them"),
        (np.zeros((30, 32, 32)), np.zeros(29), "inconsistent numbers of samples"),
        (np.zeros((30, 32, 32)), np.full(30, np.nan), "Input y contains NaN"),
        (np.zeros((30, 32, 32)), ["a", np.nan] * 15, "Input y contains None or NaN"),
        (np.zeros((19, 32, 32)), np.zeros(19), "a detector needs at least 20"),
        (np.zeros((30, 32, 32)), None, "clustering needs 21 different images"),
        (None, None, "scalar"),
        ("nowhere", None, "there is no nowhere"),
    ],
)
def test_what_is_no_array_of_images_is_refused(X, y, message):
    with pytest.raises(ValueError, match=message):
        YGANDetector(**TINY).fit(X, y)


# ---- folders


def found(X, training=True):
    lines = []
    images = find_images(X, training=training, say=lines.append)
    return images, tuple(images.classes), " ".join(lines)


def test_the_layout_of_the_authors_public_code(tmp_path):
    for part in ("train/0.normal", "train/1.abnormal", "test/0.normal", "test/1.abnormal"):
        write_folder(tmp_path / part, 3)
    for root in (tmp_path, tmp_path / "train"):
        images, classes, lines = found(root)
        assert classes == CLASSES and len(images) == 9 and "authors' public code" in lines
    for root in (tmp_path, tmp_path / "test"):
        images, _, lines = found(root, training=False)
        assert images.anomalous.tolist() == [False] * 9 + [True] * 9 and "known" in lines


def test_the_layout_of_mvtec_ad(tmp_path):
    for name in ("train/good/0", "train/good/1", "test/good/0", "test/good/1", "test/broken/0"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(COLOUR).save(tmp_path / f"{name}.png")
    shutil.copytree(tmp_path / "test/broken", tmp_path / "ground_truth/broken")
    images, classes, _ = found(tmp_path)
    assert classes == ("good",) and len(images) == 2
    images, *_ = found(tmp_path, training=False)
    assert images.names.tolist() == ["broken/0.png", "good/0.png", "good/1.png"]
    assert images.anomalous.tolist() == [True, False, False]


def test_a_folder_with_train_and_test_is_no_two_classes(tmp_path):
    write_folder(tmp_path / "leaves" / "train", 4)
    write_folder(tmp_path / "leaves" / "test", 2)
    images, classes, lines = found(tmp_path)  # an archive may have a folder of its own
    assert classes == CLASSES and len(images) == 12 and "images are read from" in lines
    assert len(found(tmp_path / "leaves", training=False)[0]) == 6


def test_what_is_left_out_is_said(tmp_path):
    write_folder(tmp_path, 4)
    for name in ("empty", ".hidden", "1.abnormal", "square/deeper", "a.ygan.training"):
        (tmp_path / name).mkdir()
    for name in (*(f"{i}.HEIC" for i in range(6)), "notes.txt", "._000.png"):
        (tmp_path / "round" / name).write_text("no image")
    image = Image.fromarray(COLOUR)
    for name in ("square/deeper/a.jpg", "beside.png", "1.abnormal/a.png"):
        image.save(tmp_path / name)
    image.save(tmp_path / "round" / "pages.tiff", save_all=True, append_images=[image])
    with pytest.warns(UserWarning) as warned:
        images, classes, lines = found(tmp_path)
    warnings = " ".join(str(w.message) for w in warned)
    assert "round/0.HEIC cannot be read" in warnings and "._000.png" not in warnings
    assert "2 more files cannot be read and were left out: 1 .heic, 1 .txt" in warnings
    assert "1 files hold several pages" in warnings and "folder empty is empty" in warnings
    assert "1 files beside the class folders" in warnings
    assert f"{tmp_path / '1.abnormal'} is left out" in lines
    assert classes == CLASSES and np.bincount(images.labels).tolist() == [5, 5, 4]
    with pytest.warns(UserWarning, match="2 more files"):
        assert len(found(tmp_path, training=False)[0]) == 16


def test_a_single_class_is_clustered(tmp_path, capsys):
    (tmp_path / "class").mkdir()
    for i, image in enumerate(pictures(10)[0]):
        Image.fromarray(image).save(tmp_path / "class" / f"{i}.png")
    flat, one = found(tmp_path / "class")[0], found(tmp_path)[0]
    assert np.array_equal(flat.labels, one.labels) and not flat.labels.any()
    detector = YGANDetector(**{**TINY, "verbose": True}).fit(tmp_path)
    assert f"clustering\n{len(detector.classes_)} clusters; " in capsys.readouterr().out
    assert detector.clustered_ and detector.classes_[0] == "cluster 1"


def test_files_that_cannot_be_read_are_named_and_left_out(tmp_path):
    folder = write_folder(tmp_path, 20, ending="jpg")
    cut = folder / "round" / "003.jpg"
    cut.write_bytes(cut.read_bytes()[:-100])  # its header is whole
    (folder / "square" / "025.jpg").write_bytes(b"no image")
    (folder / "square" / "026.jpg").unlink()
    (folder / "square" / "026.jpg").symlink_to(tmp_path / "nowhere.jpg")
    Image.new("L", (24, 24)).save(folder / "square" / "027.eps")  # Ghostscript would run it
    with pytest.warns(UserWarning) as warned:
        detector = YGANDetector(**TINY).fit(folder)
    lines = [str(w.message).split() for w in warned if "cannot be read" in str(w.message)]
    names = ["square/025.jpg", "square/026.jpg", "square/027.eps", "round/003.jpg"]
    assert [line[0] for line in lines] == names
    assert len(detector.names_) == len(detector.decision_scores_) == 57
    with pytest.warns(UserWarning, match="round/003.jpg cannot be read and was left out"):
        table = detector.examine(folder)
    assert table["file"].tolist() == sorted(detector.names_)
    assert np.allclose(table["score"], detector.decision_scores_, atol=1e-6)
    for path in [*folder.glob("round/*.jpg")][:-5]:
        path.write_bytes(cut.read_bytes())
    with pytest.raises(DetectorError, match="only .* images can be read"):
        YGANDetector(**TINY).fit(folder / "round")


def test_a_file_of_a_list_that_cannot_be_read_takes_its_label_along(tmp_path):
    paths = sorted(write_folder(tmp_path, 3).rglob("*.png"))
    labels = [path.parent.name for path in paths]
    paths[4].write_bytes(b"no image")
    with pytest.warns(UserWarning, match="cannot be read and was left out"):
        images = find_images(paths, labels)
    assert [images.classes[label] for label in images.labels] == labels[:4] + labels[5:]


def test_images_that_make_a_poor_detector_are_warned_of(tmp_path):
    write_folder(tmp_path, 20)
    for path in sorted((tmp_path / "round").iterdir())[7:]:
        path.unlink()
    Image.fromarray(pictures(1, 200)[0][0]).save(tmp_path / "square" / "large.png")
    with (
        pytest.warns(UserWarning, match=r"fewer than 20 images: round \(7\)"),
        pytest.warns(UserWarning, match="32 to 200 px differ widely in size"),
    ):
        training.check(found(tmp_path)[0], print)
    images, labels = pictures(15)
    images[40] = images[3]
    with (
        pytest.warns(UserWarning, match="nearly black"),
        pytest.warns(UserWarning, match="1 images are in two classes, for instance 40 is 3"),
    ):
        training.warn_about_pixels(torch.from_numpy(images // 16), labels, np.arange(45))


def test_an_image_that_is_too_large_is_not_called_damaged(tmp_path, monkeypatch):
    Image.fromarray(COLOUR).save(tmp_path / "small.png")
    Image.fromarray(pictures(1, 60)[0][0]).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.warns(UserWarning, match="large.png cannot be read .* million pixels: scale it"):
        assert len(find_images(tmp_path)) == 1


def test_a_link_that_leads_round_is_not_followed(tmp_path):
    folder = write_folder(tmp_path / "images", 2)
    (folder / CLASSES[0] / "again").symlink_to(folder, target_is_directory=True)
    shutil.move(folder / CLASSES[1], tmp_path / "elsewhere")
    (folder / CLASSES[1]).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert len(found(folder)[0]) == 2 * len(CLASSES)


@pytest.mark.skipif(os.name != "posix", reason="names are bytes")
def test_names_that_are_not_utf_8_can_be_written(tmp_path):
    write_folder(tmp_path, 2)
    os.rename(os.fsencode(tmp_path / "round"), os.fsencode(tmp_path) + b"/M\xfcnze")
    images, classes, _ = found(tmp_path)
    assert classes[0] == "M\\xfcnze" and images.names[0] == "M\\xfcnze/000.png"
    given = find_images(np.zeros((2, 9, 9)), ["a", os.fsdecode(b"M\xfcnze")])
    assert given.classes == ["M\\xfcnze", "a"]
