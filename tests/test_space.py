import dataclasses
from pathlib import Path

import pytest
from keras_tuner import HyperParameters

from fer_search.choices import ChoiceError, parse_value
from fer_search.design import Augmentation, Evaluation, Head, Optimisation, Plain
from fer_search.errors import UserError
from fer_search.space import load_space

ROOT = Path(__file__).resolve().parents[1]
REPORT, MODERN = (ROOT / "search_spaces" / f"{name}.py" for name in ("report", "modern"))


def space_of(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text)
    return path


def test_the_reports_scratch_rows_have_exactly_its_settings():
    space = load_space(REPORT)
    designs = {name: space.design(space.baseline(name)) for name in space.baselines}
    figure_1 = designs["figure_1"]
    assert figure_1.network.filters() == ((64, 64, 128, 128), (256, 256), (512, 512))
    assert figure_1.network.downsample == "max_pool"
    assert (figure_1.head.dense, figure_1.head.dropout) == ((), (0.0,))
    a = figure_1.augmentation
    assert (a.rotation, a.shear, a.zoom, a.flip, a.cutout, a.mixup_alpha) == (30, 0.2, 0.2, True, 0, 0.0)
    o = figure_1.optimisation
    assert (o.optimizer, o.learning_rate, o.batch_size, o.schedule) == ("adam", 1e-3, 256, "plateau")
    assert (o.plateau_factor, o.plateau_patience, o.min_learning_rate) == (0.1, 5, 1e-7)
    assert designs["strided_conv"].network.downsample == "strided"
    assert designs["cutout_8"].augmentation.cutout == 8
    assert designs["cutout_8"].augmentation.cutout_clipped
    assert designs["mixup_strided"].augmentation.mixup_alpha == 0.3
    assert designs["mixup_strided"].network.downsample == "strided"
    assert space.references["mixup_strided"] == 0.685


def test_the_reports_backbone_rows_have_exactly_its_layers_and_optimisers():
    space = load_space(REPORT)
    designs = {name: space.design(space.baseline(name)) for name in space.baselines}
    rgb, conv, sgd = (designs[name] for name in ("rgb_resnet152v2", "conv_resnet152v2", "rgb_resnet50_sgd"))
    for design in (rgb, conv, sgd):
        network = design.network
        assert (network.weights, network.input_size, network.preprocessing) == ("imagenet", 48, "rescale")
        assert network.train_from == 0
        assert design.augmentation == designs["figure_1"].augmentation
        assert (design.optimisation.learning_rate, design.optimisation.schedule) == (1e-3, "plateau")
    assert [d.network.name for d in (rgb, conv, sgd)] == ["ResNet152V2", "ResNet152V2", "ResNet50"]
    assert [d.network.channels for d in (rgb, conv, sgd)] == ["rgb", "conv", "rgb"]
    assert [d.optimisation.optimizer for d in (rgb, conv, sgd)] == ["adam", "adam", "sgd"]
    assert (rgb.head.dense, rgb.head.dropout) == (conv.head.dense, conv.head.dropout) == ((512, 256), (0.3, 0.2, 0.3))
    assert (sgd.head.dense, sgd.head.dropout) == ((512,), (0.3, 0.2))
    rows = {"figure_1": 0.6779, "rgb_resnet152v2": 0.385, "conv_resnet152v2": 0.334, "rgb_resnet50_sgd": 0.25}
    rows |= {"strided_conv": 0.678, "cutout_8": 0.676, "mixup_strided": 0.685}
    assert set(space.baselines) == set(rows)
    assert rows.items() <= space.references.items()


def test_published_recipes_are_baselines_of_modern():
    space = load_space(MODERN)
    vgg = space.design(space.baseline("khaireddin_vgg"))
    assert vgg.network == Plain(stages=((64, 64), (128, 128), (256, 256), (512, 512)))
    assert vgg.head == Head(dense=(4096, 4096), dropout=0.2, pooling="flatten", batch_norm=False)
    assert vgg.augmentation == Augmentation(rotation=10, shift=0.2, flip=True, resized_crop=0.64, erasing=0.5)
    assert vgg.evaluation == Evaluation(views="ten_crop", crop=40)
    momentum = {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 1e-2}
    # PyTorch's weight decay passes through the momentum, so it is 1 / (1 - 0.9) times as strong as Keras'
    assert vgg.optimisation == Optimisation(
        **momentum, weight_decay=1e-3, batch_size=64, schedule="plateau", plateau_factor=0.75
    )
    vgg19 = space.design(space.baseline("vgg19_bn"))
    assert [len(stage) for stage in vgg19.network.stages] == [2, 2, 4, 4, 4]
    assert vgg19.head == Head(dropout=0.5, pooling="flatten", batch_norm=False)
    assert vgg19.augmentation == Augmentation(flip=True, crop=44)
    assert vgg19.evaluation.views == "ten_crop"
    o = dataclasses.replace(vgg19.optimisation, plateau_factor=0.1)  # not used by its schedule
    assert o == Optimisation(
        **momentum, weight_decay=5e-3, batch_size=128, clip_value=0.1,
        schedule="step", step_start=80, step_every=5, step_factor=0.9,
    )  # fmt: skip
    resnet = space.design(space.baseline("resnet18_mixup"))
    assert resnet.network.stages == ((64, 64), (128, 128), (256, 256), (512, 512))
    assert (resnet.network.stem, resnet.network.shortcut, resnet.network.downsample) == (64, "identity", "strided")
    assert (resnet.augmentation.mixup_alpha, resnet.augmentation.label_smoothing) == (1.0, 0.1)


