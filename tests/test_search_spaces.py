"""Every design that the three spaces can give builds; a sample of each trains a step."""

import math
from pathlib import Path

import numpy as np
import pytest

from fer_search.design import Backbone
from fer_search.inspection.check import check_space
from fer_search.inspection.describe import bare
from fer_search.space import load_space

SPACES = Path(__file__).resolve().parents[1] / "search_spaces"


@pytest.mark.parametrize(("name", "samples"), [("report", 1500), ("tiny", 1000), ("modern", 1000)])
def test_sampled_designs_build(name, samples):
    from fer_search.models import measure

    space, rng = load_space(SPACES / f"{name}.py", width=0.1), np.random.default_rng(0)
    networks = {bare(space.design(space.sample(rng))) for _ in range(samples)}
    own = [design for design in networks if not isinstance(design.network, Backbone)]
    backbones = {design.network.name: design for design in networks if isinstance(design.network, Backbone)}
    assert len(own) >= 24
    for design in (*own[:50], *backbones.values()):  # a backbone's layers do not depend on what is around it
        cost = measure(design)
        assert cost.parameters > 100
        assert cost.flops > 1e4


@pytest.mark.parametrize(
    ("name", "fixed", "samples"),
    [
        ("report", {"network": "residual"}, 0),
        ("tiny", {"downsample": "max_pool", "rotation": 10}, 1),
        ("modern", {"network": "residual"}, 2),
        ("modern", {"network": "plain", "dense": 512}, 1),
        ("modern", {"network": "backbone", "backbone": "MobileNet", "input_size": 96}, 1),
    ],
)
def test_baselines_and_sampled_designs_train_a_step(name, fixed, samples):
    space = load_space(SPACES / f"{name}.py", width=0.1, fixed=fixed)
    results = list(check_space(space, samples))
    assert len(results) == len(space.baselines) + samples
    assert [r for r in results if r.problem] == []
    assert all(math.isfinite(r.loss) for r in results)
