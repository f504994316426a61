"""Networks: encoder, decoder, and the two together.

A network maps a batch ``x`` of shape ``(n, n_channels, *spatial_shape)`` to codes ``z`` of shape
``(n, n_components)`` and back. The spatial dimension (1, 2 or 3) is the length of
``spatial_shape``. One stage of the encoder is

.. math:: h = \\mathrm{downsample}(\\mathrm{norm}(\\mathrm{act}(W * x + b)))

(or activation after normalization, the default), and the decoder mirrors it: it resizes to the
size that the encoder's convolution had before it dropped positions, and convolves back. Every
side length round-trips exactly.

A network of your own is any :class:`torch.nn.Module` with ``encode(x) -> z`` and
``decode(z) -> x_hat``; pass its class as ``module=`` of an estimator.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from numbers import Integral

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Autoencoder", "Decoder", "Encoder", "initialize_"]


def _integers(name: str, values, least: int = 1) -> list[int]:
    """``values`` as integers of at least ``least``."""
    if any(not isinstance(v, Integral) or v < least for v in values):
        raise ValueError(
            f"{name}={values!r} must hold integers of at least {least}, one for each layer."
        )
    return [int(v) for v in values]


def _per_stage(name: str, value, n_stages: int, least: int = 1) -> list[int]:
    """``value`` for each stage: an integer holds for all of them."""
    value = [value] * n_stages if isinstance(value, Integral) else _integers(name, value, least)
    if len(value) != n_stages:
        raise ValueError(
            f"{name}={value!r} has {len(value)} entries, but there are {n_stages} convolutional "
            f"stages; pass one integer, or one for each stage."
        )
    return value


def _paddings(padding, kernels: list[int]) -> list[int]:
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


class _Geometry:
    """Sizes along the stages: ``full`` after a convolution at stride 1, ``kept`` after the stride.

    ``kept[0]`` is the spatial shape of the input and ``kept[-1]`` that of the feature map;
    ``full[i]`` is what the decoder resizes to before it convolves back to ``kept[i]``.
    """

    def __init__(self, spatial_shape, kernel_size, stride, padding, n_stages):
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


def _layer(kind: str, n_dims: int) -> type[nn.Module]:
    """``nn.Conv2d`` and its kin by kind and number of spatial dimensions."""
    return getattr(nn, f"{kind}{n_dims}d")


def _finish(n: int, n_dims: int, activation, normalization, activation_first) -> list[nn.Module]:
    """Normalization and activation that follow a convolution with ``n`` channels."""
    layers = [
        _choose("normalization", normalization, NORMALIZATIONS)(n, n_dims),
        _choose("activation", activation, ACTIVATIONS)(),
    ]
    layers = [layer for layer in layers if not isinstance(layer, nn.Identity)]
    return layers[::-1] if activation_first else layers


def _choose(name: str, value, table: dict) -> Callable:
    """The row of ``table`` that ``value`` names, or ``value`` itself where it is callable."""
    if callable(value):
        return value
    if value in table:
        return table[value]
    raise ValueError(f"{name}={value!r} is unknown; choose one of {list(table)}, or a callable.")


class Encoder(nn.Module):
    """Convolutional stages, then dense layers: ``x -> z``.

    Parameters
    ----------
    n_channels : int
        Channels of the input.
    spatial_shape : tuple of 1, 2 or 3 int
        Side lengths of the input.
    n_components : int or None
        Size of the code. None flattens the last feature map into the code: then the last stage
        is a bare convolution, without normalization and activation.
    hidden_channels : sequence of int
        Filters of each convolutional stage; empty for a dense network.
    hidden_units : sequence of int
        Widths of dense layers between the feature map and the code.
    kernel_size, stride : int or sequence of int
        For each stage.
    padding : "same", int or sequence of int
        Zeros at each end of a side. "same" is ``kernel_size // 2``.
    downsampling : {"stride", "max_pool", "avg_pool"}
        How a stage with a stride above 1 drops positions.
    activation : key of ``ACTIVATIONS`` or callable
        Between layers.
    normalization : key of ``NORMALIZATIONS`` or callable ``(n_channels, n_dims) -> module``
        After each convolution.
    activation_first : bool
        Put the activation before the normalization.
    code_activation : key of ``ACTIVATIONS`` or callable
        On the code.
    """

    def __init__(
        self,
        n_channels: int,
        spatial_shape: tuple[int, ...],
        n_components: int | None = 16,
        hidden_channels: Sequence[int] = (32, 64),
        hidden_units: Sequence[int] = (),
        kernel_size: int | Sequence[int] = 3,
        stride: int | Sequence[int] = 2,
        padding: str | int | Sequence[int] = "same",
        downsampling: str = "stride",
        activation="relu",
        normalization="batch",
        activation_first: bool = False,
        code_activation=None,
    ) -> None:
        super().__init__()
        n_dims, n_stages = len(spatial_shape), len(hidden_channels)
        self.geometry = _Geometry(spatial_shape, kernel_size, stride, padding, n_stages)
        self.widths = [n_channels, *_integers("hidden_channels", hidden_channels)]
        hidden_units = _integers("hidden_units", hidden_units)
        pool = _choose("downsampling", downsampling, DOWNSAMPLINGS)
        stages = []
        for i, (c_in, c_out) in enumerate(pairwise(self.widths)):
            k, s, p = (getattr(self.geometry, a)[i] for a in ("kernels", "strides", "paddings"))
            conv = _layer("Conv", n_dims)(c_in, c_out, k, stride=1 if pool else s, padding=p)
            bare = n_components is None and i == n_stages - 1
            rest = (
                [] if bare else _finish(c_out, n_dims, activation, normalization, activation_first)
            )
            pooled = [pool(n_dims, self.geometry.window(i))] if pool and s > 1 else []
            stages.append(nn.Sequential(conv, *rest, *pooled))
        self.stages = nn.Sequential(*stages)
        self.map_shape = (self.widths[-1], *self.geometry.kept[-1])
        code = [] if n_components is None else [n_components]
        self.sizes = [math.prod(self.map_shape), *hidden_units, *code]
        self.dense = _dense(self.sizes, activation)
        self.code_activation = _choose("code_activation", code_activation, ACTIVATIONS)()

    def forward(self, x: Tensor) -> Tensor:
        return self.code_activation(self.dense(self.stages(x).flatten(1)))


class Decoder(nn.Module):
    """The mirror of an :class:`Encoder`: ``z -> x_hat``.

    Parameters
    ----------
    encoder : Encoder
        What to mirror: feature map, sizes, strides.
    upsampling : {"nearest", "bilinear", "transpose"}
        Resize then convolve (no checkerboard), or a transposed convolution. "bilinear" is linear
        interpolation in the number of dimensions that the data has.
    decoder_channels : sequence of int or None
        Filters of the decoder's stages. As many as the encoder has stages: one more convolution
        then maps them to the output's channels. One fewer: the last stage is the output. None
        mirrors the encoder, ``hidden_channels[::-1]``.
    tied_weights : bool
        Share the encoder's weights, transposed, with biases of its own.
    activation, normalization, activation_first
        As in the encoder.
    output_activation : key of ``ACTIVATIONS`` or callable
        On the output.
    """

    def __init__(
        self,
        encoder: Encoder,
        upsampling: str = "transpose",
        decoder_channels: Sequence[int] | None = None,
        tied_weights: bool = False,
        activation="relu",
        normalization="batch",
        activation_first: bool = False,
        output_activation=None,
    ) -> None:
        super().__init__()
        geometry, widths = encoder.geometry, encoder.widths
        n_dims, n_stages = len(geometry.kept[0]), len(widths) - 1
        mode = _choose("upsampling", upsampling, UPSAMPLINGS)
        self.map_shape = encoder.map_shape
        tied_linears = [m for m in encoder.dense if isinstance(m, nn.Linear)][::-1]
        self.dense = _dense(
            encoder.sizes[::-1], activation, tied_linears if tied_weights else None
        )
        self.after_dense = (
            _choose("activation", activation, ACTIVATIONS)()
            if n_stages and len(self.dense)
            else nn.Identity()
        )
        if tied_weights:
            if decoder_channels is not None:
                raise ValueError("tied_weights=True fixes decoder_channels; leave it at None.")
            outputs = widths[-2::-1]
        else:
            decoder_channels = widths[:0:-1] if decoder_channels is None else decoder_channels
            outputs = _decoder_outputs(list(decoder_channels), n_stages, widths[0])
        stages, c_in = [], widths[-1]
        for i, c_out in zip(reversed(range(n_stages)), outputs, strict=False):
            source = encoder.stages[i][0] if tied_weights else None
            up = _upsample(geometry, i, mode, c_in, c_out, source)
            last = len(stages) == len(outputs) - 1
            rest = (
                [] if last else _finish(c_out, n_dims, activation, normalization, activation_first)
            )
            stages.append(nn.Sequential(*up, *rest))
            c_in = c_out
        if len(outputs) > n_stages:
            k = geometry.kernels[0] // 2 * 2 + 1
            stages.append(_layer("Conv", n_dims)(c_in, outputs[-1], k, padding=k // 2))
        self.stages = nn.Sequential(*stages)
        self.output_activation = _choose("output_activation", output_activation, ACTIVATIONS)()

    def forward(self, z: Tensor) -> Tensor:
        feature_map = self.after_dense(self.dense(z)).unflatten(1, self.map_shape)
        return self.output_activation(self.stages(feature_map))


def _decoder_outputs(channels: list[int], n_stages: int, n_channels: int) -> list[int]:
    """Channels that each convolution of the decoder puts out."""
    if len(channels) not in (n_stages, n_stages - 1) and n_stages:
        raise ValueError(
            f"decoder_channels={channels!r} has {len(channels)} entries; {n_stages} convolutional "
            f"stages need {n_stages} (and an output convolution is added) or {n_stages - 1}."
        )
    return [*channels, n_channels] if n_stages else []


def _upsample(geometry: _Geometry, i: int, mode, c_in: int, c_out: int, source) -> list[nn.Module]:
    """Undo stage ``i`` of the encoder; ``source`` is the convolution whose weights are shared."""
    k, s, p = geometry.kernels[i], geometry.strides[i], geometry.paddings[i]
    n_dims = len(geometry.kept[0])
    transpose = partial(
        _TiedConvTranspose if source else _layer("ConvTranspose", n_dims),
        *((source,) if source else (c_in, c_out, k)),
        padding=p,
    )
    if mode == "transpose":
        return [transpose(stride=s, output_padding=geometry.output_padding(i))]
    resize = [] if s == 1 else [_Resize(geometry.full[i], mode)]
    if source:
        return [*resize, transpose(stride=1, output_padding=0)]
    # At stride 1 a transposed convolution is a convolution with the complementary padding.
    return [*resize, _layer("Conv", n_dims)(c_in, c_out, k, padding=k - 1 - p)]


def _dense(sizes: list[int], activation, tied: list[nn.Linear] | None = None) -> nn.Sequential:
    """Linear layers with the activation between them, none after the last."""
    layers = []
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        layers += [_choose("activation", activation, ACTIVATIONS)()] if i else []
        layers += [_TiedLinear(tied[i]) if tied else nn.Linear(n_in, n_out)]
    return nn.Sequential(*layers)


class Autoencoder(nn.Module):
    """A convolutional autoencoder, ``decode(encode(x))``, built from the shape of the data.

    The parameters are those of :class:`Encoder` and :class:`Decoder`. The estimators pass their
    architecture parameters here; the others are reached as
    ``net_params={"module__code_activation": "relu"}``.

    Parameters
    ----------
    n_channels, spatial_shape, n_components, hidden_channels, hidden_units, kernel_size, stride, \
