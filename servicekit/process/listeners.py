"""What gRPC allows whoever connects, and how a service comes to an address."""

from collections.abc import Sequence

import grpc

from servicekit.access.security import Security

MOST_MESSAGE_BYTES = 1024 * 1024
MOST_METADATA_BYTES = 8 * 1024
MOST_STREAMS = 1000
"""At once over one connection: a caller's own gRPC lets further calls wait, ours refuses them with REFUSED_STREAM.

A caller has one connection to a server, and in a sale hundreds of calls under way: a hundred streams would make it wait
where the batches could take them all at once."""
MOST_CALLS = 8_000
"""At once over all connections of an address; gRPC refuses further ones with RESOURCE_EXHAUSTED."""
CONNECTION_AGE_SECONDS = 300.0
"""After so long, a tenth more or less, a connection takes no new calls and its caller opens another one: it finds the
replicas that are there by then, and shows its certificate again. Calls under way are left to end, within the grace."""
LEAST_GRACE_SECONDS = 120.0
"""How long calls may go on over such a connection, where none may last longer; then what is left of it is cut. The
certificate that it began with may not be good any more; and an answer that its caller never takes has its place among
MOST_CALLS until then, for gRPC lets a server give up no call by itself."""
KEEPALIVE_SECONDS = 60.0
"""After such a silence a peer is asked whether it is there; without an answer its calls end 20 s later."""


class CannotListen(Exception):
    """The address is taken or is none of this machine's."""


def listener(interceptors: Sequence[grpc.aio.ServerInterceptor], longest_seconds: float) -> grpc.aio.Server:
    """A server within these limits; its longest call that has an end may last so many seconds."""
    options = [
        # Two servers on one port would share its calls without a word.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
        # Between the two gRPC refuses some and not others, at random.
        ("grpc.max_metadata_size", MOST_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MOST_METADATA_BYTES),
        ("grpc.max_concurrent_streams", MOST_STREAMS),
        # By default a stream counts until its memory is freed, which is later than its caller's gRPC sees it end: of
        # calls that waited there for a place, many would be refused.
        ("grpc.http.overload_protection", 0),
        ("grpc.max_connection_age_ms", int(CONNECTION_AGE_SECONDS * 1000)),
        ("grpc.max_connection_age_grace_ms", int(max(LEAST_GRACE_SECONDS, longest_seconds) * 1000)),
        ("grpc.keepalive_time_ms", int(KEEPALIVE_SECONDS * 1000)),
        # By default gRPC cancels calls without a word once a thousand and more wait for us to take them up.
        ("grpc.server.max_pending_requests", 8_000),
        ("grpc.server.max_pending_requests_hard_limit", 16_000),
        # The counterpart of the keepalive that clients are advised to use.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    return grpc.aio.server(interceptors=interceptors, options=options, maximum_concurrent_rpcs=MOST_CALLS)


def bind(server: grpc.aio.Server, address: str, security: Security | None) -> int:
    """Brings the server to a `host:port` and answers the port, where 0 takes a free one. Raises CannotListen."""
    try:
        if security is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, security.certificates.for_servers())
    except RuntimeError as error:
        raise CannotListen(f"cannot listen on {address}") from error
