"""The sections of the page, a subject a file: each a function from a ``View`` to a ``Section``."""
