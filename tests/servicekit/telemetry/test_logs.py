import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def logged(program: str, level: str = "info") -> list[dict[str, object]]:
    head = f"import logging, structlog\nfrom servicekit.telemetry import logs\nlogs.configure({level!r})\n"
    run = subprocess.run(
        [sys.executable, "-c", head + program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert run.stdout == ""
    return [json.loads(line) for line in run.stderr.splitlines()]


def test_a_record_is_one_line_with_its_facts_and_what_is_known_of_the_call() -> None:
    (line,) = logged(
        "from servicekit.rpc.calls import ANONYMOUS, Call, begin_call\n"
        "begin_call(Call('/s/M', ANONYMOUS, 'c-1', 0, 'r-1'))\n"
        "structlog.get_logger('relay').info('two\\nlines', package_sn='PG1')"
    )

    timestamp = str(line.pop("timestamp"))
    assert timestamp.endswith("Z") and timestamp[10] == "T"
    assert line == {
        "event": "two\nlines",
        "level": "info",
        "logger": "relay",
        "call_id": "c-1",
        "method": "/s/M",
        "caller": "anonymous",
        "request_id": "r-1",
        "package_sn": "PG1",
    }


def test_the_records_of_libraries_look_the_same() -> None:
    (line,) = logged("logging.getLogger('sqlalchemy.pool').warning('%s left', 3)")

    assert (line["event"], line["level"], line["logger"]) == ("3 left", "warning", "sqlalchemy.pool")


def test_an_error_carries_its_traceback_in_the_same_line() -> None:
    (line,) = logged("structlog.get_logger('calls').error('call failed', exc_info=ValueError('canary'))")

    assert "ValueError: canary" in str(line["exception"])


@pytest.mark.parametrize(("level", "expected"), [("debug", 3), ("info", 2), ("WARNING", 1)])
def test_what_is_below_the_level_is_not_written(level: str, expected: int) -> None:
    program = "log = structlog.get_logger('x'); log.debug('1'); log.info('2'); log.warning('3')"

    assert len(logged(program, level)) == expected


def test_a_line_that_cannot_be_written_is_lost_and_the_work_goes_on() -> None:
    program = (
        "import logging, structlog\n"
        "from servicekit.telemetry import logs\n"
        "logs.configure('info')\n"
        "for _ in range(1000):\n"
        "    structlog.get_logger('calls').info('call')\n"
        "    logging.getLogger('library').warning('note')\n"
        "print('went on')\n"
    )
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, text=True, cwd=ROOT
        )

    assert run.stdout == "went on\n"
