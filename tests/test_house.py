"""The rules of the house: who imports whom (pyproject.toml), one style of code, and a small core."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "command",
    [
        ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        ["-m", "ruff", "check", "--no-cache"],
        ["-m", "ruff", "format", "--check", "--no-cache"],
    ],
    ids=["imports", "style", "format"],
)
def test_the_rules_hold(command):
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_core_knows_nothing_of_the_study():
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "ygan_core").rglob("*.py")}
    assert texts and not [path for path, text in texts.items() if "ygan_study" in text]
