import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devtools.stack.service import ServiceFailed, ServiceProcess
from servicekit.process.health import check
from tests.support.services import free_port


@pytest.fixture
def services(tmp_path: Path) -> Iterator[list[ServiceProcess]]:
    """Two of one kind, of different stacks, that prefer one port."""
    port = free_port()
    services = [ServiceProcess("inventory", port, tmp_path / stack) for stack in ("one", "two")]
    yield services
    for service in services:
        service.stop()


def test_services_that_prefer_one_port_all_get_one_of_their_own(
    services: list[ServiceProcess], postgres_url: str
) -> None:
    environment = {"INVENTORY_DATABASE_URL": postgres_url}
    services[0].migrate(environment)

    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda service: service.start(environment), services)

    assert first != second
    for service, address in zip(services, (first, second), strict=True):
        service.wait(address)
    services[0].stop()
    assert [asyncio.run(check(address)) for address in (first, second)] == [False, True]
    assert services[1].start(environment) == second


def test_the_preferred_port_is_used_where_nobody_has_it_and_is_not_taken_for_another_of_its_own(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lower, port = sorted((free_port(), free_port()))
    monkeypatch.setenv("INVENTORY_METRICS_LISTEN", f"127.0.0.1:{lower}")
    service = ServiceProcess("inventory", port, tmp_path)
    try:
        assert service.start({"INVENTORY_DATABASE_URL": postgres_url}) == f"127.0.0.1:{port}"
    finally:
        service.stop()


def test_a_service_that_ends_for_another_reason_is_not_tried_again(
    services: list[ServiceProcess],
) -> None:
    service = services[0]

    with pytest.raises(ServiceFailed, match=r"(?s)inventory does not start.*INVENTORY_DATABASE_URL: must"):
        service.start({"INVENTORY_DATABASE_URL": "sqlite://"})

    assert not service.running
    assert service.log.read_text().count("INVENTORY_DATABASE_URL") == 1


def test_what_an_earlier_run_said_is_no_reason_to_try_again(services: list[ServiceProcess]) -> None:
    service = services[0]
    service.log.parent.mkdir(parents=True)
    service.log.write_text("cannot listen on 127.0.0.1:1\n")

    with pytest.raises(ServiceFailed):
        service.start({"INVENTORY_DATABASE_URL": "sqlite://"})

    assert service.log.read_text().count("INVENTORY_DATABASE_URL") == 1
