"""Time model of training: how long an image and an epoch of a design take on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from fer_search.design import IMAGE_SIZE, Design
from fer_search.training.batchnorm_stats import MAX_IMAGES

FORWARD_COST = 1 / 3  # of a training image's time: for a validated image, or one for batch normalisation's statistics
SPREAD = (0.8, 1.4)  # observed time of later epochs relative to a measurement: clock speed, caches, other processes


@dataclass(frozen=True)
class Speed:
    """Time model of training on this machine.

    Args:
        floor: Seconds per training image that every network takes.
        flops: FLOP/s of a forward pass; a training image costs three forward passes.
        trial: Seconds that a trial takes besides its images: building, compiling, checkpoints.
    """

    floor: float
    flops: float
    trial: float

    def image(self, flops: float) -> float:
        """Return the seconds per training image of a network with so many FLOPs per forward pass."""
        return self.floor + 3 * flops / self.flops


def training_flops(design: Design, flops: int) -> float:
    """Return the FLOPs of a forward pass, averaged over the epochs: fewer where some train at low resolution."""
    optimisation = design.optimisation
    if not optimisation.low_resolution:
        return flops
    saved = 1 - (optimisation.low_resolution / IMAGE_SIZE) ** 2
    return flops * (1 - optimisation.low_resolution_fraction * saved)


def epoch_lengths(design: Design, flops: float, epochs: int, speed: Speed | None) -> list[float]:
    """Return how long each epoch of a training takes relative to their mean.

    All are 1 unless the first ones train at low resolution.

    Args:
        design: Design to train.
        flops: Floating-point operations of a forward pass of one image at full resolution.
        epochs: Number of epochs of the whole training.
        speed: Time model of this machine; without one the time is taken to be proportional to the number of pixels.
    """
    low = design.optimisation.low_resolution_epochs(epochs)
    pixels = (design.optimisation.low_resolution / IMAGE_SIZE) ** 2
    shorter = speed.image(pixels * flops) / speed.image(flops) if speed and flops else pixels
    mean = (low * shorter + epochs - low) / epochs
    return [shorter / mean] * low + [1 / mean] * (epochs - low)


def equivalent_images(images: int, val_images: int) -> float:
    """Return the number of training images that take as long as an epoch, its validation included."""
    return images + FORWARD_COST * (val_images + min(images, MAX_IMAGES))
