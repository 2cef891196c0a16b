"""Seals of checkpoints: 128 bytes behind the HDF5 content that say which training state it is, with a SHA-256.

HDF5 ignores what follows the end of its content, so a sealed file opens everywhere, and a hard link or a rename keeps
the seal. A seal detects damage and a checkpoint that belongs to another trial, epoch or seed; it is no signature.
Files of older versions have none and are only checked for completeness.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from fer_search.files import open_regular, storage_failed

MAGIC = b"FERSEAL1"
LABEL_BYTES, DIGEST_BYTES = 88, 32
SEAL_BYTES = len(MAGIC) + LABEL_BYTES + DIGEST_BYTES
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
CHUNK = 1 << 20


def make_seal(label: str | None) -> Callable[[memoryview], bytes] | None:
    """Return a function from content to its seal.

    Args:
        label: What the content is; see ``state_label``. None for no seal.
    """
    if label is None:
        return None
    padded = label.encode().ljust(LABEL_BYTES, b"\0")
    if len(padded) > LABEL_BYTES:
        raise ValueError(f"a seal's label has at most {LABEL_BYTES} bytes, not {label!r}")
    return lambda content: MAGIC + padded + hashlib.sha256(bytes(padded) + content).digest()


def state_label(seed: int, number: int, epoch: int | str) -> str:
    """Return the label of a training state.

    Args:
        seed: Seed of the run.
        number: Number of the trial.
        epoch: Epoch after which the state was saved; "best" or "partial" for those files.
    """
    return f"seed {seed} trial {number} epoch {epoch}"


def read_label(path: Path) -> str | None:
    """Return the label of a sealed file; None if it has no seal. The content is not verified."""
    with os.fdopen(open_regular(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < SEAL_BYTES:
            return None
        file.seek(size - SEAL_BYTES)
        trailer = file.read(SEAL_BYTES)
    if not trailer.startswith(MAGIC):
        return None
    return trailer[len(MAGIC) : -DIGEST_BYTES].rstrip(b"\0").decode(errors="replace")


def damage(path: Path, seed: int | None = None, number: int | None = None, epoch: int | None = None) -> str | None:
    """Return what is wrong with a checkpoint, in words; None if it is valid.

    Args:
        path: The file.
        seed: Seed it must belong to; None for any.
        number: Trial it must belong to; None for any.
        epoch: Epoch it must be of; None for any.

    Raises:
        OSError: The disk or the system failed, which says nothing about the file.
    """
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            header = file.read(48)
            if header[:8] != HDF5_SIGNATURE:
                return "is no HDF5 file"
            # superblock version 0, which h5py writes, states the length of the file
            if header[8:9] == b"\0" and int.from_bytes(header[40:48], "little") > size:
                return "is no complete HDF5 file"
            file.seek(max(size - SEAL_BYTES, 0))
            trailer = file.read(SEAL_BYTES)
            if not trailer.startswith(MAGIC):
                # a file without a seal ends where its content does
                sealed = header[8:9] == b"\0" and int.from_bytes(header[40:48], "little") < size
                return "has a damaged seal" if sealed else None
            padded = trailer[len(MAGIC) : -DIGEST_BYTES]
            if _digest(file, size - SEAL_BYTES, padded) != trailer[-DIGEST_BYTES:]:
                return "does not match its checksum"
    except OSError as error:
        if storage_failed(error):
            raise
        return f"cannot be read ({error})"
    return _wrong_label(padded.rstrip(b"\0").decode(errors="replace"), seed, number, epoch)


def _digest(file: IO[bytes], size: int, padded: bytes) -> bytes:
    digest, remaining = hashlib.sha256(padded), size
    file.seek(0)
    while remaining and (block := file.read(min(CHUNK, remaining))):
        digest.update(block)
        remaining -= len(block)
    return digest.digest()


def _wrong_label(label: str, seed: int | None, number: int | None, epoch: int | None) -> str | None:
    words = label.split()
    if len(words) != 6:
        return f"has an unknown seal ({label!r:.60})"
    expected = {1: seed, 3: number, 5: epoch}
    if all(value is None or words[index] == str(value) for index, value in expected.items()):
        return None
    return f"belongs to {label}"
