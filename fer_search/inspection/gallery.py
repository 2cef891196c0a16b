"""A page with training images under every augmentation of a space; it needs no other file and no network."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fer_search.choices import fill
from fer_search.data.dataset import CLASSES
from fer_search.design import Augmentation
from fer_search.files import write_text
from fer_search.inspection.describe import all_values
from fer_search.space import Space

COLUMNS = 14  # two images of each class

STYLE = """
:root { color-scheme: light dark; --text: #1d242c; --muted: #5a6672; --paper: #fff; --line: #dbe1e7; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e8ed; --muted: #a0abb7; --paper: #12171c; --line: #2f3841; } }
body { margin: 0 auto; max-width: 1200px; padding: 28px 24px 40px; background: var(--paper); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 20px 0 6px; } p, h2 span { color: var(--muted); font-weight: 400; margin: 6px 0; }
img { display: block; width: 100%; height: auto; image-rendering: auto; border-radius: 4px; background: var(--line); }
"""


def augmentations(space: Space) -> dict[str, Augmentation]:
    """Return the different augmentations that a space can give, changing one choice at a time from each baseline.

    Returns:
        "choice = value", or a baseline's name, or both -> augmentation; each augmentation once, under its first name.
    """
    starts: dict[str, dict[str, Any]] = {"the defaults": {}} | space.baselines
    found: dict[Augmentation, str] = {}
    for name in starts:
        hp = space.choices() if name == "the defaults" else space.baseline(name)
        found.setdefault(space.design(hp.copy()).augmentation, name)
    for name, values in starts.items():
        start = "" if name == "the defaults" else f"{name}, "
        for choice in space.choices().space:
            for value in all_values(choice):
                hp = space.choices()
                hp.values = {k: v for k, v in values.items() if k != choice.name} | {choice.name: value}
                augmentation = space.design(fill(hp)).augmentation
                found.setdefault(augmentation, f"{start}{choice.name} = {value}")
    return {name: augmentation for augmentation, name in found.items()}


def draw_rows(augmentation: Augmentation, images: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Return images as a training sees them, side by side: uint8 (48, 48 n)."""
    import keras

    from fer_search.augment import augment, draw_plan

    plan = draw_plan(np.random.default_rng(seed), 1, len(images), augmentation)
    one_hot = np.eye(len(CLASSES), dtype="float32")[labels]
    drawn, _ = augment(images, one_hot, {name: values[0] for name, values in plan.items()})
    pixels = np.clip(np.round(keras.ops.convert_to_numpy(drawn)[..., 0]), 0, 255).astype(np.uint8)
    return np.concatenate(list(pixels), axis=1)


def plot_space(space: Space, images: np.ndarray, labels: np.ndarray, path: Path, source: str, seed: int = 0) -> Path:
    """Write the page.

    Args:
        space: whose augmentations.
        images: uint8 (n, 48, 48), training images; two of each class are shown.
        labels: int (n,).
        path: where to write it; replaced if it is there.
        source: of the images, in words.
        seed: of the choice of images and of the augmentations.

    Returns:
        The path.
    """
    rng = np.random.default_rng(seed)
    per_class = [np.flatnonzero(labels == c) for c in range(len(CLASSES))]
    chosen = np.concatenate([rng.choice(rows, min(2, len(rows)), replace=False) for rows in per_class])
    images, labels = images[chosen], labels[chosen]
    parts = [_row("unchanged", "", np.concatenate(list(images), axis=1))]
    for name, augmentation in augmentations(space).items():
        parts.append(_row(name, _fields(augmentation), draw_rows(augmentation, images, labels, seed)))
    title = f"Augmentations of {escape(space.path.name)}"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    intro = f"Two training images of each class ({escape(source)}) as a training sees them, one random draw each."
    page = f"<!doctype html><html lang=en><head>{head}<style>{STYLE}</style></head><body><h1>{title}</h1><p>{intro}</p>"
    write_text(path, page + "".join(parts) + "</body></html>\n")
    return path


def _fields(augmentation: Augmentation) -> str:
    default = Augmentation()
    changed = {k: v for k, v in vars(augmentation).items() if v != getattr(default, k)}
    return ", ".join(f"{k.replace('_', ' ')} {v:g}" if v is not True else k for k, v in changed.items()) or "none"


def _row(name: str, fields: str, strip: np.ndarray) -> str:
    data = io.BytesIO()
    Image.fromarray(strip).save(data, "PNG", optimize=True)
    source = base64.b64encode(data.getvalue()).decode()
    caption = f"<h2>{escape(name)} <span>{escape(fields)}</span></h2>"
    return f'{caption}<img src="data:image/png;base64,{source}" alt="{escape(name)}: {escape(fields)}">'
