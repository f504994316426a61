"""Calibration on data that was not trained on: conformal p-values, drift, and the fence."""

from hashlib import blake2b
from numbers import Integral, Real

import numpy as np
from scipy.stats import false_discovery_control, ks_2samp

from ._net._distributed import broadcast
from ._parameters import draw_seed

# P-values are multiples of one number, and often equal the rate that is asked for.
ROUNDING = 1e-12


class Calibration:
    """How unusual samples are that a net has not seen in training.

    Parameters
    ----------
    parts : list of (net, ndarray)
        A net, and its anomaly scores of normal samples that it was not trained on. One part is
        split-conformal; several, whose samples are disjoint, are cross-conformal.
    """

    def __init__(self, parts):
        self.parts = [(net, np.sort(scores)) for net, scores in parts]
        self.n_samples = sum(len(scores) for _, scores in parts)

    def p_values(self, X):
        """Share of normal samples that are at least as abnormal, each row itself included."""
        above = sum(
            len(known) - np.searchsorted(known, net.anomaly_scores(X), side="left")
            for net, known in self.parts
        )
        return (1 + above) / (1 + self.n_samples)

    def drift(self, X):
        """Two-sample Kolmogorov-Smirnov test; over several parts by Bonferroni's inequality."""
        tests = [ks_2samp(known, net.anomaly_scores(X)) for net, known in self.parts]
        strongest = min(tests, key=lambda test: test.pvalue)
        return float(strongest.statistic), float(min(1.0, len(tests) * strongest.pvalue))

    def alarms(self, X, false_alarm_rate=None, false_discovery_rate=None):
        """Which rows are outliers at a rate of false alarms, or of false discoveries."""
        if false_discovery_rate is None:
            self._check_rate("false_alarm_rate", false_alarm_rate)
            return self.p_values(X) <= false_alarm_rate + ROUNDING
        self._check_rate("false_discovery_rate", false_discovery_rate)
        return false_discovery_control(self.p_values(X)) <= false_discovery_rate + ROUNDING

    def _check_rate(self, name, rate):
        if not isinstance(rate, Real) or not 1e-9 < rate < 1:
            raise ValueError(f"{name}={rate!r} is no rate; pass a number between 0 and 1.")
        needed = int(np.ceil(round(1 / rate, 9))) - 1
        if self.n_samples < needed:
            raise ValueError(
                f"{name}={rate!r} needs at least {needed} samples to calibrate on, but there are "
                f"{self.n_samples}; pass a higher rate, or call recalibrate with more data."
            )


def splits(calibration, X, random_state):
    """Pairs of indices, to train on and to calibrate on: one, or one for each fold."""
    n = len(X)
    if isinstance(calibration, Integral):
        rng = np.random.default_rng(broadcast(draw_seed(random_state)))
        held = np.array_split(rng.permutation(n), calibration)
    else:
        held = [np.flatnonzero(_uniform(X, random_state) < calibration)]
    pairs = [(np.setdiff1d(np.arange(n), part), np.sort(part)) for part in held]
    if any(len(train) == 0 or len(part) == 0 for train, part in pairs):
        raise ValueError(
            f"calibration={calibration!r} leaves nothing to train on, or to calibrate on, of "
            f"{n} samples; pass more samples, or another value."
        )
    return pairs


def _uniform(X, random_state):
    """A number in [0, 1) for each row, which is the same in every call.

    So a row that was held out once is never trained on, in ``partial_fit`` or a warm start.
    """
    seed = random_state if isinstance(random_state, Integral) else 0
    key = int(seed).to_bytes(8, "little")
    hashes = [blake2b((np.asarray(x, float) + 0.0).tobytes(), digest_size=8, key=key) for x in X]
    return np.array([int.from_bytes(h.digest(), "little") for h in hashes]) / 2**64


def fence(scores):
    """1.5 interquartile ranges below the lower quartile (Tukey, 1977)."""
    low, high = np.percentile(scores, [25, 75])
    return float(low - 1.5 * (high - low))
