"""The benchmark: what it compares does the same work, and its tables hold what they say."""

import json

import pandas as pd
import pytest
import torch

from ygan_study.__main__ import main
from ygan_study.bench.loops import Plain
from ygan_study.bench.processes import train_together
from ygan_study.bench.report import BARS, TABLES, benchmark
from ygan_study.bench.tables import COSTS, QUICK, TRIED, Run, rows, speeds
from ygan_study.engine import Trainer
from ygan_study.plan.settings import Settings


@pytest.mark.parametrize("kind", [Plain, *list(TRIED.values())[1:-1]], ids=lambda k: k.__name__)
def test_what_is_compared_trains_as_ours_does(images, kind):
    config = Settings(width=4, batch_size=16)
    ours, other = Trainer(config, *images), kind(config, *images)
    expected, found = ours.epoch(), other.epoch()
    for term in ours.terms:
        assert found[term] == pytest.approx(expected[term], rel=1e-2)


def test_runs_take_turns_and_ratios_are_formed_within_a_turn():
    order = []
    runs = [Run(name, "float32", Settings(), 64, lambda n=name: order.append(n)) for name in "ab"]
    speed = speeds(runs, QUICK)
    assert speed.shape == (2, QUICK.turns) and (speed > 0).all()
    alternations = "".join(order).replace("a", " ").split()  # of a run's calls the other's are ends
    assert len(alternations) == QUICK.turns
    speed[:] = [[10, 20], [30, 20]]  # medians 15 and 25; ratios 3 and 1
    ratio = rows(runs, speed, times_a=[0, 0]).set_index("what").loc["b"]
    assert tuple(ratio[["times_a", "times_a_low", "times_a_high"]]) == (2, 1, 3)


def test_quick_run(tmp_path, capsys):
    threads = torch.get_num_threads()
    benchmark(tmp_path, "cpu", quick=True)
    assert torch.get_num_threads() == threads
    about = json.loads((tmp_path / "machine.json").read_text())
    assert about["cpu"] in capsys.readouterr().out
    tables = {name: pd.read_csv(tmp_path / f"{name}.csv") for name in TABLES}
    training = tables["training"].set_index(["what", "precision"])
    assert set(training.loc["ours"].index) == set(training.loc["matrix product"].index)
    assert training.loc[("plain loop", "float32"), "times_plain"] == 1
    assert (training.loc["ours", "of_product"] > 0).all()
    assert (training["images_per_s_low"] <= training["images_per_s"]).all()
    assert (tables["inference"]["ms_per_image"] > 0).all()
    assert set(tables["cost"]["setting"]) == set(COSTS)
    shares = tables["breakdown"].groupby("precision")["share"]
    assert shares.sum().tolist() == pytest.approx([1, 1], abs=1e-4)
    convolutions = tables["breakdown"]["kind"].str.startswith("convolution")
    assert (tables["breakdown"].loc[convolutions, "share"] > 0.01).all()
    assert set(tables["tried"]["what"]) == set(TRIED) - {"torch.compile"}
    assert (tables["processes"][["images_per_s", "MB_peak"]] > 0).all(axis=None)
    for name in ("cost", *BARS):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_tables_by_name(tmp_path, capsys):
    line = ["benchmark", "--quick", "--device", "cpu", "--results", str(tmp_path), "--only"]
    assert main([*line, "inference"]) == 0
    written = {path.name for path in (tmp_path / "benchmark").iterdir()}
    assert written == {"inference.csv", "machine.json"}
    assert main([*line, "fig8"]) == 2
    assert "no table fig8: choose from training," in capsys.readouterr().err
    assert main([*line, "inference", "--authors", str(tmp_path)]) == 2
    assert "holds no lib/models/y_gan.py" in capsys.readouterr().err


def test_trainings_side_by_side():
    rates, before, peak = train_together(2, QUICK, "cpu", "float32")
    assert (rates > 0).all() and not (peak < before).any()
