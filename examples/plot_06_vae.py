"""
=====================================
A VAE: samples and likelihoods
=====================================

A :class:`~skcae.ConvVAE` is a model of the data. It draws new samples, walks from one image to
another, and says of each image how likely it is, in nats.
"""

# %%
# Fit, draw, judge
# ----------------
# Grey values in [0, 1] have the likelihood "continuous_bernoulli", a density. This is all of it,
# in less than fifteen lines, imports apart: a code that is drawn from the prior is decoded to an
# image, and ``log_likelihood``, which averages over draws of the code, does not change from call
# to call.

from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from skcae import ConvVAE
from skcae.plots import SampleGridDisplay

X = load_digits().images / 16
X_train, X_test = X[:1400], X[1400:]

vae = ConvVAE(
    8,
    likelihood="continuous_bernoulli",
    contamination=0.05,  # no alarms are wanted, which saves time
    max_epochs=25,
    batch_size=64,
    random_state=0,
).fit(X_train)

samples = vae.sample(40, random_state=0)
print(f"test images: {vae.log_likelihood(X_test, n_samples=30).mean():.1f} nats")

# %%
# How likely is what is no digit?
# -------------------------------
# Test digits are about as likely as training digits; digits upside down or mirrored are less so,
# though they have the same grey values.

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
# Between the codes of two images, all codes are images too.

figure = plt.figure(figsize=(7, 4.8), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=[6, 5])
left, right = top.subfigures(1, 2)
left.suptitle("samples")
SampleGridDisplay.from_estimator(vae, n_columns=8, random_state=0, ax=left.subplots())
right.suptitle("from one digit to another")
SampleGridDisplay.from_interpolation(vae, X_test[:5], X_test[5:10], ax=right.subplots())
ax = bottom.subplots()
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
