"""The lists of packages agree with each other and with the code; who imports whom, and one style of
code; start scripts find a Python.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import files, requires, version
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PYTHONS = ["3.10.13", "3.11.7", "3.12.1", "3.13.0"]
NAMES = ["python", "python3", "python3.10", "python3.11", "python3.12", "python3.13"]
PACKAGES = ("ygan_core", "ygan_study", "ygan_detector")
LEFT_OUT = re.compile("nvidia-|cuda-|triton$")  # of PyTorch's CUDA build alone


def listed(*arrays):
    """The requirements of arrays, read as environment.sh reads them (Python 3.10 has no tomllib)."""
    found = {}
    for array in arrays:
        lines = re.search(rf"^{array} = \[\n(.*?)^\]", PYPROJECT, re.M | re.S).group(1)
        needs = map(Requirement, re.findall('"(.+)"', lines))
        found |= {canonicalize_name(need.name): need for need in needs}
    return found


def pinned(python=None):
    """The pins that hold for a Python version (default: this one), by package."""
    environment = default_environment()
    environment |= {"python_full_version": python, "python_version": python[:4]} if python else {}
    lines = [line for line in CONSTRAINTS.splitlines() if line and not line.startswith("#")]
    pins = [p for p in map(Requirement, lines) if not p.marker or p.marker.evaluate(environment)]
    assert len(pins) == len({canonicalize_name(pin.name) for pin in pins})  # one version each
    return {canonicalize_name(pin.name): pin.specifier for pin in pins}


# --- the lists ---


def test_every_import_is_listed():
    # what the installed packages hold (packages_distributions does not know it on Python 3.10)
    installed = (file for name in listed("dependencies") for file in files(name) or ())
    provided = {file.parts[0].removesuffix(".py") for file in installed}
    # imported where they are asked for: extras, and a checkout of the authors' code
    provided |= {"distributed", "onnx", "onnxscript", "onnxruntime", "lib"}
    provided |= {*sys.stdlib_module_names, *PACKAGES}
    imported = {}
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0]: path for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported[node.module.split(".")[0]] = path
    assert {"torch", "PIL", "sklearn"} <= set(imported)
    assert not {name: path for name, path in imported.items() if name not in provided}


def test_conda_installs_pyproject_and_nothing_else():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, installed = conda["dependencies"]
    assert pip == "pip" and installed == {"pip": ["-c constraints.txt", "-e .[dev]"]}
    python = Version(re.fullmatch(r"python=(3\.\d+)", python).group(1))
    supported = re.search(r'^requires-python = "(.+)"', PYPROJECT, re.M).group(1)
    assert python in Requirement("python" + supported).specifier and python <= Version("3.13")


def test_constraints_are_exact_and_cover_pyproject():
    for python in PYTHONS:
        pins = pinned(python)
        for name, (pin,) in pins.items():  # no range, no "2.14.*", no "2.14.1+cpu"
            assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(pin)) and not LEFT_OUT.match(name), name
        for name, need in listed("dependencies", "dev", "distributed").items():
            assert name in pins, f"constraints.txt lacks {name}: its first lines say how to add it"
            (pin,) = pins[name]
            assert need.specifier.contains(pin.version), need


def test_constraints_cover_what_the_listed_packages_need():
    pins, missing, seen = pinned(), set(), set()
    waiting = [(need, frozenset(need.extras)) for need in listed("dependencies", "dev").values()]
    while waiting:
        need, extras = waiting.pop()
        name = canonicalize_name(need.name)
        if (name, extras) in seen or LEFT_OUT.match(name):
            continue
        seen.add((name, extras))
        if name not in pins:
            missing.add(name)
        elif pins[name].contains(version(name), prereleases=True):  # others may need other ones
            for further in map(Requirement, requires(name) or []):
                asked = [{"extra": extra} for extra in extras | {""}]
                if not further.marker or any(map(further.marker.evaluate, asked)):
                    waiting.append((further, frozenset(further.extras)))
    assert not missing


# --- the rules of the house (pyproject.toml) ---


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


# --- the start scripts, in a copy with no .venv, in a folder with a space in its name ---


@pytest.fixture
def copy(tmp_path):
    copy = tmp_path / "a copy"
    (copy / "bin").mkdir(parents=True)
    scripts = ["environment.sh", "run_all.sh", "run_tests.sh"]
    for name in ["pyproject.toml", "constraints.txt", *scripts]:
        shutil.copy(ROOT / name, copy / name)
    return copy


def put_python(path, version=sys.version_info[:2], code=""):
    """An executable that runs this Python as if it were of that version; `code` runs first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    runner = path.parent / (path.name + ".py")
    runner.write_text(f"""
import sys
sys.version_info = ({version[0]}, {version[1]}, 0, 'final', 0); sys.executable = {str(path)!r}
{code}
arguments = sys.argv[1:]
if arguments[0] not in ('-c', '-'):
    import os; os.execv({sys.executable!r}, [{sys.executable!r}, *arguments])
source = arguments[1] if arguments[0] == '-c' else sys.stdin.read()
sys.argv = arguments[:1] + arguments[1 + (arguments[0] == '-c'):]
exec(compile(source, '<code>', 'exec'), {{'__name__': '__main__'}})
""")
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{runner}" "$@"\n')
    path.chmod(0o755)


