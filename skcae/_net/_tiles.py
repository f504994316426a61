"""The only loop over rows: windows of stored arrays, tiles that keep rows apart, and ``out``."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from .._data._stored import Stored, prefetched, rows_in_window, slices
from .._data._validation import is_foreign
from .._threads import one_thread
from ..modules._layers import linear

# Inference runs on batches of one constant size, the last one padded: another size picks another
# kernel and other last bits. At most so many samples and values: of convolutions, whose feature
# maps then stay in the cache of a core; of dense layers; on a CUDA device.
TILES = {"convolutional": (32, 2**15), "dense": (512, 2**20), "cuda": (4096, 2**22)}


def tile_size(kind, n_features):
    """Samples in a tile."""
    n_samples, n_values = TILES[kind]
    return max(1, min(n_samples, n_values // n_features))


def map_rows(function, X, *others, size, parallel=False, foreign=False, out=None):
    """Apply a function to tiles of at most ``size`` rows, and join the results.

    Parameters
    ----------
    function : callable
        Takes the rows of a tile and those of each of ``others``, in memory; returns a tensor, or
        a tuple of them, with at least as many rows, of which the first ones count.
    X : ndarray or Stored of shape (n, n_features)
        Of a stored array a window is in memory, while the next is being read.
    *others : ndarrays
        With a row for each row of ``X``, labels for instance.
    parallel : bool
        Several tiles at once, of one thread each, so that the number of threads changes no bit.
    foreign : bool
        Whether the function runs layers that are not ours.
    out : array
        Where to write a single result, a window at a time. None makes a new array.
    """
    apply = partial(_map_tiles, function, size=size, parallel=parallel, foreign=foreign)
    if not isinstance(X, Stored) and out is None:
        return _one_or_all(apply((X, *others)))
    first = apply((X[:1], *(other[:1] for other in others)))  # what a row of the result takes
    if out is None:
        outs = [np.empty((len(X), *part.shape[1:]), part.dtype) for part in first]
    else:
        _check_out(out, len(X), first[0])
        outs = [out]
    n_bytes = max(X.shape[1] * X.dtype.itemsize, sum(part.nbytes for part in first))
    windows = slices(len(X), rows_in_window(n_bytes))
    for window, rows in zip(windows, prefetched(X.__getitem__, windows), strict=True):
        results = apply((rows, *(other[window] for other in others)))
        for target, result in zip(outs, results, strict=True):
            target[window] = result.reshape(len(result), *target.shape[1:])
    return _one_or_all(outs)


def _map_tiles(function, arrays, *, size, parallel, foreign):
    """A list of the results, each with all rows."""

    def apply(start):
        tile = [array[start : start + size] for array in arrays]
        with threads(), torch.inference_mode(), aligned():
            results = function(*tile)
            results = results if isinstance(results, tuple) else (results,)
            return [result[: len(tile[0])].cpu().numpy() for result in results]

    aligned = AlignedLinear if foreign else nullcontext
    starts, n_threads = range(0, len(arrays[0]), size), torch.get_num_threads()
    threads = one_thread if parallel and n_threads > 1 else nullcontext
    if threads is nullcontext or len(starts) == 1:
        return _join(map(apply, starts))
    with ThreadPoolExecutor(min(n_threads, len(starts))) as pool:
        return _join(pool.map(apply, starts))


def _join(tiles):
    return [np.concatenate(parts) for parts in zip(*tiles, strict=True)]


def _one_or_all(results):
    return results[0] if len(results) == 1 else tuple(results)


def _check_out(out, n_rows, row):
    """Whether it can take so many rows like this one."""
    names = "shape", "dtype", "__setitem__"
    if is_foreign(out) or hasattr(out, "iloc") or not all(hasattr(out, name) for name in names):
        raise TypeError(
            f"out is a {type(out).__name__}; pass an array in the computer's memory, a memory "
            f"map, or anything with shape, dtype and slices that can be written."
        )
    if out.shape[0] != n_rows:
        raise ValueError(f"out has {out.shape[0]} rows, but X has {n_rows}; pass one for each.")
    if np.prod(out.shape[1:]) != row.size or np.dtype(out.dtype).kind != "f":
        raise ValueError(
            f"out holds samples of shape {tuple(out.shape[1:])} and type {out.dtype}; pass "
            f"floating-point numbers, {row.size} a sample."
        )
    if row.dtype == np.float64 and np.dtype(out.dtype).itemsize < 8:
        raise ValueError(
            f"out has values of type {out.dtype}, but X is so far from zero that this would round "
            f"what varies; pass float64."
        )


def pad_rows(rows: np.ndarray, size: int) -> np.ndarray:
    """The rows, the last one repeated up to ``size``, in memory that torch can read."""
    if len(rows) == size and rows.flags.c_contiguous and rows.flags.writeable:
        return rows
    tile = np.empty((size, *rows.shape[1:]), rows.dtype)
    tile[: len(rows)] = rows
    tile[len(rows) :] = rows[-1]
    return tile


class AlignedLinear(TorchFunctionMode):
    """Has layers of users be like ours: :func:`~skcae.modules._layers.linear`."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is F.linear:
            return linear(*_in_order(*args, **(kwargs or {})))
        return function(*args, **(kwargs or {}))


def _in_order(input, weight, bias=None):  # the names of torch, for calls by keyword
    return input, weight, bias
