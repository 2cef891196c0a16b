"""What the JSON files of a run folder must hold: the schema of each, checked when it is read.

A check takes a value and its name in the file and raises ``SchemaError``. Unknown fields are accepted: newer versions
add some, and so does stock Keras Tuner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fer_search.runfolder import schema
from fer_search.runfolder.guard import is_trial_id

Check = Callable[[Any, str], None]
MAX_EPOCH = 9999  # checkpoints are named with four digits
STATUSES = ("RUNNING", "IDLE", "INVALID", "STOPPED", "COMPLETED", "FAILED")  # Keras Tuner's


class SchemaError(ValueError):
    """A field is missing or is not what it should be; the message names it."""


def _of_type(kinds: type | tuple[type, ...], words: str) -> Check:
    def check(value: Any, name: str) -> None:
        is_bool = isinstance(value, bool) and kinds is not bool
        if is_bool or not isinstance(value, kinds):
            raise SchemaError(f"{name} must be {words}, not {value!r:.60}")

    return check


def _nullable(check: Check) -> Check:
    return lambda value, name: None if value is None else check(value, name)


def _list_of(check: Check) -> Check:
    def check_list(value: Any, name: str) -> None:
        _list(value, name)
        for index, item in enumerate(value):
            check(item, f"{name}[{index}]")

    return check_list


def _dict_of(check: Check) -> Check:
    def check_dict(value: Any, name: str) -> None:
        _dict(value, name)
        for key, item in value.items():
            check(item, f"{name}.{key}")

    return check_dict


def _object(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    def check_object(value: Any, name: str) -> None:
        _dict(value, name)
        prefix = f"{name}." if name else ""
        for key, check in required.items():
            if key not in value:
                raise SchemaError(f"{prefix}{key} is missing")
            check(value[key], f"{prefix}{key}")
        for key, check in (optional or {}).items():
            if key in value:
                check(value[key], f"{prefix}{key}")

    return check_object


def _one_of(*values: str) -> Check:
    def check(value: Any, name: str) -> None:
        if value not in values:
            raise SchemaError(f"{name} must be one of {', '.join(values)}, not {value!r:.60}")

    return check


def _in_range(low: int, high: int) -> Check:
    def check(value: Any, name: str) -> None:
        _int(value, name)
        if not low <= value <= high:
            raise SchemaError(f"{name} must be from {low} to {high}, not {value}")

    return check


def _trial_id(value: Any, name: str) -> None:
    if not is_trial_id(value):
        raise SchemaError(f"{name} must be a trial id, not {value!r:.60}")


def _distinct_ids(value: Any, name: str) -> None:
    _list_of(_trial_id)(value, name)
    if len(set(value)) < len(value):
        double = next(item for item in value if value.count(item) > 1)
        raise SchemaError(f"{name} lists trial {double} twice")


_text, _bool = _of_type(str, "text"), _of_type(bool, "true or false")
_int, _number = _of_type(int, "a whole number"), _of_type((int, float), "a number")
_list, _dict = _of_type(list, "a list"), _of_type(dict, "an object")
_scalar = _of_type((str, int, float, bool, type(None)), "a single value")


def _pair(value: Any, name: str) -> None:
    _list_of(_number)(value, name)
    if len(value) != 2:
        raise SchemaError(f"{name} must have two numbers, not {len(value)}")


def _value(value: Any, name: str) -> None:
    if not isinstance(value, bool):
        _scalar(value, name)


_hyperparameters = _object(
    {
        "space": _list_of(_object({"class_name": _text, "config": _object({"name": _text})})),
        "values": _dict_of(_value),
    }
)
_metric = _object({"observations": _list_of(_object({"value": _list_of(_number), "step": _int}))})
_round = _list_of(_object({"id": _trial_id}, {"past_id": _nullable(_trial_id)}))
_oracle_fields = _object(
    {"hyperparameters": _hyperparameters},
    {
        "ongoing_trials": _dict_of(_trial_id),
        "start_order": _distinct_ids,
        "end_order": _distinct_ids,
        "tried_so_far": _list_of(_text),
        "seed_state": _int,
        "brackets": _list_of(_object({"bracket_num": _in_range(0, 10_000), "rounds": _list_of(_round)})),
        schema.TRIAL_DIGESTS: _dict_of(_text),
    },
)
_run = _object(
    {"format": _int},
    {
        "name": _text,
        "command": _text,
        "space": _object({}, {"name": _text, "text": _text, "sha256": _text, "modules": _dict_of(_text)}),
        "references": _dict_of(_number),
        "baselines": _dict_of(_dict),
        "data": _object({}, {"name": _text, "source": _text, "fingerprint": _text, "train": _int, "validation": _int}),
        "protocol": _text,
        "protocol_note": _text,
        "seed": _nullable(_int),
        "tuner": _dict,
        "settings": _dict,
        "versions": _dict,
        "skipped": _list_of(_dict_of(_text)),
        "extended": _list_of(_object({"from": _dict, "to": _dict})),
        "identity": _dict,
        "state": _text,
        "seconds": _nullable(_number),
    },
)
_trial = _object(
    {"trial_id": _trial_id, "status": _one_of(*STATUSES), "hyperparameters": _hyperparameters},
    {
        "metrics": _object({}, {"metrics": _dict_of(_metric)}),
        "score": _nullable(_number),
        "best_step": _nullable(_int),
        "message": _nullable(_text),
    },
)
_design = _object(
    {"design": _dict},
    {
        "name": _nullable(_text),
        "parameters": _in_range(0, 2**53),
        "flops": _in_range(0, 2**63),
        "epochs": _in_range(1, MAX_EPOCH),
        "values": _dict_of(_value),
        "micro_batches": _in_range(1, 1024),
    },
)
_tests = _dict_of(_object({"images": _int, "accuracy": _number}))
_confirm = _object(
    {
        "format": _int,
        "settings": _object({"--seeds": _in_range(1, 10_000)}),
        "trained": _int,
        "looks": _in_range(1, 10_000),
        "candidates": _list_of(
            _object({"trial": _trial_id, "title": _text, "epochs": _in_range(1, MAX_EPOCH), "val_accuracy": _number})
        ),
        "trainings": _list_of(
            _object({"candidate": _in_range(0, 10_000), "seed": _int}, {"why": _text, "tests": _tests})
        ),
        "ensembles": _list_of(_object({"candidate": _in_range(0, 10_000), "members": _int, "tests": _tests})),
    }
)
_live = _object(
    {"time": _number, "seconds": _number},
    {
        "left": _list_of(_number),
        "trial": _int,
        "trials": _nullable(_int),
        "epoch": _int,
        "epochs": _int,
        "done": _int,
        "images": _in_range(1, 2**53),
        "accuracy": _number,
    },
)
_marker = _object({"place": _list, "starts": _in_range(0, 1_000_000)})


_resumable = _object(
    {
        "identity": _dict,
        "space": _object({"text": _text, "sha256": _text}),
        "data": _object({"name": _text, "source": _text, "fingerprint": _text}),
        "tuner": _object({"name": _text}),
        "seed": _int,
    },
    {"estimate_seconds": _pair, "seconds": _number, "skipped": _list_of(_object({"what": _text, "why": _text}))},
)


def check_resumable(content: Any) -> None:
    """Raise a SchemaError if a run.json lacks what a search needs to be resumed."""
    _resumable(content, "")


def _check_oracle(content: Any) -> None:
    _oracle_fields(content, "")
    started, ended = content.get("start_order", []), content.get("end_order", [])
    known = set(started)
    if unknown := [trial for trial in ended if trial not in known]:
        raise SchemaError(f"end_order lists trial {unknown[0]}, which start_order does not")
    referred = {**{f"ongoing_trials.{k}": v for k, v in content.get("ongoing_trials", {}).items()}}
    for bracket in content.get("brackets", []):
        for entries in bracket["rounds"]:
            referred |= {f"brackets, {entry['id']}": entry["id"] for entry in entries}
            referred |= {f"brackets, {entry['id']}": entry["past_id"] for entry in entries if entry.get("past_id")}
    if missing := [name for name, trial in referred.items() if started and trial not in known]:
        raise SchemaError(f"{missing[0]} refers to trial {referred[missing[0]]}, which start_order does not list")


def _check_confirm(content: Any) -> None:
    _confirm(content, "")
    count = len(content["candidates"])
    for name in ("trainings", "ensembles"):
        for entry in content[name]:
            if entry["candidate"] >= count:
                raise SchemaError(f"{name} refers to candidate {entry['candidate']} of {count}")


SCHEMAS: dict[str, Callable[[Any], None]] = {
    schema.ORACLE_FILE: _check_oracle,
    schema.RUN_FILE: lambda content: _run(content, ""),
    schema.TRIAL_FILE: lambda content: _trial(content, ""),
    schema.DESIGN_FILE: lambda content: _design(content, ""),
    schema.CONFIRM_FILE: _check_confirm,
    schema.LIVE_FILE: lambda content: _live(content, ""),
    schema.CRASH_MARKER_FILE: lambda content: _marker(content, ""),
}
