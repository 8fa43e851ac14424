"""What lies outside of the process: the inventory service, and the bytes of photos."""
