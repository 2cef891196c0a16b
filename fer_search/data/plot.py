"""A self-contained HTML page with the mean face and a sample of each class."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from fer_search.data.dataset import SPLITS, Dataset
from fer_search.errors import UserError
from fer_search.files import write_text

SAMPLES = 24  # per class
SHOWN_SIDE = 48  # of a sample on the page, pixels

STYLE = """
:root { color-scheme: light dark;
  --text: #1d242c; --muted: #5a6672; --paper: #fff; --line: #dbe1e7; --accent: #0067a3; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e8ed; --muted: #a0abb7; --paper: #12171c; --line: #2f3841; --accent: #6bbcf0; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 28px 24px 40px; background: var(--paper); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 10px; } h2 span, p { color: var(--muted); font-weight: 400; }
p { margin: 6px 0; max-width: 82ch; overflow-wrap: anywhere; }
section { border-top: 1px solid var(--line); margin-top: 26px; padding-top: 18px; }
.faces { display: flex; gap: 16px; align-items: flex-start; }
figure { margin: 0; } figcaption { color: var(--muted); font-size: .84rem; }
.sample { flex: 1; display: grid; grid-template-columns: repeat(12, 1fr); gap: 4px; }
img { display: block; width: 100%; height: auto; border-radius: 3px; background: var(--line); }
figure img { width: 132px; }
@media (max-width: 800px) { .sample { grid-template-columns: repeat(6, 1fr); } }
@media (max-width: 560px) { body { padding: 18px 16px; } .faces { display: block; } figure { margin-bottom: 10px; } }
@media print { section { break-inside: avoid; } }
"""


def plot_samples(dataset: Dataset, path: Path, seed: int = 0) -> Path:
    """Write an HTML page with the mean training face of each class and a sample of its training images.

    Args:
        dataset: The data set.
        path: Output file; replaced if it exists, its folder is created.
        seed: Random seed of the sample.

    Returns:
        The path.

    Raises:
        UserError: The file cannot be written.
    """
    rng = np.random.default_rng(seed)
    rows = dataset.rows("train")
    sections = [_section(dataset, c, rows[dataset.labels[rows] == c], rng) for c in range(len(dataset.classes))]
    counts = ", ".join(f"{len(dataset.rows(s)):,} {s.replace('_', ' ')}" for s in SPLITS if len(dataset.rows(s)))
    lines = [f"{counts} images from {dataset.source}, fingerprint {dataset.fingerprint}."]
    if dataset.toy:
        lines.append("These faces are drawn by a program: results on them do not transfer to real ones.")
    lines += [f"Note: {note}." for note in dataset.notes]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, _page(dataset.name, lines, sections))
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}); give another file with --plot") from error
    return path


def _page(name: str, lines: list[str], sections: list[str]) -> str:
    # The policy makes the browser itself refuse every request.
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(name)} · fer-search</title>
<style>{STYLE}</style>
</head>
<body>
<header><h1>{escape(name)}</h1>
{"".join(f"<p>{escape(line)}</p>" for line in lines)}
<p>Left: the mean training image of each class, stretched to the full range. Right: a random sample of training images;
hover over one to see its row.</p></header>
<main>{"".join(sections)}</main>
</body>
</html>
"""


def _section(dataset: Dataset, c: int, rows: np.ndarray, rng: np.random.Generator) -> str:
    mean = dataset.images[rows].mean(axis=0)
    mean = ((mean - mean.min()) / max(float(np.ptp(mean)), 1.0) * 255).round().astype(np.uint8)
    drawn = np.sort(rng.permutation(rows)[:SAMPLES])
    faces = "".join(_image(dataset.images[row], f"{dataset.classes[c]}, row {row}") for row in drawn)
    return (
        f'<section><h2>{dataset.classes[c]} <span>{len(rows):,} training images</span></h2><div class="faces">'
        f"<figure>{_image(mean, f'mean face, {dataset.classes[c]}')}<figcaption>mean</figcaption></figure>"
        f'<div class="sample">{faces}</div></div></section>\n'
    )


def _image(pixels: np.ndarray, title: str) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    size = f'width="{SHOWN_SIDE}" height="{SHOWN_SIDE}"'
    return f'<img src="data:image/png;base64,{data}" {size} alt="{title}" title="{title}">'
