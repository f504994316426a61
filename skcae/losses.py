"""Reconstruction losses: how badly a network explains each sample.

A :class:`Loss` compares the network's raw output with its target and gives **one value per
sample**. The mean over a batch trains the network; its negative is ``score_samples``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["LOSSES", "Loss", "PerSampleLoss"]


def identity(output: Tensor) -> Tensor:
    return output


@dataclass(frozen=True)
class Loss:
    """A row of ``LOSSES``: a function and what it asks of the data.

    Parameters
    ----------
    function : callable
        ``function(output, target)`` with two tensors of shape ``(n, n_channels, *spatial)``. It
        returns a loss for each value, of that same shape, or for each sample, of shape ``(n,)``.
    link : callable
        Takes the network's output to a reconstruction, as the sigmoid takes logits to [0, 1].
    unit_interval : bool
        False: any real data, centred and scaled by one mean and one standard deviation learned
        in ``fit``. True: data in [0, 1], or unsigned integers, which are divided by the largest
        value of their type.
    power : int
        The loss of data in another unit, ``c * x``, is ``c ** power`` times that of ``x``. It
        brings losses back to the units of the input.
    mean : callable or None
        The mean of ``function`` over all values in one fused operation, for training: it spares
        the loop over a small network a third of its time. None averages the losses.

    Examples
    --------
    >>> import torch
    >>> from skcae import ConvAutoencoder
    >>> from skcae.losses import Loss
    >>> def brier(output, target):
    ...     return (torch.sigmoid(output) - target) ** 2
    >>> loss = Loss(brier, link=torch.sigmoid, unit_interval=True, power=2)
    >>> ConvAutoencoder(loss=loss).loss.unit_interval
    True
    """

    function: Callable[[Tensor, Tensor], Tensor]
    link: Callable[[Tensor], Tensor] = identity
    unit_interval: bool = False
    power: int = 0
    mean: Callable[[Tensor, Tensor], Tensor] | None = None


class PerSampleLoss(nn.Module):
    """The criterion: the mean of a loss over the values of each sample, ``(n,)``.

    Parameters
    ----------
    loss : Loss
        What to average.
    """

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self.loss = loss

    def mean(self, output: Tensor, target: Tensor) -> Tensor:
        """The mean over the samples."""
        if self.loss.mean is None:
            return self(output, target).mean()
        return self.loss.mean(output.float(), target)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        values = self.loss.function(output.float(), target)
        if values.shape == target.shape:
            return values.flatten(1).mean(1)
        if values.shape == target.shape[:1]:
            return values
        raise ValueError(
            f"the loss returned shape {tuple(values.shape)} for data of shape "
            f"{tuple(target.shape)}; it must return one loss per value, of that shape, or one per "
            f"sample, of shape {tuple(target.shape[:1])} (in torch's losses: reduction='none')."
        )


def as_loss(loss) -> Loss:
    """The row that ``loss`` names; a plain callable is a loss on standardised data."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type):
        raise TypeError(f"loss={loss.__name__} is a class; pass an instance, or a function.")
    return Loss(loss) if callable(loss) else LOSSES[loss]


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    r""":math:`(\hat x - x)^2`."""
    return F.mse_loss(output, target, reduction="none")


def absolute_error(output: Tensor, target: Tensor) -> Tensor:
    r""":math:`|\hat x - x|`."""
    return F.l1_loss(output, target, reduction="none")


def binary_crossentropy(output: Tensor, target: Tensor) -> Tensor:
    r""":math:`-x \log \sigma(o) - (1 - x) \log(1 - \sigma(o))`, in nats."""
    return F.binary_cross_entropy_with_logits(output, target, reduction="none")


LOSSES = {
    "squared_error": Loss(squared_error, power=2, mean=F.mse_loss),
    "absolute_error": Loss(absolute_error, power=1, mean=F.l1_loss),
    "binary_crossentropy": Loss(
        binary_crossentropy,
        link=torch.sigmoid,
        unit_interval=True,
        mean=F.binary_cross_entropy_with_logits,
    ),
}