@pytest.mark.parametrize(("text", "value"), [("0", 0.0), ("5E-1", 0.5), (" 0.5 ", 0.5)])
def test_a_number_may_be_written_otherwise_than_in_the_space(text, value):
    choices = HyperParameters()
    choices.Choice("dropout", [0.0, 0.5])
    choices.Boolean("flip")
    assert parse_value(choices, "dropout", text) == value
    with pytest.raises(ChoiceError, match="flip must be one of"):
        parse_value(choices, "flip", "1")


def test_a_fixed_choice_has_one_value_in_every_design(rng):
    space = load_space(REPORT, fixed={"network": "residual", "blocks": "3"})
    assert all(sum(map(len, space.design(space.sample(rng)).network.stages)) == 12 for _ in range(50))
    assert "backbone" not in [choice.name for choice in space.choices().space]
    assert space.baselines == {}  # all have 2 blocks
    assert set(load_space(REPORT, fixed={"network": "residual"}).baselines) == {
        "figure_1", "strided_conv", "cutout_8", "mixup_strided",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"depth": "3"}, r"--fix: 'depth' is not a choice of the space; it has network, filters"),
        ({"network": "vgg"}, r"--fix: network must be one of 'residual', 'backbone', not 'vgg'"),
        ({"blocks": "9"}, r"--fix: blocks must be from 1 to 3, not 9"),
        ({"blocks": "many"}, r"--fix: blocks must be a number, not 'many'"),
    ],
)
def test_an_invalid_fixed_choice_is_reported(fixed, message):
    with pytest.raises(UserError, match=message):
        load_space(REPORT, fixed=fixed)


def test_unavailable_values_are_removed_with_what_depends_on_them(rng):
    space = load_space(REPORT).restricted({}, without={"backbone": ["ResNet50"]})
    assert "rgb_resnet50_sgd" not in space.baselines
    names = {getattr(space.design(space.sample(rng)).network, "name", None) for _ in range(60)}
    assert names == {None, "ResNet152V2"}
    space = load_space(REPORT).restricted({}, without={"network": ["backbone"]})
    assert len(space.baselines) == 4
    assert all(choice.name not in ("backbone", "channels") for choice in space.choices().space)


def test_width_and_batch_size_apply_to_every_design():
    space = load_space(REPORT, width=0.125, batch_size=64)
    design = space.design(space.choices())
    assert design.network.filters() == ((8, 8, 16, 16), (32, 32), (64, 64))
    assert design.optimisation.batch_size == 64


def test_choices_in_conditional_scopes_are_found(tmp_path):
    path = space_of(
        tmp_path,
        "from fer_search.design import *\n"
        "def design(hp):\n"
        "    kind = hp.Choice('kind', ['a', 'b'])\n"
        "    with hp.conditional_scope('kind', ['b']):\n"
        "        if kind == 'b':\n"
        "            more = hp.Choice('more', [1, 2])\n"
        "            with hp.conditional_scope('more', [2]):\n"
        "                if more == 2:\n"
        "                    hp.Choice('most', [3, 4])\n"
        "    return Design()\n",
    )
    choices = load_space(path).choices()
    assert [choice.name for choice in choices.space] == ["kind", "more", "most"]
    assert choices.values == {"kind": "a"}


