"""Measurements that take minutes: `python -m benchmarks.<name>`; each prints what it did and what came out."""
