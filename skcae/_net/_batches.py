"""What the training reads: rows as batches of tensors on a device, and which rows are in them."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from .._data._repeats import draw_runs, runs_of
from .._data._stored import Stored, prefetched


class Rows:
    """Rows of an array of any numeric dtype, in memory or stored, in batches of folded tensors.

    What fits goes to a CUDA device as a whole, and batches are formed there.
    """

    def __init__(self, array, layout, device):
        self.array, self.layout, self.device = array, layout, device
        self.on_device = load_whole(array, device) if fits_on_device(array, device) else None

    def __len__(self):
        return len(self.array)

    def shuffle(self, index: np.ndarray, permutation, n_parts: int = 1) -> np.ndarray:
        """``index`` in random order, by ``permutation(n)``."""
        if isinstance(self.array, Stored):
            return self.array.shuffled(index, permutation, n_parts)
        return index[permutation(len(index))]

    def batches(self, parts: list[np.ndarray]) -> Iterator[Tensor]:
        """The rows of each of ``parts``."""
        return map(self.layout.fold, self._batches(parts))

    def _batches(self, parts):
        if self.on_device is not None:
            order = to_device(torch.from_numpy(np.concatenate(parts)), self.device)
            return (self.on_device[part] for part in order.split([len(part) for part in parts]))
        if isinstance(self.array, Stored):
            batches = self.array.batches(parts)
        else:
            batches = (np.take(self.array, part, axis=0) for part in parts)
        load = partial(to_tensor, device=self.device)
        on_cpu = torch.device(self.device).type == "cpu"
        return map(load, batches) if on_cpu else prefetched(load, batches)


class Labels:
    """Indices of labels ``(n,)``, read in batches as one-hot tensors."""

    def __init__(self, indices: np.ndarray, n_classes: int, device) -> None:
        self.array, self.n_classes, self.device = indices, n_classes, device

    def batches(self, parts: list[np.ndarray]) -> Iterator[Tensor]:
        """The labels of each of ``parts``."""
        indices = to_device(torch.from_numpy(self.array[np.concatenate(parts)]), self.device)
        batches = indices.split([len(part) for part in parts])
        return (one_hot(batch, self.n_classes) for batch in batches)


def one_hot(indices: Tensor, n_classes: int) -> Tensor:
    """Rows of zeros with a one; torch's own function waits for the device."""
    return torch.eye(n_classes, device=indices.device)[indices.long()]


def split_batches(index: np.ndarray, batch_size: int, n_processes: int = 1) -> list[np.ndarray]:
    """Consecutive parts of ``index``; a single row left over joins the part before it.

    Of several processes each needs two rows.
    """
    stops = [*range(batch_size, len(index), batch_size), len(index)]
    if len(stops) > 1 and stops[-1] - stops[-2] < 2 * n_processes:
        del stops[-2]
    return [index[a:b] for a, b in zip([0, *stops], stops, strict=False)]


def hold_out(rows: Rows, fraction: float | None, permutation):
    """Indices of the rows to train on, and of a share of them to validate on, in rising order."""
    index = rows.shuffle(np.arange(len(rows)), permutation)
    n_valid = 0 if fraction is None else max(1, round(fraction * len(rows)))
    if n_valid >= len(rows):
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} holds out {n_valid} of "
            f"{len(rows)} samples and leaves none to train on; pass more samples, a smaller "
            f"fraction or early_stopping=False."
        )
    runs = runs_of(rows.array) if n_valid else None
    if runs is not None:
        valid = draw_runs(runs, n_valid, permutation)
        return np.setdiff1d(index, valid), valid
    return np.sort(index[n_valid:]), np.sort(index[:n_valid])


def fits_on_device(X, device):
    """Whether the rows take less than half of the free memory of a CUDA device."""
    if torch.device(device).type != "cuda" or isinstance(X, Stored):
        return False
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = torch.cuda.mem_get_info(device)[0] + cached
    return 2 * X.size * to_tensor(X[:1].copy(), "cpu").itemsize < free


def load_whole(X, device):
    """All rows as one tensor on the device."""
    rows = to_tensor(X[:1].copy(), device).new_empty(X.shape)
    parts = rows.split(max(1, 2**24 // X.shape[1]))
    for part, start in zip(parts, range(0, len(X), len(parts[0])), strict=True):
        part.copy_(to_tensor(X[start : start + len(part)].copy(), device))
    return rows


def to_device(tensor: Tensor, device) -> Tensor:
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
    return to_device(torch.from_numpy(values), device)
