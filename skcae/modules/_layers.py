"""Layers, and the tables from which the networks choose them."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# A key of a table below, or a callable.
Choice = str | Callable[..., nn.Module] | None
Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Row = TypeVar("Row")
# Rows of a matrix product in inference, at least.
FEWEST_ROWS = 16


def conv_transpose(x: Tensor, weight: Tensor, bias: Tensor, **geometry: Any) -> Tensor:
    """A transposed convolution in 1, 2 or 3 dimensions.

    In training on a CPU the bias is added apart, for its gradient within the convolution's takes
    torch up to twice as long as all the rest.
    """
    function = getattr(F, f"conv_transpose{x.ndim - 2}d")
    if not torch.is_grad_enabled() or x.device.type != "cpu":
        return function(x, weight, bias, **geometry)
    out = function(x, weight, None, **geometry)
    return out.add_(bias.to(out.dtype).reshape(-1, *[1] * (x.ndim - 2)))


class Conv2d(nn.Conv2d):
    """Torch's, but for strided kernels of one value, which slices replace.

    Of these the gradient by oneDNN writes beyond its memory in channels-last order, on processors
    with AVX2 and without AVX512, which ends the process sooner or later (torch 2.13).
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel_size != (1, 1) or self.stride == (1, 1) or isinstance(self.padding, str):
            return super().forward(x)
        (down, right), (rows, columns) = self.stride, self.padding
        x = F.pad(x, (columns, columns, rows, rows))[..., ::down, ::right]
        return F.conv2d(x, self.weight, self.bias, groups=self.groups)


class _BiasApart(nn.Module):
    weight: Tensor
    bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        geometry = {a: getattr(self, a) for a in ("stride", "padding", "output_padding")}
        return conv_transpose(x, self.weight, self.bias, **geometry)


class ConvTranspose1d(_BiasApart, nn.ConvTranspose1d):
    pass


class ConvTranspose2d(_BiasApart, nn.ConvTranspose2d):
    pass


class ConvTranspose3d(_BiasApart, nn.ConvTranspose3d):
    pass


def flatten(x: Tensor) -> Tensor:
    """All values of each sample in one row; the gradient comes in the memory format of ``x``.

    Torch's would not, and batch normalization on a CPU then takes its own ten times as long.
    """
    if torch.is_grad_enabled() and x.ndim == 4 and not x.is_contiguous():
        x = _ChannelsLastGradient.apply(x)
    return x.flatten(1)


class _ChannelsLastGradient(torch.autograd.Function):
    """The identity; ``permute`` and not ``memory_format``, for ``torch.func`` knows that."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return tangent.view_as(tangent)


def layer(kind: str, n_dims: int) -> type[nn.Module]:
    """``nn.Conv2d`` and its kin by kind and number of spatial dimensions."""
    return globals().get(f"{kind}{n_dims}d") or getattr(nn, f"{kind}{n_dims}d")


def choose(name: str, value: Any, table: Mapping[Any, Row], *, closed: bool = False) -> Row:
    """The row of ``table`` that ``value`` names, or ``value`` itself where it is callable.

    A ``closed`` table is all there is to choose from.
    """
    if isinstance(value, nn.Module):
        raise TypeError(
            f"{name}={value!r} is a module; pass its class, or a function that builds it."
        )
    if callable(value) and not closed:
        return value
    if isinstance(value, str | None) and value in table:
        return table[value]
    rest = "." if closed else ", or a callable."
    raise ValueError(f"{name}={value!r} is unknown; choose one of {list(table)}{rest}")


def build(name: str, value: Any, factory: Callable[..., Any], *arguments: Any) -> nn.Module:
    """What the ``factory`` that stands for ``name=value`` makes of the arguments."""
    try:
        module = factory(*arguments)
    except TypeError as error:
        raise TypeError(
            f"{name}={value!r} is called with {len(arguments)} arguments {arguments}, which it "
            f"does not take: {error}; pass a class, or a function, that does."
        ) from error
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"{name}={value!r} built a {type(module).__name__}; it must build a torch.nn.Module."
        )
    return module


def activate(name: str, value: Any) -> nn.Module:
    """A row of ``ACTIVATIONS``, built, or what a callable builds."""
    return build(name, value, choose(name, value, ACTIVATIONS))


def switch(name: str, value: Any) -> bool:
    """``value``, which must be one of two."""
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise ValueError(f"{name}={value!r} is neither True nor False; pass one of them.")


class Resize(nn.Module):
    """Interpolate to a fixed spatial size."""

    def __init__(self, size: tuple[int, ...], mode: str) -> None:
        super().__init__()
        self.size = size
        linear = ("linear", "bilinear", "trilinear")[len(size) - 1]
        self.mode = {"bilinear": linear}.get(mode, mode)

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, self.size, mode=self.mode)

    def extra_repr(self) -> str:
        return f"size={self.size}, mode={self.mode!r}"


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A linear layer; in inference a row's bits depend neither on its place nor on other rows.

    They would where the number of inputs is no multiple of 16, or where there are few rows, for
    the matrix product picks its kernel by the alignment of the rows and by how many there are:
    then zeros fill them up.
    """
    if torch.compiler.is_compiling() or not torch.is_inference_mode_enabled():
        return F.linear(x, weight, bias)
    n, columns = len(x), -x.shape[-1] % 16
    rows = max(FEWEST_ROWS - n, 0) if x.ndim == 2 else 0
    if columns:
        weight = F.pad(weight, (0, columns))
    if columns or rows:
        x = F.pad(x, (0, columns, 0, rows) if rows else (0, columns))
    return F.linear(x, weight, bias)[:n]


