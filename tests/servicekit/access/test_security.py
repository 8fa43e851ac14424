"""mTLS over real sockets: who gets in, as whom, and to what; certificates that change under load."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from servicekit.access.callers import Rights
from servicekit.access.certificates import Certificates, expiry, open_channel
from servicekit.access.security import Security
from servicekit.errors import CertificateExpired, TooManyCalls
from servicekit.process import health
from servicekit.rpc.calls import Call, Caller
from servicekit.telemetry.logs import with_call
from tests.servicekit.probing import ASK, ask, probed
from tests.servicekit.serving import Metadata, Seen, seen
from tests.servicekit.waiting import until
from tests.support.wallet import Wallet

CALLERS = {
    "shop": Rights(frozenset({ASK}), frozenset({"merchant"})),
    "robot": Rights(frozenset({ASK})),
    "crawler": Rights(frozenset({ASK}), calls_per_second=0.01),
    "operator": Rights(frozenset({"/holdfast.ops.v1.OpsService/GetServerInfo"})),
}
MERCHANT = (("actor-role", "merchant"), ("actor-id", "7"))


@pytest.fixture
def wallet(tmp_path: Path) -> Wallet:
    return Wallet(tmp_path / "tls")


@pytest.fixture
async def address(wallet: Wallet, tmp_path: Path) -> AsyncIterator[str]:
    """A server that speaks mTLS only."""
    security = Security(wallet.certificates("inventory"), CALLERS)
    async with probed(tmp_path, security=security) as (_, address):
        yield address


async def asked(address: str, wallet: Wallet, name: str, metadata: Metadata = ()) -> Any:
    """The answer to a caller of that name."""
    async with open_channel(address, wallet.pems(name)) as channel:
        return await ask(channel, metadata=metadata)


async def refusal(address: str, wallet: Wallet, name: str, metadata: Metadata = ()) -> Seen:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await asked(address, wallet, name, metadata)
    return seen(refused.value)


async def test_a_caller_is_who_its_certificate_names(address: str, wallet: Wallet) -> None:
    assert (await asked(address, wallet, "robot")).plan == "robot"


async def test_a_trusted_caller_speaks_for_its_actors_and_the_log_names_both(
    address: str, wallet: Wallet
) -> None:
    with capture_logs(processors=[with_call]) as logs:
        assert (await asked(address, wallet, "shop", MERCHANT)).plan == "merchant:7"

    (line,) = [entry for entry in logs if entry["event"] == "call"]
    assert (line["identity"], line["caller"]) == ("shop", "merchant:7")


@pytest.mark.parametrize("name", ["shop", "robot"])
@pytest.mark.parametrize(
    "metadata", [(("actor-role", "system"), ("actor-id", "delivery")), (("actor-id", "operator"),)]
)
async def test_metadata_that_claims_somebody_else_is_refused(
    address: str, wallet: Wallet, name: str, metadata: Metadata
) -> None:
    refused = await refusal(address, wallet, name, metadata)

    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ACTOR_NOT_ALLOWED")
    assert refused.details["ErrorInfo"].metadata["caller"] == name
    assert refused.details["ErrorInfo"].metadata["allowed"] == ("merchant" if name == "shop" else "")


@pytest.mark.parametrize("name", ["operator", "stranger"])
async def test_what_the_file_of_callers_does_not_name_is_refused(
    address: str, wallet: Wallet, name: str
) -> None:
    with capture_logs(processors=[with_call]) as logs:
        refused = await refusal(address, wallet, name, MERCHANT)

    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "METHOD_NOT_ALLOWED")
    assert dict(refused.details["ErrorInfo"].metadata) == {"caller": name, "method": ASK, "allowed": ""}
    (line,) = [entry for entry in logs if entry["event"] == "call"]
    assert (line["identity"], line["reason"]) == (name, "MethodNotAllowed")


async def test_who_calls_more_often_than_it_may_is_refused_on_every_connection_and_others_are_not(
    address: str, wallet: Wallet
) -> None:
    await asked(address, wallet, "crawler")
    refused = await refusal(address, wallet, "crawler")
    await asked(address, wallet, "robot")

    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS")
    assert 90 < refused.details["RetryInfo"].retry_delay.seconds <= 100


async def test_a_certificate_whose_time_is_over_gets_no_further_on_an_open_connection(
    address: str, wallet: Wallet
) -> None:
    wallet.issue("robot", days=3 / 86_400)
    pems = Certificates(wallet.folder / "robot", wallet.ca).current()

    async with open_channel(address, pems) as channel:
        assert (await ask(channel)).plan == "robot"
        await until(lambda: time.time() > expiry(pems.certificate))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(channel)

    found = seen(refused.value)
    assert (found.code, found.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CERTIFICATE_EXPIRED")


async def test_the_messages_of_a_stream_are_one_call_and_each_needs_a_certificate_that_is_good(
    wallet: Wallet,
) -> None:
    security = Security(wallet.certificates("inventory"), CALLERS)
    stream = Call(ASK, Caller("crawler", identity="crawler"), "c-1", deadline=math.inf)
    security.admit(stream)

    for _ in range(3):
        security.admit(replace(stream, is_message=True))
    with pytest.raises(TooManyCalls):
        security.admit(stream)
    with pytest.raises(CertificateExpired):
        security.admit(replace(stream, is_message=True, caller=replace(stream.caller, until=0)))


async def test_a_certificate_of_another_trust_domain_names_nobody(address: str, wallet: Wallet) -> None:
    wallet.issue("robot", trust_domain="elsewhere.test")
    own = wallet.folder / "robot"
    pems = type(wallet.certificates("x"))(own, wallet.ca).current()
    async with open_channel(address, pems) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(channel)

    told = seen(refused.value)
    assert (told.code, told.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNKNOWN")
    assert told.details["ErrorInfo"].metadata["certificate_uri"] == "spiffe://elsewhere.test/robot"


async def test_who_has_a_uri_of_another_kind_is_told_so_and_the_log_names_it(
    address: str, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = x509.UniformResourceIdentifier
    with monkeypatch.context() as other:
        other.setattr(x509, "UniformResourceIdentifier", lambda _: kind("https://shop.example"))
        folder = wallet.issue("shop")
    files = (wallet.ca, folder / "tls.key", folder / "tls.crt")
    credentials = grpc.ssl_channel_credentials(*(file.read_bytes() for file in files))
    with capture_logs() as logs:
        async with grpc.aio.secure_channel(address, credentials) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ask(channel)

    assert str(refused.value.details()).endswith("; it has https://shop.example")
    (line,) = [entry for entry in logs if entry["event"] == "call"]
    assert (line["reason"], line["certificate_uri"]) == ("CallerUnknown", "https://shop.example")


async def test_nobody_gets_in_without_a_certificate_of_the_authority(
    address: str, wallet: Wallet, tmp_path: Path
) -> None:
    stranger = Wallet(tmp_path / "other")
    # It believes the server and is not believed.
    stranger.ca.write_bytes(wallet.ca.read_bytes())
    believing = grpc.ssl_channel_credentials(wallet.ca.read_bytes())
    channels = {
        "plaintext": grpc.aio.insecure_channel(address),
        "no certificate": grpc.aio.secure_channel(address, believing),
        "another authority": open_channel(address, stranger.pems("robot")),
    }
    for what, channel in channels.items():
        async with channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ask(channel, timeout=20)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE, what


async def test_a_server_of_another_authority_is_not_believed(address: str, tmp_path: Path) -> None:
    async with open_channel(address, Wallet(tmp_path / "other").pems("robot")) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(channel, timeout=20)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_health_answers_whoever_has_a_certificate(address: str, wallet: Wallet) -> None:
    async with open_channel(address, wallet.pems("stranger")) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)

    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert not await health.check(address)


async def test_new_certificates_are_shown_to_new_connections_and_calls_under_way_go_on(
    address: str, wallet: Wallet
) -> None:
    stop = asyncio.Event()
    answered = 0

    async def keep_asking(channel: grpc.aio.Channel) -> None:
        nonlocal answered
        while not stop.is_set():
            await ask(channel)
            answered += 1

    pems = wallet.pems("robot")
    first = wallet.serial("inventory")
    async with open_channel(address, pems) as channel:
        load = [asyncio.create_task(keep_asking(channel)) for _ in range(8)]
        slow = asyncio.create_task(ask(channel, seconds=1))
        await asyncio.sleep(0.2)
        assert await asyncio.to_thread(wallet.served_serial, address, "robot") == first

        wallet.issue("inventory")
        second = wallet.serial("inventory")

        assert second != first
        assert await asyncio.to_thread(wallet.served_serial, address, "robot") == second
        before = answered
        await until(lambda: answered > before + 8)
        assert (await slow).plan == "robot"
        stop.set()
        await asyncio.gather(*load)


async def test_a_broken_new_file_keeps_the_old_certificate_and_is_warned_of(
    address: str, wallet: Wallet
) -> None:
    first = wallet.serial("inventory")
    wallet.issue("robot")
    file = wallet.folder / "inventory" / "tls.crt"
    file.write_bytes(file.read_bytes()[:200])

    with capture_logs() as logs:
        assert await asyncio.to_thread(wallet.served_serial, address, "robot") == first
        assert (await asked(address, wallet, "robot")).plan == "robot"

    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == [
        "certificates cannot be renewed; the old ones stay"
    ]


async def test_an_authority_that_is_replaced_decides_who_gets_in_from_then_on(
    address: str, wallet: Wallet, tmp_path: Path
) -> None:
    after = Wallet(tmp_path / "after")
    both = wallet.ca.read_bytes() + after.ca.read_bytes()
    (after.folder / "robot").mkdir()
    after.issue("robot")
    newcomer = after.certificates("robot").current()
    after.ca.write_bytes(both)

    believing = replace(newcomer, authorities=both)
    async with open_channel(address, believing) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(channel, timeout=20)

    wallet.ca.write_bytes(both)

    async with open_channel(address, believing) as channel:
        assert (await ask(channel)).plan == "robot"
