"""Shared by the benchmarks: interleaved rounds, workers, machine description.

Wall times on a shared machine drift, so arms are interleaved; reported are medians and ratios within rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from tables import Spread as Spread
from tables import Table as Table
from tables import number as number
from tables import ratios as ratios
from tables import spread as spread

from fer_search import backend

ROOT = Path(__file__).resolve().parents[1]
Round = Callable[[], float]  # runs once; returns seconds


def interleave(rounds: int, arms: Mapping[str, Round]) -> dict[str, list[float]]:
    """Run each arm once per round; return the seconds of each. A failing arm is reported and dropped."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for number_of_round in range(1, rounds + 1):
        for name in list(seconds):
            try:
                seconds[name].append(arms[name]())
            except WorkerFailed as error:
                say(f"LEFT OUT, {name}: {error}")
                del seconds[name]
        times = ", ".join(f"{name} {durations[-1]:.3g} s" for name, durations in seconds.items())
        say(f"round {number_of_round} of {rounds}: {times}")
    return seconds


class WorkerFailed(Exception):
    """A worker failed; the message gives the reason."""


class Worker:
    """A process with its own backend that runs this script with ``--serve SPEC`` and computes rounds on request.

    Args:
        spec: Input of ``serve``; "backend" is its Keras backend.
        environment: Additional environment variables.
        wait: Whether to wait until it is ready; otherwise ``wait`` must be called before the first round.
    """

    def __init__(
        self, spec: Mapping[str, Any], environment: Mapping[str, str] | None = None, wait: bool = True
    ) -> None:
        own = {"KERAS_BACKEND": spec["backend"], "TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        own["PYTHONPATH"] = os.pathsep.join(paths)
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        self.process = subprocess.Popen(
            [sys.executable, sys.argv[0], *sys.argv[1:], "--serve", json.dumps(spec)],
            env=os.environ | own | dict(environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.about: dict[str, Any] = {}  # the worker's description of itself, once it is ready
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until the worker is ready for its first round."""
        self.about = self._answer()

    def __call__(self) -> float:
        """Compute a round; return its seconds."""
        return float(self.ask()["seconds"])

    def ask(self) -> dict[str, Any]:
        """Compute a round; return the worker's complete answer."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its error message is read below
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process and wait for it to exit."""
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()  # closing stdin ends its loop
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            last = self.errors.read().strip().splitlines()[-1:] or ["no message"]
            raise WorkerFailed(f"its process ended with {self.process.returncode}: {last[0]}")
        answer = json.loads(line)
        if "cannot" in answer:
            raise WorkerFailed(answer["cannot"])
        return answer


def serve(prepare: Callable[[], Callable[[], Any]]) -> None:
    """Act as a worker: prepare, then compute a round for each line on stdin until it is closed.

    Args:
        prepare: Returns a function that computes a round and returns its seconds, or a dict with them.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # keep output of libraries out of the answers
    try:
        compute = prepare()
    except ImportError as error:
        answers.write(json.dumps({"cannot": f"{error.name or error} is not installed"}) + "\n")
        return
    answers.write(json.dumps(getattr(compute, "about", {})) + "\n")
    for _ in sys.stdin:
        result = compute()
        answers.write(json.dumps(result if isinstance(result, dict) else {"seconds": result}) + "\n")


def start(specs: Mapping[str, Mapping[str, Any]], skipped: list[str]) -> dict[str, Worker]:
    """Start a worker for each name; those that cannot run are reported and added to skipped.

    On a GPU machine they compile, on its many cores, at the same time; elsewhere one after the other.
    """
    started = {name: Worker(spec, wait=False) for name, spec in specs.items()} if device().gpu else {}
    workers = {}
    for name, spec in specs.items():
        try:
            worker = started.get(name) or Worker(spec, wait=False)
            worker.wait()
        except WorkerFailed as error:
            say(f"LEFT OUT, {name}: {error}")
            skipped.append(f"{name}: {error}")
            continue
        workers[name] = worker
        say(f"ready: {name}" + "".join(f", {key} {value}" for key, value in worker.about.items()))
    return workers


def timed(compute: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    compute()
    return time.perf_counter() - began


class Device(NamedTuple):
    """The best device that the installed backends can use."""

    backends: tuple[str, ...]  # the backends that can use it
    gpu: bool
    name: str


@functools.cache
def device() -> Device:
    """Query each installed backend's device in a separate process; drop backends without GPU if another has one."""
    names = {}
    for name in backend.BACKENDS:
        if importlib.util.find_spec(name) is None:
            say(f"LEFT OUT: {name} is not installed")
            continue
        program = "from fer_search import backend; backend.start(); print(backend.device())"
        asked = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"KERAS_BACKEND": name, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
            capture_output=True,
            text=True,
            check=True,
        )
        names[name] = asked.stdout.strip().splitlines()[-1]
    gpu = any(not text.startswith("CPU") for text in names.values())
    used = tuple(name for name, text in names.items() if text.startswith("CPU") != gpu)
    for name in set(names) - set(used):
        say(f"LEFT OUT: {name} sees no GPU")
    return Device(used, gpu, names[used[0]])


def machine() -> dict[str, Any]:
    """Describe the machine: processor, cores, memory, accelerator, system, versions."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        about = {key.strip(): value.strip() for key, value in lines.items()}
        kind = [f"{key.removeprefix('cpu ')} {about[key]}" for key in ("cpu family", "model") if key in about]
        halves = [flag for flag in backend.BFLOAT16_FLAGS if flag in about.get("flags", "").split()]
        processor = f"{about.get('model name', processor)} ({', '.join([*kind, *halves])})"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": processor,
        "cores": backend.cores(),
        "memory_gib": round(memory, 1),
        "device": device().name,
        "system": f"{platform.system()} {platform.machine()}",
        "versions": backend.versions(),
    }


def describe(about: Mapping[str, Any]) -> str:
    """Return a one-line description of a machine."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"{about['processor']}, {about['cores']} cores, {about['memory_gib']:.0f} GiB; computes on: {about['device']}; "
        f"{about['system']}; {versions}"
    )


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options common to all benchmarks."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="trial run with small sizes; the numbers mean little")
    made.add_argument("--json", type=Path, metavar="FILE", help="also write tables and raw numbers to this file")
    made.add_argument("--serve", help=argparse.SUPPRESS)
    return made


def report(
    options: argparse.Namespace, tables: Iterable[Table], raw: Mapping[str, Any], skipped: Sequence[str] = ()
) -> None:
    """Print a benchmark's tables, and write them with the raw numbers to the --json file."""
    tables = list(tables)
    if skipped:
        tables[-1].notes.append("Left out: " + "; ".join(skipped) + ".")
    for table in tables:
        print("\n" + table.markdown(), flush=True)
    if options.json:
        chosen = {k: v for k, v in vars(options).items() if k not in ("serve", "data") and not isinstance(v, Path)}
        content = {
            "measured": time.strftime("%Y-%m-%d"),
            "machine": machine(),
            "options": chosen,
            "tables": [asdict(table) for table in tables],
            "raw": dict(raw),
            "skipped": list(skipped),
        }
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def say(text: str) -> None:
    """Print a progress message to stderr."""
    print(f"  {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
