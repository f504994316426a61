"""Displays of reconstructions, loss curves and codes.

They follow scikit-learn's convention: a display keeps the arrays that it shows, `plot` draws them,
and the class methods build and draw in one call. Only `plot` needs matplotlib. Estimators are used
through their public methods; a fitted :class:`~sklearn.pipeline.Pipeline` or search whose last
step is an autoencoder can take their place.
"""

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.manifold import TSNE
from sklearn.utils import check_consistent_length
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

__all__ = ["LatentDisplay", "LossCurveDisplay", "ReconstructionDisplay"]

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
    >>> X = load_digits().images
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
        autoencoder = _autoencoder(estimator)
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


class LossCurveDisplay:
    """Training and validation loss over the epochs.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Training loss of each epoch.

    validation_loss_curve : array-like of shape (n_epochs,), default=None
        Loss of the held-out data after each epoch; nan where there was none. None or empty:
        there is no such curve.

    loss_name : str, default=None
        What the losses are, for the label of their axis.

    name : str, default=None
        Which estimator they are of, for the legend.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        Training and, where there is one, validation curve.

    ax_ : matplotlib Axes
        The axes.

    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    ReconstructionDisplay : Samples above their reconstructions.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skcae import ConvAutoencoder
    >>> from skcae.plots import LossCurveDisplay
    >>> X = load_digits().images
    >>> ae = ConvAutoencoder(early_stopping=True, max_epochs=3, random_state=0).fit(X)
    >>> LossCurveDisplay.from_estimator(ae, log_scale=True)
    <...>
    >>> plt.close("all")
    """

    def __init__(self, loss_curve, validation_loss_curve=None, *, loss_name=None, name=None):
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.loss_name = loss_name
        self.name = name

    def plot(self, *, ax=None, log_scale=False, line_kw=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on, shared by several estimators if you like. None makes a new figure.

        log_scale : bool, default=False
            Make the axis of the losses logarithmic; they must be positive.

        line_kw : dict, default=None
            Arguments of matplotlib's ``plot`` for both curves.

        Returns
        -------
        display : LossCurveDisplay
            The object itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        from matplotlib.ticker import MaxNLocator

        self.ax_ = _new_axes((5.0, 3.5)) if ax is None else ax
        self.figure_ = self.ax_.figure
        self.lines_ = [self._draw(*curve, line_kw or {}) for curve in self._curves()]
        label = "Loss" if self.loss_name is None else f"Loss ({self.loss_name})"
        self.ax_.set(xlabel="Epoch", ylabel=label, yscale="log" if log_scale else "linear")
        self.ax_.xaxis.set_major_locator(MaxNLocator(integer=True))
        self.ax_.legend()
        return self

    def _curves(self):
        curves = [("training", "-", self.loss_curve)]
        if self.validation_loss_curve is not None and len(self.validation_loss_curve):
            curves.append(("validation", "--", self.validation_loss_curve))
        return curves

    def _draw(self, label, linestyle, losses, line_kw):
        style = {
            "linestyle": linestyle,
            "label": label if self.name is None else f"{self.name}, {label}",
            "marker": "." if len(losses) < 30 else None,
        }
        epochs = np.arange(1, len(losses) + 1)
        (line,) = self.ax_.plot(epochs, losses, **_line_style(style, line_kw))
        return line

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, log_scale=False, line_kw=None):
        """Draw the loss curves of a fitted autoencoder.

        Parameters
        ----------
        estimator : estimator instance
            A fitted autoencoder, or a fitted Pipeline or search with one as its last step.

        name : str, default=None
            Which estimator it is, for the legend.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        log_scale : bool, default=False
            Make the axis of the losses logarithmic.

        line_kw : dict, default=None
            Arguments of matplotlib's ``plot`` for both curves.

        Returns
        -------
        display : LossCurveDisplay
            What was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        autoencoder = _autoencoder(estimator)
        history = autoencoder.history_  # has the epochs of the validation losses
        validation = history["valid_loss"].to_numpy() if "valid_loss" in history else None
        loss = autoencoder.loss
        display = cls(
            np.asarray(autoencoder.loss_curve_),
            validation,
            loss_name=loss.replace("_", " ") if isinstance(loss, str) else None,
            name=name,
        )
        return display.plot(ax=ax, log_scale=log_scale, line_kw=line_kw)


class LatentDisplay:
    """Scatter plot of codes in two dimensions, coloured by class.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2)
        Codes, or their projection.

    y : array-like of shape (n_samples,), default=None
        Classes, numbers or strings, which get a colour and an entry in the legend each; or, if
        they are not whole numbers, values, which get a colour bar.

    target_names : sequence of str, default=None
        Names of the sorted classes, for the legend.

    axis_labels : tuple of str, default=("Component 1", "Component 2")
        Labels of the axes.

    Attributes
    ----------
    scatter_ : matplotlib PathCollection
        The points.

    legend_ : matplotlib Legend or None
        The legend of the classes.

    colorbar_ : matplotlib Colorbar or None
        The colour bar of values.

    ax_ : matplotlib Axes
        The axes.

    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    ReconstructionDisplay : Samples above their reconstructions.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skcae import ConvAutoencoder
    >>> from skcae.plots import LatentDisplay
    >>> digits = load_digits()
    >>> ae = ConvAutoencoder(max_epochs=2, random_state=0).fit(digits.images)
    >>> LatentDisplay.from_estimator(ae, digits.images, digits.target)
    <...>
    >>> plt.close("all")
    """

    def __init__(
        self, points, *, y=None, target_names=None, axis_labels=("Component 1", "Component 2")
    ):
        self.points = points
        self.y = y
        self.target_names = target_names
        self.axis_labels = axis_labels

    def plot(self, *, ax=None, scatter_kw=None):
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        scatter_kw : dict, default=None
            Arguments of matplotlib's ``scatter``, such as ``{"s": 10, "cmap": "viridis"}``.

        Returns
        -------
        display : LatentDisplay
            The object itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        self.legend_ = self.colorbar_ = None
        y = None if self.y is None else np.asarray(self.y)
        values = y is not None and _are_values(y)
        self.ax_ = _new_axes((5.5, 4.5)) if ax is None else ax
        self.figure_ = self.ax_.figure
        self._scatter(y if values else None, scatter_kw or {})
        if values:
            self.colorbar_ = self.figure_.colorbar(self.scatter_, ax=self.ax_)
        elif y is not None:
            self._colour_classes(y, (scatter_kw or {}).get("cmap"))
        self.ax_.set(xlabel=self.axis_labels[0], ylabel=self.axis_labels[1])
        self.ax_.set_aspect("equal", adjustable="datalim")
        return self

    def _scatter(self, colours, scatter_kw):
        points = np.asarray(self.points)
        size = np.clip(20_000 / len(points), 3, 20)
        style = {"c": colours, "s": size, "alpha": 0.8, "edgecolors": "none", "rasterized": True}
        style |= scatter_kw
        if style["c"] is None:
            style.pop("cmap", None)
        self.scatter_ = self.ax_.scatter(*points[:, :2].T, **style)

    def _colour_classes(self, y, cmap):
        classes, index = np.unique(y, return_inverse=True)
        names = classes if self.target_names is None else self.target_names
        if len(names) != len(classes):
            raise ValueError(
                f"target_names has {len(names)} names, but y has {len(classes)} classes; pass a "
                f"name for each, in the order of the sorted classes."
            )
        colours = _class_colours(len(classes), cmap)
        self.scatter_.set_facecolor(colours[index])
        self.legend_ = self.ax_.legend(
            handles=_legend_handles(colours, names),
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            frameon=False,
            handletextpad=0.2,
            ncols=1 + (len(classes) - 1) // 20,
        )

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        projection="pca",
        random_state=None,
        target_names=None,
        ax=None,
        scatter_kw=None,
    ):
        """Encode `X` and draw the codes.

        Parameters
        ----------
        estimator : estimator instance
            A fitted autoencoder, or any fitted transformer.

        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.

        y : array-like of shape (n_samples,), default=None
            Classes or values of the samples.

        projection : {"pca", "tsne"} or transformer, default="pca"
            How codes of more than two values become points. See :meth:`from_codes`.

        random_state : int, RandomState instance or None, default=None
            Of "tsne".

        target_names : sequence of str, default=None
            Names of the sorted classes, for the legend.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        scatter_kw : dict, default=None
            Arguments of matplotlib's ``scatter``.

        Returns
        -------
        display : LatentDisplay
            What was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        return cls.from_codes(
            estimator.transform(X),
            y,
            projection=projection,
            random_state=random_state,
            target_names=target_names,
            ax=ax,
            scatter_kw=scatter_kw,
        )

    @classmethod
    def from_codes(
        cls,
        Z,
        y=None,
        *,
        projection="pca",
        random_state=None,
        target_names=None,
        ax=None,
        scatter_kw=None,
    ):
        """Draw codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes. Two values are drawn as they are; more are projected.

        y : array-like of shape (n_samples,), default=None
            Classes or values of the samples.

        projection : {"pca", "tsne"} or transformer, default="pca"
            "pca" labels the axes with the share of the variance; "tsne" starts from the principal
            components. A fitted transformer is applied to the codes, of one that is not a copy is
            fitted to them; its first two outputs are drawn.

        random_state : int, RandomState instance or None, default=None
            Of "tsne".

        target_names : sequence of str, default=None
            Names of the sorted classes, for the legend.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        scatter_kw : dict, default=None
            Arguments of matplotlib's ``scatter``.

        Returns
        -------
        display : LatentDisplay
            What was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_codes")
        Z = np.asarray(Z)
        if Z.ndim != 2 or Z.shape[1] < 2:
            raise ValueError(
                f"Z has shape {Z.shape}, but a scatter plot needs two or more columns; fit an "
                f"autoencoder with n_components of at least 2."
            )
        check_consistent_length(Z, y)
        points, labels = _project(Z, projection, random_state)
        display = cls(points, y=y, target_names=target_names, axis_labels=labels)
        return display.plot(ax=ax, scatter_kw=scatter_kw)


# Estimators -------------------------------------------------------------------------------------


def _autoencoder(estimator):
    """The fitted autoencoder itself, out of a search or the end of a pipeline."""
    check_is_fitted(estimator)
    last = estimator
    while hasattr(last, "best_estimator_") or hasattr(last, "steps"):
        last = last.best_estimator_ if hasattr(last, "best_estimator_") else last.steps[-1][1]
    if not hasattr(last, "input_shape_"):
        raise TypeError(
            f"{type(last).__name__} is not an autoencoder of this package; pass one, or a "
            f"Pipeline with one as its last step. Results of anything else can be drawn from "
            f"arrays: see from_predictions and the class itself."
        )
    return last


def _reconstruct(estimator, X):
    if hasattr(estimator, "reconstruct"):
        return estimator.reconstruct(X)
    return estimator.inverse_transform(estimator.transform(X))


# Images -----------------------------------------------------------------------------------------


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


def _new_axes(figsize):
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=figsize, layout="constrained")[1]


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
        ax.plot(panels[i, j], **_line_style({"linewidth": 1.0}, line_kw))
        ax.set(ylim=(low - margin, high + margin), xmargin=0)
        ax.locator_params(nbins=3)
        ax.tick_params(labelleft=j == 0, labelbottom=i == last)


def _line_style(defaults, line_kw):
    """The defaults, replaced by what is given, under any of matplotlib's names for it."""
    from matplotlib import cbook
    from matplotlib.lines import Line2D

    return defaults | cbook.normalize_kwargs(line_kw, Line2D)


