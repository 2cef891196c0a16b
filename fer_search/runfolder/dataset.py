"""The data set that a run was searched on, and its split of the images."""

from __future__ import annotations

from pathlib import Path

from fer_search.data.dataset import Dataset
from fer_search.data.load import load_dataset
from fer_search.data.options import DataOptions
from fer_search.data.split import Split, make_split
from fer_search.errors import EXIT_MISMATCH, UserError
from fer_search.runfolder.run_json import RunInfo


def load_run_dataset(run: Path, info: RunInfo, data: str | None = None, ferplus_csv: Path | None = None) -> Dataset:
    """Return the data set of a run, read again from where the run found it.

    Args:
        run: Run folder.
        info: Its run.json.
        data: Path of the data set, instead of the run's own.
        ferplus_csv: FER+'s fer2013new.csv, if the run used its labels.

    Raises:
        UserError: It is missing, damaged, or not the one searched on (exit code 5).
    """
    source = data or info.data.get("sources") or info.data["source"]
    labels = str(info.settings.get("labels") or "fer2013")
    options = DataOptions.from_dict(info.data.get("options", {}))
    for path in () if data else [source] if isinstance(source, str) else source:
        if path not in ("auto", "toy") and not Path(path).exists():
            where = "" if Path(path).is_absolute() else ", relative to the folder where it was started"
            raise UserError(f"the data of {run} were read from {path}{where}; they are not there: give --data PATH")
    dataset = load_dataset(source, labels=labels, ferplus_csv=ferplus_csv, options=options)
    if dataset.fingerprint != info.data["fingerprint"]:
        raise UserError(f"{dataset.source} is not the data set that {run} was searched on; give --data", EXIT_MISMATCH)
    return dataset


def split_run_dataset(info: RunInfo, dataset: Dataset) -> Split:
    """Return the training and validation images of a run; settings that older runs lack had these defaults."""
    chosen = info.settings
    return make_split(
        dataset,
        protocol=info.protocol,
        validation=chosen.get("validation", 0.1),
        near=bool(chosen.get("near_copies", False)),
        seed=info.seed or 0,
        limit_train=chosen.get("limit_train"),
        drop_duplicates=chosen.get("drop_duplicates", False),
    )
