"""The range of the values seen in ``fit``: what it says of their unit, and what contradicts it."""

import math
from typing import NamedTuple

import numpy as np

from .._warnings import warn
from ._stored import BLOCK, Stored

# Rows that reach so many ranges beyond all that was seen, or vary so many times less, are in
# another unit; where only the one or the other are whole numbers, fewer times are enough.
FACTOR, FACTOR_WHOLE = 50, 10
# Of the rows of a call so many must be so; where nothing else tells a unit from dark or flat
# samples, there must be several, and their mean over their standard deviation as it was.
SHARE, SEVERAL, NEARLY = 0.9, 10, 0.3


class Range(NamedTuple):
    """What was seen of the values of rows.

    ``low`` and ``high`` are the smallest and the largest value; ``least`` is the range within a
    row that 95 % of the rows exceed, of those that are not constant; ``whole`` is whether all
    values are whole numbers; ``contrast`` is mean over standard deviation of the first block.
    """

    low: float = math.inf
    high: float = -math.inf
    least: float = math.inf
    whole: bool = True
    contrast: float = math.nan

    def extended(self, rows):
        """With a block of rows."""
        lows, highs = _ends(rows)
        ranges = (highs - lows)[highs > lows]
        return Range(
            min(self.low, float(lows.min())),
            max(self.high, float(highs.max())),
            min(self.least, float(np.quantile(ranges, 0.05)) if len(ranges) else math.inf),
            bool(self.whole and _are_whole(rows)),
            _contrast(rows) if math.isnan(self.contrast) else self.contrast,
        )


UNSEEN = Range()


def choose_unit(dtype, seen):
    """What one is in images of a type: 1 of masks and floats, 255 of 8 bits; errors in doubt."""
    if dtype.kind not in "iu" or seen.low < 0 or seen.high <= 1:
        return 1.0
    full = np.iinfo(dtype).max
    if dtype.kind == "i" or (dtype.itemsize > 1 and 2 * seen.high <= full):
        raise ValueError(
            f"X has values of type {dtype} from {seen.low:.0f} to {seen.high:.0f}, and which of "
            f"them is 1 the type does not tell; divide X by its full scale, for instance by 4095 "
            f"where it has 12 bits, in all calls alike."
        )
    if 10 * seen.high <= full:
        warn(
            f"X has values of type {dtype}, which are divided by {full}, but the largest is "
            f"{seen.high:.0f}; if that is not nearly black, divide X by its full scale, in all "
            f"calls alike."
        )
    return float(full)


def warn_other_unit(rows, seen):
    """Warn where all rows lie in a range that is far from what was seen; of many look at some."""
    stored = isinstance(rows, Stored)
    rows = rows[: rows.rows_in(BLOCK)] if stored else rows[:: 1 + rows.size // BLOCK]
    lows, highs = _ends(rows)
    varies = highs > lows  # a blank image is one in every unit
    if not varies.any() or math.isinf(seen.least):
        return
    some = rows if varies.all() else rows[varies]
    lows, highs = lows[varies], highs[varies]
    if not (_vary_less(some, highs - lows, seen) or _lie_beyond(some, lows, highs, seen)):
        return
    warn(
        f"X seems to be in another unit than the X given to fit: it has values from "
        f"{lows.min():g} to {highs.max():g}, and that had values from {seen.low:g} to "
        f"{seen.high:g}; pass both in the same unit, for instance as 8-bit images, or divided by "
        f"255."
    )


def _vary_less(rows, ranges, seen):
    """Whether rows vary so much less that they can be nothing but the same in a larger unit."""
    low, high, largest = float(rows.min()), float(rows.max()), ranges.max()
    if largest * FACTOR_WHOLE > seen.least:
        return False
    other_kind = rows.dtype.kind == "b" or not _are_whole(rows)
    other_kind &= seen.whole and seen.high > 1
    if other_kind and low >= -1 and high <= 1:
        return True
    if largest * FACTOR > seen.least:
        return False
    if other_kind or len(rows) < SEVERAL:
        return other_kind
    difference = abs(_contrast(rows) - seen.contrast)
    return (low >= 0 and 0.5 < high <= 1) or difference < NEARLY * abs(seen.contrast)


def _lie_beyond(rows, lows, highs, seen):
    """Whether nearly all rows reach far beyond what was seen, with more than a few values."""
    fraction = not seen.whole and seen.low >= -1 and seen.high <= 1
    other_kind = fraction and _are_whole(rows)
    if len(rows) < SEVERAL and not other_kind:  # a few may be outliers
        return False
    factor = FACTOR_WHOLE if other_kind else FACTOR
    reach = factor * (seen.high - seen.low)

    def mostly(lows, highs):
        return np.mean((highs - seen.high > reach) | (seen.low - lows > reach)) >= SHARE

    if not mostly(lows, highs):
        return False
    last = rows.shape[1] - 1
    spared = max(1, rows.shape[1] // 20)  # at each end of a row
    if spared >= last:
        return False
    ordered = np.partition(rows, (spared, last - spared), axis=1)
    return mostly(*ordered[:, [spared, last - spared]].astype(float).T)


def _ends(rows):
    """The smallest and the largest value of each row."""
    return rows.min(1).astype(float), rows.max(1).astype(float)


def _are_whole(rows):
    if rows.dtype.kind in "biu":
        return True
    return all(bool(np.all(part == np.rint(part))) for part in (rows[:1], rows))


def _contrast(rows):
    """Mean over standard deviation; NaN where nothing varies."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, spread = float(rows.mean(dtype=float)), float(rows.std(dtype=float))
    return mean / spread if spread else math.nan
