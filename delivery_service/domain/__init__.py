"""The rules of delivery: values, the table of transitions, refusals. Standard library only; no clock, no I/O."""
