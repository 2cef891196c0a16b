"""Names and numberings of emotions in the usual data sets."""

from __future__ import annotations

import re

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt")  # the canonical order
ALIASES = {name: name for name in EMOTIONS} | {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "suprise": "surprise",  # a common misspelling in published folders
    "contemptuous": "contempt",
}
NUMBERINGS: dict[str, dict[int, str]] = {
    "fer2013": dict(enumerate(("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"))),
    "rafdb": dict(enumerate(("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"), start=1)),
    "affectnet": dict(enumerate(("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt"))),
    "ferplus": dict(enumerate(("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt"))),
    "ckplus": dict(enumerate(("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise"))),
}
# File names that hold the label: the pattern, whose group is a code, the code's class, and the person's pattern.
JAFFE = {"AN": "angry", "DI": "disgust", "FE": "fear", "HA": "happy", "NE": "neutral", "SA": "sad", "SU": "surprise"}
KDEF = {"AN": "angry", "DI": "disgust", "AF": "fear", "HA": "happy", "NE": "neutral", "SA": "sad", "SU": "surprise"}
FILE_NAMES: dict[str, tuple[re.Pattern[str], dict[str, str], str]] = {
    "jaffe": (re.compile(r"^[A-Z]{2}\.([A-Z]{2})\d", re.I), JAFFE, r"^([A-Za-z]{2})\."),
    "kdef": (re.compile(r"^[AB][FM]\d\d([A-Z]{2})(?:FL|HL|S|HR|FR)\b", re.I), KDEF, r"^[ABab]([FMfm]\d\d)"),
}
PRESETS = (*NUMBERINGS, *FILE_NAMES)


def describe_numbering(name: str) -> str:
    """Return the first and last number of a numbering with their classes."""
    numbers = NUMBERINGS[name]
    first, last = min(numbers), max(numbers)
    return f"{first} {numbers[first]} ... {last} {numbers[last]}"
