"""Every call that changes something, of callers and of operators."""

from collections.abc import Sequence

from chaos.calls.call import Call
from chaos.calls.delivery import DELIVERY
from chaos.calls.inventory import INVENTORY
from chaos.calls.operators import OF_DELIVERY, OF_INVENTORY


def calls_to(engine: str) -> Sequence[Call]:
    """Those of the service that is on this engine: inventory on Postgres, delivery on the others."""
    return [*INVENTORY, *OF_INVENTORY] if engine == "postgres" else [*DELIVERY, *OF_DELIVERY]