# Codes ------------------------------------------------------------------------------------------


def _project(Z, projection, random_state):
    """Points ``(n, 2)`` and the labels of their axes."""
    if Z.shape[1] == 2:
        return Z, ("Component 1", "Component 2")
    if isinstance(projection, str) and projection == "pca":
        return _principal_components(Z)
    if isinstance(projection, str) and projection == "tsne":
        perplexity = min(30.0, (len(Z) - 1) / 3)
        projection = TSNE(init="pca", perplexity=perplexity, random_state=random_state)
    if not hasattr(projection, "fit_transform"):
        raise ValueError(
            f"projection={projection!r} is unknown; choose 'pca', 'tsne' or a transformer."
        )
    name = {"TSNE": "t-SNE"}.get(type(projection).__name__, type(projection).__name__)
    points = np.asarray(_apply(projection, Z))
    if points.ndim != 2 or points.shape[1] < 2:
        raise ValueError(
            f"projection={projection!r} returned shape {points.shape}, but two values for each "
            f"code are drawn; set its number of components to 2."
        )
    return points[:, :2], (f"{name} 1", f"{name} 2")


def _principal_components(Z):
    pca = PCA(n_components=2, svd_solver="full").fit(Z)
    shares = pca.explained_variance_ratio_
    return pca.transform(Z), tuple(f"PC {i} ({s:.0%})" for i, s in enumerate(shares, start=1))


def _apply(transformer, Z):
    """Transform by a fitted transformer; fit a copy of one that is not, or cannot transform."""
    try:
        check_is_fitted(transformer)
    except NotFittedError:
        return clone(transformer).fit_transform(Z)
    if hasattr(transformer, "transform"):
        return transformer.transform(Z)
    return clone(transformer).fit_transform(Z)


def _are_values(y):
    """Whether ``y`` holds values on a scale, not classes."""
    return y.dtype.kind == "f" and not np.array_equal(y, np.round(y))


def _legend_handles(colours, names):
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=colour, marker="o", markersize=5, linestyle="none", label=str(name))
        for colour, name in zip(colours, names, strict=True)
    ]


def _class_colours(n_classes, cmap=None):
    """RGBA ``(n_classes, 4)``: distinct colours as long as there are some."""
    from matplotlib import colormaps

    if cmap is None:
        cmap = "tab10" if n_classes <= 10 else "tab20" if n_classes <= 20 else "turbo"
    cmap = colormaps.get_cmap(cmap)
    if cmap.N < 256:
        return cmap(np.arange(n_classes) % cmap.N)
    return cmap(np.linspace(0, 1, n_classes))
