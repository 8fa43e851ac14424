"""Brings orders to their receivers: packages, photos as proof of each step, stock held by inventory.

Rooms, from the outside in: `bootstrap` wires what is served, `commands` what operators run; `rpc` and `workers`
receive; `persistence` keeps rows on MySQL or MariaDB, `gateways` reach inventory and photo bytes; `adoption` takes
over a database of the old schema, and `contract_steps` remove what the old application needed; `application` holds
the use cases; `domain` decides. docs/house.md says what each may know.
"""
