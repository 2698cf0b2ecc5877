"""What the detector takes for images: folders in three layouts, files of every kind, arrays, tensors; and what it refuses."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from small_detector import CLASSES, TINY, pictures, trained, write_folder

from ygan_detector import DetectorError, YGANDetector, training
from ygan_detector.pixels import fitted, from_array, resampling, upright
from ygan_detector.sources import source

pytestmark = pytest.mark.filterwarnings(
    "ignore:threshold", "ignore:class", "ignore:C names", "ignore:a.png is damaged"
)
RANDOM = np.random.RandomState(0)
COLOUR = RANDOM.randint(0, 256, (6, 9, 3)).astype(np.uint8)
GREY = COLOUR[..., 0]


def reread(image, path, **options):
    image.save(path, **options)
    with Image.open(path) as opened:
        return upright(opened)


# ---- pixels


def test_grey_colour_palette_and_one_bit(tmp_path):
    assert np.array_equal(reread(Image.fromarray(COLOUR), tmp_path / "a.png"), COLOUR)
    assert np.array_equal(reread(Image.fromarray(GREY), tmp_path / "a.png"), GREY[..., None])
    palette = Image.fromarray(COLOUR).quantize(7)
    assert np.array_equal(reread(palette, tmp_path / "a.gif"), np.asarray(palette.convert("RGB")))
    bits = Image.fromarray(GREY > 127)
    assert np.array_equal(reread(bits, tmp_path / "a.png"), 255 * (GREY > 127)[..., None])
    assert upright(Image.fromarray(COLOUR).convert("CMYK")).shape == (6, 9, 3)


def test_what_is_transparent_is_laid_on_white(tmp_path):
    alpha = np.full((6, 9), 255, np.uint8)
    alpha[:, :4] = 0
    for pixels in (np.dstack([COLOUR, alpha]), np.dstack([GREY, alpha])):
        seen = reread(
            Image.fromarray(pixels, {4: "RGBA", 2: "LA"}[pixels.shape[-1]]), tmp_path / "a.png"
        )
        assert (seen[:, :4] == 255).all() and np.array_equal(seen[:, 4:], pixels[:, 4:, :-1])
        assert np.array_equal(from_array(pixels), seen)
    palette = Image.fromarray(COLOUR).quantize(7)
    assert (
        reread(palette, tmp_path / "a.png", transparency=palette.getpixel((0, 0)))[0, 0] == 255
    ).all()


def test_sixteen_bits_are_scaled(tmp_path):
    deep = (GREY.astype(np.uint16) * 257 + 3).clip(max=65535).astype(np.uint16)
    for ending in ("png", "tiff"):
        assert np.array_equal(
            reread(Image.fromarray(deep), tmp_path / f"a.{ending}"), GREY[..., None]
        )
    assert np.array_equal(from_array(deep[..., None]), GREY[..., None])
    with pytest.raises(DetectorError, match="more than 16 bits"):
        upright(Image.fromarray(np.full((3, 3), 70_000, np.int32)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_image(orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    flat = np.zeros((40, 80, 3), np.uint8)
    flat[:20, :40] = 255  # its upper left quarter, as it is stored
    seen = reread(Image.fromarray(flat), tmp_path / "a.jpg", exif=exif, quality=95)[..., 0] > 127
    bright = {
        1: (0, 0),
        2: (0, 1),
        3: (1, 1),
        4: (1, 0),
        5: (0, 0),
        6: (0, 1),
        7: (1, 1),
        8: (1, 0),
    }[orientation]
    height, width = seen.shape
    assert (height > width) == (orientation > 4)
    quarters = seen.reshape(2, height // 2, 2, width // 2).mean(axis=(1, 3))
    assert np.unravel_index(quarters.argmax(), (2, 2)) == bright


@pytest.mark.parametrize(
    "dtype, scale",
    [(bool, 255), (np.uint8, 1), (np.int64, 1), (np.uint16, 1 / 257), (np.float32, 255)],
)
def test_kinds_of_numbers(dtype, scale):
    values = (
        (GREY > 127)
        if dtype is bool
        else (GREY / 255).astype(dtype)
        if dtype == np.float32
        else GREY.astype(dtype)
    )
    values = GREY.astype(np.uint16) * 257 if dtype == np.uint16 else values
    assert np.array_equal(from_array(values[..., None])[..., 0], np.round(values * scale))


@pytest.mark.parametrize("shape", [(100, 60), (7, 9), (32, 32), (64, 32)])
def test_resizing_is_pillows(shape):
    image = RANDOM.randint(0, 256, (*shape, 3)).astype(np.uint8)
    pillow = np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))
    ours = fitted(image, 32, 3).transpose(1, 2, 0)
    assert np.abs(ours.astype(int) - pillow).max() <= 1  # it rounds after each of two steps
    rows, columns = (resampling(side, 32).numpy() for side in shape)
    assert np.array_equal(
        ours, np.floor(np.einsum("ih,hwc,jw->ijc", rows, image, columns) + 0.5 + 1e-6)
    )


def test_channels_follow_the_detector():
    assert fitted(GREY[..., None], 32, 3).shape == (3, 32, 32)
    assert np.array_equal(
        fitted(COLOUR, 32, 1),
        fitted(np.asarray(Image.fromarray(COLOUR).convert("L"))[..., None], 32, 1),
    )


# ---- arrays


@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy])
def test_shapes_of_arrays(make):
    images, labels = pictures(4)
    last, first, grey = (
        make(images),
        make(images.transpose(0, 3, 1, 2).copy()),
        make(images[..., 0].copy()),
    )
    assert np.array_equal(source(last).read(3), images[3]) and np.array_equal(
        source(first).read(3), images[3]
    )
    assert np.array_equal(source(grey).read(3), images[3, ..., :1]) and source(grey).grey.all()
    assert (
        source(last, labels).classes == ("0", "1", "2")
        and source(last, [CLASSES[label] for label in labels]).labels[0] == 0
    )


def test_where_both_ends_could_be_channels_numpy_has_them_last_and_torch_first():
    odd = RANDOM.randint(0, 256, (5, 3, 32, 3)).astype(np.uint8)
    assert source(odd).read(0).shape == (3, 32, 3) and source(torch.from_numpy(odd)).read(
        0
    ).shape == (32, 3, 3)


@pytest.mark.filterwarnings("ignore")  # some of them warn before they are refused
@pytest.mark.parametrize(
    "X, y, said",
    [
        (np.zeros((30, 5)), None, "Reshape your data"),
        (np.zeros((30, 5, 5, 7)), None, "1 to 4 channels"),
        (
            np.zeros((48, 64, 3)),
            None,
            r"one image is an array of shape .1, H, W, C., not .48, 64, 3.: give X.None.",
        ),
        (np.zeros((0, 32, 32, 3)), None, "0 sample"),
        (np.zeros((30, 32, 32), complex), None, "Complex data not supported"),
        (np.full((30, 32, 32), "a"), None, "array of <U1"),
        ([np.zeros((3, 3)), np.zeros((4, 4))], None, "one shape"),
        (np.full((30, 32, 32), np.nan), None, "NaN or inf"),
        (np.full((30, 32, 32), 2.0), None, "go from 2 to 2: scale them"),
        (np.full((30, 32, 32), 300), None, "go from 300 to 300: give uint8 or uint16"),
        (np.zeros((30, 32, 32)), np.zeros(29), "a label for each image"),
        (np.zeros((30, 32, 32)), np.full(30, np.nan), "y holds NaN"),
        (np.zeros((19, 32, 32)), np.zeros(19), "a detector needs 20 at least"),
        (np.zeros((30, 32, 32)), None, "clustering needs 21 different images"),
        (None, None, "images are a folder"),
        ("nowhere", None, "there is no nowhere"),
    ],
)
def test_what_is_no_array_of_images_is_refused(X, y, said):
    with pytest.raises(DetectorError, match=said) as raised:
        YGANDetector(**TINY).fit(X, y)
    assert "\n" not in str(raised.value)


# ---- folders


def said(X, training=True):
    lines = []
    return source(X, training=training, say=lines.append), " ".join(lines)


def test_a_subfolder_is_a_class(tmp_path):
    found, _ = said(write_folder(tmp_path, 4))
    assert found.classes == CLASSES and np.bincount(found.labels).tolist() == [4, 4, 4]
    assert found.names[0] == "round/000.png"


def test_the_layout_of_the_authors_public_code(tmp_path):
    write_folder(tmp_path / "train" / "0.normal", 4)
    write_folder(tmp_path / "train" / "1.abnormal", 2)
    write_folder(tmp_path / "test" / "0.normal", 3)
    write_folder(tmp_path / "test" / "1.abnormal", 2)
    for root in (tmp_path, tmp_path / "train"):
        found, lines = said(root)
        assert found.classes == CLASSES and len(found) == 12
        assert (
            "authors' public code, 3 normal classes" in lines
            and "1.abnormal is left alone" in lines
        )
    for root in (tmp_path, tmp_path / "test"):
        found, lines = said(root, training=False)
        assert (
            found.anomalous.tolist() == [False] * 9 + [True] * 6
            and "it is known which images are anomalies" in lines
        )
    shutil.rmtree(tmp_path / "train" / "1.abnormal")
    found, _ = said(tmp_path / "train", training=False)
    assert found.anomalous.tolist() == [False] * 12


def test_a_folder_with_train_and_test_is_no_two_classes(tmp_path):
    write_folder(tmp_path / "leaves" / "train", 4)
    write_folder(tmp_path / "leaves" / "test", 2)
    found, lines = said(tmp_path)  # and an archive may have unpacked it into a folder of its own
    assert found.classes == CLASSES and "read from its folder train/" in lines


def test_what_else_lies_in_a_folder_is_left_out(tmp_path):
    write_folder(tmp_path, 4)
    (tmp_path / "empty").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "round" / "notes.txt").write_text("no image")
    (tmp_path / "round" / "._000.png").write_text("left by a Mac")
    (tmp_path / "square" / "deeper").mkdir()
    Image.fromarray(COLOUR).save(tmp_path / "square" / "deeper" / "a.JPG".replace("JPG", "jpg"))
    Image.fromarray(COLOUR).save(tmp_path / "beside.png")
    with pytest.warns(UserWarning) as warned:
        found, _ = said(tmp_path)
    lines = " ".join(str(w.message) for w in warned)
    assert (
        "1 images lie beside the class folders" in lines
        and "the folder empty holds no images" in lines
    )
    assert found.classes == CLASSES and np.bincount(found.labels).tolist() == [4, 5, 4]
    everything, _ = said(tmp_path, training=False)
    assert len(everything) == 14 and everything.labels is None


def test_without_subfolders_or_with_one_the_classes_are_clusters(tmp_path, capsys):
    images, _ = pictures(10)
    for place, line in (("flat", "no subfolders"), ("one/class", "one class alone")):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / f"{i}.png")
        detector = YGANDetector(**{**TINY, "verbose": True}).fit(tmp_path / place.split("/")[0])
        shown = capsys.readouterr().out
        assert (
            line in shown
            and "weak labels are made by clustering" in shown
            and f"{len(detector.classes_)} clusters" in shown
        )
        assert (
            detector.weak_ and detector.classes_[0] == "cluster 1" and len(detector.classes_) >= 2
        )


def test_damaged_files_are_named_and_left_out(tmp_path):
    folder = write_folder(tmp_path, 20, ending="jpg")
    Image.fromarray(pictures(1, 100)[0][0]).save(folder / "round" / "003.jpg")
    whole = (folder / "round" / "003.jpg").read_bytes()
    (folder / "round" / "003.jpg").write_bytes(whole[: len(whole) // 2])  # its header is whole
    (folder / "square" / "025.jpg").write_bytes(b"no image")
    (folder / "square" / "026.jpg").write_bytes(b"")
    with pytest.warns(UserWarning) as warned:
        detector = YGANDetector(**TINY).fit(folder)
    lines = [str(w.message) for w in warned if "damaged" in str(w.message)]
    assert [line.split()[0] for line in lines] == [
        "square/025.jpg",
        "square/026.jpg",
        "round/003.jpg",
    ]
    assert (
        len(detector.names_) == len(detector.decision_scores_) == 57
        and "round/003.jpg" not in detector.names_
    )
    with pytest.warns(UserWarning, match="round/003.jpg is damaged and was left out"):
        table = detector.examine(folder)
    assert table["file"].tolist() == sorted(detector.names_) and np.allclose(
        table["score"], detector.decision_scores_, atol=1e-6
    )


def test_a_file_a_list_of_files_and_odd_names(tmp_path):
    names = ["ä ö.png", "a&b<c>.png", "日本.png"]
    for name, image in zip(names, pictures(1)[0], strict=True):
        Image.fromarray(image).save(tmp_path / name)
    detector, expected = trained(), trained().decision_function(pictures(1)[0])
    assert np.allclose(
        detector.decision_function([tmp_path / name for name in names]), expected, atol=1e-6
    )
    assert np.allclose(
        detector.decision_function(str(tmp_path / names[0])), expected[:1], atol=1e-6
    )
    assert detector.examine([str(tmp_path / names[1])])["file"].item().endswith("a&b<c>.png")


def test_a_file_of_a_list_that_cannot_be_read_takes_its_label_along(tmp_path):
    paths = sorted(write_folder(tmp_path, 3).rglob("*.png"))
    labels = [path.parent.name for path in paths]
    paths[4].write_bytes(b"no image")
    with pytest.warns(UserWarning, match="damaged and was left out"):
        found = source(paths, labels)
    assert [found.classes[label] for label in found.labels] == labels[:4] + labels[5:] and len(
        found
    ) == 8
    with pytest.raises(DetectorError, match="a label for each image: shape .9,., not .8,."):
        source(paths, labels[1:])


def test_small_classes_and_sizes_that_differ_are_spoken_of(tmp_path):
    write_folder(tmp_path, 20)
    for path in sorted((tmp_path / "round").iterdir())[7:]:
        path.unlink()
    Image.fromarray(pictures(1, 200)[0][0]).save(tmp_path / "square" / "large.png")
    with pytest.warns(UserWarning) as warned:
        training.remarks(said(tmp_path)[0])
    lines = [str(w.message) for w in warned]
    assert lines == [
        "class round has 7 images, under 20: add some, or merge it with another",
        "the images differ wildly in size, from 32 to 200 px: the small ones will be blurred",
    ]


def test_grey_files_make_a_grey_detector_that_takes_colour_too(tmp_path):
    images, labels = pictures(10)
    detector = YGANDetector(**TINY).fit(images[..., 0], labels)
    assert detector.channels_ == 1 and detector.decision_function(images).shape == (30,)


def test_nearly_black_images_are_spoken_of():
    images, labels = pictures(10)
    with pytest.warns(UserWarning, match="nearly black"):
        YGANDetector(**TINY).fit(images // 16, labels)


@pytest.mark.parametrize(
    "content", [{}, {"a.txt": b"text"}, {"a.png": b"broken"}, {"a.heic": b"a phone's"}]
)
def test_a_folder_without_images_is_refused(tmp_path, content):
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DetectorError, match="no image that can be read in"):
        source(tmp_path, training=True)


def test_a_link_that_leads_round_is_not_followed(tmp_path):
    folder = write_folder(tmp_path / "images", 2)
    (folder / CLASSES[0] / "again").symlink_to(folder, target_is_directory=True)
    (folder / CLASSES[0] / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.warns(UserWarning, match="gone.png is damaged and was left out"):
        assert len(source(folder).names) == 2 * len(CLASSES)
