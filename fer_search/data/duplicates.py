"""Images that occur more than once: exact copies, and near copies (re-encoded, mirrored, brightened).

Two images are near copies if their pixels, or those of one and the mirror image of the other, correlate above 0.99.
The search is exact: the unit vector of an image is split into its 8x8 slowest waves (a cosine transform) and the rest.
Mirroring negates the waves with an odd number across. With the even waves e and f, the odd ones o and p, and the rests
r and s of two images, both correlations are at most e . f + |o . p| + |r| |s| (Cauchy-Schwarz), which takes two short
products; only pairs whose bound exceeds the threshold are compared in full.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from threadpoolctl import threadpool_limits

from fer_search.data.cache import cached_array, is_cached
from fer_search.data.dataset import TEST_SPLITS, TRAIN, Dataset

THRESHOLD = 0.99  # correlation of two images that are near copies
SIDE, WAVES = 48, 8  # images are compared at 48x48, after comparing their 8x8 slowest waves
MARGIN, ROUNDING = 1e-4, 1e-5  # added to the bound and to the square of a rest: more than float32 loses
MAX_IMAGES = 60_000  # more are searched for exact copies only: the time grows with the square
CHUNK = 1024  # images prepared at a time
ROWS, COLUMNS = 256, 1024  # short vectors compared at a time: their bounds fit in a core's cache
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
    even, odd = _short_vectors(vectors)
    found = [np.empty((0, 2), np.int64)]
    with threadpool_limits(1, user_api="blas"):  # for products as small as these, threads take longer
        for pairs in _possible_pairs(even[rows], odd[rows], threshold - MARGIN):
            found.append(_confirmed(vectors, np.sort(rows[pairs], axis=1), threshold))
    return np.unique(np.concatenate(found), axis=0)


def _possible_pairs(even: np.ndarray, odd: np.ndarray, limit: float) -> Iterator[np.ndarray]:
    """Yield the pairs of short vectors whose bound exceeds a limit, int64 (pairs, 2).

    No number of two such vectors differs by more than the distance of the images, of which the mirror image of one may
    be meant. So the vectors are sorted by the number that varies most, and each is compared with those in reach.
    """
    widest = even.std(axis=0).argmax() if len(even) else 0
    order = np.argsort(even[:, widest], kind="stable")
    even, odd = even[order], odd[order]
    ends = np.searchsorted(even[:, widest], even[:, widest] + np.sqrt(2 * (1 - limit)), side="right")
    for start in range(0, len(order), ROWS):
        own = slice(start, start + ROWS)
        for first in range(start, ends[own][-1], COLUMNS):
            others = slice(first, first + COLUMNS)
            bound = np.abs(odd[own] @ odd[others].T)
            bound += even[own] @ even[others].T
            a, b = np.divmod(np.flatnonzero(bound > limit), bound.shape[1])
            a, b = a + start, b + first
            yield np.stack([order[a[a < b]], order[b[a < b]]], axis=1)


def _confirmed(vectors: np.ndarray, pairs: np.ndarray, threshold: float) -> np.ndarray:
    """Return the pairs whose full vectors correlate above the threshold, mirrored or not."""
    above = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), CHUNK):
        left, right = vectors[pairs[start : start + CHUNK, 0]], vectors[pairs[start : start + CHUNK, 1]]
        mirrored = left.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(left.shape)
        for own in (left, mirrored):
            above[start : start + CHUNK] |= np.einsum("nd,nd->n", own, right) > threshold
    confirmed: np.ndarray = pairs[above]
    return confirmed


def _unit_vectors(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images as float32 (n, 48 * 48), mean 0 and norm 1, and their standard deviations."""
    vectors, norms = np.empty((len(images), SIDE * SIDE), np.float32), np.empty(len(images), np.float32)
    for start in range(0, len(images), CHUNK):
        own = slice(start, start + CHUNK)
        part = _standard(images[own]).reshape(-1, SIDE * SIDE)
        part -= part.mean(axis=1, keepdims=True)
        norms[own] = np.linalg.norm(part, axis=1)
        np.divide(part, np.maximum(norms[own], 1e-6)[:, None], out=vectors[own])
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


def _short_vectors(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the waves that mirroring keeps, with the norm of the rest, and those it negates; float32 (n, short)."""
    place, frequency = np.arange(SIDE) + 0.5, np.arange(WAVES)[:, None]
    waves = np.cos(np.pi / SIDE * frequency * place)
    waves = (waves / np.linalg.norm(waves, axis=1, keepdims=True)).astype(np.float32)
    amplitudes = waves @ vectors.reshape(-1, SIDE, SIDE) @ waves.T
    even, odd = (amplitudes[:, :, parity::2].reshape(-1, WAVES * WAVES // 2) for parity in (0, 1))
    rest = 1.0 - np.einsum("nd,nd->n", even, even) - np.einsum("nd,nd->n", odd, odd)
    rest = np.sqrt(np.maximum(rest, 0.0) + ROUNDING)
    return np.concatenate([even, rest[:, None]], axis=1), odd
