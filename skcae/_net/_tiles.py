"""The only loop over rows: windows of stored arrays, tiles that keep rows apart, and ``out``."""

import copy
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from .._data._stored import Stored, prefetched, rows_in_window, slices
from .._data._validation import is_foreign
from .._threads import one_thread
from ..modules._layers import initialize_, linear
from ..scores import SCORES
from ._batches import to_tensor
from ._build import OWN_NETWORKS

# Inference runs on batches of one constant size, the last one padded: another size picks another
# kernel and other last bits. At most so many samples and values: of convolutions, whose feature
# maps then stay in the cache of a core; of dense layers; on a CUDA device.
TILES = {"convolutional": (32, 2**15), "dense": (512, 2**20), "cuda": (4096, 2**22)}
# Rows of a tile that holds a few.
FEW = 4


class Tiling:
    """The methods of a net that apply functions to its rows, a tile at a time."""

    @cached_property
    def tile_size_(self):
        """Samples that the network sees at once in inference."""
        options = self.get_params_for("module")
        dense = self.module in OWN_NETWORKS and not len(options.get("hidden_channels", "?"))
        kind = "dense" if dense else "convolutional"
        kind = "cuda" if torch.device(self.device).type == "cuda" else kind
        n_samples, n_values = TILES[kind]
        return max(1, min(n_samples, n_values // self.layout.n_features))

    @property
    def _runs_foreign_layers(self):
        return not self.owns_weights or self.score not in SCORES.values()

    def map_tiles(self, function, X, *others, size=None, out=None):
        """Apply a function of rows to tiles of them; see :func:`map_rows`."""
        size = size or self.tile_size_
        on_cpu = torch.device(self.device).type == "cpu"
        parallel = on_cpu and size > 1 and self.owns_weights
        options = {"size": size, "parallel": parallel, "foreign": self._runs_foreign_layers}
        return map_rows(function, X, *others, **options, out=out)

    @cached_property
    def small_tile_size_(self):
        """Samples in a tile of a few rows: ``FEW``, if a small tile changes no bit.

        A tile of one row does; whether one of ``FEW`` does is up to the convolutions of torch and
        of the processor. So it is tried, on a copy whose weights are drawn anew, layer by layer:
        what comes after one may hide its bits.
        """
        whole, on_cpu = self.tile_size_, torch.device(self.device).type == "cpu"
        if self._runs_foreign_layers or not on_cpu or not FEW < whole <= TILES["convolutional"][0]:
            return whole
        generator = torch.Generator().manual_seed(0)
        network = initialize_(copy.deepcopy(self.network), generator).train(False)
        x = self.layout.fold(torch.randn(whole, self.layout.n_features, generator=generator))
        n_classes = getattr(self, "n_classes", 0)
        labels = [x.new_zeros(whole, n_classes)] if n_classes else []
        outputs: list[Tensor] = []
        for layer in network.modules():
            layer.register_forward_hook(lambda *called: outputs.append(called[-1]))
        with one_thread(), torch.inference_mode():
            network(x, *labels)
            in_whole = outputs.copy()
            outputs.clear()
            network(x[:FEW], *(y[:FEW] for y in labels))
        same = all(torch.equal(a, b[:FEW]) for a, b in zip(outputs, in_whole, strict=True))
        return FEW if same else whole

    def _pad(self, rows: np.ndarray) -> Tensor:
        """Rows on the device, repeated up to the size of a tile."""
        size = self.small_tile_size_ if len(rows) <= FEW else self.tile_size_
        return to_tensor(pad_rows(rows, size), self.device)


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
    if not getattr(getattr(out, "flags", None), "writeable", True):
        raise ValueError("out is read-only; pass an array that can be written.")
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
