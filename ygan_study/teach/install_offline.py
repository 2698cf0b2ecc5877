"""Installs what lies beside this file into .venv, without a network: python install.py"""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
NOTICES = {"fetchNews": "false", "checkForUpdates": False}
SETTINGS = {  # JupyterLab asks no question about news, and asks no server for updates
    "share/jupyter/lab/settings/overrides.json": {
        "@jupyterlab/apputils-extension:notification": NOTICES
    },
    "etc/jupyter/jupyter_server_config.json": {"LanguageServerManager": {"autodetect": False}},
}


def kind(python: str, system: str) -> tuple[str, str, str]:
    """What has to agree: Python's version, system, processor. system: as macosx-14.0-arm64."""
    name, *_, processor = system.split("-")
    return python, name, processor


def main() -> None:
    """Make .venv and fill it from wheels/; stop where Python or system is not the archive's."""
    made_for = json.loads((HERE / "wheels" / "made_for.json").read_text(encoding="utf-8"))
    python, system = f"{sys.version_info[0]}.{sys.version_info[1]}", sysconfig.get_platform()
    if kind(python, system) != kind(**made_for):
        wanted = f"Python {made_for['python']} on {made_for['system']}"
        sys.exit(f"This archive is for {wanted}; this is Python {python} on {system}.")
    venv.create(HERE / ".venv", with_pip=True)
    scripts = HERE / ".venv" / ("Scripts" if os.name == "nt" else "bin")
    pip = [scripts / "python", "-m", "pip", "install", "--disable-pip-version-check", "--no-index"]
    what = ["--find-links", HERE / "wheels", "-c", "constraints.txt", "-e", "."]
    if subprocess.run([*pip, *what], cwd=HERE).returncode:
        sys.exit("The installation failed (pip says why above). Delete .venv, then run this again.")
    for name, settings in SETTINGS.items():
        path = HERE / ".venv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings), encoding="utf-8")
    print(f"\nInstalled. To begin: {scripts / 'jupyter'} lab notebooks", flush=True)


if __name__ == "__main__":
    main()
