"""Taking over a database of the old system: what both services' adoptions have in common."""
