import json

import numpy as np
import pandas as pd
import pytest
import torch

from ygan_core.config import Config, ConfigError
from ygan_core.train import Trainer
from ygan_study.__main__ import main
from ygan_study.bench import benchmark
from ygan_study.bench.authors_code import authors_step
from ygan_study.bench.captured import captured_against_eager
from ygan_study.bench.extent import EXTENTS, PLAIN
from ygan_study.bench.loops import Plain, operations
from ygan_study.bench.report import TABLES, _tables
from ygan_study.bench.side_by_side import _train_together
from ygan_study.bench.timing import take_turns
from ygan_study.bench.tried import TRIED


def test_the_plain_loop_trains_as_ours_does(images):
    config = Config(width=4, batch_size=16, lambda_3=10, lambda_4=5, lambda_6=2, lr=1e-3)
    ours, plain = Trainer(config, *images), Plain(config, *images, "cpu")
    ours.model.double().train()
    plain.model.double()
    random = torch.Generator().manual_seed(1)
    for step in range(10):
        rows, partner = (
            torch.randperm(len(images[0]), generator=random)[:16],
            torch.randperm(16, generator=random),
        )
        x, y, lambda_R = (
            plain.x[rows].double(),
            images[1][rows],
            torch.tensor(step / 10, dtype=torch.float64),
        )
        expected = ours.step(x, y, partner, lambda_R)
        assert plain.step(x, y, partner, lambda_R.item()) == pytest.approx(
            expected.tolist(), rel=1e-7
        )


@pytest.mark.parametrize("kind", [Plain, Trainer])
def test_both_loops_average_their_weights_alike(images, monkeypatch, kind):
    config = Config(width=4, batch_size=16, epochs=3, average=0.4)
    trained, expected = kind(config, *images, "cpu"), None
    step, decay = trained.step, np.exp(-1 / (0.4 * 3 * 5))

    def followed(*batch):
        nonlocal expected
        terms = step(*batch)
        now = {
            name: tensor.double().clone()
            for name, tensor in trained.model.state_dict().items()
            if tensor.is_floating_point()
        }
        expected = (
            {name: decay * expected[name] + (1 - decay) * now[name] for name in now}
            if expected
            else now
        )
        return terms

    monkeypatch.setattr(trained, "step", followed)
    trained.epoch()
    trained.epoch()
    assert trained.averaged.n_averaged == 10
    found = trained.averaged.module.state_dict()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name].double(), tensor, rtol=1e-4, atol=1e-6)


def test_an_epoch_of_the_plain_loop_sees_every_image_once(images, monkeypatch):
    plain, seen = Plain(Config(width=4, batch_size=16), *images, "cpu"), []
    step = plain.step
    monkeypatch.setattr(plain, "step", lambda x, *rest: seen.append(x) or step(x, *rest))
    found = plain.epoch()
    assert len(found) == 5 and np.isfinite(found).all()
    assert (
        torch.cat(seen).sum((1, 2, 3)).sort().values.allclose(plain.x.sum((1, 2, 3)).sort().values)
    )


def test_counted_operations_grow_with_the_square_of_the_width():
    four, eight = (operations(("ours", "float32"), Config(width=width)) for width in (32, 64))
    assert 3.4 < eight / four < 4
    assert operations(PLAIN, Config(width=32)) > 1.02 * four  # the passes of Ds that ours saves


def test_runs_take_turns(monkeypatch):
    order = []
    runs = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    took = take_turns(runs, EXTENTS["quick"])
    assert order == ["a", "b"] * 3  # a warm-up, two turns
    assert set(took) == {"a", "b"} and all(
        len(seconds) == 2 and (seconds >= 0).all() for seconds in took.values()
    )


def test_quick_run(tmp_path, capsys):
    threads = torch.get_num_threads()
    benchmark(tmp_path, "cpu", quick=True)
    assert torch.get_num_threads() == threads
    printed, about = capsys.readouterr().out, json.loads((tmp_path / "machine.json").read_text())
    assert about["cpu"] in printed and about["threads"] == 1

    tables = {
        name: pd.read_csv(tmp_path / f"{name}.csv")
        for name in ("training", "inference", "cost", "breakdown", "tried", "processes")
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
    assert tables["cost"].groupby("precision").size().eq(3).all() and set(
        tables["cost"]["against"]
    ) == {"batch_size", "width"}
    shares = tables["breakdown"].groupby("precision")["share"].sum()
    assert np.allclose(shares, 1, atol=1e-4)
    assert (tables["breakdown"].query("kind.str.startswith('convolution')")["share"] > 0.01).all()
    assert set(tables["tried"]["what"]) == set(TRIED) - {
        "torch.compile"
    }  # compiling is no quick look
    assert tables["tried"].query("what == 'as it is'")["times_as_it_is"].eq(1).all()
    assert (tables["processes"]["images_per_s"] > 0).all()
    for name, table in tables.items():
        assert (table["machine"].str.contains(about["cpu"], regex=False)).all(), name
    for name in ("training", "cost", "breakdown", "tried"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "name", ["default memory format", "Ds read twice", "Adam parameter by parameter"]
)
def test_what_was_tried_trains_as_ours_does(images, name):
    config = Config(width=4, batch_size=16)
    ours, other = Trainer(config, *images), TRIED[name](config, *images)
    expected, found = ours.epoch(), other.epoch()
    assert [found[term] for term in ours.terms] == pytest.approx(
        [expected[term] for term in ours.terms], rel=1e-2
    )


def test_tables_by_name(tmp_path, capsys):
    assert tuple(_tables(None)) == TABLES
    assert (
        main(
            [
                "benchmark",
                "--quick",
                "--device",
                "cpu",
                "--only",
                "inference",
                "--results",
                str(tmp_path),
            ]
        )
        == 0
    )
    assert {path.name for path in (tmp_path / "benchmark").iterdir()} == {
        "inference.csv",
        "machine.json",
    }
    assert main(["benchmark", "--only", "fig8", "--results", str(tmp_path)]) == 2
    assert "no table fig8: choose from training," in capsys.readouterr().err


def test_trainings_side_by_side():
    training = (PLAIN, Config(width=4, batch_size=8), EXTENTS["quick"])
    rates, before, peak = _train_together(2, 1, *training, "cpu")
    assert rates.shape == (2,) and (rates > 0).all() and not (peak < before).any()
    with pytest.raises(
        RuntimeError, match="nonsense"
    ):  # what a training raises, not that the others waited in vain
        _train_together(2, 1, *training, "nonsense")


def test_a_folder_without_the_authors_code_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="y_gan.py"):
        authors_step(tmp_path, torch.zeros(2, 3, 32, 32), torch.zeros(2, dtype=torch.int64), 1)


def test_the_captured_step_is_held_against_the_eager_one(monkeypatch):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    assert captured_against_eager(device, 5, width=4) < (
        0.01 if device == "cuda" else 1e-12
    )  # a CPU captures nothing
    step, calls = Trainer.step, []
    monkeypatch.setattr(
        Trainer,
        "step",
        lambda self, *batch: step(self, *batch) * (1 + 0.1 * (calls.append(1) or len(calls) == 7)),
    )
    with pytest.raises(RuntimeError, match="differs from the eager one"):
        captured_against_eager("cpu", 5, width=4)
