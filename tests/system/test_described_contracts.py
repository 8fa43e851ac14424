"""What people see of the contracts who have nothing but an address: the comments, by reflection."""

from collections.abc import Iterator, Mapping
from importlib import resources

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import ServiceDescriptor

from tests.contracts.stubs import SERVICES
from tests.support.services import Pair
from tests.support.tools import Grpcurl, NodeClient

pytestmark = pytest.mark.parametrize("pair", ["mysql"], indirect=True)


@pytest.fixture(params=["grpcurl", "node"])
def describing(request: pytest.FixtureRequest) -> Grpcurl | NodeClient:
    """Each tool that shows contracts."""
    tool: Grpcurl | NodeClient = Grpcurl()
    return tool if request.param == "grpcurl" else request.getfixturevalue("node_client")


@pytest.mark.parametrize("service", SERVICES.values(), ids=list(SERVICES))
async def test_it_shows_the_comment_of_a_service_and_of_every_method(
    describing: Grpcurl | NodeClient, pair: Pair, service: ServiceDescriptor
) -> None:
    address = pair.delivery.address if service is SERVICES["delivery"] else pair.inventory.address

    described = await describing.describe(address, service.full_name)

    comments = commented(service.full_name)
    assert set(comments) == {"", *(method.name for method in service.methods)}
    assert [name for name, comment in comments.items() if comment not in described] == []


@pytest.mark.parametrize(
    "message",
    [
        "holdfast.inventory.v1.Stock",
        "holdfast.inventory.v1.ReserveStockRequest",
        "holdfast.delivery.v1.Package",
        "holdfast.delivery.v1.Evidence",
        "holdfast.ops.v1.Finding",
    ],
)
async def test_it_shows_the_comment_of_a_message_and_of_every_field(
    describing: Grpcurl | NodeClient, pair: Pair, message: str
) -> None:
    address = pair.delivery.address if ".delivery." in message else pair.inventory.address

    described = await describing.describe(address, message)

    comments = commented(message)
    assert len(comments) > 3
    assert [name for name, comment in comments.items() if comment not in described] == []


def commented(symbol: str) -> Mapping[str, str]:
    """The first line of the comment of a service or message, under "", and of what is in it."""
    stored = resources.files("holdfast").joinpath("contracts.binpb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(stored).file:
        for index, service in enumerate(file.service):
            if f"{file.package}.{service.name}" == symbol:
                return dict(_comments(file, (6, index), [each.name for each in service.method]))
        for index, message in enumerate(file.message_type):
            if f"{file.package}.{message.name}" == symbol:
                return dict(_comments(file, (4, index), [each.name for each in message.field]))
    raise AssertionError(f"no contract has {symbol}")


def _comments(
    file: descriptor_pb2.FileDescriptorProto, path: tuple[int, int], members: list[str]
) -> Iterator[tuple[str, str]]:
    names: dict[tuple[int, ...], str] = {path: ""}
    names |= {(*path, 2, place): name for place, name in enumerate(members)}
    for location in file.source_code_info.location:
        if tuple(location.path) in names:
            yield names[tuple(location.path)], location.leading_comments.strip().splitlines()[0]
