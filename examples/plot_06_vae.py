"""
=====================================
A VAE: samples and likelihoods
=====================================

A :class:`~skcae.ConvVAE` is a model of the data. It draws new samples, walks from one image to
another, and says of each image how likely it is, in nats.
"""

# %%
# Fit --- Grey values in [0, 1] have the likelihood "continuous_bernoulli", a density.

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from skcae import ConvVAE

X = load_digits().images / 16
X_train, X_test = X[:1400], X[1400:]
vae = ConvVAE(
    8, likelihood="continuous_bernoulli", max_epochs=25, batch_size=64, random_state=0
).fit(X_train)

# %%
# Draw and walk
# -------------
# A code drawn from the prior is decoded to an image. Between the codes of two images, all codes
# are images too.

samples = vae.sample(40, random_state=0)
walk = vae.interpolate(X_test[:5], X_test[5:10], n_steps=8)

# %%
# How likely is an image?
# -----------------------
# ``log_likelihood`` averages over draws of the code, and does not change from call to call. Test
# digits are about as likely as training digits; digits upside down or mirrored are less so, though
# they have the same grey values.

images = {
    "training": X_train[:200],
    "test": X_test[:200],
    "upside down": X_test[:200, ::-1],
    "mirrored": X_test[:200, :, ::-1],
}
likelihood = {name: vae.log_likelihood(batch, n_samples=30) for name, batch in images.items()}
for name, values in likelihood.items():
    print(f"{name:12} {values.mean():6.1f} nats")

# %%
# Result
# ------

figure = plt.figure(figsize=(10, 3.6), layout="constrained")
left, middle, right = figure.subfigures(1, 3, width_ratios=[3, 3, 4])
for part, title, grid in (
    (left, "samples", samples.reshape(5, 8, 8, 8)),
    (middle, "from one digit to another", walk),
):
    ax = part.subplots()
    ax.imshow(
        np.block([[np.pad(image, 1) for image in row] for row in grid]),
        cmap="gray",
        vmin=0,
        vmax=1,
    )
    ax.set_axis_off()
    part.suptitle(title)
ax = right.subplots()
ax.boxplot(list(likelihood.values()), orientation="horizontal", showfliers=False)
ax.set(yticklabels=likelihood, xlabel="log-likelihood in nats")
ax.invert_yaxis()
plt.show()

# %%
# What to learn from it
# ---------------------
# Samples and walks show what the model believes a digit to be. The likelihood says it in numbers
# that can be compared between models with the same ``likelihood``, and is lower for what is no
# digit. For codes as features a :class:`~skcae.ConvAutoencoder` is usually better: a VAE pays
# for a code that can be sampled.
