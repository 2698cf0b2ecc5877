"""The lists of packages agree with each other and with the code, and the start scripts find the
right Python.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import files, requires, version
from pathlib import Path

import jupyterlab
import pytest
import yaml
from jupyter_lsp import LanguageServerManager
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PYTHONS = ["3.10.13", "3.11.7", "3.12.1", "3.13.0"]
NAMES = ["python", "python3", "python3.10", "python3.11", "python3.12", "python3.13"]
LEFT_OUT = re.compile("nvidia-|cuda-|triton$")  # of PyTorch's CUDA build alone
PROMISED = (
    "torch torchvision jupyterlab ipywidgets papermill matplotlib seaborn scikit-learn pandas grad-cam tqdm safetensors"
).split()


def listed(array):
    """The requirements of one array, read as environment.sh reads them (and Python 3.10 has no
    tomllib).
    """
    lines = re.search(rf"^{array} = \[\n(.*?)^\]", PYPROJECT, re.M | re.S).group(1)
    return {
        canonicalize_name(need.name): need for need in map(Requirement, re.findall('"(.+)"', lines))
    }


def constraints():
    return [
        Requirement(line) for line in CONSTRAINTS.splitlines() if line and not line.startswith("#")
    ]


def pinned(python=None):
    """The pins that hold for a Python version (default: this one), by package."""
    environment = {"python_full_version": python, "python_version": python[:4]} if python else {}
    pins = {}
    for pin in constraints():
        if pin.marker is None or pin.marker.evaluate(default_environment() | environment):
            assert canonicalize_name(pin.name) not in pins, (
                f"two versions of {pin.name} for Python {python}"
            )
            pins[canonicalize_name(pin.name)] = pin.specifier
    return pins


# the lists


@pytest.mark.parametrize(
    "too_old", ["numpy 1.26.4", "pandas 2.0.3", "pillow 10.0.1", "matplotlib 3.6.3"]
)
def test_versions_that_lack_what_the_code_calls_are_not_enough(too_old):
    name, number = (
        too_old.split()
    )  # trapezoid, DataFrame.map, has_transparency_data, a legend outside
    assert not listed("dependencies")[name].specifier.contains(number)


def test_arrays_are_read_as_toml_reads_them():
    if sys.version_info < (3, 11):
        assert listed("dependencies") and listed("dev")
        return
    import tomllib

    project = tomllib.loads(PYPROJECT)["project"]
    assert [str(need) for need in listed("dependencies").values()] == project["dependencies"]
    assert [str(need) for need in listed("dev").values()] == project["optional-dependencies"]["dev"]


def test_promised_packages_are_listed():
    dependencies = listed("dependencies")
    assert set(PROMISED) <= set(dependencies)
    torch = dependencies["torch"].specifier
    assert torch.contains("2.11.0") and not torch.contains("2.10.9")


def test_every_import_is_listed():
    dependencies = listed("dependencies")
    # what the installed packages hold (packages_distributions does not know most of them on Python
    # 3.10)
    provided = {file.parts[0].removesuffix(".py") for name in dependencies for file in files(name)}
    # imported where they are asked for: extras, and a checkout of the authors' code
    provided |= {"distributed", "onnx", "onnxscript", "lib"}
    imported = {}
    for path in sorted((ROOT / "ygan_core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for name in names:
                imported.setdefault(name.split(".")[0], path)
    third_party = {
        name: path
        for name, path in imported.items()
        if name not in {*sys.stdlib_module_names, "ygan_core"}
    }
    assert {"torch", "PIL", "sklearn"} <= set(third_party)
    missing = {
        name: str(path.relative_to(ROOT))
        for name, path in third_party.items()
        if name not in provided
    }
    assert not missing, "imported, but no dependency in pyproject.toml provides it"


def test_conda_installs_pyproject_and_nothing_else():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert conda["name"] == "ygan"
    python, pip, installed = conda["dependencies"]
    assert pip == "pip" and installed == {"pip": ["-c constraints.txt", "-e .[dev]"]}
    python = Version(re.fullmatch(r"python=(3\.\d+)", python).group(1))
    assert Version("3.10") <= python <= Version("3.13")
    assert (
        python
        in Requirement(
            "python" + re.search(r'^requires-python = "(.+)"', PYPROJECT, re.M).group(1)
        ).specifier
    )


def test_constraints_are_exact():
    for pin in constraints():
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(pin.specifier)), (
            pin
        )  # no range, no "2.14.*", no "2.14.1+cpu"
        assert not pin.extras and not pin.url and not LEFT_OUT.match(pin.name), pin


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_cover_pyproject(python):
    pins = pinned(python)
    for name, need in (listed("dependencies") | listed("dev") | listed("distributed")).items():
        assert name in pins, (
            f"constraints.txt lacks {name}: its first lines hold the command that adds it"
        )
        (pin,) = pins[name]
        assert need.specifier.contains(pin.version), need


def test_constraints_cover_what_the_listed_packages_need():
    pins = pinned()
    missing, seen, waiting = (
        set(),
        set(),
        [(need, frozenset(need.extras)) for need in listed("dependencies").values()],
    )
    waiting += [(need, frozenset(need.extras)) for need in listed("dev").values()]
    while waiting:
        need, extras = waiting.pop()
        name = canonicalize_name(need.name)
        if (name, extras) in seen or LEFT_OUT.match(name):
            continue
        seen.add((name, extras))
        if name not in pins:
            missing.add(name)
        elif pins[name].contains(
            version(name), prereleases=True
        ):  # another version may need others
            for further in map(Requirement, requires(name) or []):
                if further.marker is None or any(
                    further.marker.evaluate({"extra": extra}) for extra in extras | {""}
                ):
                    waiting.append((further, frozenset(further.extras)))
    assert not missing


# the start scripts, in a copy with no .venv, in a folder with a space in its name


@pytest.fixture
def copy(tmp_path):
    copy = tmp_path / "a copy"
    copy.mkdir()
    for name in [
        "pyproject.toml",
        "constraints.txt",
        "environment.sh",
        "run_all.sh",
        "run_tests.sh",
    ]:
        shutil.copy(ROOT / name, copy / name)
    (copy / "bin").mkdir()
    return copy


def put_python(path, version=sys.version_info[:2], code=""):
    """An executable that runs this Python as if it were of that version; `code` runs first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    runner = path.parent / (path.name + ".py")
    runner.write_text(
        f"import sys; sys.version_info = ({version[0]}, {version[1]}, 0, 'final', 0); sys.executable = {str(path)!r}\n{code}\n"
        "arguments = sys.argv[1:]\n"
        "if arguments[0] not in ('-c', '-'):\n"
        f"    import os; os.execv({sys.executable!r}, [{sys.executable!r}, *arguments])\n"
        "source = arguments[1] if arguments[0] == '-c' else sys.stdin.read()\n"
        "sys.argv = arguments[:1] + arguments[1 + (arguments[0] == '-c'):]\n"
        "exec(compile(source, '<code>', 'exec'), {'__name__': '__main__'})\n"
    )
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{runner}" "$@"\n')
    path.chmod(0o755)


