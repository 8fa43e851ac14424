"""What delivery does: one use case a file, over ports. Nothing here commits, and nothing here knows SQL or gRPC."""
