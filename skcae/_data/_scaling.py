"""The units of the data: learned in ``fit``, so that the network sees standardized values."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from ._ranges import UNSEEN, Range, choose_unit
from ._stored import blocks

# Channels whose standard deviations differ by more than this factor have units of their own.
OTHER_UNITS = 10
# Single precision holds no larger values, no smaller standard deviations of results, no larger
# values inside a network, and by what is around so many standard deviations no small difference.
LARGEST, SMALLEST, LARGEST_STANDARDIZED, FAR = 1e37, 1e-36, 1e35, 1e4


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
    seen: Range = UNSEEN

    @classmethod
    def unit_interval(cls, X):
        """Masks and floats are in [0, 1] already; other integers have the unit of their type."""
        scaling = cls().extended(X)
        return replace(scaling, scale=(choose_unit(X.dtype, scaling.seen),))

    def extended(self, X):
        """The same units, with the range of more data."""
        seen = self.seen
        for block in blocks(X):
            seen = seen.extended(block)
        return replace(self, seen=seen)

    def updated(self, X, layout):
        """From mean and variance of all values seen so far, ``X`` included (Chan et al.)."""
        mean, variance, count = np.array(self.shift), np.array(self.variance), self.count
        low, high, seen = np.inf, -np.inf, self.seen
        for block in blocks(X):
            seen = seen.extended(block)
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
        return Scaling(_floats(mean), _floats(scale), _floats(variance), count, seen)

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
        x = x.double() if self.is_far else x
        return (x - to_channels(self.shift, x)).div_(to_channels(self.scale, x))

    def inverse(self, x):
        """The other way; in double precision where single would lose the differences."""
        x = x.double() if self.is_far else x
        return x * to_channels(self.scale, x) + to_channels(self.shift, x)

    @property
    def is_far(self):
        """Whether a channel is so far from zero that single precision rounds what varies."""
        pairs = zip(self.shift, self.scale, self.variance, strict=True)
        return any(abs(shift) > FAR * scale for shift, scale, variance in pairs if variance)

    def check(self, rows, name="X"):
        """Whether a block of rows is in the range of single precision, standardized too."""
        low, high = float(rows.min()), float(rows.max())
        farthest = max(high - min(self.shift), max(self.shift) - low) / min(self.scale)
        if max(-low, high) > LARGEST or farthest > LARGEST_STANDARDIZED:
            _refuse_range(name, low, high)


def to_channels(values, x):
    """A value for each channel, or one for all, as a tensor to combine with ``x``."""
    dtype, shape = x.dtype if x.is_floating_point() else torch.float32, (-1, *(1,) * (x.ndim - 2))
    if torch.compiler.is_compiling():  # an exported graph rounds a number, but no tensor
        return torch.tensor(list(values), dtype=dtype, device=x.device).reshape(shape)
    # Filled, not copied, which would have a GPU wait.
    of_channels = [torch.full((1,), value, dtype=dtype, device=x.device) for value in values]
    return torch.cat(of_channels).reshape(shape)


def _floats(values):
    return tuple(float(value) for value in values)


def _check_single_precision(low, high, variance):
    """Results are in single precision, and the variance of tiny values is lost in double."""
    lost = np.sqrt(variance) < SMALLEST
    if max(-low.min(), high.max()) > LARGEST or np.any((low != high) & lost):
        _refuse_range("X", low.min(), high.max())


def _refuse_range(name, low, high):
    raise ValueError(
        f"{name} has values from {low:g} to {high:g}, which single precision cannot hold; replace "
        f"values that stand for missing ones, and rescale X, for instance with StandardScaler, in "
        f"fit and after."
    )


def _mean_and_variance(X):
    """Of a block of values, in double precision."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(np.mean(X, dtype=np.float64))
        var = float(np.mean(np.subtract(X, mean, dtype=np.float64) ** 2))
    if not math.isfinite(var):
        raise ValueError(
            f"X has values up to {float(np.abs(X).max()):g}, whose variance is not finite; "
            f"rescale X, for instance with StandardScaler."
        )
    return mean, var
