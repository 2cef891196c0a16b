"""The command line: what it prints where, and with which exit code it ends."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fer_search import cli
from fer_search.search import opening
from fer_search.search.executors import job as job_module

KERAS = ("keras", "tensorflow", "jax", "keras_tuner")


@pytest.fixture(autouse=True)
def _untimed(monkeypatch):
    """Searches of this file do not train designs to estimate their time; test_readme.py has searches that do."""
    monkeypatch.setattr(opening, "estimate_search", lambda *arguments: (40.0, 80.0))


@pytest.fixture(scope="module")
def data(tmp_path_factory, faces):
    path = tmp_path_factory.mktemp("data") / "faces.npz"
    train, test = faces.rows("train"), faces.rows("test")
    arrays = {"x_train": faces.images[train], "y_train": faces.labels[train]}
    np.savez(path, x_test=faces.images[test], y_test=faces.labels[test], **arrays)
    return path


def options(space, data, folder, *more):
    """The options of a small search."""
    size = ["--limit-train", "64", "--max-trials", "2", "--max-epochs", "2", "--tuner", "random"]
    return ["run", "--space", space, "--data", data, "--results-dir", folder, *size, *more]


@pytest.fixture(scope="module")
def searched(tmp_path_factory, data):
    """A finished search of two trials; its results folder."""
    folder = tmp_path_factory.mktemp("searched")
    space = folder / "tiny.py"
    space.write_text(
        "from fer_search.design import *\n"
        "def design(hp):\n"
        "    return Design(network=Plain(stages=((hp.Choice('filters', [4, 2]),),)),\n"
        "                  augmentation=Augmentation(cutout=hp.Choice('cutout', [0, 8])))\n"
        "baselines = {'plain': {}, 'cut': {'cutout': 8}}\n"
    )
    with pytest.MonkeyPatch.context() as patch, (folder / "events.jsonl").open("w") as out:
        patch.setattr(sys, "argv", ["fer-search", *map(str, options(space, data, folder, "--json"))])
        patch.setattr(sys, "stdout", out)
        patch.setattr(opening, "estimate_search", lambda *arguments: (40.0, 80.0))
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert not ended.value.code
    return folder


def test_help_and_usage_errors_load_neither_keras_nor_numpy():
    commands = [["--help"], ["run", "--help"], ["trials", "--help"], ["--version"], ["run", "--tuner", "x"]]
    assert not {*KERAS, "numpy", "pandas", "plotly"} & _modules_loaded_by(*commands)


def test_wrong_options_and_a_missing_space_are_refused_before_keras_starts():
    run = ["run", "--space", "nowhere.py"]
    assert not {*KERAS} & _modules_loaded_by(run, ["run", "--space", __file__, "--time-budget", "5parsecs"])


def test_looking_at_runs_loads_no_keras(searched):
    run, results = str(searched / "tiny"), ["--results-dir", str(searched)]
    commands = [["status", *results], ["runs", *results], ["trials", *results], ["show", run, "0"], ["doctor", run]]
    assert not {*KERAS} & _modules_loaded_by(*commands)


def _modules_loaded_by(*commands):
    """Return the modules in a new process after it has run these commands, one after the other."""
    script = (
        "import sys\n"
        "from fer_search.cli import main\n"
        f"for arguments in {commands!r}:\n"
        "    sys.argv = ['fer-search', *arguments]\n"
        "    try: main()\n"
        "    except SystemExit as ended: assert ended.code in (0, 2, None), (arguments, ended.code)\n"
        "print('\\n'.join(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_json_is_one_event_a_line(searched):
    events = [json.loads(line) for line in (searched / "events.jsonl").read_text().splitlines()]
    assert [e["event"] for e in events if e["event"] not in ("note", "preparing")] == [
        "search_begun",
        *["trial_begun", "epoch_ended", "epoch_ended", "trial_ended"] * 2,
        "search_ended",
    ]
    assert events[-1]["state"] == "finished"
    assert 0 <= events[-1]["best"]["accuracy"] <= 1


def test_a_finished_run_is_shown(call, searched):
    run = searched / "tiny"
    assert json.loads(call("status", run, "--json")[1])["state"] == "finished"
    assert "2 of 2 completed" in call("status", run)[1]
    assert "tiny" in call("runs", "--results-dir", searched)[1]
    assert len(json.loads(call("trials", run, "--json")[1])) == 2
    assert [t["name"] for t in json.loads(call("trials", run, "--where", "cutout=8", "--json")[1])] == ["cut"]
    assert len(json.loads(call("trials", run, "--top", 1, "--json")[1])) == 1
    code, _, err = call("trials", run, "--where", "colour=red")
    assert (code, "there is no 'colour'" in err) == (2, True)
    assert "cutout: 8" in call("show", run, "cut")[1]
    assert call("show", run, "7")[0] == 2
    assert call("doctor", run)[:2] == (0, f"{run}: no problems found\n")


@pytest.mark.parametrize("form", ["md", "csv", "json", "html"])
def test_reports_have_four_forms(call, searched, form):
    code, out, err = call("report", searched / "tiny", "--format", form)
    assert (code, err) == (0, "")
    if form == "html":
        assert "<html" in Path(out.strip()).read_text()[:500]
    else:
        assert "cut" in out


def test_reports_of_several_runs_of_one_figure_and_while_a_run_goes_on(call, searched, tmp_path):
    run, page, figure = searched / "tiny", tmp_path / "both.html", tmp_path / "curves.html"
    again = shutil.copytree(run, tmp_path / "again")
    assert call("report", run, again, "--out", page) == (0, f"{page}\n", "")
    assert "Comparison" in page.read_text()
    assert call("report", run, "--figure", "curves", "--out", figure) == (0, f"{figure}\n", "")
    assert "plotly" in figure.read_text()
    code, _, err = call("report", run, "--figure", "colour", "--out", tmp_path / "colour.html")
    assert (code, "curves" in err) == (2, True)
    assert "watched.html" in call("report", run, "--watch", "--out", tmp_path / "watched.html", "--plotly", "cdn")[1]
    assert "cdn.plot.ly" in (tmp_path / "watched.html").read_text()


def test_a_report_replaces_no_file_unasked(call, searched, tmp_path):
    thesis = tmp_path / "thesis.html"
    thesis.write_text("years of work")
    code, _, err = call("report", searched / "tiny", "--out", thesis)
    assert (code, "--overwrite" in err, thesis.read_text()) == (2, True, "years of work")
    assert call("report", searched / "tiny", "--out", thesis, "--overwrite")[0] == 0


def test_data_info_counts(call, data):
    code, out, _ = call("data", "info", data)
    assert code == 0
    assert "420" in out


def test_a_dry_run_writes_nothing(call, tiny_space, data, tmp_path):
    code, out, _ = call(*options(tiny_space, data, tmp_path / "results", "--dry-run"))
    assert code == 0
    assert "on this device" in out
    assert not (tmp_path / "results").exists()


def test_another_search_is_refused_with_5_and_a_busy_folder_with_4(call, searched, data):
    from fer_search.runfolder.folder import RunFolder

    again = options(searched / "tiny.py", data, searched)
    assert call(*again, "--seed", 3)[0] == 5
    with RunFolder(searched / "tiny").lock():
        assert call(*again)[0] == 4
    assert call(*again)[0] == 0


@pytest.fixture
def send_in_second_epoch(monkeypatch):
    """Makes a run send signals to its own process in the second epoch of its first trial, once."""

    def arm(*signals):
        real, pending = job_module.train, list(signals)

        def train(trial, data, hooks):
            report_progress = hooks.on_progress

            def send(progress):
                report_progress(progress)
                while progress.epoch == 2 and pending:
                    os.kill(os.getpid(), pending.pop(0))

            hooks.on_progress = send
            return real(trial, data, hooks)

        monkeypatch.setattr(job_module, "train", train)

    return arm


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_which_then_resumes(call, send_in_second_epoch, tiny_space, data, tmp_path, number, code):
    send_in_second_epoch(number)
    command = options(tiny_space, data, tmp_path, "--max-epochs", "3")
    ended, _, err = call(*command)
    assert ended == code, err
    assert "Re-run the same command to resume." in err
    assert json.loads((tmp_path / "tiny" / "run.json").read_text())["state"] == "interrupted"
    ended, _, err = call(*command)
    assert ended == 0, err
    assert "resuming after epoch 1" in err


class Exited(BaseException):
    """Stands for the end of the process."""


def test_a_second_interrupt_exits_at_once(send_in_second_epoch, tiny_space, data, tmp_path, monkeypatch, capfd):
    def exit_process(code):
        raise Exited(code)

    send_in_second_epoch(signal.SIGINT, signal.SIGINT)
    monkeypatch.setattr("fer_search.search.trials.signals._exit", exit_process)
    monkeypatch.setattr(sys, "argv", ["fer-search", *map(str, options(tiny_space, data, tmp_path))])
    with pytest.raises(Exited) as ended:
        cli.main()
    assert ended.value.args == (130,)
    assert "stopped immediately; re-run the same command to resume" in capfd.readouterr().err


def test_confirm_prints_what_the_best_design_reaches_on_the_test_images(call, searched, data):
    run = next(path.parent for path in searched.rglob("run.json"))
    code, out, err = call("confirm", run, "--top", 1, "--seeds", 1, "--data", data)
    assert code == 0
    assert "210 test" in out
    assert "training 1 of 1" in err
    code, out, _ = call("confirm", run, "--top", 1, "--seeds", 1, "--data", data, "--json")  # nothing is trained again
    assert code == 0
    assert {row["part"] for row in json.loads(out)} == {"test", "test_new"}
    assert call("confirm", run, "--top", 2, "--data", data)[0] == 5
