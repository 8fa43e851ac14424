"""How the books lie in Postgres: tables, one repository a table, one unit of work."""
