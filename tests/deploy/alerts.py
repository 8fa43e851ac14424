"""For each alert a history that it fires at, and what it says then."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INVENTORY, DELIVERY = {"job": "inventory", "instance": "i"}, {"job": "delivery", "instance": "d"}
SCRAPES = 75
SCRAPE_SECONDS = 60


@dataclass(frozen=True)
class Alarm:
    """Series, each with what it is or, if it grows, `+`s by, and the alert's labels and summary at their end."""

    series: Mapping[str, str]
    labels: Mapping[str, str]
    summary: str


def _named(name: str, labels: Mapping[str, str]) -> str:
    matchers = ", ".join(f"{label}={json.dumps(value)}" for label, value in labels.items())
    return f"{name}{{{matchers}}}"


def _gauge(name: str, value: float, labels: Mapping[str, str], **more: str) -> dict[str, str]:
    return {_named(name, {**labels, **more}): f"{value}x{SCRAPES}"}


def _counter(name: str, each_scrape: float, labels: Mapping[str, str], **more: str) -> dict[str, str]:
    return {_named(name, {**labels, **more}): f"0+{each_scrape}x{SCRAPES}"}


def _histogram(
    name: str, counts: Mapping[str, int], labels: Mapping[str, str], **more: str
) -> dict[str, str]:
    """`counts` by the bucket's bound, how many of each scrape's observations were at most that."""
    return {
        series: grows
        for bound, each in counts.items()
        for series, grows in _counter(f"{name}_bucket", each, labels, **more, le=bound).items()
    }


CALL = "/holdfast.delivery.v1.DeliveryService/CreatePackage"

