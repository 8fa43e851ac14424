from servicekit.access.rates import Rate


class Clock:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_calls_at_the_rate_pass_and_the_next_one_is_told_how_long_to_wait() -> None:
    clock = Clock()
    rate = Rate(4, clock)
    passed = sum(rate.take() == 0 for _ in range(4))
    for _ in range(4):
        clock.seconds += 0.25
        passed += rate.take() == 0
    wait = rate.take()
    clock.seconds += wait

    assert passed == 8
    assert 0 < wait <= 0.25
    assert rate.take() == 0


def test_who_was_silent_may_send_a_second_of_calls_at_once_and_no_more() -> None:
    clock = Clock()
    rate = Rate(4, clock)
    rate.take()
    clock.seconds += 3600

    assert [rate.take() == 0 for _ in range(6)] == [True] * 4 + [False] * 2


def test_a_call_that_is_refused_does_not_count() -> None:
    clock = Clock()
    rate = Rate(1, clock)
    assert rate.take() == 0
    waits = {rate.take() for _ in range(100)}

    assert waits == {1.0}


def test_less_than_one_call_a_second_is_a_rate_too() -> None:
    clock = Clock()
    rate = Rate(0.5, clock)

    assert (rate.take(), rate.take()) == (0.0, 2.0)
