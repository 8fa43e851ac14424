"""A service small enough to test the kit with: accounts whose balance never falls below zero."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, MetaData, String, Table, UniqueConstraint, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from servicekit.persistence.requests import RequestLog, requests_table

METADATA = MetaData()
ACCOUNTS = Table(
    "account",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("owner", String(32)),
    Column("balance", BigInteger, nullable=False),
    UniqueConstraint("owner", name="uq_account_owner"),
    CheckConstraint("balance >= 0", name="ck_account_balance"),
    mysql_engine="InnoDB",
)
REQUESTS = requests_table(METADATA)
OPENING_BALANCE = 100


class Accounts:
    """The unit of work."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self.connection = connection
        self.now = now
        self.requests = RequestLog(connection, REQUESTS, now)

    async def balance(self, account: int) -> int:
        """Reads without a lock."""
        query = select(ACCOUNTS.c.balance).where(ACCOUNTS.c.id == account)
        return int((await self.connection.execute(query)).scalar_one())

    async def lock(self, account: int) -> int:
        """Reads and locks."""
        query = select(ACCOUNTS.c.balance).where(ACCOUNTS.c.id == account).with_for_update()
        return int((await self.connection.execute(query)).scalar_one())

    async def add(self, account: int, amount: int) -> None:
        """Changes a balance."""
        change = ACCOUNTS.update().where(ACCOUNTS.c.id == account)
        await self.connection.execute(change.values(balance=ACCOUNTS.c.balance + amount))


async def open_accounts(engine: AsyncEngine) -> None:
    """Leaves accounts 1 and 2 in the database, with their opening balances, and nothing else."""
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
        for table in (REQUESTS, ACCOUNTS):
            await connection.execute(table.delete())
        rows = [{"id": account, "balance": OPENING_BALANCE} for account in (1, 2)]
        await connection.execute(ACCOUNTS.insert(), rows)


async def balances(url: str) -> list[int]:
    """What another session sees."""
    outsider = create_async_engine(url)
    try:
        async with outsider.connect() as connection:
            rows = await connection.execute(select(ACCOUNTS.c.balance).order_by(ACCOUNTS.c.id))
            return [int(balance) for (balance,) in rows]
    finally:
        await outsider.dispose()
