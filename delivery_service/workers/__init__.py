"""Loops that hand due work to a use case."""
