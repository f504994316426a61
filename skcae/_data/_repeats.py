"""Rows that are nearly those beside them, or equal to others: what is held out together.

Repeats of a measurement, frames of a film and overlapping windows of a recording are told apart by
chance if single rows are held out, which then say nothing of rows to come.
"""

from hashlib import blake2b

import numpy as np

from ._stored import Stored, subsample, take_rows

# Rows are in such runs if the nearest of at least half of them is at most so many places away:
# of so many that are tried, among so many others.
BESIDE, HALF, N_TRIED, N_OTHERS = 8, 0.5, 100, 500
# A run ends where two rows differ by this share of the squared distance of any two, and after a
# twentieth of all rows, or so many, but not more than an eighth. Of fewer rows it is not tried.
APART, LONGEST, FEWEST = 0.25, 30, 20
# Windows overlap where a row holds so many values with which the next one starts.
N_EQUAL = 16
# Rows that all have equal ones are repeats if each comes so many times in the mean, at most; of
# chance, as in tables of few categories, if more. Of more rows equal ones are not looked for.
MOST_REPEATS, MOST_ROWS = 10, 20_000


def runs_of(rows):
    """The number of the run of each row, ``(n,)``; None where each is for itself."""
    if len(rows) < FEWEST:
        return None
    if (extent := _overlap(rows)) is not None:
        return _cut(np.arange(len(rows)) == 0, min(3 * extent, len(rows) // 5))
    if _lie_beside(rows):
        return _find_runs(rows)
    return None if isinstance(rows, Stored) or len(rows) > MOST_ROWS else _find_equal(rows)


def draw(rows, n, seed):
    """Rising indices of ``n`` random rows to hold out, of about so many in whole runs."""
    runs = runs_of(rows)
    if runs is None:
        return subsample(rows, n, seed)
    return draw_runs(runs, n, np.random.default_rng(seed).permutation)


def draw_runs(runs, n, permutation):
    """Rising indices of about ``n`` rows in whole runs, in an order by ``permutation(n_runs)``."""
    order = permutation(runs.max() + 1)
    sizes = np.cumsum(np.bincount(runs)[order])
    n_runs = min(1 + np.searchsorted(sizes, n), len(order) - 1)
    return np.flatnonzero(np.isin(runs, order[:n_runs]))


def split(rows, n_parts, permutation):
    """Rising indices of each of so many random parts, which have no run in common."""
    runs = runs_of(rows)
    if runs is None:
        return [np.sort(part) for part in np.array_split(permutation(len(rows)), n_parts)]
    order = permutation(runs.max() + 1)
    parts = np.array_split(order, min(n_parts, len(order)))
    return [np.flatnonzero(np.isin(runs, part)) for part in parts]


def _lie_beside(rows):
    """Whether most rows are nearest to one that is beside them."""
    n, rng = len(rows), np.random.default_rng(0)
    tried = np.sort(rng.permutation(n)[:N_TRIED])
    others = np.sort(rng.permutation(n)[:N_OTHERS])
    beside = tried[:, None] + np.delete(np.arange(-BESIDE, BESIDE + 1), BESIDE)
    is_row = (beside >= 0) & (beside < n)
    index = np.unique(np.concatenate([tried, others, beside[is_row]]))
    x = np.asarray(take_rows(rows, index), np.float64)
    place = np.searchsorted(index, np.clip(beside, 0, n - 1))
    x, whose = x - x.mean(0), np.searchsorted(index, tried)
    near = np.stack([((x[whose] - x[p]) ** 2).sum(1) for p in place.T], 1)
    near = np.where(is_row, near, np.inf).min(1)
    y = x[np.searchsorted(index, others)]
    far = (x[whose] ** 2).sum(1)[:, None] - 2 * x[whose] @ y.T + (y**2).sum(1)
    far[np.abs(tried[:, None] - others) <= BESIDE] = np.inf
    return bool(np.mean(near < far.min(1)) > HALF)


def _overlap(rows):
    """How many rows on a window has moved by its length, if rows are overlapping windows."""
    n, d = rows.shape
    tried = np.random.default_rng(0).permutation(n - 1)[:N_TRIED]
    pairs = np.asarray(take_rows(rows, np.unique(np.append(tried, tried + 1))))
    index = np.unique(np.append(tried, tried + 1))
    moved = []
    for i in np.searchsorted(index, tried):
        start, row = pairs[i + 1][:N_EQUAL], pairs[i]
        if len(start) < N_EQUAL or (start == start[0]).all():
            continue
        windows = np.lib.stride_tricks.sliding_window_view(row, N_EQUAL)
        found = np.flatnonzero((windows[1:] == start).all(1))
        moved += [found[0] + 1] if len(found) else []
    return -(-d // int(np.median(moved))) if len(moved) > HALF * len(tried) else None


def _find_runs(rows):
    """From one jump between rows to the next."""
    n = len(rows)
    starts = np.arange(n) == 0
    if not isinstance(rows, Stored):
        others = np.random.default_rng(0).permutation(n)
        typical = np.median(_distances(rows, np.arange(n), others))
        steps = _distances(rows, np.arange(n - 1), np.arange(1, n))
        starts[1:] = steps > APART * typical
    return None if starts.all() else _cut(starts)


def _cut(starts, least=0):
    """Numbers of runs, from where they start, that are not too long."""
    n = len(starts)
    since = np.arange(n) - np.flatnonzero(starts)[np.cumsum(starts) - 1]
    longest = max(n // 20, min(LONGEST, n // 8), least)
    return np.cumsum(starts | (since % longest == 0)) - 1


def _distances(rows, i, j):
    """Squared ones of pairs of rows."""
    out = np.empty(len(i))
    for k in range(0, len(i), 1000):
        a, b = (np.asarray(rows[index[k : k + 1000]], np.float64) for index in (i, j))
        out[k : k + 1000] = ((a - b) ** 2).sum(1)
    return out


def _find_equal(rows):
    """Equal rows as runs, where most rows have such."""
    numbers = {}
    digests = (blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    runs = np.array([numbers.setdefault(digest, len(numbers)) for digest in digests])
    counts = np.bincount(runs)
    repeated = np.mean(counts[runs] > 1) > HALF
    return runs if repeated and len(rows) <= MOST_REPEATS * len(counts) else None
