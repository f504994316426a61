"""Grids of panels: samples as images, as lines of signals, or as slices of volumes."""

import re

import numpy as np

from ._common import PALETTE, line_style

# Between the panels of a grid, in sides of a panel. In inches: the width that all of them share,
# so that text stays legible on a phone; the smallest and the largest side of one; around all.
GAP, WIDTH, SMALLEST, LARGEST, MARGIN = 0.05, 4.5, 0.42, 1.5, 0.06
LEGEND_COLUMNS = 5


def fold(name, X, shape):
    """Rows or images to images ``(n_samples, *shape)``."""
    X = np.asarray(X)
    if np.prod(X.shape[1:]) != np.prod(shape):
        raise ValueError(
            f"{name} has {np.prod(X.shape[1:])} values a sample, which do not fill the shape "
            f"{shape}; pass what the autoencoder was given or gave back, or another input_shape."
        )
    return X.reshape(len(X), *shape)


def check_n_images(n_images, shape, channel_axis):
    """How many samples are drawn; by default more images than signals, which are wider."""
    if n_images is None:
        return 4 if len(shape) - (channel_axis is not None) == 1 else 10
    if n_images < 1:
        raise ValueError(f"n_images={n_images!r} leaves nothing to draw; pass 1 or more.")
    return n_images


def channels_last(images, channel_axis):
    """``(n, *spatial, n_channels)``."""
    if channel_axis is None:
        return images[..., np.newaxis]
    n_axes = images.ndim - 1
    if not -n_axes <= channel_axis < n_axes:
        raise ValueError(
            f"channel_axis={channel_axis} is out of range for samples of shape "
            f"{images.shape[1:]}; pass the index of one of their axes, or None."
        )
    return np.moveaxis(images, range(1, n_axes + 1)[channel_axis], -1)


def as_panels(images, channel_axis, channels=None, slices=None):
    """What is drawn of samples: ``(n, L, n_channels)`` or ``(n, H, W, 1 or 3)``.

    Of volumes it is a slice along the first axis: the central one, or that of ``slices``.
    """
    images = channels_last(np.asarray(images), channel_axis)
    if channels is not None:
        images = images[..., np.atleast_1d(channels)]
    images = take_slices(images, slices)
    if images.ndim == 4 and images.shape[-1] not in (1, 3):
        raise ValueError(
            f"the images have {images.shape[-1]} channels, but 1 (grey) or 3 (RGB) can be "
            f"shown; pass those to show, as in channels=0 or channels=(0, 1, 2)."
        )
    return images


def take_slices(images, slices=None):
    """Of volumes ``(n, D, H, W, n_channels)`` a slice each; all else as it is."""
    if images.ndim != 5:
        return images
    slices = images.shape[1] // 2 if slices is None else slices
    return images[np.arange(len(images)), slices]


def values_of(panels, value_range=None, like=None):
    """The range of values to draw: as given, of those ``like`` which images are, with a margin."""
    if value_range is not None:
        return value_range
    signals = panels.ndim == 4
    shown = panels if signals or like is None else like
    low, high = float(np.min(shown)), float(np.max(shown))
    margin = 0.05 * (high - low or 1.0) if signals else 0.0
    return low - margin, high + margin


def make_grid(ax, row_names, n_columns, panel, largest=LARGEST):
    """Axes to divide, and those ``(n_rows, n_columns)`` in them for panels like this one.

    A new figure gets its margins from `fit_figure`. Of signals the outer panels have labels only.
    """
    from matplotlib import pyplot as plt

    n_rows = len(row_names)
    aspect = 0.75 if panel.ndim == 2 else panel.shape[0] / panel.shape[1]
    width, height = n_columns + GAP * (n_columns - 1), aspect * (n_rows + GAP * (n_rows - 1))
    if ax is None:
        side = min(max(WIDTH / n_columns, SMALLEST), largest)
        ax = plt.figure(figsize=(side * width, side * height)).add_axes([0, 0, 1, 1])
    ax.set_axis_off()
    ax.set_box_aspect(height / width)
    ax.set_anchor("E")  # what is left over in width serves the labels of the rows
    axes = _divide(ax, n_rows, n_columns)
    for (i, j), inner in np.ndenumerate(axes):
        inner.tick_params(labelleft=j == 0, labelbottom=i == n_rows - 1)
        if j == 0:
            inner.set_ylabel(row_names[i], rotation=0, ha="right", va="center")
    return ax, axes


