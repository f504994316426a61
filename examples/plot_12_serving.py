"""
=====================
Saving and serving
=====================

A detector is fitted once and used for long, in another process, row by row. In the meantime the
data change. This example saves one, loads it where it serves, and lets it notice a drift.
"""

# %%
# Fit, save, serve
# ----------------
# A calibrated detector of digits. :func:`skcae.save` writes one file, and :func:`skcae.load`
# runs nothing that is in it. Then images come one by one, and one in a hundred of the normal ones
# may be an alarm. This is all of it, in less than fifteen lines, imports apart:

import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from skcae import ConvAutoencoder, load, save

X = load_digits().images
X = X[np.random.default_rng(0).permutation(len(X))]
detector = ConvAutoencoder(16, max_epochs=8, calibration=0.25, random_state=0).fit(X[:1000])

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "detector.safetensors")
    save(detector, path)
    served = load(path)

alarms = [served.predict(image[None], false_alarm_rate=0.01)[0] == -1 for image in X[1000:1200]]
print(f"alarms: {np.mean(alarms):.1%} of {len(alarms)} images")

# %%
# The same, and how fast
# ----------------------
# Results are those of the detector before it was saved, and of a row alone those of the row in a
# batch, to the last bit. A batch takes less time for each row.

start = perf_counter()
alone = np.concatenate([served.score_samples(row[None]) for row in X[1000:1050]])
one = (perf_counter() - start) / 50
start = perf_counter()
batch = served.score_samples(X[1000:])
many = (perf_counter() - start) / len(batch)
assert np.array_equal(alone, batch[:50])
assert np.array_equal(batch, detector.score_samples(X[1000:]))
print(f"a row alone: {1e3 * one:.1f} ms, in a batch of {len(batch)}: {1e3 * many:.2f} ms")

# %%
# A stream that changes
# ---------------------
# After 400 images the camera ages, and its images become noisier. Each image gets a p-value;
# every 50 images ``drift_test`` looks at the last 50. Where it is sure of a drift twice, someone
# checks that the images are normal, and ``recalibrate`` takes the last 100 as the new standard.
# No training is needed: it takes one pass.

stream = X[1000:].copy()
stream[400:] += np.random.default_rng(1).normal(0, 1.5, stream[400:].shape)
p_values, drift, recalibrated = [], [], None
for first in range(0, len(stream) - 49, 50):
    window = stream[first : first + 50]
    p_values.append(served.p_values(window))
    drift.append(served.drift_test(window)[1])
    if drift[-1] < 0.001 and recalibrated is None and drift[-2] < 0.001:
        recalibrated = first + 50
        served.recalibrate(stream[first - 50 : first + 50])

# %%
# Result
# ------

ends = 50 * np.arange(1, len(drift) + 1)
alarms = [np.mean(p <= 0.05) for p in p_values]
figure, axes = plt.subplots(2, 1, figsize=(8, 4.5), sharex=True, layout="constrained")
axes[0].bar(ends - 25, alarms, width=45, color="C1")
axes[0].axhline(0.05, color="0.5", linestyle=":")
axes[0].set(ylabel="share of alarms at 5 %")
axes[1].semilogy(ends, drift, marker="o")
axes[1].axhline(0.001, color="0.5", linestyle=":")
axes[1].set(xlabel="image of the stream", ylabel="p-value of drift")
for ax in axes:
    ax.axvline(400, color="k", linestyle="--", label="it becomes noisier")
    if recalibrated:
        ax.axvline(recalibrated, color="C2", label="recalibrated")
axes[0].legend()
plt.show()

# %%
# What to learn from it
# ---------------------
# The p-values keep their meaning only as long as new normal data are like those of the
# calibration. Watch for drift with the detector itself; recalibrate where the network still
# explains the data, and train on with ``partial_fit`` where it does not: :doc:`/anomalies` has
# both.
