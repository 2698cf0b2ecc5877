"""What a class needs beside the notebooks: slides, handout, answers, the archive for laptops without a network."""

import base64
import json
import os
import re
import subprocess
import sys
import zipfile

import pandas as pd
import pytest

from ygan_core.config import ConfigError
from ygan_core.data import DataError
from ygan_core.data.datasets import REPOSITORY
from ygan_study.teach import archive, slides
from ygan_study.teach.__main__ import main
from ygan_study.teach.answers import gather, hand_in

# slides and handout


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    slides.SHORT = {"epochs": 1, "images_per_class": 100}  # for the time of a test
    return {
        path.stem: path.read_text(encoding="utf-8")
        for path in slides.build(tmp_path_factory.mktemp("class"))
    }


def test_slides_are_whole_and_need_no_network(pages):
    assert 12 <= pages["slides"].count("<section>") <= 15
    assert pages["slides"].count("<section>") == pages["slides"].count(
        "<aside>"
    )  # speaker's notes to each
    for page in pages.values():
        sources = re.findall(r'(?:src|href)="(.{30})', page)
        assert sources and all(
            source.startswith("data:image/png;base64,iVBOR") for source in sources
        )
        assert "$" not in page and "Notes:" not in page and "![" not in page and " | " not in page
    assert pages["handout"].count("<tr>") == 6  # the terms of the training


def test_a_picture_is_the_tours_own(pages):
    shown = re.findall(r'src="data:image/png;base64,(.+?)" alt="(.+?)"', pages["slides"])
    assert len({picture for picture, _ in shown}) == len(shown) >= 9
    fig6a = next(picture for picture, alt in shown if alt.startswith("Two swap grids"))
    assert (
        base64.b64decode(fig6a) == (REPOSITORY / "results" / "pictures" / "fig6a.png").read_bytes()
    )


def test_a_picture_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="no picture of_nothing"):
        slides.pictures({"of_nothing"})


@pytest.mark.parametrize(
    "formula, html",
    [
        ("$z_s$", "<i>z</i><sub>s</sub>"),
        (r"$\lambda_R$", "<i>λ</i><sub>R</sub>"),
        (r"$L_{con} = -\cos(z_s)$", "<i>L</i><sub>con</sub> = −cos (<i>z</i><sub>s</sub>)"),
        (r"$s = 1 - \max p$", "<i>s</i> = 1 − max  <i>p</i>"),
    ],
)
def test_formulas(formula, html):
    assert slides.formulas(formula) == html


# answers


def test_a_class_becomes_one_table(tmp_path, capsys):
    hand_in("ex1", "Ada L.", {1: "it learns noise", 2: ""}, tmp_path)
    hand_in("ex1", "Ada L.", {1: "it learns nothing yet", 2: ""}, tmp_path)
    hand_in("ex3", "Ada L.", {"prediction": {"AUC": "down"}}, tmp_path)
    hand_in("ex1", "Bo", {1: '=HYPERLINK("x")', 2: "-0.5"}, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"Ada_L.csv", "Bo.csv"} and str(
        tmp_path
    ) in capsys.readouterr().out
    assert main(["gather", str(tmp_path), "--to", str(tmp_path / "answers.csv")]) == 0
    table = pd.read_csv(tmp_path / "answers.csv", dtype=str, keep_default_na=False).set_index(
        "student"
    )
    assert list(table.columns) == ["file", "ex1 1", "ex1 2", "ex3 prediction"]
    assert (
        table.loc["Ada L.", "ex1 1"] == "it learns nothing yet"
        and table.loc["Ada L.", "ex3 prediction"] == "{'AUC': 'down'}"
    )
    assert (
        table.loc["Bo", "ex1 1"].startswith("'=") and table.loc["Bo", "ex1 2"] == "-0.5"
    )  # a text, and no formula
    hand_in("ex1", "=1+1", {1: "b"}, tmp_path)
    gather(tmp_path, tmp_path / "answers.csv")  # again, beside its own table
    assert "'=1+1" in set(pd.read_csv(tmp_path / "answers.csv", dtype=str)["student"])


