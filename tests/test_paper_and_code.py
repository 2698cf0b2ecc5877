import copy
import os
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from ygan_core import losses, scores
from ygan_core.config import Config, ConfigError
from ygan_core.model import running_statistics_untouched
from ygan_core.study import company as in_batches
from ygan_core.study.benchmark.authors import held_against
from ygan_core.study.measure.batch_statistics import ALONE, APART, AUTHORS, PLACES, SHUFFLED, SORTED, batch_statistics, batches, doubt
from ygan_core.study.plan.deviations import DEPARTURES, PublicCode, applies, step_seconds
from ygan_core.study.show.figures import draw, paper_and_code
from ygan_core.study.show.verdicts import verdict
from ygan_core.study.show.tables import tabulate
from ygan_core.train import Trainer, train


@pytest.fixture
def batch(images, small):
    """The arguments of a step, by the departure's name: its Trainer in training mode, x, y, partner, lambda_R."""

    def made(name=None, **settings):
        trainer = DEPARTURES.get(name, Trainer)(replace(small, dataset="mnist", **settings), *images)
        trainer.model.train()
        partner = torch.randperm(16, generator=torch.Generator().manual_seed(3))
        return trainer, scores.to_input(images[0][:16]), images[1][:16], partner, torch.tensor(0.5)

    return made


def gradients(network):
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in network.parameters()]


