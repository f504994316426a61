"""
==================
Your own network
==================

Any PyTorch module with ``encode`` and ``decode`` can take the place of the built-in network.
Units, layout, training, scores and all that scikit-learn asks for stay as they are, and so does
the way out: a file that runs without Python.
"""

# %%
# A module, trained and exported
# ------------------------------
# It sees standardized batches ``(n, n_channels, height, width)``. Of ``n_channels``,
# ``spatial_shape`` and ``n_components`` it is given those that ``__init__`` names; what else it
# takes is given by ``net_params``, and can be searched over. This one moves pixels into channels
# and back, which the built-in network does not do. From the class to the file are less than
# fifteen lines.

import math
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from torch import nn

from skcae import ConvAutoencoder, export_onnx
from skcae.plots import LossCurveDisplay

X = load_digits().images.astype(np.float32)
options = {"max_epochs": 10, "batch_size": 64, "contamination": 0.05, "random_state": 0}


class PixelNetwork(nn.Module):
    def __init__(self, n_components, spatial_shape, width=32):
        super().__init__()
        small = width, spatial_shape[0] // 2, spatial_shape[1] // 2
        size = math.prod(small)
        down = nn.PixelUnshuffle(2), nn.Conv2d(4, width, 3, padding=1), nn.GELU()
        up = nn.GELU(), nn.Conv2d(width, 4, 3, padding=1), nn.PixelShuffle(2)
        self.encode = nn.Sequential(*down, nn.Flatten(), nn.Linear(size, n_components))
        self.decode = nn.Sequential(nn.Linear(n_components, size), nn.Unflatten(1, small), *up)


ae = ConvAutoencoder(8, module=PixelNetwork, **options).fit(X[:1400])
folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "network.onnx")
export_onnx(ae, path, output="reconstruction")

# %%
# Where there is no PyTorch
# -------------------------
# The file takes images in the units of ``X``, and gives them back in the same.

session = onnxruntime.InferenceSession(path)
(X_hat,) = session.run(["reconstruction"], {"X": X[1400:]})
print(f"{path.stat().st_size / 1e3:.0f} kB; values differ by at most", end=" ")
print(f"{np.abs(X_hat - ae.reconstruct(X[1400:])).max():.0e} of {X.max():.0f}")
folder.cleanup()

# %%
# Beside the built-in one
# -----------------------
# ``summary`` counts its layers as those of the built-in network. The linear path, which a
# network of your own does not have, is left out of the other.

estimators = {
    "built in": ConvAutoencoder(8, net_params={"module__linear_path": False}, **options),
    "pixels, 32 filters": ae,
    "pixels, 64 filters": ConvAutoencoder(
        8, module=PixelNetwork, net_params={"module__width": 64}, **options
    ),
}
for name, estimator in estimators.items():
    if estimator is not ae:
        estimator.fit(X[:1400])
    n_parameters = estimator.summary().loc["total", "parameters"]
    error = np.mean((estimator.reconstruct(X[1400:]) - X[1400:]) ** 2)
    print(f"{name:20} {n_parameters:7} parameters, squared error of test digits {error:.2f}")

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
# ``encode`` and ``decode``, as methods or as modules; leave batches, units, devices, early
# stopping, scores and export to the estimator. In a script that is started with several
# processes, put the class into a file that they can import.
