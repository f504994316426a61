"""A few values far from all others: hot pixels, and numbers that stand for missing ones."""

import numpy as np

from .._warnings import warn
from ._stored import Stored, blocks, subsample

# Few is at most this share of the values, too much for them this share of the variance. Values
# farther out than so many standard deviations are looked at, of at most so many values.
FEW, MUCH, FAR, N_VALUES = 0.01, 0.9, 3, 2**22
# Rows with such values beyond which they are no faults.
MOST = 0.9
# So many times farther out than all others they must be: in some rows or always at the same
# place, or anywhere; and by this factor more than the others stand out among themselves.
GAP, GAP_ANYWHERE, GAP_OF_TAILS = 10, 30, 3
# Rows with such values are left out if they are at most this share, of so many rows at least, and
# if their gap is so many mean excesses of the others' tail.
FEW_ROWS, FEWEST_ROWS, N_EXCESSES = 0.02, 20, 7
# One value that many have, as -9999 for a missing one: at most this share, and so many ranges of
# all others away from them.
MANY, GAP_OF_MANY = 0.5, 30


def leave_out_far(rows, layout, scaling, numbers=None):
    """Indices of the rows to learn from, told; None for all.

    Left out are a few rows in which a value of a channel is ``GAP`` times as far from the middle
    as any in the other rows. ``numbers`` are those of the rows for the user, who gave more.
    """
    n, channels = len(rows), zip(scaling.shift, scaling.variance, strict=True)
    most = max(1, int(FEW_ROWS * n))
    may = any(_may_be_far(scaling.seen, *channel, most / n) for channel in channels)
    if n < FEWEST_ROWS or not may:
        return None
    low, high = [], []
    for block in blocks(rows):
        parts = [x.reshape(len(block), -1) for x in layout.channels_of(block)]
        low.append(np.stack([x.min(1) for x in parts]).astype(float))
        high.append(np.stack([x.max(1) for x in parts]).astype(float))
    low, high = np.concatenate(low, 1), np.concatenate(high, 1)
    far = [_far_rows(*column, most) for column in zip(low, high, strict=True)]
    left_out = np.unique(np.concatenate(far))
    if not 0 < len(left_out) <= most:
        return None
    kept = np.setdiff1d(np.arange(n), left_out)
    channel, row = next((i, rows[0]) for i, rows in enumerate(far) if len(rows))
    ends = low[channel, row], high[channel, row]
    value = max(ends, key=lambda end: abs(end - low[channel, kept].min()))
    warn(
        f"{len(left_out)} of {n} rows of X {'is' if len(left_out) == 1 else 'are'} left out of "
        f"the fit, with values far from all others, the farthest {value:g} at row "
        f"{row if numbers is None else numbers[row]}, where the other rows have values from "
        f"{low[channel, kept].min():g} to {high[channel, kept].max():g}. If the values stand for "
        f"missing ones, replace them, for instance by the median; if they are meant, bring them "
        f"nearer, for instance with np.clip or a logarithm."
    )
    return kept


def _may_be_far(seen, mean, variance, share):
    """Whether the farthest value may be one of the share of rows that may be left out.

    They, and the others, which are ``GAP`` times nearer, can have no more variance than this; a
    third is for the distance of the mean from the middle.
    """
    farthest = max(seen.high - mean, mean - seen.low)
    return 4 / 3 * farthest**2 * (1 / GAP**2 + share) >= variance > 0


def _far_rows(low, high, most):
    """At most so many rows far beyond the others, the farthest first, from the ends of all.

    Distances are from the middle of a typical row. The others have to vary, and to have no tail
    that may reach so far: if the logarithms of distances have an exponential one, the gap exceeds
    ``N_EXCESSES`` times its mean excess over the median with probability ``exp(-N_EXCESSES)``.
    """
    middle = np.median(low + high) / 2
    distance = np.maximum(high - middle, middle - low)
    order = np.argsort(-distance)
    far = distance[order]
    for n in np.flatnonzero(far[:most] >= GAP * far[1 : most + 1])[::-1] + 1:
        others = order[n:]
        if low[others].min() < high[others].max():
            tail = far[n : n + (len(others) + 1) // 2]
            with np.errstate(divide="ignore"):
                excess = np.log(tail / tail[-1]).mean()
            if np.log(far[n - 1] / far[n]) > N_EXCESSES * excess:
                return order[:n]
    return order[:0]


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