ALARMS: Mapping[str, Alarm] = {
    "HoldfastDown": Alarm(_gauge("up", 0, INVENTORY), INVENTORY, "inventory at i does not answer"),
    "HoldfastGone": Alarm(
        _gauge("up", 1, DELIVERY), {"job": "inventory"}, "Prometheus finds no server of inventory"
    ),
    "HoldfastNotServing": Alarm(
        _gauge("holdfast_serving", 0, DELIVERY), DELIVERY, "delivery at d says NOT_SERVING"
    ),
    "HoldfastSchemaOther": Alarm(
        _gauge("holdfast_schema_revision", 12, INVENTORY)
        | _gauge("holdfast_diagnosis_severity", 3, INVENTORY, probe="schema"),
        INVENTORY,
        "the schema of inventory is at 12, which this build may not serve",
    ),
    "HoldfastProbeFails": Alarm(
        _gauge("holdfast_diagnosis_severity", 3, DELIVERY, probe="locks")
        | _gauge("holdfast_diagnosis_severity", 2, DELIVERY, probe="clock")
        | _gauge("holdfast_diagnosis_severity", 3, DELIVERY, probe="parked")
        | _gauge("holdfast_outbox_parked", 2, DELIVERY),
        DELIVERY | {"probe": "locks"},
        "delivery: the probe locks of GetDiagnostics says FAIL",
    ),
    "HoldfastBlind": Alarm(
        _gauge("holdfast_serving", 1, INVENTORY)
        | _gauge("holdfast_serving", 1, DELIVERY)
        | _gauge("holdfast_diagnosis_severity", 1, DELIVERY, probe="locks"),
        INVENTORY,
        "inventory at i has not looked at itself for minutes",
    ),
    "HoldfastCallsFail": Alarm(
        _counter("holdfast_calls_total", 1, DELIVERY, method=CALL, code="UNAVAILABLE")
        | _counter("holdfast_calls_total", 9, DELIVERY, method=CALL, code="OK"),
        DELIVERY,
        "10% of the calls of delivery fail, and not for what they ask",
    ),
    "HoldfastFault": Alarm(
        # The first one of a process.
        {
            _named(
                "holdfast_calls_total", DELIVERY | {"method": CALL, "code": "INTERNAL"}
            ): f"0x{SCRAPES - 5} 1x4"
        },
        {"job": "delivery", "method": CALL},
        f"{CALL} met an error that nobody thought of",
    ),
    "HoldfastCallsSlow": Alarm(
        _histogram("holdfast_call_seconds", {"1.0": 0, "2.5": 8, "+Inf": 8}, DELIVERY, method=CALL),
        DELIVERY,
        "one in a hundred calls of delivery takes more than 2.485s",
    ),
    "HoldfastOverloaded": Alarm(
        _counter("holdfast_calls_total", 15, INVENTORY, method=CALL, code="RESOURCE_EXHAUSTED"),
        INVENTORY,
        "inventory at i turns calls away: there are too many",
    ),
    "HoldfastCallsPileUp": Alarm(
        _gauge("holdfast_calls_open", 7000, DELIVERY) | _gauge("holdfast_calls_open_max", 8000, DELIVERY),
        DELIVERY,
        "delivery at d has 7000 calls under way, near the most that it lets in",
    ),
    "HoldfastPoolExhausted": Alarm(
        _gauge("holdfast_diagnosis_severity", 3, INVENTORY, probe="pool")
        | _gauge("holdfast_pool_waiting", 3, INVENTORY)
        | _gauge("holdfast_pool_connections_in_use", 8, INVENTORY)
        | _gauge("holdfast_pool_connections_max", 10, INVENTORY),
        INVENTORY | {"probe": "pool"},
        "work of inventory at i waits long for a connection to the database",
    ),
    "HoldfastLoopLate": Alarm(
        _histogram("holdfast_event_loop_lag_seconds", {"0.25": 0, "0.5": 8, "+Inf": 8}, INVENTORY),
        INVENTORY,
        "inventory at i comes back to its calls 497.5ms late",
    ),
    "HoldfastLoopStuck": Alarm(
        _gauge("holdfast_event_loop_lag_seconds_count", 99, DELIVERY),
        DELIVERY,
        "delivery at d has done nothing for two minutes",
    ),
    "HoldfastWorkerFails": Alarm(
        _counter("holdfast_worker_failures_total", 3, DELIVERY, worker="outbox_relay"),
        DELIVERY | {"worker": "outbox_relay"},
        "the worker outbox_relay of delivery fails again and again",
    ),
    "HoldfastFilesRunOut": Alarm(
        _gauge("process_open_fds", 900, DELIVERY) | _gauge("process_max_fds", 1000, DELIVERY),
        DELIVERY,
        "delivery at d has 90% of its files open",
    ),
    "HoldfastBatchesLate": Alarm(
        _gauge("holdfast_group_commit_queue_length", 1500, INVENTORY),
        INVENTORY,
        "reservations at i wait long for a batch that takes them up",
    ),
    "HoldfastHoldsNotSwept": Alarm(
        _gauge("holdfast_due_hold_age_seconds", 90, INVENTORY),
        INVENTORY,
        "a hold is 1m 30s past its time, and nobody gives its units back",
    ),
    "HoldfastReportsOld": Alarm(
        _gauge("holdfast_diagnosis_severity", 2, INVENTORY, probe="metrics_view"),
        INVENTORY | {"probe": "metrics_view"},
        "the figures of reports are older than they may be",
    ),
    "HoldfastLedgerMonthMissing": Alarm(
        _gauge("holdfast_ledger_months_missing", 1, INVENTORY),
        INVENTORY,
        "this month or the next has no partition of the ledger",
    ),
    "HoldfastOutboxLate": Alarm(
        _gauge("holdfast_outbox_oldest_age_seconds", 120, DELIVERY),
        DELIVERY,
        "a command has waited 2m 0s for inventory",
    ),
    "HoldfastOutboxStuck": Alarm(
        _gauge("holdfast_outbox_oldest_age_seconds", 400, DELIVERY),
        DELIVERY,
        "a command has waited 6m 40s for inventory",
    ),
    "HoldfastCommandParked": Alarm(
        _gauge("holdfast_outbox_parked", 2, DELIVERY),
        DELIVERY,
        "2 commands for inventory are parked, and their packages wait for people",
    ),
    "HoldfastPhotosRefused": Alarm(
        _gauge("holdfast_diagnosis_severity", 3, DELIVERY, probe="evidence"),
        DELIVERY | {"probe": "evidence"},
        "no photo can be kept, and so no package goes on",
    ),
    "HoldfastPhotosFill": Alarm(
        {_named("holdfast_evidence_free_bytes", DELIVERY): f"100000000000-500000000x{SCRAPES}"},
        DELIVERY,
        "the store of photos is nearly full, or will be within a day",
    ),
}

