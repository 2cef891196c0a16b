"""Output: hostile text is harmless in terminals and spreadsheets; output errors never fail a trial."""

import csv
import errno
import io
import os
import subprocess
import sys

import pytest
from rich.table import Table

from fer_search.console import SafeConsole
from fer_search.search.display.choose import TolerantReporter
from fer_search.search.display.events import Note
from fer_search.search.display.json_lines import JsonLines
from fer_search.terminal import OutputError, OutputStream, printable, spreadsheet_safe


def test_control_characters_are_escaped():
    assert printable("a\x1b[31mb\x07\x9b\x00") == "a\\x1b[31mb\\x07\\x9b\\x00"
    assert printable("\ud800 \u202e \u2028") == "\\ud800 \\u202e \\u2028"
    assert printable("tab\tline\nümlaut 表情") == "tab\tline\nümlaut 表情"


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", " =x", "\t=x"])
def test_spreadsheet_formulas_are_escaped(text):
    assert spreadsheet_safe(text).startswith("'")


@pytest.mark.parametrize("text", ["-0.5", "+3", "1e-3", "-1.5e-07", "plain", "a=b", ""])
def test_numbers_and_plain_text_are_unchanged(text):
    assert spreadsheet_safe(text) == text


def test_markup_and_emoji_codes_are_not_interpreted():
    out = io.StringIO()
    table = Table("[red]head[/red]", title="[/]")
    table.add_row("[/] :smile: [bold]x[/bold]\x1b[31m")
    console = SafeConsole(file=out, width=100)
    console.print(table)
    console.print("[/] and [link=x]")
    text = out.getvalue()
    assert "[red]head[/red]" in text
    assert "[/] :smile: [bold]x[/bold]\\x1b[31m" in text
    assert "[/] and [link=x]" in text
    assert "\x1b" not in text


class Full(io.StringIO):
    """A stream on a full disk or a closed terminal."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def write(self, text):
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EPIPE])
def test_a_search_continues_when_its_output_fails(number, capsys):
    reporter = TolerantReporter(JsonLines(OutputStream(Full(number))))
    for _ in range(3):
        reporter.show(Note("text"))
    reporter.close()
    assert capsys.readouterr().err.count("output stopped") == 1


def test_stream_errors_are_distinguished_from_other_file_errors():
    with pytest.raises(OutputError):
        OutputStream(Full(errno.ENOSPC)).write("x")
    tolerant = OutputStream(Full(errno.EIO), tolerant=True)
    assert tolerant.write("x") == 1
    assert OutputStream(None).write("nothing there") == 13


def command(run, arguments, stdout):
    code = f"import sys; sys.argv = ['fer-search', *{arguments!r}]; from fer_search.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


RUN = "results/report_cpu"  # a run that is part of the repository


@pytest.mark.parametrize("arguments", [["status", RUN, "--json"], ["trials", RUN], ["report", RUN, "--format", "csv"]])
def test_a_full_disk_at_stdout_is_one_line_and_a_closed_pipe_is_silent(arguments):
    with open("/dev/full", "w") as full:
        ended = command(RUN, arguments, full)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "could not be written" in ended.stderr
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        ended = command(RUN, arguments, pipe)
    assert (ended.returncode, ended.stderr) in ((0, ""), (1, ""))


def test_csv_cells_are_not_formulas(tmp_path):
    import shutil

    from fer_search.report import to_csv
    from fer_search.runfolder.json_files import read_json, write_json

    run = shutil.copytree(RUN, tmp_path / "run")
    content = read_json(run / "run.json")
    write_json(run / "run.json", content | {"name": "=HYPERLINK(1)"})
    rows = list(csv.reader(io.StringIO(to_csv(run))))
    assert "'=HYPERLINK(1)" in rows[1]
