import pytest
import torch

from ygan_core.model import YGAN, running_statistics_untouched
from ygan_study.engine import Trainer
from ygan_study.plan.settings import Settings


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_parameters_are_those_of_the_authors_networks():
    """Published at 32 px, 3 channels, width 64: encoders 1.07 M each, decoder 1.48 M, Ds 0.66 M."""
    model = Trainer.build(Settings(), channels=3, classes=9)
    counts = [round(count(part) / 1e6, 2) for part in (model.E_s, model.E_r, model.D, model.Ds)]
    assert counts == [1.07, 1.07, 1.48, 0.66]


@pytest.mark.parametrize("channels, size", [(1, 32), (3, 64), (3, 8)])
def test_shapes(channels, size):
    model = YGAN(channels, size, width=4, d=10, hidden=30, classes=9)
    x = torch.zeros(2, channels, size, size)
    z_s, z_r, x_hat, logits = model(x)
    logit, f = model.Ds(x)
    assert (z_s.shape, z_r.shape, x_hat.shape, logits.shape) == ((2, 10), (2, 10), x.shape, (2, 9))
    assert logit.shape == (2,) and f.shape[-2:] == (4, 4)


def test_initial_weights_follow_the_seed_alone():
    torch.randn(3)
    first = Trainer.build(Settings(width=4), 3, 9).state_dict()
    torch.manual_seed(77)
    state = torch.get_rng_state()
    again, other = (
        Trainer.build(Settings(width=4, seed=seed), 3, 9).state_dict() for seed in (0, 1)
    )
    assert torch.get_rng_state().equal(state)
    assert all(first[k].equal(again[k]) for k in first)
    assert not first["E_s.to_latent.weight"].equal(other["E_s.to_latent.weight"])


def test_hybrids_leave_running_statistics_alone_and_are_normalised_by_their_batch():
    model = Trainer.build(Settings(width=4), 3, 9).train()
    before = {k: v.clone() for k, v in model.E_s.state_dict().items()}
    x = torch.rand(8, 3, 32, 32)
    with running_statistics_untouched(model.E_s):
        inside = model.E_s(x)
    assert all(before[k].equal(v) for k, v in model.E_s.state_dict().items())
    assert inside.equal(model.E_s(x))  # the same as outside
    assert not before["features.2.running_mean"].equal(
        model.E_s.state_dict()["features.2.running_mean"]
    )
