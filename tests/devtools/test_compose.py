"""The compose file is read, not run: no test here needs Docker."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url

from devtools.packages import PackagesUnavailable, python_packages

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
PARSE = """
import sys
from compose_spec.compose_spec import PyCompose
PyCompose.from_json(sys.stdin.read()).validate()
"""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return parsed


def ours(compose: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in compose["services"].items() if each.get("build")}


def filled_in(value: str) -> str:
    return re.sub(r"\$\{\w+:\?[^}]*\}", "secret", value)


@pytest.fixture(scope="module")
def parser() -> Path:
    """The packages of a parser of the compose specification; where it cannot be had the tests say so."""
    try:
        return python_packages(ROOT / "requirements/compose.txt")
    except PackagesUnavailable as reason:
        pytest.skip(f"no parser of the compose specification: {reason}")


def parsed(parser: Path, text: str) -> tuple[int, str]:
    # Merged first, as the specification says of `<<`; the parser takes what comes out.
    merged = json.dumps(yaml.safe_load(text))
    command = [sys.executable, "-c", PARSE]
    environment = {"PYTHONPATH": str(parser)}
    done = subprocess.run(command, input=merged, env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_the_file_is_what_the_compose_specification_asks_for(parser: Path) -> None:
    assert parsed(parser, COMPOSE.read_text()) == (0, "")


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("read_only: true", "readonly: true", "readonly"),
        ("read_only: true", "read_only: indeed", "expected a boolean"),
        ("127.0.0.1:7411:7411", "127.0.0.1:7411:abc", "`abc`"),
        ("interval: 2s", "interval: often", "duration `often`"),
        ("condition: service_healthy", "condition: service_well", "service_well"),
        ("  evidence:\n", "", "volume `evidence`"),
        ("\n  default:\n", " {}\n", "network `default`"),
    ],
)
def test_what_the_specification_does_not_know_is_found(
    parser: Path, right: str, wrong: str, told: str
) -> None:
    text = COMPOSE.read_text()
    assert right in text

    code, complaint = parsed(parser, text.replace(right, wrong))

    assert code != 0
    assert told in complaint


def test_every_part_waits_for_what_it_needs(compose: dict[str, Any]) -> None:
    waits = {
        name: {other: how["condition"] for other, how in part.get("depends_on", {}).items()}
        for name, part in compose["services"].items()
    }

    migrated = "service_completed_successfully"
    inventory = {"inventory-migrate": migrated}
    delivery = {"delivery-migrate": migrated, "inventory": "service_healthy"}
    assert waits == {
        "postgres": {},
        "mysql": {},
        "inventory-migrate": {"postgres": "service_healthy"},
        "delivery-migrate": {"mysql": "service_healthy"},
        "inventory": inventory,
        "inventory-2": inventory,
        "delivery": delivery,
        "delivery-2": delivery,
    }
    for part in waits.values():
        for name, condition in part.items():
            assert condition != "service_healthy" or "healthcheck" in compose["services"][name]


@pytest.mark.parametrize(("service", "name"), [("inventory", "inventories"), ("delivery", "deliveries")])
def test_a_replica_is_what_the_first_one_is_under_the_same_name(
    compose: dict[str, Any], service: str, name: str
) -> None:
    first, second = dict(compose["services"][service]), dict(compose["services"][f"{service}-2"])
    ports = [first.pop("ports"), second.pop("ports")]

    assert second.pop("profiles") == ["replicas"]
    assert second == first
    assert first["networks"]["default"]["aliases"] == [name]
    (inside,) = {published[0].rpartition(":")[2] for published in ports}
    outside = [port.rpartition(":")[0] for published in ports for port in published]
    assert len(set(outside)) == len(outside)
    assert first["healthcheck"]["test"][-1] == f"127.0.0.1:{inside}"


def test_delivery_calls_every_replica_of_inventory(compose: dict[str, Any]) -> None:
    services = compose["services"]
    name, _, port = services["delivery"]["environment"]["DELIVERY_INVENTORY_ADDRESS"].partition(":")

    bearing = [
        each
        for each, part in services.items()
        if name in part.get("networks", {}).get("default", {}).get("aliases", [])
    ]
    assert bearing == ["inventory", "inventory-2"]
    assert {services[each]["environment"]["INVENTORY_LISTEN"].rpartition(":")[2] for each in bearing} == {
        port
    }


def test_urls_name_the_databases_that_the_engines_create(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service, engine, prefix in (("inventory", "postgres", "POSTGRES"), ("delivery", "mysql", "MYSQL")):
        created = services[engine]["environment"]
        for part in (service, f"{service}-migrate"):
            environment = services[part]["environment"]
            url = make_url(filled_in(environment[f"{service.upper()}_DATABASE_URL"]))
            assert url.host == engine
            assert url.username == created[f"{prefix}_USER"]
            assert url.password == filled_in(created[f"{prefix}_PASSWORD"])
            assert url.database == created["POSTGRES_DB" if prefix == "POSTGRES" else "MYSQL_DATABASE"]


def test_commands_are_scripts_of_the_distribution_and_ports_are_those_listened_on(
    compose: dict[str, Any],
) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name, part in ours(compose).items():
        assert part["command"][0] in scripts
        service = name.split("-")[0]
        port, admin = (
            part["environment"][f"{service.upper()}_{setting}"].rpartition(":")[2]
            for setting in ("LISTEN", "ADMIN_LISTEN")
        )
        if part["command"][1] == "serve":
            assert [published.rpartition(":")[2] for published in part["ports"]] == [port, admin]
            assert part["healthcheck"]["test"][-1] == f"127.0.0.1:{port}"


def test_prometheus_asks_every_replica_where_it_tells(compose: dict[str, Any]) -> None:
    jobs = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    for job in jobs:
        (asked,) = job["dns_sd_configs"]
        service = job["job_name"]
        for replica in (service, f"{service}-2"):
            part = compose["services"][replica]
            assert part["networks"]["default"]["aliases"] == asked["names"]
            assert part["environment"][f"{service.upper()}_METRICS_LISTEN"] == f"0.0.0.0:{asked['port']}"
    assert [job["job_name"] for job in jobs] == ["inventory", "delivery"]


def test_no_password_is_known_beforehand_or_on_a_command_line(compose: dict[str, Any]) -> None:
    text = COMPOSE.read_text()
    assert set(re.findall(r"\$\{(\w+):\?", text)) == {"HOLDFAST_DATABASE_PASSWORD"}
    assert set(re.findall(r"\$\{(\w+):-", text)) == {"HOLDFAST_COMMIT"}
    for part in compose["services"].values():
        said = str(part.get("command", "")) + str(part.get("healthcheck", ""))
        assert "PASSWORD" not in said and "-p" not in said.split("'")


def test_the_image_says_of_which_commit_it_is(compose: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for part in ours(compose).values():
        assert part["build"]["args"] == {"COMMIT": "${HOLDFAST_COMMIT:-}"}
    assert re.search(r"^ARG COMMIT=$", dockerfile, re.M) and "HOLDFAST_COMMIT=$COMMIT" in dockerfile


def test_what_must_last_is_in_a_volume(compose: dict[str, Any]) -> None:
    mounted = {
        volume.split(":")[0] for part in compose["services"].values() for volume in part.get("volumes", [])
    }
    assert mounted == set(compose["volumes"])
    for delivery in ("delivery", "delivery-2"):
        part = compose["services"][delivery]
        assert part["volumes"] == [f"evidence:{part['environment']['DELIVERY_EVIDENCE_URL']}"]


def test_nothing_is_root_or_writes_beside_its_volumes_or_is_seen_from_outside(
    compose: dict[str, Any],
) -> None:
    for name, part in compose["services"].items():
        assert str(part["user"]).split(":")[0] not in ("root", "0"), name
        assert part["read_only"] is True, name
        assert part["cap_drop"] == ["ALL"], name
        assert part["security_opt"] == ["no-new-privileges:true"], name
        assert "/tmp" in part["tmpfs"], name
        assert all(port.startswith("127.0.0.1:") for port in part.get("ports", [])), name
        assert "healthcheck" in part or part["restart"] == "no", name


def test_everything_is_pinned(compose: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    images = {part["image"] for part in compose["services"].values()} | set(
        re.findall(r"^FROM (\S+)", dockerfile, re.M)
    )

    assert [image for image in images if not re.search(r":\d+\.\d+(\.\d+)?(-[a-z-]+)?$", image)] == []
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {part["image"] for part in ours(compose).values()} == {f"holdfast:{version}"}
    for install in re.findall(r"pip .*install (.*)", dockerfile):
        assert "--require-hashes" in install or "--no-deps dist/" in install


def test_the_image_is_built_from_what_is_there_and_runs_as_its_own_user(compose: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    (user,) = re.findall(r"^USER (\d+:\d+)$", dockerfile, re.MULTILINE)

    assert {part["user"] for part in ours(compose).values()} == {user}
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        assert all((ROOT / source).exists() for source in sources.split())
    left_out = (ROOT / ".dockerignore").read_text().split()
    shipped = ("README.md", "pyproject.toml", "protos", "migrations", "servicekit", "requirements")
    assert not set(shipped) & set(left_out)
    assert {".git", "tests", "benchmarks", "docs"} <= set(left_out)