def fit_figure(ax):
    """Give a figure that these axes fill room for what sticks out of them."""
    figure = ax.figure
    box, (width, height) = figure.get_tightbbox().padded(MARGIN), figure.get_size_inches()
    figure.set_size_inches(box.size)
    ax.set_position(np.array([-box.x0, -box.y0, width, height]) / np.tile(box.size, 2))


def _divide(ax, n_rows, n_columns):
    """A grid of axes ``(n_rows, n_columns)`` inside ``ax``."""
    width, height = 1 / (n_columns + GAP * (n_columns - 1)), 1 / (n_rows + GAP * (n_rows - 1))
    panels = np.empty((n_rows, n_columns), dtype=object)
    for i, j in np.ndindex(panels.shape):
        corner = j * (1 + GAP) * width, (n_rows - 1 - i) * (1 + GAP) * height
        panels[i, j] = ax.inset_axes([*corner, width, height])
    return panels


def label_rows(axes, names):
    for ax, name in zip(axes[:, 0], names, strict=True):
        ax.set_ylabel(name, rotation=0, ha="right", va="center")


def draw_panels(axes, panels, value_range, im_kw=None, line_kw=None, behind=None):
    """Samples of one range of values, ``(n_rows, n, *panel)``; signals on top of those behind."""
    if panels.ndim == 4:
        _draw_signals(axes, panels, value_range, line_kw or {}, behind)
    else:
        _draw_images(axes, panels, value_range, im_kw or {})


def _draw_images(axes, panels, value_range, im_kw):
    """Images ``(n_rows, n, H, W, 1 or 3)``."""
    low, high = value_range
    style = {"cmap": "gray", "vmin": low, "vmax": high, "interpolation": "nearest"} | im_kw
    for index, ax in np.ndenumerate(axes):
        image = panels[index]
        if image.shape[-1] == 1:
            image = image[..., 0]
        else:
            image = np.clip((image - low) / ((high - low) or 1.0), 0, 1)
        ax.imshow(image, **style)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)


def _draw_signals(axes, panels, value_range, line_kw, behind=None):
    """Signals ``(n_rows, n, L, n_channels)`` on one pair of axes limits."""
    for (i, j), ax in np.ndenumerate(axes):
        if behind is not None:
            ax.plot(behind[j], color="0.7", linewidth=1.0)
        for k, line in enumerate(panels[i, j].T):
            style = {"linewidth": 1.0, "color": PALETTE[k % len(PALETTE)]}
            ax.plot(line, **line_style(style, line_kw))
        ax.set(ylim=value_range, xmargin=0)
        ax.locator_params(nbins=3)


def channel_legend(ax, names, above=0.0):
    """A legend above the grid and so many ems, or None where there is nothing to name."""
    from matplotlib.lines import Line2D

    if not names:
        return None
    lines = [Line2D([], [], color=c, label=n) for c, n in zip(PALETTE, names, strict=False)]
    n_columns = -(-len(names) // -(-len(names) // LEGEND_COLUMNS))
    by_rows = [line for i in range(n_columns) for line in lines[i::n_columns]]
    return ax.legend(
        handles=by_rows,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        borderaxespad=0.5 + above,
        ncols=n_columns,
        frameon=False,
        handlelength=1.0,
        columnspacing=1.2,
    )


def names_of_channels(panel, names, channels):
    """What the lines of a signal are; nothing of one line, of too many, or of an image."""
    n_lines = panel.shape[-1]
    if panel.ndim != 2 or not 1 < n_lines <= len(PALETTE):
        return []
    shown = np.arange(n_lines) if channels is None else np.atleast_1d(channels)
    if names is not None and len(names) <= shown.max():
        raise ValueError(
            f"channel_names has {len(names)} names, but channel {shown.max()} is drawn; pass a "
            f"name for each channel of a sample."
        )
    return [f"channel {i}" if names is None else str(names[i]) for i in shown]


def feature_channels(autoencoder):
    """Names of channels: those of their features without the number at the end, or None."""
    names, axis = getattr(autoencoder, "feature_names_in_", None), autoencoder.channel_axis
    if names is None or axis is None:
        return None
    names = np.moveaxis(np.reshape(names, autoencoder.input_shape_), axis, 0)
    stems = [{_stem(name) for name in channel.ravel()} for channel in names]
    if any(len(of_channel) > 1 for of_channel in stems):
        return None
    stems = [stem for (stem,) in stems]
    return stems if all(stems) and len(set(stems)) == len(stems) else None


def _stem(name):
    """``acc_x`` of ``acc_x_017`` and of ``acc_x[17]``."""
    return re.sub(r"[\W_]*\d+\W*$", "", name)
