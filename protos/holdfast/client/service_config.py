"""How long a call may last and what is sent again, as the service configs beside the contracts say.

They are plain files of gRPC, for clients in any language.
"""

import json
from functools import cache
from importlib import resources
from typing import Any

_SERVICES = ("inventory", "delivery", "ops")
IN_TURN: list[dict[str, dict[str, str]]] = [{"round_robin": {}}]
"""Balances calls over every address of a target."""


@cache
def method_configs() -> list[dict[str, Any]]:
    """The entries of all files."""
    # Beside their contracts, and not from `holdfast` on: that may be any folder of this name, too.
    files = [
        resources.files(f"holdfast.{service}.v1") / f"{service}_service_config.json" for service in _SERVICES
    ]
    return [entry for file in files for entry in json.loads(file.read_text())["methodConfig"]]


@cache
def deadline_seconds(method: str) -> float | None:
    """How long a call with one request and one answer may last, by its method's path; None is for ever."""
    _, service, name = method.split("/")
    for wanted in ({"service": service, "method": name}, {"service": service}):
        for entry in method_configs():
            if wanted in entry["name"]:
                return float(entry["timeout"].removesuffix("s")) if "timeout" in entry else None
    return None


@cache
def service_config() -> str:
    """The JSON for a channel: what is sent again, and calls in turn to every address of the target.

    Without deadlines: grpcio measures those of a service config by a clock that was seen two seconds off (1.85.1),
    and does not tell them to the server.
    """
    return json.dumps(
        {
            "loadBalancingConfig": IN_TURN,
            "methodConfig": [
                {key: value for key, value in entry.items() if key != "timeout"} for entry in method_configs()
            ],
            # While many calls fail nothing is sent again: no storm upon a server in trouble.
            "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
        }
    )
