"""
======================================
Given a label: styles and classes
======================================

A :class:`~skcae.ConditionalConvVAE` models images given their label. What the label does not tell
is left to the code: the style. So a class can be drawn, a style can be written as every digit,
and, by Bayes' rule, the label of an image is told.
"""

# %%
# Fit --- Labels are given to ``fit``; a code of four numbers is enough for the style.

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from skcae import ConditionalConvVAE
from skcae.plots import SampleGridDisplay

digits = load_digits()
X, y = digits.images / 16, digits.target
X_train, X_test, y_train, y_test = X[:1400], X[1400:], y[:1400], y[1400:]
vae = ConditionalConvVAE(
    4,
    hidden_channels=(16, 32),
    contamination=0.05,  # no alarms are wanted, which saves time
    max_epochs=15,
    batch_size=64,
    random_state=0,
).fit(X_train, y_train)

# %%
# The style of an image, written as every digit
# ---------------------------------------------
# ``reconstruct`` decodes the code of an image under any label.

styles = [vae.reconstruct(X_test[:6], y=label) for label in vae.classes_]
grid = np.stack([X_test[:6], np.full((6, 8, 8), np.nan), *styles], axis=1)  # a gap between

# %%
# Which label?
# ------------
# The posterior of the labels is a classifier that also says how sure it is.

few = slice(0, 100)
posterior = vae.label_posterior(X_test[few])
guess, sure = posterior.argmax(1), posterior.max(1)
right = guess == y_test[few]
print(f"accuracy on {len(right)} test digits: {right.mean():.3f}")
print(f"where its probability is above 0.99: {right[sure > 0.99].mean():.3f}")

# %%
# Result
# ------

names = ["image", "", *map(str, vae.classes_)]
SampleGridDisplay(grid, column_names=names).plot(value_range=(0, 1))
plt.show()

# %%
# What to learn from it
# ---------------------
# Slant, width and boldness are kept along a row, for they do not depend on the label. Use it
# where classes are known and what varies within them is of interest, to draw samples of a rare
# class, or as a classifier whose probabilities come from a model of the images.
