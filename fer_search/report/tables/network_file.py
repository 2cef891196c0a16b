"""Where the network is that a confirmation recommends."""

from __future__ import annotations

from pathlib import Path

from fer_search.runfolder.confirmation import read_confirm_json, tested_trainings, training_dir
from fer_search.runfolder.schema import MODEL_FILE


def network_sentence(run: str | Path) -> str:
    """Return where the confirmed network is and how to use it; "" where there is none on the disk."""
    record = read_confirm_json(Path(run))
    if record is None:
        return ""
    for number, candidate, seed in tested_trainings(record):
        file = training_dir(Path(run), record["looks"], number) / MODEL_FILE
        if file.exists():
            return (
                f"The network to use is that of {record['candidates'][candidate]['title']}, seed {seed}, chosen before "
                f"the test: {file}, a plain Keras model. fer-search predict {run} PHOTO uses it, fer-search export "
                f"{run} writes it as TFLite, ONNX or a SavedModel."
            )
    return ""
