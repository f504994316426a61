"""
=========================================
Quickstart: a convolutional autoencoder
=========================================

A :class:`~skcae.ConvAutoencoder` stands where :class:`~sklearn.decomposition.PCA` or
:class:`~sklearn.ensemble.IsolationForest` would stand. On the 8 x 8 digits of scikit-learn this
script compares them at three tasks: to compress an image to eight numbers, to classify from
these, and to notice images of a kind not seen before.

It needs no download and takes less than half a minute.
"""

# %%
# Data
# ----
# Each row of ``X`` is an image of 64 pixels with values from 0 to 16. The autoencoder is told
# the shape, not the scale: like PCA it takes any units and answers in the same. A number as
# ``contamination`` saves the time of learning where alarms begin, which is not asked here.

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import auc, roc_curve
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ConvAutoencoder
from skcae.plots import LatentDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
options = {"input_shape": (8, 8), "max_epochs": 10, "batch_size": 64, "random_state": 0}
options |= {"contamination": 0.05}
reducers = {"PCA(8)": PCA(8), "ConvAutoencoder(8)": ConvAutoencoder(8, **options)}

# %%
# Compress and classify
# ---------------------
# Both methods are the first step of the same pipeline. What counts are images that they were not
# fitted to: the squared error of the images that the codes give back, and the accuracy of a
# classifier that is given the codes alone.

decoded, accuracy = {}, {}
for name, reducer in reducers.items():
    pipeline = make_pipeline(reducer, StandardScaler(), LogisticRegression())
    accuracy[name] = pipeline.fit(X_train, y_train).score(X_test, y_test)
    decoded[name] = reducer.inverse_transform(reducer.transform(X_test))

# %%
# Notice what is new
# ------------------
# Now only the digits 0 to 4 are known. ``score_samples`` must rank them above 5 to 9: here it is
# minus the reconstruction error, for PCA the log-likelihood. (The default score, "joint", also
# weighs how unusual the code is, which pays with more numbers than 8.)

detectors = {
    "IsolationForest": IsolationForest(random_state=0),
    "PCA(8)": PCA(8),
    "ConvAutoencoder(8)": ConvAutoencoder(8, anomaly_score="loss", **options),
}
novelty = {}
for name, detector in detectors.items():
    scores = detector.fit(X_train[y_train < 5]).score_samples(X_test)
    novelty[name] = roc_curve(y_test >= 5, -scores)[:2]

# %%
# Results
# -------

print(f"{'':18} {'squared error':>14} {'accuracy':>10} {'AUROC of novelties':>20}")
for name, curve in novelty.items():
    cells = ["-", "-"]
    if name in decoded:
        cells = [f"{np.mean((decoded[name] - X_test) ** 2):.2f}", f"{accuracy[name]:.3f}"]
    print(f"{name:18} {cells[0]:>14} {cells[1]:>10} {auc(*curve):>20.3f}")

# %%
# A picture
# ---------
# Everything in it comes from images that the models were not fitted to.

figure = plt.figure(figsize=(10, 3.2), layout="constrained")
left, middle, right = figure.subfigures(1, 3, width_ratios=[4, 3, 3], wspace=0.05)

first = [np.flatnonzero(y_test == digit)[0] for digit in range(6)]
rows = {"original": X_test} | decoded
for (name, images), row in zip(rows.items(), left.subfigures(3, 1), strict=True):
    row.suptitle(name, x=0.01, ha="left", fontsize="medium")
    for image, ax in zip(images[first], row.subplots(1, 6), strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=16)
        ax.set_axis_off()
left.suptitle("64 pixels from 8 numbers")

ax = middle.subplots()
codes = LatentDisplay.from_estimator(
    reducers["ConvAutoencoder(8)"], X_test, y_test, projection="tsne", random_state=0, ax=ax
)
codes.legend_.remove()
for digit in range(10):
    centre = np.median(codes.points[y_test == digit], axis=0)
    box = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1}
    ax.text(*centre, digit, weight="bold", ha="center", va="center", bbox=box)
ax.set(xticks=[], yticks=[], aspect="auto")
middle.suptitle("Codes, learned without labels")

ax = right.subplots()
for (name, curve), colour in zip(novelty.items(), ("0.6", "C1", "C0"), strict=True):
    ax.plot(*curve, color=colour, label=f"{name} {auc(*curve):.2f}")
ax.set(xlabel="False alarms", ylabel="Detections", box_aspect=1)
ax.legend(
    title="Area under the curve", loc="lower right", fontsize="small", title_fontsize="small"
)
right.suptitle("Digits 5-9 as novelties")

path = Path("figures", "quickstart.png")
path.parent.mkdir(exist_ok=True)
figure.savefig(path, dpi=150)
print(f"saved {path}")

# %%
# What to learn from it
# ---------------------
# With as few numbers as PCA, a network reconstructs better and its codes are better features,
# because it can bend: digits do not lie on a plane. It asks for nothing but the shape of an
# image, and the rest of scikit-learn does not notice the difference.
