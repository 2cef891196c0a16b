"""Random streams."""

from fer_search.training import rng


def test_randomness_depends_on_seed_trial_epoch_and_stream_alone():
    draws = {
        key: rng.generator(*key).random()
        for key in [(s, seed, t, e) for s in range(3) for seed in range(3) for t in range(3) for e in range(3)]
    }
    assert len(set(draws.values())) == len(draws)
    assert rng.generator(1, 2, 0, 1).random() == draws[1, 2, 0, 1]
