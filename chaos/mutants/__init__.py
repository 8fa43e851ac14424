"""Defects that are planted into a copy of the sources, one at a time, to see that a campaign or a test finds each.

The sources know nothing of them: a mutant names words of a file and what stands there instead.
"""
