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

digits = load_digits()
X, y = digits.images / 16, digits.target
X_train, X_test, y_train, y_test = X[:1400], X[1400:], y[:1400], y[1400:]
vae = ConditionalConvVAE(4, max_epochs=25, batch_size=64, random_state=0).fit(X_train, y_train)

# %%
# The style of an image, written as every digit
# ---------------------------------------------
# ``transform`` gives the code of an image with its label, and ``inverse_transform`` decodes it
# with another.

labels = np.arange(10)
rows = []
for image, label in zip(X_test[:6], y_test[:6], strict=True):
    style = vae.transform(image[None], y=[label])
    written = vae.inverse_transform(np.repeat(style, 10, axis=0), y=labels)
    rows.append([image, *written])

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

figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
tiles = [[np.pad(image, 1, constant_values=1) for image in row] for row in rows]
ax.imshow(np.block(tiles), cmap="gray", vmin=0, vmax=1)
ax.axvline(9.5, color="C1")
ax.set(xticks=10 * np.arange(11) + 4.5, xticklabels=["image", *labels], yticks=[])
ax.set(xlabel="label it is decoded with", ylabel="the style of")
plt.show()

# %%
# What to learn from it
# ---------------------
# Slant, width and boldness are kept along a row, for they do not depend on the label. Use it
# where classes are known and what varies within them is of interest, to draw samples of a rare
# class, or as a classifier whose probabilities come from a model of the images.
