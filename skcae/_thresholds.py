"""At which score outliers begin, for a rate of false alarms."""

from numbers import Real

import numpy as np
from scipy.stats import t

# The share of new normal samples that `contamination="auto"` lets be called outliers.
FALSE_ALARM_RATE = 0.05
# So many scores beyond a threshold are enough to find it by counting; of fewer scores than so many
# in all no distribution is known.
N_BEYOND, FEWEST = 20, 10


def check_rate(name, rate):
    """A share of alarms, or of what is found."""
    if not isinstance(rate, Real) or not 0 < rate < 1:
        raise ValueError(f"{name}={rate!r} is no rate; pass a number between 0 and 1.")


def threshold(scores, false_alarm_rate=FALSE_ALARM_RATE):
    """The `offset_` beyond which a share of normal samples is expected, by their anomaly scores.

    The quantile at ``(1 - false_alarm_rate) * (n + 1)`` of the ordered scores: of a sample that
    is like them, this is the probability to be below it.
    """
    return -float(np.quantile(scores, 1 - false_alarm_rate, method="weibull"))


def expected_threshold(scores, false_alarm_rate=FALSE_ALARM_RATE):
    """The same for few scores, whose tail holds next to none of them.

    As far as fewer than ``N_BEYOND`` scores are beyond it, the upper prediction limit of one
    sample more, if scores have a log-normal distribution that begins a standard deviation below
    the lowest of them: they have a tail to this side, and if not, there are fewer false alarms.
    """
    counted, n = threshold(scores, false_alarm_rate), len(scores)
    if n < FEWEST or not np.isfinite(scores).all():
        return counted
    rate = min(false_alarm_rate, N_BEYOND / n)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        limit = _prediction_limit(scores, rate)
    if not np.isfinite(limit):
        return counted
    return -limit if rate == false_alarm_rate else max(-limit, counted)


def _prediction_limit(scores, rate):
    """What one anomaly score more exceeds with the probability ``rate``."""
    spread = np.std(scores)
    if not spread:
        return float(scores[0])
    begin, n = scores.min() - spread, len(scores)
    logs = np.log(scores - begin)
    width = t.ppf(1 - rate, n - 1) * np.std(logs, ddof=1) * np.sqrt(1 + 1 / n)
    return float(begin + np.exp(np.mean(logs) + width))
