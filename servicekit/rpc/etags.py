"""Etags: a row's version as callers see it."""

import re

from servicekit.rpc.validation import Violations


def etag(version: int) -> str:
    """The etag of a row at this version."""
    return f"v{version}"


def version(violations: Violations, field: str, value: str) -> int | None:
    """The version that an etag names; None where none was sent. An etag that is none of ours is a violation."""
    if not value:
        return None
    if re.fullmatch(r"v[0-9]{1,18}", value, re.ASCII) is None:
        violations.add(field, "is not an etag that this service gave out")
        return None
    return int(value[1:])