def test_choices_after_a_branch_that_returns_early_are_found(tmp_path):
    path = space_of(
        tmp_path,
        "from fer_search.design import *\n"
        "def design(hp):\n"
        "    kind = hp.Choice('kind', ['a', 'b', 'c'])\n"
        "    with hp.conditional_scope('kind', ['a']):\n"
        "        if kind == 'a':\n"
        "            return Design()\n"
        "    with hp.conditional_scope('kind', ['b']):\n"
        "        if kind == 'b':\n"
        "            hp.Choice('of_b', [1, 2])\n"
        "            return Design()\n"
        "    with hp.conditional_scope('kind', ['c']):\n"
        "        hp.Choice('of_c', [1, 2])\n"
        "        return Design()\n",
    )
    assert [choice.name for choice in load_space(path).choices().space] == ["kind", "of_b", "of_c"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def design(hp)\n    pass\n", r"mine\.py, line 1: "),
        ("x = 1\n\nimport nothing_like_this\n", r"mine\.py, line 3: ModuleNotFoundError"),
        ("x = 1\n\n", r"mine\.py, line 2: no function design\(hp\)"),
        ("x = 1\nimport sys; sys.exit(0)\n", r"mine\.py, line 2: it calls sys.exit"),
        ("\n\ndef design(hp):\n    return 7\n", r"line 3: design\(hp\) must return a fer_search.design.Design, not 7"),
        ("\ndef design():\n    return 7\n", r"line 2: TypeError: design\(\) takes 0 positional arguments"),
        ("def design(hp):\n    return hp.Chioce('c', [1])\n", r"line 2: AttributeError: 'hp' object has no .*'Chioce'"),
        (
            "from fer_search.design import *\ndef design(hp):\n    return Design(\n        head=Head(dropout=3.0))\n"
            "baselines = {'a': {}}\n",
            r"mine\.py, line 4: Head\.dropout must be",
        ),
        (
            "from fer_search.design import *\ndef design(hp):\n    hp.Choice('c', [1, 2])\n    return Design()\n"
            "some = {'c': 1}\nbaselines = {\n    'b': {},\n    'a': some\n    | {'deep': 1},\n}\n",
            r"mine\.py, line 9: baseline 'a': 'deep' is not a choice of the space; it has c",
        ),
        (
            "from fer_search.design import *\ndef design(hp):\n    hp.Choice('c', [1, 2])\n    return Design()\n"
            "baselines = {'a': {'c': 3}}\n",
            r"mine\.py, line 5: baseline 'a': c must be one of 1, 2, not 3",
        ),
        (
            "from fer_search.design import *\ndef design(hp):\n    hp.Choice('c', [1, 2])\n    return Design()\n"
            "baselines = {n: {'c': 3} for n in 'ab'}\n",
            r"mine\.py, line 5: baseline 'a': c must be one of 1, 2, not 3",
        ),
        (
            "from fer_search.design import *\ndef design(hp):\n    return Design()\n\nbaselines = [1]\n",
            r"line 5: baselines must be a dictionary",
        ),
        (
            "from fer_search.design import *\ndef design(hp):\n    return Design()\nbaselines: dict = {'a': 3}\n",
            r"line 4: baseline 'a' must map choices to values",
        ),
        (
            "from fer_search.design import *\ndef design(hp):\n    return Design()\nreferences = {\n'a': 67.8}\n",
            r"line 5: reference 'a' must be an accuracy from 0 to 1, not 67\.8",
        ),
        (
            "from fer_search.design import *\ndef design(hp):\n    k = hp.Choice('k', ['a', 'b'])\n"
            "    if k == 'b':\n        hp.Choice('only', [1, 2])\n    return Design()\n",
            r"line 2: 'only' exists only if k is 'b'; define it inside hp\.conditional_scope\('k', \['b'\]\)",
        ),
        (
            "from fer_search.design import *\ndef design(hp):\n    k = hp.Choice('k', ['a', 'b'])\n"
            "    with hp.conditional_scope('k', ['a']):\n        if k == 'a':\n            hp.Choice('c', [1, 2])\n"
            "    with hp.conditional_scope('k', ['b']):\n        if k == 'b':\n            hp.Choice('c', [1, 3])\n"
            "    return Design()\n",
            r"line 9: two choices are named 'c', with different values",
        ),
        (
            "from fer_search.design import *\ndef design(hp):\n    hp.Choice('c', [1, 2])\n    hp.Choice('c', [1, 3])\n"
            "    return Design()\n",
            r"mine\.py, line 4: two choices are named 'c'",
        ),
        (
            "from fer_search.design import *\ndef design(hp):\n    return Design(network=Residual(depth=3))\n",
            r"mine\.py, line 3: Residual has no field 'depth'; it has stages, ",
        ),
        (
            "from fer_search.design import *\ndef design(hp):\n    k = hp.Choice('k', [1, 2])\n"
            "    with hp.conditional_scope('k', [2]):\n        if k == 2:\n            hp.Choice('d', [1, 2])\n"
            "    return Design()\nbaselines = {'a': {'d': 2}}\n",
            r"mine\.py, line 8: baseline 'a' names 'd', which its other values make inactive",
        ),
    ],
)
def test_an_error_in_a_space_is_one_line_with_its_location(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as caught:
        load_space(space_of(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_an_unreadable_space_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"none\.py: No such file or directory"):
        load_space(tmp_path / "none.py")
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"binary\.py: it is not UTF-8 text"):
        load_space(tmp_path / "binary.py")
