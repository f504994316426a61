"""
===========================================
Features for a classifier with few labels
===========================================

Images are cheap and labels are not. An autoencoder needs no labels: it learns from all images
what they have in common, and a classifier then learns from the codes of the few that someone
labelled.
"""

# %%
# Many images, few labels
# -----------------------
# 1400 digits without labels, of which 50 at random are then labelled; 397 to test on. A number as
# ``contamination`` saves the time of learning where alarms begin. This is all of it, in less than
# fifteen lines, imports apart:

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skcae import ConvAutoencoder

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = X[:1400], X[1400:], y[:1400], y[1400:]
few = np.random.default_rng(0).choice(1400, 50, replace=False)

options = {"input_shape": (8, 8), "max_epochs": 10, "batch_size": 64, "random_state": 0}
ae = ConvAutoencoder(8, contamination=0.05, **options)
Z_train, Z_test = ae.fit(X_train).transform(X_train), ae.transform(X_test)

classifier = make_pipeline(StandardScaler(), SVC(C=10))
classifier.fit(Z_train[few], y_train[few])
print(f"accuracy with 50 labels: {classifier.score(Z_test, y_test):.3f}")

# %%
# Beside other features
# ---------------------
# Eight numbers for each image, by the network and by PCA, and the 64 pixels as they are.

features = {"ConvAutoencoder(8)": (Z_train, Z_test)}
for name, reducer in {"PCA(8)": PCA(8), "64 pixels": StandardScaler()}.items():
    features[name] = reducer.fit_transform(X_train), reducer.transform(X_test)

# %%
# A classifier learns from a few
# ------------------------------
# Which images are labelled is drawn twenty times; lines are means, bars standard deviations.

n_labels = [1, 2, 5, 10, 20, 50]
rng = np.random.default_rng(0)
accuracy = {name: np.empty((len(n_labels), 20)) for name in features}
for i, n in enumerate(n_labels):
    for draw in range(20):
        few = np.concatenate(
            [rng.choice(np.flatnonzero(y_train == digit), n, replace=False) for digit in range(10)]
        )
        for name, (Z_train, Z_test) in features.items():
            classifier.fit(Z_train[few], y_train[few])
            accuracy[name][i, draw] = classifier.score(Z_test, y_test)

# %%
# Result
# ------

figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, values in accuracy.items():
    ax.errorbar(n_labels, values.mean(1), values.std(1), marker="o", capsize=3, label=name)
ax.set(xscale="log", xticks=n_labels, xlabel="labels for each class", ylabel="accuracy")
ax.set_xticklabels(n_labels)
ax.minorticks_off()
ax.legend(loc="lower right")
plt.show()

# %%
# What to learn from it
# ---------------------
# Codes of a network are better features than those of PCA with as many numbers. Eight of them do
# as well as all 64 pixels, and somewhat better while labels are few; where there are many, a
# classifier finds in the pixels what it needs. How many numbers are best is another question, of
# :ref:`the next example <sphx_glr_auto_examples_plot_03_grid_search.py>`. In a
# :class:`~sklearn.pipeline.Pipeline` the autoencoder would see the labelled images only: fit it
# before, on all of them, as here.
