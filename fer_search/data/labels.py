"""Labels as they stand in a source -> indices into the class names of the data set."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from fer_search.data.options import DataOptions
from fer_search.data.presets import ALIASES, EMOTIONS, FILE_NAMES, NUMBERINGS, PRESETS, describe_numbering
from fer_search.errors import UserError

DROP = "drop"  # --map contempt=drop
CLASS_NAME = re.compile(r"[\w+-]{1,40}")


@dataclass(frozen=True)
class LabelRules:
    """--map and --classes.

    Args:
        mapping: Label in the source, lower case -> class name, or DROP.
        numbering: Number -> class name, from a preset; empty for none.
        file_names: Key of FILE_NAMES if labels are read from file names, else "".
        classes: Classes to keep; empty for all.
    """

    mapping: dict[str, str]
    numbering: dict[int, str]
    file_names: str
    classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Labels:
    """Resolved labels.

    Args:
        labels: uint8 (n,), indices into ``classes``; meaningless for dropped rows.
        kept: bool (n,), the rows whose label is used.
        classes: Class names.
        notes: Sentences on dropped and renamed labels.
    """

    labels: np.ndarray
    kept: np.ndarray
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def parse_rules(options: DataOptions) -> LabelRules:
    """Parse --map and --classes.

    Raises:
        UserError: A --map argument is neither a preset nor a list of label=class, or a class name is invalid.
    """
    mapping: dict[str, str] = {}
    numbering: dict[int, str] = {}
    file_names = ""
    for argument in options.mapping:
        if argument.lower() in NUMBERINGS:
            numbering = NUMBERINGS[argument.lower()]
        elif argument.lower() in FILE_NAMES:
            file_names = argument.lower()
        else:
            mapping |= _parse_pairs(argument)
    return LabelRules(mapping, numbering, file_names, tuple(dict.fromkeys(map(class_name, options.classes))))


def _parse_pairs(argument: str) -> dict[str, str]:
    pairs = {}
    for pair in filter(None, (part.strip() for part in argument.split(","))):
        label, equals, name = pair.partition("=")
        if not equals or not label.strip() or not name.strip():
            raise UserError(f"--map {pair!r}: write LABEL=CLASS (or LABEL=drop), or a preset: {', '.join(PRESETS)}")
        pairs[_key(label)] = name.strip() if name.strip() == DROP else class_name(name)
    return pairs


def class_name(text: str) -> str:
    """Return the standard form of a class name: lower case, usual spelling of an emotion, no white space.

    Raises:
        UserError: It holds characters that cannot be part of a column or file name.
    """
    name = re.sub(r"\s+", "_", text.strip().lower())
    name = ALIASES.get(name, name)
    if not CLASS_NAME.fullmatch(name):
        raise UserError(f"class name {text!r}: use letters, digits, _, + and - (rename it with --map)")
    return name


def resolve_labels(
    texts: Sequence[str],
    options: DataOptions,
    where: Callable[[int], str],
    source: str,
    numbering: str | None = None,
) -> Labels:
    """Turn the labels of a source into indices of classes.

    Args:
        texts: Label of each row as it stands in the source: a name or a number.
        options: --classes and --map.
        where: Describes a row in messages, e.g. "faces.csv, row 9: emotion".
        source: Name of the source in messages.
        numbering: Key of NUMBERINGS that numbers have unless --map gives another; None if numbers are ambiguous.

    Raises:
        UserError: A label is unknown, numbers have no numbering, or a class in --classes does not occur.
    """
    rules = parse_rules(options)
    counts = Counter(texts)
    first = {text: row for row, text in reversed(list(enumerate(texts)))}
    _check_mixture(counts, first, rules, where)
    names = {text: _resolve(text, rules, numbering, partial(where, first[text]), counts) for text in counts}
    present = set(names.values()) - {DROP}
    if missing := [name for name in rules.classes if name not in present]:
        found = ", ".join(order_classes(present)) or "none"
        raise UserError(f"--classes {missing[0]}: {source} has no such class; it has {found}")
    classes = (rules.classes and order_classes(rules.classes)) or order_classes(present)
    index = {name: c for c, name in enumerate(classes)}
    codes = {text: index.get(name, -1) for text, name in names.items()}
    labels = np.array([codes[text] for text in texts], np.int16)
    kept = labels >= 0
    return Labels(np.where(kept, labels, 0).astype(np.uint8), kept, classes, _notes(counts, codes))


def order_classes(names: Sequence[str] | set[str]) -> tuple[str, ...]:
    """Return class names in label order: the usual emotions in FER2013's order, then others alphabetically."""
    return (*(name for name in EMOTIONS if name in names), *sorted(set(names) - set(EMOTIONS)))


