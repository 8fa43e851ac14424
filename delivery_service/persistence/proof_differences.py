"""Where events and the records of photos disagree about what a photo proves."""

import json
from collections.abc import Mapping

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.application.consistency_ports import Drift, Inconsistency
from delivery_service.persistence.tables import evidence, package_events


async def proof_differences(connection: AsyncConnection, packages: Mapping[int, str]) -> list[Inconsistency]:
    """Of the packages of these numbers; a photo that is gone is not marked."""
    events = package_events.c
    rows = await connection.execute(
        select(events.package_id, events.sequence, events.evidence_ids)
        .where(events.package_id.in_(packages), events.evidence_ids != "[]")
        .order_by(events.package_id, events.sequence)
    )
    named = {(photo, row.package_id, row.sequence) for row in rows for photo in json.loads(row.evidence_ids)}
    photos = {photo for photo, _, _ in named}
    marked = await _marked(connection, packages, photos)
    found = [
        Inconsistency(
            Drift.PROOF,
            photo,
            "the photo proves a transition and is not marked as used by it",
            {"package_sn": packages[package_id], "sequence": str(sequence)},
        )
        for photo, package_id, sequence in sorted(named)
        if (package_id, sequence) != marked.get(photo)
    ]
    unnamed = {photo: mark for photo, mark in marked.items() if photo not in photos}
    there = await _events_there(connection, set(unnamed.values()))
    found += [
        Inconsistency(
            Drift.MARK,
            photo,
            "the photo is marked as proof of an event that does not name it",
            {"package_sn": packages[package_id], "sequence": str(sequence)},
        )
        for photo, (package_id, sequence) in sorted(unnamed.items())
        # What a lost event has named is told when the loss is repaired.
        if not sequence or (package_id, sequence) in there
    ]
    return found


async def _marked(
    connection: AsyncConnection, packages: Mapping[int, str], photos: set[str]
) -> dict[str, tuple[int, int]]:
    """Where photos are marked: those of the packages, and those that their events name."""
    columns = evidence.c
    marks: dict[str, tuple[int, int]] = {}
    for chosen in (columns.package_id.in_(packages), columns.evidence_id.in_(photos)):
        rows = await connection.execute(
            select(columns.evidence_id, columns.package_id, columns.used_sequence).where(
                chosen, columns.used_sha256.is_not(None)
            )
        )
        marks.update({row.evidence_id: (row.package_id, row.used_sequence or 0) for row in rows})
    return marks


async def _events_there(connection: AsyncConnection, marks: set[tuple[int, int]]) -> set[tuple[int, int]]:
    if not marks:
        return set()
    key = tuple_(package_events.c.package_id, package_events.c.sequence)
    rows = await connection.execute(
        select(package_events.c.package_id, package_events.c.sequence).where(key.in_(marks))
    )
    return {(row.package_id, row.sequence) for row in rows}
