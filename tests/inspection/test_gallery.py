import re
from pathlib import Path

import numpy as np

from fer_search.design import Augmentation
from fer_search.inspection.gallery import augmentations, draw_row, plot_space
from fer_search.space import load_space

SPACES = Path(__file__).resolve().parents[2] / "search_spaces"


def test_each_augmentation_of_a_space_is_shown_once():
    shown = augmentations(load_space(SPACES / "report.py"))
    settings = {(a.cutout, a.mixup_alpha, a.mixup_share) for a in shown.values() if a.rotation == 30}
    assert settings >= {(0, 0, 0), (8, 0, 0), (16, 0, 0), (0, 0.3, 0), (0, 0, 0.7)}
    assert len(set(shown.values())) == len(shown)
    assert next(iter(shown)) == "the defaults"
    assert "mixup = 70/30" in shown


def test_images_are_augmented_as_in_training(faces):
    images, labels = faces.images[:5], faces.labels[:5]
    same, own = draw_row(Augmentation(), images, labels, 0, 7)
    np.testing.assert_array_equal(same, np.concatenate(list(images), axis=1))
    np.testing.assert_array_equal(own.argmax(axis=1), labels)
    cut, _ = draw_row(Augmentation(cutout=8, cutout_clipped=False), images, labels, 0, 7)
    assert np.sum(cut != same) <= 5 * 64
    assert all((cut[:, 48 * k : 48 * k + 48] == 0).sum() >= 64 for k in range(5))


def test_conditional_choices_are_shown_where_they_are_active(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from fer_search.design import *\n"
        "def design(hp):\n"
        "    kind, turn = hp.Choice('kind', ['none', 'turned']), 0\n"
        "    with hp.conditional_scope('kind', ['turned']):\n"
        "        if kind == 'turned':\n"
        "            turn = hp.Choice('turn', [10, 20])\n"
        "    return Design(augmentation=Augmentation(rotation=turn))\n"
    )
    shown = {name: a.rotation for name, a in augmentations(load_space(path)).items()}
    assert shown == {"the defaults": 0, "kind = turned": 10, "turn = 20": 20}


def test_mixed_images_are_labelled_with_their_class_weights(tmp_path, faces):
    path = tmp_path / "mine.py"
    path.write_text(
        "from fer_search.design import *\n"
        "def design(hp):\n"
        "    a = Augmentation(mixup_share=hp.Choice('share', [0.0, 0.7]), label_smoothing=0.07)\n"
        "    return Design(augmentation=a)\n"
    )
    page = plot_space(load_space(path), faces, tmp_path / "out.html").read_text()
    assert "<li>happy</li>" in page  # unchanged
    assert "<li>happy 0.94</li>" in page  # smoothed
    assert re.search(r"<li>\w+ 0\.66<br>\w+ 0\.29</li>", page)


def test_the_page_is_self_contained_and_escapes_names(tmp_path, faces):
    path = tmp_path / "a<b>.py"
    path.write_text(
        "from fer_search.design import *\n"
        "def design(hp):\n"
        "    strong = hp.Choice('<script>alert(1)</script>', [0.0, 30.0])\n"
        "    return Design(augmentation=Augmentation(rotation=strong))\n"
    )
    page = plot_space(load_space(path), faces, tmp_path / "out.html").read_text()
    assert "<script" not in page
    assert "http" not in page
    assert page.count("<img") == 3  # unchanged, no rotation, 30 degrees
    assert "rotation 30" in page
