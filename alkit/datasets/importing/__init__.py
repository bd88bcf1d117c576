"""A user's own molecules and numbers, from whatever file they are in, into alkit's database.

``sources`` and ``from_*`` read files as rows; ``properties`` says what their numbers are; ``molecules`` and
``energies`` check a row; ``spool`` keeps checked rows on disk; ``run`` does it all.
"""
