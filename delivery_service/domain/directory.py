"""Drivers and warehouses: the little that the transitions need."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Driver:
    """Someone who carries packages; only an active one may take more."""

    driver_id: int
    name: str
    phone: str
    active: bool


@dataclass(frozen=True)
class Warehouse:
    """A place where packages are received and shipped on."""

    warehouse_id: int
    code: str
    name: str
    address: str
