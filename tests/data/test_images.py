"""Picture files that cannot be decoded."""

from pathlib import Path

import pytest

from fer_search.data.load import load_dataset
from fer_search.errors import UserError


@pytest.mark.parametrize("keep", [1, 20, 60, 100, -20])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_truncated_images_are_named(keep: int, suffix: str, small, tmp_path: Path) -> None:
    folder = small.folders(tmp_path / "f", suffix=suffix)
    file = sorted((folder / "test" / "happy").iterdir())[0]
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(UserError, match=f"test/happy/{file.name} is cut short or not an image"):
        load_dataset(str(folder))


def test_all_broken_images_are_counted_and_some_named(small, tmp_path: Path) -> None:
    folder = small.folders(tmp_path / "f")
    files = sorted((folder / "train").rglob("*.png"))[:8]
    for number, file in enumerate(files, start=1):
        file.write_bytes(b"not an image")
        with pytest.raises(UserError) as error:
            load_dataset(str(folder))
        message = str(error.value)
        assert [broken.name in message for broken in files[:number]] == [k < 6 for k in range(number)]
        assert ("and 2 more; replace or remove them" in message) == (number == 8)
