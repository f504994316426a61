"""Which estimator, and how many components: the questions of the page as a chart."""

from matplotlib import pyplot as plt

QUESTIONS = {
    "Is there noise that should\nnot be kept, or are there\nnoisy and clean pairs?": (
        "DenoisingConvAutoencoder"
    ),
    "Should it draw samples,\nor say how likely one is?": (
        "ConvVAE, or\nwith labels\nConditionalConvVAE"
    ),
    "Fewer than 200 samples,\nand only codes wanted?": "ConvAutoencoder,\nand PCA beside it",
}
SIZES = {
    "to look at": "2",
    "features": "search 4 to 32",
    "compression": "the smallest whose error you accept",
    "anomalies": "16; 32 from 1000 samples on",
}
LEFT, RIGHT, STEP = 0.23, 0.78, 1.0  # middles of the columns; from one question to the next

figure, ax = plt.subplots(figsize=(5.6, 5.2), layout="constrained")
box = {"ha": "center", "va": "center", "fontsize": 11, "linespacing": 1.3}
question = {"boxstyle": "round,pad=0.5", "facecolor": "#e8f1fb", "edgecolor": "#3f90da"}
answer = {"boxstyle": "square,pad=0.5", "facecolor": "#fff3dc", "edgecolor": "#ffa90e"}


def lead(start, end, text, where):
    """An arrow from a box to the next, with what was answered beside it."""
    style = {"arrowstyle": "-|>", "color": "0.4", "shrinkA": 0, "shrinkB": 2}
    ax.annotate("", end, start, arrowprops=style)
    ax.text(*where, text, fontsize=10, color="0.3", ha="center", va="center")


for i, (text, found) in enumerate(QUESTIONS.items()):
    y = -STEP * i
    ax.text(LEFT, y, text, bbox=question, **box)
    ax.text(RIGHT, y, found, bbox=answer, **box)
    lead((0.46, y), (0.53, y), "yes", (0.493, y + 0.12))
    lead((LEFT, y - 0.35), (LEFT, y - STEP + 0.35), "no", (LEFT + 0.05, y - STEP / 2))
y = -STEP * len(QUESTIONS)
ax.text(LEFT, y, "ConvAutoencoder", bbox=answer, **box)
ax.text(0, y - 0.6, "How many components?", fontsize=11, weight="bold")
for i, (use, size) in enumerate(SIZES.items(), start=1):
    ax.text(0, y - 0.6 - 0.25 * i, f"{use}:", fontsize=11, color="0.3")
    ax.text(0.28, y - 0.6 - 0.25 * i, size, fontsize=11)
ax.set(xlim=(0, 1), ylim=(y - 1.7, 0.45))
ax.set_axis_off()
