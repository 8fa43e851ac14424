from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from devtools.databases import create_database


async def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        result = await connection.execute(text(statement))
        found = [tuple(row) for row in result.all()] if result.returns_rows else []
    await engine.dispose()
    return found


async def test_a_database_of_either_delivery_engine_compares_text_byte_by_byte(
    delivery_engine: str, delivery_url: str
) -> None:
    await rows(delivery_url, "CREATE TABLE word (it VARCHAR(8))")
    await rows(delivery_url, "INSERT INTO word VALUES ('a'), ('A')")

    assert await rows(delivery_url, "SELECT it FROM word WHERE it = 'a'") == [("a",)]
    version = str((await rows(delivery_url, "SELECT version()"))[0][0])
    assert ("MariaDB" in version) == (delivery_engine == "mariadb")


async def test_an_inventory_database_stores_utf8(postgres_url: str) -> None:
    assert await rows(postgres_url, "SHOW server_encoding") == [("UTF8",)]


async def test_creating_a_database_again_keeps_what_is_in_it(postgres_url: str, mysql_url: str) -> None:
    for url in (postgres_url, mysql_url):
        await rows(url, "CREATE TABLE kept (id INT)")
        await rows(url, "INSERT INTO kept VALUES (7)")

        await create_database(url)

        assert await rows(url, "SELECT id FROM kept") == [(7,)]


async def test_the_servers_of_a_run_take_two_hundred_sessions(
    postgres_url: str, mysql_url: str, mariadb_url: str
) -> None:
    assert int(str((await rows(postgres_url, "SHOW max_connections"))[0][0])) >= 200
    for url in (mysql_url, mariadb_url):
        assert int(str((await rows(url, "SELECT @@max_connections"))[0][0])) >= 200
