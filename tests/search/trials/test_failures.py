"""Why a trial failed, in a line."""

import keras
import pytest

from fer_search.search.trials.failures import out_of_memory, reason
from fer_search.training.trial import TrialFailed


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"),
        ValueError("OOM when allocating"),
    ],
)
def test_out_of_memory_is_recognised(error):
    assert out_of_memory(error)
    assert reason(error).startswith("out of memory (")


def test_reasons_are_one_line():
    assert reason(TrialFailed("the training loss was nan in epoch 2")) == "the training loss was nan in epoch 2"
    assert reason(ValueError("bad\n" + "x" * 1000)) == "ValueError: bad"


def test_of_an_error_in_a_layer_the_reason_says_what_is_wrong():
    with pytest.raises(ValueError, match="Exception encountered when calling") as error:
        keras.layers.MaxPooling2D()(keras.KerasTensor((None, 1, 1, 4)))
    assert reason(error.value).startswith("ValueError: MaxPooling2D: ")
    assert "\x1b" not in reason(error.value)
    assert "output size would be zero" in reason(error.value)
