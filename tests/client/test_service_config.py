"""The service configs agree with the contracts and with what the servers allow."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor
from holdfast.client.service_config import deadline_seconds, method_configs, service_config

from inventory_service.rpc.servicer import LONG_CALLS
from servicekit.operations.ops import LONG_CALLS as LONG_OPS_CALLS
from servicekit.rpc.calls import CALL_CAP_SECONDS, STREAM_CAP_SECONDS
from tests.contracts.stubs import SERVICES, methods

CONFIG = method_configs()
RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.05s",
    "maxBackoff": "1s",
    "backoffMultiplier": 4,
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}
# They read, or make anew what can be made anew.
READS = ("Get", "List", "BatchGet", "Check", "Explain", "Refresh")


def configured(service: str, method: str = "") -> list[dict[str, Any]]:
    name = {"service": service} | ({"method": method} if method else {})
    return [entry for entry in CONFIG if name in entry["name"]]


def of(method: MethodDescriptor) -> dict[str, Any]:
    """What the config says of a method: its own entry, else its service's."""
    service = method.containing_service.full_name
    (entry,) = configured(service, method.name) or configured(service)
    return entry


def streams(method: MethodDescriptor) -> bool:
    return bool(method.client_streaming or method.server_streaming)


EVERY = pytest.mark.parametrize(
    "method", [method for _, method in methods()], ids=lambda method: method.full_name
)


@EVERY
def test_a_method_ends_when_the_server_would_end_it(method: MethodDescriptor) -> None:
    long = {**LONG_CALLS, **LONG_OPS_CALLS}.get(f"/{method.containing_service.full_name}/{method.name}")
    seconds = long or (STREAM_CAP_SECONDS if streams(method) else CALL_CAP_SECONDS)

    assert of(method).get("timeout") == (None if seconds == math.inf else f"{seconds:g}s")
    # Callers' programs in other languages read those of streams, too; ours leave them to their callers.
    if not streams(method):
        assert deadline_seconds(f"/{method.containing_service.full_name}/{method.name}") == seconds


@EVERY
def test_only_what_may_be_repeated_is(method: MethodDescriptor) -> None:
    fields = method.input_type.fields_by_name
    harmless = method.name.startswith(READS) or "request_id" in fields or "reservation_id" in fields

    assert of(method).get("retryPolicy") == (None if streams(method) else RETRY)
    assert streams(method) or harmless


def test_grpc_is_told_of_retries_and_not_of_deadlines() -> None:
    told = json.loads(service_config())["methodConfig"]

    assert [entry["name"] for entry in told] == [entry["name"] for entry in CONFIG]
    assert [entry.get("retryPolicy") for entry in told] == [entry.get("retryPolicy") for entry in CONFIG]
    assert not any("timeout" in entry for entry in told)


def test_a_method_of_others_has_no_deadline_of_ours() -> None:
    assert deadline_seconds("/grpc.health.v1.Health/Check") is None


def test_the_config_names_nothing_that_is_not_there() -> None:
    there = {(method.containing_service.full_name, method.name) for _, method in methods()}
    there |= {(service.full_name, "") for service in SERVICES.values()}

    named = [(name["service"], name.get("method", "")) for entry in CONFIG for name in entry["name"]]
    assert len(named) == len(set(named))
    assert set(named) <= there


def test_beside_a_folder_of_our_name_the_files_are_found_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "holdfast").mkdir()
    program = "from holdfast import client; client.channel('127.0.0.1:1').close()"

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
