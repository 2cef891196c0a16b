from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from fer_search.inspection.describe import Costs, cost_equivalent, count_designs, describe_space, measure_costs
from fer_search.models import measure_cost
from fer_search.space import load_space

SPACES = Path(__file__).resolve().parents[2] / "search_spaces"


def printed(parts):
    console = Console(file=StringIO(), width=100)
    for part in parts:
        console.print(part)
    return console.file.getvalue()


def test_designs_are_counted_per_branch():
    size = count_designs(load_space(SPACES / "report.py").choices())
    assert size.combinations == 3 * 3 * 3 * 3 * 2 * 3 * 3 + 2 * 2 * 2 * 2
    assert size.ranges == ()


def test_continuous_ranges_are_named_and_not_counted(tiny_space):
    size = count_designs(load_space(tiny_space).choices())
    assert size.combinations == 3 * 2 * 2 * 2
    assert size.ranges == ("rate",)


def test_costs_match_the_networks(tiny_space):
    space = load_space(tiny_space)
    costs = measure_costs(space, samples=20)
    assert len(costs.parameters) == len(costs.flops) == 20
    # a 3x3 convolution of 2, 4 or 6 filters with bias, BN, then Dense 7
    allowed = {f: 9 * f + f + 4 * f + 7 * f + 7 for f in (2, 4, 6)}
    assert set(costs.parameters.tolist()) == set(allowed.values())
    assert costs.flops.min() > 0


def test_the_description_lists_conditional_choices_baselines_and_costs():
    costs = Costs(
        np.array([1_000_000, 3_000_000, 5_000_000]), np.array([10**9, 2 * 10**9, 0]), ("plain", "plain", "VGG16")
    )
    text = printed(describe_space(load_space(SPACES / "report.py", width=0.5), costs))
    assert text.index("where network is residual") < text.index("mixup ") < text.index("where network is backbone")
    for words in (
        "The space of the course report",
        "1,474 combinations",
        "mixup_strided",
        "0.685",
        "1, 2, 3 ",
        "1, 1.5, 2",
        "VGG16 1 5 ",
        "--width 0.5 scales only our own",
    ):
        assert words in " ".join(text.split()), text
    assert "seconds" not in text


def test_the_description_estimates_seconds_per_epoch_if_designs_were_timed():
    seconds = np.array([3.0, 5.0, 4.0])
    costs = Costs(np.full(3, 10**6), np.full(3, 10**9), ("plain",) * 3, seconds, "28,709 images of FER2013")
    text = " ".join(printed(describe_space(load_space(SPACES / "tiny.py"), costs)).split())
    assert "seconds per epoch" in text
    assert "plain 3 1 1 3, 4, 5 " in text
    assert "on 28,709 images of FER2013." in text


def test_designs_with_equal_cost_are_measured_once(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from fer_search.design import *\n"
        "def design(hp):\n"
        "    if hp.Boolean('ours'):\n"
        "        network = Plain(stages=((2,),), noise=0.1, dropout=0.2)\n"
        "    else:\n"
        "        network = Backbone('MobileNet', alpha=0.25, train_from=3, preprocessing='rescale')\n"
        "    return Design(network=network, head=Head(dropout=hp.Choice('rate', [0.1, 0.2])))\n"
    )
    space, rng = load_space(path), np.random.default_rng(0)
    designs = [space.design(space.sample(rng)) for _ in range(20)]
    assert len({cost_equivalent(design) for design in designs}) == 2
    assert {measure_cost(design) for design in designs} == {measure_cost(cost_equivalent(design)) for design in designs}
    assert set(measure_costs(space, samples=8).networks) == {"plain", "MobileNet"}


@pytest.mark.parametrize("name", ["report", "modern", "tiny", "cpu"])
def test_every_space_can_be_described(name):
    assert f"{name}.py" in printed(describe_space(load_space(SPACES / f"{name}.py")))
