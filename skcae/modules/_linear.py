"""The linear path of an autoencoder: projection onto the principal components, and back."""

import torch
from torch import Tensor, nn

from ._layers import linear

# Reconstructions that go to logits are kept this far from 0 and 1.
LOGIT_MARGIN = 0.02


class LinearPath(nn.Module):
    r"""Beside a network with ``f`` in its encoder and ``g`` in its decoder:

    .. math:: z = W (x - \mu) + s f(x), \qquad \hat x = W^T z + \mu + s g(z).

    :math:`W` holds the principal components of the training data and :math:`\mu` their mean,
    for each value of a sample one; none of them is trained. With :math:`s = 0` this is PCA.

    Parameters
    ----------
    n_components : int
        Size of the code.
    shape : tuple of int
        ``(n_channels, *spatial_shape)``.
    logits : bool
        Whether the output of the network is logits of the values.
    """

    components: Tensor
    mean: Tensor
    share: Tensor

    def __init__(self, n_components: int, shape: tuple[int, ...], logits: bool = False) -> None:
        super().__init__()
        self.shape, self.logits = tuple(shape), logits
        self.register_buffer("components", torch.zeros(n_components, torch.Size(shape).numel()))
        self.register_buffer("mean", torch.zeros(torch.Size(shape).numel()))
        self.register_buffer("share", torch.ones(()))

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.components)
        nn.init.zeros_(self.mean)
        nn.init.ones_(self.share)

    def encode(self, x: Tensor) -> Tensor:
        """``(n, n_components)``, in single precision."""
        with torch.autocast(x.device.type, enabled=False):
            return linear(x.float().flatten(1) - self.mean, self.components)

    def decode(self, z: Tensor) -> Tensor:
        """``(n, n_channels, *spatial_shape)``, in single precision."""
        with torch.autocast(z.device.type, enabled=False):
            x = linear(z.float(), self.components.T) + self.mean
            x = x.unflatten(1, self.shape)
        return torch.logit(x.clamp(LOGIT_MARGIN, 1 - LOGIT_MARGIN)) if self.logits else x

    def join(self, straight: Tensor, own: Tensor) -> Tensor:
        """What the path gives and what the layers give, by their share, together."""
        return straight + self.share * own


def scale_last_layer_(layers: nn.Module, factor: float) -> None:
    """Multiply what these layers end in."""
    own = [dict(module.named_parameters(recurse=False)) for module in layers.modules()]
    last = [parameters for parameters in own if "bias" in parameters][-1]
    with torch.no_grad():
        last["weight"].mul_(factor)
        last["bias"].mul_(factor)
