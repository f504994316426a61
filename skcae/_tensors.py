"""The border between numpy and torch: batches of rows, and tiles that keep rows apart."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ._stored import Stored, prefetched

# Inference runs on batches of one constant size, the last one padded: another size picks another
# kernel and other last bits. At most so many samples and values: of convolutions, whose feature
# maps then stay in the cache of a core; of dense layers; on a CUDA device.
TILES = {"convolutional": (32, 2**15), "dense": (512, 2**20), "cuda": (4096, 2**22)}


# The number of threads is partly one of the whole process: one pool at a time.
_all_threads = Lock()


def tile_size(kind, n_features):
    n_samples, n_values = TILES[kind]
    return max(1, min(n_samples, n_values // n_features))


def over_tiles(function, n, size, parallel):
    """Apply ``function(start)`` to tiles of ``size``, and join the first ``n`` rows.

    In parallel each tile has one thread, so that the number of threads changes no bit.
    """

    def tile(start):
        with torch.inference_mode(), AlignedLinear():
            return function(start)[: n - start].cpu().numpy()

    starts, n_threads = range(0, n, size), torch.get_num_threads()
    if not parallel or n_threads == 1:
        return np.concatenate([tile(start) for start in starts])
    one_each = partial(torch.set_num_threads, 1)
    with _all_threads, ThreadPoolExecutor(n_threads, initializer=one_each) as pool:
        try:
            return np.concatenate(list(pool.map(tile, starts)))
        finally:
            torch.set_num_threads(n_threads)  # the default of threads yet to come


class Rows:
    """Rows of an array of any numeric dtype, in memory or stored, in batches of folded tensors.

    What fits goes to a CUDA device as a whole, and batches are formed there.
    """

    def __init__(self, X, layout, device):
        self.X, self.layout, self.device = X, layout, device
        self.resident = resident(X, device) if fits(X, device) else None

    def __len__(self):
        return len(self.X)

    def shuffled(self, index: np.ndarray, permutation, n_parts: int = 1) -> np.ndarray:
        """``index`` in random order, by ``permutation(n)``."""
        if isinstance(self.X, Stored):
            return self.X.shuffled(index, permutation, n_parts)
        return index[permutation(len(index))]

    def batches(self, parts: list[np.ndarray]) -> Iterator[Tensor]:
        """The rows of each of ``parts``."""
        return map(self.layout.fold, self._batches(parts))

    def _batches(self, parts):
        if self.resident is not None:
            order = moved(torch.from_numpy(np.concatenate(parts)), self.device)
            return (self.resident[part] for part in order.split([len(part) for part in parts]))
        if isinstance(self.X, Stored):
            batches = self.X.batches(parts)
        else:
            batches = (np.take(self.X, part, axis=0) for part in parts)
        load = partial(to_tensor, device=self.device)
        on_cpu = torch.device(self.device).type == "cpu"
        return map(load, batches) if on_cpu else prefetched(load, batches)


def fits(X, device):
    """Whether the rows take less than half of the free memory of a CUDA device."""
    if torch.device(device).type != "cuda" or isinstance(X, Stored):
        return False
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = torch.cuda.mem_get_info(device)[0] + cached
    return 2 * X.size * to_tensor(X[:1].copy(), "cpu").itemsize < free


def resident(X, device):
    """All rows as one tensor on the device."""
    rows = to_tensor(X[:1].copy(), device).new_empty(X.shape)
    parts = rows.split(max(1, 2**24 // X.shape[1]))
    for part, start in zip(parts, range(0, len(X), len(parts[0])), strict=True):
        part.copy_(to_tensor(X[start : start + len(part)].copy(), device))
    return rows


def moved(tensor: Tensor, device) -> Tensor:
    """A tensor of the computer's memory on the device, without waiting for it."""
    if torch.device(device).type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def to_tensor(values: np.ndarray, device) -> Tensor:
    """A tensor on the device; what single precision or torch cannot hold exactly is widened."""
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "b":
        values = values.astype(np.uint8)
    elif size == 2:
        values = values.astype(np.float32)
    elif size > 4 or (kind in "iu" and size == 4):
        values = values.astype(np.float64, copy=False)
    elif not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    return moved(torch.from_numpy(values), device)


def padded(rows: np.ndarray, size: int) -> np.ndarray:
    """The rows, the last one repeated up to ``size``, in memory that torch can read."""
    if len(rows) == size and rows.flags.c_contiguous and rows.flags.writeable:
        return rows
    tile = np.empty((size, *rows.shape[1:]), rows.dtype)
    tile[: len(rows)] = rows
    tile[len(rows) :] = rows[-1]
    return tile


class AlignedLinear(TorchFunctionMode):
    """Pads the inner dimension of linear layers with zeros to a multiple of 16.

    Otherwise a row's last bits depend on its place in the batch: the matrix product picks its
    kernel by the alignment of the rows.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is F.linear and (lack := -args[0].shape[-1] % 16):
            args = (*(F.pad(tensor, (0, lack)) for tensor in args[:2]), *args[2:])
        return function(*args, **(kwargs or {}))
