"""What MySQL and MariaDB share: the socket, its greeting and the URL."""

import socket
from pathlib import Path

SOCKET = "mysql.sock"
CHARACTER_SET = ["--character-set-server=utf8mb4", "--collation-server=utf8mb4_bin"]
PROTOCOL_VERSION = 10


def greets(sockets: Path) -> bool:
    """Whether the server behind the socket opens a session: its first packet starts with the protocol's version."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(str(sockets / SOCKET))
            packet = client.recv(64)
        except OSError:
            return False
    return len(packet) > 4 and packet[4] == PROTOCOL_VERSION


def url(sockets: Path, database: str) -> str:
    return f"mysql+asyncmy://root@localhost/{database}?unix_socket={sockets / SOCKET}&charset=utf8mb4"
