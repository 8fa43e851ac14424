"""Refusals that both services give in the same words. The class name is the name on the wire."""

from collections.abc import Iterable
from dataclasses import dataclass

import grpc


class KitRefusal(Exception):
    """A refusal that does not depend on what the service is for."""


@dataclass(frozen=True)
class Violation:
    """One thing wrong with one field; `field` is its full path, such as `lines[2].quantity`."""

    field: str
    description: str

    def __str__(self) -> str:
        return f"{self.field}: {self.description}"


@dataclass(eq=False)
class FieldInvalid(KitRefusal):
    """The request breaks the contract; every violation is named."""

    violations: tuple[Violation, ...]

    def __str__(self) -> str:
        return "; ".join(map(str, self.violations))


@dataclass(eq=False)
class RequestIdReused(KitRefusal):
    """The request_id was used before for the same method with other content."""

    request_id: str

    def __str__(self) -> str:
        return f"request_id {self.request_id} was used before for a request with other content"


class PageTokenMismatch(KitRefusal):
    """The page_token belongs to a request with other arguments, or is no token at all."""

    def __str__(self) -> str:
        return "page_token does not belong to this request: repeat the other arguments unchanged, or drop the token"


class ActorMissing(KitRefusal):
    """The method needs an actor and the caller named none."""

    def __str__(self) -> str:
        return "this method needs the metadata actor-role and actor-id"


@dataclass(eq=False)
class ActorUnknown(KitRefusal):
    """The caller's metadata names an actor that cannot be; `key` is actor-role or actor-id."""

    key: str
    description: str

    def __str__(self) -> str:
        return f"metadata {self.key} {self.description}"


@dataclass(eq=False)
class CallerUnknown(KitRefusal):
    """The caller's certificate is valid and names nobody of this trust domain."""

    certificate_uri: str
    trust_domain: str

    def __str__(self) -> str:
        return (
            f"the certificate must have one URI, spiffe://{self.trust_domain}/NAME;"
            f" it has {self.certificate_uri or 'none or several'}"
        )


@dataclass(eq=False)
class CertificateExpired(KitRefusal):
    """The time of the caller's certificate is over, although the connection was opened before or goes on a session."""

    caller: str

    def __str__(self) -> str:
        return f"the time of the certificate of {self.caller} is over: connect with a new one"


@dataclass(eq=False)
class MethodNotAllowed(KitRefusal):
    """The file of callers does not let this caller call the method; `allowed` are the service's that it may."""

    caller: str
    method: str
    allowed: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.caller} may not call {self.method}; of this service it may: {_listed(self.allowed)}"


@dataclass(eq=False)
class ActorNotAllowed(KitRefusal):
    """The file of callers does not let this caller speak for an actor of that role."""

    caller: str
    role: str | None
    allowed: tuple[str, ...]

    def __str__(self) -> str:
        role = self.role or "nobody in particular"
        return f"{self.caller} may not act as {role}; the roles that it may name: {_listed(self.allowed)}"


@dataclass(eq=False)
class TooManyCalls(KitRefusal):
    """The caller calls more often than the file of callers lets it; nothing was done."""

    caller: str
    calls_per_second: float
    retry_after_seconds: float

    def __str__(self) -> str:
        return f"{self.caller} may make {self.calls_per_second:g} calls a second; nothing was done"


@dataclass(eq=False)
class OutboxEntryNotFound(KitRefusal):
    """No parked entry of the outbox bears the id: it is pending, answered, or was never there."""

    entry_id: int

    def __str__(self) -> str:
        return f"there is no parked entry {self.entry_id} in the outbox: ListOutbox names those that are"


class DeadlineTooShort(KitRefusal):
    """Too little time is left to begin a mutation; nothing was done."""

    def __str__(self) -> str:
        return "less than 50 ms are left of the deadline; nothing was done"


class DeadlineExceeded(KitRefusal):
    """The time ran out while the work was under way."""

    def __str__(self) -> str:
        return "the deadline passed; what the call was to change may be changed: repeat it with the same request_id"


class ConcurrentUpdate(KitRefusal):
    """Other work on the same rows won every try; nothing was done and the same call may be repeated."""

    retry_after_seconds = 0.1

    def __str__(self) -> str:
        return "other work on the same rows kept winning; nothing was done, repeat the call"


class Overloaded(KitRefusal):
    """More work is waiting than the service takes on."""

    retry_after_seconds = 0.5

    def __str__(self) -> str:
        return "too much work is waiting; nothing was done"


@dataclass(eq=False)
class DatabaseUnavailable(KitRefusal):
    """The database cannot be reached, or has not the schema that this build expects."""

    retry_after_seconds = 1.0

    why: str = "the database cannot be reached"

    def __str__(self) -> str:
        return self.why


class Draining(KitRefusal):
    """The process is shutting down."""

    retry_after_seconds = 0.2

    def __str__(self) -> str:
        return "the server is shutting down; another one answers"


STATUSES: dict[type[Exception], grpc.StatusCode] = {
    FieldInvalid: grpc.StatusCode.INVALID_ARGUMENT,
    RequestIdReused: grpc.StatusCode.INVALID_ARGUMENT,
    PageTokenMismatch: grpc.StatusCode.INVALID_ARGUMENT,
    OutboxEntryNotFound: grpc.StatusCode.NOT_FOUND,
    ActorMissing: grpc.StatusCode.UNAUTHENTICATED,
    ActorUnknown: grpc.StatusCode.UNAUTHENTICATED,
    CallerUnknown: grpc.StatusCode.UNAUTHENTICATED,
    CertificateExpired: grpc.StatusCode.UNAUTHENTICATED,
    MethodNotAllowed: grpc.StatusCode.PERMISSION_DENIED,
    ActorNotAllowed: grpc.StatusCode.PERMISSION_DENIED,
    TooManyCalls: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DeadlineTooShort: grpc.StatusCode.DEADLINE_EXCEEDED,
    DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    ConcurrentUpdate: grpc.StatusCode.ABORTED,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DatabaseUnavailable: grpc.StatusCode.UNAVAILABLE,
    Draining: grpc.StatusCode.UNAVAILABLE,
}


def field_invalid(violations: Iterable[tuple[str, str]]) -> FieldInvalid:
    """Builds the refusal from (field, description) pairs."""
    return FieldInvalid(tuple(Violation(field, description) for field, description in violations))


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(words) or "none"
