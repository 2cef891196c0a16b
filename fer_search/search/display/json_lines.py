"""One JSON object a line for each event, for programs."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from typing import Any, TextIO

from fer_search.search.display.events import Event, Steps


class JsonLines:
    """Writes events as they come, each with its name under "event"; steps inside epochs are left out.

    Args:
        out: where to.
    """

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def show(self, event: Event) -> None:
        if isinstance(event, Steps):
            return
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
        self.out.write(json.dumps({"event": name} | _plain(dataclasses.asdict(event))) + "\n")
        self.out.flush()

    def close(self) -> None:
        """Nothing to end."""


def _plain(value: Any) -> Any:
    """Return the same without the numbers that JSON does not know."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
