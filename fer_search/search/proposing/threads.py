"""The threads of the linear algebra of a proposal."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import Any

import scipy.linalg  # noqa: F401  # loads the BLAS libraries that a proposal uses, before they are looked for
from threadpoolctl import ThreadpoolController


def one_thread() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which BLAS uses one thread: the matrices are small, so more only wait for each other."""
    context: contextlib.AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return context


@cache
def _libraries() -> ThreadpoolController:
    """Return the libraries of this process, found once: that takes longer than the algebra of a proposal."""
    return ThreadpoolController()