def test_two_students_of_one_name_both_stay(tmp_path):
    for folder in ("one", "other"):
        hand_in("ex1", "Kim", {1: folder}, tmp_path / folder)
        (tmp_path / folder / "Kim.csv").rename(tmp_path / f"{folder}.csv")
    assert sorted(pd.read_csv(gather(tmp_path, tmp_path / "t" / "answers.csv"))["ex1 1"]) == [
        "one",
        "other",
    ]


@pytest.mark.parametrize("name", ["", "  ", "../.."])
def test_without_a_name_nothing_is_written(name, tmp_path, capsys):
    hand_in("ex1", name, {1: "yes"}, tmp_path)
    assert not list(tmp_path.iterdir()) and "write your name" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "\xff\xfe", "student,exercise\n"])
def test_a_file_that_holds_no_answers_is_named_and_nothing_is_written(content, tmp_path, capsys):
    hand_in("ex1", "Ada", {1: "yes"}, tmp_path)
    (tmp_path / "marks.csv").write_text(content, encoding="latin-1")
    capsys.readouterr()
    assert main(["gather", str(tmp_path), "--to", str(tmp_path / "answers.csv")]) == 2
    assert re.fullmatch(r".*marks.csv holds no answers .*\n", capsys.readouterr().err)
    assert not (tmp_path / "answers.csv").exists()


