"""Commands of operators, beside `serve` and `migrate`."""
