"""The border between numpy and torch: batches of rows, and tiles that keep rows apart."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

# Inference runs on batches of one constant size, the last one padded: another size picks another
# kernel and other last bits. At most so many samples and values: of convolutions, whose feature
# maps then stay in the cache of a core; of dense layers; on a CUDA device.
TILES = {"convolutional": (32, 2**15), "dense": (512, 2**20), "cuda": (4096, 2**22)}


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
    with ThreadPoolExecutor(n_threads, initializer=partial(torch.set_num_threads, 1)) as pool:
        try:
            return np.concatenate(list(pool.map(tile, starts)))
        finally:
            torch.set_num_threads(n_threads)  # the default of threads yet to come


class Rows:
    """Rows of a numpy array, of any numeric dtype, read in batches as folded tensors."""

    def __init__(self, X, layout, device):
        self.X, self.layout, self.device = X, layout, device

    def __len__(self):
        return len(self.X)

    def take(self, index: np.ndarray) -> Tensor:
        return self.layout.fold(to_tensor(np.take(self.X, index, axis=0), self.device))


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
    return torch.from_numpy(values).to(device, non_blocking=True)


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
