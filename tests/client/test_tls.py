"""Mutual TLS between a channel and a server that asks for certificates."""

import asyncio
from pathlib import Path

import grpc
import pytest
from holdfast import client
from holdfast.inventory.v1 import inventory_pb2_grpc, stock_pb2

from tests.client.shaky import Shaky, serving
from tests.support.wallet import Wallet

TEA = stock_pb2.CreateStockRequest(sku="TEA-500")


async def create(address: str, tls: client.Tls | None) -> stock_pb2.CreateStockResponse:
    async with client.aio_channel(address, tls) as channel:
        answer: stock_pb2.CreateStockResponse = await inventory_pb2_grpc.InventoryServiceStub(
            channel
        ).CreateStock(TEA)
        return answer


def create_in_a_thread(address: str, tls: client.Tls) -> stock_pb2.CreateStockResponse:
    with client.channel(address, tls) as channel:
        return inventory_pb2_grpc.InventoryServiceStub(channel).CreateStock(TEA)


@pytest.fixture
def wallet(tmp_path: Path) -> Wallet:
    """Of who signs for servers and callers of a test."""
    return Wallet(tmp_path / "ours")


def identity(wallet: Wallet, name: str) -> client.Tls:
    folder = wallet.issue(name)
    return client.Tls(wallet.ca, folder / "tls.crt", folder / "tls.key")


async def test_a_caller_with_a_certificate_is_answered(wallet: Wallet) -> None:
    tls = identity(wallet, "shop")

    async with serving(Shaky(), wallet.certificates("server").for_servers()) as address:
        assert (await create(address, tls)).stock.sku == "TEA-500"
        assert (await asyncio.to_thread(create_in_a_thread, address, tls)).stock.sku == "TEA-500"


async def test_a_caller_without_one_or_of_another_authority_is_not(wallet: Wallet, tmp_path: Path) -> None:
    stranger = identity(Wallet(tmp_path / "theirs"), "shop")
    forged = client.Tls(wallet.ca, stranger.certificate, stranger.key)

    async with serving(shaky := Shaky(), wallet.certificates("server").for_servers()) as address:
        for tls in (None, stranger, forged):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await create(address, tls)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE

    assert shaky.asked == []


def test_every_file_that_cannot_be_read_is_named(wallet: Wallet, tmp_path: Path) -> None:
    missing = client.Tls(wallet.ca, tmp_path / "me.crt", tmp_path)

    with pytest.raises(client.TlsUnreadable) as told:
        client.channel("127.0.0.1:1", missing)

    assert (
        str(told.value)
        == f"certificate {tmp_path}/me.crt: No such file or directory; key {tmp_path}: Is a directory"
    )
