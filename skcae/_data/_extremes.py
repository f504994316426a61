"""A few values that make up the variance: hot pixels, and numbers that stand for missing ones."""

import numpy as np

from .._warnings import warn
from ._stored import Stored, subsample

# Few is at most this share of the values, too much for them this share of the variance. Values
# farther out than so many standard deviations are looked at, of at most so many values.
FEW, MUCH, FAR, N_VALUES = 0.01, 0.9, 3, 2**22
# Rows with such values beyond which they are no faults.
MOST = 0.9
# So many times farther out than all others they must be: in some rows or always at the same
# place, or anywhere; and by this factor more than the others stand out among themselves.
GAP, GAP_ANYWHERE, GAP_OF_TAILS = 10, 30, 3
# One value that many have, as -9999 for a missing one: at most this share, and so many ranges of
# all others away from them.
MANY, GAP_OF_MANY = 0.5, 30


def warn_few(rows, layout, scaling, numbers=None):
    """Warn where a few values of a channel make up its variance, though the others vary too.

    Heavy tails have no gap, and where nothing else varies, as in one-hot tables, the few values
    are the data. The same for one value that many have. ``numbers`` are those of the rows for the
    user, who gave more of them.
    """
    channels = zip(scaling.shift, scaling.variance, strict=True)
    may = any(_may_have_few(scaling.seen, *channel) for channel in channels)
    if not may and isinstance(rows, Stored):
        return
    index = subsample(rows, max(1, N_VALUES // rows.shape[1]), 0)
    if not isinstance(rows, Stored):
        ends = [int(end) // rows.shape[1] for end in (rows.argmin(), rows.argmax())]
        index = np.union1d(index, ends)
    scale = any(float(v) for v in scaling.variance)
    for values in layout.channels_of(rows[index]):
        x = values.reshape(len(index), -1).astype(float)
        # Not where nothing is scaled, nor of images with a background.
        many = _find_many(x) if scale and rows.dtype.kind not in "ub" else None
        if many:
            warn(
                f"{many[0]} of {x.size} values of X are {many[1]:g}, far from all others, which "
                f"lie from {many[2]:g} to {many[3]:g}; X is scaled by its variance, so that the "
                f"others hardly count. If it stands for missing values, replace it, for instance "
                f"by the median."
            )
            return
        found = _find_few(x) if may else None
        if found is None:
            continue
        n, share, row, value = found
        row = index[row] if numbers is None else numbers[index[row]]
        warn(
            f"{n} of {values.size} values of X, the farthest {value:g} at row {row}, make up "
            f"{100 * share:.3g} % of its variance, by which X is scaled, so that the others "
            f"hardly count; if they are faults, or stand for missing values, replace them, for "
            f"instance by the median, or leave their rows out."
        )
        return


def _may_have_few(seen, mean, variance):
    """Whether a value is as far out as one must be among so few with so much of the variance."""
    farthest = max(seen.high - mean, mean - seen.low)
    return farthest**2 * FEW >= MUCH * variance > 0


def _find_many(x):
    """How often the value is there that many have, itself, and the ends of the others; or None."""
    for end in x.min(), x.max():
        others = x[x != end]
        n = x.size - others.size
        if end == 0 or not FEW * x.size < n <= MANY * x.size:
            continue
        if (x == end).all(0).any():  # a constant column
            continue
        low, high = others.min(), others.max()
        if max(low - end, end - high) > GAP_OF_MANY * (high - low) > 0:
            return n, end, low, high
    return None


def _find_few(x):
    """Number, share of the variance, row and value of the farthest; None where there are none."""
    far = np.abs(x - x.mean()) > FAR * x.std()
    others = x[~far]
    if not far.any():
        return None
    rows, places = np.nonzero(far)
    distance = np.abs(x[far] - others.mean())
    order = np.argsort(-distance)
    distance, rows, places = distance[order], rows[order], places[order]
    following = np.append(distance[1:], np.abs(others - others.mean()).max())
    squares = distance**2
    left = np.cumsum(squares[::-1])[::-1] - squares + others.var() * others.size
    n, total = np.arange(1, len(squares) + 1), squares[0] + left[0]
    tails = following / np.sqrt(np.maximum(left, np.finfo(float).tiny) / (x.size - n))
    split = (n <= FEW * x.size) & (left > 0) & (left <= (1 - MUCH) * total)
    split &= distance >= np.maximum(GAP, GAP_OF_TAILS * tails) * following
    if not split.any():
        return None
    last = np.flatnonzero(split)[-1]
    n, n_rows, n_places = last + 1, *(len(set(seen[: last + 1])) for seen in (rows, places))
    if n_rows >= MOST * len(x) and n_places > 1:  # what each row has is signal
        return None
    anywhere = 2 * n_rows > len(x) and n_places > max(1, FEW * x.shape[1])
    if anywhere and distance[last] < GAP_ANYWHERE * following[last]:
        return None
    return n, 1 - left[last] / total, rows[0], x[rows[0], places[0]]
