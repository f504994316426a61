"""
======================================
A grid search over the architecture
======================================

Estimators of scikit-learn are searched over by :class:`~sklearn.model_selection.GridSearchCV`,
and so is a network: how many filters, which way down and up, how large a code. What counts is
what the codes are for, here a classifier.
"""

# %%
# Three architectures, three code sizes
# -------------------------------------
# A parameter of the network that is none of the estimator has the prefix ``net__module__``. The
# code size alone cannot be chosen by the reconstruction error, which always falls with it.

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skcae import ConvAutoencoder

X, y = load_digits(return_X_y=True)
X, y = X[:800], y[:800]

architectures = {
    "dense": {"hidden_channels": [()], "hidden_units": [(64,)]},
    "strided": {"hidden_channels": [(16, 32)]},
    "pooled": {
        "hidden_channels": [(16, 32)],
        "net__module__downsampling": ["max_pool"],
        "net__module__upsampling": ["nearest"],
    },
}
sizes = [2, 4, 8]
grid = [
    {"encode__n_components": sizes} | {f"encode__{key}": value for key, value in entries.items()}
    for entries in architectures.values()
]

# %%
# The search
# ----------
# The last step is the classifier; the reconstruction error is measured beside its accuracy, on one
# half of the images. Detection of anomalies is not asked for: with the plain score and a number as
# ``contamination``, fits spend no time on it; nor do they on a pilot where it is said that the
# networks start at PCA, by their linear path.


def reconstruction_error(pipeline, X, y):
    encode = pipeline["encode"]
    return -np.mean((encode.reconstruct(X) - X) ** 2)


pipeline = Pipeline(
    [
        (
            "encode",
            ConvAutoencoder(
                input_shape=(8, 8),
                max_epochs=10,
                batch_size=32,
                anomaly_score="loss",
                contamination=0.05,
                net_params={"module__linear_path": True},
                random_state=0,
            ),
        ),
        ("scale", StandardScaler()),
        ("classify", LogisticRegression()),
    ]
)
search = GridSearchCV(
    pipeline,
    grid,
    scoring={"accuracy": "accuracy", "error": reconstruction_error},
    refit=False,
    cv=ShuffleSplit(1, test_size=0.5, random_state=0),
    n_jobs=2,
).fit(X, y)

# %%
# Result
# ------

shape = len(architectures), len(sizes)
tables = {
    "accuracy of the classifier": search.cv_results_["mean_test_accuracy"].reshape(shape),
    "squared error of a pixel": -search.cv_results_["mean_test_error"].reshape(shape),
}
figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for ax, (title, table), cmap in zip(axes, tables.items(), ("Blues", "Oranges"), strict=True):
    ax.imshow(table, cmap=cmap, aspect="auto")
    for (i, j), value in np.ndenumerate(table):
        dark = value > (table.min() + table.max()) / 2
        ax.text(j, i, f"{value:.3g}", ha="center", va="center", color="w" if dark else "k")
    ax.set(title=title, xticks=range(3), xticklabels=sizes, xlabel="size of the code")
    ax.set(yticks=range(3), yticklabels=architectures)
plt.show()

# %%
# What to learn from it
# ---------------------
# The size of the code matters more than the way of the network, and the best reconstruction need
# not be the best feature. Search with few epochs on a part of the data, as here, for what is
# clearly worse; then fit the best with the default 20 epochs or more. ``n_jobs`` uses the cores
# better than threads within a fit.
