"""
===========================================
Quickstart: a convolutional autoencoder
===========================================

A :class:`~skcae.ConvAutoencoder` stands where :class:`~sklearn.decomposition.PCA` or
:class:`~sklearn.ensemble.IsolationForest` would stand. On the 8 x 8 digits of scikit-learn this
script compares them at three tasks: to compress an image to eight numbers, to classify from these,
and to notice images of a kind not seen before.

It needs no download and takes about half a minute on two free cores.
"""

# %%
# Data
# ----
# Each row of ``X`` is an image of 64 pixels with values from 0 to 16. The autoencoder is told the
# shape, not the scale: like PCA it takes any units and answers in the same.

import argparse
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import auc, roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ConvAutoencoder
from skcae.plots import LatentDisplay

parser = argparse.ArgumentParser(description="Quickstart on the digits of scikit-learn.")
parser.add_argument("--output", type=Path, default=Path("docs/images/quickstart.png"))
parser.add_argument("--random-state", type=int, default=0)
args = parser.parse_args()
seed = args.random_state

X, y = load_digits(return_X_y=True)
models = {
    "IsolationForest": IsolationForest(random_state=seed),
    "PCA(8)": PCA(8),
    "ConvAutoencoder(8)": ConvAutoencoder(
        8, input_shape=(8, 8), max_epochs=10, anomaly_score="loss", random_state=seed
    ),
}
folds = list(StratifiedKFold(5, shuffle=True, random_state=seed).split(X, y))

# %%
# Compress and classify
# ---------------------
# Both methods are the first step of the same pipeline. Five folds measure the accuracy of the
# classifier on their codes, and the squared error of the images that the codes give back.


def reconstruction_error(pipeline, X, y):
    reducer = pipeline[0]
    return np.mean((reducer.inverse_transform(reducer.transform(X)) - X) ** 2)


compressed = {
    name: cross_validate(
        make_pipeline(models[name], StandardScaler(), LogisticRegression(max_iter=1000)),
        X,
        y,
        cv=folds,
        scoring={"accuracy": "accuracy", "error": reconstruction_error},
        return_estimator=True,
        n_jobs=2,
    )
    for name in ("PCA(8)", "ConvAutoencoder(8)")
}

# %%
# Notice what is new
# ------------------
# Now only the digits 0 to 4 are known. ``score_samples`` must rank them above 5 to 9: for the
# autoencoder it is minus the reconstruction error, for PCA the log-likelihood. (The default score,
# "joint", also weighs how unusual the code is, which pays with more numbers than 8.)


def novelty_auroc(model, X, y):
    return roc_auc_score(y < 5, model.score_samples(X))


known = [(train[y[train] < 5], test) for train, test in folds]
novelty = {
    name: cross_validate(
        model, X, y, cv=known, scoring=novelty_auroc, return_estimator=True, n_jobs=2
    )
    for name, model in models.items()
}

# %%
# Results
# -------


def cell(result, key, digits):
    if key not in result:
        return "-"
    return f"{np.mean(result[key]):.{digits}f} ± {np.std(result[key]):.{digits}f}"


print(f"{'mean ± standard deviation of 5 folds':38}", *(f"{name:>20}" for name in models))
for label, results, key, digits in (
    ("accuracy from 8 numbers", compressed, "test_accuracy", 3),
    ("squared error of a pixel (0 to 16)", compressed, "test_error", 2),
    ("AUROC, digits 5-9 as novelties", novelty, "test_score", 3),
):
    cells = (f"{cell(results.get(name, {}), key, digits):>20}" for name in models)
    print(f"{label:38}", *cells)

# %%
# A picture of the first fold
# ---------------------------
# Everything in it comes from images that the models were not trained on.

test = folds[0][1]
reducers = {name: result["estimator"][0][0] for name, result in compressed.items()}

figure = plt.figure(figsize=(10, 3.2), layout="constrained")
left, middle, right = figure.subfigures(1, 3, width_ratios=[4, 3, 3], wspace=0.05)

first = X[[test[y[test] == digit][0] for digit in range(6)]]
rows = {"original": first}
for name, reducer in reducers.items():
    rows[name] = reducer.inverse_transform(reducer.transform(first))
for (name, images), row in zip(rows.items(), left.subfigures(3, 1), strict=True):
    row.suptitle(name, x=0.01, ha="left", fontsize="medium")
    for image, ax in zip(images, row.subplots(1, 6), strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=16)
        ax.set_axis_off()
left.suptitle("64 pixels from 8 numbers")

ax = middle.subplots()
codes = LatentDisplay.from_estimator(
    reducers["ConvAutoencoder(8)"], X[test], y[test], projection="tsne", random_state=seed, ax=ax
)
codes.legend_.remove()
for digit in range(10):
    centre = np.median(codes.points[y[test] == digit], axis=0)
    box = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1}
    ax.text(*centre, digit, weight="bold", ha="center", va="center", bbox=box)
ax.set(xticks=[], yticks=[], aspect="auto")
middle.suptitle("Codes, learned without labels")

ax = right.subplots()
for (name, result), colour in zip(novelty.items(), ("0.6", "C1", "C0"), strict=True):
    scores = result["estimator"][0].score_samples(X[test])
    false_alarms, detections, _ = roc_curve(y[test] >= 5, -scores)
    auroc = f"{auc(false_alarms, detections):.2f}"
    ax.plot(false_alarms, detections, color=colour, label=f"{name} {auroc}")
ax.set(xlabel="False alarms", ylabel="Detections", box_aspect=1)
ax.legend(
    title="Area under the curve", loc="lower right", fontsize="small", title_fontsize="small"
)
right.suptitle("Digits 5-9 as novelties")

args.output.parent.mkdir(parents=True, exist_ok=True)
figure.savefig(args.output, dpi=150)
print(f"saved {args.output}")
