"""The names and shapes that other programs are written against."""

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from tests.contracts.stubs import SERVICES, methods

METHODS = {
    "inventory": """
        CreateStock GetStock BatchGetStocks ListStocks UpdateStock DeleteStock AdjustStock BatchAdjustStocks
        SetStockQuantity ChangeStockStatus AddListing UpdateListing EndListing ReserveStock ReserveStockStream
        CommitReservation ReleaseReservation ExtendReservation GetReservation ListReservations CheckAvailability
        ExplainAvailability ListMovements ListLowStock SetStockThreshold GetStockMetrics ListStockMetrics
        RefreshStockMetrics GetInventorySummary ListDailyFacts ImportStocks ExportStocks
    """,
    "delivery": """
        RegisterOrder GetOrder ListOrders GetOrderDeliveryType ListOrderPackages CreatePackage GetPackage
        ListPackages PreparePackage ClaimPackage ReleaseClaim AssignDriver PickUpPackage ArriveAtWarehouse
        ReceivePackage ShipPackage DeliverPackage CompletePackage CancelPackage RetryReservation
        ListAllowedTransitions ListPackageEvents UploadEvidence GetEvidence DownloadEvidence ListEvidence
        RegisterDriver GetDriver SetDriverActive RegisterWarehouse GetWarehouse GetWorkflowDistribution
    """,
    "ops": """
        GetServerInfo GetMigrationStatus GetDiagnostics GetIndexUsage ExplainQuery CheckConsistency Reconcile
        ListOutbox RequeueOutbox
    """,
}
STREAMS = {
    "ReserveStockStream": (True, True),
    "ImportStocks": (True, False),
    "ExportStocks": (False, True),
    "UploadEvidence": (True, False),
    "DownloadEvidence": (False, True),
    "CheckConsistency": (False, True),
    "Reconcile": (False, True),
}
READS = ("Get", "List", "BatchGet", "Check", "Explain", "Export", "Download", "Refresh")
WORDS = {
    "ReservationState": "HELD COMMITTED RELEASED EXPIRED",
    "PackageState": "PENDING PREPARED PICKED_UP AT_WAREHOUSE WAREHOUSE_RECEIVED OUT_FOR_DELIVERY DELIVERED COMPLETED "
    "CANCELLED",
    "StockState": "REQUESTED HELD REJECTED COMMIT_PENDING COMMITTED RELEASE_PENDING RELEASED NOT_TRACKED",
    "MovementReason": "RECEIVED RETURNED DAMAGED LOST FOUND COUNT_CORRECTION TRANSFER IMPORT OTHER",
}


def names(method: MethodDescriptor, *fields: str) -> set[str]:
    return {field.name for field in method.input_type.fields} & set(fields)


@pytest.mark.parametrize("package", SERVICES)
def test_a_contract_has_exactly_the_methods_promised(package: str) -> None:
    assert [method.name for method in SERVICES[package].methods] == METHODS[package].split()


def test_packages_bear_their_names_and_version() -> None:
    assert {service.full_name for service in SERVICES.values()} == {
        "holdfast.inventory.v1.InventoryService",
        "holdfast.delivery.v1.DeliveryService",
        "holdfast.ops.v1.OpsService",
    }


def test_only_what_must_stream_does() -> None:
    streaming = {
        method.name: (method.client_streaming, method.server_streaming)
        for _, method in methods()
        if method.client_streaming or method.server_streaming
    }

    assert streaming == STREAMS


def test_every_mutation_takes_a_request_id() -> None:
    without = [
        method.name
        for _, method in methods()
        if not method.name.startswith(READS)
        and not method.client_streaming
        and not names(method, "request_id")
    ]

    assert without == []


def test_every_list_is_paged() -> None:
    for _, method in methods():
        if method.name.startswith("List") and method.name != "ListAllowedTransitions":
            assert names(method, "page_size", "page_token") == {"page_size", "page_token"}, method.name
            assert "next_page_token" in method.output_type.fields_by_name, method.name


def messages() -> list[Any]:
    files = {service.file for service in SERVICES.values()}
    for file in list(files):
        files |= {
            dependency for dependency in file.dependencies if dependency.package.startswith("holdfast.")
        }
    return [message for file in files for message in file.message_types_by_name.values()]


@pytest.mark.parametrize("name", ["Stock", "Reservation", "Package"])
def test_what_is_edited_has_an_etag(name: str) -> None:
    (message,) = [message for message in messages() if message.name == name]

    assert message.fields_by_name["etag"].type == FieldDescriptor.TYPE_STRING


def test_quantities_bear_their_names() -> None:
    (stock,) = [message for message in messages() if message.name == "Stock"]

    for name in ("quantity", "reserved_quantity", "available_quantity"):
        assert stock.fields_by_name[name].type == FieldDescriptor.TYPE_INT64


def test_instants_are_timestamps_and_end_in_time() -> None:
    for message in messages():
        for field in message.fields:
            kind = field.message_type.full_name if field.message_type else ""
            instant = kind == "google.protobuf.Timestamp"
            assert instant == field.name.endswith(("_time", "_before", "_after", "_since")), field.full_name


def test_nothing_is_a_float() -> None:
    floats = (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE)

    assert [
        field.full_name for message in messages() for field in message.fields if field.type in floats
    ] == []


@pytest.mark.parametrize("name", WORDS)
def test_states_and_reasons_are_the_words_promised(name: str) -> None:
    files = {message.file for message in messages()}
    (enum,) = [file.enum_types_by_name[name] for file in files if name in file.enum_types_by_name]
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")

    found = {value.name.removeprefix(prefix) for value in enum.values[1:]}
    assert found >= set(WORDS[name].split())
