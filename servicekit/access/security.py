"""mTLS and what follows from it: the caller is who its certificate names, and does what the file of callers lets it."""

import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from servicekit.access.callers import Callers, Rights, read_callers
from servicekit.access.certificates import Certificates, expiry, told_uris
from servicekit.access.identities import identity
from servicekit.access.rates import Rate
from servicekit.errors import (
    ActorNotAllowed,
    CallerUnknown,
    CertificateExpired,
    MethodNotAllowed,
    TooManyCalls,
)
from servicekit.rpc import calls
from servicekit.rpc.calls import Call, Caller
from servicekit.rpc.context import Context
from servicekit.settings import ServerSettings, TlsSettings

NO_RIGHTS = Rights()


class Security:
    """Admits the calls that come with a certificate."""

    def __init__(self, certificates: Certificates, callers: Callers) -> None:
        self.certificates = certificates
        self._callers = callers
        self._rates = {
            name: (rights.calls_per_second, Rate(rights.calls_per_second))
            for name, rights in callers.items()
            if rights.calls_per_second is not None
        }
        self._own_ids = {name: rights.own_ids for name, rights in callers.items() if rights.own_ids}

    def caller(self, context: Context, metadata: Mapping[Any, Any]) -> Caller:
        """Who calls, by the certificate; the metadata says for whom. Raises CallerUnknown, ActorUnknown.

        gRPC gives the SPIFFE ID of a certificate that has exactly one URI.
        """
        uris = [uri.decode() for uri in context.auth_context().get("peer_spiffe_id", ())]
        found, trusted = identity(uris), self.certificates.trust_domain
        if found is None or found.trust_domain != trusted:
            shown = context.auth_context().get("x509_pem_cert", ())
            raise CallerUnknown(", ".join(map(told_uris, shown)), trusted)
        actor = calls.caller(metadata)
        name = found.name if actor.role is None or actor.actor_id is None else actor.name
        others_ids = tuple(ids for owner, ids in self._own_ids.items() if owner != found.name)
        until = max(map(expiry, context.auth_context().get("x509_pem_cert", ())), default=0.0)
        return replace(actor, name=name, identity=found.name, until=until, others_ids=others_ids)

    def admit(self, call: Call) -> None:
        """Refuses what the file of callers does not allow, and whose certificate is over.

        Raises CertificateExpired, TooManyCalls, MethodNotAllowed, ActorNotAllowed. The messages of a stream are one
        call, counted when it began.
        """
        caller = call.caller
        # TLS looks at a certificate where a session begins: neither later, nor where one is taken up again.
        if time.time() > caller.until:
            raise CertificateExpired(caller.identity)
        # Before the rights: what these refuse counts as a call, too, and who keeps knocking is told to wait.
        if (limited := self._rates.get(caller.identity)) and not call.is_message:
            calls_per_second, rate = limited
            if wait := rate.take():
                raise TooManyCalls(caller.identity, calls_per_second, wait)
        rights = self._callers.get(caller.identity, NO_RIGHTS)
        if call.method not in rights.methods:
            service = call.method.rpartition("/")[0] + "/"
            allowed = (name.removeprefix(service) for name in rights.methods if name.startswith(service))
            raise MethodNotAllowed(caller.identity, call.method, tuple(sorted(allowed)))
        if (caller.role or caller.actor_id) and caller.role not in rights.roles:
            raise ActorNotAllowed(caller.identity, caller.role, tuple(sorted(rights.roles)))


def certificates(settings: TlsSettings) -> Certificates | None:
    """Those that the settings name; None is plaintext. Raises CertificatesInvalid."""
    if not settings.tls_folder:
        return None
    return Certificates(Path(settings.tls_folder), Path(settings.tls_ca))


def security(
    settings: ServerSettings, shipped: Traversable, services: tuple[str, ...], *, own_ids: bool = False
) -> Security | None:
    """What the settings say, with the callers that are shipped unless they name others; None is plaintext.

    Raises CertificatesInvalid, CallersInvalid.
    """
    found = certificates(settings)
    if found is None:
        return None
    file = Path(settings.callers) if settings.callers else shipped
    return Security(found, read_callers(file, services, own_ids=own_ids))