@pytest.mark.parametrize("line", [[], ["slide"], ["slides", "--t", "x"]])
def test_wrong_use_is_one_line(line, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(line)
    assert stopped.value.code == 2 and re.fullmatch(
        r".* \(--help says what there is\)\n", capsys.readouterr().err
    )


def test_an_empty_folder_says_what_belongs_there(tmp_path, capsys):
    assert main(["gather", str(tmp_path)]) == 2
    assert "results/answers/" in capsys.readouterr().err


# the archive


def wheel(folder, name, requires=""):
    """A wheel that holds one empty module."""
    folder.mkdir(exist_ok=True)
    parts = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", "")
        for part, text in parts.items():
            file.writestr(f"{name}-1.0.dist-info/{part}", text)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A repository that needs two tiny packages, and pip shut off from any network; setuptools is a tiny backend of its own."""
    root, index = tmp_path / "repository", tmp_path / "index"
    wheel(index, "tiny", "Requires-Dist: tinier\n")
    wheel(index, "tinier")
    files = {
        "pyproject.toml": '[build-system]\nrequires = ["tiny"]\nbuild-backend = "backend"\nbackend-path = ["ygan_core"]\n',
        "constraints.txt": "tiny==1.0\n",
        "ygan_core/backend.py": BACKEND,
        "ygan_core/__pycache__/backend.pyc": "",
        "notebooks/ex1.ipynb": json.dumps({"cells": [{"source": "1", "outputs": []}]}),
        "notebooks/solutions/ex1.ipynb": json.dumps({"cells": []}),
        "notebooks/TEACHING.md": "",
        "results/quick/runs.csv": "",
        "results/weights/a.npz": "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for key, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
        "PIP_CONFIG_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(archive, "BUILDING", ())
    return root


BACKEND = """
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name, about = "ygan_core-1.0-py3-none-any.whl", "ygan_core-1.0.dist-info"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as file:
        file.writestr("installed.pth", "")
        file.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\\nName: ygan-core\\nVersion: 1.0\\nRequires-Dist: tiny\\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        file.writestr(f"{about}/RECORD", "")
    return name

build_editable = build_wheel
"""


def unpacked(small, tmp_path):
    made = archive.make_class_archive(tmp_path / "to", small)
    with zipfile.ZipFile(made) as file:
        file.extractall(tmp_path / "laptop")
    return tmp_path / "laptop" / made.stem


def test_the_archive_installs_without_a_network(small, tmp_path):
    here = unpacked(small, tmp_path)
    inside = {path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file()}
    assert inside == {
        *(
            "install.py",
            "pyproject.toml",
            "constraints.txt",
            "ygan_core/backend.py",
            "notebooks/ex1.ipynb",
            "results/weights/a.npz",
        ),
        *(
            "wheels/tiny-1.0-py3-none-any.whl",
            "wheels/tinier-1.0-py3-none-any.whl",
            "wheels/made_for.json",
        ),
    }
    bare = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")} | {
        "PIP_CONFIG_FILE": os.devnull
    }
    done = subprocess.run(
        [sys.executable, "install.py"], cwd=here, env=bare, capture_output=True, text=True
    )
    assert done.returncode == 0 and "lab notebooks" in done.stdout, done.stdout + done.stderr
    python = next((here / ".venv").glob("[bS]*/python*"))
    assert subprocess.run([python, "-c", "import tiny, tinier"], cwd=tmp_path).returncode == 0
    assert "fetchNews" in (here / ".venv/share/jupyter/lab/settings/overrides.json").read_text()


def test_another_python_is_told_so(small, tmp_path):
    here = unpacked(small, tmp_path)
    (here / "wheels" / "made_for.json").write_text('{"python": "3.8", "system": "win-amd64"}')
    done = subprocess.run([sys.executable, "install.py"], cwd=here, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith(
        "This archive is for Python 3.8 on win-amd64; this is Python 3."
    )
    assert not (here / ".venv").exists()


def test_notebooks_that_were_run_are_not_packed(small, tmp_path):
    (small / "notebooks" / "ex1.ipynb").write_text(
        json.dumps({"cells": [{"source": "1", "execution_count": 3}]})
    )
    with pytest.raises(ConfigError, match="ex1.ipynb was run"):
        archive.make_class_archive(tmp_path / "to", small)
    assert not (tmp_path / "to").exists()


def test_without_a_wheel_no_archive_is_left(small, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ConfigError, match="could not collect the wheels"):
        archive.make_class_archive(tmp_path / "to", small)
    assert not (tmp_path / "to").exists()


def test_what_the_archive_packs_is_there_and_nothing_of_the_teachers():
    names = {path.relative_to(REPOSITORY).as_posix() for path in archive.files(REPOSITORY)}
    assert all((REPOSITORY / part).exists() for part in archive.PARTS)
    assert {
        "notebooks/00_tour.ipynb",
        "notebooks/exercises/ex1_gradient_reversal.ipynb",
        "data/starter/mnist.json",
    } <= names
    assert not [
        name for name in names if "solution" in name or "TEACHING" in name or "cache" in name
    ]
    cells = "".join(
        (REPOSITORY / name).read_text(encoding="utf-8") for name in names if name.endswith(".ipynb")
    )
    read = set(re.findall(r'REPOSITORY / \\"results\\" / \\"([\w.]+)\\"', cells))
    assert read and {f"results/{name}" for name in read} <= names


def test_the_container_copies_and_calls_what_is_there():
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    assert (
        "quiet_jupyter() {" in (REPOSITORY / "environment.sh").read_text(encoding="utf-8")
        and "quiet_jupyter" in text
    )
    kept = re.findall(r"^!(.+)$", (REPOSITORY / ".dockerignore").read_text(encoding="utf-8"), re.M)
    assert {"data/starter", "results/weights", "results/pictures"} <= set(kept)
    assert re.search(r"^FROM python:3\.1[0-3]-slim$", text, re.M)


def test_what_is_damaged_is_one_line(tmp_path, monkeypatch, capsys):
    def damaged(*_):
        raise DataError("the starter pack of mnist is damaged")

    monkeypatch.setattr(slides, "build", damaged)
    assert main(["slides", "--to", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "the starter pack of mnist is damaged\n"
