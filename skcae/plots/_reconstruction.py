"""Samples above their reconstructions."""

import numpy as np
from sklearn.utils import check_consistent_length

from .._private import check_matplotlib_support
from ._common import fitted_autoencoder, reconstruct
from ._panels import (
    as_panels,
    channel_legend,
    check_n_images,
    draw_panels,
    feature_channels,
    fit_figure,
    fold,
    make_grid,
    names_of_channels,
    values_of,
)


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

    channel_names : sequence of str, default=None
        Names of the channels of signals, up to ten of which get an entry in the legend. None
        numbers them.

    Attributes
    ----------
    axes_ : ndarray of shape (n_rows, n_samples), of matplotlib Axes
        The panels.

    legend_ : matplotlib Legend or None
        The legend of the channels of signals.

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

    def __init__(
        self, samples, reconstructions, *, clean=None, channel_axis=None, channel_names=None
    ):
        self.samples = samples
        self.reconstructions = reconstructions
        self.clean = clean
        self.channel_axis = channel_axis
        self.channel_names = channel_names

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
        rows = self._rows()
        panels = np.stack([as_panels(x, self.channel_axis, channels) for x in rows.values()])
        first, truth = panels[0, 0], panels[0]
        names = names_of_channels(first, self.channel_names, channels)
        self.ax_, self.axes_ = make_grid(ax, list(rows), len(truth), first)
        self.figure_ = self.ax_.figure
        values = values_of(panels, value_range, like=truth)
        draw_panels(self.axes_[:-1], panels[:-1], values, im_kw, line_kw)
        draw_panels(self.axes_[-1:], panels[-1:], values, im_kw, line_kw, behind=truth)
        self.legend_ = channel_legend(self.ax_, names)
        if ax is None:
            fit_figure(self.ax_)
        return self

    def _rows(self):
        """Samples by the name of their row; the first row is the truth."""
        if self.clean is None:
            return {"original": self.samples, "reconstruction": self.reconstructions}
        return {"clean": self.clean, "noisy": self.samples, "denoised": self.reconstructions}

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        n_images=None,
        clean=None,
        channel_names=None,
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

        n_images : int, default=None
            Number of samples to draw, from the first on. None is 10, or 4 of signals.

        clean : array-like of the shape of `X`, default=None
            The samples before noise was added.

        channel_names : sequence of str, default=None
            Names of the channels of signals. None takes what the feature names of each channel
            begin with, or numbers them.

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
        shape, channel_axis = autoencoder.input_shape_, autoencoder.channel_axis
        n_images = check_n_images(n_images, shape, channel_axis)
        X = X[:n_images]
        return cls.from_predictions(
            X,
            reconstruct(estimator, X),
            n_images=n_images,
            clean=None if clean is None else clean[:n_images],
            input_shape=shape,
            channel_axis=channel_axis,
            channel_names=channel_names or feature_channels(autoencoder),
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
        n_images=None,
        clean=None,
        input_shape=None,
        channel_axis=None,
        channel_names=None,
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

        n_images : int, default=None
            Number of samples to draw, from the first on. None is 10, or 4 of signals.

        clean : array-like of the shape of `X`, default=None
            The samples before noise was added.

        input_shape : tuple of int, default=None
            Shape of one sample. None takes that of `X`: rows are signals.

        channel_axis : int, default=None
            Axis of one sample that holds the channels. None: there are no channels.

        channel_names : sequence of str, default=None
            Names of the channels of signals. None numbers them.

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
        shape = np.shape(X[:1])[1:] if input_shape is None else tuple(input_shape)
        shown = slice(check_n_images(n_images, shape, channel_axis))
        display = cls(
            fold("X", X[shown], shape),
            fold("X_hat", X_hat[shown], shape),
            clean=None if clean is None else fold("clean", clean[shown], shape),
            channel_axis=channel_axis,
            channel_names=channel_names,
        )
        return display.plot(
            ax=ax, channels=channels, value_range=value_range, im_kw=im_kw, line_kw=line_kw
        )
