"""What an autoencoder does as an outlier detector: scores, calibrated alarms, maps of where."""

from numbers import Real

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted

from ._calibration import Calibration
from ._data._stored import take_rows
from ._private import check_sample_weight
from ._thresholds import FALSE_ALARM_RATE, check_rate, expected_threshold


class Detector(OutlierMixin):
    """The methods of outlier detection; the base has the data and the net."""

    def fit_predict(self, X, y=None, **kwargs):
        """Fit on `X` and tell its outliers: -1 outlier, +1 inlier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : Ignored
            Present for API consistency.
        **kwargs : dict
            Passed to `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers, +1 for inliers.
        """
        return self.fit(X, y, **kwargs).predict(X)

    def score_samples(self, X):
        """Compute how normal each sample is, by `anomaly_score`; higher is more normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            The negative of `anomaly_score`, in its units. It does not depend on the other rows.
        """
        check_is_fitted(self)
        return -self.net_.anomaly_scores(self._validate(X)[0])

    def score(self, X, y=None, sample_weight=None):
        """Average minus the loss, which a grid search maximizes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : Ignored
            Present for API consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean.

        Returns
        -------
        score : float
            Negative mean loss, whatever the `anomaly_score`, in the units of `X` (squared, for
            the squared error; nats, for cross-entropy and likelihoods).
        """
        check_is_fitted(self)
        return self._average(-self.net_.losses(self._validate(X)[0]), sample_weight)

    def _average(self, scores, sample_weight):
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, scores)
        return float(np.average(scores, weights=sample_weight))

    def decision_function(self, X):
        """Compute ``score_samples`` minus `offset_`; negative for outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.

        Returns
        -------
        decision : ndarray of shape (n_samples,), float64
            Shifted scores.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X, false_alarm_rate=None, false_discovery_rate=None):
        """Tell outliers from inliers: by `offset_`, or at a rate that you ask for.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        false_alarm_rate : float in (0, 1), default=None
            Share of normal samples that may be called outliers: those with
            ``p_values(X) <= false_alarm_rate`` are. Needs `calibration`, or `recalibrate`.
        false_discovery_rate : float in (0, 1), default=None
            Share of the outliers found in this `X` that may be normal, by the procedure of
            Benjamini and Hochberg (1995). The label of a row then depends on the other rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers, +1 for inliers.
        """
        rates = false_alarm_rate, false_discovery_rate
        if rates == (None, None):
            return np.where(self.decision_function(X) < 0, -1, 1)
        if None not in rates:
            raise ValueError("pass false_alarm_rate or false_discovery_rate, not both.")
        calibration = self._check_calibrated()
        return np.where(calibration.alarms(self._validate(X)[0], *rates), -1, 1)

    def threshold(self, false_alarm_rate=FALSE_ALARM_RATE):
        """Find the score below which so many of the normal samples to come are expected.

        ``score_samples(X) < threshold(0.01)`` calls one normal sample in a hundred an outlier.
        With the default rate and ``contamination="auto"`` it is `offset_`.

        Parameters
        ----------
        false_alarm_rate : float in (0, 1), default=0.05
            Share of normal samples that may be called outliers.

        Returns
        -------
        threshold : float
            In the units of `score_samples`; it rises with the rate. Of the `n` scores of the
            calibration it is the quantile at the rank ``false_alarm_rate * (n + 1)``
            (Weibull's), and never below the lowest of them. Without one, of those that `fit`
            expects of new samples, it is the same if ``n * false_alarm_rate`` is at least 20.
            The tail of fewer holds next to none of them; so with the anomaly scores `s`, the
            negative ones, and ``y = log(s - a)``, ``a = min(s) - std(s)``, it is the limit of
            prediction of a log-normal distribution, ``-(a + exp(mean(y) + t * std(y) *
            sqrt(1 + 1 / n)))``, where `t` is that quantile of Student's distribution with
            ``n - 1`` degrees of freedom. Of fewer than 10 it is the quantile.
        """
        check_is_fitted(self)
        check_rate("false_alarm_rate", false_alarm_rate)
        if getattr(self, "expected_scores_", None) is None:
            cure = "fit it with contamination='auto', or"
            return self._threshold(self._check_calibrated(cure).scores, false_alarm_rate)
        return self._threshold(self.expected_scores_, false_alarm_rate, expected_threshold)

    def p_values(self, X):
        """Compute conformal p-values: small for outliers, uniform for normal samples.

        The p-value of a sample is the share of normal samples, on which the network was not
        trained, that are more unusual, and a random part of those that are equally unusual,
        itself among them: ``(n_above + u * (1 + n_equal)) / (1 + n)`` with `u` in (0, 1], which
        follows from the values of the sample. If the sample is normal, it is at most `a` with
        the probability `a` [1]_ [3]_; with folds, nearly so [2]_. A rate below ``1 / (n + 1)``
        can be kept, but then of the most unusual samples only a part is found.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.

        Returns
        -------
        p : ndarray of shape (n_samples,), float64
            In (0, 1].

        References
        ----------
        .. [1] Bates, S., Candes, E., Lei, L., Romano, Y. and Sesia, M. (2023). Testing for
           outliers with conformal p-values. Annals of Statistics 51, 149-178.
        .. [2] Vovk, V. (2015). Cross-conformal predictors. Annals of Mathematics and Artificial
           Intelligence 74, 9-28.
        .. [3] Vovk, V., Gammerman, A. and Shafer, G. (2005). Algorithmic learning in a random
           world. Springer. The smoothed conformal predictor.
        """
        return self._check_calibrated().p_values(self._validate(X)[0])

    def recalibrate(self, X):
        """Calibrate on other normal data, without training.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Normal samples on which the estimator was not fitted. They take the place of those
            held out in `fit`, and the same rows are left out as there.

        Returns
        -------
        self : object
            The estimator, its p-values renewed, and with ``contamination="auto"`` `offset_` too.

        Raises
        ------
        ValueError
            If no row is left.
        """
        check_is_fitted(self)
        rows = self._validate(X)[0]
        kept = self._leave_out(rows, None, self.net_.layout, self.net_)
        if kept is not None and not len(kept):
            raise ValueError(
                "no row of X is left to calibrate on, for a few values in each are far from all "
                "that were seen in fit; pass normal samples."
            )
        rows = take_rows(rows, kept)
        self._warn_few(rows, self.net_.layout, self.net_.scaling)
        scores = self.net_.anomaly_scores(rows)
        self.calibration_ = Calibration([(self.net_, scores)], self.net_.seed)
        self.expected_scores_ = None
        if self.contamination == "auto":
            self.offset_ = self._threshold(scores)
        return self

    def drift_test(self, X):
        """Test whether a batch is like the data of the calibration.

        A two-sample Kolmogorov-Smirnov test of the scores.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            The new batch.

        Returns
        -------
        statistic : float
            The largest distance between the two distribution functions, in [0, 1].
        p_value : float
            Probability of such a distance, or a larger one, without drift.
        """
        return self._check_calibrated().drift(self._validate(X)[0])

    def anomaly_map(self, X, standardize=True, sigma=1.0):
        """Show where a sample is unusual: the error of each of its values, smoothed.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        standardize : bool, default=True
            Whether to compare each value with its errors over the training data: over the root
            of their mean square plus the mean of that over all values, so that constant values
            do not stand out for noise. False gives the loss of each value, in the units of `X`
            (squared, for the squared error).
        sigma : float, default=1.0
            Width of the normal distribution that smooths the map along all axes but that of the
            channels, in values: what is unusual seldom fills just one. 0 does not smooth.

        Returns
        -------
        errors : ndarray of the shape of `X`, float32
            Higher is more unusual. Of variational autoencoders, and of losses that have no
            value for each value of a sample, it is the squared error.
        """
        check_is_fitted(self)
        if not isinstance(sigma, Real) or not 0 <= sigma < np.inf:
            raise ValueError(f"sigma={sigma!r} is no width; pass a number from 0 on.")
        rows, image_shape = self._validate(X)
        errors = self.net_.error_map(rows, standardize)
        errors = errors.reshape(-1, *self.input_shape_)
        widths, channels = [0, *[sigma] * len(self.input_shape_)], self.net_.layout.channel_axis
        if channels is not None:
            widths[1 + channels] = 0
        return self._shaped(gaussian_filter(errors, widths).reshape(rows.shape), image_shape)

    def _check_calibrated(self, cure="fit it"):
        check_is_fitted(self)
        if getattr(self, "calibration_", None) is None:
            raise ValueError(
                f"{type(self).__name__} is not calibrated; {cure} with calibration=0.2 (the share "
                f"of X to hold out) or calibration=5 (folds), or call recalibrate with normal "
                f"data."
            )
        return self.calibration_
