"""fer-search export: formats, the parity check, accompanying files and refusals."""

import dataclasses
import io
import shutil

import numpy as np
import pytest
from rich.console import Console

from fer_search.errors import UserError
from fer_search.export import run as export_module
from fer_search.export.metadata import ModelInfo
from fer_search.export.run import Settings, export_network
from fer_search.export.runtime import open_model
from fer_search.export.source import find_network, load_network

FORMATS = [("keras", None), ("tflite", None), ("tflite", "float16"), ("tflite", "int8"), ("onnx", None)]


@pytest.fixture
def export(tmp_path):
    """Return a function that exports a run and returns the result and the output."""

    def run(folder, **options):
        with (tmp_path / "printed.txt").open("w+") as out:
            options = {"out": tmp_path / "exported"} | options
            exported = export_network(Settings(folder, **options), Console(file=out, soft_wrap=True))
            out.seek(0)
            return exported, out.read()

    return run


@pytest.fixture(scope="module")
def exported_trial(searched_run, tmp_path_factory):
    """The folder that an export of a trial of a search wrote. Do not write to it."""
    folder = tmp_path_factory.mktemp("export") / "searched"
    export_network(Settings(searched_run, out=folder, trial="plain"), Console(quiet=True))
    return folder


@pytest.fixture(scope="module")
def confirmed(confirmed_run, images):
    """The confirmed network's probabilities of the images, and its metadata."""
    model, info = load_network(find_network(confirmed_run))
    return np.asarray(model.predict_on_batch(images[..., None].astype("float32"))), info


@pytest.mark.parametrize(("form", "quantise"), [*FORMATS, ("saved_model", None)])
def test_every_format_gives_the_networks_predictions(confirmed_run, images, confirmed, export, form, quantise):
    exported, printed = export(confirmed_run, format=form, quantise=quantise)
    expected, info = confirmed
    opened = open_model(exported.path)
    assert opened.info == info
    np.testing.assert_allclose(
        opened.probabilities(images), expected, atol={None: 1e-5, "float16": 0.01}.get(quantise, 0.2)
    )
    assert opened.probabilities(images[:3]).shape == (3, 7)
    assert f"agrees on {exported.parity.agreeing} of {exported.parity.images} images" in printed
    assert "Test-time augmentation is part of the graph: the mean over the image and its mirror image" in printed
    beside = exported.path if form == "saved_model" else exported.path.parent
    assert (beside / "labels.txt").read_text().splitlines() == list(info.classes)


def test_the_model_card_states_test_data_and_unsuitable_uses(confirmed_run, exported_trial, export, tmp_path):
    export(confirmed_run)
    card = (tmp_path / "exported" / "MODEL_CARD.md").read_text()
    network = find_network(confirmed_run)
    with np.load(network.file.parent / "test.npz") as kept:
        hits = kept["probabilities"].argmax(axis=1) == kept["labels"]
    assert f"{hits.mean():.1%}" in card
    assert "evaluated once" in card
    assert "drawn toy faces" in card
    assert "| disgust |" in card
    assert "must not decide about people" in card
    assert "largest difference of a probability" in card
    assert "These images chose the epoch" in (exported_trial / "MODEL_CARD.md").read_text()


def test_an_export_with_different_predictions_is_not_written(searched_run, export, monkeypatch, tmp_path):
    def broken(model, path, info, **options):
        model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
        export_module.WRITERS_BEFORE["keras"](model, path, info)

    monkeypatch.setattr(export_module, "WRITERS_BEFORE", dict(export_module.WRITERS), raising=False)
    monkeypatch.setitem(export_module.WRITERS, "keras", broken)
    with pytest.raises(UserError, match="does not predict what the network predicts") as error:
        export(searched_run)
    assert error.value.exit_code == 1
    assert not list((tmp_path / "exported").iterdir())


def test_existing_files_are_not_overwritten(searched_run, exported_trial, export, tmp_path):
    shutil.copytree(exported_trial, tmp_path / "exported")
    with pytest.raises(UserError, match="exists already"):
        export(searched_run)
    export(searched_run, overwrite=True)
    assert (tmp_path / "exported" / "model.keras").read_bytes() != (exported_trial / "model.keras").read_bytes()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "labels.txt").write_text("dog\ncat\n")
    with pytest.raises(UserError, match=r"labels\.txt exists already"):
        export(searched_run, out=tmp_path / "mine")


