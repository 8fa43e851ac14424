"""`make demo`: the main job of holdfast, driven over gRPC as other services and people would, act by act."""
