"""The plans of named queries, and of nothing else."""

import json

import grpc
from holdfast.ops.v1 import ops_pb2 as pb

from inventory_service.persistence.named_queries import NAMED_QUERIES
from tests.inventory_service.client import Inventory, refused


async def explained(inventory: Inventory, query: str) -> pb.ExplainQueryResponse:
    answer: pb.ExplainQueryResponse = await inventory.ops.ExplainQuery(
        pb.ExplainQueryRequest(query=query), timeout=10
    )
    return answer


async def test_a_named_query_is_explained_with_arguments_of_what_is_there(inventory: Inventory) -> None:
    await inventory.create("AJ1-42", 5)

    answer = await explained(inventory, "stock")

    assert answer.query == "stock"
    assert answer.statement.startswith("SELECT")
    assert json.loads(answer.plan)["Relation Name"] == "stock"


async def test_every_named_query_is_explained_also_where_there_is_nothing_and_nothing_changes(
    inventory: Inventory,
) -> None:
    before = await inventory.everything()

    answers = [await explained(inventory, name) for name in NAMED_QUERIES]

    assert [answer.query for answer in answers] == list(NAMED_QUERIES)
    assert all(answer.statement and answer.plan for answer in answers)
    assert await inventory.everything() == before


async def test_an_unknown_name_is_refused_with_all_that_are_known(inventory: Inventory) -> None:
    refusal = await refused(explained(inventory, "SELECT 1"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert {field for field, _ in refusal.violations} == {"query"}
    told = [description.removeprefix("must be one of ") for _, description in refusal.violations]
    assert [name for names in told for name in names.rstrip(",").split(", ")] == sorted(NAMED_QUERIES)
