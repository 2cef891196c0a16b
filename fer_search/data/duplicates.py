"""Images that occur more than once: exact copies, and near copies (re-encoded, mirrored, brightened).

Two images are near copies if their pixels, or those of one and the mirror image of the other, correlate above 0.99.
The search is exact: with unit vectors a and b split into block means a', b' and the rest, Cauchy-Schwarz bounds their
correlation by a' . b' + |a - a'| |b - b'|, which is the product of two short vectors; only pairs whose bound exceeds
the threshold are compared in full.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fer_search.data.cache import cached_array, is_cached
from fer_search.data.dataset import TEST_SPLITS, TRAIN, Dataset

THRESHOLD = 0.99  # correlation of two images that are near copies
SIDE, BLOCKS = 48, 16  # images are compared at 48x48, after comparing 16x16 block means
MAX_IMAGES = 60_000  # more are searched for exact copies only: the time grows with the square
CHUNK = 1024  # images compared with all others at a time
CONTRAST = 1e-3  # standard deviation below which an image is blank, of grey values from 0 to 255


def picture_ids(images: np.ndarray) -> np.ndarray:
    """Number the distinct images.

    Args:
        images: uint8 (n, ...).

    Returns:
        int64 (n,): equal for rows with the same pixels; numbered from 0 in order of first occurrence.
    """
    flat = np.ascontiguousarray(images).reshape(len(images), -1)
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in flat], np.int64)


def duplicates_of_train(dataset: Dataset) -> np.ndarray:
    """Return the test images whose pixels also occur in the training split; bool (n,)."""
    pictures = picture_ids(dataset.images)
    train = dataset.splits == TRAIN
    repeated: np.ndarray = ~train & np.isin(pictures, pictures[train])
    return repeated


def in_test(dataset: Dataset) -> np.ndarray:
    """Return which images belong to a test split; bool (n,)."""
    rows = np.zeros(len(dataset.labels), bool)
    rows[dataset.rows(*TEST_SPLITS)] = True
    return rows


def near_pairs(dataset: Dataset, folder: Path | None = None) -> np.ndarray:
    """Return all pairs of near copies, int64 (pairs, 2), first row < second row; computed once per data set.

    Above MAX_IMAGES images there are none: only exact copies are found then.

    Args:
        dataset: The images.
        folder: Cache folder, instead of the user's.
    """
    if len(dataset.labels) > MAX_IMAGES:
        return np.empty((0, 2), np.int64)
    return cached_array(_cache_name(dataset), partial(find_near_pairs, dataset.images), folder)


def near_pairs_known(dataset: Dataset, folder: Path | None = None) -> bool:
    """Return whether ``near_pairs`` answers at once."""
    return not 2000 < len(dataset.labels) <= MAX_IMAGES or is_cached(_cache_name(dataset), folder)


def _cache_name(dataset: Dataset) -> str:
    return f"near-{dataset.fingerprint}-{THRESHOLD:g}"


def near_ids(dataset: Dataset, folder: Path | None = None) -> np.ndarray:
    """Number the groups of images connected by being copies or near copies; int64 (n,)."""
    exact = picture_ids(dataset.images)
    first = np.unique(exact, return_index=True)[1]
    pairs = np.concatenate([near_pairs(dataset, folder), np.stack([first[exact], np.arange(len(exact))], axis=1)])
    return components(pairs, len(exact))


def components(pairs: np.ndarray, count: int) -> np.ndarray:
    """Return the number of the connected component of each of ``count`` nodes, given the edges, int64 (count,)."""
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    numbers: np.ndarray = connected_components(graph, directed=False)[1].astype(np.int64)
    return numbers


def find_near_pairs(images: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """Return the pairs of images that correlate above a threshold, mirrored or not.

    Args:
        images: uint8 (n, h, w) or (n, h, w, 3).
        threshold: Correlation above which two images are near copies; 0 to 1.

    Returns:
        int64 (pairs, 2), first row < second row, in order. Exact copies are included; blank images are not.
    """
    vectors, contrast = _unit_vectors(images)
    rows = np.flatnonzero(contrast > CONTRAST)
    vectors = vectors[rows]
    mirrored = vectors.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(len(vectors), -1)
    short, short_mirrored = _short_vectors(vectors), _short_vectors(mirrored)
    pairs = []
    for start in range(0, len(rows), CHUNK):
        stop = min(start + CHUNK, len(rows))
        for own, own_full in ((short, vectors), (short_mirrored, mirrored)):
            a, b = np.nonzero(own[start:stop] @ short[start:].T > threshold - 1e-5)
            a, b = a + start, b + start
            a, b = a[a < b], b[a < b]
            pairs.append(_confirmed(own_full, vectors, a, b, threshold))
    found = np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64)
    return np.unique(rows[found], axis=0).reshape(-1, 2)


def _confirmed(left: np.ndarray, right: np.ndarray, a: np.ndarray, b: np.ndarray, threshold: float) -> np.ndarray:
    """Return the pairs (a, b) whose full vectors correlate above the threshold."""
    kept = [np.empty((0, 2), np.int64)]
    for start in range(0, len(a), 4096):
        i, j = a[start : start + 4096], b[start : start + 4096]
        above = np.einsum("nd,nd->n", left[i], right[j]) > threshold
        kept.append(np.stack([i[above], j[above]], axis=1))
    return np.concatenate(kept)


def _unit_vectors(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images as float32 (n, 48 * 48), mean 0 and norm 1, and their standard deviations."""
    vectors = np.empty((len(images), SIDE * SIDE), np.float32)
    for start in range(0, len(images), CHUNK):
        vectors[start : start + CHUNK] = _standard(images[start : start + CHUNK]).reshape(-1, SIDE * SIDE)
    vectors -= vectors.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(vectors, axis=1)
    vectors /= np.maximum(norms, 1e-6)[:, None]
    return vectors, norms / SIDE


def _standard(images: np.ndarray) -> np.ndarray:
    """Return grey images of 48x48, float32 (n, 48, 48), sampled from those of another size or colour."""
    grey = images.astype(np.float32)
    grey = grey.mean(axis=3) if grey.ndim == 4 else grey
    if grey.shape[1:] == (SIDE, SIDE):
        return grey
    edges = np.linspace(0, grey.shape[1], SIDE + 1)
    weights = np.clip(np.minimum.outer(edges[1:], np.arange(grey.shape[1]) + 1.0), None, None)
    weights = np.maximum(weights - np.maximum.outer(edges[:-1], np.arange(grey.shape[1], dtype=float)), 0)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)  # area of each source row in each cell
    cells: np.ndarray = np.einsum("ai,nij,bj->nab", weights, grey, weights, optimize=True)
    return cells


def _short_vectors(vectors: np.ndarray) -> np.ndarray:
    """Return float32 (n, 16 * 16 + 1): the projection on block means, and the norm of the rest."""
    block = SIDE // BLOCKS
    blocks = vectors.reshape(-1, BLOCKS, block, BLOCKS, block).sum(axis=(2, 4)).reshape(len(vectors), -1) / block
    rest = np.sqrt(np.maximum(1.0 - np.einsum("nd,nd->n", blocks, blocks), 0.0))
    return np.concatenate([blocks, rest[:, None]], axis=1).astype(np.float32)
