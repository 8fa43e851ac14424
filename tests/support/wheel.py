"""The wheel of this checkout, and an environment of somebody who has nothing else."""

import subprocess
import sys
from pathlib import Path

from tests.support.forks import ROOT


def build_wheel(folder: Path) -> Path:
    """Builds the wheel into a folder; answers its path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("holdfast-*.whl")
    return built


def install_alone(wheel: Path, folder: Path) -> Path:
    """Makes a virtual environment with the wheel and what it depends on, as pip finds it; answers its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-input"]
    subprocess.run([*pip, "--disable-pip-version-check", "--no-compile", str(wheel)], check=True)
    return python
