"""
==================
Your own network
==================

Any PyTorch module with ``encode`` and ``decode`` can take the place of the built-in network.
Units, layout, training, scores and all that scikit-learn asks for stay as they are.
"""

# %%
# A module
# --------
# It sees standardized batches ``(n, n_channels, height, width)``. Of ``n_channels``,
# ``spatial_shape`` and ``n_components`` it is given those that ``__init__`` names; what else it
# takes is given by ``net_params``, and can be searched over. This one has residual blocks, which
# the built-in network has not.

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from torch import nn

from skcae import ConvAutoencoder
from skcae.plots import LossCurveDisplay


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Sequential(
            nn.BatchNorm2d(width), nn.GELU(), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x):
        return x + self.inner(x)


class ResidualNetwork(nn.Module):
    def __init__(self, n_components, spatial_shape, width=16):
        super().__init__()
        height, width_of_map = (side // 2 for side in spatial_shape)
        size = width * height * width_of_map
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 3, stride=2, padding=1),
            Residual(width),
            Residual(width),
            nn.Flatten(),
            nn.Linear(size, n_components),
        )
        self.decoder = nn.Sequential(
            nn.Linear(n_components, size),
            nn.Unflatten(1, (width, height, width_of_map)),
            Residual(width),
            Residual(width),
            nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),
        )

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(z)


# %%
# Beside the built-in one
# -----------------------
# ``summary`` counts its layers as those of the built-in network. The linear path, which a
# network of your own does not have, is left out of the other.

X = load_digits().images
options = {"max_epochs": 10, "batch_size": 64, "anomaly_score": "loss", "random_state": 0}
estimators = {
    "built in": ConvAutoencoder(8, net_params={"module__linear_path": False}, **options),
    "residual, 16 filters": ConvAutoencoder(8, module=ResidualNetwork, **options),
    "residual, 32 filters": ConvAutoencoder(
        8, module=ResidualNetwork, net_params={"module__width": 32}, **options
    ),
}
for name, estimator in estimators.items():
    estimator.fit(X[:1400])
    n_parameters = estimator.summary().loc["total", "parameters"]
    error = np.mean((estimator.reconstruct(X[1400:]) - X[1400:]) ** 2)
    print(f"{name:22} {n_parameters:7} parameters, squared error of test digits {error:.2f}")

# %%
# Result
# ------

figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, estimator in estimators.items():
    LossCurveDisplay.from_estimator(estimator, name=name, log_scale=True, ax=ax)
plt.show()

# %%
# What to learn from it
# ---------------------
# A network is a small class, and the comparison a loop, which here the built-in one wins. Write
# ``encode`` and ``decode``; leave batches, units, devices, early stopping and scores to the
# estimator. In a script that is started with several processes, put the class into a file that
# they can import.