class Linear(nn.Linear):
    """With :func:`linear`."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


class Tied(nn.Module):
    """Holds another layer without owning it: its weight stays one entry of the state dict."""

    def __init__(self, source: nn.Linear | Convolution, n_outputs: int) -> None:
        super().__init__()
        self._source = (source,)
        self.bias = nn.Parameter(torch.zeros(n_outputs))

    @property
    def weight(self) -> Tensor:
        return self._source[0].weight


class TiedLinear(Tied):
    def __init__(self, source: nn.Linear) -> None:
        super().__init__(source, source.in_features)

    def forward(self, z: Tensor) -> Tensor:
        return linear(z, self.weight.T, self.bias)


class TiedConvTranspose(Tied):
    """The adjoint of a convolution, with its own bias."""

    def __init__(self, source: Convolution, **geometry: Any) -> None:
        super().__init__(source, source.in_channels)
        self.geometry = geometry

    def fan(self) -> float:
        """Geometric mean of the values summed by the convolution and by its transpose."""
        n_out, n_in, *kernel = self.weight.shape
        size = math.prod(kernel)
        return math.sqrt(n_in * size * n_out * size / self.geometry["stride"] ** len(kernel))

    def forward(self, x: Tensor) -> Tensor:
        return conv_transpose(x, self.weight, self.bias, **self.geometry)


def initialize_(network: nn.Module, generator: torch.Generator) -> nn.Module:
    """Draw all weights from ``generator`` in place.

    Torch's own initialization reads its global generator, which two threads share. The
    distributions are torch's, except for tied convolutions, whose weights serve both directions:
    they are uniform with the variance of He et al. (2015) for the geometric mean of the values
    that are summed in either direction.
    """
    layer: Any  # of a class that only the tests below tell
    for layer in network.modules():
        if isinstance(layer, Tied):
            nn.init.zeros_(layer.bias)
        elif isinstance(getattr(layer, "weight", None), Tensor) and layer.weight.ndim > 1:
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
            if layer.bias is not None:
                bound = 1 / math.sqrt(layer.weight[0].numel())
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
        elif hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    for layer in network.modules():
        if isinstance(layer, TiedConvTranspose):
            bound = math.sqrt(6 / layer.fan())
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    return network


def _group_norm(n_channels: int, n_dims: int) -> nn.Module:
    """Up to 8 groups, of at least four channels where there are as many."""
    return nn.GroupNorm(math.gcd(8, max(1, n_channels // 4)), n_channels)


def _batch_norm(n_channels: int, n_dims: int) -> nn.Module:
    return layer("BatchNorm", n_dims)(n_channels)


def _no_norm(n_channels: int, n_dims: int) -> nn.Module:
    return nn.Identity()


def _max_pool(n_dims: int, window: tuple[int, ...]) -> nn.Module:
    return layer("MaxPool", n_dims)(window, ceil_mode=True)


def _avg_pool(n_dims: int, window: tuple[int, ...]) -> nn.Module:
    return layer("AvgPool", n_dims)(window, ceil_mode=True)


# Between layers. "leaky_relu" has slope 0.2.
ACTIVATIONS: dict[str | None, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": partial(nn.LeakyReLU, 0.2),
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    None: nn.Identity,
}
NORMALIZATIONS: dict[str | None, Callable[..., nn.Module]] = {
    "batch": _batch_norm,
    "group": _group_norm,
    None: _no_norm,
}
DOWNSAMPLINGS: dict[str, Callable[[int, tuple[int, ...]], nn.Module] | None] = {
    "stride": None,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
}
UPSAMPLINGS = {"nearest": "nearest", "bilinear": "bilinear", "transpose": "transpose"}
