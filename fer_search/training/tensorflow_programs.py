"""Traced TensorFlow programs, shared by the trials whose networks are equal.

Tracing takes a second or more per trial: longer than many epochs of a small search. A graph does not contain its
model's variables but takes their handles as inputs ("captures"), so a graph traced for one model also runs on the
variables of an equal one. Trials that differ only in what the engine passes as arguments (learning rates, augmentation,
label smoothing, weights of the images), that resume a design, or that repeat it with another seed, are not traced
again. The graph is the same, and so are the results, bit for bit.

Nor are such programs prepared for execution again, which takes another fifth of a second: TensorFlow's kernel cache,
which holds prepared programs, is kept until other programs are traced.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.eager import context

from fer_search.models import describe_network

# A program keeps its graph, 7 or 8 MB for the networks of tiny.py, and the variables of two models: the one that it was
# traced for and the one that ran it last.
MAX_SHARED = 6  # programs; a trial has three
MAX_VARIABLES = 4_000_000  # numbers in a model and its optimiser, above which its programs are not kept

_shared: OrderedDict[Hashable, Trace] = OrderedDict()  # least recently used first


class _Kernels:
    """What TensorFlow's kernel cache holds."""

    earlier = True  # whether of earlier trials only: no program was traced since Keras was reset
    reusable = False  # whether only of programs that can be shared


@contextmanager
def kept_kernels() -> Iterator[None]:
    """Make ``keras.utils.clear_session`` keep TensorFlow's kernels if all are of programs that can be shared.

    Kernels of others may have a state, such as that of a random generator.
    """
    eager = context.context()
    if _Kernels.reusable:
        eager.clear_kernel_cache = lambda: None
    try:
        yield
    finally:
        vars(eager).pop("clear_kernel_cache", None)
    _Kernels.earlier = _Kernels.reusable = True


class Program:
    """A function that is traced once for each structure and shape of its arguments.

    ``tf.function`` does the same, but warns about retracing because it counts the traces of all trials together.

    Args:
        function: Function of tensors, dicts of tensors and values per device.
        name: Name of the function, among those of an engine.
        model: Compiled and built model whose variables the function uses.
        options: All else that determines the function's graph; None if it cannot be shared.
    """

    def __init__(
        self, function: Callable[..., Any], name: str, model: keras.Model, options: Hashable | None = None
    ) -> None:
        self.function = tf.function(function, autograph=False)
        self.name, self.model, self.options = name, model, options
        self.traces: dict[Hashable, Callable[..., Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        shapes = [(v.shape, v.dtype) for v in tf.nest.flatten(arguments, expand_composites=True)]
        key = (*sorted(name for a in arguments if isinstance(a, dict) for name in a), *map(str, shapes))
        if key not in self.traces:
            self.traces[key] = self._trace(key, arguments)
        return self.traces[key](*arguments)

    def _trace(self, key: Hashable, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """Return the function as traced for such arguments, for this model or an equal one."""
        if self.options is None or not _is_small(self.model):
            _Kernels.reusable = False
            traced: Callable[..., Any] = self.function.get_concrete_function(*arguments)
            return traced
        shared_key = (self.name, _describe(self.model), self.options, key)
        handles = _handles(self.model)
        if shared_key in _shared:
            _shared.move_to_end(shared_key)
            return partial(_shared[shared_key], handles)
        if _Kernels.earlier:
            context.context().clear_kernel_cache()  # kernels of other programs, which would accumulate
            _Kernels.earlier = False
        trace = Trace(self.function.get_concrete_function(*arguments), handles)
        _Kernels.reusable &= trace.is_complete
        if trace.is_complete:
            _shared[shared_key] = trace
            while len(_shared) > MAX_SHARED:
                _shared.popitem(last=False)
        return partial(trace, handles)


class Trace:
    """A traced function, which runs on the variables of any model that is equal to the one it was traced for.

    Args:
        concrete: The traced function.
        handles: Handles of the model's variables.
    """

    def __init__(self, concrete: Any, handles: list[tf.Tensor]) -> None:
        self.concrete = concrete
        positions = {id(handle): position for position, handle in enumerate(handles)}
        # For each capture the position of its variable, or the capture itself if it is a constant.
        self.captures = [positions.get(id(capture), capture) for capture in concrete.captured_inputs]

    @property
    def is_complete(self) -> bool:
        """Whether all variables that the function uses are the model's; other captures are constants."""
        return all(
            isinstance(capture, int) or (tf.is_tensor(capture) and capture.dtype != tf.resource)
            for capture in self.captures
        )

    def __call__(self, handles: list[tf.Tensor], *arguments: Any) -> Any:
        captures = [handles[capture] if isinstance(capture, int) else capture for capture in self.captures]
        self.concrete.set_external_captures(captures)
        return self.concrete(*arguments)


def _handles(model: keras.Model) -> list[tf.Tensor]:
    """Return the handles of all variables of a model and its optimiser, in the same order for equal models."""
    return [variable.value.handle for variable in (*model.variables, *model.optimizer.variables)]


def _is_small(model: keras.Model) -> bool:
    """Return whether the variables of a model and its optimiser are few enough to be kept."""
    numbers: int = sum(v.value.shape.num_elements() for v in (*model.variables, *model.optimizer.variables))
    return numbers <= MAX_VARIABLES


def _describe(model: keras.Model) -> Hashable:
    """Return all of a model and its optimiser that is constant in a graph; equal for equal models.

    The configuration is that of the model as it is: a caller may have changed a layer since it was built.
    """
    optimizer = model.optimizer
    constants = {k: v for k, v in vars(optimizer).items() if isinstance(v, bool | int | float | str | None)}
    layers = json.dumps(model.get_config(), sort_keys=True, default=str)
    return describe_network(model), layers, type(optimizer).__name__, json.dumps(constants, sort_keys=True)
