"""Records every file operation below a folder and generates each state that a crash could leave on disk.

The model is a journalled file system whose only barrier is fsync (ext4 with data=ordered or data=writeback, XFS):

- Directory changes (create, rename, link, unlink, mkdir, rmdir) reach the disk in order within a folder. A crash keeps
  a prefix of them, independently for each folder, that includes every change before the last fsync of that folder or
  of a file in it.
- Content is on disk after an fsync of the file. Later writes may be complete, partial, zeros or missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

Tree = dict[str, bytes | None]  # path relative to the folder -> content; None for a folder


@dataclass
class Operation:
    """A file operation: its kind, its path, a second path or content, and the folder whose entries it changes."""

    kind: str
    path: str
    other: str = ""
    content: bytes = b""


@dataclass
class Recorder:
    """Records the operations below a folder, in order.

    Args:
        root: Folder to record.
    """

    root: Path
    operations: list[Operation] = field(default_factory=list)

    def relative(self, path: object) -> str | None:
        """Return a path relative to the root, or None if it is outside."""
        try:
            full = os.path.abspath(os.fspath(path))  # type: ignore[call-overload]
        except TypeError:
            return None
        root = f"{self.root}{os.sep}"
        return full[len(root) :] if full.startswith(root) else None

    def add(self, kind: str, path: str, other: str = "", content: bytes = b"") -> None:
        self.operations.append(Operation(kind, path, other, content))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record this process's ``os`` calls, through which fer-search and its libraries access files."""
        names = ("open", "fsync", "replace", "rename", "link", "unlink", "remove", "mkdir", "rmdir")
        real = {name: getattr(os, name) for name in names}
        for name in names:
            setattr(os, name, getattr(self, f"_{name}")(real[name]))
        try:
            yield
        finally:
            for name in names:
                setattr(os, name, real[name])

    def _open(self, real):  # type: ignore[no-untyped-def]
        def call(path, flags, mode=0o777, *, dir_fd=None):  # type: ignore[no-untyped-def]
            inside = self.relative(path) if dir_fd is None else None
            new = inside is not None and flags & os.O_CREAT and not os.path.lexists(path)
            descriptor = real(path, flags, mode, dir_fd=dir_fd)
            if new and inside is not None:
                self.add("create", inside)
            return descriptor

        return call

    def _fsync(self, real):  # type: ignore[no-untyped-def]
        def call(descriptor):  # type: ignore[no-untyped-def]
            real(descriptor)
            number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
            path = os.readlink(f"/proc/self/fd/{number}")
            inside = "" if path == str(self.root) else self.relative(path)
            if inside is None:
                return
            if os.path.isdir(path):
                self.add("sync_folder", inside)
            else:
                self.add("sync", inside, content=Path(path).read_bytes())

        return call

    def _two_path_call(self, kind: str, real):  # type: ignore[no-untyped-def]
        def call(source, target, **options):  # type: ignore[no-untyped-def]
            first, second = self.relative(source), self.relative(target)
            if first is not None:
                self.add("content", first, content=Path(source).read_bytes())  # written, possibly not synced
            real(source, target, **options)
            if first is not None and second is not None:
                self.add(kind, first, second)

        return call

    def _replace(self, real):  # type: ignore[no-untyped-def]
        return self._two_path_call("rename", real)

    _rename = _replace

    def _link(self, real):  # type: ignore[no-untyped-def]
        return self._two_path_call("link", real)

    def _one_path_call(self, kind: str, real):  # type: ignore[no-untyped-def]
        def call(path, *arguments, dir_fd=None, **options):  # type: ignore[no-untyped-def]
            inside = None
            if dir_fd is not None:
                inside = self.relative(os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), os.fspath(path)))
                real(path, *arguments, dir_fd=dir_fd, **options)
            else:
                inside = self.relative(path)
                real(path, *arguments, **options)
            if inside is not None:
                self.add(kind, inside)

        return call

    def _unlink(self, real):  # type: ignore[no-untyped-def]
        return self._one_path_call("unlink", real)

    _remove = _unlink

    def _mkdir(self, real):  # type: ignore[no-untyped-def]
        return self._one_path_call("mkdir", real)

    def _rmdir(self, real):  # type: ignore[no-untyped-def]
        return self._one_path_call("rmdir", real)


