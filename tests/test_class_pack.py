"""What a class needs beside the notebooks: slides, handout, answers, the archive."""

import base64
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from unittest.mock import Mock

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
    made = slides.build(tmp_path_factory.mktemp("class"))
    return {path.stem: path.read_text(encoding="utf-8") for path in made}


def test_slides_are_whole_and_need_no_network(pages):
    assert 12 <= pages["slides"].count("<section>") <= 15
    assert pages["slides"].count("<section>") == pages["slides"].count("<aside>")  # notes to each
    for page in pages.values():
        sources = re.findall(r'(?:src|href)="(.{30})', page)
        assert sources and all(
            re.match("data:image/(png|webp);base64,", source) for source in sources
        )
        for unchanged in ("$", "Notes:", "![", " | "):
            assert unchanged not in page
    assert "<msub><mi>z</mi><mi>s</mi></msub>" in pages["slides"]
    assert pages["handout"].count("<tr>") == 6  # the terms of the training
    shown = re.findall(r'src="data:image/png;base64,(.+?)" alt="(.+?)"', pages["slides"])
    assert len({picture for picture, _ in shown}) == len(shown) >= 9
    fig6a = next(picture for picture, alt in shown if alt.startswith("Two swap grids"))
    assert base64.b64decode(fig6a) == (REPOSITORY / "results/pictures/fig6a.png").read_bytes()


# answers


def test_a_class_becomes_one_table(tmp_path, capsys):
    hand_in("ex1", "Ada L.", {1: "it learns noise", 2: ""}, tmp_path)
    hand_in("ex1", "Ada L.", {1: "it learns nothing yet", 2: ""}, tmp_path)
    hand_in("ex3", "Ada L.", {"prediction": {"AUC": "down"}}, tmp_path)
    hand_in("ex1", "Bo", {1: '=HYPERLINK("x")', 2: "-0.5"}, tmp_path)
    hand_in("ex1", " ../.. ", {1: "without a name nothing is written"}, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"Ada_L..csv", "Bo.csv"}
    said = capsys.readouterr().out
    assert str(tmp_path) in said and "write your name" in said
    shutil.copy(tmp_path / "Bo.csv", tmp_path / "another_Bo.csv")  # two students of one name
    for _ in range(2):  # the second time, beside its own table
        assert main(["gather", str(tmp_path), "--to", str(tmp_path / "answers.csv")]) == 0
    table = pd.read_csv(tmp_path / "answers.csv", dtype=str, keep_default_na=False)
    table = table.set_index("file")
    assert list(table.columns) == ["student", "ex1 1", "ex1 2", "ex3 prediction"]
    assert list(table["student"]) == ["Ada L.", "Bo", "Bo"]
    assert table.loc["Ada_L..csv", "ex1 1"] == "it learns nothing yet"
    assert table.loc["Ada_L..csv", "ex3 prediction"] == "{'AUC': 'down'}"
    assert table.loc["Bo.csv", "ex1 1"].startswith("'=")  # a text, and no formula
    assert table.loc["Bo.csv", "ex1 2"] == "-0.5"


def test_answers_from_a_mac_and_from_a_spreadsheet_are_read(tmp_path):
    hand_in("ex1", "Ada", {1: "größer; oder kleiner"}, tmp_path)
    (tmp_path / "._Ada.csv").write_bytes(b"\x00\x05\x16\x07")
    rows = pd.read_csv(tmp_path / "Ada.csv")
    rows.assign(student="Bo").to_csv(tmp_path / "Bo.csv", sep=";", index=False, encoding="cp1252")
    rows.assign(student="Cy").to_csv(tmp_path / "Cy.csv", index=False, encoding="utf-8-sig")
    table = pd.read_csv(gather(tmp_path, tmp_path / "answers.csv"))
    assert table["student"].tolist() == ["Ada", "Bo", "Cy"]
    assert set(table["ex1 1"]) == {"größer; oder kleiner"}


def test_a_folder_that_cannot_be_written_is_named_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written .*folder="):
        hand_in("ex1", "Ada", {1: "it learns noise"}, tmp_path / "file" / "answers")


@pytest.mark.parametrize("content", [None, b"", b"a,b\n1,2\n", b"\xff\xfe"])
def test_where_no_answers_are_one_line_says_so_and_nothing_is_written(content, tmp_path, capsys):
    named = "no answers in"
    if content is not None:
        (tmp_path / "marks.csv").write_bytes(content)
        named = "marks.csv holds no answers"
    assert main(["gather", str(tmp_path), "--to", str(tmp_path / "answers.csv")]) == 2
    assert re.fullmatch(f".*{named} .*\n", capsys.readouterr().err)
    assert not (tmp_path / "answers.csv").exists()


