"""Random augmentation of training images and labels, and test-time augmentation."""

from __future__ import annotations

from dataclasses import dataclass

from fer_search.design.checks import IMAGE_SIZE, check, check_bool, check_int, check_number, check_one_of

VIEWS = ("one", "flip", "ten_crop")


@dataclass(frozen=True)
class Augmentation:
    """Random augmentation of each training image in each epoch. The defaults change nothing.

    Geometric transformations are composed into one affine map and applied with a single interpolation; then come
    brightness and contrast, erased regions, and finally mixing. The geometric parameters have the meaning they have in
    the legacy Keras ImageDataGenerator, which the course report used: shear is in degrees, zoom is drawn separately for
    rows and columns, and pixels outside the image repeat its border.

    Args:
        rotation: Maximum rotation in either direction, degrees.
        shear: Maximum shear in either direction, degrees.
        zoom: Rows and columns are scaled by independent factors from [1 - zoom, 1 + zoom].
        shift: Maximum shift in either direction, as a fraction of the image size, independent for rows and columns.
        flip: Mirror horizontally with probability 0.5.
        crop: Side of a randomly placed square crop, in pixels of a 48-pixel image, resized to the full image; 0 for
            none. At prediction the same crop is taken at the centre.
        resized_crop: Minimum area fraction of a random resized crop; the area is uniform up to 1 and the aspect ratio
            log-uniform from 3/4 to 4/3 (Szegedy et al. 2015, arXiv:1409.4842; as torchvision's RandomResizedCrop); 0
            for none.
        brightness: Maximum change of the grey values, as a fraction of 255.
        contrast: Deviations from the image mean are scaled by a factor from [1 - contrast, 1 + contrast].
        cutout: Side of black squares at random positions, in pixels of a 48-pixel image; 0 for none (DeVries & Taylor
            2017, arXiv:1708.04552).
        cutout_count: Number of squares.
        cutout_clipped: Whether squares may be clipped by the image border because their centre can be anywhere (as in
            the paper and in the course report's pictures); if False, every square lies fully inside.
        erasing: Probability of random erasing: a rectangle of 0.02 to 0.4 of the area, with aspect ratio 0.3 to 3.3, is
            filled with random grey values (Zhong et al. 2020, arXiv:1708.04896).
        mixup_alpha: Mix each image and its label with another, with weights from Beta(alpha, alpha) drawn per image; 0
            for none (Zhang et al. 2018, arXiv:1710.09412).
        mixup_share: Use this fixed weight instead; the course report's text has 0.7 of one image and 0.3 of the other.
            0 for none.
        cutmix_alpha: Paste a rectangle of another image, with an area fraction from Beta(alpha, alpha), and mix the
            labels accordingly; 0 for none (Yun et al. 2019, arXiv:1905.04899). If mixup is enabled too, each image gets
            one of the two with equal probability.
        label_smoothing: Fraction of each label spread uniformly over all classes (Szegedy et al. 2016,
            arXiv:1512.00567).
    """

    rotation: float = 0.0
    shear: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    flip: bool = False
    crop: int = 0
    resized_crop: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    cutout: int = 0
    cutout_count: int = 1
    cutout_clipped: bool = True
    erasing: float = 0.0
    mixup_alpha: float = 0.0
    mixup_share: float = 0.0
    cutmix_alpha: float = 0.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        check_number(self, "rotation", 0, 180, "degrees from 0 to 180")
        check_number(self, "shear", 0, 80, "degrees from 0 to 80")
        check_number(self, "zoom", 0, 0.9, "a fraction from 0 to 0.9")
        check_number(self, "shift", 0, 1, "a fraction from 0 to 1")
        check_int(self, "crop", 0, IMAGE_SIZE, f"an integer number of pixels from 8 to {IMAGE_SIZE}, or 0 for none")
        check(
            self,
            "crop",
            self.crop == 0 or self.crop >= 8,
            f"an integer number of pixels from 8 to {IMAGE_SIZE}, or 0 for none",
        )
        for name in ("flip", "cutout_clipped"):
            check_bool(self, name)
        for name in ("resized_crop", "brightness", "contrast"):
            check_number(self, name, 0, 1, "a fraction from 0 to 1")
        check(self, "resized_crop", not (self.crop and self.resized_crop), "0 if crop is set")
        check_int(self, "cutout", 0, IMAGE_SIZE, f"an integer number of pixels from 0 to {IMAGE_SIZE}")
        check_int(self, "cutout_count", 1, 16)
        check_number(self, "erasing", 0, 1, "a probability from 0 to 1")
        for name in ("mixup_alpha", "cutmix_alpha"):
            check_number(self, name, 0, 100)
        check_number(self, "mixup_share", 0, 1, "a fraction from 0 to 1")
        check(self, "mixup_share", not (self.mixup_alpha and self.mixup_share), "0 if mixup_alpha is set")
        check_number(self, "label_smoothing", 0, 0.9, "a fraction from 0 to 0.9")

    @property
    def geometric(self) -> bool:
        """Whether any geometric transformation (or crop, or flip) is enabled."""
        return any((self.rotation, self.shear, self.zoom, self.shift, self.flip, self.crop, self.resized_crop))


@dataclass(frozen=True)
class Evaluation:
    """Test-time augmentation.

    Args:
        views: "one" predicts the image itself (its centre crop if training crops); "flip" averages the probabilities of
            the image and its mirror image; "ten_crop" averages the four corner crops and the centre crop, each also
            mirrored (Krizhevsky et al. 2012).
        crop: Side of the ten crops in pixels of a 48-pixel image, used if training does not crop.
    """

    views: str = "one"
    crop: int = 40

    def __post_init__(self) -> None:
        check_one_of(self, "views", VIEWS)
        check_int(self, "crop", 8, IMAGE_SIZE, f"an integer number of pixels from 8 to {IMAGE_SIZE}")