def _key(text: str) -> str:
    """Return a label as --map looks it up: in lower case, with single spaces between words."""
    return " ".join(text.lower().split())


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d+(\.0*)?", text.strip()))


def _check_mixture(counts: Counter[str], first: dict[str, int], rules: LabelRules, where: Callable[[int], str]) -> None:
    unmapped = [text for text in counts if _key(text) not in rules.mapping]
    numbers = [text for text in unmapped if _is_number(text)]
    words = [text for text in unmapped if text not in numbers]
    if numbers and words:
        rare = min(words, numbers, key=lambda texts: sum(counts[text] for text in texts))
        other = "a name, others are numbers" if rare is words else "a number, others are names"
        raise UserError(f"{where(first[rare[0]])} {rare[0]!r:.40} is {other}; correct it, or translate it with --map")


def _resolve(
    text: str, rules: LabelRules, numbering: str | None, where: Callable[[], str], counts: Counter[str]
) -> str:
    """Return the class of a label, or DROP."""
    key = _key(text)
    if key in rules.mapping:
        return rules.mapping[key]
    if _is_number(key):
        return _number_class(int(float(key)), rules, numbering, where, counts)
    return _known_class(key, rules, where)


def _number_class(
    number: int, rules: LabelRules, numbering: str | None, where: Callable[[], str], counts: Counter[str]
) -> str:
    numbers = rules.numbering or NUMBERINGS.get(numbering or "", {})
    if number in numbers:
        return numbers[number]
    if numbers:
        raise UserError(
            f"{where()} '{number}' is not from {min(numbers)} to {max(numbers)}; correct it, or say what the numbers "
            f"mean with --map (presets: {', '.join(NUMBERINGS)})"
        )
    found = sorted(int(float(text)) for text in counts if _is_number(text))
    fitting = [name for name, known in NUMBERINGS.items() if set(found) <= set(known)]
    ways = " or ".join(f"--map {name} ({describe_numbering(name)})" for name in fitting)
    own = ",".join(f"{k}=..." for k in found[:2])
    raise UserError(
        f"{where()} '{number}': the classes are numbers; say what they mean: {ways + ' or ' if ways else ''}--map {own}"
    )


def _known_class(key: str, rules: LabelRules, where: Callable[[], str]) -> str:
    name = re.sub(r"\s+", "_", key)
    if name in ALIASES or name in rules.classes or rules.classes:
        return ALIASES.get(name, name)
    raise UserError(
        f"{where()} {key!r} is not a known emotion; add --map {shlex.quote(f'{key}=CLASS')} (or "
        f"{shlex.quote(f'{key}=drop')}), or list the classes that "
        f"you want with --classes; known are {', '.join(EMOTIONS)}"
    )


def _notes(counts: Counter[str], codes: dict[str, int]) -> tuple[str, ...]:
    dropped = {text: count for text, count in counts.items() if codes[text] < 0}
    if not dropped:
        return ()
    return (f"{sum(dropped.values()):,} images of {', '.join(sorted(dropped))} are left out (--classes, --map)",)
