"""The recorded study: tables of several machines are joined."""

import csv
import json


def record(folder, device, runs):
    folder.mkdir()
    (folder / "about.json").write_text(json.dumps({"device": device}))
    with (folder / "study.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["design", "seed", "val_acc_1"])
        writer.writeheader()
        writer.writerows({"design": design, "seed": seed, "val_acc_1": score} for design, seed, score in runs)


def test_tables_of_two_machines_are_joined(tmp_path, module):
    record(tmp_path / "cpu", "CPU", [(0, 0, 0.5), (10, 0, 0.3), (2, 0, 0.4)])
    record(tmp_path / "gpu", "GPU", [(10, 1, 0.31), (2, 0, 0.9)])
    rows = module("study.gather").join_tables([tmp_path / "cpu", tmp_path / "gpu"])
    found = [tuple(row[name] for name in ("design", "seed", "val_acc_1", "device")) for row in rows]
    assert found == [
        ("0", "0", "0.5", "CPU"),
        ("2", "0", "0.4", "CPU"),
        ("10", "0", "0.3", "CPU"),
        ("10", "1", "0.31", "GPU"),
    ]
