"""What the scripts share: the command line, the images, the table and the pictures."""

import argparse
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt


def arguments(doc, epochs):
    """The command line; ``doc`` is the docstring of the script."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=epochs, help="default: %(default)s")
    parser.add_argument("--samples", type=int, help="training images; default: all of them")
    parser.add_argument("--output", type=Path, default=Path("figures"), help="for the pictures")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    return parser.parse_args()


def load(fetch, n_samples=None):
    """Training images, test images and test labels; images are float32 in [0, 1]."""
    train, test = fetch("train"), fetch("test")
    scale = np.float32(255)
    return train.images[:n_samples] / scale, test.images / scale, test.target


def count(estimator):
    """Everything that the network holds: trained parameters and batch-norm statistics."""
    return int(estimator.summary().loc["total", ["parameters", "statistics"]].sum())


def report(header, *rows):
    """Print an aligned table: names to the left, numbers to the right."""
    cells = [[format(c, ",") if isinstance(c, int) else c for c in r] for r in (header, *rows)]
    first, *widths = (max(map(len, column)) for column in zip(*cells, strict=True))
    print()
    for name, *values in cells:
        numbers = (value.rjust(width) for value, width in zip(values, widths, strict=True))
        print("   ".join([name.ljust(first), *numbers]))


def compare(rows):
    """A figure with a row of images for each name in the dict, on one scale of grey."""
    n_images = len(next(iter(rows.values())))
    figure, axes = plt.subplots(
        len(rows), n_images, figsize=(0.9 * n_images + 1, 0.92 * len(rows)), layout="constrained"
    )
    for (name, images), row in zip(rows.items(), axes, strict=True):
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for image, ax in zip(images, row, strict=True):
            ax.imshow(image.reshape(28, 28), cmap="gray", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
    return figure


def save(figure, path):
    """Write a picture and close it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"saved {path}")
