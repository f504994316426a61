"""Scores of samples, and the threshold below which they are outliers."""

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d

from .._private import check_matplotlib_support
from .._thresholds import expected_threshold, threshold
from ._common import PALETTE, class_names, fitted_autoencoder, new_axes

# Shares of normal samples that the upper axis names, the least distance between two of them as a
# share of its length, and how many interquartile ranges of normal scores are drawn below them.
RATES, LEAST_DISTANCE, N_RANGES = (0.5, 0.1, 0.01, 0.001), 0.09, 8
# The share of a figure's width, or of a column of axes, that a legend of two columns may take.
TWO_COLUMNS = 0.9


class ScoreDisplay:
    """Histograms of scores, with the threshold below which samples are outliers.

    Beside the scores of some samples, by class where their classes are known, stand those that are
    expected of new normal samples. An axis above tells which share of these is below a score, the
    rate of false alarms of a threshold there; of a calibrated estimator it is the p-value. What
    lies far below the scores of normal samples is drawn in the first bin.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        What `score_samples` returns; higher is more normal.

    y : array-like of shape (n_samples,), default=None
        Classes of the samples. None: they are one class, "new".

    expected_scores : array-like, default=None
        Scores of normal samples on which the estimator was not trained. None: not known.

    threshold : float, default=None
        Scores below are those of outliers. None draws none.

    target_names : sequence of str, default=None
        Names of the sorted classes, for the legend.

    calibrated : bool, default=False
        Whether `expected_scores` are those of a calibration, so that their shares are p-values.

    Attributes
    ----------
    histograms_ : list of matplotlib StepPatch
        One for each class, and first that of `expected_scores` where there are such.

    threshold_line_ : matplotlib Line2D or None
        The threshold.

    rate_axis_ : matplotlib SecondaryAxis or None
        The upper axis.

    legend_ : matplotlib Legend
        The legend, with the share of each class that is below the threshold: its alarms.

    ax_ : matplotlib Axes
        The axes.

    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    AnomalyMapDisplay : Where samples are unusual.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skcae import ConvAutoencoder
    >>> from skcae.plots import ScoreDisplay
    >>> X, y = load_digits(n_class=4, return_X_y=True)
    >>> X = X.reshape(-1, 8, 8)
    >>> ae = ConvAutoencoder(max_epochs=2, random_state=0).fit(X[y > 0][:200])
    >>> ScoreDisplay.from_estimator(ae, X, y == 0, target_names=["normal", "zero"])
    <...>
    >>> plt.close("all")
    """

    def __init__(
        self,
        scores,
        *,
        y=None,
        expected_scores=None,
        threshold=None,
        target_names=None,
        calibrated=False,
    ):
        self.scores = scores
        self.y = y
        self.expected_scores = expected_scores
        self.threshold = threshold
        self.target_names = target_names
        self.calibrated = calibrated

    def plot(self, *, ax=None, bins=40):
        """Draw the histograms.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        bins : int, default=40
            Number of bins.

        Returns
        -------
        display : ScoreDisplay
            The object itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        if bins < 1:
            raise ValueError(f"bins={bins!r} leaves nothing to draw; pass 1 or more.")
        classes, expected = self._classes(), self._expected()
        edges = self._edges(bins)
        self.ax_ = new_axes((5.5, 4.2)) if ax is None else ax
        self.figure_ = self.ax_.figure
        self.histograms_, self.threshold_line_, self.rate_axis_ = [], None, None
        if expected is not None:
            self._draw(expected, edges, "normal, expected", color="0.25", fill=False, zorder=3)
        for (name, scores), colour in zip(classes.items(), _colours(len(classes)), strict=True):
            self._draw(scores, edges, name, color=colour, fill=True, alpha=0.6)
        if self.threshold is not None:
            self.threshold_line_ = self.ax_.axvline(
                self.threshold, color="black", linestyle="--", linewidth=1, label="threshold"
            )
        lowest = min(np.min(x) for x in (self.scores, edges if expected is None else expected))
        label = "Score (the first bin holds all below)" if lowest < edges[0] else "Score"
        self.ax_.set(xlabel=label, ylabel="Share of samples", xlim=edges[[0, -1]])
        self.legend_ = self._name_histograms()
        if expected is not None:
            self.rate_axis_ = self._draw_rates(expected, edges)
        return self

    def _draw(self, scores, edges, name, **style):
        """The share of some scores in each bin; scores beyond are in the first and the last."""
        counts, _ = np.histogram(np.clip(scores, edges[0], edges[-1]), edges)
        if self.threshold is not None:
            name = f"{name}: {_percent(np.mean(scores < self.threshold))} alarms"
        self.histograms_.append(self.ax_.stairs(counts / len(scores), edges, label=name, **style))

    def _name_histograms(self):
        """A legend below the axes, where it hides nothing, of two columns if there is room."""
        place = self.ax_.get_subplotspec()
        share = 1 if place is None else len(place.colspan) / place.get_gridspec().ncols
        room = share * TWO_COLUMNS * self.figure_.bbox.width  # of a subfigure, too
        for n_columns in 2, 1:
            legend = self.ax_.legend(
                loc="upper center",
                bbox_to_anchor=(0.5, 0.0),
                borderaxespad=3.6,  # ems, for the ticks and the label
                ncols=n_columns,
                frameon=False,
            )
            if legend.get_window_extent().width <= room:
                break
        return legend

    def _draw_rates(self, expected, edges):
        rates = [rate for rate in RATES if rate * (len(expected) + 1) >= 1]
        place_of = threshold if self.calibrated else expected_threshold
        places, labels = [], []
        for rate in rates:
            place = place_of(-expected, rate)
            distances = np.abs(np.subtract(places, place)) / (edges[-1] - edges[0])
            if edges[0] <= place <= edges[-1] and (distances >= LEAST_DISTANCE).all():
                places.append(place)
                labels.append(f"{rate:g}")
        axis = self.ax_.secondary_xaxis("top")
        axis.set_xticks(places, labels)
        axis.set_xlabel("p-value" if self.calibrated else "Share of normal samples below")
        return axis

    def _expected(self):
        expected = self.expected_scores
        return None if expected is None else _check_scores("expected_scores", expected)

    def _classes(self):
        """Scores by the name of their class."""
        scores = _check_scores("scores", self.scores)
        if self.y is None:
            return {"new": scores}
        classes, index = np.unique(np.asarray(self.y), return_inverse=True)
        names = class_names(classes, self.target_names)
        return {name: scores[index == i] for i, name in enumerate(names)}

    def _edges(self, bins):
        """Bins for the scores, but for those very far below normal ones."""
        scores, expected = np.asarray(self.scores, float), self._expected()
        normal = scores if expected is None else expected
        shown = np.concatenate([scores, () if expected is None else expected])
        shown = shown[np.isfinite(shown)]
        if self.threshold is not None:
            shown = np.append(shown, self.threshold)
        first, third = np.quantile(normal[np.isfinite(normal)], [0.25, 0.75])
        low, high = first - N_RANGES * (third - first), shown.max()
        if self.threshold is not None:
            low = min(low, self.threshold - 0.05 * (high - self.threshold))
        low = max(low, shown.min())
        return np.linspace(low, high if high > low else low + 1.0, bins + 1)

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, false_alarm_rate=None, target_names=None, ax=None, bins=40
    ):
        """Score `X` and draw the scores beside those expected of normal samples.

        Parameters
        ----------
        estimator : estimator instance
            A fitted autoencoder, or a fitted Pipeline or search with one as its last step.

        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.

        y : array-like of shape (n_samples,), default=None
            Classes of the samples, such as whether each is an anomaly.

        false_alarm_rate : float in (0, 1), default=None
            Rate of the threshold, as in `threshold` of the estimator. None draws `offset_`.

        target_names : sequence of str, default=None
            Names of the sorted classes, for the legend.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        bins : int, default=40
            Number of bins.

        Returns
        -------
        display : ScoreDisplay
            What was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        autoencoder = fitted_autoencoder(estimator)
        threshold = autoencoder.offset_
        if false_alarm_rate is not None:
            threshold = autoencoder.threshold(false_alarm_rate)
        expected, calibrated = _expected_scores(autoencoder)
        return cls.from_predictions(
            estimator.score_samples(X),
            y,
            expected_scores=expected,
            threshold=threshold,
            target_names=target_names,
            calibrated=calibrated,
            ax=ax,
            bins=bins,
        )

    @classmethod
    def from_predictions(
        cls,
        scores,
        y=None,
        *,
        expected_scores=None,
        threshold=None,
        target_names=None,
        calibrated=False,
        ax=None,
        bins=40,
    ):
        """Draw scores, of any detector for which higher is more normal.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            What `score_samples` returns.

        y : array-like of shape (n_samples,), default=None
            Classes of the samples.

        expected_scores : array-like, default=None
            Scores of normal samples on which the detector was not trained.

        threshold : float, default=None
            Scores below are those of outliers.

        target_names : sequence of str, default=None
            Names of the sorted classes, for the legend.

        calibrated : bool, default=False
            Whether shares of `expected_scores` are p-values.

        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        bins : int, default=40
            Number of bins.

        Returns
        -------
        display : ScoreDisplay
            What was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        check_consistent_length(scores, y)
        display = cls(
            scores,
            y=y,
            expected_scores=expected_scores,
            threshold=threshold,
            target_names=target_names,
            calibrated=calibrated,
        )
        return display.plot(ax=ax, bins=bins)


def _check_scores(name, scores):
    """An array of numbers, one at least of them finite."""
    scores = column_or_1d(scores, dtype=float)
    if np.isnan(scores).any() or not np.isfinite(scores).any():
        raise ValueError(
            f"{name} contains NaN, or nothing that is finite; pass what score_samples returns."
        )
    return scores


def _expected_scores(autoencoder):
    """Scores expected of new normal samples, or None, and whether they are a calibration's."""
    calibration = getattr(autoencoder, "calibration_", None)
    if calibration is not None:
        return -calibration.scores, True
    expected = getattr(autoencoder, "expected_scores_", None)
    return None if expected is None else -expected, False


def _colours(n_classes):
    return [PALETTE[i % len(PALETTE)] for i in range(n_classes)]


def _percent(share):
    return f"{100 * share:.{1 if 0 < share < 0.0995 else 0}f} %"