padding, downsampling, code_activation
        See :class:`Encoder`.
    upsampling, decoder_channels, tied_weights, output_activation
        See :class:`Decoder`.
    activation, normalization, activation_first
        Of both.

    Examples
    --------
    >>> import torch
    >>> from skcae.modules import Autoencoder
    >>> network = Autoencoder(n_channels=1, spatial_shape=(28, 28), n_components=16)
    >>> network.encode(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 16])
    """

    def __init__(
        self,
        n_channels: int,
        spatial_shape: tuple[int, ...],
        n_components: int | None = 16,
        hidden_channels: Sequence[int] = (32, 64),
        hidden_units: Sequence[int] = (),
        kernel_size: int | Sequence[int] = 3,
        stride: int | Sequence[int] = 2,
        padding: str | int | Sequence[int] = "same",
        downsampling: str = "stride",
        upsampling: str = "transpose",
        decoder_channels: Sequence[int] | None = None,
        activation="relu",
        normalization="batch",
        activation_first: bool = False,
        tied_weights: bool = False,
        code_activation=None,
        output_activation=None,
    ) -> None:
        super().__init__()
        if n_components is None and (hidden_units or not hidden_channels):
            raise ValueError(
                "n_components=None makes the last feature map the code: it needs at least one "
                f"entry in hidden_channels (given {tuple(hidden_channels)}) and no hidden_units "
                f"(given {tuple(hidden_units)}); set n_components, or change those."
            )
        shared = {
            "activation": activation,
            "normalization": normalization,
            "activation_first": activation_first,
        }
        self.encoder = Encoder(
            n_channels,
            spatial_shape,
            n_components,
            hidden_channels,
            hidden_units,
            kernel_size,
            stride,
            padding,
            downsampling,
            code_activation=code_activation,
            **shared,
        )
        self.decoder = Decoder(
            self.encoder,
            upsampling,
            decoder_channels,
            tied_weights,
            output_activation=output_activation,
            **shared,
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class _Resize(nn.Module):
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


class _Tied(nn.Module):
    """Holds another layer without owning it: its weight stays one entry of the state dict."""

    def __init__(self, source: nn.Module, n_outputs: int) -> None:
        super().__init__()
        self._source = (source,)
        self.bias = nn.Parameter(torch.zeros(n_outputs))

    @property
    def weight(self) -> Tensor:
        return self._source[0].weight


class _TiedLinear(_Tied):
    def __init__(self, source: nn.Linear) -> None:
        super().__init__(source, source.in_features)

    def forward(self, z: Tensor) -> Tensor:
        return F.linear(z, self.weight.T, self.bias)


class _TiedConvTranspose(_Tied):
    """The adjoint of a convolution, with its own bias."""

    def __init__(self, source: nn.Module, **geometry) -> None:
        super().__init__(source, source.in_channels)
        self.geometry = geometry

    def forward(self, x: Tensor) -> Tensor:
        transpose = getattr(F, f"conv_transpose{x.ndim - 2}d")
        return transpose(x, self.weight, self.bias, **self.geometry)


def initialize_(network: nn.Module, generator: torch.Generator) -> nn.Module:
    """Draw all weights from ``generator``, with torch's default distributions, in place.

    Torch's own initialization reads its global generator, which two threads share.
    """
    for layer in network.modules():
        if isinstance(layer, _Tied):
            nn.init.zeros_(layer.bias)
        elif isinstance(getattr(layer, "weight", None), Tensor) and layer.weight.ndim > 1:
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
            if layer.bias is not None:
                bound = 1 / math.sqrt(layer.weight[0].numel())
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
        elif hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    return network


def _group_norm(n_channels: int, n_dims: int) -> nn.Module:
    """Up to 8 groups, of at least four channels where there are as many."""
    return nn.GroupNorm(math.gcd(8, max(1, n_channels // 4)), n_channels)


def _batch_norm(n_channels: int, n_dims: int) -> nn.Module:
    return _layer("BatchNorm", n_dims)(n_channels)


def _no_norm(n_channels: int, n_dims: int) -> nn.Module:
    return nn.Identity()


def _max_pool(n_dims: int, window: tuple[int, ...]) -> nn.Module:
    return _layer("MaxPool", n_dims)(window, ceil_mode=True)


def _avg_pool(n_dims: int, window: tuple[int, ...]) -> nn.Module:
    return _layer("AvgPool", n_dims)(window, ceil_mode=True)


# Between layers. "leaky_relu" has slope 0.2.
ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": partial(nn.LeakyReLU, 0.2),
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    None: nn.Identity,
}
NORMALIZATIONS = {"batch": _batch_norm, "group": _group_norm, None: _no_norm}
DOWNSAMPLINGS = {"stride": None, "max_pool": _max_pool, "avg_pool": _avg_pool}
UPSAMPLINGS = {"nearest": "nearest", "bilinear": "bilinear", "transpose": "transpose"}
