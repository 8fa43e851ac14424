"""What the parts of DeliveryService share."""

from holdfast.delivery.v1 import delivery_pb2_grpc

from delivery_service.rpc.work import Work
from servicekit import methods


class Methods(methods.Methods[Work], delivery_pb2_grpc.DeliveryServiceServicer):
    """A part of DeliveryService; the methods of the others are not its own."""

    know_their_effect = True
