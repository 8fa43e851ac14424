"""What runs inside the peers' processes: each with its own packages, asked over standard input."""
