"""What must hold by mathematics, whatever the data."""

import numpy as np
import pytest
from sklearn.datasets import make_low_rank_matrix
from sklearn.decomposition import PCA

from skcae import ConvAutoencoder


def _linear(n_components, **parameters):
    return ConvAutoencoder(
        n_components,
        hidden_channels=(),
        activation=None,
        input_shape=(20,),
        learning_rate=1e-2,
        batch_size=50,
        max_epochs=150,
        contamination=0.1,
        **parameters,
    )


@pytest.mark.parametrize("tied_weights", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_a_linear_autoencoder_never_beats_pca_and_comes_close(seed, tied_weights):
    """PCA is the optimum (Bourlard and Kamp, 1988)."""
    X = make_low_rank_matrix(300, 20, effective_rank=6, random_state=seed) * 20 + 3
    pca = PCA(4).fit(X)
    optimum = np.mean((X - pca.inverse_transform(pca.transform(X))) ** 2)
    ae = _linear(4, net_params={"module__tied_weights": tied_weights}, random_state=seed).fit(X)
    assert optimum <= -ae.score(X) * (1 + 1e-5)
    assert -ae.score(X) < 1.1 * optimum
    angle = np.linalg.svd(pca.components_ @ _basis(ae))[1].min()
    assert angle > 0.95


def _basis(ae):
    """Orthonormal basis of the reconstructions, in columns."""
    X_hat = ae.inverse_transform(np.vstack([np.zeros(4), np.eye(4)]))
    return np.linalg.qr((X_hat[1:] - X_hat[0]).T)[0]


def test_enough_components_reconstruct_everything():
    X = make_low_rank_matrix(200, 20, effective_rank=6, random_state=0) * 20
    ae = _linear(20, random_state=0).fit(X)
    assert -ae.score(X) < 0.01 * X.var()


def test_the_median_minimizes_the_absolute_error():
    """A decoder that sees no code can only learn one value for each feature."""
    import torch

    class Constant(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.value = torch.nn.Parameter(torch.zeros(1, 1, 3))

        def encode(self, x):
            return x.flatten(1)[:, :1] * 0

        def decode(self, z):
            return self.value.expand(len(z), 1, 3)

    X = np.random.default_rng(0).exponential(size=(400, 3)) * [1, 2, 3]
    for loss, best in (("absolute_error", np.median), ("squared_error", np.mean)):
        ae = ConvAutoencoder(module=Constant, loss=loss, max_epochs=200, learning_rate=0.02,
                             batch_size=400, contamination=0.1, random_state=0).fit(X)  # fmt: skip
        np.testing.assert_allclose(ae.reconstruct(X)[0], best(X, axis=0), rtol=0.02)
