"""Server reflection, v1 and v1alpha: the library has v1alpha only, and grpcurl and buf differ in what they ask."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from importlib import resources
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

from servicekit.draining import until_drained
from servicekit.rpc.context import Context

_V1 = "grpc.reflection.v1.ServerReflection"
_V1ALPHA = "grpc.reflection.v1alpha.ServerReflection"


def register(server: grpc.aio.Server, services: tuple[str, ...], draining: asyncio.Event) -> None:
    """Adds both versions of reflection over the named services; once `draining` is set nobody is waited for."""
    _add_v1_descriptor()
    pool: Any = _ReflectedPool()
    # Its types say that it must be awaited for what it streams.
    answered: Any = ReflectionServicer((*services, _V1, _V1ALPHA), pool=pool).ServerReflectionInfo

    async def answers(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        async for answer in answered(until_drained(requests, draining), context):
            yield answer

    handler: Any = grpc.stream_stream_rpc_method_handler(
        answers,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for service in (_V1, _V1ALPHA):
        methods = grpc.method_handlers_generic_handler(service, {"ServerReflectionInfo": handler})
        server.add_generic_rpc_handlers((methods,))


class _ReflectedPool:
    """The default pool as reflection needs it: it finds the file of a method, and files have their comments.

    `describe pkg.Service.Method` asks for a method's file, which the default pool does not find. Python's stubs
    carry no comments; the contracts' own descriptors, committed beside them, do.
    """

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()
        stored = resources.files("holdfast").joinpath("contracts.binpb").read_bytes()
        self._commented = {
            file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(stored).file
        }

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileByName(self, name: str) -> "_ReflectedFile":
        return _ReflectedFile(self._pool.FindFileByName(name), self._commented)

    def FindFileContainingSymbol(self, symbol: str) -> "_ReflectedFile":
        return _ReflectedFile(self._file_of(symbol), self._commented)

    def _file_of(self, symbol: str) -> FileDescriptor:
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            service_name, _, method = symbol.rpartition(".")
            service = self._pool.FindServiceByName(service_name)
            if method not in service.methods_by_name:
                raise
            return service.file


class _ReflectedFile:
    """What reflection asks of a file: its name, what it imports, and itself, with comments where there are any."""

    def __init__(
        self, file: FileDescriptor, commented: Mapping[str, descriptor_pb2.FileDescriptorProto]
    ) -> None:
        self._file = file
        self._commented = commented
        self.name = file.name

    @property
    def dependencies(self) -> list["_ReflectedFile"]:
        return [_ReflectedFile(file, self._commented) for file in self._file.dependencies]

    def CopyToProto(self, proto: descriptor_pb2.FileDescriptorProto) -> None:
        if self.name in self._commented:
            proto.CopyFrom(self._commented[self.name])
        else:
            self._file.CopyToProto(proto)


def _add_v1_descriptor() -> None:
    """Puts the v1 contract into the pool; it equals v1alpha but for the package's name."""
    pool = descriptor_pool.Default()
    try:
        pool.FindServiceByName(_V1)
        return
    except KeyError:
        pass
    file = descriptor_pb2.FileDescriptorProto.FromString(reflection_pb2.DESCRIPTOR.serialized_pb)
    file.name, file.package = "grpc/reflection/v1/reflection.proto", "grpc.reflection.v1"
    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(".v1alpha.", ".v1.")
    for service in file.service:
        for method in service.method:
            method.input_type = method.input_type.replace(".v1alpha.", ".v1.")
            method.output_type = method.output_type.replace(".v1alpha.", ".v1.")
    pool.AddSerializedFile(file.SerializeToString())
