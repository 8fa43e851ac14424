"""`make bench`: what a call costs beside what it does, side by side in one run.

Rows of one panel are measured in turns, each round in another order, on the same servers and databases. After every
turn the books are compared with what was acknowledged; a difference voids the run.
"""
