"""The seed systems of ``examples/seeds``: each is a plain configuration with the same network."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

SEEDS = Path(__file__).parents[1] / "examples" / "seeds"

# File, arguments of make_estimator, parameters and statistics together, size of the code.
NETWORKS = [
    pytest.param("tied_autoencoder", {}, 1_941, 160, id="000, 10 filters"),
    pytest.param("tied_autoencoder", {"n_filters": 5}, 521, 80, id="000, 5 filters"),
    pytest.param("simple_autoencoder", {}, 50_992, 32, id="001 simple"),
    pytest.param("pooled_autoencoder", {}, 4_385, 128, id="001 conv, nearest"),
    *(
        pytest.param(
            "pooled_autoencoder",
            {"net__module__upsampling": upsampling},
            4_385,
            128,
            id=f"001 conv, {upsampling}",
        )
        for upsampling in ("bilinear", "transpose")
    ),
    pytest.param("denoising_autoencoder", {}, 30_689, 256, id="001 denoising"),
    pytest.param("batchnorm_autoencoder", {}, 178_769, 16, id="002"),
    pytest.param("dcec_autoencoder", {}, 275_979, 10, id="003 cae"),
    pytest.param("fully_convolutional_autoencoder", {}, 256_515, 2, id="003 cae2"),
    pytest.param(
        "fully_convolutional_autoencoder", {"n_channels": 10}, 274_955, 10, id="003 cae_tsne"
    ),
    pytest.param("fashion_autoencoder", {}, 22_331, 2, id="004"),
    pytest.param("convolutional_vae", {}, 286_485, 10, id="003 cvae"),
    pytest.param("conditional_vae", {}, 306_005, 10, id="003 conditional, both"),
    pytest.param(
        "conditional_vae", {"condition": "decoder"}, 298_005, 10, id="003 conditional, decoder"
    ),
]

# Feature maps along the network, which equal counts do not pin down.
SHAPES = {
    "tied_autoencoder": [(10, 14, 14), (10, 7, 7), (10, 4, 4), (10, 7, 7), (10, 14, 14)],
    "pooled_autoencoder": [(16, 28, 28), (16, 14, 14), (8, 7, 7), (8, 4, 4), (16, 28, 28)],
    "denoising_autoencoder": [(32, 28, 28), (32, 14, 14), (32, 7, 7), (16, 4, 4), (32, 28, 28)],
    "batchnorm_autoencoder": [(32, 14, 14), (64, 7, 7), (16,), (64, 14, 14), (32, 28, 28)],
    "dcec_autoencoder": [(32, 14, 14), (64, 7, 7), (128, 3, 3), (10,), (64, 7, 7), (32, 14, 14)],
    "fully_convolutional_autoencoder": [(128, 3, 3), (2, 1, 1), (128, 3, 3), (64, 7, 7)],
    "fashion_autoencoder": [(16, 24, 24), (16, 12, 12), (8, 8, 8), (8, 4, 4), (64,), (2,), (64,)],
}


def load(name):
    """A module from its path, without putting its folder on the search path."""
    spec = importlib.util.spec_from_file_location(name, SEEDS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fit(name, **arguments):
    """The estimator after one short epoch, its autoencoder, and the data in its layout."""
    estimator = load(name).make_estimator(**{"max_epochs": 1, "batch_size": 8, **arguments})
    X = np.random.default_rng(0).random((8, 28, 28), dtype=np.float32)
    pipeline = isinstance(estimator, Pipeline)
    X = X.reshape(8, -1) if pipeline else X
    if hasattr(estimator, "condition"):
        estimator.partial_fit(X, np.arange(8), classes=range(10))
    else:
        estimator.fit(X)
    return estimator, estimator[-1] if pipeline else estimator, X


def count(layers):
    return int(layers[["parameters", "statistics"]].to_numpy().sum())


@pytest.mark.parametrize(("name", "arguments", "n_parameters", "code_size"), NETWORKS)
def test_network(name, arguments, n_parameters, code_size):
    estimator, autoencoder, X = fit(name, **arguments)
    assert count(autoencoder.summary().loc[["total"]]) == n_parameters
    assert estimator.transform(X).shape == (8, code_size)
    if autoencoder is estimator:
        X_hat = estimator.reconstruct(X)
    else:
        X_hat = estimator.inverse_transform(estimator.transform(X))
    assert X_hat.shape == X.shape
    assert np.isfinite(X_hat).all()


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name):
    _, autoencoder, _ = fit(name)
    shapes = iter(autoencoder.summary()["output_shape"])
    assert all(shape in shapes for shape in SHAPES[name]), "a shape is missing or out of order"


@pytest.mark.parametrize(
    ("name", "n_encoder", "n_decoder", "n_statistics"),
    [
        ("batchnorm_autoencoder", 69_392, 109_377, 384),
        ("fashion_autoencoder", 12_010, 10_321, 0),
    ],
)
def test_encoder_and_decoder(name, n_encoder, n_decoder, n_statistics):
    _, autoencoder, _ = fit(name)
    layers = autoencoder.summary()
    assert count(layers[layers.index.str.startswith("encoder.")]) == n_encoder
    assert count(layers[layers.index.str.startswith("decoder.")]) == n_decoder
    assert layers.loc["total", "statistics"] == n_statistics


def test_every_seed_is_tested():
    scripts = {path.stem for path in SEEDS.glob("*.py") if not path.stem.startswith("_")}
    assert scripts == {network.values[0] for network in NETWORKS}
