"""Reading and writing the JSON files of a run folder, with checksums.

A file that fer-search writes ends with ``"checksum"``, the SHA-256 (its first 32 hex digits) of the text before it.
Files of older versions and of stock Keras Tuner have none. A user who changed a file on purpose deletes that line.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.files import read_text, write_text
from fer_search.runfolder.schema import DESIGN_FILE, EPOCHS_FILE, FORMAT, ORACLE_FILE, TRIAL_FILE
from fer_search.runfolder.validation import SCHEMAS, SchemaError

REPAIRABLE = (ORACLE_FILE, TRIAL_FILE, EPOCHS_FILE, DESIGN_FILE)  # fer-search doctor knows what to do about these
CHECKSUM = "checksum"
CHECKSUM_LINE = re.compile(r',\n "checksum": "([0-9a-f]{32})"\n}\s*\Z')


class ChangedFileError(ValueError):
    """A file does not match its checksum."""


def write_json(path: Path, content: Mapping[str, Any], compact: bool = False) -> None:
    """Replace a JSON file of a run folder atomically, with its checksum; compact is several times faster."""
    write_text(path, with_checksum({name: value for name, value in content.items() if name != CHECKSUM}, compact))


def with_checksum(content: Mapping[str, Any], compact: bool = False) -> str:
    """Return the text of a JSON object and its checksum, all but that in one line if compact."""
    text = json.dumps(content, indent=None if compact else 1)
    if not content:
        return text + "\n"
    body = text.removesuffix("}" if compact else "\n}")
    return f'{body},\n "{CHECKSUM}": "{_digest(body)}"\n}}\n'


def read_json(file: Path, prepare: Callable[[str], str] = str) -> dict[str, Any]:
    """Return the object in a JSON file, verified against its checksum and, for the files in SCHEMAS, its schema.

    Args:
        file: The file.
        prepare: Applied to the text before it is parsed, after its checksum was verified.

    Raises:
        UserError: The file cannot be read, or its content was changed or is not what it should be; the message names it
            and the field (exit code 4).
    """
    try:
        return _parse(file, prepare)
    except ChangedFileError as error:
        raise UserError(f"{file} {error}; {_restore_hint(file)}", EXIT_RUN_FOLDER) from error
    except SchemaError as error:
        raise UserError(f"{file} is damaged: {error}; {repair_hint(file)}", EXIT_RUN_FOLDER) from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} cannot be read ({_reason(error)}); {repair_hint(file)}", EXIT_RUN_FOLDER) from error


def read_json_if_valid(file: Path, *required: str) -> dict[str, Any] | None:
    """Return the object in a JSON file; None if it is missing, damaged, changed or lacks a required field."""
    try:
        content = _parse(file, str)
    except (OSError, ValueError, RecursionError):
        return None
    return content if all(name in content for name in required) else None


def check_format(file: Path, content: Mapping[str, Any]) -> None:
    """Refuse a file that a newer version of fer-search wrote.

    Raises:
        UserError: It is of a newer format, or names none (exit code 4).
    """
    version = content.get("format")
    if not isinstance(version, int):
        raise UserError(f"{file} is damaged: format is missing; {repair_hint(file)}", EXIT_RUN_FOLDER)
    if version > FORMAT:
        raise UserError(
            f"{file} has format {version}, newer than this version of fer-search reads; update fer-search",
            EXIT_RUN_FOLDER,
        )


def repair_hint(file: Path) -> str:
    """Return how to recover a damaged file of a run folder, for the end of an error message."""
    if file.name not in REPAIRABLE:
        return "restore it from a backup"
    run = file.parent if file.name == ORACLE_FILE else file.parent.parent
    return f"run: fer-search doctor {shlex.quote(str(run))} --repair"


def _parse(file: Path, prepare: Callable[[str], str]) -> dict[str, Any]:
    text = read_text(file)
    match = CHECKSUM_LINE.search(text)
    if match is not None and _digest(text[: match.start()]) != match[1]:
        raise ChangedFileError("was changed or damaged after it was written: it does not match its checksum")
    content = json.loads(prepare(text))
    if "\\ud" in text or "\\uD" in text:
        content = _without_surrogates(content)
    if not isinstance(content, dict):
        raise SchemaError("it holds no JSON object")
    if content.pop(CHECKSUM, None) is not None and match is None:
        raise ChangedFileError("was changed after it was written: its checksum is not where it was")
    if (check := SCHEMAS.get(file.name)) is not None:
        check(content)
    return content


def _without_surrogates(value: Any) -> Any:
    """Return JSON content with lone surrogates, which no file or terminal takes, written out as escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return [_without_surrogates(item) for item in value] if isinstance(value, list) else value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _reason(error: BaseException) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _restore_hint(file: Path) -> str:
    return f'{repair_hint(file)}, or, if you changed it on purpose, delete its "{CHECKSUM}" line (and the comma before)'
