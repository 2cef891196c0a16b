"""Random streams."""

import numpy as np

from fer_search.training import rng


def test_randomness_depends_only_on_seed_trial_epoch_and_stream():
    draws = {
        key: rng.generator(*key).random()
        for key in [(s, seed, t, e) for s in range(3) for seed in range(3) for t in range(3) for e in range(3)]
    }
    assert len(set(draws.values())) == len(draws)
    assert rng.generator(1, 2, 0, 1).random() == draws[1, 2, 0, 1]


def test_every_purpose_has_its_own_fixed_stream():
    """Resumed runs depend on the stream numbers, so they must not change."""
    streams = [rng.WEIGHTS, rng.ORDER, rng.AUGMENTATION, rng.DROPOUT, rng.VALIDATION, rng.STATISTICS]
    assert streams == [0, 1, 2, 3, 4, 5]
    assert rng.integer_seed(rng.WEIGHTS, seed=3, trial=4) == rng.generator(0, 3, 4, 0).integers(2**31)


def test_the_values_of_a_stream_never_change():
    """Computed with NumPy's documented Philox and SeedSequence, so older run folders resume with the same values."""
    expected = np.random.Generator(np.random.Philox(np.random.SeedSequence([1, 2, 3, 4]))).random()
    assert rng.generator(4, seed=1, trial=2, epoch=3).random() == expected
