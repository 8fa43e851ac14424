"""What callers and operators ask that changes something, and how to see what it left."""