def test_detached_features_keep_L_adv_from_the_generator_and_give_it_to_Ds(batch):
    alone = dict(lambda_1=0.0, lambda_3=0.0, lambda_4=0.0, lambda_5=0.0)
    trainer, *rest = batch(**alone)
    trainer.step(*rest)
    assert any(gradient.any() for gradient in gradients(trainer.model.D))
    trainer, x, *rest = batch("detached_features", **alone)
    before = copy.deepcopy(trainer.model)
    terms = trainer.step(x, *rest)
    assert not any(gradient.any() for part in ("D", "E_s", "E_r", "C") for gradient in gradients(getattr(trainer.model, part)))
    x_hat = before.D(*before.encode(x)).detach()
    (logit_x, f_x), (logit_x_hat, f_x_hat) = before.Ds(x), before.Ds(x_hat)
    L_adv, L_bce = losses.L_adv(f_x, f_x_hat), losses.L_bce(logit_x, logit_x_hat)
    assert terms.tolist() == pytest.approx([L_adv.item(), L_bce.item()], rel=1e-5)
    (L_adv + L_bce / 2).backward()
    for found, expected in zip(gradients(trainer.model.Ds), gradients(before.Ds), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_norm_first_moves_the_norms_and_keeps_the_initial_weights(batch):
    plain, moved = batch()[0].model, batch("norm_first")[0].model
    kinds = {nn.Conv2d: "c", nn.ConvTranspose2d: "c", nn.LeakyReLU: "a", nn.ReLU: "a", nn.BatchNorm2d: "n", nn.Tanh: "t"}

    def order(layers):
        return "".join(kinds[type(layer)] for layer in layers)

    assert order(plain.E_s.features) == "cancancan" and order(plain.D.layers) == "cancancanct"
    for network in (moved.E_s, moved.E_r, moved.Ds):
        assert order(network.features) == "cacnacna"
    assert order(moved.D.layers) == "cnacnacnact"
    for part in ("E_s", "D", "Ds"):
        kernels = [[p for p in getattr(model, part).parameters() if p.dim() == 4] for model in (plain, moved)]
        assert all(a.equal(b) for a, b in zip(*kernels, strict=True))


def test_permutations_average_over_different_partners(batch):
    trainer, x, _, partner, _ = batch("permutations")
    z_s, z_r = trainer.model.encode(x)
    drawn = [partner.roll(shift) for shift in range(4)]
    assert (torch.stack(drawn).sort(0).values.diff(dim=0) > 0).all()  # four partners for every image, none twice
    expected = torch.stack([Trainer.consistency(trainer, z_s, z_r, each) for each in drawn]).mean()
    torch.testing.assert_close(trainer.consistency(z_s, z_r, partner), expected)


def test_the_departures_of_the_consistency_loss(batch):
    opposite = torch.eye(16), -torch.eye(16)
    assert batch()[0].agreement(*opposite).item() == pytest.approx(1)
    assert batch("absolute_cosine")[0].agreement(*opposite).item() == pytest.approx(0)
    assert batch("absolute_cosine")[0].agreement(torch.eye(16), torch.eye(16).roll(1, 0)).item() == pytest.approx(1)

    z_s, z_r = torch.randn(16, 100, requires_grad=True), torch.randn(16, 100, requires_grad=True)
    assert torch.autograd.grad(batch()[0].hybrid(z_s, z_r).square().sum(), z_s)[0].any()
    hybrid = batch("detached_inputs")[0].hybrid(z_s, z_r)
    assert hybrid.requires_grad and torch.autograd.grad(hybrid.sum(), z_s, allow_unused=True) == (None,)

    stretched = batch("rescaled_hybrids")[0].hybrid(z_s, z_r)
    assert torch.allclose(stretched.amin((1, 2, 3)), -torch.ones(16)) and torch.allclose(
        stretched.amax((1, 2, 3)), torch.ones(16)
    )
    flat, plain = stretched.flatten(1), batch()[0].hybrid(z_s, z_r).flatten(1)
    assert np.corrcoef(flat[0].detach(), plain[0].detach())[0, 1] == pytest.approx(1)

    trainer, x, _, partner, _ = batch("mirrored")
    z_s, z_r = trainer.model.encode(x)
    with running_statistics_untouched(trainer.model):
        both = [
            (z_s, trainer.model.E_s(trainer.model.D(z_s, z_r[partner]))),
            (z_r, trainer.model.E_r(trainer.model.D(z_s[partner], z_r))),
        ]
    before = copy.deepcopy(trainer.model.state_dict())
    found = trainer.consistency(z_s, z_r, partner)
    torch.testing.assert_close(found, sum(losses.L_con(*pair) for pair in both))
    after = trainer.model.state_dict()
    assert all(after[name].equal(tensor) for name, tensor in before.items())  # no hybrid in the running statistics


def test_the_learning_rate_falls_at_eight_and_twenty_five_percent(images, small):
    trainer = DEPARTURES["lr_steps"](replace(small, epochs=100, lr=2e-4), *images)
    for done, lr in ((0, 2e-4), (7, 2e-4), (8, 1.5e-4), (24, 1.5e-4), (25, 1e-4), (99, 1e-4)):
        trainer.history = [{}] * done
        trainer.epoch()
        found = [group["lr"] for optimiser in trainer.optimisers for group in optimiser.param_groups]
        assert found == pytest.approx([lr, lr])


def test_out_of_range_reaches_both_training_and_scoring(batch, images):
    trainer, x, y, partner, lambda_R = batch("out_of_range")
    seen = []
    trainer.model.E_s.features[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    trainer.step(x, y, partner, lambda_R)
    expected = (images[0][:16].float() / 255 - 0.1307) / 0.3081
    torch.testing.assert_close(seen[0], expected)
    assert seen[1].abs().max() <= 1  # the hybrid, as D made it
    scores.classify(trainer.model, images[0][:16])
    torch.testing.assert_close(seen[2], expected)
    other = DEPARTURES["out_of_range"](replace(trainer.config, dataset="fmnist"), *images)
    assert not other.model.E_s._forward_pre_hooks
    assert applies("out_of_range", trainer.config) and not applies("out_of_range", other.config)


@pytest.mark.parametrize("name", DEPARTURES)
def test_each_departure_trains_to_other_weights(images, small, name):
    config = replace(small, dataset="mnist", epochs=2)
    departed = train(config, *images, kind=DEPARTURES[name])
    plain = train(config, *images)
    assert np.isfinite([value for epoch in departed.history for value in epoch.values()]).all()
    assert not departed.model.C[0].weight.equal(plain.model.C[0].weight)


def test_public_code_is_all_of_them():
    others = [kind for name, kind in DEPARTURES.items() if name != "public_code"]
    assert set(PublicCode.__bases__) == set(others) and DEPARTURES["public_code"] is PublicCode


def test_more_permutations_cost_more(small):
    table = step_seconds(replace(small, width=8), (1, 16))
    assert list(table.index) == [1, 16] and table.loc[16, "seconds a step"] > table.loc[1, "seconds a step"]


LABELS, ANOMALOUS = torch.arange(60) % 5, torch.arange(60) % 5 == 2


@pytest.mark.parametrize("company", [SHUFFLED, SORTED, APART])
def test_batches_hold_every_image_once(company):
    found = batches(company, LABELS, ANOMALOUS, 7)
    assert torch.cat(found).sort().values.equal(torch.arange(60)) and max(map(len, found)) == 7
    kinds = [{bool(ANOMALOUS[row]) for row in rows} for rows in found]
    if company == SORTED:
        order = torch.cat(found)
        assert not ANOMALOUS[order[:48]].any() and (LABELS[order[:48]].diff() >= 0).all()
        assert (
            sum(len(kind) > 1 for kind in kinds) == 1
        )  # as the loader: one batch holds the last normals and the first anomalies
    if company == APART:
        assert all(len(kind) == 1 for kind in kinds)
        assert len(LABELS[found[0]].unique()) > 1
    if company == SHUFFLED:
        assert sum(len(kind) > 1 for kind in kinds) > 4


def test_an_unknown_company_is_refused():
    with pytest.raises(ValueError, match="no company 'crowded'"):
        batches("crowded", LABELS, ANOMALOUS, 7)


def test_only_alone_is_a_score_of_the_image_itself(images, small):
    trainer = train(small, *images)
    model, (shown, _) = trainer.model, images
    before = copy.deepcopy(model.state_dict())
    rows = [torch.arange(16), torch.arange(16, 80)]
    one, other = doubt(model, shown, rows), doubt(model, shown, [torch.arange(80)])
    assert not torch.allclose(one, other, atol=1e-4)
    brighter = shown.clone()
    brighter[1:] = 255 - brighter[1:]
    assert doubt(model, shown)[0] == pytest.approx(doubt(model, brighter)[0].item(), abs=1e-9)
    assert abs(doubt(model, shown, rows)[0] - doubt(model, brighter, rows)[0]) > 1e-4
    assert all(model.state_dict()[name].equal(tensor) for name, tensor in before.items())
    assert not any(module.training for module in model.modules())

    trained = copy.deepcopy(model).train()
    with torch.no_grad():
        logits = trained.C(trained.E_s(scores.to_input(shown[:16])))
    torch.testing.assert_close(one[:16], scores.s(logits))


def test_batch_statistics_end_with_an_error_too(images, small):
    model = Trainer(small, *images).model.eval()
    with pytest.raises(RuntimeError, match="stop"), batch_statistics(model.E_s):
        raise RuntimeError("stop")
    assert not any(module.training for module in model.modules())
    assert all(m.track_running_stats for m in model.modules() if isinstance(m, nn.BatchNorm2d))


def test_views_of_the_smoke_profile(smoke):
    study, _ = smoke
    for name in paper_and_code.VIEWS:
        assert draw(study, name).axes
        assert (study.folder / "figures" / f"{name}.png").stat().st_size > 5000

    company = tabulate(study, "in_company").sort_index()
    runs = {(run.config.dataset, run.config.method): run for run in study.runs(paper_and_code.trained_jobs(study))}
    assert len(company) == len(runs) == 6
    for (data, method), run in runs.items():
        row = company.loc[paper_and_code.DATASETS[data].title, paper_and_code.METHODS[method]].iloc[0]
        assert row["alone"] == pytest.approx(run.metrics["auc"], abs=1e-6) and row["n"] == 1
        assert row["sorted 64"] == in_batches.of_run(run)[SORTED, 64]
    assert (company.loc["MNIST", "paper"] == 0.984).all()  # Table 1: a 4 held out

    epochs = tabulate(study, "best_epochs")
    assert (epochs["gain"] >= 0).all() and (epochs["best on test"] >= epochs["last epoch"]).all()

    changed = tabulate(study, "departures")
    assert list(changed.loc["MNIST"].index) == ["by the paper's equations", *DEPARTURES]
    assert changed["change"].iloc[0] == 0 and (changed["change"].iloc[1:] != 0).any()
    paper = changed["AUC"].iloc[0]
    assert paper == pytest.approx(runs["mnist", "ygan"].metrics["auc"])
    assert np.allclose(changed["AUC"] - paper, changed["change"])
    assert changed["best epoch, sorted"].iloc[1:].notna().all()

    text = verdict(study, "ways_to_0763")
    assert [line[0] for line in text.splitlines()[2:]] == list("12345")
    for name in set(DEPARTURES) - {"public_code"}:
        assert f"`{name}` {changed.loc[('MNIST', name), 'change']:+.3f}" in text
    assert "1 of ten classes" in text


def test_a_departure_is_built_anew_as_it_was_trained(smoke):
    study, _ = smoke
    for run in study.runs(study.select(variant=("norm_first", "public_code"))):
        rows = np.flatnonzero(run.test["in_test"])[:50]
        found = scores.s(scores.classify(run.model(), run.images(rows)))
        assert np.allclose(found, run.test["s"][rows], atol=1e-6)


def fake(method, variant, held_out, alone, apart):
    losses = pd.DataFrame({"auc": [alone + 0.03, alone], "auc_sorted": [0.5, 0.6]}, index=[1, 2])
    config = Config(name="paper", dataset="cifar10", held_out=held_out, method=method, variant=variant, epochs=2)
    numbers = dict.fromkeys(PLACES, alone) | {(APART, 64): apart, AUTHORS: alone - 0.05}
    return SimpleNamespace(
        config=config, losses=losses, metrics={"auc": alone, "normal_accuracy": 0.9}, about={"seconds": 1.0}, numbers=numbers
    )


def test_the_verdict_says_whether_a_way_comes_to_0763(monkeypatch):
    monkeypatch.setattr(paper_and_code, "of_run", lambda run: run.numbers)
    printed = [0.729, 0.767, 0.749, 0.768, 0.759, 0.764, 0.778, 0.780, 0.722, 0.811]
    near = [fake("ygan", "full", h, 0.6, auc - 0.01) for h, auc in enumerate(printed)]
    text = paper_and_code.verdict(near)
    assert "an AUC of 0.600" in text and "0.550 in the public code's class-sorted" in text and "ten classes" in text
    assert "0.753 ± 0.024 (printed: ± 0.024), so this way comes to it." in text
    assert text.count("Not trained here.") == 2 and "+0.030 to Y-GAN" in text

    far = [
        fake("ygan", "full", 4, 0.6, 0.7),
        fake("ygan", "mirrored", 4, 0.65, 0.7),
        fake("ygan", "detached_features", 4, 0.58, 0.7),
    ]
    text = paper_and_code.verdict([*far, fake("classifier", "full", 4, 0.1, 0.1)])
    assert "none comes to it" in text and "1 of ten classes" in text and "prints 0.759" in text
    assert re.search(r"oversight in training.*`detached_features` -0\.020\.", text) and "`mirrored` +0.050" in text
    assert paper_and_code.verdict([fake("ygan", "mirrored", 4, 0.65, 0.7)]) == "No Y-GAN is trained here yet."
    assert ALONE not in paper_and_code.departures([]) and paper_and_code.ways_to_0763([]).empty


CHECKOUT = os.environ.get("YGAN_AUTHORS")


@pytest.mark.skipif(not CHECKOUT, reason="YGAN_AUTHORS names no checkout of the authors' code")
def test_public_code_is_the_authors_code():
    table = held_against(Path(CHECKOUT))
    assert (table["difference"] < 1e-5).all()


def test_a_folder_without_the_authors_code_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="y_gan.py"):
        held_against(tmp_path)
