"""P-Net, ARNet, Patch SVDD, PaDiM, the nearest neighbours and background only: each against an outside oracle."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.spatial.distance import cdist, mahalanobis

from ygan_core.config import Config
from ygan_core.data import load
from ygan_core.data.augment import augment
from ygan_core.metrics import auc
from ygan_core.scores import to_input
from ygan_study import Study
from ygan_study.methods import BASELINES, Baseline, arnet, knn, padim, patch_svdd
from ygan_study.methods.arnet import ARNet, erase
from ygan_study.methods.background import background_only
from ygan_study.methods.imagenet import feature_maps, frozen_network, network_input, pooled_features
from ygan_study.methods.knn import FeatureKNN, PixelKNN, nearest
from ygan_study.methods.p_net import PNet, structure
from ygan_study.methods.padim import PaDiM
from ygan_study.methods.patch_svdd import PatchSVDD, pairs
from ygan_study.plan.jobs import Job
from ygan_study.plan.profiles import profile_config

TRAINED = [PNet, ARNet, PatchSVDD]
SYSTEMS = [*TRAINED, PaDiM, PixelKNN, FeatureKNN]


@pytest.fixture(autouse=True)
def small_bank(monkeypatch):
    monkeypatch.setattr(patch_svdd, "BANK", 300)


@pytest.fixture
def few(images):
    return images[0][:32]


@pytest.fixture
def once(small):
    return replace(small, epochs=1)


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("system", SYSTEMS)
def test_an_image_scores_the_same_alone_and_in_a_batch(system, once, few):
    fitted = system(once).fit(few)
    together = fitted.score(few[:5])
    assert together.shape == (5,) and together.dtype == torch.float64 and together.isfinite().all()
    alone = torch.cat([fitted.score(few[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        fitted.score(few.flip(0), batch_size=7).flip(0)[:5], together, rtol=1e-4, atol=1e-5
    )
    assert len(together.unique()) == 5


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_fit_is_repeatable_and_never_looks_at_labels(system, once, few):
    new = 255 - few[:4]
    first = system(once).fit(few).score(new)
    torch.rand(7)
    again = system(once).fit(few, labels=torch.arange(len(few)) % 3).score(new)
    assert first.equal(again)


@pytest.mark.parametrize("system", SYSTEMS)
def test_grey_images_and_larger_ones(system, once):
    images = ((rand(17, 1, 64, 64) + 1) * 127).to(torch.uint8)
    assert system(once).fit(images).score(images[:3]).shape == (3,)


@pytest.mark.parametrize("system", SYSTEMS)
def test_ones_are_told_from_other_digits(system):
    data = load("mnist")
    ones, others = data.images[data.labels == 1], data.images[data.labels != 1][::180]
    fitted = system(Config(width=8, epochs=3, batch_size=16)).fit(
        ones[: 320 if system.trains else 100]
    )
    scores = fitted.score(torch.cat([ones[320:370], others]))
    assert auc(scores, torch.arange(len(scores)) >= 50) > 0.85


def test_rivals_are_those_of_the_paper_and_the_floors():
    assert [(name, rival.title, rival.kind) for name, rival in BASELINES.items()] == [
        ("ganomaly", "GANomaly", "RB"),
        ("skip_ganomaly", "Skip-GANomaly", "RB"),
        ("ocgan", "OCGAN", "RB"),
        ("f_anogan", "f-AnoGAN", "RB"),
        ("p_net", "P-Net", "RB"),
        ("arnet", "ARNet", "PT"),
        ("patch_svdd", "Patch SVDD", "PT"),
        ("padim", "PaDiM", "PC"),
        ("knn_pixels", "kNN on pixels", "floor"),
        ("knn_features", "kNN on ImageNet features", "floor"),
    ]
    assert [name for name, rival in BASELINES.items() if rival.knows == "ImageNet weights"] == [
        "padim",
        "knn_features",
    ]
    assert [name for name, rival in BASELINES.items() if not rival.trains] == [
        "padim",
        "knn_pixels",
        "knn_features",
    ]


class Watched(Baseline):
    """Learns nothing, and keeps what it was shown."""

    title = "Watched"

    def prepare(self, images):
        self.seen, self.finished = [], None

    def step(self, x, p):
        self.seen.append((x, p))
        return {"L": x.mean()}

    def finish(self, images):
        self.finished = images


@pytest.mark.parametrize("augmentation", ["none", "leaves"])
def test_batches_are_augmented_as_y_gans_are_and_nothing_else_is(small, few, augmentation):
    config = replace(small, seed=3, augmentation=augmentation)
    fitted = Watched(config).fit(few)
    assert [p for _, p in fitted.seen] == [step / 8 for step in range(8)] and fitted.finished.equal(
        few
    )
    order = torch.randperm(32, generator=torch.Generator().manual_seed(3))
    for step, batch in enumerate(order.split(16)):
        shown = (
            augment(few[batch], 3 * 2**32 + step)
            if augmentation == "leaves"
            else to_input(few[batch])
        )
        assert fitted.seen[step][0].equal(shown)
    assert len(fitted.fit(few).history) == 4 and len(fitted.seen) == 8  # a second fit begins anew


def test_seconds_are_of_the_whole_fit(once, few, monkeypatch):
    monkeypatch.setattr(Watched, "finish", lambda self, images: time.sleep(0.2))
    assert Watched(once).fit(few).history[-1]["seconds"] > 0.2
    monkeypatch.setattr(Watched, "trains", False)
    ((name, seconds),) = Watched(once).fit(few[:3]).history[0].items()
    assert name == "seconds" and seconds > 0.2


def check_in_study(method, dataset, folder):
    job = Job(
        replace(
            profile_config(
                "smoke", dataset, "balanced", {} if dataset == "plantvillage" else {"held_out": 4}
            ),
            method=method,
        )
    )
    study = Study("smoke", folder)
    run = study.run(job)
    assert study.run(job).metrics == run.metrics and study.state(job) == "done"
    assert (
        run.scores.dtype == np.float64
        and np.isfinite(run.scores).all()
        and 0 <= run.metrics["auc"] <= 1
    )
    assert len(run.losses) == (run.config.epochs if BASELINES[method].trains else 1)
    assert run.about["seconds"] == round(run.losses["seconds"].sum(), 1)
    assert {"auc", "tpr", "training_seconds"} <= set(study.write_runs()["metric"])
    kept = sum(tensor.numel() for tensor in load_file(run.folder / "last.safetensors").values())
    assert (kept > 0) == BASELINES[
        method
    ].trains and kept < 2_000_000  # no memory bank, no ImageNet network


@pytest.mark.parametrize("method", ["patch_svdd", "knn_pixels"])
def test_a_study_runs_and_keeps_it(method, tmp_path):
    check_in_study(method, "mnist", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["mnist", "cifar10", "plantvillage"])
@pytest.mark.parametrize("method", BASELINES)
def test_a_study_runs_and_keeps_every_rival_on_every_kind_of_image(method, dataset, tmp_path):
    check_in_study(method, dataset, tmp_path)


# PaDiM


def test_padim_is_mahalanobis_distance_at_each_position(once, images):
    train, test = images[0][:60], images[0][60:64]
    fitted = PaDiM(once).fit(train)
    known, new = (fitted.embed(to_input(part)) for part in (train, test))
    assert known.shape == (60, 256, 100)
    distances = fitted.distances(new)
    for position in (0, 100, 255):
        at = known[:, position].double().numpy()
        inverse = np.linalg.inv(np.cov(at, rowvar=False) + 0.01 * np.eye(100))
        expected = [mahalanobis(e, at.mean(0), inverse) for e in new[:, position].double().numpy()]
        np.testing.assert_allclose(distances[:, position].numpy(), expected, rtol=1e-3)


def test_padim_streams_its_gaussians():
    e = rand(50, 3, 4).double() + 1000
    mean, covariance = padim.gaussians(e.split(7))
    torch.testing.assert_close(mean, e.mean(dim=0))
    for p in range(3):
        expected = np.cov(e[:, p].numpy(), rowvar=False) + 0.01 * np.eye(4)
        np.testing.assert_allclose(covariance[p].numpy(), expected, rtol=1e-7, atol=1e-12)


def test_padim_takes_the_largest_distance_smoothed(once, few):
    fitted = PaDiM(once).fit(few)
    here = torch.ones(2, 256)
    here[1, 137] = 9
    fitted.embed, fitted.distances = lambda x: None, lambda embedding: here
    flat, peak = fitted.score_batch(few).tolist()
    assert flat == pytest.approx(1) and 3 < peak < 9


# the frozen network


def test_frozen_network():
    network, name = frozen_network()
    assert (
        "Lite0" in name
        and not network.training
        and not any(p.requires_grad for p in network.parameters())
    )
    pixels = torch.randint(256, (2, 3, 64, 64), generator=torch.Generator().manual_seed(0)).to(
        torch.uint8
    )
    x = network_input(to_input(pixels))
    torch.testing.assert_close(x, (pixels.float() - 127) / 128, rtol=0, atol=1e-6)
    assert (
        network_input(rand(2, 1, 32, 32)).shape == (2, 3, 64, 64)
        and network_input(rand(1, 3, 256, 256)).shape[-1] == 224
    )
    maps = feature_maps(network, x, (2, 4, 10, 15))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (24, 16, 16),
        (40, 8, 8),
        (112, 4, 4),
        (320, 2, 2),
    ]
    head = network._swish(network._bn1(network._conv_head(maps[-1])))
    torch.testing.assert_close(head.mean(dim=(2, 3)), pooled_features(network, x))


# nearest neighbours


def test_nearest_against_brute_force(monkeypatch):
    monkeypatch.setattr(knn, "AT_ONCE", 1000)  # 5 queries at a time
    queries, bank = rand(23, 6), rand(200, 6, seed=1)
    expected = np.sort(cdist(queries.numpy(), bank.numpy()), axis=1)[:, :3]
    np.testing.assert_allclose(nearest(queries, bank, 3).numpy(), expected, rtol=1e-5)


def test_nearest_keeps_small_distances():
    bank = rand(50, 8) + 100
    assert nearest(bank[:3], bank).abs().max() == 0
    np.testing.assert_allclose(nearest(bank[:1] + 1e-3, bank).item(), 1e-3 * 8**0.5, rtol=1e-2)


def test_knn_score_is_the_mean_distance_to_two(once, images):
    train, test = images[0][:70], images[0][70:]
    pixels = [to_input(part).flatten(1).numpy() for part in (test, train)]
    expected = np.sort(cdist(*pixels), axis=1)[:, :2].mean(axis=1)
    np.testing.assert_allclose(PixelKNN(once).fit(train).score(test).numpy(), expected, rtol=1e-4)

    fitted, network = FeatureKNN(once).fit(train), frozen_network()[0]
    features = [
        pooled_features(network, network_input(to_input(part))).numpy() for part in (test, train)
    ]
    expected = np.sort(cdist(*features), axis=1)[:, :2].mean(axis=1)
    np.testing.assert_allclose(fitted.score(test).numpy(), expected, rtol=1e-3)
    assert not fitted.state_dict()  # neither the network nor the bank goes into a checkpoint


# Patch SVDD


@pytest.mark.parametrize("S", [32, 64])
def test_patch_embeddings_are_those_of_the_patches_alone(S, once, few):
    fitted = PatchSVDD(once).fit(
        few.repeat_interleave(S // 32, dim=2).repeat_interleave(S // 32, dim=3)
    )
    x = rand(2, 3, S, S)
    for _, encoder, size in fitted.scales:
        assert size in (S // 8, S // 4)
        h = fitted.embed(x, encoder, size)
        assert h.shape == (2, (S - size) // (size // 4) + 1, (S - size) // (size // 4) + 1, 64)
        row, column = 3 * size // 4, 5 * (size // 4)
        patch = encoder(x[:, :, row : row + size, column : column + size])
        assert patch.shape == (2, 64, 1, 1)
        torch.testing.assert_close(h[:, 3, 5], patch.flatten(1), rtol=1e-4, atol=1e-5)


def test_patch_svdd_map_against_brute_force(once, few):
    fitted, x = PatchSVDD(once).fit(few), rand(1, 3, 32, 32)
    expected = np.ones((32, 32))
    for name, encoder, size in fitted.scales:
        bank, total, count = (
            fitted.get_buffer(f"bank_{name}").numpy(),
            np.zeros((32, 32)),
            np.zeros((32, 32)),
        )
        assert len(bank) == patch_svdd.BANK
        for row in range(0, 32 - size + 1, size // 4):
            for column in range(0, 32 - size + 1, size // 4):
                here = np.s_[row : row + size, column : column + size]
                h = encoder(x[(..., *here)]).detach().flatten(1).numpy()
                total[here] += cdist(h, bank).min()
                count[here] += 1
        expected *= total / count
    with torch.no_grad():
        np.testing.assert_allclose(fitted.anomaly_map(x)[0].numpy(), expected, rtol=1e-3)
        assert fitted.score_batch(x).item() == pytest.approx(expected.max(), rel=1e-3)


def test_patch_svdd_bank_holds_embeddings_of_training_patches(once, few):
    fitted = PatchSVDD(once).fit(few)
    with torch.no_grad():
        known = fitted.embed(to_input(few), fitted.scales[1][1], 8).flatten(0, 2)
    assert nearest(fitted.bank_large, known).max() < 1e-4
    assert len(fitted.bank_large.unique(dim=0)) == patch_svdd.BANK  # no patch twice


def test_pairs_lie_as_far_apart_as_asked_and_inside():
    S, n = 32, 4000
    x = torch.arange(S * S).float().view(1, 1, S, S).expand(n, -1, -1, -1)
    offset = patch_svdd.DIRECTIONS[torch.arange(n) % 8] * torch.tensor([6, 7])
    first, second = pairs(x, 8, offset)
    corners = torch.stack(
        [torch.stack([p[:, 0, 0, 0] // S, p[:, 0, 0, 0] % S], dim=1) for p in (first, second)]
    )
    assert (corners[1] - corners[0]).equal(offset.float())
    assert corners.min() == 0 and corners.max() == S - 8
    assert first[0, 0].equal(x[0, 0].unfold(0, 8, 1).unfold(1, 8, 1)[tuple(corners[0, 0].long())])


# ARNet


@pytest.mark.parametrize("channels", [1, 3])
def test_erasures_are_undone_by_turning_back(channels):
    x = rand(2, channels, 32, 32)
    grey = erase(x, 0)
    for turns in range(4):
        erased = erase(x, turns)
        assert erased.shape == (2, 1, 32, 32) and erased.rot90(-turns, dims=(2, 3)).equal(grey)
        assert turns == 0 or not erased.equal(grey)


def test_greying_erases_colour_and_is_void_on_grey_images():
    x = rand(2, 3, 32, 32)
    assert erase(x[:, :1], 0).equal(x[:, :1])
    red, green, blue = x.unbind(dim=1)
    torch.testing.assert_close(erase(x, 0)[:, 0], (red + green + blue) / 3)


def test_arnet_is_to_restore_the_upright_image(once):
    x = rand(16, 1, 32, 32)
    model = ARNet(once)
    model.prepare(torch.zeros(16, 1, 32, 32, dtype=torch.uint8))
    hold = lambda: 0 * next(model.parameters()).sum()  # noqa: E731
    turned_back = lambda erased: torch.cat(
        [part.rot90(-k, dims=(2, 3)) for k, part in enumerate(erased.chunk(4))]
    )  # noqa: E731
    model.restore = lambda erased: turned_back(erased) + hold()
    assert model.step(x, 0.0)["L2"] == 0
    model.restore = lambda erased: erased + hold()  # what is turned stays turned
    assert model.step(x, 0.0)["L2"] > 0.1
    errors = torch.stack(
        [(x.rot90(k, dims=(2, 3)) - x).abs().mean(dim=(1, 2, 3)) for k in range(4)]
    )
    model.usual = torch.tensor([0.5, 1.0, 2.0, 4.0])
    torch.testing.assert_close(
        model.score_batch(x), (2 * errors[0] + errors[1] + errors[2] / 2 + errors[3] / 4) / 4
    )


def test_arnet_normal_images_score_one_on_average(once, few):
    model = ARNet(once).fit(few)
    assert model.score(few).mean().item() == pytest.approx(1, rel=1e-4)


def test_arnet_learning_rate_falls_in_steps(once, few):
    model, rates = ARNet(once), []
    model.prepare(few)
    for p in (0, 0.49, 0.5, 0.75, 0.99):
        model.step(to_input(few[:4]), p)
        rates.append(model.optimisers["sgd"].param_groups[0]["lr"])
    assert (
        rates == pytest.approx([0.1, 0.1, 0.01, 0.001, 0.001]) and rates[0] == arnet.LEARNING_RATE
    )


# P-Net


@pytest.mark.parametrize("level", [-1.0, 0.3, 1.0])
def test_a_constant_image_has_no_structure(level):
    x = torch.full((2, 3, 32, 32), level, requires_grad=True)
    s = structure(x)
    assert s.shape == (2, 1, 32, 32) and not s.any()
    s.sum().backward()
    assert x.grad.isfinite().all()


def test_the_structure_of_a_step_is_where_the_step_is():
    x = torch.full((1, 3, 32, 32), -1.0)
    x[:, 1, :, 20:] = 1  # in one channel only
    expected = torch.zeros(32, 32)
    expected[:, 19:21] = 1
    assert structure(x)[0, 0].equal(expected)
    assert structure(x.mT)[0, 0].equal(expected.T)
    faint = x.clamp(-1, -0.85)  # 0.075 of the range: under the weak threshold
    assert not structure(faint).any()


def test_structure_passes_gradients():
    x = (0.15 * rand(1, 1, 32, 32)).requires_grad_()
    structure(x).sum().backward()
    assert x.grad.abs().sum() > 0


def test_p_net_score_weighs_image_and_structure(once, few):
    fitted, x = PNet(once).fit(few), torch.full((1, 3, 32, 32), -1.0)
    x[..., 16:] = 1
    fitted.rebuild = lambda x, s: torch.full_like(
        x, -1.0
    )  # half the image wrong, the edge of two columns lost
    assert fitted.score_batch(x).item() == pytest.approx(0.2 * 0.5 + 0.8 * 2 / 32)
    fitted.rebuild = lambda x, s: x
    assert fitted.score_batch(x).item() == 0


# background only


@pytest.mark.parametrize("size, width", [(32, 1), (64, 2), (256, 8)])
def test_background_only_keeps_the_outermost_pixels_and_nothing_else(size, width):
    images = torch.randint(
        1, 256, (2, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    kept, before = background_only(images), images.clone()
    inside = torch.zeros(size, size, dtype=torch.bool)
    inside[width:-width, width:-width] = True
    assert (
        not kept[..., inside].any()
        and kept[..., ~inside].equal(images[..., ~inside])
        and images.equal(before)
    )
