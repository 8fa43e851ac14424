"""Reserves stock with TigerBeetle: an account for each sku that cannot be overdrawn, a pending transfer for each hold.

`single` sends one transfer a call, `batch` 64; the client itself joins what calls at the same time.
"""

import asyncio
import os
from collections.abc import Sequence

import tigerbeetle as tb

from benchmarks.peers.programs.answering import answer
from benchmarks.peers.sides import Refused, Tally, Work

LEDGER, CODE = 1, 1
BATCH = 64
PAGE = 8000
CONNECT_SECONDS = 15.0


class Shop:
    """Accounts by sku, over one client."""

    def __init__(self, client: tb.ClientAsync) -> None:
        self._client = client
        self._source, self._held = tb.id(), tb.id()
        self._accounts: dict[str, int] = {}

    async def begin(self) -> None:
        """Makes the accounts that every transfer comes from or goes to."""
        await self._make([self._source, self._held], flags=tb.AccountFlags.NONE)

    async def stock(self, skus: Sequence[str], quantity: int) -> None:
        """Makes accounts and credits each."""
        made = {sku: tb.id() for sku in skus}
        await self._make(list(made.values()), flags=tb.AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS)
        await self._send([_transfer(self._source, account, quantity) for account in made.values()])
        self._accounts |= made

    async def reserve(self, work: Work, how: str) -> dict[str, object]:
        """Lets callers of this process work."""

        async def one(_caller: int, sku: str) -> int:
            transfers = [
                _transfer(self._accounts[sku], self._held, 1, tb.TransferFlags.PENDING)
                for _ in range(BATCH if how == "batch" else 1)
            ]
            if not (made := await self._send(transfers)):
                raise Refused
            return made

        return vars(await Tally().work(work, one))

    async def books(self, skus: Sequence[str]) -> dict[str, object]:
        """What the accounts say, and the pending transfers themselves."""
        ids = [self._accounts[sku] for sku in skus]
        accounts = []
        for first in range(0, len(ids), PAGE):
            accounts += await self._client.lookup_accounts(ids[first : first + PAGE])
        return {
            "there": sum(account.credits_posted for account in accounts),
            "counted": sum(account.debits_pending for account in accounts),
            "rows": sum([await self._pending(account) for account in ids]),
        }

    async def _pending(self, account: int) -> int:
        units, since = 0, 0
        while True:
            found = await self._client.get_account_transfers(
                tb.AccountFilter(
                    account_id=account,
                    user_data_128=0,
                    user_data_64=0,
                    user_data_32=0,
                    code=0,
                    timestamp_min=since,
                    timestamp_max=0,
                    limit=PAGE,
                    flags=tb.AccountFilterFlags.DEBITS,
                )
            )
            units += int(sum(transfer.amount for transfer in found))
            if len(found) < PAGE:
                return units
            since = found[-1].timestamp + 1

    async def _make(self, ids: Sequence[int], flags: int) -> None:
        made = await self._client.create_accounts(
            [tb.Account(id=account, ledger=LEDGER, code=CODE, flags=flags) for account in ids]
        )
        if wrong := [result.status for result in made if result.status != tb.CreateAccountStatus.CREATED]:
            raise RuntimeError(f"accounts were not made: {wrong[0]}")

    async def _send(self, transfers: Sequence[tb.Transfer]) -> int:
        """How many were made; raises for any reason but that the account has not enough."""
        allowed = (tb.CreateTransferStatus.CREATED, tb.CreateTransferStatus.EXCEEDS_CREDITS)
        statuses: list[object] = [
            result.status for result in await self._client.create_transfers(list(transfers))
        ]
        if wrong := [status for status in statuses if status not in allowed]:
            raise RuntimeError(f"transfers were not made: {wrong[0]}")
        return statuses.count(tb.CreateTransferStatus.CREATED)


def _transfer(debit: int, credit: int, amount: int, flags: int = tb.TransferFlags.NONE) -> tb.Transfer:
    return tb.Transfer(
        id=tb.id(),
        debit_account_id=debit,
        credit_account_id=credit,
        amount=amount,
        ledger=LEDGER,
        code=CODE,
        flags=flags,
    )


def main() -> None:
    """Answers until standard input ends."""
    address = os.environ["HOLDFAST_PEER_ADDRESS"]
    with asyncio.Runner() as runner:

        async def connect() -> Shop:
            return Shop(tb.ClientAsync(cluster_id=0, replica_addresses=address))

        shop = runner.run(connect())

        def begin() -> None:
            async def reach() -> None:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await shop.begin()

            try:
                runner.run(reach())
            except TimeoutError:
                raise RuntimeError(f"no answer from {address} within {CONNECT_SECONDS:.0f} s") from None

        def stock(skus: list[str], quantity: int) -> None:
            runner.run(shop.stock(skus, quantity))

        def reserve(
            how: str, skus: list[str], callers: int, seconds: float, attempts: int
        ) -> dict[str, object]:
            return runner.run(shop.reserve(Work(skus, callers, seconds, attempts), how))

        def books(skus: list[str]) -> dict[str, object]:
            return runner.run(shop.books(skus))

        answer({"begin": begin, "stock": stock, "reserve": reserve, "books": books})


if __name__ == "__main__":
    main()
