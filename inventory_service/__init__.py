"""Keeps the units of every sku and holds them for whoever asked first.

Rooms, from the outside in: `bootstrap` wires what is served, `commands` what operators run; `rpc` and `workers`
receive; `persistence` keeps rows, `gateways` files; `adoption` takes over a database of the old schema, and
`contract_steps` remove what it left behind; `application` holds the use cases; `domain` decides. docs/house.md says
what each may know.
"""
