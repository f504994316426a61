"""What a network learns from epoch to epoch."""

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils import check_consistent_length
from skorch.callbacks import Callback

from .._private import check_matplotlib_support
from ._common import apply_steps, undo_steps
from ._latent import LatentDisplay
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

# Samples whose codes are kept where none are named; epochs that are drawn, at most; the largest
# side of a panel of codes, in inches; how often an animation repeats its last frame.
N_CODES, N_EPOCHS, LARGEST_CODES, REST = 1000, 5, 2.6, 4


class TrainingDisplay:
    """Reconstructions and codes before training and after each of its epochs.

    They are those of the network while it is trained. Where it has a linear path, it starts at the
    principal components, and is weighed against them after the last epoch; see
    :class:`~skcae.ConvAutoencoder`.

    Parameters
    ----------
    samples : ndarray of shape (n_images, *input_shape)
        What is reconstructed.

    reconstructions : ndarray of shape (1 + n_epochs, n_images, *input_shape)
        What the network gave back before training, and after each epoch.

    codes : ndarray of shape (1 + n_epochs, n_samples, n_components)
        Codes, of more samples perhaps. Those of more than two values are drawn along the
        principal components of the last epoch's.

    y : array-like of shape (n_samples,), default=None
        Classes or values of the samples that have codes, for their colours.

    target_names : sequence of str, default=None
        Names of the sorted classes, for the legend.

    channel_axis : int, default=None
        Axis of one sample that holds the channels. None: there are no channels.

    channel_names : sequence of str, default=None
        Names of the channels of signals. None numbers them.

    Attributes
    ----------
    estimator_ : estimator instance
        What `from_estimator` has trained.

    axes_ : ndarray of shape (n_rows, n_columns), of matplotlib Axes
        The panels.

    legend_ : matplotlib Legend or None
        The legend of the classes, or of the channels of signals.

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
    >>> from skcae.plots import TrainingDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> X, y = X[:200].reshape(-1, 8, 8), y[:200]
    >>> ae = ConvAutoencoder(n_components=2, max_epochs=3, random_state=0)
    >>> display = TrainingDisplay.from_estimator(ae, X, y, n_images=5)
    >>> display.plot(kind="codes").axes_.shape
    (1, 2)
    >>> display.animate().save("epochs.gif", writer="pillow")  # doctest: +SKIP
    >>> plt.close("all")
    """

    def __init__(
        self,
        samples,
        reconstructions,
        codes,
        *,
        y=None,
        target_names=None,
        channel_axis=None,
        channel_names=None,
    ):
        self.samples = samples
        self.reconstructions = reconstructions
        self.codes = codes
        self.y = y
        self.target_names = target_names
        self.channel_axis = channel_axis
        self.channel_names = channel_names

    def plot(
        self,
        *,
        kind="reconstructions",
        epochs=None,
        ax=None,
        channels=None,
        value_range=None,
        im_kw=None,
        line_kw=None,
        scatter_kw=None,
    ):
        """Draw some epochs.

        Parameters
        ----------
        kind : {"reconstructions", "codes"}, default="reconstructions"
            What is drawn: a row of reconstructions for each epoch, below the samples, or a
            scatter plot of the codes for each epoch, each on its own scale.

        epochs : sequence of int, default=None
            Which epochs; 0 is before training. None takes the first and the last, and of
            reconstructions some between.

        ax : matplotlib Axes, default=None
            Axes to divide into the panels. None makes a new figure.

        channels : int or sequence of int, default=None
            Channels to show: one in grey or three as RGB; any number of lines for signals. None
            shows all of them, which needs one or three for images.

        value_range : tuple of float (low, high), default=None
            Values shown as black and as white, or the limits of the lines. None takes the range
            of the samples for images; what lies outside is clipped.

        im_kw : dict, default=None
            Arguments of matplotlib's ``imshow``, such as ``{"cmap": "viridis"}``.

        line_kw : dict, default=None
            Arguments of matplotlib's ``plot`` for the lines of signals.

        scatter_kw : dict, default=None
            Arguments of matplotlib's ``scatter`` for the codes.

        Returns
        -------
        display : TrainingDisplay
            The object itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        epochs = self._epochs(kind, epochs)
        if kind == "codes":
            self._plot_codes(epochs, ax, scatter_kw)
        else:
            self._plot_reconstructions(epochs, ax, channels, value_range, im_kw, line_kw)
        self.figure_ = self.ax_.figure
        if ax is None:
            fit_figure(self.ax_)
        return self

    def animate(self, *, kind="reconstructions", interval=500, **plot_kw):
        """Draw all epochs, one after the other.

        Parameters
        ----------
        kind : {"reconstructions", "codes"}, default="reconstructions"
            What is drawn.

        interval : int, default=500
            Milliseconds from one epoch to the next. The last one is shown for longer.

        **plot_kw : dict
            Other arguments of :meth:`plot`, but `epochs`.

        Returns
        -------
        animation : matplotlib FuncAnimation
            ``animation.save("epochs.gif", writer="pillow")`` writes it, and in a notebook
            ``IPython.display.HTML(animation.to_jshtml())`` shows it.
        """
        check_matplotlib_support(f"{type(self).__name__}.animate")
        from matplotlib.animation import FuncAnimation

        last = len(self.reconstructions) - 1
        self.plot(kind=kind, epochs=[0], **plot_kw)  # which has the longest label
        plot_kw |= {"ax": self.ax_}

        def draw(epoch):
            self.ax_.clear()
            self.plot(kind=kind, epochs=[epoch], **plot_kw)

        frames = [*range(last + 1), *[last] * REST]
        return FuncAnimation(
            self.figure_, draw, frames=frames, init_func=lambda: None, interval=interval
        )

    def _epochs(self, kind, epochs):
        if kind not in ("reconstructions", "codes"):
            raise ValueError(f"kind={kind!r} is unknown; choose 'reconstructions' or 'codes'.")
        last = len(self.reconstructions) - 1
        if epochs is None:
            between = np.geomspace(1, max(last, 1), N_EPOCHS).round().astype(int)
            epochs = {0, last} if kind == "codes" else {0, *between.tolist()}
            epochs = sorted(epoch for epoch in epochs if epoch <= last)
        wrong = [epoch for epoch in np.atleast_1d(epochs) if not 0 <= epoch <= last]
        if wrong:
            raise ValueError(
                f"epochs has {wrong[0]}, but the training has epochs 0, before it, to {last}."
            )
        return np.atleast_1d(epochs).tolist()

    def _plot_reconstructions(self, epochs, ax, channels, value_range, im_kw, line_kw):
        images = [self.samples, *(self.reconstructions[epoch] for epoch in epochs)]
        panels = np.stack([as_panels(x, self.channel_axis, channels) for x in images])
        truth, first = panels[0], panels[0, 0]
        rows = ["original", *map(_name, epochs)]
        names = names_of_channels(first, self.channel_names, channels)
        self.ax_, self.axes_ = make_grid(ax, rows, len(truth), first)
        values = values_of(panels[:1], value_range)
        draw_panels(self.axes_[:1], panels[:1], values, im_kw, line_kw)
        draw_panels(self.axes_[1:], panels[1:], values, im_kw, line_kw, behind=truth)
        self.legend_ = channel_legend(self.ax_, names)

    def _plot_codes(self, epochs, ax, scatter_kw):
        points = self._points()
        self.ax_, self.axes_ = make_grid(ax, [""], len(epochs), np.empty((1, 1, 1)), LARGEST_CODES)
        for inner, epoch in zip(self.axes_[0], epochs, strict=True):
            latent = LatentDisplay(points[epoch], y=self.y, target_names=self.target_names)
            latent.plot(ax=inner, scatter_kw=scatter_kw)
            inner.set(xticks=[], yticks=[], xlabel="", ylabel="")
            inner.set_title(_name(epoch), fontsize="medium")
            self.legend_ = latent.legend_
            if latent.legend_ is not None and epoch != epochs[-1]:
                latent.legend_.remove()

    def _points(self):
        """Codes in two dimensions, in those of the last epoch where there are more."""
        codes = np.asarray(self.codes)
        if codes.shape[-1] == 2:
            return codes
        if codes.shape[-1] == 1:
            raise ValueError(
                "the codes have one value, but a scatter plot needs two or more; fit an "
                "autoencoder with n_components of at least 2."
            )
        pca = PCA(n_components=2, svd_solver="full").fit(codes[-1])
        return np.stack([pca.transform(Z) for Z in codes])

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        X_test=None,
        y_test=None,
        n_images=None,
        target_names=None,
        channel_names=None,
        **plot_kw,
    ):
        """Train a copy of an estimator, and draw what it gives back after some epochs.

        Parameters
        ----------
        estimator : estimator instance
            An autoencoder, or a Pipeline with one as its last step, fitted or not. Its copy, then
            trained, is `estimator_`.

        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images to train on.

        y : array-like of shape (n_samples,), default=None
            Labels, which a conditional autoencoder learns, and colours of the codes.

        X_test : array-like of shape (n_test, n_features) or (n_test, *input_shape), default=None
            Samples whose codes are kept and of which the first are reconstructed. None takes the
            first 1000 of `X`.

        y_test : array-like of shape (n_test,), default=None
            Classes or values of `X_test`, for the colours of the codes.

        n_images : int, default=None
            Number of samples to reconstruct, from the first on. None is 10, or 4 of signals.

        target_names : sequence of str, default=None
            Names of the sorted classes, for the legend.

        channel_names : sequence of str, default=None
            Names of the channels of signals. None takes what the feature names of each channel
            begin with, or numbers them.

        **plot_kw : dict
            Arguments of :meth:`plot`.

        Returns
        -------
        display : TrainingDisplay
            What was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if X_test is None:
            X_test, y_test = X[:N_CODES], None if y is None else y[:N_CODES]
        check_consistent_length(X_test, y_test)
        copied = clone(estimator)
        steps, autoencoder = _steps(copied)
        for step in steps:
            X = step.fit_transform(X, y)
        log = _train_recorded(autoencoder, X, y, apply_steps(steps, X_test), n_images)
        shape = autoencoder.input_shape_
        codes, images = (np.stack(arrays) for arrays in zip(*log, strict=True))
        images = [fold("X_hat", undo_steps(steps, x), shape) for x in images]
        display = cls(
            fold("X_test", X_test[: len(images[0])], shape),
            np.stack(images),
            codes,
            y=y_test,
            target_names=target_names,
            channel_axis=autoencoder.channel_axis,
            channel_names=channel_names or feature_channels(autoencoder),
        )
        display.estimator_ = copied
        return display.plot(**plot_kw)


