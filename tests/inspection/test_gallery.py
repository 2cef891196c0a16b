from pathlib import Path

import numpy as np

from fer_search.design import Augmentation
from fer_search.inspection.gallery import augmentations, draw_rows, plot_space
from fer_search.space import load_space

SPACES = Path(__file__).resolve().parents[2] / "search_spaces"


def test_each_augmentation_of_a_space_comes_once():
    found = augmentations(load_space(SPACES / "report.py"))
    settings = {(a.cutout, a.mixup_alpha, a.mixup_share) for a in found.values() if a.rotation == 30}
    assert settings >= {(0, 0, 0), (8, 0, 0), (16, 0, 0), (0, 0.3, 0), (0, 0, 0.7)}
    assert len(set(found.values())) == len(found)
    assert next(iter(found)) == "the defaults"


def test_images_are_drawn_as_a_training_sees_them(faces):
    images, labels = faces.images[:5], faces.labels[:5]
    same = draw_rows(Augmentation(), images, labels, seed=0)
    np.testing.assert_array_equal(same, np.concatenate(list(images), axis=1))
    cut = draw_rows(Augmentation(cutout=8, cutout_clipped=False), images, labels, seed=0)
    assert np.sum(cut != same) <= 5 * 64
    assert all((cut[:, 48 * k : 48 * k + 48] == 0).sum() >= 64 for k in range(5))


def test_the_page_needs_nothing_else_and_escapes_names(tmp_path, faces):
    path = tmp_path / "a<b>.py"
    path.write_text(
        "from fer_search.design import *\n"
        "def design(hp):\n"
        "    strong = hp.Choice('<script>alert(1)</script>', [0.0, 30.0])\n"
        "    return Design(augmentation=Augmentation(rotation=strong))\n"
    )
    page = plot_space(load_space(path), faces.images, faces.labels, tmp_path / "out.html", "toy faces").read_text()
    assert "<script" not in page
    assert "http" not in page
    assert page.count("<img") == 3  # unchanged, no rotation, 30 degrees
    assert "rotation 30" in page
