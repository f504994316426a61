"""The units of the data: learned in ``fit``, so that the network sees standardized values."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from ._stored import blocks


@dataclass(frozen=True)
class Scaling:
    """One shift and one scale for all values: the network sees ``(x - shift) / scale``."""

    shift: float = 0.0
    scale: float = 1.0
    variance: float = 0.0
    count: int = 0

    @classmethod
    def unit_interval(cls, dtype):
        """Unsigned integers by the range of their type; anything else is in [0, 1] already."""
        return cls(scale=float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0)

    def updated(self, X):
        """Mean and standard deviation of all values seen so far, ``X`` included (Chan et al.)."""
        count, shift, variance, low, high = self.count, self.shift, self.variance, np.inf, -np.inf
        for block in blocks(X):
            mean, var = _mean_and_variance(block)
            count += block.size
            delta, share = mean - shift, block.size / count
            shift += share * delta
            variance = (1 - share) * variance + share * var + (1 - share) * share * delta**2
            low, high = min(low, float(block.min())), max(high, float(block.max()))
        _check_single_precision(low, high, variance)
        # Rounding leaves constant data a variance of about (eps * shift) ** 2.
        constant = variance <= (10 * np.finfo(np.float64).eps * shift) ** 2
        return Scaling(shift, 1.0 if constant else math.sqrt(variance), variance, count)

    def forward(self, x):
        """A tensor in the units of the input to the network's units."""
        if self.shift == 0:
            return x / self.scale
        if abs(self.shift) < 8 * self.scale:  # one pass; beyond, its rounding would show
            dtype = x.dtype if x.is_floating_point() else torch.float32
            start = torch.full((), -self.shift / self.scale, dtype=dtype, device=x.device)
            return torch.add(start, x, alpha=1 / self.scale)
        return (x - self.shift).div_(self.scale)

    def inverse(self, x):
        return x * self.scale + self.shift


def _check_single_precision(low, high, variance):
    """Results are in single precision, and the variance of tiny values is lost in double."""
    largest = max(abs(low), abs(high))
    if largest > 1e37 or (low != high and variance < np.finfo(np.float64).tiny):
        raise ValueError(
            f"X has values up to {largest:g}, which single precision cannot hold; rescale X, for "
            f"instance with StandardScaler."
        )


def _mean_and_variance(X):
    """Of a block of rows, in double precision."""
    mean = float(np.mean(X, dtype=np.float64))
    with np.errstate(over="ignore"):
        var = float(np.mean(np.subtract(X, mean, dtype=np.float64) ** 2))
    if not math.isfinite(var):
        raise ValueError(
            f"X has values up to {float(np.abs(X).max()):g}, whose variance is not finite; "
            f"rescale X, for instance with StandardScaler."
        )
    return mean, var
