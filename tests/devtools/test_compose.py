"""The compose file is read, not run: no test here needs Docker."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return parsed


def ours(compose: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in compose["services"].items() if each.get("build")}


def filled_in(value: str) -> str:
    return re.sub(r"\$\{\w+:-(\w+)\}", r"\1", value)


def test_every_part_waits_for_what_it_needs(compose: dict[str, Any]) -> None:
    waits = {
        name: {other: how["condition"] for other, how in part.get("depends_on", {}).items()}
        for name, part in compose["services"].items()
    }

    assert waits == {
        "postgres": {},
        "mysql": {},
        "inventory-migrate": {"postgres": "service_healthy"},
        "delivery-migrate": {"mysql": "service_healthy"},
        "inventory": {"inventory-migrate": "service_completed_successfully"},
        "delivery": {
            "delivery-migrate": "service_completed_successfully",
            "inventory": "service_healthy",
        },
    }
    for part in waits.values():
        for name, condition in part.items():
            assert condition != "service_healthy" or "healthcheck" in compose["services"][name]


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
        service = name.removesuffix("-migrate")
        port, admin = (
            part["environment"][f"{service.upper()}_{setting}"].rpartition(":")[2]
            for setting in ("LISTEN", "ADMIN_LISTEN")
        )
        if name == service:
            assert part["ports"] == [f"127.0.0.1:{each}:{each}" for each in (port, admin)]
            assert part["healthcheck"]["test"][-1] == f"127.0.0.1:{port}"
    delivery = compose["services"]["delivery"]["environment"]
    inventory = compose["services"]["inventory"]["environment"]
    assert delivery["DELIVERY_INVENTORY_ADDRESS"].split(":")[1] == inventory["INVENTORY_LISTEN"].split(":")[1]


def test_what_must_last_is_in_a_volume_and_nothing_of_ours_is_root(compose: dict[str, Any]) -> None:
    mounted = [
        volume.split(":")[0] for part in compose["services"].values() for volume in part.get("volumes", [])
    ]
    assert sorted(mounted) == sorted(compose["volumes"])
    evidence = compose["services"]["delivery"]["environment"]["DELIVERY_EVIDENCE_URL"]
    assert f"evidence:{evidence}" in compose["services"]["delivery"]["volumes"]
    for part in ours(compose).values():
        assert part["read_only"] is True
        assert part["cap_drop"] == ["ALL"]
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER (?!root)\w+$", dockerfile, re.MULTILINE)
    for source in re.findall(r"^COPY (?!--from)(\S+)", dockerfile, re.MULTILINE):
        assert (ROOT / source).exists()
