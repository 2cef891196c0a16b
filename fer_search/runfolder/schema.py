"""The format of a run folder: the names of its files and the fields of each.

    results/NAME/
      run.json                   RunJson: what was searched, on what data, with which versions
      oracle.json, tuner0.json   Keras Tuner's
      live.json                  LiveJson: what the running process is doing, for ``fer-search status``
      .lock                      LockJson: which process holds the folder
      predictions.npz            see ``runfolder.predictions``
      trial_0007/
        trial.json               Keras Tuner's
        design.json              DesignJson: the design that was trained and what it costs
        epochs.csv               see ``runfolder.epochs``
        training.json            CrashMarkerJson: a training is in progress
        *.weights.h5             checkpoints, see ``training.checkpoint``
      confirm/confirm.json       ConfirmJson: the designs that ``fer-search confirm`` trained again and tested
      export/                    networks that ``fer-search export`` wrote

Fields are only ever added, never renamed or removed: run folders of every earlier version stay readable.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

FORMAT = 1  # of run.json and confirm.json; raised when an older fer-search would misread a newer folder

RUN_FILE = "run.json"
ORACLE_FILE = "oracle.json"
TUNER_FILE = "tuner0.json"  # Keras Tuner's, always {}
LIVE_FILE = "live.json"
LOCK_FILE = ".lock"
TRIAL_DIGESTS = "trial_digests"  # our field of oracle.json: digest of the trial.json of each committed trial
REPORT_FILE = "report.html"
PREDICTIONS_FILE = "predictions.npz"
TENSORBOARD_DIR = "tensorboard"
WORKERS_DIR = ".workers"  # locks and leases of the trials, while there are several workers

TRIAL_PREFIX = "trial_"  # of the names of the trials' folders
TRIAL_FILE = "trial.json"
DESIGN_FILE = "design.json"
EPOCHS_FILE = "epochs.csv"
CRASH_MARKER_FILE = "training.json"
LAYERS_FILE = "layers.json"
BEST_WEIGHTS_FILE = "best.weights.h5"  # of the trial's best epoch; kept for the best trials
TUNER_CHECKPOINT_FILE = "checkpoint.weights.h5"  # the same file, under the name where stock Keras Tuner looks for it

NOTES_FILE = "notes.jsonl"  # see ``runfolder.notes``
QUEUE_FILE = "queue.json"  # see ``runfolder.queue``
QUEUE_LOCK_FILE = ".queue.lock"  # held while the queue is changed, of a run that has one
MID_EPOCH_FILE = "partial.weights.h5"  # training state in the middle of an epoch

MAXIMIZED_METRICS = ("accuracy", "recall", "f1")  # parts of the names of metrics of which more is better
MICRO_BATCHES_MESSAGE = "out of memory, so in {} micro-batches a step"  # message of a trial that was trained so

CONFIRM_DIR = "confirm"
CONFIRM_FILE = "confirm.json"
MODEL_FILE = "model.keras"  # of a confirmation's training: the network
TEST_PREDICTIONS_FILE = "test.npz"  # and its predictions for the test images
EXPORT_DIR = "export"  # what fer-search export writes without --out

# What a search writes directly into its folder; what else is there is the user's.
RUN_FILES = (
    ORACLE_FILE,
    TUNER_FILE,
    RUN_FILE,
    REPORT_FILE,
    PREDICTIONS_FILE,
    CRASH_MARKER_FILE,  # of the time estimate before the first trial
    LIVE_FILE,
    QUEUE_FILE,
    QUEUE_LOCK_FILE,
)


class SpaceJson(TypedDict):
    """The space file of a run."""

    name: str
    path: str
    sha256: str  # of the space's statements, comments and layout left out
    text: str
    modules: NotRequired[dict[str, str]]  # module name -> source, of the modules it imports from its own folder


class DataJson(TypedDict):
    """The data set of a run."""

    name: str
    source: str  # what --data was
    fingerprint: str  # hash of all images, labels and splits
    toy: bool
    train: int  # images trained on
    validation: int  # images validated on
    validation_counts: dict[str, int]  # of them, by class; absent in older runs
    classes: NotRequired[list[str]]  # name of each class, in label order; absent in older runs, of FER2013
    image_size: NotRequired[int]  # side, pixels; 48 if absent
    channels: NotRequired[int]  # 1 grey, 3 RGB; 1 if absent
    sources: NotRequired[list[str]]  # paths of joined data sets
    options: NotRequired[dict[str, Any]]  # DataOptions.to_dict()
    notes: list[str]


class ExtensionJson(TypedDict):
    """One use of --extend."""

    after_trials: int
    # "from" and "to": option -> value, before and after; "from" is a keyword and so not declared here


class RunJson(TypedDict):
    """run.json."""

    format: int
    name: str
    command: str  # command line of the first start
    created: str  # ISO 8601, UTC
    version: str | None  # of fer-search
    space: SpaceJson
    references: dict[str, float]  # name -> accuracy published elsewhere, 0 to 1
    baselines: dict[str, dict[str, Any]]  # name -> values of choices
    data: DataJson
    protocol: str  # "holdout" or "report"
    protocol_note: str  # the protocol in words
    seed: int
    tuner: dict[str, Any]  # "name", "max_trials", "max_epochs", "factor", "baselines", ...
    objective: NotRequired[dict[str, str]]  # "name" of a column of epochs.csv, "direction"; absent: val_accuracy, max
    settings: dict[str, Any]  # "width", "limit_train", "batch_size", ...
    versions: dict[str, str]  # package -> version
    backend: str  # Keras backend
    device: str  # hardware in words
    skipped: list[dict[str, str]]  # "what" could not be searched and "why"
    extended: list[dict[str, Any]]  # each use of --extend
    identity: dict[str, Any]  # what must be the same for the run to be resumed
    state: str  # "running", "interrupted", "finished", "out_of_time" or "failing"
    seconds: float  # wall time so far
    workers: NotRequired[int]  # trials trained at the same time by the last start, if several
    gain: NotRequired[dict[str, Any]]  # over the best baseline: "proposal", "baseline", "observed", "corrected", ...
    recommended: NotRequired[str | None]  # trial; by the guided tuner, once the search has ended
    estimate_seconds: NotRequired[list[float]]  # lower and upper estimate of the whole search


class LiveJson(TypedDict):
    """live.json: heartbeat of the running process."""

    pid: int
    time: float  # Unix time of the heartbeat
    trials: int | None  # planned; None if only the time budget ends the search
    trial: int
    epoch: int
    epochs: int
    done: int  # images of the epoch
    images: int
    loss: float
    accuracy: float
    left: list[float]  # lower and upper estimate, seconds
    seconds: float  # wall time of the search
    # with several workers: "name", "node", "device", "trial" (None if idle), "epoch", "epochs", "done" (0 to 1),
    # "images_per_second", "memory" (bytes); the fields above are those of the running trial that began first
    workers: NotRequired[list[dict[str, Any]]]


class LockJson(TypedDict):
    """.lock: the process that holds the folder."""

    pid: int
    host: str
    since: str  # ISO 8601, UTC


class DesignJson(TypedDict):
    """trial_*/design.json."""

    name: str | None  # of the baseline
    design: dict[str, Any]  # Design.to_dict()
    parameters: int
    flops: int  # of one image's forward pass
    epochs: int  # epoch to train up to
    full_epochs: NotRequired[int]  # with --equal-time: the design's own number of epochs of the last rung
    budget: NotRequired[int]  # with --equal-time: of the tuner, epochs of the default design
    low_resolution_epochs: NotRequired[int]  # the first ones, if they are validated at low resolution too
    values: dict[str, Any]  # choice -> value, as proposed
    compared_with: NotRequired[int]  # trials that median pruning compares with, in a run of several workers
    micro_batches: NotRequired[int]  # gradient accumulation steps, after the trial ran out of memory


class CrashMarkerJson(TypedDict):
    """training.json: a training is in progress; see ``search.trials.crash_guard``."""

    place: list[list[int]]  # progress saved when the training was started
    starts: int  # starts at this place


class ConfirmJson(TypedDict):
    """confirm/confirm.json."""

    format: int
    settings: dict[str, Any]  # must be the same for a confirmation to be resumed
    command: str
    created: str
    device: str
    versions: dict[str, str]
    trained: int  # images trained on
    after_trials: int  # trials of the search that had ended
    looks: int  # evaluations on the test images, this one included
    candidates: list[dict[str, Any]]  # "trial", "name", "title", "epochs", "val_accuracy", "parameters", "design"
    trainings: list[dict[str, Any]]  # "candidate" (index), "seed", and "seconds" and "tests", or "why" it failed
    ensembles: list[dict[str, Any]]  # "candidate", "members", "tests" of their mean probabilities
