"""Grids of samples that a variational autoencoder makes."""

import numpy as np
from sklearn.utils import check_random_state

from .._private import check_matplotlib_support
from ._common import apply_steps, split_steps, undo_steps
from ._panels import (
    as_panels,
    channel_legend,
    draw_panels,
    feature_channels,
    fit_figure,
    fold,
    make_grid,
    names_of_channels,
    values_of,
)


class SampleGridDisplay:
    """Samples, traversals or interpolations of a variational autoencoder, as a grid.

    Images are drawn as images, grey or RGB; signals as lines, a line for each channel; of a volume
    its central slice along the first spatial axis. All panels share one range of values.

    Parameters
    ----------
    samples : ndarray of shape (n_rows, n_columns, *input_shape)
        What is drawn.

    row_names, column_names : sequence of str, default=None
        What stands beside the rows and above the columns. None: nothing.

    channel_axis : int, default=None
        Axis of one sample that holds the channels. None: there are no channels.

    channel_names : sequence of str, default=None
        Names of the channels of signals, up to ten of which get an entry in the legend. None
        numbers them.

    Attributes
    ----------
    axes_ : ndarray of shape (n_rows, n_columns), of matplotlib Axes
        The panels.

    legend_ : matplotlib Legend or None
        The legend of the channels of signals.

    ax_ : matplotlib Axes
        The axes that the panels divide.

    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    ReconstructionDisplay : Samples above their reconstructions.
    LatentDisplay : Scatter plot of the codes.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skcae import ConvVAE
    >>> from skcae.plots import SampleGridDisplay
    >>> X = load_digits().images[:200]
    >>> vae = ConvVAE(n_components=4, max_epochs=5, random_state=0).fit(X)
    >>> SampleGridDisplay.from_estimator(vae, n_rows=2, random_state=0).axes_.shape
    (2, 10)
    >>> SampleGridDisplay.from_traversal(vae, n_steps=5).axes_.shape
    (4, 5)
    >>> plt.close("all")
    """

    def __init__(
        self, samples, *, row_names=None, column_names=None, channel_axis=None, channel_names=None
    ):
        self.samples = samples
        self.row_names = row_names
        self.column_names = column_names
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
            of the samples.

        im_kw : dict, default=None
            Arguments of matplotlib's ``imshow``, such as ``{"cmap": "viridis"}``.

        line_kw : dict, default=None
            Arguments of matplotlib's ``plot`` for the lines of signals.

        Returns
        -------
        display : SampleGridDisplay
            The object itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        samples = np.asarray(self.samples)
        grid, sample = samples.shape[:2], samples.shape[2:]
        panels = as_panels(samples.reshape(-1, *sample), self.channel_axis, channels)
        first, panels = panels[0], panels.reshape(*grid, *panels.shape[1:])
        channel_names = names_of_channels(first, self.channel_names, channels)
        rows = _names("row_names", self.row_names, grid[0])
        columns = _names("column_names", self.column_names, grid[1])
        self.ax_, self.axes_ = make_grid(ax, rows, grid[1], first)
        self.figure_ = self.ax_.figure
        draw_panels(self.axes_, panels, values_of(panels, value_range), im_kw, line_kw)
        for panel, name in zip(self.axes_[0], columns, strict=True):
            panel.set_title(name, fontsize="medium")
        heading = 0 if self.column_names is None else 1.8  # ems
        self.legend_ = channel_legend(self.ax_, channel_names, heading)
        if ax is None:
            fit_figure(self.ax_)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X=None,
        *,
        y=None,
        n_rows=5,
        n_columns=10,
        random_state=None,
        channel_names=None,
        **plot_kw,
    ):
        """Draw samples; of a conditional autoencoder a column for each label.

        Parameters
        ----------
        estimator : estimator instance
            A fitted :class:`~skcae.ConvVAE` or :class:`~skcae.ConditionalConvVAE`, or a fitted
            Pipeline or search with one as its last step: samples then go back through all steps.

        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape), default=None
            Of a conditional autoencoder: a row shows each of these samples in its style, under
            every label. None draws a style for each row.

        y : array-like of shape (n_labels,), default=None
            Of a conditional autoencoder: the labels. None takes all classes.

        n_rows, n_columns : int, default=5, 10
            Size of the grid, as far as `X` and the labels do not tell it.

        random_state : int, RandomState instance or None, default=None
            An int draws the same samples in every call.

        channel_names : sequence of str, default=None
            Names of the channels of signals. None takes what the feature names of each channel
            begin with, or numbers them.

        **plot_kw : dict
            Arguments of :meth:`plot`.

        Returns
        -------
        display : SampleGridDisplay
            What was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        steps, vae = _split_vae(estimator)
        names = None
        if hasattr(vae, "classes_"):
            labels = vae.classes_ if y is None else np.atleast_1d(y)
            names = [str(label) for label in labels]
            samples = _sample_labels(vae, steps, X, labels, n_rows, random_state)
        else:
            _refuse_labels(vae, X, y)
            samples = vae.sample(n_rows * n_columns, random_state=random_state)
            samples = samples.reshape(n_rows, n_columns, *samples.shape[1:])
        return cls._drawn(steps, vae, samples, None, names, channel_names, plot_kw)

    @classmethod
    def from_traversal(
        cls,
        estimator,
        X=None,
        *,
        components=None,
        n_steps=8,
        span=2.0,
        channel_names=None,
        **plot_kw,
    ):
        """Draw what each component of the code does, a row for each.

        Parameters
        ----------
        estimator : estimator instance
            A fitted :class:`~skcae.ConvVAE` or :class:`~skcae.ConditionalConvVAE`, or a fitted
            Pipeline or search with one as its last step.

        X : array-like of shape (1, n_features) or (1, *input_shape), default=None
            The sample from whose code to start. None starts from the code 0.

        components : int or sequence of int, default=None
            Which components. None takes the active ones: the others change nothing.

        n_steps : int, default=8
            Values of each component.

        span : float, default=2.0
            They run from minus to plus this, in standard deviations of the normal prior.

        channel_names : sequence of str, default=None
            Names of the channels of signals.

        **plot_kw : dict
            Arguments of :meth:`plot`.

        Returns
        -------
        display : SampleGridDisplay
            What was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_traversal")
        steps, vae = _split_vae(estimator)
        start = None if X is None else apply_steps(steps, X)
        samples = vae.traverse(start, n_steps=n_steps, span=span)
        if components is None:
            components = np.flatnonzero(vae.active_units_)
            components = components if len(components) else np.arange(len(samples))
        components = np.atleast_1d(components)
        if not np.isin(components, np.arange(len(samples))).all():
            raise ValueError(
                f"components={components.tolist()} are not all of the {len(samples)} of the code; "
                f"pass indices from 0 to {len(samples) - 1}."
            )
        names = vae.get_feature_names_out()[components]
        values = [_signed(value) for value in np.linspace(-span, span, n_steps)]
        samples = samples[components]
        return cls._drawn(steps, vae, samples, names, values, channel_names, plot_kw)

    @classmethod
    def from_interpolation(
        cls, estimator, X_from, X_to, *, n_steps=8, channel_names=None, **plot_kw
    ):
        """Draw the ways between the codes of pairs of samples, a row for each pair.

        Parameters
        ----------
        estimator : estimator instance
            A fitted :class:`~skcae.ConvVAE` or :class:`~skcae.ConditionalConvVAE`, or a fitted
            Pipeline or search with one as its last step.

        X_from : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Where the ways begin.

        X_to : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Where they end.

        n_steps : int, default=8
            Points on each way, both ends included.

        channel_names : sequence of str, default=None
            Names of the channels of signals.

        **plot_kw : dict
            Arguments of :meth:`plot`.

        Returns
        -------
        display : SampleGridDisplay
            What was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_interpolation")
        steps, vae = _split_vae(estimator)
        ends = (apply_steps(steps, X) for X in (X_from, X_to))
        samples = vae.interpolate(*ends, n_steps=n_steps)
        names = [f"{share:.0%}" for share in np.linspace(0, 1, n_steps)]
        return cls._drawn(steps, vae, samples, None, names, channel_names, plot_kw)

    @classmethod
    def _drawn(cls, steps, vae, samples, row_names, column_names, channel_names, plot_kw):
        """A display of samples ``(n_rows, n_columns, ...)`` as the autoencoder gave them."""
        grid = samples.shape[:2]
        samples = undo_steps(steps, samples.reshape(-1, *samples.shape[2:]))
        display = cls(
            fold("estimator", samples, vae.input_shape_).reshape(*grid, *vae.input_shape_),
            row_names=row_names,
            column_names=column_names,
            channel_axis=vae.channel_axis,
            channel_names=channel_names or feature_channels(vae),
        )
        return display.plot(**plot_kw)


def _names(parameter, names, n):
    if names is None:
        return [""] * n
    if len(names) != n:
        raise ValueError(f"{parameter} has {len(names)} names for {n}; pass a name for each.")
    return names


def _split_vae(estimator):
    """The steps before a variational autoencoder, and itself."""
    steps, vae = split_steps(estimator)
    if not hasattr(vae, "sample"):
        raise TypeError(
            f"{type(vae).__name__} draws no samples; pass a fitted ConvVAE or ConditionalConvVAE."
        )
    return steps, vae


def _refuse_labels(vae, X, y):
    if X is not None or y is not None:
        raise TypeError(
            f"X and y are for a conditional autoencoder, but {type(vae).__name__} knows no "
            f"labels; leave them out, or see from_traversal(estimator, X) and "
            f"ReconstructionDisplay."
        )


def _sample_labels(vae, steps, X, labels, n_rows, random_state):
    """A row for each style, a column for each label."""
    if X is not None:
        seen = apply_steps(steps, X)
        return np.stack([vae.reconstruct(seen, y=label) for label in labels], axis=1)
    seed = check_random_state(random_state).randint(2**31 - 1)  # the styles of every column
    return np.stack([vae.sample(n_rows, y=label, random_state=seed) for label in labels], axis=1)


def _signed(value):
    """A number with its sign, as the ticks of matplotlib have it."""
    return f"{value:+.2g}".replace("-", "\N{MINUS SIGN}") if value else "0"
