"""What drives E_s: gradients of the terms, and cosines between latents."""

import pytest
import torch

from ygan_core import scores
from ygan_study.engine import Trainer
from ygan_study.measure.objective import _between, pulls_on_E_s


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
