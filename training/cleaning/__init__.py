"""Cleaning: pictures whose labels are likely wrong, found, looked at by a person, and decided.

`python -m training clean --help` is the way in; `docs/cleaning.md` tells the whole story.
"""
