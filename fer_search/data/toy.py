"""Toy faces: synthetic 48x48 grey faces with seven expressions, for trying fer-search without FER2013.

Results on them do not transfer to real faces. An expression is a set of facial action units (Ekman & Friesen's FACS;
the sets are EMFACS' prototypes), each a number that moves brows, lids, nose or mouth. Every face has its own intensity,
weak units of other expressions, identity, pose, light, blur, noise and sometimes an occlusion, and a few per cent of
the labels are wrong, so that better networks and augmentations score better.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter

from fer_search.data.spec import DEFAULT_SIZE as SIZE
from fer_search.data.spec import FER2013_CLASSES as CLASSES

VERSION = 2  # of the drawing code; raise it when the same seed gives other faces
CHUNK = 500  # faces drawn at a time from one generator, so that the first faces do not depend on the total
BLOCK = 25  # faces painted at a time: their arrays fit in a core's cache
LABEL_NOISE = 0.04  # fraction of labels replaced by another class
SHARES = (0.139, 0.015, 0.143, 0.251, 0.168, 0.111, 0.173)  # class frequencies of FER2013's training images

# Action units of each expression (EMFACS) and their intensities.
EXPRESSIONS: dict[str, dict[int, float]] = {
    "angry": {4: 1.0, 5: 0.5, 7: 0.7, 23: 0.9, 10: 0.2},
    "disgust": {9: 1.0, 10: 0.9, 15: 0.5, 7: 0.5, 4: 0.4},
    "fear": {1: 0.9, 2: 0.5, 4: 0.5, 5: 0.9, 20: 0.9, 26: 0.5},
    "happy": {6: 0.8, 12: 1.0, 25: 0.7},
    "sad": {1: 0.9, 4: 0.5, 15: 0.9, 7: 0.3},
    "surprise": {1: 0.9, 2: 1.0, 5: 0.9, 26: 1.0},
    "neutral": {},
}
UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 20, 23, 25, 26)

Values = dict[str, np.ndarray]  # name -> one value per face, float32 (n, 1, 1)


def draw_faces(train: int = 6000, test: int = 1500, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw a data set.

    Args:
        train: Number of training faces.
        test: Number of test faces.
        seed: Random seed; the first faces of a split do not depend on how many follow.

    Returns:
        Images uint8 (n, 48, 48), labels uint8 (n,) and splits uint8 (n,), as in ``fer_search.data.dataset.Dataset``.
    """
    images, labels, splits = [], [], []
    for split, count in ((0, train), (3, test)):
        for first in range(0, count, CHUNK):
            drawn, given = _chunk(seed, split, first)
            keep = min(CHUNK, count - first)
            images.append(drawn[:keep])
            labels.append(given[:keep])
            splits.append(np.full(keep, split, np.uint8))
    return np.concatenate(images), np.concatenate(labels), np.concatenate(splits)


@lru_cache(maxsize=4)  # the first ones are often asked for again: `space check` takes a few faces each time
def _chunk(seed: int, split: int, first: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, split, first])
    true = rng.choice(len(CLASSES), CHUNK, p=np.divide(SHARES, sum(SHARES)))
    units, face = draw_units(rng, true), _identity(rng)
    x, y = _pose(rng)
    image = _background(rng, x, y)
    for first in range(0, CHUNK, BLOCK):
        rows = slice(first, first + BLOCK)
        image[rows] = _draw(image[rows], x[rows], y[rows], _at(face, rows), _at(units, rows))
    image = _photograph(rng, image)
    wrong = rng.random(CHUNK) < LABEL_NOISE
    others = (true + rng.integers(1, len(CLASSES), CHUNK)) % len(CLASSES)
    return image, np.where(wrong, others, true).astype(np.uint8)


def _draw(image: np.ndarray, x: np.ndarray, y: np.ndarray, face: Values, units: Values) -> np.ndarray:
    image = _head(image, x, y, face)
    for side in (-1.0, 1.0):
        image = _eye(image, side * x, y, face, units, gaze=face["gaze"] * side)
        image = _brow(image, side * x, y, face, units)
    image = _nose(image, x, y, face, units)
    image = _mouth(image, x, y, face, units)
    return _extras(image, x, y, face)


