"""A self-contained HTML page with training images under every augmentation of a space."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from fer_search.choices import single_changes
from fer_search.data.dataset import Dataset
from fer_search.design import Augmentation
from fer_search.files import write_text
from fer_search.space import Space

STYLE = """
:root { color-scheme: light dark; --text: #1d242c; --muted: #5a6672; --paper: #fff; --line: #dbe1e7; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e8ed; --muted: #a0abb7; --paper: #12171c; --line: #2f3841; } }
body { margin: 0 auto; max-width: 1200px; padding: 28px 24px 40px; background: var(--paper); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 20px 0 6px; } p, h2 span { color: var(--muted); font-weight: 400; margin: 6px 0; }
ul { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; margin: 2px 0 0; padding: 0; list-style: none;
  color: var(--muted); font-size: .68rem; line-height: 1.3; text-align: center; }
img { display: block; width: 100%; height: auto; image-rendering: auto; border-radius: 4px; background: var(--line); }
"""


def augmentations(space: Space) -> dict[str, Augmentation]:
    """Return the distinct augmentations of a space's defaults, of its baselines, and of each value of each choice.

    Returns:
        "the defaults", a baseline name or "choice = value" -> augmentation; each listed once, under its first name.
    """
    named = [("the defaults", space.choices())]
    named += [(name, space.baseline(name)) for name in space.baselines]
    named += [(f"{choice} = {value}", hp) for choice, value, hp in single_changes(space.choices())]
    names: dict[Augmentation, str] = {}
    for name, hp in named:
        names.setdefault(space.design(hp).augmentation, name)
    return {name: augmentation for augmentation, name in names.items()}


def draw_row(
    augmentation: Augmentation, images: np.ndarray, labels: np.ndarray, seed: int, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return images as seen in training, uint8 (size, n * size[, 3]), and their labels, float32 (n, classes)."""
    import keras

    from fer_search.augment import augment, draw_epoch

    plan = draw_epoch(np.random.default_rng(seed), 1, len(images), augmentation, images.shape[1])
    one_hot = np.eye(classes, dtype="float32")[labels]
    drawn = augment(images, one_hot, {name: values[0] for name, values in plan.items()})
    pixels, label_weights = map(keras.ops.convert_to_numpy, drawn)
    grey_or_rgb = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    strip = np.concatenate(list(np.clip(np.round(grey_or_rgb), 0, 255).astype(np.uint8)), axis=1)
    return strip, label_weights


def plot_space(space: Space, dataset: Dataset, path: Path, seed: int = 0) -> Path:
    """Write the page.

    Args:
        space: The space whose augmentations are shown.
        dataset: Its training images are shown, two of each class.
        path: Output file; replaced if it exists.
        seed: Random seed for the selection of images and for the augmentations.

    Returns:
        The path.
    """
    rng = np.random.default_rng(seed)
    train = dataset.rows("train")
    per_class = [train[dataset.labels[train] == c] for c in range(len(dataset.classes))]
    chosen = np.concatenate([rng.choice(rows, min(2, len(rows)), replace=False) for rows in per_class])
    images, labels, count = dataset.images[chosen], dataset.labels[chosen], len(dataset.classes)
    parts = [_row("unchanged", "", *draw_row(Augmentation(), images, labels, seed, count), dataset.classes)]
    for name, augmentation in augmentations(space).items():
        strip, weights = draw_row(augmentation, images, labels, seed, count)
        parts.append(_row(name, _fields(augmentation), strip, weights, dataset.classes))
    title = f"Augmentations of {escape(space.path.name)}"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    intro = (
        f"Two training images of each class ({escape(dataset.name)}) with one random draw of each augmentation, and "
        "their labels; for mixed images the two largest."
    )
    page = f"<!doctype html><html lang=en><head>{head}<style>{STYLE}</style></head><body><h1>{title}</h1><p>{intro}</p>"
    write_text(path, page + "".join(parts) + "</body></html>\n")
    return path


def _fields(augmentation: Augmentation) -> str:
    default = Augmentation()
    changed = {k: v for k, v in vars(augmentation).items() if v != getattr(default, k)}
    return ", ".join(f"{k.replace('_', ' ')} {v:g}" if v is not True else k for k, v in changed.items()) or "none"


def _row(name: str, fields: str, strip: np.ndarray, label_weights: np.ndarray, classes: Sequence[str]) -> str:
    data = io.BytesIO()
    Image.fromarray(strip).save(data, "PNG", optimize=True)
    source = base64.b64encode(data.getvalue()).decode()
    caption = f"<h2>{escape(name)} <span>{escape(fields)}</span></h2>"
    picture = f'<img src="data:image/png;base64,{source}" alt="{escape(name)}: {escape(fields)}">'
    return f"{caption}{picture}<ul>{''.join(f'<li>{_label(weights, classes)}</li>' for weights in label_weights)}</ul>"


def _label(label_weights: np.ndarray, classes: Sequence[str]) -> str:
    """Return the class of an image, or its two largest classes with their weights."""
    first, second = np.argsort(label_weights)[::-1][:2]
    if label_weights[first] > 0.999:
        return str(classes[first])
    words = f"{classes[first]} {label_weights[first]:.2f}"
    return f"{words}<br>{classes[second]} {label_weights[second]:.2f}" if label_weights[second] > 0.05 else words
