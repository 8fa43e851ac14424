import re
from pathlib import Path

import pytest
from holdfast.ops.v1 import ops_pb2
from structlog.testing import capture_logs

from servicekit.access.callers import CallersInvalid, Rights, read_callers

OPS = ops_pb2.DESCRIPTOR.services_by_name["OpsService"].full_name

NOBODY = "no certificate names anybody so; a name follows the trust domain, as in shop/checkout"


def read(folder: Path, text: str) -> dict[str, Rights]:
    file = folder / "callers.toml"
    file.write_text(text)
    return dict(read_callers(file, (OPS,)))


def test_a_caller_has_the_rights_that_the_file_names(tmp_path: Path) -> None:
    rights = read(
        tmp_path,
        f"""
        [watcher]
        "{OPS}" = ["GetDiagnostics"]
        ["shop/checkout"]
        roles = ["merchant"]
        calls_per_second = 0.5
        """,
    )

    assert rights == {
        "watcher": Rights(frozenset({f"/{OPS}/GetDiagnostics"})),
        "shop/checkout": Rights(roles=frozenset({"merchant"}), calls_per_second=0.5),
    }


def test_a_file_that_names_nobody_is_warned_of(tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert read(tmp_path, "# to be written\n") == {}

    (line,) = logs
    assert line["event"] == "the file of callers names nobody: every call is refused"


def test_ids_may_be_one_callers_own_where_callers_give_ids(tmp_path: Path) -> None:
    file = tmp_path / "callers.toml"
    file.write_text("[delivery]\nown_ids = '.+:[0-9]+'\n")
    assert read_callers(file, (OPS,), own_ids=True) == {"delivery": Rights(own_ids=re.compile(".+:[0-9]+"))}

    with pytest.raises(
        CallersInvalid, match=f"there is no own_ids here, only calls_per_second, roles, {OPS}"
    ):
        read_callers(file, (OPS,))
    file.write_text("[delivery]\nown_ids = '['\n")
    with pytest.raises(CallersInvalid, match="delivery: own_ids must be a regular expression"):
        read_callers(file, (OPS,), own_ids=True)


def test_everything_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(CallersInvalid) as refused:
        read(
            tmp_path,
            f"""
            shop = "all"
            [watcher]
            roles = ["pirate"]
            "{OPS}" = ["GetDiagnostics", "GetRich"]
            "holdfast.test.Probe" = ["Ask"]
            [operator]
            roles = "system"
            calls_per_second = 0
            ["*"]
            ["spiffe://holdfast.test/shop"]
            """,
        )

    told = [line.partition(": ")[2] for line in str(refused.value).splitlines()]
    assert told == [
        "shop must be a table, [shop]",
        "watcher: roles has no pirate",
        f"watcher: {OPS} has no GetRich",
        f"watcher: there is no holdfast.test.Probe here, only calls_per_second, roles, {OPS}",
        "operator: roles must be a list",
        "operator: calls_per_second must be a number above 0",
        f"*: {NOBODY}",
        f"spiffe://holdfast.test/shop: {NOBODY}",
    ]


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CallersInvalid, match="is no TOML"):
        read(tmp_path, "[shop")
    with pytest.raises(CallersInvalid, match="cannot be read"):
        read_callers(tmp_path / "nothing.toml", ())
