"""When a network pays: the table of ``benchmarks/quality.md`` as a chart."""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

KINDS = {
    "signals": ("signals of", "channels of"),
    "images": (" x ",),
    "volumes": ("volumes",),
    "features": ("features",),
}


def read_rows():
    """Name, kind, samples and error over PCA's of each data set."""
    text = Path("..", "..", "benchmarks", "quality.md").read_text()  # beside this folder
    table = text.split("| data |")[1].split("\n\n")[0]
    for line in table.splitlines()[2:]:
        data, samples, _, error = (cell.strip() for cell in line.split("|")[1:5])
        kind = next(kind for kind, marks in KINDS.items() if any(mark in data for mark in marks))
        yield data.split(",")[0], kind, int(samples), float(error)


rows = list(read_rows())
figure, ax = plt.subplots(figsize=(8, 4.8), layout="constrained")
for kind, marker in zip(KINDS, "o^sD", strict=True):
    points = np.array([(n, error) for _, of, n, error in rows if of == kind])
    ax.scatter(*points.T, marker=marker, s=45, label=kind, zorder=3)
for i, (name, _, n, error) in enumerate(sorted(rows, key=lambda row: row[2])):
    above = error > 0.97
    offset = (0, 8 + 12 * (i % 4)) if above else (0, -14)
    ax.annotate(
        name, (n, error), offset, textcoords="offset points", ha="center", fontsize=8, color="0.3"
    )
ax.axhline(1, color="0.6", linewidth=1)
ax.text(36, 1.17, "as good as PCA: take PCA, or its codes", color="0.3")
ax.text(36, 0.41, "a network reconstructs better", color="0.3")
ax.set(xscale="log", xlim=(34, 1900), ylim=(0.38, 1.2), xticks=[50, 100, 200, 500, 1000])
ax.set_xticklabels([50, 100, 200, 500, 1000])
ax.minorticks_off()
ax.set(xlabel="training samples", ylabel="test error over PCA's")
ax.legend(loc="lower left", bbox_to_anchor=(0, 0.08))
