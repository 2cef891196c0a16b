"""JSON lines for programs: one object per event."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from typing import Any, TextIO

from fer_search.search.display.events import Event, Steps


class JsonLines:
    """Writes each event as a line of JSON, its name under "event"; progress within epochs is left out.

    Args:
        out: Text stream to write to.
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
        """Nothing to close."""


def _plain(value: Any) -> Any:
    """Replace infinities and NaN, which JSON does not have, by None."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