def test_a_missing_network_gives_an_error_with_a_hint(searched_run, confirmed_run, tmp_path):
    assert not find_network(searched_run).confirmed
    assert find_network(confirmed_run, trial="flipped").confirmed
    assert not find_network(confirmed_run, trial="plain").confirmed
    assert not find_network(confirmed_run, confirmed=False).confirmed
    with pytest.raises(UserError, match="is not confirmed; run fer-search confirm"):
        find_network(searched_run, confirmed=True)
    run = shutil.copytree(searched_run, tmp_path / "run")
    for file in run.glob("trial_*/*.h5"):
        file.unlink()
    with pytest.raises(UserError, match=r"Train this design again with: fer-search confirm .* --trial"):
        find_network(run)
    shutil.copy(run / "run.json", run / "trial_0000" / "best.weights.h5")
    with pytest.raises(UserError, match="fer-search doctor"):
        load_network(find_network(run, "0"))


def test_a_missing_confirmed_network_is_not_replaced_silently(confirmed_run, tmp_path, capsys):
    run = shutil.copytree(confirmed_run, tmp_path / "run")
    first, second = (find_network(run).file.parents[1] / f"training_0{seed}" / "model.keras" for seed in (0, 1))
    assert capsys.readouterr().err == ""
    for file, instead in ((first, "confirmed, seed 1"), (second, "as trained by the search")):
        file.unlink()
        assert find_network(run).description.endswith(instead)
        err = capsys.readouterr().err
        assert err.startswith(f"{first} is missing; fer-search confirm {run}, with the same options, trains it again")
        assert instead in err
        with pytest.raises(UserError, match=r"model\.keras is missing; fer-search confirm"):
            find_network(run, confirmed=True)
    assert find_network(run, confirmed=False).file.name == "best.weights.h5"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("form", "out", "message"),
    [
        ("saved_model", "f.txt", r"f\.txt is a file; choose another --out"),
        ("keras", "f.txt/model.keras", r"f\.txt is a file; choose another --out"),
        ("keras", "dangling/model.keras", r"cannot be written \(File exists\); choose another --out"),
        ("keras", "a" * 300 + ".keras", r"cannot be written \(File name too long\); choose another --out"),
        ("keras", "folder", r"folder.model\.keras is a folder; choose another --out"),
        ("saved_model", "folder", "is a folder with other files; choose a new one"),
        ("saved_model", "link", "--out .* is a symbolic link"),
        ("keras", None, "is the network that is exported; choose another --out"),
    ],
)
def test_unusable_places_are_reported_before_the_network_is_loaded(
    searched_run, tmp_path, monkeypatch, form, out, message
):
    (tmp_path / "f.txt").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "folder" / "model.keras").mkdir(parents=True)
    (tmp_path / "link").symlink_to("folder")
    network = dataclasses.replace(find_network(searched_run), file=tmp_path / "network.keras")
    network.file.write_text("the network")
    monkeypatch.setattr(export_module, "find_network", lambda *given: network)
    monkeypatch.setattr(export_module, "load_network", lambda *given: pytest.fail("it is loaded"))
    place = network.file if out is None else tmp_path / out
    with pytest.raises(UserError, match=message):
        export_network(Settings(searched_run, format=form, out=place, overwrite=True), Console(quiet=True))
    assert (tmp_path / "f.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "onnx", "quantise": "int8"}, "--quantise int8 is for --format tflite"),
        ({"format": "onnx", "out": "x.tflite"}, "must end in .onnx"),
    ],
)
def test_invalid_options_are_reported(searched_run, export, tmp_path, options, message):
    if "out" in options:
        options = options | {"out": tmp_path / options["out"]}
    with pytest.raises(UserError, match=message):
        export(searched_run, **options)


def test_escape_sequences_in_the_name_of_a_network_are_not_printed(monkeypatch, tmp_path):
    def stop(model):
        raise InterruptedError

    info, out = ModelInfo(("happy",), 48, 48, 1, "run", "\x1b[31mred", "one", "1"), io.StringIO()
    fakes = {"load_network": lambda *given: (None, info), "_validation_images": lambda settings: ([], [])}
    fakes |= {"find_network": lambda *given: None, "_check_free": lambda *given: None, "foreign_layers": stop}
    for name, fake in fakes.items():
        monkeypatch.setattr(export_module, name, fake)
    with pytest.raises(InterruptedError):
        export_network(Settings(tmp_path), Console(file=out, width=200))
    assert out.getvalue().startswith("Exporting \\x1b[31mred of ")
