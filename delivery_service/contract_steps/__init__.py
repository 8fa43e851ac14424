"""What the old application needed, and the steps that remove it: each by name, in its time, after fresh checks."""
