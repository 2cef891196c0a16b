"""fer-search predict and fer_search.load: tables, annotated images, unreadable files and many files."""

import csv
import io
import json
import shutil
import struct
import sys
import threading
import zlib

import keras
import numpy as np
import pytest
from PIL import Image, ImageChops

import fer_search
from fer_search.errors import UserError
from fer_search.export.formats import write_keras
from fer_search.predict import command
from fer_search.predict.command import PredictSettings, predict_photos, predict_stream
from fer_search.predict.pipeline import map_ahead
from fer_search.predict.video import Video


@pytest.fixture
def predict(searched_run, network, capsys, monkeypatch):
    """Return a function that predicts files and returns the exit code, stdout and stderr.

    The network of the searched run is loaded once for all tests; the test of videos loads it by the command.
    """
    real = command.load
    monkeypatch.setattr(command, "load", lambda path, *rest: network if path == searched_run else real(path, *rest))

    def run(*paths, lines=(), model=searched_run, **options):
        code = predict_photos(PredictSettings(model, tuple(map(str, paths)), **options), lines)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_all_faces_of_a_photo_get_box_class_and_probabilities(predict, network, astronaut, tmp_path):
    with Image.open(astronaut) as photo:
        pair = Image.new("RGB", (1024, 512))
        pair.paste(photo, (0, 0))
        pair.paste(photo.resize((384, 384)), (560, 60))
    pair.save(tmp_path / "two.png")
    code, out, err = predict(tmp_path / "two.png", format="csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert len(rows) == 2
    assert abs(int(rows[0]["left"]) - 177) < 9
    assert abs(int(rows[1]["left"]) - (560 + 133)) < 9
    for row in rows:
        values = {name: float(row[f"p_{name}"]) for name in network.classes}
        assert sum(values.values()) == pytest.approx(1, abs=1e-4)
        assert row["class"] == max(values, key=values.get)
        assert float(row["probability"]) == max(values.values())
    assert "2 faces in 1 file" in err
    assert "Trained on synthetic faces" in err


def test_a_face_in_a_photo_is_predicted_like_its_crop(network, astronaut):
    face = network.find_faces(astronaut).iloc[0]
    with Image.open(astronaut) as photo:
        grey = photo.convert("L").crop((face.left, face.top, face.left + face.width, face.top + face.height))
    cut = network.predict([grey]).iloc[0]
    assert cut["probability"] == pytest.approx(face["probability"], abs=1e-5)
    assert cut["class"] == face["class"]


def test_arrays_files_and_pictures_give_the_same_rows(network, tmp_path, rng):
    images = rng.integers(0, 256, (5, 48, 48), dtype=np.uint8)
    for index, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    table = network.predict(images)
    assert list(table.columns) == ["class", "probability", *(f"p_{name}" for name in network.classes)]
    expected = np.asarray(network.keras_model.predict_on_batch(images[..., None].astype("float32")))
    np.testing.assert_allclose(table.iloc[:, 2:].to_numpy(float), expected, atol=1e-6)
    for same in (images[..., None].astype("float64"), list(images), [tmp_path / f"{index}.png" for index in range(5)]):
        np.testing.assert_allclose(network.predict(same)["probability"], table["probability"], atol=1e-6)
    assert len(network.predict([])) == 0
    with pytest.raises(ValueError, match="sequence of images"):
        network.predict(images[0])
    with pytest.raises(ValueError, match="an image must have the shape"):
        network.predict(np.zeros((2, 5, 48, 48, 3)))


def test_no_detect_skips_face_detection(predict, tmp_path, rng):
    Image.fromarray(rng.integers(0, 256, (60, 50), dtype=np.uint8)).save(tmp_path / "face.png")
    code, out, err = predict(tmp_path, detect=False, format="json")
    (row,) = json.loads(out)
    assert code == 0
    assert (row["left"], row["top"], row["width"], row["height"]) == (0, 0, 50, 60)
    code, out, err = predict(tmp_path, format="json")
    assert (code, json.loads(out)) == (0, [])
    assert "no face found" in err
    assert "--no-detect" in err


def test_unreadable_files_are_reported_and_the_others_predicted(predict, astronaut, tmp_path):
    content = astronaut.read_bytes()
    (tmp_path / "a_cut.jpg").write_bytes(content[: len(content) // 2])
    shutil.copy(astronaut, tmp_path / "b_good.jpg")
    (tmp_path / "c_text.png").write_text("hello")
    frames = [Image.new("L", (60, 50), value) for value in (200, 0)]
    frames[0].save(tmp_path / "d_moving.gif", save_all=True, append_images=frames[1:])
    code, out, err = predict("-", lines=[f"{tmp_path}\n"])
    assert code == 2
    assert "a_cut.jpg: cannot be read: image file is truncated" in err
    assert "c_text.png: cannot be read: it is not an image" in err
    assert "d_moving.gif: 2 frames, of which the first is used" in err
    assert "1 face in 4 files; 1 without a face; 2 could not be read" in err
    assert [line.split()[0] for line in out.splitlines()] == ["file", str(tmp_path / "b_good.jpg")]


def test_annotated_images_have_a_box_and_a_label_at_the_face(predict, astronaut, tmp_path):
    code, _, _ = predict(astronaut, annotate=tmp_path / "boxes")
    assert code == 0
    with Image.open(tmp_path / "boxes" / "astronaut.jpg") as drawn, Image.open(astronaut) as photo:
        changed = np.asarray(ImageChops.difference(drawn.convert("RGB"), photo)).max(axis=2) > 60
    rows, columns = np.nonzero(changed)
    assert 150 < columns.min() < 185 < 265 < columns.max() < 300
    assert 30 < rows.min() < 70 < 155 < rows.max() < 172
    with pytest.raises(UserError, match="is not empty"):
        predict(astronaut, annotate=tmp_path / "boxes")
    assert predict(astronaut, astronaut, annotate=tmp_path / "boxes", overwrite=True)[0] == 0
    assert sorted(path.name for path in (tmp_path / "boxes").iterdir()) == ["astronaut.jpg", "astronaut_2.jpg"]


def test_a_picture_that_cannot_be_written_is_reported(predict, astronaut, tmp_path):
    (tmp_path / "boxes" / "astronaut.jpg").mkdir(parents=True)
    with pytest.raises(UserError, match=r"cannot be written .*; choose another --annotate"):
        predict(astronaut, annotate=tmp_path / "boxes", overwrite=True)


def test_a_photo_of_too_many_pixels_is_refused_without_a_warning(predict, tmp_path, recwarn):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 16_000, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(100))), chunk(b"IEND", b"")
    (tmp_path / "wide.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    code, _, err = predict(tmp_path / "wide.png")
    assert code == 2
    assert "it has 320 megapixels, more than 300" in err
    assert not [warning for warning in recwarn if issubclass(warning.category, Image.DecompressionBombWarning)]


def test_a_closed_stdin_is_an_empty_one(call, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert call("predict", "m.keras", "-") == (2, "", "fer-search: no photos were given: stdin is empty\n")


def test_no_camera_has_a_negative_or_a_huge_number(call, monkeypatch):
    monkeypatch.setattr(command, "Video", lambda source: pytest.fail("OpenCV crashes"))
    code, _, err = call("predict", "m.keras", "--camera", "-1")
    assert (code, err.count("\n")) == (2, 1)
    assert "--camera" in err
    with pytest.raises(UserError, match="no such camera"):
        Video(10**11)


def test_ten_thousand_files_are_read_in_order_with_bounded_prefetch():
    running, most_running, lock = 0, 0, threading.Lock()
    last_read = 0

    def items():
        nonlocal last_read
        for number in range(10_000):
            last_read = number
            yield number

    def work(number):
        nonlocal running, most_running
        with lock:
            running += 1
            most_running = max(most_running, running)
        with lock:
            running -= 1
        return number

    for expected, result in enumerate(map_ahead(work, items())):
        assert result == expected
        assert last_read - expected <= 8 * 64  # the prefetch depends on the number of cores, not of files
    assert expected == 9_999


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04broken", b""])
def test_a_file_that_is_not_a_model_is_reported(predict, tmp_path, content):
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(UserError, match="is not a model"):
        predict("x.jpg", model=tmp_path / "model.bin")
    with pytest.raises(UserError, match="no such file or folder"):
        predict("x.jpg", model=tmp_path / "missing")
    with pytest.raises(UserError, match="is not a model"):
        predict("x.jpg", model=tmp_path)


def test_models_of_other_tools_are_refused(predict, tmp_path):
    other = keras.Sequential([keras.Input((48, 48, 1)), keras.layers.Flatten(), keras.layers.Dense(7)])
    other.save(tmp_path / "other.keras")
    other.save(tmp_path / "other.h5")
    for name in ("other.keras", "other.h5"):
        with pytest.raises(UserError, match="that fer-search did not write"):
            predict("x.jpg", model=tmp_path / name)
    content = (tmp_path / "other.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="is damaged"):
        predict("x.jpg", model=tmp_path / "cut.keras")


@pytest.fixture
def video(astronaut, tmp_path):
    """A video of ten frames of the astronaut's photo, moving to the right."""
    cv2 = pytest.importorskip("cv2")
    with Image.open(astronaut) as photo:
        frame = np.asarray(photo.crop((80, 0, 400, 240)))[..., ::-1]
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5.0, (320, 240))
    for shift in range(10):
        writer.write(np.ascontiguousarray(np.roll(frame, 4 * shift, axis=1)))
    writer.release()
    return path


def test_a_video_is_predicted_frame_by_frame(searched_run, video, tmp_path, capsys, monkeypatch):
    """Without a window, where the display that is named cannot be used."""

    def fail(title):
        raise UserError("there is no display")

    monkeypatch.setattr(command, "has_display", lambda: True)
    monkeypatch.setattr(command, "Window", fail)
    settings = PredictSettings(searched_run, (str(video),), format="json", annotate=tmp_path / "out")
    assert predict_stream(settings, video) == 0
    printed = capsys.readouterr()
    assert "No window is shown: there is no display" in printed.err
    rows = json.loads(printed.out)
    assert [row["seconds"] for row in rows] == pytest.approx([number / 5 for number in range(10)])
    assert rows[9]["left"] - rows[0]["left"] == pytest.approx(36, abs=6)
    written = Video(tmp_path / "out" / "clip.mp4")
    assert sum(1 for _ in written.frames()) == 10
    written.close()


def test_an_unreadable_video_is_reported(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"not a video")
    with pytest.raises(UserError, match=r"clip\.mp4 is not a video"):
        Video(tmp_path / "clip.mp4")
    with pytest.raises(UserError, match="--camera 77: no such camera"):
        Video(77)


def test_load_accepts_a_run_a_trial_or_a_file(searched_run, confirmed_run, rng):
    images = rng.integers(0, 256, (3, 48, 48), dtype=np.uint8)
    confirmed = fer_search.load(confirmed_run)
    file = fer_search.load(confirmed_run / "confirm" / "look_1" / "training_00" / "model.keras")
    np.testing.assert_allclose(confirmed.predict(images)["probability"], file.predict(images)["probability"], atol=1e-6)
    assert fer_search.load(searched_run, trial=0).model.info.network == "plain, as trained by the search"
    with pytest.raises(UserError, match="there is no trial"):
        fer_search.load(searched_run, trial=99)


def test_a_keras_file_whose_layers_hold_code_is_refused(confirmed_run, network, tmp_path):
    """In a run folder and on its own: Keras' safe mode is in force."""
    run = shutil.copytree(confirmed_run, tmp_path / "run")
    pixels = keras.Input((48, 48, 1))
    output = keras.layers.Dense(7)(keras.layers.Flatten()(keras.layers.Lambda(lambda x: x)(pixels)))
    file = run / "confirm" / "look_1" / "training_00" / "model.keras"
    write_keras(keras.Model(pixels, output), file, network.model.info)
    for given in (run, file):
        with pytest.raises(UserError, match=r"cannot be (read|opened) \(.*`Lambda` layer"):
            fer_search.load(given)
