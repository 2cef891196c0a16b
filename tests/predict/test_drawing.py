"""Where annotated images are written, checked before a network is loaded."""

import os
import shutil

import pytest
from PIL import Image

from fer_search.errors import UserError
from fer_search.predict.command import PredictSettings, predict_photos
from fer_search.predict.drawing import Annotator


def test_annotated_images_never_replace_the_photos(astronaut, tmp_path):
    """Before a network is loaded: there is none."""
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(astronaut, photos / "face.jpg")
    Image.new("L", (60, 50)).save(photos / "face.png")  # its picture is face.jpg, too
    for name in ("linked", "hard"):
        (tmp_path / name).mkdir()
    (tmp_path / "folder").symlink_to(photos)
    (tmp_path / "linked" / "face.jpg").symlink_to(photos / "face.jpg")
    os.link(photos / "face.jpg", tmp_path / "hard" / "face.jpg")
    for given in (photos, tmp_path / "folder", tmp_path / "linked", tmp_path / "hard"):
        settings = PredictSettings(tmp_path / "none.keras", (str(photos / "face.jpg"),), annotate=given, overwrite=True)
        with pytest.raises(UserError, match=r"--annotate .*face\.jpg would replace .*; choose another folder"):
            predict_photos(settings, ())
    both = (photos / "face.png", photos / "face.jpg")
    assert [path.name for path in Annotator(tmp_path / "new", both).files] == ["face.jpg", "face_2.jpg"]
    with pytest.raises(UserError, match="would replace"):
        Annotator(photos, both, overwrite=True)
    assert Annotator(photos, both[:1], ".mp4", overwrite=True).files == [photos / "face.mp4"]
    assert (photos / "face.jpg").read_bytes() == astronaut.read_bytes()


@pytest.mark.parametrize("folder", ["f.txt", "f.txt/sub", "dangling", "a" * 300])
def test_a_folder_that_cannot_be_written_to_is_reported_before_the_network_is_loaded(tmp_path, folder):
    (tmp_path / "f.txt").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    settings = PredictSettings(tmp_path / "none.keras", ("x.jpg",), annotate=tmp_path / folder)
    with pytest.raises(UserError, match=r"--annotate .* (cannot be written to|is a file).*; .* folder"):
        predict_photos(settings, ())
