"""Calibration on data that was not trained on: conformal p-values, and drift."""

import numpy as np
from scipy.stats import false_discovery_control, ks_2samp


class Calibration:
    """How unusual samples are that a net has not seen in training.

    Parameters
    ----------
    parts : list of (net, ndarray)
        A net, and how unusual it finds normal samples that it was not trained on. One part is
        split-conformal; several, whose samples are disjoint, are cross-conformal.
    """

    def __init__(self, parts):
        self.parts = [(net, np.sort(unusual)) for net, unusual in parts]
        self.n_samples = sum(len(unusual) for _, unusual in parts)

    def p_values(self, X):
        """Share of normal samples that are at least as unusual, each row itself included."""
        above = sum(
            len(known) - np.searchsorted(known, net.unusual(X), side="left")
            for net, known in self.parts
        )
        return (1 + above) / (1 + self.n_samples)

    def drift(self, X):
        """Two-sample Kolmogorov-Smirnov test; over several parts by Bonferroni's inequality."""
        tests = [ks_2samp(known, net.unusual(X)) for net, known in self.parts]
        strongest = min(tests, key=lambda test: test.pvalue)
        return float(strongest.statistic), float(min(1.0, len(tests) * strongest.pvalue))

    def alarms(self, X, false_alarm_rate=None, false_discovery_rate=None):
        """Which rows are outliers at a rate of false alarms, or of false discoveries."""
        if false_discovery_rate is None:
            self._check_rate("false_alarm_rate", false_alarm_rate)
            return self.p_values(X) <= false_alarm_rate
        self._check_rate("false_discovery_rate", false_discovery_rate)
        return false_discovery_control(self.p_values(X)) <= false_discovery_rate

    def _check_rate(self, name, rate):
        if not 0 < rate < 1:
            raise ValueError(f"{name}={rate!r} is no rate; pass a number between 0 and 1.")
        needed = int(np.ceil(round(1 / rate, 9))) - 1
        if self.n_samples < needed:
            raise ValueError(
                f"{name}={rate!r} needs at least {needed} samples to calibrate on, but there are "
                f"{self.n_samples}; pass a higher rate, or call recalibrate with more data."
            )


def splits(calibration, n_samples, rng):
    """Pairs of indices, to train on and to calibrate on: one, or one for each fold."""
    if calibration is None:
        return []
    order = rng.permutation(n_samples)
    if isinstance(calibration, float):
        held = [order[: max(1, round(calibration * n_samples))]]
    else:
        held = np.array_split(order, calibration)
    pairs = [(np.sort(np.setdiff1d(order, part)), np.sort(part)) for part in held]
    if any(len(train) == 0 or len(part) == 0 for train, part in pairs):
        raise ValueError(
            f"calibration={calibration!r} leaves nothing to train on, or to calibrate on, of "
            f"{n_samples} samples; pass more samples, or another value."
        )
    return pairs