def put_broken(copy):
    """Pythons that do not run, as pyenv's shims may not."""
    for name in NAMES:
        path = copy / "bin" / name
        path.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
        path.chmod(0o755)


def bash(copy, *command, **variables):
    aside = ("PYTHONPATH", "YGAN_LATEST")
    environment = {key: value for key, value in os.environ.items() if key not in aside} | variables
    # a script that wrongly goes on to install fails at once
    environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    environment |= {"TORCH_CPU_INDEX": "http://127.0.0.1:9"}
    environment["PATH"] = f"{copy / 'bin'}:/usr/bin:/bin"
    options = dict(cwd=copy.parent, env=environment, stdin=subprocess.DEVNULL, timeout=60)
    return subprocess.run(["bash", *command], capture_output=True, text=True, **options)


def function(copy, command, **variables):
    return bash(copy, "-euc", f". '{copy}/environment.sh'; {command}", **variables)


def test_where_no_python_will_do_it_is_said_in_one_line_and_help_is_there(copy):
    put_broken(copy)
    shown = bash(copy, str(copy / "run_all.sh"), "--help")
    assert shown.returncode == 0 and "--profile NAME" in shown.stdout
    put_python(copy / "bin" / "python", version=(3, 9))
    put_python(copy / "bin" / "python3", version=(3, 14))
    # without packages, so that it is not taken for a complete environment
    incomplete = "sys.modules['ensurepip'] = sys.modules['packaging'] = None"
    for said in ("3.10, 3.11, 3.12 or 3.13", "apt install python3-venv"):
        result = bash(copy, str(copy / "run_all.sh"), "--list")
        assert (result.returncode, result.stdout) == (1, "") and not (copy / ".venv").exists()
        assert result.stderr.count("\n") == 1 and said in result.stderr
        put_python(copy / "bin" / "python3", version=(3, 12), code=incomplete)


def test_an_active_environment_that_is_complete_is_used(copy):
    put_broken(copy)
    put_python(copy / "bin" / "python3")
    result = bash(copy, str(copy / "run_tests.sh"), "--version")
    assert result.returncode == 0 and "pytest" in result.stdout + result.stderr
    assert f"at {copy / 'bin' / 'python3'}\n" in result.stderr and not (copy / ".venv").exists()
    numpy = version("numpy")
    (copy / "constraints.txt").write_text("numpy==1.0 ; python_version >= '3'\nscipy==1.0\n")
    said = function(copy, "need_environment").stderr
    assert f"constraints.txt (numpy {numpy}, not 1.0; 1 more)" in said
    (copy / "pyproject.toml").write_text(PYPROJECT.replace('"torch>=', '"torch>=9'))
    assert function(copy, "have_environment").returncode == 1


def test_venv_is_used_only_when_finished_for_this_pyproject(copy):
    def have(extra="", **variables):
        return function(copy, f"have_environment {extra}", **variables).returncode

    put_broken(copy)
    put_python(copy / ".venv" / "bin" / "python")
    assert have() == have("dev") == 1
    for finished, dev in (("", 1), ("dev", 0)):
        (copy / ".venv" / ".ready").write_text(function(copy, f"ready_mark {finished}").stdout)
        assert (have(), have("dev")) == (0, dev)
    assert (have(YGAN_LATEST="0"), have(YGAN_LATEST="1"), have(YGAN_LATEST="no")) == (0, 1, 2)
    (copy / "constraints.txt").write_text(CONSTRAINTS + "# changed\n")
    assert have() == 1


def test_base_python_is_the_default_one_or_the_newest_that_runs(copy):
    put_broken(copy)
    for name, minor in (("python3.11", 11), ("python3.13", 13), ("python", 10)):
        base = f"sys._base_executable = 'the 3.{minor}'"
        put_python(copy / "bin" / name, version=(3, minor), code=base)
        assert function(copy, "base_python").stdout == f"the 3.{minor}\n"
