"""float32 is float32 on every device; what a GPU took is no cost of a core."""

import made_up
import pytest
import torch

from ygan_study.__main__ import main
from ygan_study.engine import Trainer
from ygan_study.measure import evaluation
from ygan_study.report.tables.benchmarks import benchmark
from ygan_study.run import training as running
from ygan_study.run.records import write_record
from ygan_study.run.store import Study
from ygan_study.run.tidy import tidy
from ygan_study.run.training import run_all, run_job


def test_float32_is_no_tf32_while_a_training_computes(small, images, monkeypatch):
    seen, step = [], Trainer.step
    monkeypatch.setattr(
        Trainer,
        "step",
        lambda self, *x: seen.append(torch.backends.cudnn.allow_tf32) or step(self, *x),
    )
    before = torch.backends.cudnn.allow_tf32
    for precision in ("float32", "tf32"):
        Trainer(small, *images, precision=precision).epoch()
    assert seen == [False] * 5 + [True] * 5 and torch.backends.cudnn.allow_tf32 == before


class OnMPS(torch.Tensor):
    """As on Apple's GPUs, which have no float64."""

    def double(self):
        raise TypeError("MPS has no float64")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def test_losses_are_averaged_where_there_is_float64(small, images, monkeypatch):
    zeros = torch.zeros
    trainer = Trainer(small, *images)
    there = (trainer.steps, len(trainer.terms))
    monkeypatch.setattr(
        torch,
        "zeros",
        lambda *n, **how: zeros(*n, **how).as_subclass(OnMPS if n == there else torch.Tensor),
    )
    assert trainer.epoch()["L_s"] > 0


def test_a_job_is_scored_in_float32(tmp_path, monkeypatch):
    seen, study = [], Study("smoke", tmp_path)
    evaluate = evaluation.evaluate
    monkeypatch.setattr(
        running, "evaluate", lambda *x: seen.append(torch.backends.cudnn.allow_tf32) or evaluate(*x)
    )
    run_job(study, study.select(group="strong")[0])
    assert seen == [False, False]


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
    jobs = {
        job.group: job
        for job in study.jobs
        if job.group in ("classifier", "balanced", "strong", "whitened", "deviations")
    }
    for run in run_all(study, jobs.values()):
        write_record(study, run)
        assert run.about["device"] == "cuda" and run.about["gpu"]
        assert "training_seconds" not in {
            row[-3] for row in tidy(run)
        }  # of a GPU that others may share
