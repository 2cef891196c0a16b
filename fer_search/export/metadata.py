"""What an exported file says about itself: class names, input, origin.

The same JSON object is in every format, under the key or file name "fer_search":

- .keras: in ``metadata.json``, which Keras writes into its zip file;
- .tflite: ``labels.txt`` and ``fer_search.json`` in the zip file appended to the flatbuffer, TensorFlow Lite's
  convention for associated files (``unzip model.tflite`` gets them);
- .onnx: in the model's ``metadata_props``;
- SavedModel: ``assets.extra/labels.txt`` and ``assets.extra/fer_search.json``.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEY = "fer_search"
JSON_FILE, LABELS_FILE, EXTRA_FOLDER = "fer_search.json", "labels.txt", "assets.extra"
KERAS_METADATA = "metadata.json"


@dataclass(frozen=True)
class ModelInfo:
    """The description that an exported file carries.

    Args:
        classes: Class names, in the order of the output.
        height: Input height in pixels.
        width: Input width in pixels.
        channels: 1 for grey, 3 for RGB.
        run: Name of the run.
        network: Which network of the run, in words.
        views: Test-time augmentation in the graph: "one", "flip" or "ten_crop".
        version: The version of fer-search that wrote the file.
    """

    classes: tuple[str, ...]
    height: int
    width: int
    channels: int
    run: str = ""
    network: str = ""
    views: str = "one"
    version: str = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one input image."""
        return self.height, self.width, self.channels

    @property
    def labels(self) -> str:
        """The content of labels.txt: one class name per line, in the order of the output."""
        return "".join(f"{name}\n" for name in self.classes)

    def to_json(self) -> str:
        content = dataclasses.asdict(self) | {"pixels": "0 to 255, not scaled", "output": "probability of each class"}
        return json.dumps(content, ensure_ascii=False)


def parse_info(text: str | bytes) -> ModelInfo | None:
    """Return the description in a JSON text; None if it is not one."""
    try:
        content = json.loads(text)
        known = {field.name for field in dataclasses.fields(ModelInfo)}
        values = {name: value for name, value in content.items() if name in known}
        return ModelInfo(**values | {"classes": tuple(map(str, values["classes"]))})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def add_to_keras(path: Path, info: ModelInfo) -> None:
    """Put the description into a .keras file's metadata.json."""
    beside = path.with_name(f"{path.name}.zip")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(beside, "w") as target:
        for member in source.infolist():
            content = source.read(member)
            if member.filename == KERAS_METADATA:
                content = json.dumps(json.loads(content) | {KEY: json.loads(info.to_json())}).encode()
            target.writestr(member, content)
    beside.replace(path)


def read_from_keras(path: Path) -> ModelInfo | None:
    """Return what a .keras file says about itself; None if fer-search did not write it."""
    with zipfile.ZipFile(path) as archive:
        try:
            content: dict[str, Any] = json.loads(archive.read(KERAS_METADATA))
        except (KeyError, ValueError):
            return None
    return parse_info(json.dumps(content[KEY])) if KEY in content else None


def add_to_tflite(path: Path, info: ModelInfo) -> None:
    """Append the associated files to a .tflite file."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(LABELS_FILE, info.labels)
        archive.writestr(JSON_FILE, info.to_json())


def read_from_tflite(path: Path) -> ModelInfo | None:
    """Return what a .tflite file says about itself; None if fer-search did not write it."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        return parse_info(archive.read(JSON_FILE)) if JSON_FILE in archive.namelist() else None


def add_to_saved_model(folder: Path, info: ModelInfo) -> None:
    """Write the associated files of a SavedModel."""
    extra = folder / EXTRA_FOLDER
    shutil.rmtree(extra, ignore_errors=True)
    extra.mkdir()
    (extra / LABELS_FILE).write_text(info.labels, encoding="utf-8")
    (extra / JSON_FILE).write_text(info.to_json(), encoding="utf-8")


def read_from_saved_model(folder: Path) -> ModelInfo | None:
    """Return what a SavedModel says about itself; None if fer-search did not write it."""
    file = folder / EXTRA_FOLDER / JSON_FILE
    return parse_info(file.read_text(encoding="utf-8")) if file.exists() else None
