"""Reading photos of any mode, orientation and size, damaged photos, and expanding path arguments."""

import os

import numpy as np
import pytest
from PIL import ExifTags, Image, features

from fer_search.errors import UserError
from fer_search.predict import photos
from fer_search.predict.faces import Box, FaceDetector
from fer_search.predict.photos import FORMATS, MAX_SIDE, UnreadablePhoto, expand, fit_to_network, read_photo

PLUGINS = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}  # format -> what Pillow calls its library
FACE = Box(177, 66, 97, 97)


def near(box, expected, pixels=8):
    return all(abs(a - b) <= pixels for a, b in zip(box, expected, strict=True))


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "I", "F"])
def test_a_face_is_found_in_any_mode(astronaut, tmp_path, mode):
    with Image.open(astronaut) as photo:
        grey = np.asarray(photo.convert("L"))
        if mode in ("I;16", "I"):
            picture = Image.fromarray(grey.astype(np.uint16) * 257)
            picture = picture if mode == "I;16" else Image.fromarray(grey.astype(np.int32) * 257)
        else:
            picture = Image.fromarray(grey.astype(np.float32)) if mode == "F" else photo.convert(mode)
    path = tmp_path / f"photo.{'tif' if mode in ('CMYK', 'F', 'I') else 'png'}"
    picture.save(path)
    boxes = FaceDetector().find(read_photo(path).grey)
    assert near(boxes[0], FACE, 12), (mode, boxes)


def test_transparency_becomes_white_and_1_bit_images_black_and_white(tmp_path):
    Image.new("1", (40, 30), 1).save(tmp_path / "bit.png")
    assert read_photo(tmp_path / "bit.png").pixels.min() == 255
    picture = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    picture.save(tmp_path / "clear.png")
    assert read_photo(tmp_path / "clear.png").pixels.min() == 255


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_exif_orientation_is_applied(astronaut, tmp_path, orientation):
    turns = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180}
    turns |= {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    with Image.open(astronaut) as photo:
        stored = photo.crop((0, 0, 512, 400)).transpose(turns[orientation])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    photo = read_photo(tmp_path / "turned.jpg")
    assert (photo.width, photo.height, photo.pixels.shape) == (512, 400, (400, 512))
    assert near(photo.in_file(FaceDetector().find(photo.grey)[0]), FACE)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_huge_photo_is_shrunk_but_boxes_are_in_original_pixels(astronaut, tmp_path, suffix, monkeypatch, recwarn):
    with Image.open(astronaut) as photo:
        photo.convert("L").resize((5000, 5000)).save(tmp_path / f"huge{suffix}", compress_level=1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)  # from twice as many on, Pillow raises an error
    photo = read_photo(tmp_path / f"huge{suffix}")
    assert photo.pixels.shape == (MAX_SIDE, MAX_SIDE)
    box = photo.in_file(FaceDetector().find(photo.grey)[0])
    assert near(box, [round(value * 5000 / 512) for value in FACE], 80)
    assert list(recwarn) == []
    assert Image.MAX_IMAGE_PIXELS == 1_000_000


def test_damaged_files_give_a_reason(astronaut, tmp_path):
    content = astronaut.read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "empty.png").write_bytes(b"")
    for name, reason in (("cut.jpg", "truncated"), ("text.jpg", "not an image"), ("empty.png", "not an image")):
        with pytest.raises(UnreadablePhoto, match=reason):
            read_photo(tmp_path / name)
    with pytest.raises(UnreadablePhoto, match="No such file"):
        read_photo(tmp_path / "missing.jpg")


def test_the_first_frame_of_an_animation_is_read(tmp_path):
    frames = [Image.new("L", (60, 50), value) for value in (200, 0, 100)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    photo = read_photo(tmp_path / "moving.gif")
    assert photo.frames == 3
    assert abs(int(photo.pixels[0, 0]) - 200) < 3


def test_faces_are_resized_like_training_images(rng):
    grey = rng.integers(0, 256, (97, 97), dtype=np.uint8)
    expected = Image.fromarray(grey).resize((48, 48), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(fit_to_network(grey, (48, 48, 1))[..., 0], expected)
    colour = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(fit_to_network(colour, (48, 48, 3)), colour)
    assert fit_to_network(grey, (64, 64, 3)).shape == (64, 64, 3)


def test_folders_globs_and_lists_are_expanded_to_photos(tmp_path):
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "sub/c.webp", ".git/d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    inside = [tmp_path / name for name in ("a.PNG", "b.jpg", "sub/c.webp")]
    assert list(expand([str(tmp_path)], ())) == inside
    assert list(expand([f"{tmp_path}/**/*.webp"], ())) == inside[2:]
    assert list(expand(["-", "x.jpg"], [f"{tmp_path / 'b.jpg'}\n", "\n"])) == [inside[1], *expand(["x.jpg"], ())]
    (tmp_path / "photo[1].jpg").write_bytes(b"x")
    assert list(expand([f"{tmp_path}/photo[1].jpg"], ())) == [tmp_path / "photo[1].jpg"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no photos"):
        list(expand([str(tmp_path / "empty")], ()))
    with pytest.raises(UserError, match="no such file"):
        list(expand([f"{tmp_path}/*.bmp"], ()))


@pytest.mark.parametrize("kind", ["EPS", "ICO", "PCX"])
def test_only_formats_of_photos_are_opened(tmp_path, kind):
    Image.new("L", (48, 48), 100).save(tmp_path / "0.png", kind)
    with pytest.raises(UnreadablePhoto, match=r"^it is not an image$"):
        read_photo(tmp_path / "0.png")


@pytest.mark.parametrize("kind", FORMATS)
def test_formats_of_photos_are_opened_whatever_their_name(tmp_path, kind):
    if not features.check(PLUGINS.get(kind, "jpg")):
        pytest.skip(f"this Pillow is built without {kind}")
    Image.new("L", (48, 48), 100).save(tmp_path / "0.png", kind)
    assert abs(int(read_photo(tmp_path / "0.png").pixels[0, 0]) - 100) < 3


def test_a_photo_that_is_no_file_or_too_large_is_refused_without_hanging(astronaut, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to(astronaut)
    for name, reason in (("fifo.jpg", "it is a FIFO, not a file"), ("folder.jpg", "it is a folder, not a file")):
        with pytest.raises(UnreadablePhoto, match=reason):
            read_photo(tmp_path / name)
    assert read_photo(tmp_path / "link.jpg").width == 512
    monkeypatch.setattr(photos, "MAX_BYTES", 1_000_000)
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(2_000_000)
    with pytest.raises(UnreadablePhoto, match="it has 2 MB, more than 1"):
        read_photo(tmp_path / "large.jpg")
