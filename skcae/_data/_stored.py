"""Arrays larger than memory, such as memory maps, Zarr, HDF5 and Dask: read a window at a time."""

from concurrent.futures import ThreadPoolExecutor
from numbers import Integral

import numpy as np

from .._private import forget_pages

# Arrays up to this size, in bytes, are read whole. Of larger ones blocks are shuffled, and
# samples within a window, while the next window is being read.
WHOLE, WINDOW, BLOCK = 2**28, 2**26, 2**20


class Stored:
    """Rows ``(n, n_features)`` of an array that has ``shape``, ``dtype`` and slices.

    Parameters
    ----------
    array : object
        Where the data are.
    subset : ndarray of int, default=None
        The rows that count, in rising order; None for all.
    checks : iterable of callable
        Called with each block of rows that is read.
    """

    ndim = 2

    def __init__(self, array, subset=None, checks=()):
        self.array, self.subset, self.checks = array, subset, list(checks)
        n = array.shape[0] if subset is None else len(subset)
        self.shape, self.dtype = (n, int(np.prod(array.shape[1:]))), np.dtype(array.dtype)
        self.size = n * self.shape[1]

    def __len__(self):
        return self.shape[0]

    def __iter__(self):
        for block in self.blocks():
            yield from block

    def __getitem__(self, index):
        """The rows of a slice, or of indices in rising order, in memory."""
        index = np.arange(*index.indices(len(self))) if isinstance(index, slice) else index
        index = index if self.subset is None else self.subset[index]
        rows = np.empty((len(index), self.shape[1]), self.dtype)
        for part, start, stop in _extents(index, self.rows_in(BLOCK), self.rows_in(WINDOW)):
            values = np.asarray(self.array[start:stop]).reshape(stop - start, -1)
            np.take(values, index[part] - start, axis=0, out=rows[part])
        forget_pages(self.array)
        for check in self.checks:
            check(rows)
        return rows

    def take(self, index):
        """Some of the rows, left where they are."""
        index = index if self.subset is None else self.subset[index]
        return Stored(self.array, index, self.checks)

    def rows_in(self, n_bytes):
        """How many rows so many bytes hold, at least one."""
        return max(1, n_bytes // (self.shape[1] * self.dtype.itemsize))

    def blocks(self):
        """Consecutive rows in memory, while the next are being read."""
        return prefetched(self.__getitem__, slices(len(self), self.rows_in(WINDOW)))

    def shuffled(self, index, permutation, n_parts=1):
        """``index`` with its blocks in random order, and random within windows.

        With several parts, each of other blocks, the first index is of the first part, the
        second of the second, and so on in turn.
        """
        size, chunks = self.rows_in(BLOCK), getattr(self.array, "chunks", None)
        if chunks:
            size = max(size, int(np.max(chunks[0])))
        cut = np.split(index, range(size, len(index), size))
        order = np.concatenate([cut[i] for i in permutation(len(cut))])
        n = len(order) // n_parts
        for part in slices(len(order), max(1, n)):
            for window in slices(part.stop - part.start, self.rows_in(WINDOW)):
                some = order[part][window]
                order[part][window] = some[permutation(len(some))]
        order[: n * n_parts] = order[: n * n_parts].reshape(n_parts, n).T.ravel()
        return order

    def batches(self, parts):
        """The rows of each of ``parts``, which are arrays of indices, read by windows."""
        n = max(1, self.rows_in(WINDOW) // max(map(len, parts)))
        for index, rows in prefetched(self._gather, (parts[s] for s in slices(len(parts), n))):
            for part in index:
                yield np.take(rows, part, axis=0)

    def _gather(self, parts):
        """Where the rows of ``parts`` are in a window, and the window."""
        index, where = np.unique(np.concatenate(parts), return_inverse=True)
        return np.split(where, np.cumsum([len(part) for part in parts])[:-1]), self[index]


def take_rows(X, index):
    """Rows of an array, left where they are if it is stored; all of them for None."""
    if index is None:
        return X
    return X.take(index) if isinstance(X, Stored) else X[index]


def subsample(X, n, seed):
    """Indices of up to ``n`` random rows, in rising order; of stored arrays of up to 50 runs."""
    rng = np.random.default_rng(seed)
    if len(X) <= n:
        return np.arange(len(X))
    if not isinstance(X, Stored):
        return np.sort(rng.permutation(len(X))[:n])
    length = max(1, n // 50)
    starts = np.sort(rng.permutation(len(X) // length)[: n // length]) * length
    return (starts[:, None] + np.arange(length)).ravel()


def blocks(X, n_values=2**22):
    """Consecutive rows in memory, of about so many values."""
    for window in X.blocks() if isinstance(X, Stored) else [X]:
        for rows in slices(len(window), max(1, n_values // X.shape[1])):
            yield window[rows]


def _extents(index, gap, most):
    """Parts of rising indices with the slices that hold them: no longer gaps, at most so long."""
    breaks = np.flatnonzero(np.diff(index) > gap) + 1
    start = 0
    while start < len(index):
        stop = np.searchsorted(index, index[start] + most)
        following = np.searchsorted(breaks, start, side="right")
        stop = min(stop, breaks[following]) if following < len(breaks) else stop
        yield slice(start, stop), int(index[start]), int(index[stop - 1]) + 1
        start = stop


def slices(n, size):
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def prefetched(function, arguments):
    """Results of ``function``, the next of them computed in the background."""
    with ThreadPoolExecutor(1) as pool:
        waiting = None
        for argument in arguments:
            following = pool.submit(function, argument)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


def stored_or_array(X):
    """Large arrays outside memory as :class:`Stored`; anything else in memory, or as it is."""
    if not _is_outside(X):
        return X
    if not all(isinstance(n, Integral) for n in X.shape):
        raise ValueError(
            f"the {type(X).__name__} has the unknown shape {X.shape}; compute it first, for "
            f"instance with compute_chunk_sizes() of Dask."
        )
    stored = Stored(X)
    return (
        stored if stored.size * stored.dtype.itemsize > WHOLE else np.asarray(X[0 : len(stored)])
    )


def _is_outside(X):
    """Whether it is a memory map, or has shape, dtype and slices but is no array in memory.

    Windows that overlap are no array in memory either, as whole as they are in the recording.
    """
    if isinstance(X, (np.ndarray, Stored)):
        return (isinstance(X, np.memmap) or _overlaps(X)) and X.ndim > 1
    sliced = all(hasattr(X, name) for name in ("shape", "dtype", "__getitem__"))
    other = any(hasattr(X, name) for name in ("iloc", "toarray", "__dataframe__", "__dlpack__"))
    return sliced and not other and len(X.shape) > 1


def _overlaps(X):
    """Whether an array is a view that shows more values than there are in memory."""
    return (
        isinstance(X, np.ndarray)
        and X.nbytes
        > sum(abs(stride) * (side - 1) for stride, side in zip(X.strides, X.shape, strict=True))
        + X.itemsize
    )


def rows_in_window(n_bytes):
    """How many rows of so many bytes a window holds."""
    return max(1, WINDOW // n_bytes)
