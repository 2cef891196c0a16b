"""Makes ``runs``, the writer of synthetic run folders, importable by the tests beside it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
