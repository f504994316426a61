"""How a row of values is an image: rows <-> ``(n, n_channels, *spatial)``, and their units."""

import math
import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch

from ._stored import blocks


@dataclass(frozen=True)
class Layout:
    """The shape of one sample as the user has it, and where its channels are.

    ``shape`` includes the channel axis when ``channel_axis`` is not None (counted from zero
    within the sample). ``images`` tells whether ``fit`` saw images or rows.
    """

    shape: tuple
    channel_axis: int | None = None
    images: bool = False

    @classmethod
    def infer(cls, n_features, image_shape, input_shape, channel_axis):
        """Layout of rows of ``n_features`` values, or of images of ``image_shape``."""
        given = input_shape if input_shape is not None else image_shape
        shape = (n_features,) if given is None else _check_sides(given)
        if image_shape is not None and shape != tuple(image_shape):
            raise ValueError(
                f"input_shape={shape} does not match X, whose samples have shape {image_shape}; "
                f"leave input_shape at None for images, or pass input_shape={image_shape}."
            )
        if math.prod(shape) != n_features:
            raise ValueError(
                f"input_shape={shape} holds {math.prod(shape)} values, but X has {n_features} "
                f"features; pass {_suggest(n_features)}."
            )
        if given is None:
            _warn_square(n_features)
        axis = _check_axis(channel_axis, shape)
        return cls(shape, axis, image_shape is not None)

    @property
    def n_features(self):
        return math.prod(self.shape)

    @property
    def n_channels(self):
        return 1 if self.channel_axis is None else self.shape[self.channel_axis]

    @property
    def spatial(self):
        if self.channel_axis is None:
            return self.shape
        return self.shape[: self.channel_axis] + self.shape[self.channel_axis + 1 :]

    def fold(self, x):
        """Tensor of rows ``(n, n_features)`` to ``(n, n_channels, *spatial)``."""
        if self.channel_axis is None:
            return x.reshape(-1, 1, *self.shape)
        return x.reshape(-1, *self.shape).movedim(self.channel_axis + 1, 1)

    def unfold(self, x):
        """The inverse of ``fold``."""
        if self.channel_axis is not None:
            x = x.movedim(1, self.channel_axis + 1)
        return x.reshape(len(x), self.n_features)


def _check_sides(shape):
    shape = tuple(shape)
    if not shape or any(not isinstance(side, Integral) or side < 1 for side in shape):
        raise ValueError(
            f"input_shape={shape!r} is not the shape of a sample; pass its side lengths, as in "
            f"(28, 28)."
        )
    return tuple(int(side) for side in shape)


def _suggest(n_features):
    side = math.isqrt(n_features)
    if side * side == n_features:
        return f"input_shape=({side}, {side})"
    return "the shape of one sample, whose sides multiply to that number"


def _check_axis(channel_axis, shape):
    """``channel_axis`` counted from zero; the remaining axes must be 1, 2 or 3."""
    n_axes = len(shape)
    if channel_axis is None:
        if n_axes == 3 and min(shape[0], shape[-1]) <= 4:
            axis = 0 if shape[0] <= 4 else -1
            warnings.warn(
                f"samples of shape {shape} are taken as volumes with one channel; if axis {axis} "
                f"holds channels, pass channel_axis={axis}.",
                UserWarning,
                stacklevel=2,
            )
    elif not -n_axes <= channel_axis < n_axes:
        raise ValueError(
            f"channel_axis={channel_axis} is out of range for samples of shape {shape}; it counts "
            f"the axes of one sample, from {-n_axes} to {n_axes - 1}."
        )
    n_spatial = n_axes - (channel_axis is not None)
    if not 1 <= n_spatial <= 3:
        raise ValueError(
            f"samples of shape {shape} with channel_axis={channel_axis} have {n_spatial} spatial "
            f"axes; signals (1), images (2) and volumes (3) are supported."
        )
    return None if channel_axis is None else channel_axis % n_axes


def _warn_square(n_features):
    side = math.isqrt(n_features)
    if n_features >= 64 and side * side == n_features:
        warnings.warn(
            f"rows of {n_features} features are taken as signals of that length; if they are "
            f"images, pass input_shape=({side}, {side}), otherwise input_shape=({n_features},) "
            f"to be explicit.",
            UserWarning,
            stacklevel=2,
        )


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
        _check_range(low, high, variance)
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


def _check_range(low, high, variance):
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
