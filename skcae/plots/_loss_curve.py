"""Losses over the epochs."""

import numpy as np

from .._private import check_matplotlib_support
from ._common import fitted_autoencoder, line_style, new_axes


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
    >>> X = load_digits().images[:200]
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

        self.ax_ = new_axes((5.0, 3.5)) if ax is None else ax
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
        (line,) = self.ax_.plot(epochs, losses, **line_style(style, line_kw))
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
        autoencoder = fitted_autoencoder(estimator)
        history = autoencoder.history_  # has the epochs of the validation losses
        validation = history["valid_loss"].to_numpy() if "valid_loss" in history else None
        display = cls(
            np.asarray(autoencoder.loss_curve_),
            validation,
            loss_name=_loss_name(autoencoder),
            name=name,
        )
        return display.plot(ax=ax, log_scale=log_scale, line_kw=line_kw)


def _loss_name(autoencoder):
    """What a loss is; of a variational autoencoder it is minus a bound of the log-likelihood."""
    loss = getattr(autoencoder, "loss", "nats")
    return loss.replace("_", " ") if isinstance(loss, str) else None
