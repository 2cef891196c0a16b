"""Misbehaving space files end in a one-line error with the line number."""

import subprocess
import sys
import threading

import pytest

from fer_search import spaceguard
from fer_search.errors import UserError
from fer_search.space import load_space

HEAD = "from fer_search.design import Augmentation, Design, Optimisation\n"
DESIGN = "def design(hp):\n    {}\n    return Design()\n"
CHOICES = {
    "hp.Float('rate', 0.0, float('inf'))": "range must be finite",
    "hp.Float('rate', float('nan'), 1.0)": "rate",
    "hp.Float('rate', 1.0, 1e309)": "range must be finite",
    "hp.Float('rate', -1e308, 1e308)": "range must be finite",
    "hp.Float('rate', 1e-300, 1e300, sampling='log')": "too wide",
    "hp.Float('rate', 0.0, 1.0, step=1e-9)": "more than 10,000 values",
    "hp.Float('rate', 1e-10, 1e10, step=1.00001, sampling='log')": "more than 10,000 values",
    "hp.Float('rate', 1e-10, 1e10, step=1.00001, sampling='reverse_log')": "more than 10,000 values",
    "hp.Int('n', 1, 10**15, step=1, sampling='log')": "step > 1",
    "hp.Float('rate', 0.0, 1.0, step=-0.1)": "step must be above 0",
    "hp.Float('rate', 0.0, 1.0, default=7.0)": "default 7.0 is not from",
    "hp.Int('n', 0, 10**30)": "within 10**15",
    "hp.Int('n', 0, 10**12)": "more than 10,000 values",
    "hp.Int('n', 0, 9, step=0)": "step must be above 0",
    "hp.Choice('n', list(range(10_000)))": "10,000 values",
    "hp.Choice('n', [1.0, float('nan')])": "must be finite",
    "hp.Choice('a\\x1b[31m', [1, 2])": "control character",
    "hp.Choice('\\ud800', [1, 2])": "control character",
    "hp.Choice('n', ['a', '\\ud800'])": "control character",
    "hp.Choice('', [1, 2])": "name of a choice",
    "hp.Choice('n' * 999, [1, 2])": "999 characters",
    "[hp.Boolean(f'c{k}') for k in range(2000)]": "more than 500 choices",
    "import sys; sys.exit(0)": "it calls sys.exit",
    "import os; os._exit(0)": "it calls os._exit",
    "raise KeyboardInterruptLike": "KeyboardInterruptLike",
    "raise BaseException('odd')": "BaseException: odd",
    "raise type('Odd', (BaseException,), {})('so')": "Odd: so",
    "import random; hp.Boolean(f'c{random.random()}')": "changes from call to call",
    "return __import__('itertools').count": "must return a fer_search.design.Design",
    "def f(): f()\n    f()": "RecursionError",
}


@pytest.fixture
def space(tmp_path):
    """Return a function that writes a space file with a given statement in design(hp)."""

    def write(statement, head=HEAD):
        path = tmp_path / "space.py"
        path.write_text(head + DESIGN.format(statement), encoding="utf-8", errors="backslashreplace")
        return path

    return write


@pytest.mark.parametrize("statement", CHOICES)
def test_an_unsearchable_choice_is_a_one_line_error(space, statement):
    path = space(statement)
    with pytest.raises(UserError) as refused:
        load_space(path)
    message = str(refused.value)
    assert CHOICES[statement] in message
    assert f"{path}, line " in message
    assert "\n" not in message
    assert refused.value.exit_code == 2


def test_base_exceptions_raised_by_a_space_are_errors(tmp_path):
    path = tmp_path / "space.py"
    path.write_text("class Odd(Exception): pass\nraise Odd('so')\n")
    with pytest.raises(UserError, match="line 2: Odd: so"):
        load_space(path)


def test_a_nondeterministic_design_is_refused(tmp_path):
    path = tmp_path / "space.py"
    path.write_text(
        HEAD + "calls = []\ndef design(hp):\n    calls.append(1)\n"
        "    return Design(augmentation=Augmentation(rotation=len(calls) % 30))\n"
    )
    with pytest.raises(UserError, match="line 3: the same values give a different design"):
        load_space(path)


def test_output_of_a_space_goes_to_stderr(space, capsys):
    load_space(space("print('hello')", head=HEAD + "print('top')\n"))
    out, err = capsys.readouterr()
    assert out == ""
    assert "hello" in err
    assert "top" in err


def test_a_hanging_space_is_reported_with_its_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(spaceguard, "SLOW_SECONDS", 0.05)
    path = tmp_path / "slow.py"
    path.write_text("import time\ndef run(until):\n    while not until.is_set():\n        time.sleep(0.01)\n")
    namespace: dict = {}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    until = threading.Event()
    threading.Timer(1.0, until.set).start()
    with spaceguard.guarded_call(path):
        namespace["run"](until)
    err = capsys.readouterr().err
    assert f"{path}, line " in err
    assert "still running" in err


def test_a_space_from_a_fifo_or_device_is_refused(tmp_path):
    import os

    os.mkfifo(tmp_path / "space.py")
    with pytest.raises(UserError, match="FIFO"):
        load_space(tmp_path / "space.py")
    with pytest.raises(UserError, match="device"):
        load_space("/dev/zero")
    (tmp_path / "deep.py").write_text("x = " + "(" * 5000 + ")" * 5000)
    with pytest.raises(UserError, match=r"deep\.py"):
        load_space(tmp_path / "deep.py")
    (tmp_path / "nul.py").write_bytes(b"x = 1\0\n")
    with pytest.raises(UserError, match=r"nul\.py"):
        load_space(tmp_path / "nul.py")


def test_os_exit_in_a_space_becomes_an_error(space):
    code = f"import sys; sys.argv = ['fer-search', 'space', 'check', {str(space('import os; os._exit(0)'))!r}]\n"
    ended = subprocess.run(
        [sys.executable, "-c", code + "from fer_search.cli import main; main()"], capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert "it calls os._exit" in ended.stderr
    assert "Traceback" not in ended.stderr
