"""
================================================
Anomalies: alarms at a rate, and where they are
================================================

Normal samples alone are needed to train a detector and to say where its alarms begin. The rate of
false alarms that is asked for is the rate that normal samples to come will have; and a map shows
what is wrong with a sample.
"""

# %%
# Normal digits, and digits with a defect
# ---------------------------------------
# Of 1797 digits, 1200 are for training. In the others a square of 2 x 2 pixels is inverted,
# somewhere in the middle.

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcae import ConvAutoencoder
from skcae.plots import AnomalyMapDisplay, ScoreDisplay
from skcae.scores import roc_auc_scorer

train, normal = train_test_split(load_digits().images, train_size=1200, random_state=0)
rng = np.random.default_rng(0)
broken, corners = normal.copy(), rng.integers(1, 6, (len(normal), 2))
for image, (i, j) in zip(broken, corners, strict=True):
    image[i : i + 2, j : j + 2] = 16 - image[i : i + 2, j : j + 2]

# %%
# A calibrated detector
# ---------------------
# ``calibration=0.25`` holds out a quarter of the training images. Their scores are those of
# normal images which the network has not seen, and a p-value tells how many of them are at least
# as unusual as a new one.

detector = ConvAutoencoder(16, max_epochs=10, calibration=0.25, random_state=0).fit(train)
both, is_broken = np.concatenate([normal, broken]), np.repeat([0, 1], len(normal))
print(f"area under the ROC curve: {roc_auc_scorer(detector, both, is_broken):.3f}")

p_normal, p_broken = detector.p_values(normal), detector.p_values(broken)
for rate in (0.01, 0.05, 0.1):
    print(
        f"asked for {rate:4.0%} false alarms: {np.mean(p_normal <= rate):5.1%} of normal images, "
        f"{np.mean(p_broken <= rate):4.0%} of broken ones"
    )

# %%
# Result
# ------
# Top: scores of normal images and of broken ones, with the threshold for a rate of 5 %; the axis
# above turns scores into p-values. Bottom: the five most unusual images of a random forty, and
# where they are unusual.

figure = plt.figure(figsize=(6, 6.4), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=[5, 3])
names = ["normal", "broken"]
ScoreDisplay.from_estimator(
    detector, both, is_broken, false_alarm_rate=0.05, target_names=names, ax=top.subplots()
)
shown = broken[:40][np.argsort(p_broken[:40])[:5]]
AnomalyMapDisplay.from_estimator(detector, shown, ax=bottom.subplots())
plt.show()

# %%
# What to learn from it
# ---------------------
# The rate of false alarms is yours to choose, and holds for new normal images; what it buys in
# found defects depends on the score. The map points at the defect without having seen one in
# training. For the other ways to a threshold, and which score suits which data, see
# :doc:`/anomalies`.
