"""What the measurement of the seed's queries prints."""

import pytest

from benchmarks.package_queries import grown
from benchmarks.turns import Times


@pytest.mark.parametrize(
    ("sizes", "ratio"),
    [
        ([1_172, 20_000, 200_000], "  200,000 / 20,000: fastest 1.50, median 1.50"),
        ([1_172, 2_000], "  2,000 / 1,172: fastest 2.00, median 2.00"),
        ([1_172, 20_000], None),
        ([20_000], None),
    ],
)
def test_no_size_is_compared_with_itself(sizes: list[int], ratio: str | None) -> None:
    by_size = {size: Times([1.0 * number, 2.0 * number]) for number, size in enumerate(sizes, 1)}

    lines = grown(by_size).split("\n")[1 + len(sizes) :]

    assert lines == ([] if ratio is None else [ratio])
