"""The epoch table of a trial, epochs.csv."""

from fer_search.runfolder.epochs import METRIC_COLUMNS, append_epoch, read_epochs, rewrite_epochs


def row(epoch):
    return {name: epoch + k / 7 for k, name in enumerate(METRIC_COLUMNS)} | {"epoch": epoch}


def test_epochs_come_back_exactly_and_a_torn_last_line_does_not_count(tmp_path):
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
        whole = text[:cut].count("\n")
        assert len(read_epochs(path)) == max(whole - 1, 0)
    rewrite_epochs(path, rows[:1])
    assert path.read_text() == text[: text.index("\n", text.index("\n") + 1) + 1]
