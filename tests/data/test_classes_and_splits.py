"""Arbitrary classes and the usual split layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_search.data.load import load_dataset
from fer_search.data.options import DataOptions
from fer_search.data.split import make_split
from fer_search.errors import UserError


def picture(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    return np.asarray(Image.fromarray(rng.integers(0, 255, (6, 6)).astype(np.uint8)).resize((48, 48)))


def write(root: Path, files: dict[str, int]) -> Path:
    """Write images from a mapping of path to image number."""
    for name, number in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number)).save(root / name)
    return root


def folders(root: Path, classes: list[str], each: int = 10, split: str = "") -> Path:
    names = [f"{split}{name}/{name}{k:02d}.png" for name in classes for k in range(each)]
    return write(root, {name: k for k, name in enumerate(names)})


def load(root: Path, tmp_path: Path, **options):
    return load_dataset(str(root), cache_dir=tmp_path / "cache", options=DataOptions(**options))


def test_classes_are_the_folder_names(tmp_path: Path) -> None:
    dataset = load(folders(tmp_path / "f", ["Happiness", "Sadness", "contempt"]), tmp_path)
    assert dataset.classes == ("happy", "sad", "contempt")
    assert np.bincount(dataset.labels).tolist() == [10, 10, 10]


def test_an_unknown_folder_name_is_not_guessed(tmp_path: Path) -> None:
    root = folders(tmp_path / "f", ["happy", "bored", "sad"])
    with pytest.raises(UserError, match=r"class folder bored: 'bored' is not a known emotion; add --map bored=CLASS"):
        load(root, tmp_path)
    assert load(root, tmp_path, classes=("happy", "sad", "bored")).classes == ("happy", "sad", "bored")
    merged = load(root, tmp_path, mapping=("bored=neutral",))
    assert merged.classes == ("happy", "sad", "neutral")
    dropped = load(root, tmp_path, mapping=("bored=drop",))
    assert dropped.classes == ("happy", "sad")
    assert "10 images of bored are left out (--classes, --map)" in dropped.notes


def test_a_name_of_several_words_is_mapped_however_they_are_spaced(tmp_path: Path) -> None:
    root = folders(tmp_path / "f", ["happy", "very\nbored", "sad"])
    with pytest.raises(UserError, match=r"add --map 'very bored=CLASS' \(or 'very bored=drop'\)") as caught:
        load(root, tmp_path)
    assert "\n" not in str(caught.value)
    assert load(root, tmp_path, mapping=("Very  bored=neutral",)).classes == ("happy", "sad", "neutral")


def test_a_subset_of_the_classes_can_be_selected(tmp_path: Path) -> None:
    root = folders(tmp_path / "f", ["angry", "happy", "sad", "neutral"])
    dataset = load(root, tmp_path, classes=("Happiness", "sad"))
    assert dataset.classes == ("happy", "sad")
    assert len(dataset.labels) == 20
    assert "20 images of angry, neutral are left out (--classes, --map)" in dataset.notes
    with pytest.raises(UserError, match=r"--classes fear: .* has no such class; it has angry, happy, sad, neutral"):
        load(root, tmp_path, classes=("fear", "sad"))
    with pytest.raises(UserError, match="only one class, sad"):
        load(root, tmp_path, classes=("sad",))


def test_numbered_folders_need_a_class_map(tmp_path: Path) -> None:
    root = folders(tmp_path / "f", [str(k) for k in range(1, 8)])
    with pytest.raises(UserError, match=r"the classes are numbers; .*--map rafdb \(1 surprise \.\.\. 7 neutral\)"):
        load(root, tmp_path)
    dataset = load(root, tmp_path, mapping=("rafdb",))
    assert dataset.classes == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    name = {4: "happy", 1: "surprise", 6: "angry"}
    first = {dataset.classes[label]: image for image, label in zip(dataset.images, dataset.labels, strict=True)}
    for number, emotion in name.items():
        np.testing.assert_array_equal(first[emotion], picture((number - 1) * 10 + 9))
    own = load(root, tmp_path, mapping=("1=yes,2=yes,3=no,4=no,5=drop,6=drop,7=drop",))
    assert own.classes == ("no", "yes")


def test_affectnet_labels_in_an_npz(tmp_path: Path) -> None:
    images, labels = np.stack([picture(k) for k in range(80)]), np.arange(80) % 8
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    with pytest.raises(UserError, match=r"labels, image 7 .*: label '7' is not from 0 to 6; .*--map .*affectnet"):
        load(tmp_path / "a.npz", tmp_path)
    dataset = load(tmp_path / "a.npz", tmp_path, mapping=("affectnet",))
    assert [dataset.classes[label] for label in dataset.labels[:8]] == [
        *("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
    ]


@pytest.mark.parametrize(
    ("preset", "names", "emotions", "people"),
    [
        ("jaffe", ["KA.AN1.39.tiff", "KA.HA2.30.tiff", "MK.AN1.1.tiff", "MK.HA1.2.tiff", "TM.AN1.1.tiff"], 2, 3),
        ("kdef", ["AF01ANS.JPG", "AF01HAS.JPG", "AM02ANS.JPG", "BF01HAFL.JPG", "AM03ANS.JPG"], 2, 3),
    ],
)
def test_labels_are_read_from_file_names(preset: str, names, emotions: int, people: int, tmp_path: Path) -> None:
    root = write(tmp_path / "f", {name: k for k, name in enumerate(names)})
    with pytest.raises(UserError, match=f"is in no class folder; its name looks like .*: --map {preset}"):
        load(root, tmp_path)
    dataset = load(root, tmp_path, mapping=(preset,), test=0.0)
    assert len(dataset.classes) == emotions
    assert dataset.groups is not None
    assert len(set(dataset.groups.tolist())) == people


@pytest.mark.parametrize("bad", ["happy", "=sad", "a=", "x=a/b"])
def test_an_invalid_map_is_reported(bad: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--map|class name"):
        load(folders(tmp_path / "f", ["happy", "sad"]), tmp_path, mapping=(bad,))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train", "valid", "test"), ("train", "validation", "test")),
        (("Training", "Validation", "Testing"), ("train", "validation", "test")),
        (("train", "PublicTest", "private test"), ("train", "public_test", "private_test")),
        (("training", "dev", "private-test"), ("train", "validation", "private_test")),
    ],
)
def test_usual_split_names_are_recognised(names, expected, tmp_path: Path) -> None:
    for name in names:
        folders(tmp_path / "f", ["happy", "sad"], split=f"{name}/")
    dataset = load(tmp_path / "f", tmp_path)
    assert [len(dataset.rows(split)) for split in expected] == [20, 20, 20]


def test_data_without_a_test_split_gets_a_fixed_one(tmp_path: Path) -> None:
    root = folders(tmp_path / "f", ["happy", "sad"], each=20)
    dataset = load(root, tmp_path)
    rows = dataset.rows("test")
    assert np.bincount(dataset.labels[rows]).tolist() == [2, 2]
    assert "no test images: 4 of 40 training images are set aside for the test" in dataset.notes
    np.testing.assert_array_equal(load(root, tmp_path).rows("test"), rows)
    assert len(load(root, tmp_path, test=0.25).rows("test")) == 10
    assert not len(load(root, tmp_path, test=0.0).rows("test"))
    folders(tmp_path / "g", ["happy", "sad"], split="train/")
    with pytest.raises(UserError, match="has test images of its own"):
        load(folders(tmp_path / "g", ["happy", "sad"], split="test/"), tmp_path, test=0.2)


def test_a_person_is_on_one_side_of_the_split(tmp_path: Path) -> None:
    """With frames of persons named as in CK+: S010_004_00000017.png."""
    files = {
        f"{emotion}/S{person:03d}_{k:03d}.png": number
        for number, (person, emotion, k) in enumerate(
            (p, e, k) for p in range(12) for e in ("happy", "sad") for k in (1, 2)
        )
    }
    root = write(tmp_path / "f", files)
    dataset = load(root, tmp_path, group_by=r"^(S\d+)", test=0.25)
    tested = dataset.rows("test")
    assert 8 <= len(tested) <= 16
    assert not set(dataset.groups[tested]) & set(dataset.groups[dataset.rows("train")])
    split = make_split(dataset, validation=0.25, seed=3)
    assert len(split.validation) > 0
    assert not set(dataset.groups[split.validation]) & set(dataset.groups[split.train])
    assert set(dataset.labels[split.train]) == {0, 1}
    with pytest.raises(UserError, match=r"--group-by 'X\(.\)' does not match happy/S000_001\.png"):
        load(root, tmp_path, group_by="X(.)")
    with pytest.raises(UserError, match="is not a regular expression"):
        load(root, tmp_path, group_by="(")


def test_validation_own_needs_a_validation_split(tmp_path: Path) -> None:
    dataset = load(folders(tmp_path / "f", ["happy", "sad"]), tmp_path)
    with pytest.raises(UserError, match="has no validation split; --validation own needs one"):
        make_split(dataset, validation="own")
    assert len(make_split(dataset, validation=None).validation) == 2
