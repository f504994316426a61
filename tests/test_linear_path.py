"""The linear path: PCA where the network does not help, and a start there where it does."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA

from skcae import ConvAutoencoder, ConvVAE, DenoisingConvAutoencoder
from skcae._data import _stored
from skcae._data._stored import Stored

AUTO = {"module__linear_path": "auto"}


def pca_error(X, X_test, n_components):
    rows, test = X.reshape(len(X), -1), X_test.reshape(len(X_test), -1)
    pca = PCA(n_components, svd_solver="full").fit(rows)
    return np.mean((pca.inverse_transform(pca.transform(test)) - test) ** 2)


def test_noise_is_reconstructed_as_by_pca():
    for seed in range(2):
        X = np.random.default_rng(seed).normal(3, 2, (80, 6, 6))
        ae = ConvAutoencoder(5, contamination=0.1, random_state=seed).fit(X[:60])
        error = np.mean((ae.reconstruct(X[60:]) - X[60:]) ** 2)
        assert error < 1.02 * pca_error(X[:60], X[60:], 5)


def test_few_rows_are_reconstructed_better_than_by_pca(digits):
    X = digits[0]
    for seed in range(2):
        ae = ConvAutoencoder(8, contamination=0.1, random_state=seed).fit(X[:150])
        assert 0 < float(ae.net_.linear_path.share) <= 1
        error = np.mean((ae.reconstruct(X[1000:]) - X[1000:]) ** 2)
        assert error < 0.95 * pca_error(X[:150], X[1000:], 8)


@pytest.mark.parametrize("parameters", [
    {},
    {"loss": "binary_crossentropy"},
    {"loss": "absolute_error"},
    {"hidden_channels": ()},
    {"early_stopping": True},
])  # fmt: skip
def test_without_the_network_it_is_pca(digits, parameters):
    X = digits[0][:100]
    ae = ConvAutoencoder(
        6,
        **{"hidden_channels": (4,), **parameters},
        max_epochs=2,
        contamination=0.1,
        random_state=0,
    ).fit(X)
    ae.net_.linear_path.share.zero_()
    pca = PCA(6, svd_solver="full").fit(X.reshape(100, -1))
    expected = pca.inverse_transform(pca.transform(X.reshape(100, -1))).reshape(X.shape)
    if parameters.get("loss") == "binary_crossentropy":
        expected = expected.clip(0.02, 0.98)
    np.testing.assert_allclose(ae.reconstruct(X), expected, atol=1e-4)


def test_a_pilot_decides(digits):
    small = {"hidden_channels": (4,), "max_epochs": 3, "contamination": 0.1}
    ae = ConvAutoencoder(4, random_state=0, **small).fit(digits[0][:300])
    always = clone(ae).set_params(net__module__linear_path=True).fit(digits[0][:300])
    assert ae.net_.linear_path is not None  # three epochs are too few without it
    np.testing.assert_array_equal(ae.transform(digits[0][:9]), always.transform(digits[0][:9]))
    ae.set_params(hidden_channels=(16, 32), max_epochs=10)
    never = clone(ae).set_params(net__module__linear_path=False).fit(digits[0][:1200])
    ae.fit(digits[0][:1200])
    assert ae.net_.linear_path is None  # there is enough to learn
    np.testing.assert_array_equal(ae.transform(digits[0][:9]), never.transform(digits[0][:9]))


def test_streams_and_warm_starts_go_on(digits):
    X = digits[0][:120]
    ae = DenoisingConvAutoencoder(4, noise_level=0.1, max_epochs=2, contamination=0.1,
                                  random_state=0)  # fmt: skip
    with pytest.warns(UserWarning, match="too few to start at the principal components"):
        clone(ae).partial_fit(X[: ae.n_components])
    first = ae.partial_fit(X).net_.linear_path.components.clone()
    assert (ae.partial_fit(X[:3]).net_.linear_path.components == first).all()
    ae.set_params(warm_start=True).fit(X)
    assert (ae.net_.linear_path.components == first).all()


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("given", ["auto", True])
def test_a_handful_of_rows(digits, n, given):
    X = digits[0][:n]
    ae = ConvAutoencoder(2, net_params={"module__linear_path": given}, max_epochs=2)
    assert np.isfinite(ae.fit(X).reconstruct(X)).all()


@pytest.mark.parametrize("value", [0.0, 0.3, 1e9])
def test_constant_data(value):
    X = np.full((40, 6, 6), value)
    ae = ConvAutoencoder(2, max_epochs=2, random_state=0).fit(X)
    np.testing.assert_allclose(ae.reconstruct(X), X, rtol=1e-5, atol=1e-5)


def test_what_cannot_have_it_is_refused(digits):
    X = digits[0][:40]
    with pytest.raises(ValueError, match="needs n_components, and neither tied_weights"):
        ConvAutoencoder(
            4, net_params={"module__linear_path": True, "module__tied_weights": True}
        ).fit(X)
    with pytest.raises(ValueError, match="has no linear_path"):
        ConvVAE(4, net_params={"module__linear_path": True}).fit(X)
    with pytest.raises(ValueError, match="has no linear_path"):
        ConvVAE(4, net_params=AUTO).fit(X)
    with pytest.raises(ValueError, match="pass True, False or 'auto'"):
        ConvAutoencoder(4, net_params={"module__linear_path": "pca"}).fit(X)
    with pytest.raises(ValueError, match="inputs that are their own targets"):
        DenoisingConvAutoencoder(4, net_params=AUTO).fit(X, target=X)
    assert DenoisingConvAutoencoder(4, max_epochs=1).fit(X, target=X).net_.linear_path is None
    assert ConvAutoencoder(4, max_epochs=1, trim_fraction=0.1).fit(X).net_.linear_path is None


def test_a_network_of_no_weight_learns_from_further_data(digits):
    X = digits[0]
    ae = ConvAutoencoder(16, max_epochs=3, contamination=0.1, random_state=0).fit(X[:60])
    ae.net_.linear_path.share.zero_()
    before = ae.reconstruct(X[1200:])
    chunk = ConvAutoencoder(16, contamination=0.1, random_state=0, warm_start=True)
    vars(chunk).update({k: v for k, v in vars(ae).items() if k not in chunk.get_params()})
    chunk.set_params(max_epochs=1, learning_rate=1e-12).partial_fit(X[:60])
    np.testing.assert_allclose(chunk.reconstruct(X[1200:]), before, atol=0.05)
    errors = [np.mean((before - X[1200:]) ** 2)]
    for start in range(0, 1200, 100):
        ae.partial_fit(X[start : start + 100])
    errors.append(np.mean((ae.reconstruct(X[1200:]) - X[1200:]) ** 2))
    assert errors[1] < 0.9 * errors[0]


@pytest.mark.parametrize("given", [True, False, np.True_, np.False_])
def test_an_earlier_fit_and_the_entry_agree(digits, given):
    X = digits[0][:60]
    entry = {"module__linear_path": given}
    ae = ConvAutoencoder(4, max_epochs=1, warm_start=True, contamination=0.1, net_params=entry)
    ae.fit(X)
    assert (ae.net_.linear_path is not None) == bool(given)
    ae.fit(X)
    ae.set_params(net_params={"module__linear_path": not given})
    with pytest.raises(ValueError, match="from which training goes on"):
        ae.fit(X)
    with pytest.raises(ValueError, match="from which training goes on"):
        ae.partial_fit(X)


@pytest.mark.parametrize("n", [3, 30, 60, 120])
def test_rows_are_held_out_of_stored_arrays_as_of_others(digits, n, monkeypatch, tmp_path):
    monkeypatch.setattr(_stored, "WHOLE", 0)
    np.save(tmp_path / "X.npy", digits[0][:n])
    array = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert len(_stored.subsample(Stored(array), n // 4, 0)) == n // 4
    ae = ConvAutoencoder(4, hidden_channels=(4,), max_epochs=1, random_state=0)
    assert np.isfinite(ae.fit(array).transform(array)).all()
