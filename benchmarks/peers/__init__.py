"""What a user would pick instead of holdfast, on the same work in the same run, beside holdfast itself.

    make bench-peers ARGS="[--short] [--tigerbeetle ADDRESS]"

`packages` fetches the peers into the private cache, `programs/` holds our own small program for each, `sides` says what
every side can do, `rounds` lets them take turns and verifies each, `report` writes docs/benchmarks/peers.md.
"""
