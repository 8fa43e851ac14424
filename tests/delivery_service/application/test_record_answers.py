"""When a command that inventory could not carry out is sent again."""

from delivery_service.application.record_answers import pause_seconds


def test_pauses_grow_with_the_attempts() -> None:
    assert pause_seconds(1) < pause_seconds(3) < pause_seconds(5)


def test_however_long_inventory_was_away_a_command_goes_out_soon_after_its_return() -> None:
    assert all(10 < pause_seconds(attempts) < 20 for attempts in range(7, 2_000))


def test_inventory_is_not_asked_again_before_the_time_that_it_names() -> None:
    assert pause_seconds(1, wait_seconds=100) >= 100


def test_nobody_is_asked_to_wait_for_ever() -> None:
    assert pause_seconds(1, wait_seconds=86_400) < 400
