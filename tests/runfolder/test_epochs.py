"""The epoch table of a trial, epochs.csv."""

from fer_search.runfolder.epochs import METRIC_COLUMNS, append_epoch, read_epochs, rewrite_epochs


def row(epoch):
    return {name: epoch + k / 7 for k, name in enumerate(METRIC_COLUMNS)} | {"epoch": epoch}


def test_epochs_round_trip_exactly_and_a_truncated_last_line_is_ignored(tmp_path):
    path = tmp_path / "epochs.csv"
    assert read_epochs(path) == []
    append_epoch(path, row(1))
    append_epoch(path, row(2))
    rows = read_epochs(path)
    assert [r["epoch"] for r in rows] == [1, 2]
    assert rows[1]["val_loss"] == row(2)["val_loss"]
    text = path.read_text()
    for cut in range(len(text)):
        path.write_text(text[:cut])
        complete_lines = text[:cut].count("\n")
        assert len(read_epochs(path)) == max(complete_lines - 1, 0)
    rewrite_epochs(path, rows[:1])
    assert path.read_text() == text[: text.index("\n", text.index("\n") + 1) + 1]
