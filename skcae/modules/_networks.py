"""Encoder, decoder, and the two together."""

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ._geometry import Geometry, Padding, Sizes, integers
from ._layers import (
    DOWNSAMPLINGS,
    NORMALIZATIONS,
    UPSAMPLINGS,
    Choice,
    Convolution,
    Linear,
    Resize,
    TiedConvTranspose,
    TiedLinear,
    activate,
    build,
    choose,
    flatten,
    layer,
    switch,
)
from ._linear import LinearPath, scale_last_layer_


def _finish(
    n: int, n_dims: int, activation: Choice, normalization: Choice, activation_first: bool
) -> list[nn.Module]:
    """Normalization and activation that follow a convolution with ``n`` channels."""
    norm = choose("normalization", normalization, NORMALIZATIONS)
    sizes = (n,) if norm is normalization else (n, n_dims)
    layers = [
        build("normalization", normalization, norm, *sizes),
        activate("activation", activation),
    ]
    layers = [layer for layer in layers if not isinstance(layer, nn.Identity)]
    return layers[::-1] if activation_first else layers


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
    normalization : key of ``NORMALIZATIONS`` or callable ``(n_channels) -> module``
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
        kernel_size: Sizes = 3,
        stride: Sizes = 2,
        padding: Padding = "same",
        downsampling: str = "stride",
        activation: Choice = "relu",
        normalization: Choice = "batch",
        activation_first: bool = False,
        code_activation: Choice = None,
    ) -> None:
        super().__init__()
        n_dims, n_stages = len(spatial_shape), len(hidden_channels)
        self.geometry = Geometry(spatial_shape, kernel_size, stride, padding, n_stages)
        self.widths = [n_channels, *integers("hidden_channels", hidden_channels)]
        hidden_units = integers("hidden_units", hidden_units)
        pool = choose("downsampling", downsampling, DOWNSAMPLINGS)
        stages = []
        for i, (c_in, c_out) in enumerate(pairwise(self.widths)):
            k, s, p = (getattr(self.geometry, a)[i] for a in ("kernels", "strides", "paddings"))
            conv = layer("Conv", n_dims)(c_in, c_out, k, stride=1 if pool else s, padding=p)
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
        self.code_activation = activate("code_activation", code_activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.code_activation(self.dense(flatten(self.stages(x))))


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
    n_channels : int or None
        Channels of the output. None: those of the encoder's input.
    n_labels : int
        Length of the one-hot label that joins the code.
    """

    def __init__(
        self,
        encoder: Encoder,
        upsampling: str = "transpose",
        decoder_channels: Sequence[int] | None = None,
        tied_weights: bool = False,
        activation: Choice = "relu",
        normalization: Choice = "batch",
        activation_first: bool = False,
        output_activation: Choice = None,
        n_channels: int | None = None,
        n_labels: int = 0,
    ) -> None:
        super().__init__()
        geometry, widths = encoder.geometry, encoder.widths
        if n_channels is not None:
            widths = [n_channels, *widths[1:]]
        n_dims, n_stages = len(geometry.kept[0]), len(widths) - 1
        mode = choose("upsampling", upsampling, UPSAMPLINGS, closed=True)
        self.map_shape = (widths[-1], *geometry.kept[-1])
        tied_linears = [m for m in encoder.dense if isinstance(m, nn.Linear)][::-1]
        sizes = [*encoder.sizes[:0:-1], math.prod(self.map_shape)]
        self.n_labels, self.labelled_map = n_labels, len(sizes) == 1
        if not self.labelled_map:
            sizes[0] += n_labels
        self.dense = _dense(sizes, activation, tied_linears if tied_weights else None)
        self.after_dense = (
            activate("activation", activation) if n_stages and len(self.dense) else nn.Identity()
        )
        if tied_weights:
            if decoder_channels is not None:
                raise ValueError("tied_weights=True fixes decoder_channels; leave it at None.")
            outputs = widths[-2::-1]
        else:
            decoder_channels = widths[:0:-1] if decoder_channels is None else decoder_channels
            decoder_channels = integers("decoder_channels", decoder_channels)
            outputs = _decoder_outputs(decoder_channels, n_stages, widths[0])
        mirrored: Any = encoder.stages
        stages: list[nn.Module] = []
        c_in = widths[-1] + n_labels * self.labelled_map
        for i, c_out in zip(reversed(range(n_stages)), outputs, strict=False):
            source = mirrored[i][0] if tied_weights else None
            up = _upsample(geometry, i, mode, c_in, c_out, source)
            last = len(stages) == len(outputs) - 1
            rest = (
                [] if last else _finish(c_out, n_dims, activation, normalization, activation_first)
            )
            stages.append(nn.Sequential(*up, *rest))
            c_in = c_out
        if len(outputs) > n_stages:
            k = geometry.kernels[0] // 2 * 2 + 1
            stages.append(layer("Conv", n_dims)(c_in, outputs[-1], k, padding=k // 2))
        self.stages = nn.Sequential(*stages)
        self.output_activation = activate("output_activation", output_activation)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        if self.n_labels and not self.labelled_map:
            z = join(z, y)
        feature_map = self.after_dense(self.dense(z)).unflatten(1, self.map_shape)
        if self.n_labels and self.labelled_map:
            feature_map = join(feature_map, y)
        return self.output_activation(self.stages(feature_map))


def join(x: Tensor, y: Any) -> Tensor:
    """Append one-hot labels to ``(n, n_channels, ...)``, the same at all positions."""
    y = y.to(x.dtype).reshape(*y.shape, *[1] * (x.ndim - 2))
    return torch.cat([x, y.expand(-1, -1, *x.shape[2:])], 1)


def _decoder_outputs(channels: list[int], n_stages: int, n_channels: int) -> list[int]:
    """Channels that each convolution of the decoder puts out."""
    if len(channels) not in (n_stages, n_stages - 1) and n_stages:
        raise ValueError(
            f"decoder_channels={channels!r} has {len(channels)} entries; {n_stages} convolutional "
            f"stages need {n_stages} (and an output convolution is added) or {n_stages - 1}."
        )
    return [*channels, n_channels] if n_stages else []


def _upsample(
    geometry: Geometry, i: int, mode: str, c_in: int, c_out: int, source: Convolution | None
) -> list[nn.Module]:
    """Undo stage ``i`` of the encoder; ``source`` is the convolution whose weights are shared."""
    k, s, p = geometry.kernels[i], geometry.strides[i], geometry.paddings[i]
    n_dims = len(geometry.kept[0])
    transpose = partial(
        TiedConvTranspose if source else layer("ConvTranspose", n_dims),
        *((source,) if source else (c_in, c_out, k)),
        padding=p,
    )
    if mode == "transpose":
        return [transpose(stride=s, output_padding=geometry.output_padding(i))]
    resize = [] if s == 1 else [Resize(geometry.full[i], mode)]
    if source:
        return [*resize, transpose(stride=1, output_padding=0)]
    # At stride 1 a transposed convolution is a convolution with the complementary padding.
    return [*resize, layer("Conv", n_dims)(c_in, c_out, k, padding=k - 1 - p)]


def _dense(
    sizes: list[int], activation: Choice, tied: list[nn.Linear] | None = None
) -> nn.Sequential:
    """Linear layers with the activation between them, none after the last."""
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        layers += [activate("activation", activation)] if i else []
        layers += [TiedLinear(tied[i]) if tied else Linear(n_in, n_out)]
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
    linear_path : bool or "logits"
        Whether a linear path leads past the layers ``f`` and ``g``, to an output of values or of
        logits: ``z = W (x - mean) + s f(x)`` and ``x_hat = W.T z + mean + s g(z)``, where ``W``
        holds the principal components of the training data. It needs a size of the code, and
        neither tied weights nor an activation on the code or the output.

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
        kernel_size: Sizes = 3,
        stride: Sizes = 2,
        padding: Padding = "same",
        downsampling: str = "stride",
        upsampling: str = "transpose",
        decoder_channels: Sequence[int] | None = None,
        activation: Choice = "relu",
        normalization: Choice = "batch",
        activation_first: bool = False,
        tied_weights: bool = False,
        code_activation: Choice = None,
        output_activation: Choice = None,
        linear_path: bool | str = False,
    ) -> None:
        super().__init__()
        hidden_channels, hidden_units = list(hidden_channels), list(hidden_units)
        if n_components is None and (hidden_units or not hidden_channels):
            raise ValueError(
                "n_components=None makes the last feature map the code: it needs at least one "
                f"entry in hidden_channels (given {tuple(hidden_channels)}) and no hidden_units "
                f"(given {tuple(hidden_units)}); set n_components, or change those."
            )
        tied_weights = switch("tied_weights", tied_weights)
        shared: dict[str, Any] = {
            "activation": activation,
            "normalization": normalization,
            "activation_first": switch("activation_first", activation_first),
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
        self.linear_path: LinearPath | None = None
        if linear_path:
            if n_components is None or tied_weights or code_activation or output_activation:
                raise ValueError(
                    "linear_path=True needs n_components, and neither tied_weights nor "
                    "code_activation nor output_activation; leave those out, or linear_path."
                )
            shape = (n_channels, *spatial_shape)
            self.linear_path = LinearPath(n_components, shape, linear_path == "logits")

    def start_linear_path_(self, components: Tensor, mean: Tensor) -> None:
        """Have the network be the linear path alone, until it is trained."""
        path = self.linear_path
        assert path is not None
        path.components.copy_(components)
        path.mean.copy_(mean)
        self._scale_ends_(0.0)

    def absorb_share_(self) -> None:
        """Have the layers give what they give now with a share of one, so that they can learn."""
        path = self.linear_path
        assert path is not None
        self._scale_ends_(float(path.share))
        path.share.fill_(1.0)

    def _scale_ends_(self, factor: float) -> None:
        decoder = self.decoder
        scale_last_layer_(self.encoder.dense, factor)
        scale_last_layer_(decoder.stages if len(decoder.stages) else decoder.dense, factor)

    def encode(self, x: Tensor) -> Tensor:
        return self.encode_in_steps(x)[0]

    def encode_in_steps(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The code, and the feature map before the dense layers, where there are both."""
        path, (z, features) = self.linear_path, self.encode_by_layers(x)
        return z if path is None else path.join(path.encode(x), z), features

    def encode_by_layers(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The same without the linear path."""
        encoder = self.encoder
        if not len(encoder.stages) or not len(encoder.dense):
            return encoder(x), None
        features = encoder.stages(x)
        return encoder.code_activation(encoder.dense(flatten(features))), features

    def decode(self, z: Tensor) -> Tensor:
        path, x_hat = self.linear_path, self.decoder(z)
        return x_hat if path is None else path.join(path.decode(z), x_hat)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))
