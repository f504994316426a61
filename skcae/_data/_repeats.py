"""Rows that are nearly those beside them, or equal to others: what is held out together.

Of repeats of a measurement, frames of a film or windows that overlap single rows that are held out
say nothing of rows to come.
"""

from hashlib import blake2b

import numpy as np

from ._stored import Stored, subsample, take_rows

# Of fewer rows nothing is tried. Rows are nearly the same within this share of the squared
# distance of any two, and in runs if that holds, beyond chance, of so many rows and those that
# follow; so many are tried, of so many values in all, and so many features.
FEWEST, NEAR, MANY, N_TRIED, N_VALUES, N_FEATURES = 20, 0.1, 0.45, 200, 2**22, 2000
# Runs are those between rows that are not nearly the same, if there are so many; otherwise parts
# of a twentieth of all rows, or so many, but of no more than an eighth.
FEWEST_RUNS, LONGEST = 8, 30
# Equal rows are repeats if most rows have up to so many, which chance would not make; of more rows
# they are not looked for.
MOST_REPEATS, MOST_ROWS = 10, 20_000


def runs_of(rows):
    """The number of the run of each row, ``(n,)``; None where each is for itself."""
    n, d = rows.shape
    if n < FEWEST:
        return None
    rng = np.random.default_rng(0)
    n_tried = min(n - 1, N_TRIED, max(FEWEST, N_VALUES // (3 * d)))
    i, j = np.sort(rng.permutation(n - 1)[:n_tried]), rng.permutation(n)[:n_tried]
    far = _distances(rows, i, j)
    typical = np.median(far)
    steps = _distances(rows, i, i + 1)
    if np.mean(steps < NEAR * typical) - np.mean(far < NEAR * typical) > MANY:
        return _find_runs(rows, typical)
    if isinstance(rows, Stored) or n > MOST_ROWS:
        return None
    return _find_equal(rows, i, j)


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


def _find_runs(rows, typical):
    """From one jump to the next, or parts of a length that hardly depends on ``n``."""
    n = len(rows)
    if not isinstance(rows, Stored):
        jumps = _distances(rows, np.arange(n - 1), np.arange(1, n)) >= NEAR * typical
        if jumps.sum() + 1 >= FEWEST_RUNS:
            return np.cumsum(np.append(False, jumps))
    longest = max(n // 20, min(LONGEST, n // 8))
    return np.arange(n) // 2 ** int(np.log2(longest))


def _distances(rows, i, j):
    """Squared ones of pairs of rows, by some of their features."""
    every, out = -(-rows.shape[1] // N_FEATURES), np.empty(len(i))
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(0, len(i), N_TRIED):
            a, b = (_take(rows, index[k : k + N_TRIED])[:, ::every] for index in (i, j))
            out[k : k + N_TRIED] = ((a.astype(float) - b.astype(float)) ** 2).sum(1)
    return out


def _take(rows, index):
    """Rows in any order."""
    unique, place = np.unique(index, return_inverse=True)
    return np.asarray(take_rows(rows, unique))[place]


def _find_equal(rows, i, j):
    """Equal rows as runs, where most rows have such and pairs of rows do not by chance."""
    same = np.mean(_take(rows, i) == _take(rows, j), axis=0)
    by_chance = np.log(np.maximum(same, 1 / len(i))).sum()
    if by_chance > -2 * np.log(len(rows)):
        return None
    numbers = {}
    digests = (blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    runs = np.array([numbers.setdefault(digest, len(numbers)) for digest in digests])
    counts = np.bincount(runs)[runs]
    if np.mean((counts > 1) & (counts <= MOST_REPEATS)) <= MANY:
        return None
    alone = counts > MOST_REPEATS
    runs[alone] = len(rows) + np.flatnonzero(alone)
    return np.unique(runs, return_inverse=True)[1]
