"""Networks: encoder, decoder, and the two together.

A network maps a batch ``x`` of shape ``(n, n_channels, *spatial_shape)`` to codes ``z`` of shape
``(n, n_components)`` and back. The spatial dimension (1, 2 or 3) is the length of
``spatial_shape``. One stage of the encoder is

.. math:: h = \\mathrm{downsample}(\\mathrm{norm}(\\mathrm{act}(W * x + b)))

(or activation after normalization, the default), and the decoder mirrors it: it resizes to the
size that the encoder's convolution had before it dropped positions, and convolves back. Every
side length round-trips exactly.

A network of your own is any :class:`torch.nn.Module` with ``encode(x) -> z`` and
``decode(z) -> x_hat``; pass its class as ``module=`` of an estimator. For a variational
autoencoder ``encode(x)`` returns two tensors, the mean and the log-variance of the code; with
labels both methods take them as a second argument, one-hot.
"""

from ._layers import ACTIVATIONS, DOWNSAMPLINGS, NORMALIZATIONS, UPSAMPLINGS, initialize_
from ._networks import Autoencoder, Decoder, Encoder
from ._variational import CONDITIONS, VariationalAutoencoder

__all__ = [
    "ACTIVATIONS",
    "CONDITIONS",
    "DOWNSAMPLINGS",
    "NORMALIZATIONS",
    "UPSAMPLINGS",
    "Autoencoder",
    "Decoder",
    "Encoder",
    "VariationalAutoencoder",
    "initialize_",
]
