"""What lies outside of the process: the folder of the ledger's archive."""
