"""Brings orders to their receivers: packages, photos as proof of each step, stock held by inventory.

domain: the rules; application: the use cases; persistence: MySQL or MariaDB; gateways: inventory and photo bytes;
rpc: the contract; workers: the relay that tells inventory; bootstrap: the wiring.
"""
