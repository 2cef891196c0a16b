"""How the weights are trained."""

from __future__ import annotations

from dataclasses import dataclass

from fer_search.design.checks import check, check_one_of, check_real, check_whole

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "plateau", "step", "cosine", "one_cycle")
CLASS_WEIGHTS = ("none", "balanced")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Optimisation:
    """How the weights are trained; the defaults are the report's.

    Args:
        optimizer: "adam", "adamw" (Loshchilov & Hutter 2019, arXiv:1711.05101) or "sgd".
        learning_rate: the first one; the highest one of "one_cycle".
        momentum: Nesterov momentum of "sgd".
        weight_decay: decoupled, as Keras' optimisers do it: each step takes weight_decay * learning rate * weight away;
            of kernels alone, not of biases nor of normalisation's scales.
        batch_size: images a step.
        schedule: "constant"; "plateau", Keras' ReduceLROnPlateau on the validation loss; "step", times ``step_factor``
            every ``step_every`` epochs from epoch ``step_start`` on; "cosine", to min_learning_rate at the run's last
            epoch (Loshchilov & Hutter 2017, arXiv:1608.03983); "one_cycle", from a 25th up over 30% of the epochs,
            then by a cosine to min_learning_rate (Smith & Topin 2018, arXiv:1708.07120, as PyTorch's OneCycleLR).
        plateau_factor: what a plateau multiplies the learning rate by.
        plateau_patience: epochs without improvement that make a plateau.
        min_learning_rate: the schedule never goes below it.
        step_start: last epoch before the first step.
        step_every: epochs from step to step.
        step_factor: what a step multiplies the learning rate by.
        warmup_epochs: the learning rate rises linearly from 0 over so many epochs first.
        clip_norm: gradients whose norm over all weights is larger are scaled down to it; 0 for none.
        clip_value: every number of every gradient is cut off at it, either way; 0 for none.
        ema: predict with an exponential moving average of the weights that keeps this share a step (0.999, say), at
            most (1 + t) / (10 + t) after t steps; 0 for none.
        focal_gamma: gamma of the focal loss (Lin et al. 2017, arXiv:1708.02002); 0 is cross-entropy.
        class_weights: "balanced" weighs each image's loss by n / (7 * images of its class).
        precision: of the arithmetic; weights and loss are always float32. "bfloat16" is Keras' mixed_bfloat16, "auto"
            what the device gains from.
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    batch_size: int = 256
    schedule: str = "plateau"
    plateau_factor: float = 0.1
    plateau_patience: int = 5
    min_learning_rate: float = 1e-7
    step_start: int = 80
    step_every: int = 5
    step_factor: float = 0.9
    warmup_epochs: float = 0.0
    clip_norm: float = 0.0
    clip_value: float = 0.0
    ema: float = 0.0
    focal_gamma: float = 0.0
    class_weights: str = "none"
    precision: str = "auto"

    def __post_init__(self) -> None:
        check_one_of(self, "optimizer", OPTIMIZERS)
        check_real(self, "learning_rate", 1e-12, 100, "a number above 0, at most 100")
        check_real(self, "momentum", 0, 0.9999)
        check(self, "momentum", self.optimizer == "sgd" or not self.momentum, "0 where the optimizer is not sgd")
        check_real(self, "weight_decay", 0, 10)
        check_whole(self, "batch_size", 1, 65536)
        check_one_of(self, "schedule", SCHEDULES)
        for name in ("plateau_factor", "step_factor"):
            check_real(self, name, 1e-6, 0.999, "a number above 0 and below 1")
        check_whole(self, "plateau_patience", 0, 10000, "epochs from 0 to 10000")
        check_real(self, "min_learning_rate", 0, 100)
        check_whole(self, "step_start", 0, 10000, "epochs from 0 to 10000")
        check_whole(self, "step_every", 1, 10000, "epochs from 1 to 10000")
        check_real(self, "warmup_epochs", 0, 1000, "epochs from 0 to 1000")
        check_real(self, "clip_norm", 0, 1e6)
        check_real(self, "clip_value", 0, 1e6)
        check(self, "clip_value", not (self.clip_norm and self.clip_value), "0 where clip_norm is given")
        check_real(self, "ema", 0, 0.99999)
        check_real(self, "focal_gamma", 0, 10)
        check_one_of(self, "class_weights", CLASS_WEIGHTS)
        check_one_of(self, "precision", PRECISIONS)
