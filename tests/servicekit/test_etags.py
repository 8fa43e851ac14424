import pytest

from servicekit.errors import FieldInvalid
from servicekit.etags import etag, version
from servicekit.validation import Violations


@pytest.mark.parametrize("number", [0, 1, 10**17])
def test_an_etag_names_its_version(number: int) -> None:
    violations = Violations()

    assert version(violations, "etag", etag(number)) == number

    violations.raise_if_any()


def test_no_etag_names_no_version() -> None:
    violations = Violations()

    assert version(violations, "etag", "") is None

    violations.raise_if_any()


@pytest.mark.parametrize("foreign", ["7", "v", "V7", 'W/"v7"', "v-7", "v7\n", "v١", "v" + "9" * 400])
def test_an_etag_that_is_none_of_ours_is_a_violation(foreign: str) -> None:
    violations = Violations()

    assert version(violations, "stock.etag", foreign) is None

    with pytest.raises(FieldInvalid) as refused:
        violations.raise_if_any()
    assert [violation.field for violation in refused.value.violations] == ["stock.etag"]
