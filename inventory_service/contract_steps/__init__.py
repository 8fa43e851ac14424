"""What the consolidation left behind, and the steps that remove it: each by name, in its time, after fresh checks."""
