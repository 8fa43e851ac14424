"""Numbers for packages whose makers name none."""

import secrets
from datetime import datetime


def new_package_sn(now: datetime) -> str:
    """ "PG" and the decimal of 41 bits of milliseconds and 22 random bits; unique together with the unique key."""
    milliseconds = int(now.timestamp() * 1000) & (2**41 - 1)
    return f"PG{milliseconds << 22 | secrets.randbits(22)}"
