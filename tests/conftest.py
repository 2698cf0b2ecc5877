import json
import shutil
import socket
from pathlib import Path

import nbformat
import pytest
import torch
from matplotlib import pyplot as plt

from ygan_study.plan.settings import Settings

PARAMETERS = (
    "profile = 'quick'\nresults = None\ndevice = 'auto'\nprecision = 'float32'\nsettings = {}"
)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """run_tests.sh runs two processes side by side; more threads would wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_figure_left_open():
    plt.switch_backend("agg")  # opens no window
    yield
    plt.close("all")


@pytest.fixture
def small():
    """A configuration that trains in a second."""
    return Settings(width=4, epochs=4, batch_size=16)


@pytest.fixture
def images():
    """Eighty random images of three classes: uint8 (80, 3, 32, 32), int64 (80,)."""
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (80, 3, 32, 32), dtype=torch.uint8, generator=random)
    return pixels, torch.arange(80) % 3


@pytest.fixture(scope="session")
def noise():
    """Random images without labels, which no test changes: uint8 (32, 3, 32, 32)."""
    random = torch.Generator().manual_seed(0)
    return torch.randint(256, (32, 3, 32, 32), dtype=torch.uint8, generator=random)


@pytest.fixture
def stop_after():
    """stop_after(2) is a callback that interrupts a training after its second epoch."""

    def make(number):
        def callback(epoch):
            if epoch.number == number:
                raise KeyboardInterrupt

        return callback

    return make


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """One results folder for the session: the smoke profile's trainings are made once."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="session")
def smoke(results):
    """The smoke profile's study, and its Color-MNIST runs by configuration."""
    from ygan_study import Study

    study = Study("smoke", results)
    runs = study.run_all(study.select(dataset="color_mnist"))
    return study, {run.config.name: run for run in runs}


@pytest.fixture(scope="session")
def color(smoke):
    """The smoke profile's first Y-GAN of Color-MNIST."""
    return smoke[1]["balanced"]


@pytest.fixture(scope="session")
def ygan_of(smoke):
    """ygan_of("mnist") is the smoke profile's first Y-GAN of MNIST."""
    return lambda name: smoke[0].run(smoke[0].select(dataset=name, group="balanced")[0])


@pytest.fixture(scope="session")
def quickest(tmp_path_factory):
    """The smoke study, with two trainings of MNIST that take no time: a baseline's, and the
    control's.
    """
    from ygan_study.run.store import Study
    from ygan_study.run.training import run_all

    study = Study("smoke", tmp_path_factory.mktemp("quickest"))
    wanted = [*study.select(method="ganomaly"), *study.select(dataset="mnist", group="classifier")]
    return study, {run.config.method: run for run in run_all(study, wanted)}


@pytest.fixture
def copied(quickest, tmp_path):
    """A copy of `quickest` that a test may damage: (study, jobs by method)."""
    from ygan_study.run.store import Study

    shutil.copytree(quickest[0].root, tmp_path / "smoke")
    return Study("smoke", tmp_path), {method: run.job for method, run in quickest[1].items()}


@pytest.fixture
def notebook(tmp_path):
    """Makes a notebook of these code cells after a parameters cell; returns where it lies."""

    def make(*cells, parameters=PARAMETERS):
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        book = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
        book.cells = [nbformat.v4.new_code_cell(source) for source in (parameters, *cells)]
        book.cells[0].metadata["tags"] = ["parameters"]
        path = tmp_path / "notebooks" / "01_made.ipynb"
        path.parent.mkdir(exist_ok=True)
        nbformat.write(book, path)
        return path

    return make


@pytest.fixture
def free_port():
    """A port of this machine that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def read_json():
    return lambda path: json.loads(Path(path).read_text(encoding="utf-8"))