def _name(epoch):
    return f"epoch {epoch}" if epoch else "before training"


def _steps(estimator):
    """The steps before an autoencoder, not yet fitted, and itself."""
    steps, last = [], estimator
    while hasattr(last, "steps"):
        steps += [step for _, step in last.steps[:-1] if step not in (None, "passthrough")]
        last = last.steps[-1][1]
    if not hasattr(last, "max_epochs") or not hasattr(last, "net_params"):
        raise TypeError(
            f"{type(last).__name__} is not an autoencoder of this package; pass one, or a "
            f"Pipeline with one as its last step; of a search its best_estimator_."
        )
    return steps, last


def _train_recorded(autoencoder, X, y, X_test, n_images):
    """Pairs of codes and reconstructions, before training and after each epoch."""
    given, log = autoencoder.net_params, _Log(X_test, n_images)
    callbacks = (given or {}).get("callbacks")
    try:
        autoencoder.set_params(net__callbacks=[*(callbacks or ()), ("recorder", _Recorder(log))])
        autoencoder.fit(X, y)
    finally:
        autoencoder.net_params, log.X = given, None
    autoencoder.net_.callbacks = callbacks
    return log.records


class _Log:
    """What a training wrote. The copies of a callback that estimators make share it."""

    def __init__(self, X, n_images):
        self.X, self.n_images, self.records, self.net = X, n_images, [], None

    def __deepcopy__(self, memo):
        return self


class _Recorder(Callback):
    """Writes codes and reconstructions to a log, those of the net that is trained first.

    Others are those of the folds of a calibration.
    """

    def __init__(self, log):
        self.log = log

    def on_train_begin(self, net, **kwargs):
        if not self.log.records:
            self.log.net = net
        self.on_epoch_end(net)

    def on_epoch_end(self, net, **kwargs):
        log = self.log
        if net is not log.net:
            return
        images, layout = np.asarray(log.X), net.layout
        n_images = check_n_images(log.n_images, layout.shape, layout.channel_axis)
        first = net.predict(images[:n_images])  # which checks their shape
        log.records.append((net.encode(images.reshape(len(images), -1)), first))

    def on_train_end(self, net, **kwargs):
        if net is self.log.net:
            self.log.net = None
