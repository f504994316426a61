"""
============================================
Larger than memory, and several processes
============================================

``fit`` and ``transform`` read memory maps, Zarr, HDF5 and Dask arrays a window at a time, and
write their results where you say. Here are the patches of a photograph, in a file, and two
processes that encode them.
"""

# %%
# An array in a file
# ------------------
# One patch of 16 x 16 pixels around each fourth pixel. This file has 4 MB; one of a terabyte
# would be used in the same way, and in the same memory.

import tempfile
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from matplotlib import pyplot as plt
from sklearn.cluster import KMeans
from sklearn.datasets import load_sample_image

from skcae import ConvAutoencoder

SIDE, STEP = 16, 4
photograph = load_sample_image("china.jpg")
grey = photograph.mean(axis=2).astype(np.uint8)
views = np.lib.stride_tricks.sliding_window_view(grey, (SIDE, SIDE))[::STEP, ::STEP]

folder = tempfile.TemporaryDirectory()
path = Path(folder.name)
patches = np.memmap(path / "patches.u8", np.uint8, "w+", shape=(views[..., 0, 0].size, SIDE, SIDE))
patches[:] = views.reshape(patches.shape)
print(patches.shape, f"{patches.nbytes / 1e6:.1f} MB")

# %%
# Fit from the file
# -----------------
# Integers stay integers, on the disk and in memory; they are converted batch by batch.

X = np.memmap(path / "patches.u8", np.uint8, "r", shape=patches.shape)
ae = ConvAutoencoder(
    8, hidden_channels=(8, 16), max_epochs=3, anomaly_score="loss", random_state=0
).fit(X)

# %%
# Encode with two processes
# -------------------------
# Each reads its part of the file, and writes its codes into another. A fitted estimator travels
# to the processes as any other of scikit-learn.

Z = np.memmap(path / "codes.f4", np.float32, "w+", shape=(len(X), ae.n_components_))


def encode(ae, X, Z, part):
    ae.transform(X[part], out=Z[part])


halves = slice(0, len(X) // 2), slice(len(X) // 2, None)
Parallel(n_jobs=2)(delayed(encode)(ae, X, Z, part) for part in halves)
Z = np.memmap(path / "codes.f4", np.float32, "r", shape=Z.shape)

# %%
# Result
# ------
# Six kinds of patches by their codes, without a label. A patch stands for its middle.

kinds = KMeans(6, n_init=3, random_state=0).fit_predict(Z).reshape(views.shape[:2])
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
axes[0].imshow(photograph)
height, width = (STEP * n for n in kinds.shape)
extent = (SIDE / 2, SIDE / 2 + width, SIDE / 2 + height, SIDE / 2)
axes[1].imshow(kinds, cmap="Set2", extent=extent, interpolation="nearest")
axes[1].set(xlim=axes[0].get_xlim(), ylim=axes[0].get_ylim())
for ax, title in zip(axes, ("photograph", "kinds of patches, by their codes"), strict=True):
    ax.set(xticks=[], yticks=[], title=title)
plt.show()
del X, Z, patches
folder.cleanup()

# %%
# What to learn from it
# ---------------------
# Give the array as it lies on the disk, and say with ``out=`` where results go. Many fits, as of
# a search, share the cores by ``n_jobs``. One fit on several processes or machines is started by
# ``torchrun``, without a change of the estimator: :doc:`/scale` tells how.
