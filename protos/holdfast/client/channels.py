"""The channels: deadlines and retries by the service configs, keepalive, every address of the target in turn, TLS."""

from collections.abc import Sequence

import grpc
from holdfast.client.interceptors import AioComplete, Complete
from holdfast.client.service_config import service_config
from holdfast.client.tls import Tls
from holdfast.client.traces import AioTracedAnswers, AioTracedBoth, AioTracedRequests, Traced

Option = tuple[str, int | str]

KEEPALIVE: Sequence[Option] = (
    # The servers allow a ping every 10 s, also while no call is under way.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
)
_OPTIONS: Sequence[Option] = (
    *KEEPALIVE,
    ("grpc.service_config", service_config()),
    # What a name server says of retries and deadlines does not count.
    ("grpc.service_config_disable_resolution", 1),
    # By default a server that comes back may wait two minutes for its clients.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


def channel(target: str, tls: Tls | None = None, options: Sequence[Option] = ()) -> grpc.Channel:
    """A channel for threads; close it, or use it as a context.

    `target` is `host:port`, whose addresses are called in turn, or any other name that gRPC knows. Without `tls` it
    speaks plaintext. `options` are gRPC's own and win over ours. Raises TlsUnreadable.
    """
    plain = (
        grpc.insecure_channel(target, [*options, *_OPTIONS])
        if tls is None
        else grpc.secure_channel(target, tls.credentials(), [*options, *_OPTIONS])
    )
    return grpc.intercept_channel(plain, Complete(), Traced())


def aio_channel(target: str, tls: Tls | None = None, options: Sequence[Option] = ()) -> grpc.aio.Channel:
    """The same for asyncio: a channel belongs to the loop in which it is made. Raises TlsUnreadable."""
    interceptors: list[grpc.aio.ClientInterceptor] = [
        AioComplete(),
        AioTracedAnswers(),
        AioTracedRequests(),
        AioTracedBoth(),
    ]
    if tls is None:
        return grpc.aio.insecure_channel(target, [*options, *_OPTIONS], interceptors=interceptors)
    return grpc.aio.secure_channel(
        target, tls.credentials(), [*options, *_OPTIONS], interceptors=interceptors
    )
