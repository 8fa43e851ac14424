"""Mutual TLS between a channel and a server that asks for certificates."""

import asyncio
from pathlib import Path

import grpc
import pytest
from holdfast import client
from holdfast.inventory.v1 import inventory_pb2_grpc, stock_pb2

from tests.client.certificates import Authority
from tests.client.shaky import Shaky, serving

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
def authority(tmp_path: Path) -> Authority:
    """Who signs for servers and callers of a test."""
    return Authority(tmp_path / "ours")


async def test_a_caller_with_a_certificate_is_answered(authority: Authority) -> None:
    tls = authority.identity("shop")

    async with serving(Shaky(), authority.server_credentials()) as address:
        assert (await create(address, tls)).stock.sku == "TEA-500"
        assert (await asyncio.to_thread(create_in_a_thread, address, tls)).stock.sku == "TEA-500"


async def test_a_caller_without_one_or_of_another_authority_is_not(
    authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "theirs").identity("shop")
    forged = client.Tls(authority.certificate, stranger.certificate, stranger.key)

    async with serving(shaky := Shaky(), authority.server_credentials()) as address:
        for tls in (None, stranger, forged):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await create(address, tls)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE

    assert shaky.asked == []


def test_every_file_that_cannot_be_read_is_named(authority: Authority, tmp_path: Path) -> None:
    missing = client.Tls(authority.certificate, tmp_path / "me.crt", tmp_path)

    with pytest.raises(client.TlsUnreadable) as told:
        client.channel("127.0.0.1:1", missing)

    assert (
        str(told.value)
        == f"certificate {tmp_path}/me.crt: No such file or directory; key {tmp_path}: Is a directory"
    )
