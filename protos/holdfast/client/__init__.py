"""Channels to the services for the typed stubs: `channel` for threads, `aio_channel` for asyncio, `Tls` for both.

Hand-written, unlike the stubs beside it, and free of anything that only a server needs.
"""

from holdfast.client.channels import aio_channel, channel
from holdfast.client.tls import Tls, TlsUnreadable

__all__ = ["Tls", "TlsUnreadable", "aio_channel", "channel"]
