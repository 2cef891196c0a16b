import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_search.design import Augmentation, Backbone, Design, DesignError, Head, Optimisation, Residual

filters = st.lists(st.integers(1, 512), min_size=1, max_size=4)
designs = st.builds(
    Design,
    network=st.builds(
        Residual,
        stages=st.lists(filters, min_size=1, max_size=5),
        downsample=st.sampled_from(["max_pool", "strided"]),
        width=st.floats(0.01, 4),
    ),
    head=st.integers(0, 3).flatmap(
        lambda n: st.builds(
            Head,
            dense=st.lists(st.integers(1, 512), min_size=n, max_size=n),
            dropout=st.lists(st.floats(0, 0.9), min_size=n + 1, max_size=n + 1),
        )
    ),
    augmentation=st.builds(Augmentation, rotation=st.floats(0, 180), zoom=st.floats(0, 0.9), cutout=st.integers(0, 48)),
    optimisation=st.builds(Optimisation, batch_size=st.integers(1, 512)),
)


@given(designs)
def test_designs_round_trip_through_json(design):
    assert Design.from_dict(json.loads(json.dumps(design.to_dict()))) == design


@given(designs, st.floats(0.1, 1))
def test_scaling_keeps_all_blocks_and_at_least_one_filter(design, width):
    scaled = design.scaled(width).network.filters()
    assert [len(stage) for stage in scaled] == [len(stage) for stage in design.network.stages]
    assert all(f >= 1 for stage in scaled for f in stage)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Residual(stages=()), "Residual.stages"),
        (lambda: Residual(stages=((64,),) * 6), "Residual.stages"),
        (lambda: Residual(stages=((64,), ())), "Residual.stages"),
        (lambda: Residual(stages=((0,),)), "Residual.stages"),
        (lambda: Residual(stages=64), "Residual.stages"),
        (lambda: Residual(downsample="average"), "Residual.downsample"),
        (lambda: Residual(width=0), "Residual.width"),
        (lambda: Head(dense=(0,)), "Head.dense"),
        (lambda: Head(dense=(8, 8), dropout=(0.1, 0.1)), "Head.dropout"),
        (lambda: Head(dropout=1.0), "Head.dropout"),
        (lambda: Augmentation(rotation=-1), "Augmentation.rotation"),
        (lambda: Augmentation(zoom=1.5), "Augmentation.zoom"),
        (lambda: Augmentation(cutout=8.5), "Augmentation.cutout"),
        (lambda: Augmentation(flip=1), "Augmentation.flip"),
        (lambda: Augmentation(mixup_alpha=float("nan")), "Augmentation.mixup_alpha"),
        (lambda: Optimisation(optimizer="lion"), "Optimisation.optimizer"),
        (lambda: Optimisation(learning_rate=0), "Optimisation.learning_rate"),
        (lambda: Optimisation(batch_size=True), "Optimisation.batch_size"),
        (lambda: Optimisation(clip_norm=1.0, clip_value=0.1), "Optimisation.clip_value"),
        (lambda: Augmentation(mixup_alpha=0.2, mixup_share=0.7), "Augmentation.mixup_share"),
        (lambda: Augmentation(crop=44, resized_crop=0.8), "Augmentation.resized_crop"),
        (lambda: Backbone("InceptionResNetV2", input_size=74), "Backbone.input_size must be pixels from 75 to 224"),
        (lambda: Backbone("VGG19"), "Backbone.name"),
        (lambda: Backbone("ResNet50", alpha=0.5), "Backbone.alpha must be one of 1.0 for ResNet50"),
        (lambda: Backbone("ConvNeXtTiny", train_from=5), "Backbone.train_from must be a stage from 1 to 4"),
        (lambda: Optimisation(schedule="cosin"), "Optimisation.schedule"),
        (lambda: Design(network="resnet"), "Design.network"),
        (lambda: Design(head=Augmentation()), "Design.head"),
        (lambda: Design.from_dict({"network": {"family": "vgg"}}), "Design.network.family"),
        (lambda: Design.from_dict({"network": {"family": "residual", "depth": 3}}), "'depth'"),
        (lambda: Design.from_dict({"optimiser": {}}), "'optimiser'"),
    ],
)
def test_an_invalid_value_is_reported_with_its_field(make, field):
    with pytest.raises(DesignError, match=field.replace(".", r"\.")):
        make()


def test_a_single_dropout_rate_applies_everywhere():
    assert Head(dense=(512, 256), dropout=0.3).dropout == (0.3, 0.3, 0.3)
