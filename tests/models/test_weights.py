import dataclasses
import hashlib
import sys

import keras
import numpy as np
import pytest
from keras.src import applications

from fer_search.design import BACKBONES, Backbone, Design
from fer_search.errors import UserError
from fer_search.models import build_model, build_network, check_weights, find_weights
from fer_search.models import weights as module
from fer_search.models.applications import NETWORKS, make_network

SMALL = Backbone("MobileNet", alpha=0.25)
NAME = "mobilenet_2_5_224_tf_no_top"


@pytest.fixture(autouse=True)
def keras_home(tmp_path, monkeypatch):
    """A separate Keras cache for each test."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras"


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory):
    """A weights file in the pretrained layout, with random He-initialised weights."""
    path = tmp_path_factory.mktemp("weights") / f"{NAME}.weights.h5"
    network, rng = make_network(SMALL), np.random.default_rng(0)
    for weight in network.weights:
        if weight.name == "kernel":
            inputs = np.prod(weight.shape[: 2 if weight.shape[-1] == 1 else 3])
            weight.assign(rng.normal(scale=np.sqrt(2 / inputs), size=weight.shape))
    network.save_weights(path)
    return path


class FileRequested(Exception):
    pass


def first(x, *_, **__):
    return x[0] if isinstance(x, list) else x


class NoLayers:
    """In place of ``keras.layers``: layers and functions that return their first input."""

    Input = staticmethod(keras.Input)

    def __getattr__(self, name):
        return first if name.islower() else lambda *_, **__: first


@pytest.fixture
def no_layers(monkeypatch):
    """Keras' networks without layers, which take far longer to build than the choice of a weights file."""
    for network in [found for name, found in sys.modules.items() if name.startswith(f"{applications.__name__}.")]:
        for name in ("Sequential", "LayerScale", "StochasticDepth"):
            monkeypatch.setattr(network, name, getattr(NoLayers(), name), raising=False)
        monkeypatch.setattr(network, "layers", NoLayers(), raising=False)


@pytest.mark.usefixtures("no_layers")
@pytest.mark.filterwarnings("ignore:`input_shape` is undefined")
@pytest.mark.parametrize("name", BACKBONES)
def test_the_weights_files_are_those_that_keras_loads(name, monkeypatch):
    def request(file, origin, file_hash=None, **_):
        raise FileRequested((file, origin, file_hash))

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", request)
    known = BACKBONES[name]
    sizes = (96, 128, 48, 224) if "Mobile" in name else (max(48, known.smallest),)
    for i, alpha in enumerate(known.alphas):
        backbone = Backbone(name, alpha=alpha, input_size=sizes[i % len(sizes)])
        size = backbone.input_size
        options = {"alpha": alpha} if len(known.alphas) > 1 else {}
        with (
            keras.StatelessScope(initialize_variables=False),
            pytest.raises(FileRequested) as seen,
        ):
            NETWORKS[name][0](include_top=False, input_shape=(size, size, 3), weights="imagenet", **options)
        file = module.pretrained_file(backbone)
        assert seen.value.args[0] == (file.name, f"{module.ORIGIN}/{file.path}", file.digest)


def test_a_download_is_stored_in_the_keras_cache_and_not_repeated(server, mobilenet, keras_home):
    server.files[f"/mobilenet/{NAME}.h5"] = mobilenet.read_bytes()
    for _ in range(2):
        assert find_weights(SMALL, origin=server.url) == keras_home / "models" / f"{NAME}.h5"
    assert len(server.requests) == 1


def test_a_cached_file_with_a_wrong_hash_is_downloaded_again(server, keras_home, monkeypatch):
    file = module.PretrainedFile("vgg16/v.h5", hashlib.md5(b"right").hexdigest())
    monkeypatch.setitem(module.FILES, "VGG16", file)
    (keras_home / "models").mkdir(parents=True)
    (keras_home / "models" / "v.h5").write_bytes(b"wrong")
    server.files["/vgg16/v.h5"] = b"right"
    assert find_weights(Backbone("VGG16"), origin=server.url).read_bytes() == b"right"


def test_the_users_folder_has_priority(mobilenet, server):
    assert find_weights(SMALL, mobilenet.parent, server.url) == mobilenet
    for_160 = dataclasses.replace(SMALL, input_size=160)  # not in the folder: falls back to the file for 224
    assert find_weights(for_160, mobilenet.parent, server.url) == mobilenet
    assert server.requests == []


