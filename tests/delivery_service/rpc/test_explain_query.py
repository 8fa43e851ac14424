"""The plans of named queries, and of nothing else."""

import grpc
from holdfast.ops.v1 import ops_pb2 as pb

from delivery_service.persistence.named_queries import NAMED_QUERIES
from tests.delivery_service.client import Delivery


async def explained(delivery: Delivery, query: str) -> pb.ExplainQueryResponse:
    answer: pb.ExplainQueryResponse = await delivery.ops.ExplainQuery(
        pb.ExplainQueryRequest(query=query), timeout=10
    )
    return answer


async def test_a_named_query_is_explained_with_arguments_of_what_is_there(delivery: Delivery) -> None:
    for _ in range(3):
        await delivery.create("DRIVER_TO_USER")

    answer = await explained(delivery, "package-locked")

    assert answer.query == "package-locked"
    assert answer.statement.startswith("SELECT") and answer.statement.endswith("FOR UPDATE")
    assert "key=uq_prepare_sn" in answer.plan
    assert [("tigu_prepare_goods_item" in each.statement) for each in answer.further].count(True) == 1
    assert all(each.plan for each in answer.further)


async def test_every_named_query_is_explained_also_where_there_is_nothing_and_nothing_changes(
    delivery: Delivery,
) -> None:
    before = await delivery.everything()

    answers = [await explained(delivery, name) for name in NAMED_QUERIES]

    assert [answer.query for answer in answers] == list(NAMED_QUERIES)
    assert all(answer.statement and answer.plan for answer in answers)
    assert await delivery.everything() == before


async def test_an_unknown_name_is_refused_with_all_that_are_known(delivery: Delivery) -> None:
    refusal = await delivery.refused(explained(delivery, "SELECT 1"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert {field for field, _ in refusal.violations} == {"query"}
    told = [description.removeprefix("must be one of ") for _, description in refusal.violations]
    assert [name for names in told for name in names.rstrip(",").split(", ")] == sorted(NAMED_QUERIES)
