"""Keeps the units of every sku and holds them for whoever asked first.

Rooms, from the outside in: `bootstrap` wires; `rpc` and `workers` receive; `persistence` keeps; `application`
holds the use cases; `domain` decides. docs/house.md says what each may know.
"""
