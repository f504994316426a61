"""
=====================================
Volumes: a void inside a casting
=====================================

Volumes are data like others: their convolutions have three dimensions. Here are digits cast in
metal, as a scanner sees them, and a void in some of them that cannot be seen from above.
"""

# %%
# Digits in relief
# ----------------
# The brightness of a pixel is the height of the casting there, in eight slices. A scan has
# noise. In each of the broken ones a cube of 2 x 2 x 2 voxels is empty, below the surface of a
# thick place.

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from skcae import ConvAutoencoder
from skcae.plots import AnomalyMapDisplay, ScoreDisplay
from skcae.scores import roc_auc_scorer

rng = np.random.default_rng(0)
images = load_digits().images
castings = (images[:, None] > 2 * np.arange(8)[:, None, None]).astype(float)


def hollow(casting):
    """A copy with a void under a place where four neighbours have at least five slices."""
    height = casting.sum(axis=0)
    corners = np.minimum.reduce([height[i : 7 + i, j : 7 + j] for i in (0, 1) for j in (0, 1)])
    i, j = rng.choice(np.argwhere(corners >= min(5, corners.max())))
    copy = casting.copy()
    copy[1:3, i : i + 2, j : j + 2] = 0
    return copy


def scan(castings):
    return castings + rng.normal(scale=0.1, size=castings.shape)


train, normal = scan(castings[:1200]), scan(castings[1200:])
broken = scan(np.stack([hollow(casting) for casting in castings[1200:]]))
print(train.shape)

# %%
# Fit --- Without ``channel_axis`` four axes are samples of volumes. Nothing else differs from
# images. A void fills 8 voxels of 512, so the score is the mean of the largest errors. That the
# network starts at PCA, by its linear path, is said here, which spares the pilot that decides it.

detector = ConvAutoencoder(
    16,
    anomaly_score="top_error",
    max_epochs=6,
    batch_size=48,
    net_params={"module__linear_path": True},
    random_state=0,
).fit(train)
both, is_broken = np.concatenate([normal, broken]), np.repeat([0, 1], len(normal))
print(f"area under the ROC curve: {roc_auc_scorer(detector, both, is_broken):.3f}")
print(f"normal castings called outliers: {np.mean(detector.predict(normal) == -1):.1%}")
print(f"broken castings called outliers: {np.mean(detector.predict(broken) == -1):.1%}")

# %%
# Result
# ------
# The casting that is most unusual and its map, which is a volume too, slice by slice; and the
# scores of all.

worst = broken[detector.score_samples(broken).argmin()][None]
figure = plt.figure(figsize=(7, 6.4), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=[2, 4])
slices = worst[0], detector.reconstruct(worst)[0], detector.anomaly_map(worst)[0]
AnomalyMapDisplay.from_predictions(*slices, ax=top.subplots())
names = ["normal", "with a void"]
ScoreDisplay.from_estimator(detector, both, is_broken, target_names=names, ax=bottom.subplots())
plt.show()

# %%
# What to learn from it
# ---------------------
# The network has learned how castings are built, slice upon slice, and finds what cannot be seen
# in any view from above. Scans, stacks of slices and short films are used alike. Volumes are
# large: few filters, the default, and windows of moderate size keep the fit short.
