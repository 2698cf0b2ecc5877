"""Installs what lies beside this file into .venv, without a network: python install.py. Needs Python and nothing else."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
SETTINGS = {  # JupyterLab asks no question about news, and asks no server for updates
    "share/jupyter/lab/settings/overrides.json": {
        "@jupyterlab/apputils-extension:notification": {
            "fetchNews": "false",
            "checkForUpdates": False,
        }
    },
    "etc/jupyter/jupyter_server_config.json": {"LanguageServerManager": {"autodetect": False}},
}


def kind(machine: dict[str, str]) -> tuple[str, str, str]:
    """What has to agree: Python's version, system, processor. machine: {"python": "3.12", "system": "macosx-14.0-arm64"}."""
    system, *_, processor = machine["system"].split("-")
    return machine["python"], system, processor


def main() -> None:
    """Make .venv and fill it from wheels/; where Python or system is another than the archive's, say so and stop."""
    made_for = json.loads((HERE / "wheels" / "made_for.json").read_text(encoding="utf-8"))
    here = {
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "system": sysconfig.get_platform(),
    }
    if kind(here) != kind(made_for):
        wanted, found = (
            f"Python {machine['python']} on {machine['system']}" for machine in (made_for, here)
        )
        sys.exit(f"This archive is for {wanted}; this is {found}.")
    venv.create(HERE / ".venv", with_pip=True)
    scripts = HERE / ".venv" / ("Scripts" if os.name == "nt" else "bin")
    pip = [
        scripts / "python",
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-index",
        "--find-links",
        HERE / "wheels",
    ]
    if subprocess.run([*pip, "-c", "constraints.txt", "-e", "."], cwd=HERE).returncode:
        sys.exit(
            "The installation failed (pip says why above). Delete the folder .venv, then run this again."
        )
    for name, settings in SETTINGS.items():
        path = HERE / ".venv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings), encoding="utf-8")
    print(f"\nInstalled. To begin: {scripts / 'jupyter'} lab notebooks", flush=True)


if __name__ == "__main__":
    main()
