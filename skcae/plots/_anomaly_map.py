"""Samples, their reconstructions, and where they are unusual."""

import numpy as np
from sklearn.utils import check_consistent_length

from .._private import check_matplotlib_support
from ._common import apply_steps, reconstruct, split_steps
from ._panels import (
    as_panels,
    channel_legend,
    channels_last,
    check_n_images,
    draw_panels,
    feature_channels,
    fit_figure,
    fold,
    make_grid,
    names_of_channels,
    take_slices,
    values_of,
)

# Red, green and blue that images are weighed with where they are drawn in grey (Rec. 601).
LUMA = 0.299, 0.587, 0.114
# The colours of the map over a sample; how opaque they are at most, and how soon.
COLOURS, OPACITY, GAMMA = "plasma", 0.9, 0.75


class AnomalyMapDisplay:
    """Samples, their reconstructions, and where they are unusual.

    The last row shows the anomaly map: of images in colour over the sample in grey, the mean over
    the channels; of signals as lines, one for each channel, of which the highest is also in colour
    behind the input. All maps share one scale. Of a volume the slice along its first spatial axis
    is drawn that holds the largest value of its map.

    Parameters
    ----------
    samples : ndarray of shape (n_samples, *input_shape)
        What the autoencoder was given.

    reconstructions : ndarray of shape (n_samples, *input_shape)
        What it gave back.

    maps : ndarray of shape (n_samples, *input_shape)
        How unusual each value is; higher is more unusual.

    channel_axis : int, default=None
        Axis of one sample that holds the channels. None: there are no channels.

    channel_names : sequence of str, default=None
        Names of the channels of signals, up to ten of which get an entry in the legend. None
        numbers them.

    map_name : str, default=None
        What the values of the maps are, for the label of their row.

    Attributes
    ----------
    axes_ : ndarray of shape (3, n_samples), of matplotlib Axes
        The panels: inputs, reconstructions, maps.

    colorbar_ : matplotlib Colorbar or None
        The scale of the maps of images.

    legend_ : matplotlib Legend or None
        The legend of the channels of signals.

    ax_ : matplotlib Axes
        The axes that the panels divide.

    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    ScoreDisplay : Scores and the threshold.
    ReconstructionDisplay : Samples above their reconstructions.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skcae import ConvAutoencoder
    >>> from skcae.plots import AnomalyMapDisplay
    >>> X = load_digits().images[:200]
    >>> ae = ConvAutoencoder(max_epochs=2, random_state=0).fit(X)
    >>> display = AnomalyMapDisplay.from_estimator(ae, X, n_images=5)
    >>> display.axes_.shape
    (3, 5)
    >>> plt.close("all")
    """

    def __init__(
        self,
        samples,
        reconstructions,
        maps,
        *,
        channel_axis=None,
        channel_names=None,
        map_name=None,
    ):
        self.samples = samples
        self.reconstructions = reconstructions
        self.maps = maps
        self.channel_axis = channel_axis
        self.channel_names = channel_names
        self.map_name = map_name

    def plot(
        self,
        *,
        ax=None,
        channels=None,
        value_range=None,
        map_range=None,
        im_kw=None,
        line_kw=None,
        map_kw=None,
    ):
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to divide into the panels. None makes a new figure.

        channels : int or sequence of int, default=None
            Channels of the samples and of their maps to show: one in grey or three as RGB; any
            number of lines for signals. None shows all, which needs one or three for images.

        value_range : tuple of float (low, high), default=None
            Values of the samples shown as black and as white, or the limits of the lines. None
            takes the range of the samples for images; what lies outside is clipped.

        map_range : tuple of float (low, high), default=None
            Values of the maps shown without colour and in full colour, or the limits of their
            lines. None is from 0 to the largest.

        im_kw : dict, default=None
            Arguments of matplotlib's ``imshow`` for samples and reconstructions.

        line_kw : dict, default=None
            Arguments of matplotlib's ``plot`` for the lines of signals.

        map_kw : dict, default=None
            Arguments of matplotlib's ``imshow`` for the maps; ``{"cmap": "viridis", "alpha": 1}``
            draws them without the samples below.

        Returns
        -------
        display : AnomalyMapDisplay
            The object itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        panels, maps = self._shown(channels)
        truth, first, signals = panels[0], panels[0, 0], panels.ndim == 4
        names = names_of_channels(first, self.channel_names, channels)
        what = "" if self.map_name is None else f"\n({self.map_name})"
        rows = ["input", "reconstruction", f"anomaly map{what}"]
        self.ax_, self.axes_ = make_grid(ax, rows, len(truth), first)
        self.figure_ = self.ax_.figure
        values = values_of(panels, value_range, like=truth)
        draw_panels(self.axes_[:1], panels[:1], values, im_kw, line_kw)
        draw_panels(self.axes_[1:2], panels[1:], values, im_kw, line_kw, behind=truth)
        limits = map_range or (min(0.0, float(maps.min())), float(maps.max()) or 1.0)
        style = {"cmap": _overlay(), "vmin": limits[0], "vmax": limits[1]}
        style |= {"interpolation": "nearest"} | (map_kw or {})
        self.colorbar_ = None
        if signals:
            self._draw_lines(maps, limits, values, style, line_kw)
        else:
            draw_panels(self.axes_[2:], _grey(panels[:1]), values)
            self._draw_maps(maps, style)
        self.legend_ = channel_legend(self.ax_, names)
        if ax is None:
            fit_figure(self.ax_)
        return self

    def _shown(self, channels):
        """Samples above reconstructions, ``(2, n, *panel)``, and their maps."""
        maps = channels_last(np.asarray(self.maps), self.channel_axis)
        maps = maps if channels is None else maps[..., np.atleast_1d(channels)]
        slices = None
        if maps.ndim == 5:
            slices = maps.mean(axis=-1).max(axis=(2, 3)).argmax(axis=1)
            maps = take_slices(maps, slices)
        both = self.samples, self.reconstructions
        panels = [as_panels(x, self.channel_axis, channels, slices) for x in both]
        return np.stack(panels), maps if maps.ndim == 3 else maps.mean(axis=-1)

    def _draw_maps(self, maps, style):
        """Maps ``(n, H, W)`` over what is drawn in the last row, with a bar beside it."""
        for ax, image in zip(self.axes_[2], maps, strict=True):
            mappable = ax.imshow(image, **style)
        beside = self.axes_[2, -1].inset_axes([1.1, 0, 0.12, 1])
        beside.set_facecolor("0.5")
        self.colorbar_ = self.figure_.colorbar(mappable, cax=beside)
        self.colorbar_.outline.set_visible(False)

    def _draw_lines(self, maps, limits, values, style, line_kw):
        """Maps ``(n, L, n_channels)`` as lines, and their largest behind the inputs."""
        high = limits[1] + 0.05 * (limits[1] - limits[0])
        draw_panels(self.axes_[2:], maps[np.newaxis], (limits[0], high), line_kw=line_kw)
        extent = -0.5, maps.shape[1] - 0.5, *values
        for ax, strip in zip(self.axes_[0], maps.max(axis=-1), strict=True):
            ax.imshow(strip[np.newaxis], **style, extent=extent, aspect="auto", zorder=0)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        standardize=True,
        sigma=1.0,
        n_images=None,
        channel_names=None,
        **plot_kw,
    ):
        """Reconstruct the first samples of `X` and draw where they are unusual.

        Parameters
        ----------
        estimator : estimator instance
            A fitted autoencoder, or a fitted Pipeline or search with an autoencoder as its last
            step. The map is then of what the autoencoder sees.

        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.

        standardize : bool, default=True
            Whether errors are compared with those over the training data, as in `anomaly_map` of
            the estimator. False shows errors in the units of `X`, squared.

        sigma : float, default=1.0
            Width of the normal distribution that smooths the map, as in `anomaly_map`.

        n_images : int, default=None
            Number of samples to draw, from the first on. None is 10, or 4 of signals.

        channel_names : sequence of str, default=None
            Names of the channels of signals. None takes what the feature names of each channel
            begin with, or numbers them.

        **plot_kw : dict
            Arguments of :meth:`plot`.

        Returns
        -------
        display : AnomalyMapDisplay
            What was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        steps, autoencoder = split_steps(estimator)
        shape, channel_axis = autoencoder.input_shape_, autoencoder.channel_axis
        X = X[: check_n_images(n_images, shape, channel_axis)]
        seen = apply_steps(steps, X)
        return cls.from_predictions(
            X,
            reconstruct(estimator, X),
            autoencoder.anomaly_map(seen, standardize=standardize, sigma=sigma),
            n_images=len(np.asarray(X)),
            input_shape=shape,
            channel_axis=channel_axis,
            channel_names=channel_names or feature_channels(autoencoder),
            map_name="error / usual" if standardize else "squared error",
            **plot_kw,
        )

    @classmethod
    def from_predictions(
        cls,
        X,
        X_hat,
        maps,
        *,
        n_images=None,
        input_shape=None,
        channel_axis=None,
        channel_names=None,
        map_name=None,
        **plot_kw,
    ):
        """Draw the first samples of `X`, their reconstructions and maps.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.

        X_hat : array-like of the shape of `X`
            Their reconstructions, by any method: rows or images.

        maps : array-like of the shape of `X`
            How unusual each value is: rows or images.

        n_images : int, default=None
            Number of samples to draw, from the first on. None is 10, or 4 of signals.

        input_shape : tuple of int, default=None
            Shape of one sample. None takes that of `X`: rows are signals.

        channel_axis : int, default=None
            Axis of one sample that holds the channels. None: there are no channels.

        channel_names : sequence of str, default=None
            Names of the channels of signals. None numbers them.

        map_name : str, default=None
            What the values of the maps are, for the label of their row.

        **plot_kw : dict
            Arguments of :meth:`plot`.

        Returns
        -------
        display : AnomalyMapDisplay
            What was drawn.
        """
        check_consistent_length(X, X_hat, maps)
        shape = np.shape(X[:1])[1:] if input_shape is None else tuple(input_shape)
        shown = slice(check_n_images(n_images, shape, channel_axis))
        display = cls(
            fold("X", X[shown], shape),
            fold("X_hat", X_hat[shown], shape),
            fold("maps", maps[shown], shape),
            channel_axis=channel_axis,
            channel_names=channel_names,
            map_name=map_name,
        )
        return display.plot(**plot_kw)


def _grey(images):
    """Images ``(..., 1 or 3)`` with one channel, so that colour is the map's alone."""
    return images if images.shape[-1] == 1 else (images @ np.array(LUMA))[..., np.newaxis]


def _overlay():
    """A colour map that leaves what is below visible where values are small."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    shares = np.linspace(0, 1, 256)
    colours = colormaps[COLOURS](shares)
    colours[:, 3] = OPACITY * shares**GAMMA
    return ListedColormap(colours, name=f"{COLOURS}_overlay")
