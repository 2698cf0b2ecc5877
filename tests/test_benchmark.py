"""The benchmark: what it compares does the same work, and its tables hold what they say."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from ygan_study.__main__ import main
from ygan_study.bench import tables
from ygan_study.bench.loops import Plain
from ygan_study.bench.report import TABLES, benchmark
from ygan_study.bench.tables import COSTS, QUICK, TRIED, times
from ygan_study.engine import Trainer
from ygan_study.plan.settings import Settings


@pytest.mark.parametrize("kind", [Plain, *list(TRIED.values())[1:-1]], ids=lambda k: k.__name__)
def test_what_is_compared_trains_as_ours_does(images, kind):
    config = Settings(width=4, batch_size=16)
    ours, other = Trainer(config, *images), kind(config, *images)
    expected, found = ours.epoch(), other.epoch()
    for term in ours.terms:
        assert found[term] == pytest.approx(expected[term], rel=1e-2)


def test_ratios_are_formed_within_a_turn():
    table = pd.DataFrame({"width": 8, "turn": [0, 0, 1, 1], "images_per_s": [10, 30, 20, 20]})
    assert times(table, "first").tolist() == [1, 3, 1, 1]
    assert times(table, "last").tolist() == [1 / 3, 1, 1, 1]


def test_quick_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tables, "QUICK", replace(QUICK, turns=1, precisions=("float32",)))
    benchmark(tmp_path, "cpu", quick=True)
    about = json.loads((tmp_path / "machine.json").read_text())
    assert about["cpu"] in capsys.readouterr().out
    found = {name: pd.read_csv(tmp_path / f"{name}.csv") for name in TABLES}
    training = found["training"].set_index("what")
    assert set(training.index) == {"plain loop", "ours", "matrix product"}
    assert training.loc["plain loop", "times_plain"] == 1 and training.loc["ours", "of_product"] > 0
    assert (found["inference"]["ms_per_image"] > 0).all()
    assert set(found["cost"]["setting"]) == set(COSTS)
    assert found["breakdown"]["share"].sum() == pytest.approx(1, abs=1e-4)
    convolutions = found["breakdown"]["kind"].str.startswith("convolution")
    assert (found["breakdown"].loc[convolutions, "share"] > 0.01).all()
    assert set(found["tried"]["what"]) == set(TRIED) - {"torch.compile"}
    side_by_side = found["processes"].iloc[0]
    assert side_by_side["processes"] == 2 and side_by_side["images_per_s"] > 0
    assert side_by_side["MB_peak"] >= side_by_side["MB_before"] > 0


def test_tables_by_name_and_wrong_use(tmp_path, capsys):
    line = ["benchmark", "--quick", "--device", "cpu", "--results", str(tmp_path), "--only"]
    assert main([*line, "inference"]) == 0
    written = {path.name for path in (tmp_path / "benchmark").iterdir()}
    assert written == {"inference.csv", "machine.json"}
    assert main([*line, "fig8"]) == 2
    assert "no table fig8: choose from training," in capsys.readouterr().err
    assert main([*line, "inference", "--authors", str(tmp_path)]) == 2
    assert "holds no lib/models/y_gan.py" in capsys.readouterr().err
