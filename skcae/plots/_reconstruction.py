"""Samples above their reconstructions."""

import numpy as np
from sklearn.utils import check_consistent_length

from .._private import check_matplotlib_support
from ._common import fitted_autoencoder, line_style

# Between the panels of a grid, in sides of a panel.
GAP = 0.05


class ReconstructionDisplay:
    """Samples above their reconstructions.

    Images are drawn as images, grey or RGB; signals as lines, a line for each channel, with the
    original in grey behind its reconstruction; of a volume its central slice along the first
    spatial axis. All panels share one range of values, so that equal values look equal.

    Parameters
    ----------
    samples : ndarray of shape (n_samples, *input_shape)
        What the autoencoder was given.

    reconstructions : ndarray of shape (n_samples, *input_shape)
        What it gave back.

    clean : ndarray of shape (n_samples, *input_shape), default=None
        The samples before noise was added. The rows are then called "clean", "noisy" and
        "denoised"; without it, "original" and "reconstruction".

    channel_axis : int, default=None
        Axis of one sample that holds the channels. None: there are no channels.

    Attributes
    ----------
    axes_ : ndarray of shape (n_rows, n_samples), of matplotlib Axes
        The panels.

    ax_ : matplotlib Axes
        The axes that the panels divide.

    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    LossCurveDisplay : Losses over the epochs.
    LatentDisplay : Scatter plot of the codes.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skcae import ConvAutoencoder
    >>> from skcae.plots import ReconstructionDisplay
    >>> X = load_digits().images[:200]
    >>> ae = ConvAutoencoder(max_epochs=2, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(ae, X, n_images=5)
    >>> display.axes_.shape
    (2, 5)
    >>> plt.close("all")
    """

    def __init__(self, samples, reconstructions, *, clean=None, channel_axis=None):
        self.samples = samples
        self.reconstructions = reconstructions
        self.clean = clean
        self.channel_axis = channel_axis

    def plot(self, *, ax=None, channels=None, value_range=None, im_kw=None, line_kw=None):
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to divide into the panels. None makes a new figure.

        channels : int or sequence of int, default=None
            Channels to show: one in grey or three as RGB; any number of lines for signals. None
            shows all of them, which needs one or three for images.

        value_range : tuple of float (low, high), default=None
            Values shown as black and as white, or the limits of the lines. None takes the range
            of the originals (`clean` where given) for images; what lies outside is clipped.

        im_kw : dict, default=None
            Arguments of matplotlib's ``imshow``, such as ``{"cmap": "viridis"}``.

        line_kw : dict, default=None
            Arguments of matplotlib's ``plot`` for the lines of signals.

        Returns
        -------
        display : ReconstructionDisplay
            The object itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        rows = {name: self._panels(images, channels) for name, images in self._rows().items()}
        panels = np.stack(list(rows.values()))
        signals = panels.ndim == 4
        aspect = 0.75 if signals else panels.shape[2] / panels.shape[3]
        self.ax_ = _bounding_axes(ax, *panels.shape[:2], aspect, ticks=signals)
        self.axes_ = _divide(self.ax_, *panels.shape[:2])
        self.figure_ = self.ax_.figure
        if signals:
            _draw_signals(self.axes_, panels, value_range, line_kw or {})
        else:
            _draw_images(self.axes_, panels, value_range or _range(panels[0]), im_kw or {})
        _label_rows(self.axes_, rows)
        return self

    def _rows(self):
        """Samples by the name of their row; the first row is the truth."""
        if self.clean is None:
            return {"original": self.samples, "reconstruction": self.reconstructions}
        return {"clean": self.clean, "noisy": self.samples, "denoised": self.reconstructions}

    def _panels(self, images, channels):
        """``(n, L, n_channels)`` or ``(n, H, W, 1 or 3)``."""
        images = _channels_last(np.asarray(images), self.channel_axis)
        if channels is not None:
            images = images[..., np.atleast_1d(channels)]
        if images.ndim == 5:
            images = images[:, images.shape[1] // 2]
        if images.ndim == 4 and images.shape[-1] not in (1, 3):
            raise ValueError(
                f"the images have {images.shape[-1]} channels, but 1 (grey) or 3 (RGB) can be "
                f"shown; pass those to show, as in channels=0 or channels=(0, 1, 2)."
            )
        return images

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        n_images=10,
        clean=None,
        ax=None,
        channels=None,
        value_range=None,
        im_kw=None,
        line_kw=None,
    ):
        """Reconstruct the first samples of `X` and draw both.

        Parameters
        ----------
        estimator : estimator instance
            A fitted autoencoder, or a fitted Pipeline or search with an autoencoder as its last
            step: the codes then go back through all steps, ``inverse_transform(transform(X))``.

        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images; noisy ones if `clean` is given.

        n_images : int, default=10
            Number of samples to draw, from the first on.

        clean : array-like of the shape of `X`, default=None
            The samples before noise was added.

        ax : matplotlib Axes, default=None
            Axes to divide into the panels. None makes a new figure.

        channels, value_range, im_kw, line_kw
            See :meth:`plot`.

        Returns
        -------
        display : ReconstructionDisplay
            What was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        autoencoder = fitted_autoencoder(estimator)
        check_consistent_length(X, clean)
        X = X[: _check_n_images(n_images)]
        return cls.from_predictions(
            X,
            _reconstruct(estimator, X),
            n_images=n_images,
            clean=None if clean is None else clean[:n_images],
            input_shape=autoencoder.input_shape_,
            channel_axis=autoencoder.channel_axis,
            ax=ax,
            channels=channels,
            value_range=value_range,
            im_kw=im_kw,
            line_kw=line_kw,
        )

    @classmethod
    def from_predictions(
        cls,
        X,
        X_hat,
        *,
        n_images=10,
        clean=None,
        input_shape=None,
        channel_axis=None,
        ax=None,
        channels=None,
        value_range=None,
        im_kw=None,
        line_kw=None,
    ):
        """Draw the first samples of `X` and of the reconstructions `X_hat`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images; noisy ones if `clean` is given.

        X_hat : array-like of the shape of `X`
            Their reconstructions, by any method: rows or images.

        n_images : int, default=10
            Number of samples to draw, from the first on.

        clean : array-like of the shape of `X`, default=None
            The samples before noise was added.

        input_shape : tuple of int, default=None
            Shape of one sample. None takes that of `X`: rows are signals.

        channel_axis : int, default=None
            Axis of one sample that holds the channels. None: there are no channels.

        ax : matplotlib Axes, default=None
            Axes to divide into the panels. None makes a new figure.

        channels, value_range, im_kw, line_kw
            See :meth:`plot`.

        Returns
        -------
        display : ReconstructionDisplay
            What was drawn.
        """
        check_consistent_length(X, X_hat, clean)
        shown = slice(_check_n_images(n_images))
        shape = np.shape(X[shown])[1:] if input_shape is None else tuple(input_shape)
        display = cls(
            _fold("X", X[shown], shape),
            _fold("X_hat", X_hat[shown], shape),
            clean=None if clean is None else _fold("clean", clean[shown], shape),
            channel_axis=channel_axis,
        )
        return display.plot(
            ax=ax, channels=channels, value_range=value_range, im_kw=im_kw, line_kw=line_kw
        )


def _reconstruct(estimator, X):
    if hasattr(estimator, "reconstruct"):
        return estimator.reconstruct(X)
    return estimator.inverse_transform(estimator.transform(X))


def _check_n_images(n_images):
    if n_images < 1:
        raise ValueError(f"n_images={n_images!r} leaves nothing to draw; pass 1 or more.")
    return n_images


def _fold(name, X, shape):
    """Rows or images to images ``(n_samples, *shape)``."""
    X = np.asarray(X)
    if np.prod(X.shape[1:]) != np.prod(shape):
        raise ValueError(
            f"{name} has {np.prod(X.shape[1:])} values a sample, which do not fill the shape "
            f"{shape}; pass what the autoencoder was given or gave back, or another input_shape."
        )
    return X.reshape(len(X), *shape)


def _channels_last(images, channel_axis):
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


def _range(images):
    return float(images.min()), float(images.max())


def _bounding_axes(ax, n_rows, n_columns, aspect, ticks):
    """Axes without lines whose sides suit a grid of panels of this height over width."""
    width, height = n_columns + GAP * (n_columns - 1), aspect * (n_rows + GAP * (n_rows - 1))
    if ax is None:
        panel = min(max(10 / n_columns, 0.8), 2.0)
        ax = _axes_with_margins(panel * width, panel * height, ticks)
    ax.set_axis_off()
    ax.set_box_aspect(height / width)
    ax.set_anchor("E")  # what is left over in width serves the labels of the rows
    return ax


def _axes_with_margins(width, height, ticks):
    """Axes of that size in inches, with room for the labels of rows and perhaps of ticks."""
    from matplotlib import pyplot as plt

    em = plt.rcParams["font.size"] / 72
    left, bottom, rest = (11 * em, 2 * em, em) if ticks else (8 * em, em / 2, em / 2)
    size = np.array([width + left + rest, height + bottom + rest])
    box = np.array([[left, bottom], [width, height]]) / size
    return plt.figure(figsize=size).add_axes(box.ravel())


def _divide(ax, n_rows, n_columns):
    """A grid of axes ``(n_rows, n_columns)`` inside ``ax``."""
    width, height = 1 / (n_columns + GAP * (n_columns - 1)), 1 / (n_rows + GAP * (n_rows - 1))
    panels = np.empty((n_rows, n_columns), dtype=object)
    for i, j in np.ndindex(panels.shape):
        corner = j * (1 + GAP) * width, (n_rows - 1 - i) * (1 + GAP) * height
        panels[i, j] = ax.inset_axes([*corner, width, height])
    return panels


def _label_rows(axes, names):
    for ax, name in zip(axes[:, 0], names, strict=True):
        ax.set_ylabel(name, rotation=0, ha="right", va="center")


def _draw_images(axes, panels, value_range, im_kw):
    """Images ``(n_rows, n, H, W, 1 or 3)`` on one range of values."""
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


def _draw_signals(axes, panels, value_range, line_kw):
    """Signals ``(n_rows, n, L, n_channels)`` on one pair of axes limits."""
    low, high = value_range or _range(panels)
    margin = 0 if value_range else 0.05 * (high - low or 1.0)
    last = len(axes) - 1
    for (i, j), ax in np.ndenumerate(axes):
        if i == last:
            ax.plot(panels[0, j], color="0.75", linewidth=1.0)
        ax.plot(panels[i, j], **line_style({"linewidth": 1.0}, line_kw))
        ax.set(ylim=(low - margin, high + margin), xmargin=0)
        ax.locator_params(nbins=3)
        ax.tick_params(labelleft=j == 0, labelbottom=i == last)
