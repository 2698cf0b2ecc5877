import json

import numpy as np
import pandas as pd
import pytest
import torch

from ygan_core.config import Config, ConfigError
from ygan_core.study import benchmark as bench
from ygan_core.study.benchmark_authors import authors_step
from ygan_core.train import Trainer


def test_the_plain_loop_trains_as_ours_does(images):
    config = Config(width=4, batch_size=16, lambda_3=10, lambda_4=5, lambda_6=2, lr=1e-3)
    ours, plain = Trainer(config, *images), bench.Plain(config, *images, "cpu")
    ours.model.double().train()
    plain.model.double()
    random = torch.Generator().manual_seed(1)
    for step in range(10):
        rows, partner = torch.randperm(len(images[0]), generator=random)[:16], torch.randperm(16, generator=random)
        x, y, lambda_R = plain.x[rows].double(), images[1][rows], torch.tensor(step / 10, dtype=torch.float64)
        expected = ours.step(x, y, partner, lambda_R)
        assert plain.step(x, y, partner, lambda_R.item()) == pytest.approx(expected.tolist(), rel=1e-7)


def test_an_epoch_of_the_plain_loop_sees_every_image_once(images, monkeypatch):
    plain, seen = bench.Plain(Config(width=4, batch_size=16), *images, "cpu"), []
    step = plain.step
    monkeypatch.setattr(plain, "step", lambda x, *rest: seen.append(x) or step(x, *rest))
    found = plain.epoch()
    assert len(found) == 5 and np.isfinite(found).all()
    assert torch.cat(seen).sum((1, 2, 3)).sort().values.allclose(plain.x.sum((1, 2, 3)).sort().values)


def test_counted_operations_grow_with_the_square_of_the_width():
    four, eight = (bench.operations(("ours", "float32"), Config(width=width)) for width in (32, 64))
    assert 3.4 < eight / four < 4
    assert bench.operations(bench.PLAIN, Config(width=32)) > 1.02 * four  # the passes of Ds that ours saves


def test_runs_take_turns(monkeypatch):
    order = []
    runs = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    took = bench.take_turns(runs, bench.EXTENTS["quick"])
    assert order == ["a", "b"] * 3  # a warm-up, two turns
    assert set(took) == {"a", "b"} and all(len(seconds) == 2 and (seconds >= 0).all() for seconds in took.values())


def test_quick_run(tmp_path, capsys):
    threads = torch.get_num_threads()
    bench.benchmark(tmp_path, "cpu", quick=True)
    assert torch.get_num_threads() == threads
    printed, about = capsys.readouterr().out, json.loads((tmp_path / "machine.json").read_text())
    assert about["cpu"] in printed and about["threads"] == 1

    tables = {
        name: pd.read_csv(tmp_path / f"{name}.csv") for name in ("training", "inference", "cost", "breakdown", "processes")
    }
    training = tables["training"].set_index(["what", "precision"])
    assert set(training.index) == {
        ("plain loop", "float32"),
        ("ours", "float32"),
        ("ours", "bfloat16"),
        ("matrix product", "float32"),
        ("matrix product", "bfloat16"),
    }
    assert (training["images_per_s_low"].dropna() <= training["images_per_s"].dropna()).all()
    assert training.loc[("plain loop", "float32"), "times_plain"] == 1
    assert training.loc["ours", "of_product"].between(0, 1.5, inclusive="neither").all()
    assert (tables["inference"]["ms_per_image"] > 0).all()
    assert tables["cost"].groupby("precision").size().eq(3).all() and set(tables["cost"]["against"]) == {"batch_size", "width"}
    shares = tables["breakdown"].groupby("precision")["share"].sum()
    assert np.allclose(shares, 1, atol=1e-4)
    assert (tables["breakdown"].query("kind.str.startswith('convolution')")["share"] > 0.01).all()
    assert (tables["processes"]["images_per_s"] > 0).all()
    for name, table in tables.items():
        assert (table["machine"].str.contains(about["cpu"], regex=False)).all(), name
    for name in ("training", "cost", "breakdown"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_the_authors_code_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="y_gan.py"):
        authors_step(tmp_path, torch.zeros(2, 3, 32, 32), torch.zeros(2, dtype=torch.int64), 1)


def test_the_captured_step_is_held_against_the_eager_one(monkeypatch):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    assert bench.captured_against_eager(device, 5, width=4) < (0.01 if device == "cuda" else 1e-12)  # a CPU captures nothing
    step, calls = Trainer.step, []
    monkeypatch.setattr(
        Trainer, "step", lambda self, *batch: step(self, *batch) * (1 + 0.1 * (calls.append(1) or len(calls) == 7))
    )
    with pytest.raises(RuntimeError, match="differs from the eager one"):
        bench.captured_against_eager("cpu", 5, width=4)
