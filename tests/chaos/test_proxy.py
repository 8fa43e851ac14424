"""The proxy misbehaves as it says: what it holds back, nobody hears of."""

import asyncio

from tests.support.proxy import proxy_to


async def test_a_link_that_is_held_tells_neither_side_of_the_other_ones_end() -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                data = await reader.read(100)
            except ConnectionError:
                data = b""
            heard.put_nowait(data)
            if not data:
                writer.close()
                return

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, proxy_to(f"{host}:{port}") as proxy:
        there = proxy.address.rpartition(":")
        _, caller = await asyncio.open_connection(there[0], int(there[2]))
        caller.write(b"hello")
        assert await heard.get() == b"hello"

        proxy.hold()
        caller.close()
        await asyncio.sleep(0.2)
        assert heard.empty()

        proxy.heal()
        assert await asyncio.wait_for(heard.get(), 5) == b""
