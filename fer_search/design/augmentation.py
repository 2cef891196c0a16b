"""How training images and labels are changed at random, and how an image is shown when it is predicted."""

from __future__ import annotations

from dataclasses import dataclass

from fer_search.design.checks import IMAGE_SIZE, check, check_flag, check_one_of, check_real, check_whole

VIEWS = ("one", "flip", "ten_crop")


@dataclass(frozen=True)
class Augmentation:
    """Random changes of each training image in each epoch; the defaults change nothing.

    Geometry comes first, as one map and one interpolation, then light, then squares, then blends. It means what the
    legacy Keras ImageDataGenerator means by the same words, since the report used that: shear is in degrees, zoom is
    drawn for rows and columns apart, and pixels from outside repeat the border.

    Args:
        rotation: largest rotation either way, degrees.
        shear: largest shear either way, degrees.
        zoom: rows and columns are each scaled by a factor from 1 - zoom to 1 + zoom.
        shift: largest shift either way, as a share of the image's size, rows and columns apart.
        flip: mirror left and right, half of the time.
        crop: side in pixels of a square taken from a random place and scaled up to the whole image; 0 for none. Images
            that are predicted are cropped at the centre alike.
        resized_crop: smallest share of the image's area in a random resized crop, whose area is uniform up to 1 and
            whose aspect ratio log-uniform from 3/4 to 4/3 (Szegedy et al. 2015, arXiv:1409.4842, as torchvision's
            RandomResizedCrop); 0 for none.
        brightness: grey values are raised or lowered by up to this share of 255.
        contrast: distances to the image's mean are scaled by a factor from 1 - contrast to 1 + contrast.
        cutout: side in pixels of black squares at random places; 0 for none (DeVries & Taylor 2017, arXiv:1708.04552).
        cutout_count: how many squares.
        cutout_clipped: the square's centre is anywhere, so that borders may clip it (as in that paper, and in the
            pictures of the report); otherwise all of it is inside.
        erasing: probability of random erasing: a rectangle of 0.02 to 0.4 of the area and of aspect ratio 0.3 to 3.3 in
            random grey values (Zhong et al. 2020, arXiv:1708.04896).
        mixup_alpha: blend each image and label with another's, in shares drawn from Beta(alpha, alpha) for each
            image; 0 for none (Zhang et al. 2018, arXiv:1710.09412).
        mixup_share: blend in this fixed share instead, 0.7 of one image and 0.3 of the other in the report's text; 0
            for none.
        cutmix_alpha: paste a rectangle of another image whose share of the area is drawn from Beta(alpha, alpha), and
            mix the labels alike; 0 for none (Yun et al. 2019, arXiv:1905.04899). Where both are given, each image gets
            mixup or cutmix with equal chances.
        label_smoothing: share of each label that is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567).
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
        check_real(self, "rotation", 0, 180, "degrees from 0 to 180")
        check_real(self, "shear", 0, 80, "degrees from 0 to 80")
        check_real(self, "zoom", 0, 0.9, "a share from 0 to 0.9")
        check_real(self, "shift", 0, 1, "a share from 0 to 1")
        check_whole(self, "crop", 0, IMAGE_SIZE, f"whole pixels from 8 to {IMAGE_SIZE}, or 0 for none")
        check(self, "crop", self.crop == 0 or self.crop >= 8, f"whole pixels from 8 to {IMAGE_SIZE}, or 0 for none")
        for name in ("flip", "cutout_clipped"):
            check_flag(self, name)
        for name in ("resized_crop", "brightness", "contrast"):
            check_real(self, name, 0, 1, "a share from 0 to 1")
        check(self, "resized_crop", not (self.crop and self.resized_crop), "0 where crop is given")
        check_whole(self, "cutout", 0, IMAGE_SIZE, f"whole pixels from 0 to {IMAGE_SIZE}")
        check_whole(self, "cutout_count", 1, 16)
        check_real(self, "erasing", 0, 1, "a probability from 0 to 1")
        for name in ("mixup_alpha", "cutmix_alpha"):
            check_real(self, name, 0, 100)
        check_real(self, "mixup_share", 0, 1, "a share from 0 to 1")
        check(self, "mixup_share", not (self.mixup_alpha and self.mixup_share), "0 where mixup_alpha is given")
        check_real(self, "label_smoothing", 0, 0.9, "a share from 0 to 0.9")

    @property
    def geometric(self) -> bool:
        """Whether any image is moved, turned, sheared, scaled, cropped or mirrored."""
        return any((self.rotation, self.shear, self.zoom, self.shift, self.flip, self.crop, self.resized_crop))


@dataclass(frozen=True)
class Evaluation:
    """How the network predicts an image.

    Args:
        views: "one" is the image itself (the crop at its centre, where training crops); "flip" averages the
            probabilities of the image and its mirror image; "ten_crop" those of the four corners and the centre, each
            mirrored too (Krizhevsky et al. 2012).
        crop: side in pixels of the ten crops, where training does not crop.
    """

    views: str = "one"
    crop: int = 40

    def __post_init__(self) -> None:
        check_one_of(self, "views", VIEWS)
        check_whole(self, "crop", 8, IMAGE_SIZE, f"whole pixels from 8 to {IMAGE_SIZE}")
