"""Arrays of other libraries: read on any device, with the results of NumPy's arrays."""

import array_api_strict
import numpy as np
import pytest
import scipy
import sklearn
import torch
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.fixes import parse_version

from skcae import ConditionalConvVAE, ConvAutoencoder, DenoisingConvAutoencoder

KINDS = [
    pytest.param(torch.asarray, id="torch"),
    pytest.param(lambda X: torch.asarray(X).to("cuda"), id="cuda", marks=pytest.mark.cuda),
    pytest.param(array_api_strict.asarray, id="strict"),
]
needs_dispatch = pytest.mark.skipif(
    parse_version(scipy.__version__) < parse_version("1.14"),
    reason="config_context(array_api_dispatch=True) raises ImportError with SciPy < 1.14",
)
DISPATCH = [False, pytest.param(True, marks=needs_dispatch)]


@pytest.fixture
def fitted(make, digits):
    X, y = digits[0][:60], digits[1][:60] % 2
    labels = (y,) if make.cls is ConditionalConvVAE else ()
    estimator = make(calibration=0.3, device="cpu")
    return estimator.fit(X, *labels), X, labels


@pytest.mark.parametrize("dispatch", DISPATCH)
@pytest.mark.parametrize("given", KINDS)
def test_results_are_those_of_numpys_arrays(given, dispatch, fitted):
    estimator, X, labels = fitted
    other = sklearn.clone(estimator)
    with sklearn.config_context(array_api_dispatch=dispatch):
        other.fit(given(X), *map(given, labels))
        for name in (
            *("anomaly_map", "decision_function", "elbo", "label_posterior", "log_likelihood"),
            *("p_values", "posterior", "predict", "reconstruct", "score_samples", "transform"),
        ):
            if hasattr(estimator, name):
                rows = X[:5] if name in ("elbo", "log_likelihood") else X  # of many draws each
                result, expected = (
                    getattr(e, name)(a) for e, a in ((other, given(rows)), (estimator, rows))
                )
                assert_array_equal(result, expected, err_msg=name, strict=True)
        Z = estimator.transform(X)
        expected = estimator.inverse_transform(Z)
        assert_array_equal(other.inverse_transform(given(Z)), expected, strict=True)
        if labels:
            assert_array_equal(other.transform(given(X), given(labels[0])),
                               estimator.transform(X, *labels))  # fmt: skip


def test_a_pair_of_tensors(digits):
    X = torch.from_numpy(digits[0][:60])
    ae = DenoisingConvAutoencoder(2, hidden_channels=(4,), max_epochs=1, random_state=0)
    codes = ae.fit(X, target=X / 2).transform(X)
    expected = sklearn.clone(ae).fit(X.numpy(), target=X.numpy() / 2).transform(X.numpy())
    assert_array_equal(codes, expected)


def test_after_a_step_that_gives_tensors(digits):
    X = digits[0][:100].reshape(100, -1)
    ae = ConvAutoencoder(8, input_shape=(8, 8), max_epochs=1, random_state=0)
    pipe = make_pipeline(FunctionTransformer(torch.from_numpy, check_inverse=False), ae)
    assert_array_equal(pipe.fit_transform(X), ae.fit_transform(X))


def test_tensors_that_numpy_cannot_hold(digits):
    X = torch.from_numpy(digits[0][:60])
    ae = ConvAutoencoder(2, hidden_channels=(4,), max_epochs=1, random_state=0).fit(X.numpy())
    for other in (X.clone().requires_grad_(), X.bfloat16(), torch.imag(X * 1j)):
        expected = ae.transform(other.detach().float().resolve_neg().numpy())
        assert_array_equal(ae.transform(other), expected)


def test_out_stays_with_the_computer(digits):
    X = digits[0][:60]
    ae = ConvAutoencoder(2, hidden_channels=(4,), max_epochs=1, random_state=0).fit(X)
    out = np.empty((60, 2), np.float32)
    assert ae.transform(torch.from_numpy(X), out=out) is out
    with pytest.raises(TypeError, match="out is a Tensor; pass an array in the computer"):
        ae.transform(X, out=torch.empty(60, 2))