CALM: Mapping[str, str] = {
    series: values
    for labels in (INVENTORY, DELIVERY)
    for one in (
        _gauge("up", 1, labels),
        _gauge("holdfast_serving", 1, labels),
        _gauge("holdfast_schema_revision", 13, labels),
        _gauge("holdfast_schema_revision_expected", 13, labels),
        *(
            _gauge("holdfast_diagnosis_severity", 1, labels, probe=probe)
            for probe in ("database", "pool", "locks", "metrics_view", "evidence")
        ),
        _counter("holdfast_calls_total", 99, labels, method=CALL, code="OK"),
        _counter("holdfast_calls_total", 1, labels, method=CALL, code="UNAVAILABLE"),
        _counter("holdfast_calls_total", 40, labels, method=CALL, code="FAILED_PRECONDITION"),
        _histogram("holdfast_call_seconds", {"0.1": 90, "0.5": 100, "+Inf": 100}, labels, method=CALL),
        _counter("holdfast_calls_total", 0, labels, method=CALL, code="INTERNAL"),
        _gauge("holdfast_calls_open", 900, labels),
        _gauge("holdfast_calls_open_max", 8_000, labels),
        _gauge("holdfast_pool_connections_max", 10, labels),
        _gauge("holdfast_pool_connections_in_use", 10, labels),
        _gauge("holdfast_pool_waiting", 0, labels),
        _histogram("holdfast_event_loop_lag_seconds", {"0.01": 60, "+Inf": 60}, labels),
        _counter("holdfast_event_loop_lag_seconds_count", 60, labels),
        _counter("holdfast_worker_failures_total", 0.1, labels, worker="readiness"),
        _gauge("process_open_fds", 100, labels),
        _gauge("process_max_fds", 1000, labels),
        _histogram("holdfast_group_commit_wait_seconds", {"0.1": 60, "+Inf": 60}, labels),
        _gauge("holdfast_group_commit_queue_length", 200, labels),
        _gauge("holdfast_due_hold_age_seconds", 3, labels),
        _gauge("holdfast_ledger_months_missing", 0, labels),
        _gauge("holdfast_outbox_oldest_age_seconds", 5, labels),
        _gauge("holdfast_outbox_parked", 0, labels),
        _gauge("holdfast_evidence_free_bytes", 50_000_000_000, labels),
    )
    for series, values in one.items()
}


def promtool_tests(rules: str, severities: Mapping[str, str], runbooks: Mapping[str, str]) -> dict[str, Any]:
    """The file for `promtool test rules`: every alarm fires, and none does while all is calm."""
    cases = [
        _case(alarm.series, {name: [_fired(name, alarm, severities, runbooks)]})
        for name, alarm in ALARMS.items()
    ]
    return {
        "rule_files": [rules],
        "evaluation_interval": f"{SCRAPE_SECONDS}s",
        "tests": [*cases, _case(CALM, {name: [] for name in ALARMS})],
    }


def _case(series: Mapping[str, str], expected: Mapping[str, list[Any]]) -> dict[str, Any]:
    minutes = SCRAPES * SCRAPE_SECONDS // 60
    return {
        "interval": f"{SCRAPE_SECONDS}s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": f"{minutes}m", "alertname": name, "exp_alerts": alerts}
            for name, alerts in expected.items()
        ],
    }


def _fired(
    name: str, alarm: Alarm, severities: Mapping[str, str], runbooks: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "exp_labels": {**alarm.labels, "severity": severities[name]},
        "exp_annotations": {"summary": alarm.summary, "runbook": runbooks[name]},
    }