def put_shim(path):
    path.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    path.chmod(0o755)


def bash(copy, *command, **variables):
    path = f"{copy / 'bin'}:/usr/bin:/bin"
    environment = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "YGAN_LATEST")
    } | variables
    # a script that wrongly goes on to install fails at once
    environment |= {
        "PATH": path,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "",
        "TORCH_CPU_INDEX": "http://127.0.0.1:9",
    }
    return subprocess.run(
        ["bash", *command],
        cwd=copy.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def function(copy, command, **variables):
    return bash(copy, "-euc", f". '{copy}/environment.sh'; {command}", **variables)


def pip_calls(copy, command, **variables):
    """What `command` of environment.sh would install, a line for each call of pip; the Python of
    .venv does nothing.
    """
    (copy / "bin" / "base").write_text(
        '#!/bin/sh\nmkdir -p "$4/bin" && echo "#!/bin/sh" >"$4/bin/python" && chmod +x "$4/bin/python"'
    )
    (copy / "bin" / "base").chmod(0o755)
    stubs = 'base_python() { echo base; }; install() { echo "$*"; }; uname() { echo Linux; }; nvidia-smi() { :; }'
    result = function(copy, f"{stubs}; {command}", **variables)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_too_old_and_broken_pythons_are_refused_in_one_line(copy):
    for name in NAMES:
        put_python(copy / "bin" / name, version=(3, 9))
    put_python(copy / "bin" / "python3", version=(3, 14))
    put_shim(copy / "bin" / "python3.12")
    result = bash(copy, str(copy / "run_all.sh"), "--list")
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.count("\n") == 1 and "3.10, 3.11, 3.12 or 3.13" in result.stderr
    assert not (copy / ".venv").exists()


def test_python_without_ensurepip_is_named_in_one_line(copy):
    for name in NAMES:
        put_shim(copy / "bin" / name)
    # no package is found either, so that this is not taken for a complete environment
    put_python(
        copy / "bin" / "python3",
        version=(3, 12),
        code="sys.modules['ensurepip'] = sys.modules['packaging'] = None",
    )
    result = bash(copy, str(copy / "run_all.sh"))
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1 and "apt install python3-venv" in result.stderr
    assert not (copy / ".venv").exists()


def test_base_python_is_the_default_one_or_the_newest_that_runs(copy):
    for name in NAMES:
        put_shim(copy / "bin" / name)
    put_python(
        copy / "bin" / "python3.11", version=(3, 11), code="sys._base_executable = 'the 3.11'"
    )
    assert function(copy, "base_python").stdout == "the 3.11\n"
    put_python(copy / "bin" / "python3.13", version=(3, 13))
    put_python(
        copy / "bin" / "python", version=(3, 10), code="sys._base_executable = 'the default'"
    )
    assert function(copy, "base_python").stdout == "the default\n"


def test_complete_active_environment_is_used(copy):
    put_shim(copy / "bin" / "python")
    put_python(copy / "bin" / "python3")
    result = bash(copy, str(copy / "run_tests.sh"), "--version")
    assert result.returncode == 0 and "pytest" in result.stdout + result.stderr
    assert f"at {copy / 'bin' / 'python3'}\n" in result.stderr
    assert not (copy / ".venv").exists()


def test_active_environment_of_other_versions_is_used_with_one_line(copy):
    put_shim(copy / "bin" / "python")
    put_python(copy / "bin" / "python3")
    here = {name: version(name) for name in listed("dependencies")}
    (copy / "constraints.txt").write_text(
        "".join(f"{name}=={number.split('+')[0]}\n" for name, number in here.items())
    )
    assert function(copy, "need_environment").stderr.count("\n") == 1  # "Using Python ..."
    (copy / "constraints.txt").write_text(
        f"# old\n\nnumpy==1.0 ; python_version >= '3'\ntorch=={here['torch']}\nscipy==1.0\n"
    )
    result = function(copy, "need_environment")
    assert result.returncode == 0 and result.stderr.count("\n") == 2
    assert f"constraints.txt (numpy {here['numpy']}, not 1.0; 1 more)" in result.stderr
    assert function(copy, "need_environment", YGAN_LATEST="1").stderr.count("\n") == 1


@pytest.mark.parametrize(
    "array, need",
    [("dependencies", "torch>=999"), ("dependencies", "ygan-no-such"), ("dev", "ygan-no-such")],
)
def test_incomplete_active_environment_is_not_used(copy, array, need):
    for name in NAMES:
        put_python(copy / "bin" / name)
    assert function(copy, "have_environment dev").returncode == 0
    (copy / "pyproject.toml").write_text(
        PYPROJECT.replace(f"\n{array} = [\n", f'\n{array} = [\n    "{need}",\n')
    )
    assert function(copy, "have_environment dev").returncode == 1
    assert function(copy, "have_environment").returncode == (1 if array == "dependencies" else 0)


def test_venv_is_used_only_when_finished_for_this_pyproject(copy):
    for name in NAMES:
        put_shim(copy / "bin" / name)
    put_python(copy / ".venv" / "bin" / "python")
    for extra in "", "dev":
        assert function(copy, f"have_environment {extra}").returncode == 1
    for finished, plain, dev in [("", 0, 1), ("dev", 0, 0)]:
        (copy / ".venv" / ".ready").write_text(function(copy, f"ready_mark {finished}").stdout)
        assert function(copy, "have_environment").returncode == plain
        assert function(copy, "have_environment dev").returncode == dev
    assert function(copy, "have_environment", YGAN_LATEST="0").returncode == 0
    assert function(copy, "have_environment", YGAN_LATEST="1").returncode == 1
    refused = function(copy, "have_environment", YGAN_LATEST="no")
    assert refused.returncode == 2 and "YGAN_LATEST=no: it is 1, or 0" in refused.stderr
    for name, text in [("pyproject.toml", PYPROJECT), ("constraints.txt", CONSTRAINTS)]:
        (copy / name).write_text(text + "# changed\n")
        assert function(copy, "have_environment").returncode == 1
        (copy / name).write_text(text)
        assert function(copy, "have_environment").returncode == 0


def test_venv_has_the_versions_of_constraints_unless_the_newest_are_asked_for(copy):
    torch = re.findall('"(torch(?:vision)?>=.*)"', PYPROJECT)
    wheels = f"--no-deps --index-url http://127.0.0.1:9 {' '.join(torch)}"
    pins, newest = "-c constraints.txt", "--upgrade --upgrade-strategy eager"
    assert pip_calls(copy, "make_venv dev") == [
        f"{pins} {wheels}",
        "-q pip>=22",
        f"{pins} -e .[dev]",
    ]
    assert pip_calls(copy, "make_venv", YGAN_LATEST="1") == [
        f"{newest} {wheels}",
        "-q pip>=22",
        f"{newest} -e .",
    ]
    assert (copy / ".venv" / ".ready").read_text() == function(
        copy, "ready_mark", YGAN_LATEST="1"
    ).stdout


def test_jupyterlab_of_venv_is_quiet(copy):
    pip_calls(copy, "make_venv")
    ((plugin, settings),) = json.loads(
        (copy / ".venv/share/jupyter/lab/settings/overrides.json").read_text()
    ).items()
    schema = Path(jupyterlab.__file__).parent / "schemas" / (plugin.replace(":", "/") + ".json")
    known = json.loads(schema.read_text(encoding="utf-8"))["properties"]
    assert settings == {"fetchNews": "false", "checkForUpdates": False} and set(settings) <= set(
        known
    )
    assert "false" in [choice["const"] for choice in known["fetchNews"]["oneOf"]]
    server = json.loads((copy / ".venv/etc/jupyter/jupyter_server_config.json").read_text())
    assert server == {LanguageServerManager.__name__: {"autodetect": False}}
    assert LanguageServerManager.class_traits(config=True)["autodetect"]


def test_help_without_an_environment_installs_nothing(copy):
    for name in NAMES:
        put_shim(copy / "bin" / name)
    result = bash(copy, str(copy / "run_all.sh"), "--help")
    assert (
        result.returncode == 0 and "--profile" in result.stdout and "set -euo" not in result.stdout
    )
    assert not (copy / ".venv").exists()
