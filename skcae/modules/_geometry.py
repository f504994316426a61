"""Sizes of the feature maps along the stages."""

import math
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any, Literal

# What a parameter may hold that has a value for each stage.
Sizes = int | Sequence[int]
Padding = Literal["same"] | Sizes


def integers(name: str, values: Any, least: int = 1) -> list[int]:
    """``values`` as integers of at least ``least``."""
    listed: list[Any] = list(values) if isinstance(values, Iterable) else [None]
    if any(not isinstance(v, Integral) or v < least for v in listed):
        raise ValueError(
            f"{name}={values!r} must hold integers of at least {least}, one for each layer."
        )
    return [int(v) for v in listed]


def _per_stage(name: str, value: Any, n_stages: int, least: int = 1) -> list[int]:
    """``value`` for each stage: an integer holds for all of them."""
    if isinstance(value, Integral) and int(value) >= least:
        return [int(value)] * n_stages
    value = integers(name, value, least)
    if len(value) != n_stages:
        raise ValueError(
            f"{name}={value!r} has {len(value)} entries, but there are {n_stages} convolutional "
            f"stages; pass one integer, or one for each stage."
        )
    return value


def _paddings(padding: Padding, kernels: list[int]) -> list[int]:
    """Zeros added at each end of a side, for each stage."""
    if padding != "same":
        return _per_stage("padding", padding, len(kernels), least=0)
    if even := [k for k in kernels if k % 2 == 0]:
        raise ValueError(
            f"kernel_size={even[0]} is even, so no padding keeps the size of the image; use an "
            f"odd kernel_size, or set the module's padding, as in "
            f"net_params={{'module__padding': 1}}."
        )
    return [k // 2 for k in kernels]


class Geometry:
    """Sizes along the stages: ``full`` after a convolution at stride 1, ``kept`` after the stride.

    ``kept[0]`` is the spatial shape of the input and ``kept[-1]`` that of the feature map;
    ``full[i]`` is what the decoder resizes to before it convolves back to ``kept[i]``.
    """

    kept: list[tuple[int, ...]]
    full: list[tuple[int, ...]]

    def __init__(
        self,
        spatial_shape: Sequence[int],
        kernel_size: Sizes,
        stride: Sizes,
        padding: Padding,
        n_stages: int,
    ) -> None:
        self.kernels = _per_stage("kernel_size", kernel_size, n_stages)
        self.strides = _per_stage("stride", stride, n_stages)
        self.paddings = _paddings(padding, self.kernels)
        self.kept, self.full = [tuple(spatial_shape)], []
        for k, s, p in zip(self.kernels, self.strides, self.paddings, strict=True):
            full = tuple(side + 2 * p - k + 1 for side in self.kept[-1])
            if min(full) < 1 or p >= k:
                raise ValueError(
                    f"a kernel of size {k} with padding {p} does not fit the {self.kept[-1]} "
                    f"feature map of stage {len(self.full)}; use a smaller kernel, more padding "
                    f"or fewer stages."
                )
            self.full.append(full)
            self.kept.append(tuple(math.ceil(side / s) for side in full))

    def window(self, stage: int) -> tuple[int, ...]:
        """The pooling window: the stride, on sides that are long enough for it."""
        return tuple(min(self.strides[stage], side) for side in self.full[stage])

    def output_padding(self, stage: int) -> tuple[int, ...]:
        """What a transposed convolution must add to meet the encoder's input size exactly."""
        k, s, p = self.kernels[stage], self.strides[stage], self.paddings[stage]
        return tuple(
            wide - ((narrow - 1) * s - 2 * p + k)
            for wide, narrow in zip(self.kept[stage], self.kept[stage + 1], strict=True)
        )
