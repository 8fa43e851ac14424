"""An adopted package's timeline tells what the old system noted, and last that the package was adopted."""

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from delivery_service.adoption import timeline as timelines
from delivery_service.adoption.timeline import MOST_NOTE_LENGTH, Adopted

JULY, NOW = map(datetime.fromisoformat, ("2025-07-01 08:00:00", "2025-12-01 08:00:00.123456"))


def action(
    number: int, kind: int, who: str | None, *, minutes: int = 0, files: Any = None, remark: Any = None
) -> Any:
    """A row of tigu_order_action."""
    at = JULY + timedelta(minutes=minutes)
    return SimpleNamespace(
        id=number, action_type=kind, create_by=who, create_time=at, files=files, remark=remark
    )


def package(own: list[Any], shared: list[Any] | None = None, **given: Any) -> Adopted:
    facts: dict[str, Any] = {"order_ids": "1", "listed": "1", "status": 1, "driver_id": 5} | given
    return Adopted(package_id=9, own=own, shared=shared or [], **facts)


def timeline(adopted: Adopted) -> list[dict[str, Any]]:
    return list(timelines.timeline(adopted, NOW))


def told(events: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (event["sequence"], event["verb"], event["from_status"], event["to_status"], event["driver_id"])
        for event in events
    ]


def test_each_step_is_an_event_by_whoever_did_it_and_the_adoption_is_the_last() -> None:
    events = timeline(
        package(
            [
                action(12, 1, "driver_5", minutes=9, files="18"),
                action(11, 0, "merchant_7", files="16,17", remark="two boxes"),
            ]
        )
    )

    assert told(events) == [
        (1, "PREPARE", None, 0, None),
        (2, "PICK_UP", 0, 1, 5),
        (3, "ADOPT", 1, 1, 5),
    ]
    assert [(event["actor_role"], event["actor_id"]) for event in events] == [
        ("MERCHANT", "7"),
        ("DRIVER", "5"),
        ("SYSTEM", "adoption"),
    ]
    assert events[0]["note"] == "tigu_order_action 11; tigu_uploaded_files 16,17; two boxes"
    assert [event["create_time"] for event in events] == [JULY, JULY + timedelta(minutes=9), NOW]


def test_a_step_noted_for_each_order_or_twice_is_one_event_that_names_all_rows() -> None:
    rows = [action(1, 0, "merchant_7", files="3"), action(2, 0, "merchant_7", minutes=1, files="3")]

    (prepared, adopted) = timeline(package([*rows, action(3, 7, "admin")], status=0))

    assert prepared["note"] == "tigu_order_action 1, 2; tigu_uploaded_files 3"
    assert prepared["create_time"] == JULY
    assert adopted["note"] == "taken over from the old system; of its orders, no steps: tigu_order_action 3"


def test_what_nobody_we_know_did_is_told_as_it_stands() -> None:
    events = timeline(package([action(1, 0, "root@localhost"), action(2, 0, None, minutes=1)]))

    assert [(event["actor_role"], event["actor_id"]) for event in events[:2]] == [
        ("SYSTEM", "root@localhost"),
        ("SYSTEM", "unknown"),
    ]


def test_a_number_that_no_driver_can_have_is_told_as_it_stands() -> None:
    largest, above = 2**64 - 1, 2**64
    events = timeline(
        package([action(1, 1, f"driver_{largest}"), action(2, 2, f"driver_{above}", minutes=1)])
    )

    assert [(event["actor_role"], event["actor_id"], event["driver_id"]) for event in events[:2]] == [
        ("DRIVER", str(largest), largest),
        ("SYSTEM", f"driver_{above}", largest),
    ]


def test_rows_of_orders_in_several_packages_are_nobodys_steps_and_are_named() -> None:
    (adopted,) = timeline(package([], [action(4, 0, "merchant_7"), action(5, 1, "driver_5")]))

    assert told([adopted]) == [(1, "ADOPT", None, 1, 5)]
    assert "in other packages too: tigu_order_action 4, 5" in adopted["note"]


def test_a_list_that_is_written_anew_stays_in_the_timeline() -> None:
    (adopted,) = timeline(package([], order_ids=" 1,,x", listed="1"))

    assert adopted["note"] == "taken over from the old system; order_ids was ' 1,,x'"


def test_a_note_is_never_longer_than_its_column() -> None:
    (step, _) = timeline(package([action(1, 0, "merchant_7", remark="x" * 5000)]))

    assert len(step["note"]) == MOST_NOTE_LENGTH
    assert step["note"].endswith("…")
