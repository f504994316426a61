"""How a row of values is an image: rows <-> ``(n, n_channels, *spatial)``."""

import math
from dataclasses import dataclass
from itertools import permutations
from numbers import Integral

import numpy as np

from .._warnings import warn

# An axis that has no more entries may hold channels, grey to RGB with transparency; the least side
# of an image of which rows without input_shape bring a warning, of one channel and of three.
FEW, SIDE, SIDE_RGB = 4, 8, 16


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
                f"{advise_shape(image_shape, shape)}, or leave input_shape at None for images."
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

    @classmethod
    def given(cls, shape, channel_axis):
        """As parameters say it."""
        from_end = channel_axis is not None and channel_axis < 0
        return cls(tuple(shape), channel_axis + len(shape) if from_end else channel_axis)

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

    def changes_since(self, other):
        """In what the shape of a sample differs from that of another layout, in words."""
        pairs = {
            "input_shape": (other.shape, self.shape),
            "channel_axis": (other.channel_axis, self.channel_axis),
        }
        return [f"{name} was {a} and is {b}" for name, (a, b) in pairs.items() if a != b]

    def channels_of(self, rows):
        """The values of each channel in an array of rows, as arrays."""
        if self.channel_axis is None:
            return [rows]
        return list(np.moveaxis(rows.reshape(-1, *self.shape), self.channel_axis + 1, 0))

    def fold(self, x):
        """Tensor of rows ``(n, n_features)`` to ``(n, n_channels, *spatial)``."""
        if self.channel_axis is None:
            return x.reshape(-1, 1, *self.shape)
        return x.reshape(-1, *self.shape).movedim(self.channel_axis + 1, 1)

    def unfold(self, x):
        """The inverse of ``fold``."""
        if self.channel_axis is not None:
            x = x.movedim(1, self.channel_axis + 1)
        return x.reshape(x.shape[0], self.n_features)


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
    if channel_axis is not None and not -n_axes <= channel_axis < n_axes:
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
    axis = None if channel_axis is None else channel_axis % n_axes
    _warn_of_likely_channels(axis, shape)
    return axis


def _warn_of_likely_channels(axis, shape):
    """Where an axis at an end looks like channels, but is not named, or another one is."""
    likely = _likely_channels(axis, shape)
    if likely is None:
        return
    taken = (
        f"as {'images' if len(shape) == 2 else 'volumes'} with one channel"
        if axis is None
        else f"with axis {axis} as {shape[axis]} channels"
    )
    warn(
        f"samples of shape {shape} are taken {taken}; if axis {likely} holds channels, pass "
        f"channel_axis={likely}."
    )


def _likely_channels(axis, shape):
    """The axis that more likely holds the channels than ``axis``: 0, -1 or None."""
    ends = {0: shape[0], -1: shape[-1]}
    few = [end for end, side in ends.items() if side <= FEW]
    if len(shape) == 1 or not few:
        return None
    if axis is None:
        return few[0] if len(shape) == 3 or max(shape) > FEW else None
    others = [side for i, side in enumerate(shape) if i != axis]
    # Of a feature map, as (64, 4, 4), the short sides are not the channels.
    alone = sum(side <= FEW for side in others) == 1
    return few[0] if shape[axis] > FEW and alone else None


def _warn_square(n_features):
    """Of rows that are probably images."""
    for n_channels, least, more in ((1, SIDE, ""), (3, SIDE_RGB, ", 3), channel_axis=-1")):
        side = math.isqrt(n_features // n_channels)
        if side >= least and n_channels * side * side == n_features:
            warn(
                f"rows of {n_features} features are taken as signals of that length; if they are "
                f"{'RGB ' if more else ''}images, pass input_shape=({side}, {side}{more or ')'}, "
                f"otherwise input_shape=({n_features},) to be explicit."
            )


def advise_shape(given, wanted, name="X"):
    """How to bring samples of a shape into the one that is wanted, as an error says it."""
    given, wanted = tuple(given), tuple(wanted)
    if [n for n in given if n > 1] == [n for n in wanted if n > 1]:
        return f"reshape {name} to (n_samples, *{wanted})"
    for i, j in permutations(range(len(given)), 2):  # the axes keep their order but for one
        moved = [n for k, n in enumerate(given) if k != i]
        if (*moved[:j], given[i], *moved[j:]) == wanted:
            return f"pass np.moveaxis({name}, {i + 1}, {j + 1})"
    if sorted(given) == sorted(wanted):
        order = next(p for p in permutations(range(len(given)))
                     if tuple(given[i] for i in p) == wanted)  # fmt: skip
        return f"pass np.transpose({name}, {(0, *(i + 1 for i in order))})"
    return f"pass samples of shape {wanted}"
