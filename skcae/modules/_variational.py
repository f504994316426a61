"""Encoder and decoder of a variational autoencoder, with or without a label."""

import copy
from typing import Any

from torch import Tensor, nn

from ._layers import choose, flatten
from ._networks import Autoencoder, Decoder, join

# The logarithm of the posterior's variance is kept where its exponential is finite.
LOGVAR_RANGE = (-20.0, 20.0)
CONDITIONS = {"both": True, "decoder": False}


class VariationalAutoencoder(Autoencoder):
    r"""The networks of :math:`q(z \mid x) = N(\mu(x), \sigma^2(x))` and of the mean of \
    :math:`p(x \mid z)`.

    The last layer of the encoder gives the mean; a second one of the same kind, ``logvar``, gives
    the logarithm of the variance from the same features. With ``n_components=None`` both are
    convolutions, and the code is their feature map, flattened.

    Parameters
    ----------
    n_channels, spatial_shape, **options
        As in :class:`Autoencoder`.
    n_classes : int
        Number of labels; 0 for none.
    condition : {"both", "decoder"}
        With labels: whether the encoder is told them too. They join the input of the encoder and
        the code as one-hot vectors, spread over all positions where those are feature maps.

    Examples
    --------
    >>> import torch
    >>> from skcae.modules import VariationalAutoencoder
    >>> network = VariationalAutoencoder(n_channels=1, spatial_shape=(28, 28), n_components=16)
    >>> mean, logvar = network.encode(torch.zeros(2, 1, 28, 28))
    >>> mean.shape, logvar.shape
    (torch.Size([2, 16]), torch.Size([2, 16]))
    """

    def __init__(
        self,
        n_channels: int,
        spatial_shape: tuple[int, ...],
        n_components: int | None = 16,
        n_classes: int = 0,
        condition: str = "both",
        **options: Any,
    ) -> None:
        if options.get("linear_path"):
            raise ValueError(
                "a network with a distribution of the codes has no linear_path; leave it out."
            )
        labelled_input = choose("condition", condition, CONDITIONS) and n_classes
        super().__init__(n_channels + labelled_input, spatial_shape, n_components, **options)
        self.n_labels_in = labelled_input
        self.convolutional = n_components is None
        if n_classes:
            self._give_the_decoder_labels(n_channels, n_classes, options)
        last = self.encoder.stages[-1] if self.convolutional else self.encoder.dense[-1]
        self.logvar = copy.deepcopy(last)

    def _give_the_decoder_labels(
        self, n_channels: int, n_classes: int, options: dict[str, Any]
    ) -> None:
        if options.get("tied_weights"):
            raise ValueError(
                "tied_weights=True needs a decoder that mirrors the encoder, which a label "
                "prevents; set tied_weights=False."
            )
        names: tuple[str, ...] = ("upsampling", "decoder_channels", "activation", "normalization")
        names += ("activation_first", "output_activation")
        options = {name: options[name] for name in names if name in options}
        self.decoder = Decoder(self.encoder, **options, n_channels=n_channels, n_labels=n_classes)

    def encode(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance ``(n, code size)``; ``y`` is one-hot ``(n, n_classes)``."""
        return self.encode_in_steps(x, y)[0]

    def encode_in_steps(
        self, x: Tensor, y: Tensor | None = None
    ) -> tuple[tuple[Tensor, Tensor], Tensor | None]:
        """Both, and the feature map before the dense layers, where there are such."""
        encoder = self.encoder
        if self.n_labels_in:
            x = join(x, y)
        if self.convolutional:
            h, last = _all_but_the_last(encoder.stages, x)
            mean, logvar, features = flatten(last(h)), flatten(self.logvar(h)), None
        else:
            features = encoder.stages(x)
            h, last = _all_but_the_last(encoder.dense, flatten(features))
            mean, logvar = last(h), self.logvar(h)
        moments = encoder.code_activation(mean), logvar.clamp(*LOGVAR_RANGE)
        return moments, features if len(encoder.stages) else None

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.decoder(z, y)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x, y)[0], y)


def _all_but_the_last(layers: nn.Sequential, x: Tensor) -> tuple[Tensor, nn.Module]:
    """What the layers before the last one give, and that one. Torch 2.5 exports no slices."""
    *before, last = layers
    for layer in before:
        x = layer(x)
    return x, last
