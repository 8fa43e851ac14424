"""The alerts and the dashboard: of metrics that there are, with words of what to do, and they do go off."""

import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from holdfast.ops.v1 import ops_pb2 as pb
from holdfast.ops.v1 import ops_pb2_grpc

from delivery_service import bootstrap
from delivery_service.settings import Settings
from devtools.engines.engine import EngineUnavailable
from devtools.engines.promtool import promtool
from servicekit.persistence.engines import create_engine
from servicekit.process.server import Server
from servicekit.schema.migrations import Schema
from tests.delivery_service.fake_inventory import FakeInventory
from tests.deploy.alerts import ALARMS, promtool_tests
from tests.inventory_service.serving import channel_to
from tests.support.databases import fresh_database
from tests.support.scrapes import scraped
from tests.support.services import free_port

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yml"
BOARD = ROOT / "deploy/grafana/holdfast.json"
RUNBOOK = ROOT / "docs/runbook.md"
# Prometheus makes this one itself.
OF_PROMETHEUS = {"up"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    """What the rules, the panels and the dashboard's variables ask."""
    yield from (rule["expr"] for rule in rules())
    board = json.loads(BOARD.read_text())
    yield from (target["expr"] for panel in board["panels"] for target in panel.get("targets", ()))
    yield from (
        variable["query"]["query"] for variable in board["templating"]["list"] if variable["type"] == "query"
    )


def metrics_of(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:holdfast_|process_)\w+|\bup\b", re.sub(r'"[^"]*"', "", expression)))


def family(name: str) -> str:
    """The metric that a sample is of, by its name with labels."""
    return re.sub(r"\{.*|_(bucket|sum|count)(?=$|\{).*", "", name)


@pytest.fixture(scope="module")
async def exposed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[set[str]]:
    """The names of all samples of a running inventory and a running delivery."""
    async with fresh_database("postgres") as postgres_url, fresh_database("mysql") as mysql_url:
        for service, url in (("inventory", postgres_url), ("delivery", mysql_url)):
            migrating = create_engine(url, for_migrations=True)
            await Schema(service).upgrade(migrating)
            await migrating.dispose()
        yield await of_inventory(postgres_url) | await of_delivery(
            mysql_url, str(tmp_path_factory.mktemp("photos"))
        )


async def of_inventory(url: str) -> set[str]:
    listen = f"127.0.0.1:{free_port()}"
    async with channel_to(url, metrics_listen=listen, diagnose_seconds=0.1) as (_, channel):
        await ops_pb2_grpc.OpsServiceStub(channel).GetServerInfo(pb.GetServerInfoRequest(), timeout=5)
        # The service refreshes the view soon after its start.
        found = await scraped(listen, lambda found: "holdfast_metrics_view_age_seconds" in found, seconds=20)
    return {name.split("{")[0] for name in found}


async def of_delivery(url: str, photos: str) -> set[str]:
    listen = f"127.0.0.1:{free_port()}"
    settings = Settings(
        database_url=url,
        inventory_address="unused",
        evidence_url=photos,
        listen="127.0.0.1:0",
        metrics_listen=listen,
        diagnose_seconds=0.1,
        drain_pause_seconds=0,
    )
    server = Server(bootstrap.assemble(settings, create_engine(url), FakeInventory()))
    await server.start()
    found = await scraped(listen, lambda found: "holdfast_outbox_parked" in found)
    await server.stop()
    return {name.split("{")[0] for name in found}


async def test_rules_and_dashboard_ask_for_metrics_that_there_are(exposed: set[str]) -> None:
    asked = {expression: metrics_of(expression) for expression in expressions()}

    assert len(asked) > 40 and all(asked.values())
    assert {expression: names - exposed - OF_PROMETHEUS for expression, names in asked.items()} == {
        expression: set() for expression in asked
    }


async def test_the_runbook_names_every_metric_that_there_is(exposed: set[str]) -> None:
    (table,) = re.findall(r"^\| metric \|.*?\n\n", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL)

    ours = {
        family(name) for name in exposed if name.startswith("holdfast_") and not name.endswith("_created")
    }
    assert set(re.findall(r"`(holdfast_\w+)`", table)) == ours


def test_every_alert_names_a_section_of_the_runbook() -> None:
    headings = re.findall(r"^## (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}

    for rule in rules():
        document, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (ROOT / document, anchor in anchors) == (RUNBOOK, True), rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]


@pytest.fixture(scope="module")
def judge() -> Path:
    """promtool."""
    try:
        return promtool()
    except EngineUnavailable as reason:
        pytest.skip(str(reason))


def judged(judge: Path, *arguments: str | Path) -> str:
    """What it complains of."""
    told = subprocess.run([judge, *arguments], capture_output=True, text=True)
    return told.stdout + told.stderr if told.returncode else ""


def test_every_alert_fires_when_it_should_and_none_while_all_is_calm(judge: Path, tmp_path: Path) -> None:
    found = {rule["alert"]: rule for rule in rules()}
    tests = tmp_path / "tests.yml"
    severities = {name: rule["labels"]["severity"] for name, rule in found.items()}
    runbooks = {name: rule["annotations"]["runbook"] for name, rule in found.items()}
    tests.write_text(yaml.safe_dump(promtool_tests(str(RULES), severities, runbooks)))

    assert list(ALARMS) == list(found)
    assert judged(judge, "check", "config", RULES.parent / "prometheus.yml") == ""
    assert judged(judge, "test", "rules", tests) == ""


def test_what_the_dashboard_asks_is_understood(judge: Path, tmp_path: Path) -> None:
    panels = json.loads(BOARD.read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    recorded = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$__rate_interval", "5m", expression)}
        for number, expression in enumerate(asked)
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))

    assert judged(judge, "check", "rules", file) == ""
