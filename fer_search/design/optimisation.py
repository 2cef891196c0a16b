"""How the weights are trained."""

from __future__ import annotations

from dataclasses import dataclass

from fer_search.design.checks import IMAGE_SIZE, check, check_int, check_number, check_one_of, scale_pixels

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "plateau", "step", "cosine", "one_cycle")
CLASS_WEIGHTS = ("none", "balanced")
PRECISIONS = ("auto", "float32", "bfloat16")
MIN_LOW_RESOLUTION = 32  # pixels a side; five halvings, the most that a network has, leave one


@dataclass(frozen=True)
class Optimisation:
    """Optimiser, learning rate schedule and loss. The defaults are the course report's.

    Args:
        optimizer: "adam", "adamw" (Loshchilov & Hutter 2019, arXiv:1711.05101) or "sgd".
        learning_rate: Initial learning rate; the maximum for "one_cycle".
        momentum: Nesterov momentum for "sgd".
        weight_decay: Decoupled weight decay as in Keras' optimisers: each step subtracts weight_decay * learning rate *
            weight. Applied to kernels only, not to biases or normalisation scales.
        batch_size: Images per step.
        schedule: "constant"; "plateau", Keras' ReduceLROnPlateau on the validation loss; "step", multiplied by
            ``step_factor`` every ``step_every`` epochs after epoch ``step_start``; "cosine", down to min_learning_rate
            at the last epoch (Loshchilov & Hutter 2017, arXiv:1608.03983); "one_cycle", up from 1/25 of the maximum
            over 30% of the epochs, then down a cosine to min_learning_rate (Smith & Topin 2018, arXiv:1708.07120, as
            PyTorch's OneCycleLR).
        plateau_factor: Factor on the learning rate at a plateau.
        plateau_patience: Number of epochs without improvement that count as a plateau.
        min_learning_rate: Lower bound of the schedule.
        step_start: Number of epochs before the first step.
        step_every: Number of epochs between steps.
        step_factor: Factor on the learning rate at each step.
        warmup_epochs: Number of epochs over which the learning rate rises linearly from 0.
        clip_norm: Gradients with a larger global norm are scaled down to it; 0 for none.
        clip_value: Every gradient component is clipped to [-clip_value, clip_value]; 0 for none.
        ema: Decay per step of an exponential moving average of the weights that is used for prediction (0.999, say),
            limited to (1 + t) / (10 + t) after t steps; 0 for none.
        focal_gamma: Gamma of the focal loss (Lin et al. 2017, arXiv:1708.02002); 0 is cross-entropy.
        class_weights: "balanced" weights each image's loss by n / (number of classes * images of its class).
        low_resolution: Progressive resizing: in the first epochs the augmented training images are shrunk to this side,
            32 to 47 of 48 pixels, where a step costs about half; 0 for never (Howard 2018, fast.ai's entry in
            DAWNBench; Tan & Le 2021, arXiv:2104.00298). These epochs are validated at this resolution too, as their
            networks recognise much less at another (Touvron et al. 2019, arXiv:1906.06423). The network must end in
            global pooling. Images of another size are shrunk in proportion, but not below 32 pixels.
        low_resolution_fraction: Fraction of the epochs that are trained at low resolution.
        precision: Arithmetic precision; weights and loss are always float32. "bfloat16" is Keras' mixed_bfloat16,
            "auto" uses it where the device is faster with it.
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
    low_resolution: int = 0
    low_resolution_fraction: float = 0.5
    precision: str = "auto"

    def low_resolution_epochs(self, horizon: int) -> int:
        """Return the number of epochs at low resolution, the first ones, of a training of ``horizon`` epochs."""
        return int(self.low_resolution_fraction * horizon) if self.low_resolution else 0

    def __post_init__(self) -> None:
        check_one_of(self, "optimizer", OPTIMIZERS)
        check_number(self, "learning_rate", 1e-12, 100, "a number above 0, at most 100")
        check_number(self, "momentum", 0, 0.9999)
        check(self, "momentum", self.optimizer == "sgd" or not self.momentum, "0 unless the optimizer is sgd")
        check_number(self, "weight_decay", 0, 10)
        check_int(self, "batch_size", 1, 65536)
        check_one_of(self, "schedule", SCHEDULES)
        for name in ("plateau_factor", "step_factor"):
            check_number(self, name, 1e-6, 0.999, "a number above 0 and below 1")
        check_int(self, "plateau_patience", 0, 10000, "epochs from 0 to 10000")
        check_number(self, "min_learning_rate", 0, 100)
        check_int(self, "step_start", 0, 10000, "epochs from 0 to 10000")
        check_int(self, "step_every", 1, 10000, "epochs from 1 to 10000")
        check_number(self, "warmup_epochs", 0, 1000, "epochs from 0 to 1000")
        check_number(self, "clip_norm", 0, 1e6)
        check_number(self, "clip_value", 0, 1e6)
        check(self, "clip_value", not (self.clip_norm and self.clip_value), "0 if clip_norm is set")
        check_number(self, "ema", 0, 0.99999)
        check_number(self, "focal_gamma", 0, 10)
        sides = f"pixels from {MIN_LOW_RESOLUTION} to {IMAGE_SIZE - 1}, or 0 for never"
        check_int(self, "low_resolution", 0, IMAGE_SIZE - 1, sides)
        check(self, "low_resolution", self.low_resolution == 0 or self.low_resolution >= MIN_LOW_RESOLUTION, sides)
        check_number(self, "low_resolution_fraction", 0, 1, "a fraction from 0 to 1")
        check_one_of(self, "class_weights", CLASS_WEIGHTS)
        check_one_of(self, "precision", PRECISIONS)


def low_resolution_side(low_resolution: int, image_size: int) -> int:
    """Return the side in pixels to which images are shrunk: in proportion, but large enough for the deepest network.

    Args:
        low_resolution: Side in pixels of 48, as in a design.
        image_size: Side of the images, pixels.
    """
    return min(image_size, max(MIN_LOW_RESOLUTION, scale_pixels(low_resolution, image_size)))
