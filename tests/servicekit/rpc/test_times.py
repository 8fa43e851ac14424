from datetime import UTC, datetime, timedelta, timezone

from servicekit.rpc.times import timestamp


def test_an_instant_is_written_to_the_microsecond() -> None:
    time = datetime(2026, 11, 21, 10, 0, 0, 1, tzinfo=UTC)

    message = timestamp(time)

    assert message is not None
    assert (message.seconds, message.nanos) == (int(time.timestamp()), 1000)


def test_an_instant_of_another_zone_is_the_same_instant() -> None:
    east = datetime(2026, 11, 21, 15, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    assert timestamp(east) == timestamp(datetime(2026, 11, 21, 10, 0, tzinfo=UTC))


def test_no_instant_is_left_out() -> None:
    assert timestamp(None) is None
