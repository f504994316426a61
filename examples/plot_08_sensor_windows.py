"""
======================================
A long recording, scored by time point
======================================

Three sensors of a machine are recorded for a long time. When does one of them tell what the
machine never did? Windows that overlap are the samples, and what the autoencoder says of them
becomes one value for each time point.
"""

# %%
# The recording
# -------------
# Its first half is normal. In the second one a sensor is stuck at times, or late, or too fast; all
# of it stays in the range that the sensor always has, so that no limits of the values find it.

import numpy as np
from matplotlib import pyplot as plt

from skcae import ConvAutoencoder
from skcae.datasets import average_windows, make_recording, sliding_windows

recording, truth = make_recording(20_000, n_channels=3, n_anomalies=10, random_state=0)
learned, held_out, new = recording[:8000], recording[8000:10_000], recording[10_000:]

# %%
# From time points to windows, and back
# -------------------------------------
# A window of 64 time points starts at every eighth, so each time point is in 8 of them.
# :func:`~skcae.datasets.sliding_windows` copies nothing. The sensors have units of their own, and
# no scaler is needed. ``anomaly_map`` tells of each value how badly it is explained;
# :func:`~skcae.datasets.average_windows` makes one map of those of all windows. The largest value
# of a normal stretch that was not learned is the limit for an alarm. With those above these are
# all the lines that it takes, less than fifteen, imports apart.

length, step = 64, 8
ae = ConvAutoencoder(8, channel_axis=-1, max_epochs=10, contamination=0.05, random_state=0)
ae.fit(sliding_windows(learned, length, step))


def inspect(recording):
    """How unusual each sensor is at each time point."""
    maps = ae.anomaly_map(sliding_windows(recording, length, step))
    return average_windows(maps, length, step, n_times=len(recording))


errors, limit = inspect(new), inspect(held_out).max()
alarms = errors.max(axis=1) > limit

# %%
# How many are found
# ------------------

edges = np.flatnonzero(np.diff(truth[10_000:])) + 1
anomalies = [slice(start, end) for start, end in edges.reshape(-1, 2)]
apart = np.ones(len(new), bool)
for times in anomalies:
    apart[max(0, times.start - length) : times.stop + length] = False
print(f"anomalies found: {sum(alarms[times].any() for times in anomalies)} of {len(anomalies)}")
print(f"time points of alarms a window's length away from all of them: {alarms[apart].sum()}")

# %%
# Result
# ------
# Three of them: the recording, each sensor in a unit of its own; the map, which tells the sensor
# and the time; and the largest value of the three.

shown = slice(anomalies[2].start - 300, anomalies[4].stop + 300)
times, sensors = np.arange(len(new))[shown], range(3)
figure, axes = plt.subplots(3, 1, figsize=(10, 6), sharex=True, layout="constrained")
for sensor in sensors:
    values = (new[:, sensor] - new[:, sensor].mean()) / new[:, sensor].std()
    axes[0].plot(times, values[shown] - 5 * sensor, linewidth=0.8)
axes[0].set(title="recording, anomalies shaded", yticks=[0, -5, -10])
axes[1].imshow(errors[shown].T, cmap="magma", aspect="auto", interpolation="nearest",
               extent=(times[0], times[-1], 2.5, -0.5))  # fmt: skip
axes[1].set(title="anomaly map", yticks=sensors)
for ax in axes[:2]:
    ax.set_yticklabels([f"sensor {sensor}" for sensor in sensors])
axes[2].plot(times, errors[shown].max(axis=1), color="k", linewidth=0.8)
axes[2].axhline(limit, color="C3", linestyle="--", label="limit")
axes[2].set(title="largest of the three", xlabel="time point", xlim=(times[0], times[-1]))
axes[2].legend(loc="upper center")
for ax in axes[[0, 2]]:
    for anomaly in anomalies:
        ax.axvspan(anomaly.start, anomaly.stop, color="C1", alpha=0.3, linewidth=0)
plt.show()

# %%
# What to learn from it
# ---------------------
# Windows that overlap turn a detector of samples into one of time points, and the average of their
# maps is sharper than the score of a window. Choose windows as long as a cycle, or longer. A
# recording in a memory map, ``np.load(file, mmap_mode="r")``, may be larger than memory.
