"""Readiness that tells the truth: SERVING only while the database answers, is whole, and this build may serve it."""

import asyncio

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.errors import DatabaseUnavailable
from servicekit.persistence.conflicts import turned_away
from servicekit.process.health import Health
from servicekit.schema.migrations import Schema

MOST_SECONDS = 3.0
FOR_OPERATORS = ("/holdfast.ops.", "/grpc.channelz.")

log = structlog.get_logger("readiness")


class Readiness:
    """Compares the database with what this build expects and tells Health."""

    def __init__(self, engine: AsyncEngine, schema: Schema, health: Health) -> None:
        self._engine = engine
        self._schema = schema
        self._health = health
        self._reason = ""
        self._unfit = "the database has not been looked at yet"
        self._draining = False

    async def look(self) -> bool:
        """One look; a poller's step."""
        reason = await self._why_not()
        if self._draining:
            return False
        if reason != self._reason:
            log.warning("not serving", reason=reason) if reason else log.info("serving")
            self._reason = reason
        self._health.set(not reason)
        return False

    def fit(self) -> bool:
        """Whether the database, when last it could be looked at, was one that this build may work on."""
        return not self._unfit

    def admit(self, method: str) -> None:
        """Refuses a call that would meet a database that it was not written for; operators may always ask.

        Raises DatabaseUnavailable. While one that was fit is away the calls find out by themselves.
        """
        if self._unfit and not method.startswith(FOR_OPERATORS):
            raise DatabaseUnavailable(self._unfit)

    def drain(self) -> None:
        """NOT_SERVING from now on."""
        self._draining = True
        self._health.drain()

    async def _why_not(self) -> str:
        try:
            # A database that hangs answers nothing at all, not even an error.
            async with asyncio.timeout(MOST_SECONDS):
                unfit = await self._schema.hindrance(self._engine) or await self._unserved()
        except Exception as error:
            return f"the database cannot be reached ({turned_away(error) or type(error).__name__})"
        self._unfit = unfit
        return unfit

    async def _unserved(self) -> str:
        serving = await self._schema.serving(self._engine)
        return "" if serving.allowed else f"{serving.told}: {serving.remedy}"
