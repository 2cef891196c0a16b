"""Space files that define ``build(hp)``, a compiled ``keras.Model`` as Keras Tuner's users write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_tuner import HyperParameters

from fer_search.design import Augmentation, Custom, Design, Optimisation
from fer_search.design.checks import DesignError
from fer_search.design.custom import register
from fer_search.tuner_entries import without_tuner_entries

BATCH_SIZE = 32  # keras.Model.fit's default; a choice named batch_size, or --batch-size, changes it
Maker = Callable[[HyperParameters], Design]
Namer = Callable[[HyperParameters], Any]


def functions_of(namespace: dict[str, Any]) -> tuple[Maker, Namer] | None:
    """Return what turns choices into a Design, and what names the choices; None if there is no ``build``.

    Args:
        namespace: What the space file defines: ``build(hp)`` and optionally ``augmentation(hp)``.
    """
    build, augmentation = namespace.get("build"), namespace.get("augmentation")
    if not callable(build):
        return None
    name = register(build, "build")

    def augment(hp: HyperParameters) -> Augmentation:
        if augmentation is None:
            return Augmentation()
        made = augmentation(hp)
        if not isinstance(made, Augmentation):
            raise DesignError(f"augmentation(hp) must return a fer_search.design.Augmentation, not {made!r:.60}")
        return made

    def make(hp: HyperParameters) -> Design:
        changes = augment(hp)
        values = without_tuner_entries(hp.values)
        batch_size = int(values.get("batch_size", BATCH_SIZE))
        # The optimiser and its learning rate are those that build(hp) compiled.
        optimisation = Optimisation(batch_size=batch_size, schedule="constant", precision="float32")
        return Design(network=Custom(name, values, whole=True), augmentation=changes, optimisation=optimisation)

    def name_choices(hp: HyperParameters) -> None:
        build(hp)
        augment(hp)

    return make, name_choices
