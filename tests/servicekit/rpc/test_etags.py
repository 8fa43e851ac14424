import pytest

from servicekit.rpc.etags import etag, version
from servicekit.rpc.validation import Violations


@pytest.mark.parametrize("number", [0, 1, 10**17])
def test_an_etag_names_its_version(number: int) -> None:
    with Violations() as violations:
        assert version(violations, "etag", etag(number)) == number


def test_no_etag_names_no_version() -> None:
    with Violations() as violations:
        assert version(violations, "etag", "") is None


@pytest.mark.parametrize("foreign", ["7", "v", "V7", 'W/"v7"', "v-7", "v7\n", "v١", "v" + "9" * 400])
def test_an_etag_that_is_none_of_ours_is_a_violation(foreign: str) -> None:
    violations = Violations()

    assert version(violations, "stock.etag", foreign) is None

    assert [violation.field for violation in violations.found] == ["stock.etag"]
