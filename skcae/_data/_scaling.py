"""The units of the data: learned in ``fit``, so that the network sees standardized values."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from ._stored import blocks

# Channels whose standard deviations differ by more than this factor have units of their own.
OTHER_UNITS = 10


@dataclass(frozen=True)
class Scaling:
    """A shift and a scale for each channel: the network sees ``(x - shift) / scale``.

    The scales are those of the channels only where their spreads differ much, and otherwise one
    for all, so that channels of one unit, as colours are, count by what they vary.
    """

    shift: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)
    variance: tuple[float, ...] = (0.0,)
    count: int = 0

    @classmethod
    def unit_interval(cls, dtype):
        """Unsigned integers by the range of their type; anything else is in [0, 1] already."""
        return cls(scale=(float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0,))

    def updated(self, X, layout):
        """From mean and variance of all values seen so far, ``X`` included (Chan et al.)."""
        mean, variance, count = np.array(self.shift), np.array(self.variance), self.count
        low, high = np.inf, -np.inf
        for block in blocks(X):
            channels = layout.channels_of(block)
            means, variances = np.transpose([_mean_and_variance(values) for values in channels])
            count += channels[0].size
            delta, share = means - mean, channels[0].size / count
            mean = mean + share * delta
            variance = (1 - share) * variance + share * variances + (1 - share) * share * delta**2
            low = np.minimum(low, [float(channel.min()) for channel in channels])
            high = np.maximum(high, [float(channel.max()) for channel in channels])
        _check_single_precision(low, high, variance)
        # Rounding leaves constant data a variance of about (eps * mean) ** 2.
        varies = variance > (10 * np.finfo(np.float64).eps * mean) ** 2
        scale = self._choose_scale(np.sqrt(variance), varies)
        return Scaling(_floats(mean), _floats(scale), _floats(variance), count)

    def _choose_scale(self, spread, varies):
        """One for all channels, or one for each; the first chunk of a stream decides which."""
        few = spread[varies]
        own = len(few) and few.max() > OTHER_UNITS * few.min()
        if own if not self.count else not self.is_common:
            return np.where(varies, spread, 1.0)
        return np.full(len(spread), math.sqrt(np.mean(few**2)) if len(few) else 1.0)

    @property
    def is_common(self):
        """Whether all channels have one scale."""
        return len(set(self.scale)) == 1

    @property
    def unit(self):
        """The unit of errors in X: its own where all channels have one, or else their scales."""
        return self.scale[0] if self.is_common else 1.0

    def forward(self, x):
        """A tensor ``(n, n_channels, *spatial)`` in the units of X to the network's."""
        if not any(self.shift):
            return x / to_channels(self.scale, x)
        if self.is_common and max(map(abs, self.shift)) < 8 * self.unit:
            # One pass; beyond, its rounding would show.
            start = to_channels([-shift / self.unit for shift in self.shift], x)
            return torch.add(start, x, alpha=1 / self.unit)
        return (x - to_channels(self.shift, x)).div_(to_channels(self.scale, x))

    def inverse(self, x):
        return x * to_channels(self.scale, x) + to_channels(self.shift, x)


def to_channels(values, x):
    """A value for each channel, or one for all, as a tensor to combine with ``x``."""
    dtype = x.dtype if x.is_floating_point() else torch.float32
    # Filled, not copied, which would have a GPU wait.
    of_channels = [torch.full((1,), value, dtype=dtype, device=x.device) for value in values]
    return torch.cat(of_channels).reshape(-1, *(1,) * (x.ndim - 2))


def _floats(values):
    return tuple(float(value) for value in values)


def _check_single_precision(low, high, variance):
    """Results are in single precision, and the variance of tiny values is lost in double."""
    largest, lost = max(-low.min(), high.max()), variance < np.finfo(np.float64).tiny
    if largest > 1e37 or np.any((low != high) & lost):
        raise ValueError(
            f"X has values up to {largest:g}, which single precision cannot hold; rescale X, for "
            f"instance with StandardScaler."
        )


def _mean_and_variance(X):
    """Of a block of values, in double precision."""
    mean = float(np.mean(X, dtype=np.float64))
    with np.errstate(over="ignore"):
        var = float(np.mean(np.subtract(X, mean, dtype=np.float64) ** 2))
    if not math.isfinite(var):
        raise ValueError(
            f"X has values up to {float(np.abs(X).max()):g}, whose variance is not finite; "
            f"rescale X, for instance with StandardScaler."
        )
    return mean, var
