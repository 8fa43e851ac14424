"""Taking over a database that others made: recognise, check, back up, convert, verify, and put back."""
