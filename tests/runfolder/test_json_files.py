"""JSON files: checksums, harmless changes by editors and mail, and schema errors that name the field."""

import json
import re

import pytest

from fer_search.errors import UserError
from fer_search.runfolder.json_files import read_json, read_json_if_valid, write_json

RUN = {"format": 1, "name": "rün", "seed": 0, "state": "finished", "seconds": 1.5}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.json"
    write_json(path, RUN)
    return path


def test_written_content_is_read_back(file):
    assert read_json(file) == RUN
    assert json.loads(file.read_text())["checksum"]
    write_json(file, json.loads(file.read_text()) | {"seed": 3})  # replaces the checksum in the content
    assert read_json(file) == RUN | {"seed": 3}


def test_a_byte_order_mark_and_crlf_are_accepted(file):
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert read_json(file) == RUN


def test_files_of_older_versions_without_checksum_are_read(file):
    file.write_text(json.dumps(RUN))
    assert read_json(file) == RUN


@pytest.mark.parametrize(
    "harm",
    [
        lambda text: text.replace('"seed": 0', '"seed": 1'),
        lambda text: text.replace("finished", "finishes"),
        lambda text: json.dumps(json.loads(text)),  # reformatted: the checksum cannot be verified
        lambda text: text.replace('"checksum": "', '"checksum": "0'),
    ],
)
def test_a_change_is_reported_with_a_way_to_accept_it(file, harm):
    file.write_text(harm(file.read_text()))
    with pytest.raises(UserError, match=re.escape(str(file))) as refused:
        read_json(file)
    assert refused.value.exit_code == 4
    assert 'delete its "checksum" line' in str(refused.value)
    assert read_json_if_valid(file) is None


def test_an_intended_change_is_accepted_without_the_checksum_line(file):
    text = file.read_text().replace('"seed": 0', '"seed": 5')
    file.write_text(re.sub(r',\n "checksum": "\w+"', "", text))
    assert read_json(file)["seed"] == 5


@pytest.mark.parametrize(
    "harm",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\x00" * 40,
        b'{"format": 1}' + b"\x00" * 9,
        "{}".encode("utf-16"),
        b"\xff",
        b"[" * 60_000,
    ],
)
def test_a_file_that_is_not_a_json_object_is_reported(file, harm):
    file.write_bytes(harm)
    with pytest.raises(UserError, match=r"run\.json") as refused:
        read_json(file)
    assert refused.value.exit_code == 4


SCHEMA_ERRORS = [
    ("run.json", {"format": 1, "seed": []}, "seed must be a whole number"),
    ("run.json", {"format": 1, "data": []}, "data must be an object"),
    ("run.json", {"seed": 1}, "format is missing"),
    ("oracle.json", {"hyperparameters": {"space": {}, "values": {}}}, "space must be a list"),
    ("oracle.json", {"start_order": ["0", "0"]}, "lists trial 0 twice"),
    ("oracle.json", {"start_order": [["0"]]}, "must be a trial id"),
    ("oracle.json", {"start_order": ["0"], "end_order": ["1"]}, "end_order lists trial 1, which start_order does not"),
    ("oracle.json", {"start_order": ["0"], "ongoing_trials": {"t": "9"}}, "refers to trial 9"),
    ("trial.json", {"status": "DONE"}, "status must be one of"),
    ("trial.json", {"score": "high"}, "score must be a number"),
    (
        "trial.json",
        {"metrics": {"metrics": {"a": {"observations": [{"value": 1, "step": 0}]}}}},
        "value must be a list",
    ),
    ("design.json", {"design": {}, "epochs": 0}, "epochs must be from 1"),
    ("confirm.json", {"trainings": [{"candidate": 5, "seed": 0}]}, "refers to candidate 5 of 0"),
]
VALID = {
    "run.json": {},
    "oracle.json": {"hyperparameters": {"space": [], "values": {}}},
    "trial.json": {"trial_id": "0", "status": "RUNNING", "hyperparameters": {"space": [], "values": {}}},
    "design.json": {},
    "confirm.json": {
        "format": 1,
        "settings": {"--seeds": 1},
        "trained": 1,
        "looks": 1,
        "candidates": [],
        "trainings": [],
        "ensembles": [],
    },
}


@pytest.mark.parametrize(("name", "content", "message"), SCHEMA_ERRORS)
def test_an_invalid_field_is_named(tmp_path, name, content, message):
    write_json(tmp_path / name, VALID[name] | content)
    with pytest.raises(UserError, match=re.escape(message)):
        read_json(tmp_path / name)
