"""A photo with a face, and a predictor."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture(scope="session")
def astronaut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scikit-image's 512x512 photo of Eileen Collins as a JPEG file; her face is 97 pixels wide at about (177, 66)."""
    from skimage import data

    path = tmp_path_factory.mktemp("photos") / "astronaut.jpg"
    Image.fromarray(data.astronaut()).save(path, quality=95)
    return path


@pytest.fixture(scope="session")
def network(searched_run: Path):
    import fer_search

    return fer_search.load(searched_run)
