"""channelz: which connections there are, and how calls over them went (grpc.io, "A short introduction to Channelz")."""

import grpc
from grpc_channelz.v1 import channelz, channelz_pb2

SERVICE_NAME: str = channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].full_name


def open_calls() -> int:
    """Calls under way at all servers of this process, those too that gRPC has not handed over yet."""
    asked = channelz_pb2.GetServersRequest()
    # A context is needed to refuse only.
    servers = channelz.ChannelzServicer.GetServers(asked, None).server  # type: ignore[arg-type]
    return sum(
        each.data.calls_started - each.data.calls_succeeded - each.data.calls_failed for each in servers
    )


def register(server: grpc.aio.Server) -> None:
    """Adds grpc.channelz.v1.Channelz to the server; it tells of all servers and channels of the process."""
    channelz.add_channelz_servicer(server)
