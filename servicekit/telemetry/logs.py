"""One JSON line per record on standard error, with what is known of the call."""

import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import structlog

from servicekit import traces
from servicekit.rpc.calls import call_under_way

_TALKATIVE = ("botocore", "aiobotocore", "s3fs")
"""At the level debug these write down each request as it is signed, with the session's token."""


def with_call(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Adds which call, of whom, a record belongs to."""
    if call := call_under_way():
        event["call_id"] = call.call_id
        event["method"] = call.method
        event["caller"] = call.caller.name
        if call.caller.identity:
            event["identity"] = call.caller.identity
        if call.request_id:
            event["request_id"] = call.request_id
    if trace_id := traces.trace_id():
        event["trace_id"] = trace_id
    return event


class _Lines:
    """Writes whole lines to standard error, or loses them; it has a name, as the loggers of libraries have."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def msg(self, line: str) -> None:
        # A disk that is full, or whoever read it has gone: the work that a line tells of goes on.
        with suppress(OSError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = exception = msg


def configure(level: str) -> None:
    """Sends every record, ours and the libraries', through one renderer.

    Ours do not pass the standard library's handlers: a line for every call is a good part of what a call costs.
    """
    shared: list[structlog.typing.Processor] = [
        with_call,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=[*shared, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # asyncmy reports harmless notes of the server as warnings.
    logging.getLogger("asyncmy").setLevel(logging.ERROR)
    # alembic introduces itself at each look at the schema; readiness looks every second.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(root.level, logging.INFO))
