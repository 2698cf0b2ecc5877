"""float32 is float32 on every device; what a GPU took is no cost of a core."""

import made_up
import pytest
import torch

from ygan_study.__main__ import main
from ygan_study.engine import Trainer
from ygan_study.report.tables.benchmarks import benchmark
from ygan_study.run.records import write_record
from ygan_study.run.store import Study
from ygan_study.run.tidy import tidy
from ygan_study.run.training import run_all


def test_float32_is_no_tf32_while_a_training_computes(small, images, monkeypatch):
    seen, step, before = [], Trainer.step, torch.backends.cudnn.allow_tf32

    def watched(self, *batch):
        seen.append(torch.backends.cudnn.allow_tf32)
        return step(self, *batch)

    monkeypatch.setattr(Trainer, "step", watched)
    for precision in ("float32", "tf32"):
        Trainer(small, *images, precision=precision).epoch()
    assert seen == [False] * 5 + [True] * 5 and torch.backends.cudnn.allow_tf32 == before


def test_tf32_is_of_a_cuda_device(tmp_path, capsys):
    assert main(["run", "--device", "cpu", "--precision", "tf32", "--results", str(tmp_path)]) == 2
    assert "cpu has no tf32" in capsys.readouterr().err


def test_minutes_are_those_of_a_core():
    of_a_core = made_up.training(metrics={"training_seconds": 60.0, "inference_us": 50.0})
    of_a_gpu = made_up.training(seed=1)  # `folder.tidy` leaves its costs out
    both = benchmark(1, made_up.rows_of(of_a_core, of_a_gpu)).loc["ours"].iloc[0]
    assert both[["minutes", "scoring µs", "seeds"]].tolist() == [1, 50, "2"]
    alone = benchmark(1, made_up.rows_of(of_a_gpu)).loc["ours"]
    assert alone[["minutes", "scoring µs"]].isna().all(axis=None)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_every_kind_of_training_runs_on_a_gpu(tmp_path):
    study = Study("smoke", tmp_path, device="cuda")
    groups = ("classifier", "balanced", "strong", "whitened", "deviations")
    jobs = {job.group: job for job in study.select(group=groups)}
    for run in run_all(study, jobs.values()):
        write_record(study, run)
        assert run.about["device"] == "cuda" and run.about["gpu"]
        # others may share the GPU
        assert "training_seconds" not in {row[-3] for row in tidy(run)}
