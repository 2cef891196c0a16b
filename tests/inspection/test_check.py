import math

import numpy as np

from fer_search.data.dataset import Dataset
from fer_search.inspection.check import check_space
from fer_search.space import load_space

ONE_NETWORK = {"filters": 4, "downsample": "strided", "dropout": 0.0}  # whose programs all designs share


def test_every_baseline_and_sampled_design_trains_one_step(tiny_space):
    results = list(check_space(load_space(tiny_space, fixed=ONE_NETWORK), samples=2))
    assert [result.name for result in results[:2]] == ["plain", "cut"]
    assert len(results) == 4
    assert all(result.problem == "" and math.isfinite(result.loss) and result.seconds > 0 for result in results)


def test_a_design_that_cannot_be_built_is_reported_and_the_rest_are_checked(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text(
        "from fer_search.design import *\n"
        "def design(hp):\n"
        "    return Design(network=Residual(stages=((2,),) * hp.Choice('stages', [1, 9])))\n"
        "baselines = {'fine': {}}\n"
    )
    results = list(check_space(load_space(path), samples=6))
    assert results[0].problem == ""
    problems = {result.problem for result in results if result.problem}
    assert len(problems) == 1
    assert "line 3: Residual.stages must be 1 to 5 stages" in problems.pop()
    assert any(not result.problem for result in results[1:])


def test_designs_are_checked_with_the_classes_of_the_data(tiny_space, rng):
    images = rng.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    data = Dataset(images, np.repeat([0, 1, 2], 8), np.zeros(24, np.uint8), "n", "s", classes=("a", "b", "c"))
    results = list(check_space(load_space(tiny_space, fixed=ONE_NETWORK), samples=1, dataset=data))
    assert [result.problem for result in results] == ["", "", ""]


def test_a_design_is_checked_once_and_always_named(tmp_path):
    (tmp_path / "one.py").write_text(
        "from fer_search.design import *\ndef design(hp):\n    return Design(network=Plain(stages=((2,),)))\n"
    )
    (result,) = check_space(load_space(tmp_path / "one.py"), samples=3)
    assert (result.name, result.problem) == ("the only design", "")
