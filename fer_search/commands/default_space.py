"""The space that ``fer-search run`` searches if none is given: one that this machine can search."""

from __future__ import annotations

import sys
from pathlib import Path

from fer_search import backend
from fer_search.errors import UserError

FOLDER = "search_spaces"
CPU_SPACE, GPU_SPACE = "cpu.py", "modern.py"


def choose_space(given: Path | None, silent: bool = False) -> Path:
    """Return the space file to search; say on stderr which one was chosen, unless one is given.

    Args:
        given: From --space; None to choose by the device of the backend, which has been started.
        silent: Whether to say nothing.

    Raises:
        UserError: The given one does not exist; or none is given, and fer-search's own are not in this folder.
    """
    if given is not None:
        if not given.exists():  # said here, before Keras starts
            raise UserError(f"cannot read the space {given}: No such file or directory; give --space a Python file")
        return given
    device = backend.device()
    file = CPU_SPACE if device.startswith("CPU") else GPU_SPACE
    beside_package = Path(__file__).parents[2] / FOLDER  # in a checkout
    for path in (Path(FOLDER) / file, beside_package / file):
        if path.is_file():
            if not silent:
                print(f"Space: {path}, chosen for this device ({device}); --space searches another.", file=sys.stderr)
            return path
    raise UserError(f"no --space is given, and there is no {FOLDER}/{file} here; give --space FILE")
