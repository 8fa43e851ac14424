"""Tables and repositories over one connection. The only room that knows the stored integers."""
