"""Every call that changes something, of both services."""