def draw_units(rng: np.random.Generator, labels: np.ndarray) -> Values:
    """Draw the intensity of each action unit: those of the expression, and weak ones of others."""
    intensity = rng.beta(5.0, 1.4, len(labels)) * 1.25
    units = {}
    for unit in UNITS:
        own = np.array([EXPRESSIONS[CLASSES[c]].get(unit, 0.0) for c in labels])
        shown = own * intensity * rng.uniform(0.75, 1.2, len(labels))
        stray = (rng.random(len(labels)) < 0.2) * rng.beta(1.3, 4.0, len(labels)) * 0.8
        units[f"au{unit}"] = _per_face(np.clip(shown + stray, 0.0, 1.3))
    return units


def _at(values: Values, rows: slice) -> Values:
    return {name: value[rows] for name, value in values.items()}


def _identity(rng: np.random.Generator) -> Values:
    def between(low: float, high: float) -> np.ndarray:
        return _per_face(rng.uniform(low, high, CHUNK))

    def sometimes(share: float) -> np.ndarray:
        return _per_face(rng.random(CHUNK) < share)

    skin = between(0.45, 0.85)
    return {
        "skin": skin,
        "hair": _per_face(rng.uniform(0.05, 0.6, CHUNK)),
        "hairline": between(-0.95, -0.62),
        "bald": sometimes(0.15),
        "wide": between(0.68, 0.86),
        "long": between(0.92, 1.08),
        "jaw": between(-0.1, 0.25),
        "eye_x": between(0.30, 0.38),
        "eye_y": between(-0.24, -0.14),
        "eye_size": between(0.85, 1.2),
        "gaze": between(-0.05, 0.05),
        "iris": between(0.05, 0.3),
        "brow_y": between(0.17, 0.25),
        "brow_thick": between(0.022, 0.06),
        "brow_grey": between(0.05, 0.45),
        "nose": between(0.20, 0.32),
        "nose_width": between(0.08, 0.14),
        "mouth_y": between(0.46, 0.56),
        "mouth_width": between(0.24, 0.34),
        "lips": between(0.02, 0.055),
        "lip_grey": between(0.5, 0.85),
        "folds": between(0.1, 0.6),
        "glasses": sometimes(0.12),
        "beard": sometimes(0.13),
        "stubble": between(0.25, 0.75),
    }


