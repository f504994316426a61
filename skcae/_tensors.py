"""The border between numpy and torch: batches of rows, and tiles that keep rows apart."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

# Inference runs on batches of one constant size, the last one padded: another size picks another
# kernel and other last bits. (Most values in a sample, samples in a tile.)
TILES = ((2**14, 64), (2**18, 8), (math.inf, 1))


def tile_size(n_features):
    return next(size for limit, size in TILES if n_features <= limit)


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
    """A copy of the rows, the last one repeated up to ``size``."""
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
