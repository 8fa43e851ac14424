"""The peers' side of the conversation; knows the standard library only."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

Handler = Callable[..., Mapping[str, object] | None]


def answer(handlers: Mapping[str, Handler]) -> None:
    """Answers messages by their `do` until standard input ends."""
    # Libraries print what they like; messages have a stream of their own.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        message: dict[str, Any] = json.loads(line)
        try:
            said = handlers[message.pop("do")](**message) or {}
        except Exception as failure:
            traceback.print_exc()
            said = {"error": f"{type(failure).__name__}: {failure}"[:300]}
        answers.write(json.dumps(said) + "\n")