@dataclass
class _File:
    synced: bytes | None = None
    written: bytes | None = None


def crash_states(operations: list[Operation], before: Tree | None = None) -> Iterator[Tree]:
    """Yield each distinct state that a crash during or after the operations can leave behind.

    Args:
        operations: The recorded operations.
        before: The folder's state before the operations.
    """
    seen: set[frozenset[tuple[str, bytes | None]]] = set()
    for count in range(len(operations) + 1):
        for tree in _states_at(operations[:count], before or {}):
            key = frozenset(tree.items())  # contents are the same objects in most states, and keep their hashes
            if key not in seen:
                seen.add(key)
                yield tree


def _states_at(operations: list[Operation], before: Tree) -> Iterator[Tree]:
    """Yield the states after some operations: with all directory changes, or without one folder's unsynced changes."""
    yield from _materialise(operations, before)
    for folder in {_folder_of(operation) for operation in operations if operation.kind not in ("sync", "content")}:
        unsynced = _unsynced(operations, folder)
        for drop in range(1, len(unsynced) + 1):
            missing = set(unsynced[-drop:])
            yield from _materialise([o for k, o in enumerate(operations) if k not in missing], before)


def _folder_of(operation: Operation) -> str:
    return operation.path if operation.kind == "sync_folder" else os.path.dirname(operation.other or operation.path)


def _unsynced(operations: list[Operation], folder: str) -> list[int]:
    """Return the indices of a folder's directory changes since the last sync in it."""
    indices: list[int] = []
    for index, operation in enumerate(operations):
        if operation.kind == "sync_folder" and operation.path == folder:
            indices = []
        elif operation.kind == "sync" and os.path.dirname(operation.path) == folder:
            indices = []  # fsync of a file commits the journal, including its own directory entry
        elif operation.kind not in ("sync", "content", "sync_folder") and _folder_of(operation) == folder:
            indices.append(index)
    return indices


def _materialise(operations: list[Operation], before: Tree) -> Iterator[Tree]:
    """Yield the trees after some operations: with all written content, and with variants of the unsynced content."""
    files = {path: None if content is None else _File(content, content) for path, content in before.items()}
    for operation in operations:
        _apply(files, operation)
    complete = {path: _content(file, file.written if file else None) for path, file in files.items()}
    yield complete
    for path, file in files.items():
        if file is None or file.written == file.synced:
            continue
        written, synced = file.written or b"", file.synced or b""
        new = written[len(synced) :] if written.startswith(synced) else written
        kept = synced if written.startswith(synced) else b""
        for variant in (synced, kept + new[: len(new) // 2], kept + bytes(len(new))):
            yield complete | {path: variant}


def _content(file: _File | None, content: bytes | None) -> bytes | None:
    return None if file is None else (content or b"")


def _apply(files: dict[str, _File | None], operation: Operation) -> None:
    """Apply an operation; do nothing if its file is missing because an earlier operation was dropped."""
    kind, path, other = operation.kind, operation.path, operation.other
    parent = os.path.dirname(other or path)
    if parent and parent not in files and kind != "sync_folder":
        return
    if kind == "create":
        files.setdefault(path, _File())
    elif kind == "mkdir":
        files.setdefault(path, None)
    elif kind in ("unlink", "rmdir"):
        files.pop(path, None)
    elif kind == "rename" and path in files:
        files[other] = files.pop(path)
    elif kind == "link" and path in files:
        files[other] = files[path]
    elif kind in ("sync", "content"):
        file = files.get(path)
        if isinstance(file, _File):
            file.written = operation.content
            if kind == "sync":
                file.synced = operation.content


def write_tree(tree: Tree, folder: Path) -> None:
    """Write a state to an empty folder."""
    folder.mkdir(parents=True)
    for path, content in sorted(tree.items()):
        target = folder / path
        if content is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def torn_appends(operations: list[Operation]) -> list[Operation]:
    """Insert the written content before each sync of a file, so that a crash between write and sync is a state too."""
    result: list[Operation] = []
    for operation in operations:
        if operation.kind == "sync":
            result.append(Operation("content", operation.path, content=operation.content))
        result.append(operation)
    return result
