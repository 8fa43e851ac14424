"""The wheel, used as somebody who has nothing but the wheel would use it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.contracts.stubs import PROTOS, ROOT
from tests.support.wheel import build_wheel

# This checkout, and others that share its environment, are on the path of the tests' interpreter; what is forgotten
# in the wheel must not be found there.
ALONE = """
import pathlib, sys
wheel = pathlib.Path(sys.argv.pop(1))
sys.path[:] = [str(wheel)] + [
    entry for entry in sys.path
    if entry and not any(pathlib.Path(entry, name).is_dir() for name in ("devtools", "holdfast"))
]
"""
IMPORT_ALL = """
import importlib, pkgutil
for name in ("delivery_service", "inventory_service", "servicekit", "holdfast"):
    package = importlib.import_module(name)
    assert all(str(wheel) in path for path in package.__path__), (name, list(package.__path__))
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if ".migrations" not in module.name:
            importlib.import_module(module.name)
for stub in wheel.glob("holdfast/*/v1/*_pb2*.py"):
    importlib.import_module(".".join(stub.relative_to(wheel).with_suffix("").parts))
try:
    import devtools
except ModuleNotFoundError:
    print("alone", len(sys.modules))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built and unpacked in a fresh folder."""
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(build_wheel(folder)) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def run_alone(
    wheel: Path, program: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ALONE + program, str(wheel), *arguments]
    return subprocess.run(
        command, cwd=wheel, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_every_module_can_be_imported_from_the_wheel_alone(wheel: Path) -> None:
    run = run_alone(wheel, IMPORT_ALL)

    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("alone")


def test_the_wheel_carries_contracts_types_and_migrations_and_nothing_else(wheel: Path) -> None:
    carried = {str(path.relative_to(wheel)) for path in wheel.rglob("*") if path.is_file()}

    contracts = {
        str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*") if path.suffix in (".proto", ".pyi")
    }
    configs = {str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*_service_config.json")}
    assert len(configs) == 3
    assert carried >= contracts | configs | {"holdfast/py.typed", "servicekit/py.typed"}
    for service in ("delivery", "inventory"):
        revisions = (ROOT / "migrations" / service / "versions").glob("0*.py")
        expected = {f"{service}_service/migrations/versions/{path.name}" for path in revisions}
        further = {f"{service}_service/migrations/env.py", f"{service}_service/callers.toml"}
        assert expected and carried >= expected | further
    top = {name.split("/")[0] for name in carried if ".dist-info/" not in name}
    assert top == {"delivery_service", "inventory_service", "servicekit", "holdfast"}


async def test_the_wheel_migrates_an_empty_inventory_database(wheel: Path, postgres_url: str) -> None:
    migrates(wheel, "inventory", INVENTORY_DATABASE_URL=postgres_url)


async def test_the_wheel_migrates_an_empty_delivery_database(
    wheel: Path, delivery_url: str, tmp_path: Path
) -> None:
    migrates(
        wheel,
        "delivery",
        DELIVERY_DATABASE_URL=delivery_url,
        DELIVERY_INVENTORY_ADDRESS="127.0.0.1:9",
        DELIVERY_EVIDENCE_URL=str(tmp_path),
    )


def migrates(wheel: Path, service: str, **environment: str) -> None:
    program = (
        f"from {service}_service.__main__ import main\nsys.argv[0] = '{service}-service'\nsys.exit(main())"
    )
    newest = max((ROOT / "migrations" / service / "versions").glob("0*.py")).name[:4]

    upgrade = run_alone(wheel, program, "migrate", "upgrade", **environment)
    assert (upgrade.returncode, upgrade.stdout) == (
        0,
        f"{service}: schema at {newest}, was nothing\n",
    ), upgrade.stderr

    status = run_alone(wheel, program, "migrate", "status", **environment)
    assert (status.returncode, status.stdout) == (0, f"applied: {newest}\nexpected: {newest}\npending: 0\n")
