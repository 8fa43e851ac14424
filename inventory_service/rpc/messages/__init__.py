"""Requests into commands, with every violation at once, and what came of them into answers; by noun."""
