"""Calibration on data that was not trained on: conformal p-values, and drift."""

from collections import Counter
from hashlib import blake2b
from numbers import Integral

import numpy as np
from scipy.stats import false_discovery_control, ks_2samp

from ._data._repeats import runs_of, split
from ._net._distributed import broadcast
from ._parameters import draw_seed
from ._thresholds import check_rate

# Scores that are kept of a stream.
N_STREAMED = 1000


class Calibration:
    """How unusual samples are that a net has not seen in training.

    Parameters
    ----------
    parts : list of (net, ndarray)
        A net, and its anomaly scores of normal samples that it was not trained on. One part is
        split-conformal; several, whose samples are disjoint, are cross-conformal.
    seed : int
        Of what decides between equal scores.
    earlier : Calibration, default=None
        Of the chunks of a stream before this one, whose newest scores count as well.
    """

    def __init__(self, parts, seed=0, earlier=None):
        if earlier is not None:
            [(net, new)] = parts
            new = np.concatenate([earlier.newest, new])[-N_STREAMED:]
            parts = [(net, new)]
        self.newest = parts[0][1][-N_STREAMED:]
        self.parts = [(net, np.sort(scores)) for net, scores in parts]
        self.n_samples = sum(len(scores) for _, scores in parts)
        self.seed = seed

    @property
    def scores(self):
        """The anomaly scores of all samples."""
        return np.concatenate([scores for _, scores in self.parts])

    def p_values(self, X):
        """Share of normal samples that are more abnormal, and a random part of the equal ones.

        Each row itself is among the latter.
        """
        above, equal = 0, 1
        for net, known in self.parts:
            scores = net.anomaly_scores(X)
            first, last = (np.searchsorted(known, scores, side) for side in ("left", "right"))
            above, equal = above + len(known) - last, equal + last - first
        u = 1 - uniform(X, self.seed, b"p")
        return (above + u * equal) / (1 + self.n_samples)

    def drift(self, X):
        """Two-sample Kolmogorov-Smirnov test; over several parts by Bonferroni's inequality."""
        tests = [ks_2samp(known, net.anomaly_scores(X)) for net, known in self.parts]
        strongest = min(tests, key=lambda test: test.pvalue)
        return float(strongest.statistic), float(min(1.0, len(tests) * strongest.pvalue))

    def alarms(self, X, false_alarm_rate=None, false_discovery_rate=None):
        """Which rows are outliers at a rate of false alarms, or of false discoveries."""
        if false_discovery_rate is None:
            check_rate("false_alarm_rate", false_alarm_rate)
            return self.p_values(X) <= false_alarm_rate
        check_rate("false_discovery_rate", false_discovery_rate)
        return false_discovery_control(self.p_values(X)) <= false_discovery_rate


def splits(calibration, X, random_state, streaming=None):
    """Pairs of indices, to train on and to calibrate on: one, or one for each fold.

    ``streaming`` is None for a fit, False for the first chunk of a stream and True for a later
    one, of which alone a part may have no row. A share of a chunk is held out by the values of
    each row alone, the same in every call; that of a fit in whole runs, as their first rows are.
    """
    n = len(X)
    if isinstance(calibration, Integral):
        rng = np.random.default_rng(broadcast(draw_seed(random_state)))
        held = split(X, calibration, rng.permutation)
    else:
        seed = random_state if isinstance(random_state, Integral) else 0
        numbers = uniform(X, seed, b"s", count=True)
        if streaming is None and (runs := runs_of(X)) is not None:
            numbers = numbers[np.unique(runs, return_index=True)[1]][runs]
        if n > 1 and not streaming:  # one row for each, of few
            numbers[numbers == numbers.min()] = 0
            numbers[numbers == numbers.max()] = 1
        held = [np.flatnonzero(numbers < calibration)]
    pairs = [(np.setdiff1d(np.arange(n), part), part) for part in held]
    if not streaming and any(len(train) == 0 or len(part) == 0 for train, part in pairs):
        raise ValueError(
            f"calibration={calibration!r} leaves nothing to train on, or to calibrate on, of "
            f"{n} samples; pass more samples, or another value."
        )
    return pairs


def uniform(X, seed, purpose, count=False):
    """A number in [0, 1) for each row that follows from its values, the same in every call.

    With ``count`` also from how many equal rows came before it in `X`. So a row that was held out
    once is never trained on, in ``partial_fit`` or a warm start, and equal rows are parted at
    random like others.
    """
    key, seen = int(seed % 2**64).to_bytes(8, "little"), Counter()
    numbers = np.empty(len(X))
    for i, row in enumerate(X):
        values = (np.asarray(row, float) + 0.0).tobytes()  # 0.0: there is one zero only
        digest = blake2b(values, digest_size=8, key=key, person=purpose).digest()
        if count:
            seen[digest] += 1
            if seen[digest] > 1:
                again = digest + seen[digest].to_bytes(8, "little")
                digest = blake2b(again, digest_size=8, key=key, person=purpose).digest()
        numbers[i] = int.from_bytes(digest, "little") / 2**64
    return numbers
