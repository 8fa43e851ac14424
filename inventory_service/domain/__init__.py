"""What a stock and a reservation are and what may become of them: pure, synchronous, without a clock."""