def test_damaged_data_is_one_line(monkeypatch, capsys):
    damaged = Mock(side_effect=DataError("the starter pack of mnist is damaged"))
    monkeypatch.setattr(slides, "build", damaged)
    assert main(["slides"]) == 2
    assert capsys.readouterr().err == "the starter pack of mnist is damaged\n"


# the archive


def wheel(folder, name, requires=""):
    """A wheel that holds one empty module."""
    folder.mkdir(exist_ok=True)
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", "")
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        file.writestr(f"{about}/METADATA", head + requires)
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        file.writestr(f"{about}/RECORD", "")


BACKEND = f"""
import zipfile
from pathlib import Path

{inspect.getsource(wheel)}
def build_wheel(folder, config_settings=None, metadata_directory=None):
    wheel(Path(folder), "ygan_core", "Requires-Dist: tiny\\n")
    return "ygan_core-1.0-py3-none-any.whl"

build_editable = build_wheel
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A repository that needs two tiny packages, and pip shut off from any network."""
    root, index = tmp_path / "repository", tmp_path / "index"
    wheel(index, "tiny", "Requires-Dist: tinier\n")
    wheel(index, "tinier")
    build = (
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['ygan_core']\n"
    )
    files = {
        "pyproject.toml": build,
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
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(archive, "BUILDING", ())
    monkeypatch.setattr(archive, "build_page", lambda path: path.write_text("page"))
    return root


def test_the_archive_installs_without_a_network(small, tmp_path, monkeypatch):
    made = archive.make_class_archive(tmp_path / "to", small)
    shutil.unpack_archive(made, tmp_path / "laptop")
    here = tmp_path / "laptop" / made.stem
    inside = {path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file()}
    wheels = {f"wheels/{name}-1.0-py3-none-any.whl" for name in ("tiny", "tinier")}
    kept = {"ygan_core/backend.py", "notebooks/ex1.ipynb", "results/weights/a.npz"}
    kept |= {"install.py", "play.html", "pyproject.toml", "constraints.txt", "wheels/made_for.json"}
    assert inside == wheels | kept
    monkeypatch.delenv("PIP_FIND_LINKS")
    install = [sys.executable, "install.py"]
    done = subprocess.run(install, cwd=here, capture_output=True, text=True)
    assert done.returncode == 0 and "lab notebooks" in done.stdout, done.stdout + done.stderr
    python = next((here / ".venv").glob("[bS]*/python*"))
    assert subprocess.run([python, "-c", "import tiny, tinier"], cwd=tmp_path).returncode == 0
    assert "fetchNews" in (here / ".venv/share/jupyter/lab/settings/overrides.json").read_text()

    shutil.rmtree(here / ".venv")
    (here / "wheels" / "made_for.json").write_text('{"python": "3.8", "system": "win-amd64"}')
    done = subprocess.run(install, cwd=here, capture_output=True, text=True)
    assert done.returncode == 1 and not (here / ".venv").exists()
    assert done.stderr.startswith("This archive is for Python 3.8 on win-amd64; this is Python 3.")


def test_no_archive_is_left_of_notebooks_that_were_run_or_without_a_wheel(
    small, tmp_path, monkeypatch
):
    used = json.dumps({"cells": [{"source": "1", "execution_count": 3}]})
    (small / "notebooks" / "used.ipynb").write_text(used)
    with pytest.raises(ConfigError, match="used.ipynb was run"):
        archive.make_class_archive(tmp_path / "to", small)
    (small / "notebooks" / "used.ipynb").unlink()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ConfigError, match="could not collect the wheels"):
        archive.make_class_archive(tmp_path / "to", small)
    assert not (tmp_path / "to").exists()


def test_what_the_archive_packs_is_there_and_nothing_of_the_teachers(tmp_path):
    assert all((REPOSITORY / part).exists() for part in archive.PARTS)
    archive.copy_files(REPOSITORY, tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert {"notebooks/00_tour.ipynb", "data/starter/mnist.json"} <= names
    assert {f"notebooks/exercises/{name}" for name in os.listdir("notebooks/exercises")} <= names
    assert not [n for n in names if "solution" in n or "TEACHING" in n or "__pycache__" in n]
    cells = "".join(path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.ipynb"))
    read = set(re.findall(r'REPOSITORY / \\"results\\" / \\"([\w.]+)\\"', cells))
    assert read and {f"results/{name}" for name in read} <= names


def test_the_container_copies_and_calls_what_is_there():
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    assert "quiet_jupyter() {" in (REPOSITORY / "environment.sh").read_text(encoding="utf-8")
    assert "quiet_jupyter" in text and re.search(r"^FROM python:3\.1[0-3]-slim$", text, re.M)
    kept = re.findall(r"^!(.+)$", (REPOSITORY / ".dockerignore").read_text(encoding="utf-8"), re.M)
    assert {"data/starter", "results/weights", "results/pictures"} <= set(kept)
