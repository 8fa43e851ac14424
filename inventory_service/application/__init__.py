"""The use cases: load what a command needs, let the domain decide, save what changed."""
