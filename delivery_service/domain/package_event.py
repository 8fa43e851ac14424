"""What happened to a package: append-only, without gaps."""

from dataclasses import dataclass
from datetime import datetime

from delivery_service.domain.workflow import ActorRole, PackageState, Verb


@dataclass(frozen=True)
class Actor:
    """As whom a caller acts; `actor_id` is the shop's, driver's or warehouse's id where the role has one."""

    role: ActorRole
    actor_id: str

    def __str__(self) -> str:
        return f"{self.role.lower()}:{self.actor_id}"


@dataclass(frozen=True)
class PackageEvent:
    """One applied verb; `sequence` counts from 1. `from_state` is None for CREATE."""

    sequence: int
    verb: Verb
    from_state: PackageState | None
    to_state: PackageState
    actor: Actor
    driver_id: int | None
    evidence_ids: tuple[str, ...]
    note: str
    create_time: datetime
