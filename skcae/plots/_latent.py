"""Codes in two dimensions."""

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.manifold import TSNE
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from .._private import check_matplotlib_support
from ._common import PALETTE, class_names, new_axes


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
    >>> X, y = load_digits(return_X_y=True)
    >>> X, y = X[:200].reshape(-1, 8, 8), y[:200]
    >>> ae = ConvAutoencoder(max_epochs=2, random_state=0).fit(X)
    >>> LatentDisplay.from_estimator(ae, X, y)
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
        self.ax_ = new_axes((5.5, 4.5)) if ax is None else ax
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
        names = class_names(classes, self.target_names)
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
    from matplotlib.colors import to_rgba_array

    if cmap is None and n_classes <= len(PALETTE):
        return to_rgba_array(list(PALETTE[:n_classes]))
    if cmap is None:
        cmap = "tab20" if n_classes <= 20 else "turbo"
    cmap = colormaps.get_cmap(cmap)
    if cmap.N < 256:
        return cmap(np.arange(n_classes) % cmap.N)
    return cmap(np.linspace(0, 1, n_classes))
