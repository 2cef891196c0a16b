"""The sections of the page, a subject a file: each a function from a ``RunAnalysis`` to a ``Section``."""
