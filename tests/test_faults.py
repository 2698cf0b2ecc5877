"""What is stored or supplied is checked before it is believed, and the other jobs go on.

What is wrong is named in one line that says what to do.
"""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from ygan_core.config import ConfigError
from ygan_study.__main__ import main
from ygan_study.report import study as shown
from ygan_study.run.checksums import seal
from ygan_study.run.store import Study
from ygan_study.run.training import run_job


def jobs_in(study):
    return set(pd.read_csv(study.root / "runs.csv")["job"])


def run(study, *more):
    line = ["run", "--profile", "smoke", "--results", str(study.root.parent), "--workers", "1"]
    return main([*line, *more])


def flip(path):
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


# --- folders of jobs ---


def test_folders_that_were_swapped_are_not_believed_and_nothing_is_lost(copied, capsys):
    study, jobs = copied

    def swap():
        one, other = (study.path(job) for job in jobs.values())
        one.rename(study.root / "between")
        other.rename(one)
        (study.root / "between").rename(other)

    swap()
    assert [study.state(job) for job in jobs.values()] == ["damaged", "damaged"]
    third = study.select(method="knn_pixels")[0]
    assert run(study, third.id, *(job.id for job in jobs.values())) == 1
    captured = capsys.readouterr()
    assert "1 of 3 jobs done" in captured.out and jobs_in(study) == {third.id}
    assert len(captured.err.splitlines()) == 2
    for own, other in (("ganomaly", "classifier"), ("classifier", "ganomaly")):
        said = f"{study.path(jobs[own])} holds another job, {jobs[other].id}: move it"
        assert said in captured.err
    swap()
    assert all(study.find(job) for job in jobs.values())


def test_networks_that_were_changed_are_trained_anew(copied, quickest, capsys):
    study, jobs = copied
    weights = study.path(jobs["classifier"]) / "averaged.safetensors"
    flip(weights)
    run_job(study, jobs["classifier"])
    whole = quickest[1]["classifier"].folder / "averaged.safetensors"
    assert weights.read_bytes() == whole.read_bytes()
    assert "what was trained is damaged, or of other data; trained anew" in capsys.readouterr().out


@pytest.mark.parametrize("same_data", [True, False])
def test_networks_that_are_measured_once_more_keep_who_trained_them(copied, same_data, capsys):
    study, jobs = copied
    folder = study.path(jobs["classifier"])
    now = json.loads((folder / "run.json").read_text())
    times = {"last": 1.0, "averaged": 1.0}
    then = {"device": "cuda", "gpu": "A GPU", "commit": "an older one", "inference_us": times}
    other = {} if same_data else {"split": "of other images"}
    (folder / "run.json").write_text(json.dumps(now | then | other))
    seal(folder)
    (folder / "last.npz").write_bytes(b"damaged")
    about = run_job(study, jobs["classifier"]).about
    assert "trained anew" in capsys.readouterr().out or same_data
    assert about["split"] == now["split"] and about["device"] == ("cuda" if same_data else "cpu")
    assert ({key: about.get(key) for key in then} == then) == same_data


@pytest.mark.parametrize(
    "file, content, is_sealed",
    [
        ("run.json", b'{"id": "edited"}', False),
        ("run.json", b"[" * 100_000, True),
        ("last.npz", b"no archive", True),
    ],
)
def test_a_folder_that_was_changed_is_named_and_left_out(copied, file, content, is_sealed, capsys):
    study, jobs = copied
    path = study.path(jobs["ganomaly"]) / file
    path.write_bytes(content)
    if is_sealed:
        seal(path.parent)
    assert set(study.write_runs()["job"]) == {jobs["classifier"].id}
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"left out of runs.csv: {path.parent} ")
    assert study.find(jobs["ganomaly"]) is None or file == "last.npz"


# --- what is supplied ---


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"settings": "epochs=3"}, 'settings takes a dictionary such as {"epochs": 3}'),
        ({"results": 5}, "results takes a folder's name"),
        ({"precision": "auto"}, "no precision 'auto'"),
    ],
)
def test_parameters_of_a_wrong_kind_are_one_clear_line(wrong, said):
    with pytest.raises(ConfigError, match=said):
        Study(**wrong)


def test_a_parameter_that_the_notebook_has_not_is_no_silent_quick_run(monkeypatch):
    cells = {"In": ["profile = 'quick'\nsettings = {}", "# Parameters\nepochs = 3\n", "%time 1"]}
    monkeypatch.setattr(shown, "get_ipython", lambda: SimpleNamespace(user_ns=cells))
    with pytest.raises(ConfigError, match="no parameter epochs: give it as settings"):
        shown.Study("smoke")
