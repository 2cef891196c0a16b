"""ImageNet weights of backbones: which file is needed, where it is, and whether it is valid.

A file is searched in the user's folder, then in Keras' cache; otherwise it is downloaded into that cache from where
Keras publishes it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import keras

from fer_search.design import Backbone
from fer_search.errors import UserError, first_line
from fer_search.models.applications import make_network
from fer_search.models.download import download_file, matches_digest

ORIGIN = "https://storage.googleapis.com/tensorflow/keras-applications"
KERNELS = "weights_tf_dim_ordering_tf_kernels"


@dataclass(frozen=True)
class PretrainedFile:
    """A weights file published by Keras.

    Args:
        path: Path below the origin.
        digest: md5 or sha256, hex, where Keras gives one.
    """

    path: str
    digest: str | None = None

    @property
    def name(self) -> str:
        """File name without folders."""
        return self.path.rpartition("/")[2]


# From keras/src/applications: the files without top.
FILES = {
    "ResNet152V2": PretrainedFile(f"resnet/resnet152v2_{KERNELS}_notop.h5", "ed17cf2e0169df9d443503ef94b23b33"),
    "ResNet50": PretrainedFile(f"resnet/resnet50_{KERNELS}_notop.h5", "4d473c1dd8becc155b73f8504c6f6626"),
    "DenseNet169": PretrainedFile(f"densenet/densenet169_{KERNELS}_notop.h5", "b8c4d4c20dd625c148057b9ff1c1176b"),
    "VGG16": PretrainedFile(f"vgg16/vgg16_{KERNELS}_notop.h5", "6d6bbae143d832006294945121d1f1fc"),
    "InceptionResNetV2": PretrainedFile(
        f"inception_resnet_v2/inception_resnet_v2_{KERNELS}_notop.h5", "d19885ff4a710c122648d3b5c3b684e4"
    ),
    "EfficientNetV2B0": PretrainedFile(
        "efficientnet_v2/efficientnetv2-b0_notop.h5", "893217f2bb855e2983157299931e43ff"
    ),
    "ConvNeXtTiny": PretrainedFile(
        "convnext/convnext_tiny_notop.h5", "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"
    ),
}
MOBILENET_V3_DIGESTS = {
    ("Small", 0.75): "ebdb5cc8e0b497cd13a7c275d475c819",
    ("Small", 1.0): "d3e8ec802a04aa4fc771ee12a9a9b836",
    ("Large", 0.75): "40af19a13ebea4e2ee0c676887f69a2e",
    ("Large", 1.0): "07fb09a5933dd0c8eaafa16978110389",
}


def pretrained_file(backbone: Backbone) -> PretrainedFile:
    """Return the file that Keras loads for the backbone's name, alpha and input size."""
    name, alpha = backbone.name, float(backbone.alpha)
    if name == "MobileNet":
        size = _size(backbone, (128, 160, 192))
        share = "1_0" if alpha == 1 else f"{alpha * 10:.1f}".replace(".", "_")  # Keras writes 0.25 as 2_5
        return PretrainedFile(f"mobilenet/mobilenet_{share}_{size}_tf_no_top.h5")
    if name == "MobileNetV2":
        size = _size(backbone, (96, 128, 160, 192))
        return PretrainedFile(f"mobilenet_v2/mobilenet_v2_{KERNELS}_{alpha}_{size}_no_top.h5")
    if name.startswith("MobileNetV3"):
        kind = name.removeprefix("MobileNetV3")
        file = f"weights_mobilenet_v3_{kind.lower()}_224_{alpha}_float_no_top_v2.h5"
        return PretrainedFile(f"mobilenet_v3/{file}", MOBILENET_V3_DIGESTS[kind, alpha])
    return FILES[name]


def find_weights(backbone: Backbone, weights_dir: Path | None = None, origin: str = ORIGIN) -> Path:
    """Return the path of a backbone's ImageNet weights; download them if necessary.

    Args:
        backbone: Backbone with name, alpha and input size.
        weights_dir: Folder that may hold the file, under Keras' name (it must then have the published hash) or with the
            suffix .weights.h5 (as written by ``keras.Model.save_weights``). The MobileNets have files for several input
            sizes; if the folder lacks the right one, its file for 224 pixels is used.
        origin: URL below which Keras publishes its files.

    Raises:
        UserError: The file is unavailable, or not the one that Keras published.
    """
    wanted = pretrained_file(backbone)
    if weights_dir is not None and (path := _find_in(weights_dir, backbone)):
        return path
    path = cache_folder() / wanted.name
    if path.is_file() and (wanted.digest is None or matches_digest(path, wanted.digest)):
        return path
    try:
        download_file(f"{origin}/{wanted.path}", path, wanted.digest)
    except UserError as error:
        where = f"{wanted.name} is not in {weights_dir}, and" if weights_dir is not None else f"{backbone.name}:"
        raise UserError(f"{where} {error}; point --weights-dir to a folder with {wanted.name}") from error
    return path


def load_weights(network: keras.Model, path: Path) -> None:
    """Load a weights file into a backbone's network.

    Raises:
        UserError: It is not a weights file, or its weights have other shapes.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # Keras warns about what it then raises
            network.load_weights(path)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(
            f"{path} does not hold the weights of {network.name} ({first_line(error) or type(error).__name__}); "
            "remove it or replace it with the right file"
        ) from error


def check_weights(
    backbones: Iterable[Backbone], weights_dir: Path | None = None, origin: str = ORIGIN
) -> dict[Backbone, str | None]:
    """Find, download and check the weights of every backbone, each file once.

    A file with the published hash is valid; any other is loaded into its network to see whether it fits.

    Args:
        backbones: Backbones of a space.
        weights_dir: See ``find_weights``.
        origin: See ``find_weights``.

    Returns:
        For each backbone None if its weights are available (or not wanted), else the reason.
    """
    checked: dict[PretrainedFile, str | None] = {}
    problems: dict[Backbone, str | None] = {}
    for backbone in backbones:
        if backbone.weights == "none":
            problems[backbone] = None
            continue
        file = pretrained_file(backbone)
        if file not in checked:
            checked[file] = _problem(backbone, weights_dir, origin)
        problems[backbone] = checked[file]
    return problems


def cache_folder() -> Path:
    """Return the folder in which keras.applications caches weights."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models"


def _problem(backbone: Backbone, weights_dir: Path | None, origin: str) -> str | None:
    try:
        path = find_weights(backbone, weights_dir, origin)
        if pretrained_file(backbone).digest is None or path.name.endswith(".weights.h5"):
            load_weights(make_network(backbone), path)
    except UserError as error:
        return str(error)
    return None


def _find_in(folder: Path, backbone: Backbone) -> Path | None:
    exact = pretrained_file(backbone)
    largest = PretrainedFile(exact.path.replace(f"_{backbone.input_size}_", "_224_"), exact.digest)
    for file in (exact, largest):
        path = folder / file.name
        if path.is_file():
            if file.digest is not None and not matches_digest(path, file.digest):
                raise UserError(
                    f"{path} does not have the hash of the file that Keras publishes; remove it, or rename it to "
                    f"{path.with_suffix('.weights.h5').name} if it holds your own weights"
                )
            return path
        if (saved := path.with_suffix(".weights.h5")).is_file():
            return saved
    return None


def _size(backbone: Backbone, sizes: tuple[int, ...]) -> int:
    """Return the input size whose weights Keras loads: the backbone's own if available, else 224."""
    return backbone.input_size if backbone.input_size in sizes else 224
