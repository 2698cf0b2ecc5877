"""What is measured of a network: batch statistics at test time, and what drives E_s."""

import copy

import pytest
import torch
from torch import nn

from ygan_core import scores
from ygan_study.engine import Trainer
from ygan_study.measure.batch_statistics import (
    APART,
    SHUFFLED,
    SORTED,
    batch_statistics,
    batches,
    uncertainty,
)
from ygan_study.measure.objective import _between, pulls_on_E_s
from ygan_study.methods import train

LABELS, ANOMALOUS = torch.arange(60) % 5, torch.arange(60) % 5 == 2


@pytest.mark.parametrize("statistics", [SHUFFLED, SORTED, APART])
def test_batches_hold_every_image_once(statistics):
    found = batches(statistics, LABELS, ANOMALOUS, 7)
    assert torch.cat(found).sort().values.equal(torch.arange(60)) and max(map(len, found)) == 7
    kinds = [{bool(ANOMALOUS[row]) for row in rows} for rows in found]
    if statistics == SORTED:
        order = torch.cat(found)
        assert not ANOMALOUS[order[:48]].any() and (LABELS[order[:48]].diff() >= 0).all()
        # as the loader: one batch holds the last normals and the first anomalies
        assert sum(len(kind) > 1 for kind in kinds) == 1
    if statistics == APART:
        assert all(len(kind) == 1 for kind in kinds)
        assert len(LABELS[found[0]].unique()) > 1
    if statistics == SHUFFLED:
        assert sum(len(kind) > 1 for kind in kinds) > 4


def test_only_running_statistics_score_an_image_by_itself(images, small):
    trainer = train(small, *images)
    model, (shown, _) = trainer.model, images
    before = copy.deepcopy(model.state_dict())
    rows = [torch.arange(16), torch.arange(16, 80)]
    one, other = uncertainty(model, shown, rows), uncertainty(model, shown, [torch.arange(80)])
    assert not torch.allclose(one, other, atol=1e-4)
    brighter = shown.clone()
    brighter[1:] = 255 - brighter[1:]
    alone = [uncertainty(model, pictures)[0].item() for pictures in (shown, brighter)]
    assert alone[0] == pytest.approx(alone[1], abs=1e-9)
    assert abs(uncertainty(model, shown, rows)[0] - uncertainty(model, brighter, rows)[0]) > 1e-4
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


def test_the_pulls_on_E_s_are_those_of_a_step(images, small):
    trainer = Trainer(small, *images)
    x, y = images[0][:16], images[1][:16]
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    found = pulls_on_E_s(trainer, x, y)
    assert all(tensor.equal(before[name]) for name, tensor in trainer.model.state_dict().items())
    assert found["L_r"] == 0  # E_s has no part in C(z_r)
    terms = trainer.forward_losses(
        scores.to_input(x), y, torch.arange(16).roll(1), torch.tensor(0.5)
    )
    trainer.model.zero_grad()
    (small.weights["L_con"] * terms["L_con"]).backward()
    squares = [p.grad.square().sum() for p in trainer.model.E_s.parameters() if p.grad is not None]
    assert found["L_con"] == pytest.approx(torch.stack(squares).sum().sqrt().item(), rel=1e-4)


def test_the_cosine_is_over_different_images(images, small):
    trainer = Trainer(small, *images)
    one = images[0][:1].expand(16, -1, -1, -1)
    assert pulls_on_E_s(trainer, one, images[1][:16])["cos z_s"] == pytest.approx(1, abs=1e-4)
    pair = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])
    assert _between(pair) == pytest.approx(-1 / 3, abs=1e-6)
