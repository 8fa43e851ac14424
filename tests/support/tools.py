"""The real tools that people call the services with: grpcurl, buf and a client in Node.js, alike to tests.

Each gets an address and learns the contracts by reflection.
"""

import asyncio
import base64
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from devtools.packages import Node, node, node_packages

PROGRAMS = Path(sys.executable).parent
NODE_CLIENT = Path(__file__).parent / "node"
NOBODY: Mapping[str, str] = {}


@dataclass(frozen=True)
class Certificate:
    """What a tool shows to a server that speaks mTLS, and whom it believes."""

    folder: Path
    """With tls.crt and tls.key."""
    authorities: Path

    def options(self, dashes: str) -> tuple[str, ...]:
        """As grpcurl and buf take it."""
        return (
            *(f"{dashes}cacert", str(self.authorities)),
            *(f"{dashes}cert", str(self.folder / "tls.crt")),
            *(f"{dashes}key", str(self.folder / "tls.key")),
        )


@dataclass(frozen=True)
class Said:
    """What a tool printed, on both of its streams, and its exit code."""

    code: int
    text: str

    @property
    def readable(self) -> str:
        """The text, and what buf leaves packed: it says of a detail which type it is, and gives its bytes."""
        packed = re.findall(r'"value": "([A-Za-z0-9+/]+)"', self.text)
        unpacked = (base64.b64decode(f"{value}==").decode(errors="replace") for value in packed)
        return "\n".join([self.text, *unpacked])

    @property
    def messages(self) -> list[Any]:
        """The JSON values, one after the other."""
        found, rest, decoder = [], self.text.strip(), json.JSONDecoder()
        while rest:
            value, end = decoder.raw_decode(rest)
            found.append(value)
            rest = rest[end:].strip()
        return found


class Tool(Protocol):
    """One of them."""

    shows: Certificate | None
    """None speaks plaintext."""

    async def services(self, address: str) -> list[str]:
        """The names of the services."""
        ...

    async def methods(self, address: str, service: str) -> list[str]:
        """The names of a service's methods."""
        ...

    async def call(
        self, address: str, method: str, *messages: Mapping[str, Any], metadata: Mapping[str, str] = NOBODY
    ) -> Said:
        """Sends the messages to `SERVICE/METHOD` and returns all that was said."""
        ...


@dataclass
class Grpcurl:
    """The tool of operators."""

    shows: Certificate | None = None

    async def services(self, address: str) -> list[str]:
        return (await self.run(address, "list")).text.split()

    async def methods(self, address: str, service: str) -> list[str]:
        return [each.rpartition(".")[2] for each in (await self.run(address, "list", service)).text.split()]

    async def describe(self, address: str, symbol: str) -> str:
        """What it says of a service, a method, a message or an enum, with its comments."""
        return (await self.run(address, "describe", symbol)).text

    async def call(
        self, address: str, method: str, *messages: Mapping[str, Any], metadata: Mapping[str, str] = NOBODY
    ) -> Said:
        return await self.run(*_headers(metadata), "-d", "@", address, method, sent=_lines(messages))

    async def run(self, *words: str, sent: str = "") -> Said:
        """One run."""
        security = self.shows.options("-") if self.shows else ("-plaintext",)
        return await run(PROGRAMS / "grpcurl", *security, *words, sent=sent)


@dataclass
class BufCurl:
    """buf's own client, over either version of reflection."""

    reflection: str = "grpc-v1"
    shows: Certificate | None = None

    async def services(self, address: str) -> list[str]:
        return (await self.run(address, "--list-services")).text.split()

    async def methods(self, address: str, service: str) -> list[str]:
        listed = (await self.run(address, "--list-methods")).text.split()
        return [each.split("/")[1] for each in listed if each.startswith(f"{service}/")]

    async def call(
        self, address: str, method: str, *messages: Mapping[str, Any], metadata: Mapping[str, str] = NOBODY
    ) -> Said:
        return await self.run(f"{address}/{method}", *_headers(metadata), "-d", "@-", sent=_lines(messages))

    async def run(self, place: str, *words: str, sent: str = "") -> Said:
        """One run."""
        security = self.shows.options("--") if self.shows else ("--http2-prior-knowledge",)
        url = f"{'https' if self.shows else 'http'}://{place}"
        options = ("--protocol", "grpc", *security, "--reflect-protocol", self.reflection)
        return await run(PROGRAMS / "buf", "curl", *options, *words, url, sent=sent)


@dataclass
class NodeClient:
    """A client in Node.js with @grpc/grpc-js; `prepare` comes first."""

    runtime: Node | None = None
    folder: Path = field(default_factory=Path)
    shows: Certificate | None = None

    def prepare(self) -> None:
        """Fetches what it needs, once. Raises PackagesUnavailable."""
        self.runtime = node()
        self.folder = node_packages("node-client", NODE_CLIENT, self.runtime)

    async def services(self, address: str) -> list[str]:
        return (await self.run(address, "list")).messages

    async def methods(self, address: str, service: str) -> list[str]:
        return [each.rpartition("/")[2] for each in (await self.run(address, "list", service)).messages]

    async def describe(self, address: str, symbol: str) -> str:
        """What it says of a service, a message or an enum, with its comments."""
        return (await self.run(address, "describe", symbol)).text

    async def call(
        self,
        address: str,
        method: str,
        *messages: Mapping[str, Any],
        metadata: Mapping[str, str] = NOBODY,
        options: Mapping[str, Any] = NOBODY,
    ) -> Said:
        sent = {"metadata": metadata, "messages": messages, "options": options}
        return await self.run(address, "call", method, sent=json.dumps(sent))

    async def run(self, *words: str, sent: str = "") -> Said:
        """One run."""
        assert self.runtime is not None
        program = str(NODE_CLIENT / "client.mjs")
        certificate = (
            {"TLS_FOLDER": str(self.shows.folder), "TLS_CA": str(self.shows.authorities)}
            if self.shows
            else {}
        )
        return await run(self.runtime.node, program, *words, sent=sent, folder=self.folder, **certificate)


async def run(
    program: Path, *words: str, sent: str = "", folder: Path | None = None, **environment: str
) -> Said:
    """Runs a program to its end, which must come within half a minute."""
    process = await asyncio.create_subprocess_exec(
        str(program),
        *words,
        cwd=folder,
        env=os.environ | environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(sent.encode()), 30)
    return Said(process.returncode or 0, output.decode())


def _headers(metadata: Mapping[str, str]) -> Sequence[str]:
    return [word for key, value in metadata.items() for word in ("-H", f"{key}: {value}")]


def _lines(messages: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(map(json.dumps, messages))