def _pose(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return each pixel in the face's own coordinates: 0 is between nose and eyes, 1 about the chin."""
    angle = _per_face(rng.normal(0.0, 0.1, CHUNK))
    scale = _per_face(rng.uniform(20.5, 24.5, CHUNK))
    centre = rng.normal(0.0, 1.2, (2, CHUNK))
    pixel = np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2
    column, row = pixel[None, None, :] - _per_face(centre[0]), pixel[None, :, None] - _per_face(centre[1])
    x = (np.cos(angle) * column + np.sin(angle) * row) / scale
    y = (-np.sin(angle) * column + np.cos(angle) * row) / scale
    yaw = _per_face(rng.normal(0.0, 0.12, CHUNK))  # turning the head shifts what is in front, and narrows one side
    return x + yaw * (0.5 - 0.6 * x * x) * np.exp(-(x * x)), y + _per_face(rng.normal(0.0, 0.03, CHUNK))


def _background(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    grey, slope = _per_face(rng.uniform(0.05, 0.95, CHUNK)), rng.normal(0.0, 0.15, (2, CHUNK))
    blotches = gaussian_filter(rng.normal(0.0, 1.0, (CHUNK, SIZE, SIZE)).astype(np.float32), (0, 5, 5)) * 1.2
    background: np.ndarray = grey + _per_face(slope[0]) * x + _per_face(slope[1]) * y + blotches
    return background


def _head(image: np.ndarray, x: np.ndarray, y: np.ndarray, f: Values) -> np.ndarray:
    width = f["wide"] * (1.0 - f["jaw"] * np.clip(y, 0, 1))
    outline = np.sqrt((x / width) ** 2 + (y / f["long"]) ** 2) - 1.0
    image = _paint(image, outline * 0.8 - 0.1 * (1 - f["bald"]), f["hair"] + 0.08 * np.sin(14 * x + 3 * y))
    image = _paint(image, outline * 0.8, f["skin"] * (1.0 - 0.25 * (x / width) ** 2 - 0.08 * y * y))
    hairline = np.maximum(outline * 0.8, y - f["hairline"] - 0.12 * np.cos(4 * x))
    return _paint(image, hairline + 2.0 * f["bald"], f["hair"] + 0.05 * np.sin(20 * x))


def _eye(image: np.ndarray, x: np.ndarray, y: np.ndarray, f: Values, u: Values, gaze: np.ndarray) -> np.ndarray:
    dx, dy = x - f["eye_x"], y - f["eye_y"]
    half = 0.145 * f["eye_size"]
    upper = 0.065 * f["eye_size"] * (1 + 0.95 * u["au5"] - 0.45 * u["au7"] - 0.35 * u["au6"] - 0.3 * u["au9"])
    lower = 0.045 * f["eye_size"] * (1 - 0.5 * u["au7"] - 0.75 * u["au6"] - 0.4 * u["au9"] + 0.15 * u["au5"])
    arch = np.clip(1.0 - (dx / half) ** 2, 0.0, None)
    opening = np.maximum(-dy - np.maximum(upper, 0.012) * arch, dy - np.maximum(lower, 0.008) * arch)
    opening = np.maximum(opening, np.abs(dx) - half)
    image = _paint(image, np.hypot(dx / 1.5, dy) - 0.13, f["skin"] * 0.86, soft=0.1, strength=0.7)  # the socket
    image = _paint(image, opening - 0.014, f["skin"] * 0.35, strength=0.85)  # lids and lashes
    image = _paint(image, opening, np.minimum(f["skin"] + 0.3, 0.97))
    iris = np.hypot(dx - gaze, dy) - 0.07 * f["eye_size"]
    image = _paint(image, np.maximum(iris, opening), f["iris"])
    crow = _segment(dx, dy, half + 0.03, 0.0, half + 0.14, -0.05) - 0.008
    image = _paint(image, crow, f["skin"] * 0.6, strength=0.8 * np.minimum(u["au6"], 1.0))
    under = np.abs(dy - 0.10 + 0.03 * u["au6"] - 0.25 * dx * dx) - 0.01
    under = np.maximum(under, np.abs(dx) - half)
    return _paint(image, under, f["skin"] * 0.68, strength=0.6 * np.clip(u["au6"] + u["au7"], 0, 1))


def _brow(image: np.ndarray, x: np.ndarray, y: np.ndarray, f: Values, u: Values) -> np.ndarray:
    base = f["eye_y"] - f["brow_y"]
    inner_x = f["eye_x"] - 0.17 - 0.05 * u["au4"]
    inner_y = base - 0.13 * u["au1"] + 0.11 * u["au4"] + 0.06 * u["au9"]
    middle_y = base - 0.05 - 0.07 * u["au1"] - 0.09 * u["au2"] + 0.05 * u["au4"]
    outer_y = base + 0.03 - 0.13 * u["au2"] + 0.01 * u["au4"] + 0.02 * u["au1"]
    first = _segment(x, y, inner_x, inner_y, f["eye_x"] + 0.03, middle_y)
    second = _segment(x, y, f["eye_x"] + 0.03, middle_y, f["eye_x"] + 0.19, outer_y)
    image = _paint(image, np.minimum(first, second * 1.15) - f["brow_thick"], f["brow_grey"] * f["skin"], strength=0.9)
    furrow = _segment(x, y, 0.05, base + 0.0, 0.06, base + 0.13) - 0.012
    image = _paint(image, furrow, f["skin"] * 0.55, strength=0.8 * np.minimum(u["au4"], 1.0))
    for height in (0.12, 0.2):  # lines that raised brows make on the forehead
        line = np.maximum(np.abs(y - base + height + 0.1 * u["au1"] - 0.1 * x * x) - 0.01, np.abs(x) - 0.3)
        image = _paint(image, line, f["skin"] * 0.72, strength=0.6 * np.clip(u["au1"] * u["au2"], 0, 1))
    return image


def _nose(image: np.ndarray, x: np.ndarray, y: np.ndarray, f: Values, u: Values) -> np.ndarray:
    tip = f["nose"] - 0.06 * u["au9"]
    side = _segment(x, y, 0.05, -0.12, f["nose_width"], tip - 0.05) - 0.012
    image = _paint(image, side, f["skin"] * 0.75, soft=0.06, strength=0.7)
    for sign in (-1.0, 1.0):
        nostril = np.hypot(x - sign * f["nose_width"] * 0.6, (y - tip) * 1.6) - 0.032
        image = _paint(image, nostril, f["skin"] * 0.35, strength=0.85)
        wrinkle = _segment(sign * x, y, 0.03, -0.05, 0.13, -0.12) - 0.012
        wrinkle = np.minimum(wrinkle, _segment(sign * x, y, 0.03, 0.03, 0.14, -0.03) - 0.012)
        image = _paint(image, wrinkle, f["skin"] * 0.55, strength=0.85 * np.minimum(u["au9"], 1.0))
        smile = np.clip(u["au12"] + 0.8 * u["au10"] + 0.7 * u["au9"] + f["folds"] - 0.25, 0, 1)
        fold = _segment(sign * x, y, f["nose_width"] + 0.04, tip - 0.04, 0.33 + 0.06 * u["au12"], f["mouth_y"] - 0.05)
        image = _paint(image, fold - 0.012, f["skin"] * 0.68, strength=0.75 * smile)
    return image


def _mouth(image: np.ndarray, x: np.ndarray, y: np.ndarray, f: Values, u: Values) -> np.ndarray:
    width = f["mouth_width"] * (1 + 0.35 * u["au12"] + 0.3 * u["au20"] - 0.22 * u["au23"] - 0.25 * u["au26"])
    corner = -0.14 * u["au12"] + 0.12 * u["au15"] + 0.05 * u["au20"]  # down is positive
    opening = 0.27 * u["au26"] + 0.10 * u["au25"] + 0.07 * u["au10"] + 0.05 * u["au20"] - 0.03 * u["au23"]
    opening = np.maximum(opening, 0.0)
    t = np.clip((x / width) ** 2, 0.0, 1.5)
    line = f["mouth_y"] + corner * t + 0.02 * u["au15"]
    top = line - (0.35 * opening + 0.09 * u["au10"]) * (1 - t)
    bottom = line + (0.65 * opening - 0.02 * u["au10"]) * (1 - t) + 0.05 * u["au26"] * (1 - t)
    lips = f["lips"] * np.clip(1 - 0.65 * u["au23"] - 0.3 * u["au12"], 0.25, None)
    ends = np.abs(x) - width
    outer = np.maximum(np.maximum(top - 1.1 * lips * (1 - t) - y, y - bottom - 1.5 * lips * (1 - t)), ends)
    image = _paint(image, outer, f["skin"] * f["lip_grey"], strength=0.9)
    inner = np.maximum(np.maximum(top - y, y - bottom), ends)
    image = _paint(image, inner - 0.012, f["skin"] * 0.25)  # also the dark line of a closed mouth
    teeth = np.maximum(inner + 0.005, y - top - 0.11)
    bared = np.clip(1.4 * u["au25"] + 0.9 * u["au10"] + 0.7 * u["au20"], 0, 1) * (opening > 0.04)
    image = _paint(image, teeth, np.minimum(f["skin"] + 0.3, 0.95), strength=bared)
    chin = np.abs(y - f["mouth_y"] - 0.17 - 0.2 * u["au26"] + 0.6 * x * x) - 0.012
    return _paint(image, np.maximum(chin, np.abs(x) - 0.16), f["skin"] * 0.7, strength=0.5 * np.clip(u["au15"], 0, 1))


def _extras(image: np.ndarray, x: np.ndarray, y: np.ndarray, f: Values) -> np.ndarray:
    ring = np.abs(np.hypot(np.abs(x) - f["eye_x"], (y - f["eye_y"]) * 1.15) - 0.22) - 0.02
    bridge = np.maximum(np.abs(y - f["eye_y"]) - 0.015, np.abs(x) - 0.12)
    image = _paint(image, np.minimum(ring, bridge), f["hair"] * 0.5, strength=0.95 * f["glasses"])
    outside = np.hypot(x / 0.62, (y - 0.55) / 0.5) - 1.0
    around_mouth = 0.75 - np.hypot(x / 0.3, (y - f["mouth_y"]) / 0.16)
    beard = np.maximum(np.maximum(outside, around_mouth), 0.32 - y)
    return _paint(image, beard * 0.5, f["hair"] * 0.8, soft=0.08, strength=f["beard"] * f["stubble"])


def _photograph(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Apply light, occlusion, blur, contrast and noise; uint8 (n, 48, 48)."""
    pixel = np.linspace(-1, 1, SIZE, dtype=np.float32)
    column, row = pixel[None, None, :], pixel[None, :, None]
    angle, strength = _per_face(rng.uniform(0, 2 * np.pi, CHUNK)), _per_face(np.abs(rng.normal(0, 0.3, CHUNK)))
    image = image * (1.0 + strength * (np.cos(angle) * column + np.sin(angle) * row))
    edge = _per_face(rng.uniform(0, 2 * np.pi, CHUNK))
    far = _per_face(np.where(rng.random(CHUNK) < 0.15, rng.uniform(0.25, 0.75, CHUNK), 9.0))
    in_front = far - np.cos(edge) * column - np.sin(edge) * row
    image = _paint(image, in_front, _per_face(rng.uniform(0.1, 0.8, CHUNK)), soft=0.05)
    blur = rng.choice([0.0, 0.5, 0.9, 1.3], CHUNK, p=[0.35, 0.4, 0.2, 0.05])
    for sigma in np.unique(blur):
        image[blur == sigma] = gaussian_filter(image[blur == sigma], (0, sigma, sigma))
    gain, gamma = _per_face(rng.uniform(0.7, 1.15, CHUNK)), _per_face(rng.uniform(0.75, 1.35, CHUNK))
    image = np.clip(image, 0.0, 1.2) ** gamma * gain + _per_face(rng.normal(0.03, 0.06, CHUNK))
    image += _per_face(rng.uniform(0.0, 0.035, CHUNK)) * rng.normal(0, 1, image.shape).astype(np.float32)
    pixels: np.ndarray = (np.clip(image, 0.0, 1.0) * 255).astype(np.uint8)
    return pixels


def _paint(
    image: np.ndarray, distance: np.ndarray, grey: np.ndarray, soft: float = 0.035, strength: np.ndarray | float = 1.0
) -> np.ndarray:
    """Paint where a signed distance is negative, with a soft edge of about a pixel (0.035 to 0.05 face units)."""
    covered = np.clip(0.5 - distance / (2 * soft), 0.0, 1.0) * strength
    painted: np.ndarray = image + covered * (grey - image)
    return painted


def _segment(
    x: np.ndarray,
    y: np.ndarray,
    x0: np.ndarray | float,
    y0: np.ndarray | float,
    x1: np.ndarray | float,
    y1: np.ndarray | float,
) -> np.ndarray:
    """Return the distance to the line segment from (x0, y0) to (x1, y1)."""
    dx, dy = x1 - x0, y1 - y0
    along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0.0, 1.0)
    return np.hypot(x - x0 - along * dx, y - y0 - along * dy)


def _per_face(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32)[:, None, None]
