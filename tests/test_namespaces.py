"""Arrays of other libraries under scikit-learn's dispatch: the same results, of the same kind."""

from inspect import signature

import array_api_strict
import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_array_equal
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_array_api_input_and_values
from sklearn.utils.fixes import parse_version

from skcae import ConditionalConvVAE, ConvAutoencoder, DenoisingConvAutoencoder

# Older versions of scikit-learn read arrays of its other devices not at all.
STRICT = "device1" if parse_version(sklearn.__version__) >= parse_version("1.8") else "CPU_DEVICE"
KINDS = [
    pytest.param(torch, torch.device("cpu"), id="torch"),
    pytest.param(torch, torch.device("cuda", 0), id="cuda", marks=pytest.mark.cuda),
    pytest.param(array_api_strict, array_api_strict.Device(STRICT), id="strict"),
]
METHODS = [
    *("anomaly_map", "decision_function", "drift_test", "elbo", "fit_predict", "fit_transform"),
    *("interpolate", "label_posterior", "log_likelihood", "p_values", "posterior", "predict"),
    *("reconstruct", "score", "score_samples", "transform", "traverse"),
]


def to_numpy(array):
    return np.asarray(array.cpu() if isinstance(array, torch.Tensor) else array._array)


def assert_follows(result, expected, kind, device):
    if isinstance(expected, tuple):
        assert isinstance(result, type(expected))
        for part, other in zip(result, expected, strict=True):
            assert_follows(part, other, kind, device)
    elif isinstance(expected, np.ndarray):
        assert type(result) is type(kind.asarray(0))
        assert result.device == device
        assert_array_equal(to_numpy(result), expected)
    else:
        assert type(result) is type(expected)
        assert result == expected


@pytest.fixture
def fitted(make, digits):
    X, y = digits[0][:100], digits[1][:100] % 2
    labels = (y,) if make.cls is ConditionalConvVAE else ()
    estimator = make(calibration=0.3, device="cpu", max_epochs=20)
    return estimator.fit(X, *labels), X, labels


@pytest.mark.parametrize(("kind", "device"), KINDS)
def test_all_methods_give_back_what_they_got(kind, device, fitted):
    estimator, X, labels = fitted

    def given(array):
        return kind.asarray(np.array(array), device=device)

    other = sklearn.clone(estimator)
    with sklearn.config_context(array_api_dispatch=True):
        other.fit(given(X), *map(given, labels))
        for name in METHODS:
            if not hasattr(estimator, name):
                continue
            rows = X[:1] if name == "traverse" else X
            pair = [rows, rows[::-1]] if name == "interpolate" else [rows]
            expected = getattr(estimator, name)(*pair)
            assert_follows(getattr(other, name)(*map(given, pair)), expected, kind, device)
        Z = estimator.transform(X)
        assert_follows(other.inverse_transform(given(Z)), other.inverse_transform(Z), kind, device)


def test_every_public_method_is_among_them(make):
    public = [name for name in dir(make.cls) if not name.startswith("_")]
    methods = [name for name in public if callable(getattr(make.cls, name))]
    first = {name: [*signature(getattr(make.cls, name)).parameters][1:2] for name in methods}
    of_data = {name for name in methods if first[name] in (["X"], ["X_from"])}
    learning = {"fit", "partial_fit", "recalibrate"}
    assert of_data - learning <= set(METHODS)


def test_without_dispatch_results_are_numpys(fitted):
    estimator, X, _ = fitted
    result = estimator.transform(torch.from_numpy(X))
    assert_array_equal(result, estimator.transform(X), strict=True)


@pytest.mark.parametrize("kind", ["torch", "array_api_strict"])
def test_scikit_learn_finds_the_values_of_numpy(kind):
    estimator = ConvAutoencoder(4, max_epochs=2, random_state=0)
    check_array_api_input_and_values("ConvAutoencoder", estimator, kind, dtype_name="float32")


def test_a_pair_of_tensors(digits):
    X = torch.from_numpy(digits[0][:60])
    ae = DenoisingConvAutoencoder(2, hidden_channels=(4,), max_epochs=1, random_state=0)
    with sklearn.config_context(array_api_dispatch=True):
        codes = ae.fit(X, target=X / 2).transform(X)
    expected = sklearn.clone(ae).fit(X.numpy(), target=X.numpy() / 2).transform(X.numpy())
    assert_array_equal(codes.numpy(), expected)


def test_in_a_pipeline_of_tensors(digits):
    X = torch.from_numpy(digits[0][:100].reshape(100, -1))
    ae = ConvAutoencoder(8, input_shape=(8, 8), max_epochs=1, random_state=0)
    with sklearn.config_context(array_api_dispatch=True):
        codes = make_pipeline(ae, PCA(2, svd_solver="full")).fit_transform(X)
    assert isinstance(codes, torch.Tensor)
    assert codes.shape == (100, 2)


def test_out_stays_with_the_computer(fitted):
    estimator, X, _ = fitted
    out = np.empty((100, 4), np.float32)
    with sklearn.config_context(array_api_dispatch=True):
        assert estimator.transform(torch.from_numpy(X), out=out) is out
        assert_array_equal(out, estimator.transform(X))
        with pytest.raises(TypeError, match="out is a Tensor; pass an array in the computer"):
            estimator.transform(X, out=torch.empty(100, 4))


def test_without_data_results_are_numpys_or_of_the_labels(make_vae, digits):
    X, y = digits[0][:60], digits[1][:60] % 2
    labels = (y,) if make_vae.cls is ConditionalConvVAE else ()
    vae = make_vae(max_epochs=20).fit(X, *labels)
    with sklearn.config_context(array_api_dispatch=True):
        assert_array_equal(vae.traverse(), vae.traverse(None, 8), strict=True)
        if labels:
            images = vae.sample(2, y=torch.tensor([0, 1]), random_state=0)
            expected = vae.sample(2, y=np.array([0, 1]), random_state=0)
            assert_follows(images, expected, torch, torch.device("cpu"))


def test_tensors_that_numpy_cannot_hold(digits):
    X = torch.from_numpy(digits[0][:60])
    ae = ConvAutoencoder(2, hidden_channels=(4,), max_epochs=1, random_state=0).fit(X.numpy())
    with sklearn.config_context(array_api_dispatch=True):
        for other in (X.clone().requires_grad_(), X.bfloat16(), torch.imag(X * 1j)):
            expected = ae.transform(other.detach().float().resolve_neg().numpy())
            assert_array_equal(ae.transform(other).numpy(), expected)


def test_methods_that_a_user_adds_are_left_alone(digits):
    class Mine(ConvAutoencoder):
        def kind(self, X):
            return type(X)

    with sklearn.config_context(array_api_dispatch=True):
        assert Mine().kind(torch.zeros(3)) is torch.Tensor