def test_a_file_with_keras_name_in_the_users_folder_must_have_keras_hash(tmp_path):
    path = tmp_path / module.FILES["VGG16"].name
    path.write_bytes(b"something else")
    with pytest.raises(
        UserError, match=r"does not have the hash .* Keras publishes; remove it, or rename it to .*weights\.h5"
    ):
        find_weights(Backbone("VGG16"), tmp_path)


def test_a_check_explains_problems_and_requests_each_file_once(server, mobilenet, tmp_path):
    offline = Backbone("MobileNet", alpha=0.5)
    twins = [SMALL, dataclasses.replace(SMALL, train_from=3), dataclasses.replace(SMALL, weights="none")]
    (tmp_path / f"{NAME}.weights.h5").write_bytes(mobilenet.read_bytes()[:-5000])
    (tmp_path / "mobilenet_7_5_224_tf_no_top.weights.h5").write_bytes(mobilenet.read_bytes())
    wrong_shape = Backbone("MobileNet", alpha=0.75)
    errors = check_weights([*twins, offline, wrong_shape], tmp_path, server.url)
    assert list(errors) == [*twins, offline, wrong_shape]
    assert f"{NAME}.weights.h5 does not hold the weights of mobilenet" in errors[twins[0]]
    assert errors[twins[1]] == errors[twins[0]]
    assert errors[twins[2]] is None
    name = "mobilenet_5_0_224_tf_no_top.h5"
    assert errors[offline] == (
        f"{name} is not in {tmp_path}, and {server.url}/mobilenet/{name} could not be downloaded (HTTP 404 Not Found); "
        f"point --weights-dir to a folder with {name}"
    )
    assert "does not hold the weights" in errors[wrong_shape]
    assert all("\n" not in reason for reason in errors.values() if reason)
    assert len(server.requests) == 1


def test_a_check_accepts_valid_weights(mobilenet):
    assert check_weights([SMALL], mobilenet.parent) == {SMALL: None}


def test_a_missing_connection_is_given_as_the_reason(monkeypatch):
    reason = check_weights([SMALL], origin="http://127.0.0.1:9")[SMALL]
    assert reason.startswith("MobileNet: http://127.0.0.1:9/mobilenet/")
    assert "no connection" in reason


def features(design, folder, pixels):
    model = build_network(design, folder)
    return keras.ops.convert_to_numpy(keras.Model(model.input, model.get_layer("pool").output)(pixels))


@pytest.mark.parametrize("size", [48, 96])
def test_summed_channels_give_the_same_features_as_rgb(mobilenet, pixels, size):
    """MobileNet preprocesses all channels alike, so they also agree at the borders."""
    rgb, grey = (
        features(Design(network=dataclasses.replace(SMALL, channels=c, input_size=size)), mobilenet.parent, pixels)
        for c in ("rgb", "sum")
    )
    assert np.abs(rgb).max() > 0.01
    np.testing.assert_allclose(rgb, grey, rtol=1e-3, atol=1e-5 * np.abs(rgb).max())


def test_pretrained_weights_are_not_looked_up_before_loading_a_checkpoint(monkeypatch):
    def request(*_):
        raise FileRequested

    monkeypatch.setattr("fer_search.models.backbone.find_weights", request)
    with pytest.raises(FileRequested):
        build_model(Design(network=SMALL))
    build_model(Design(network=SMALL), pretrained=False)
    build_model(Design(network=dataclasses.replace(SMALL, weights="none")))


def test_real_weights_give_keras_features(imagenet, pixels):
    """With the real weights, features equal those of Keras' MobileNet with its preprocessing."""
    network = dataclasses.replace(SMALL, input_size=96)
    ours = features(Design(network=network), imagenet, pixels)
    keras_own = keras.applications.MobileNet(include_top=False, weights=None, alpha=0.25, input_shape=(96, 96, 3))
    keras_own.load_weights(find_weights(network, imagenet))
    large = keras.ops.image.resize(np.repeat(pixels, 3, axis=-1), (96, 96), interpolation="bilinear")
    theirs = keras_own(keras.applications.mobilenet.preprocess_input(keras.ops.convert_to_numpy(large)))
    np.testing.assert_allclose(ours, np.mean(theirs, axis=(1, 2)), rtol=1e-3, atol=1e-4)
    grey = features(Design(network=dataclasses.replace(network, channels="sum")), imagenet, pixels)
    np.testing.assert_allclose(grey, ours, rtol=1e-3, atol=1e-3)
    assert check_weights([network], imagenet) == {network: None}
