"""The toy faces in other classes, sizes and colours."""

from __future__ import annotations

import numpy as np
from PIL import Image

from fer_search.data.images import fit
from fer_search.data.labels import resolve_labels
from fer_search.data.options import DataOptions
from fer_search.data.raw import RawData


def adapt(raw: RawData, options: DataOptions) -> RawData:
    """Return the toy faces with the classes, image size and colour of the options."""
    if not (options.classes or options.mapping or options.image_size or options.colour):
        return raw
    texts = [raw.classes[label] for label in raw.labels]
    labels = resolve_labels(texts, options, lambda row: f"toy faces, image {row}: label", "toy")
    images = raw.images[labels.kept]
    size = options.image_size or images.shape[1]
    if (size, options.channels) != (images.shape[1], 1):
        images = np.stack([fit(Image.fromarray(image), size, options.channels) for image in images])
    return RawData(images, labels.labels[labels.kept], raw.splits[labels.kept], raw.form, labels.notes, labels.classes)
