"""A few values far from all others: hot pixels, and numbers that stand for missing ones."""

import numpy as np

from .._warnings import warn
from ._ranges import UNSEEN
from ._stored import Stored, blocks, subsample

# Few is at most this share of the values, too much for them this share of the variance. Values
# farther out than so many standard deviations are looked at, of at most so many values.
FEW, MUCH, FAR, N_VALUES = 0.01, 0.9, 3, 2**22
# Rows with such values beyond which they are no faults.
MOST = 0.9
# So many times farther out than all others they must be: in some rows or always at the same
# place, or anywhere; and by this factor more than the others stand out among themselves.
GAP, GAP_ANYWHERE, GAP_OF_TAILS = 10, 30, 3
# Rows with such values are left out if they are at most this share, of so many rows at least, with
# at most this share of the values of a channel far out, and at a place that fewer rows share. The
# gap is so many mean excesses of the others' tail; a larger one single precision would not hold.
FEW_ROWS, FEWEST_ROWS, FEW_VALUES, N_SHARE, N_EXCESSES, LARGEST_GAP = 0.02, 20, 0.02, 3, 7, 1e30
# Row numbers that a warning lists.
N_LISTED = 10
# One value that many have, as -9999 for a missing one: at most this share, and so many ranges of
# all others away from them.
MANY, GAP_OF_MANY = 0.5, 30


def leave_out_far(arrays, layout, labels=None, earlier=None, known=()):
    """Indices of the rows to learn from, told; None for all.

    Of one or more arrays, by name, of which each row belongs to that of the others. Left out are a
    few rows of which a few values are ``GAP`` times as far from the middle as any in other rows,
    and in `X` beyond what the ``earlier`` scaling has seen; of fewer rows than can tell, as any
    that it has seen. No class loses all of its rows, but for those that are ``known``.
    """
    n, n_features = next(iter(arrays.values())).shape
    n_values = n_features / layout.n_channels
    seen = earlier.seen if earlier and earlier.count >= FEWEST_ROWS * n_values else UNSEEN
    if FEW_VALUES * n_values < 1:
        return None
    found, kept = [], np.ones(n, bool)
    for name, rows in arrays.items():
        for channel, far, *ends in _find_far(rows, layout, seen if name == "X" else UNSEEN):
            found.append((name, channel, far, *ends))
            kept[far] = False
    if labels is not None:
        kept |= ~np.isin(labels, [*np.asarray(labels)[kept], *known])
    if kept.all() or (n >= FEWEST_ROWS and n - kept.sum() > _most(n)):
        return None
    left_out = np.flatnonzero(~kept)
    name, channel, _, value, low, high = next(x for x in found if np.isin(x[2], left_out).any())
    numbers = ", ".join(map(str, left_out[:N_LISTED]))
    more = f" and {len(left_out) - N_LISTED} more" if len(left_out) > N_LISTED else ""
    place = name if channel is None else f"{name} in channel {channel}"
    is_are, plural = ("is", "") if len(left_out) == 1 else ("are", "s")
    warn(
        f"{len(left_out)} of {n} rows {is_are} left out (row{plural} {numbers}{more}): a few "
        f"values in them, as {value:g} of {place}, are far from all others, {low:g} to {high:g}. "
        f"Where they are faults, or stand for missing values, this is as it should be, or replace "
        f"them, for instance by the median; where they are meant, bring them nearer, for instance "
        f"by a logarithm."
    )
    return np.flatnonzero(kept)


def _most(n):
    """Rows that may be left out."""
    return max(1, int(FEW_ROWS * n))


def _find_far(rows, layout, seen):
    """For each channel with such rows: itself, they, their farthest value, the ends of others."""
    if len(rows) < FEWEST_ROWS and seen == UNSEEN:
        return
    low, high = [], []
    for block in blocks(rows):
        parts = layout.channels_of(block)
        low.append(np.stack([x.reshape(len(x), -1).min(1) for x in parts]).astype(float))
        high.append(np.stack([x.reshape(len(x), -1).max(1) for x in parts]).astype(float))
    low, high = np.concatenate(low, 1), np.concatenate(high, 1)
    for channel, ends in enumerate(zip(low, high, strict=True)):

        def read(some, channel=channel):
            return layout.channels_of(rows[some])[channel].reshape(len(some), -1)

        with np.errstate(all="ignore"):
            look = _far_rows if len(rows) >= FEWEST_ROWS else _far_from_seen
            far = look(*ends, read, seen)
        if far is not None:
            yield (channel if len(low) > 1 else None, *far)


def _far_rows(low, high, read, seen):
    """A few rows far beyond the others, from the ends of all, and as in _find_far.

    Distances are from the middle of a typical row. The others have to vary, and to have no tail
    that may reach so far: if the logarithms of distances have an exponential one, the gap exceeds
    ``N_EXCESSES`` times its mean excess over the median with probability ``exp(-N_EXCESSES)``.
    """
    middle = np.median(low + high) / 2
    distance = np.maximum(high - middle, middle - low)
    order = np.argsort(-distance)
    far = distance[order]
    most = _most(len(far))
    gap = (far[:most] > GAP * far[1 : most + 1]) & (far[0] < LARGEST_GAP * far[1 : most + 1])
    for n in np.flatnonzero(gap)[::-1] + 1:
        tail = far[n : n + (len(far) - n + 1) // 2]
        excess = np.log(tail / tail[-1]).mean() if tail[-1] else np.inf
        if np.log(far[n - 1] / far[n]) <= N_EXCESSES * excess:
            continue
        rows, others = np.sort(order[:n]), order[n:]
        ends = low[others].min(), high[others].max()
        values = read(rows)
        out = np.abs(values - middle) > GAP * far[n]
        few = out.sum(1).max() <= FEW_VALUES * out.shape[1] and out.sum(0).max() < N_SHARE
        new = (values[out] < seen.low) | (values[out] > seen.high)
        if few and new.all() and ends[0] < ends[1]:
            return rows, _farthest(values[out], middle), *ends
    return None


def _far_from_seen(low, high, read, seen):
    """The same of fewer rows, beside what was seen in earlier ones."""
    middle, reach = (seen.low + seen.high) / 2, (seen.high - seen.low) / 2
    distance = np.maximum(high - middle, middle - low)
    rows = np.flatnonzero((distance > GAP * reach) & (distance < LARGEST_GAP * reach))
    if not len(rows):
        return None
    values = read(rows)
    out = np.abs(values - middle) > GAP * reach
    few = out.sum(1) <= FEW_VALUES * out.shape[1]
    if not few.any():
        return None
    return rows[few], _farthest(values[few][out[few]], middle), seen.low, seen.high


def _farthest(values, middle):
    return values[np.abs(values - middle).argmax()]


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
