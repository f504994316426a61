"""Reconstruction losses and likelihoods: how well a network explains each sample.

A :class:`Loss` compares the network's raw output with its target and gives **one value per
sample**. The mean over a batch trains the network; its negative is ``score_samples``. A
:class:`Likelihood` is the distribution of the data around a decoder's output, for the variational
autoencoders.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["LIKELIHOODS", "LOSSES", "Likelihood", "Loss", "PerSampleLoss"]


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
        in ``fit``. True: data in [0, 1], or integers: masks of 0 and 1, or images, which are
        divided by the largest value of their type.
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


def as_loss(loss: str | Loss | Callable[[Tensor, Tensor], Tensor]) -> Loss:
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
    r""":math:`-x \log \sigma(o) - (1 - x) \log(1 - \sigma(o))`, in nats; x is clipped."""
    return F.binary_cross_entropy_with_logits(output, target.clamp(0, 1), reduction="none")


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


@dataclass(frozen=True)
class Likelihood:
    r"""A row of ``LIKELIHOODS``: the distribution :math:`p(x \mid z)` of independent values.

    Parameters
    ----------
    log_prob : callable
        ``log_prob(output, target)`` with two tensors of one shape returns the logarithm of the
        probability, or of its density, of each value, in nats.
    link : callable
        Takes the network's output to the mean of the distribution.
    unit_interval : bool
        As in :class:`Loss`.
    density : bool
        Whether values are continuous, so that the density changes with their unit.
    has_variance : bool
        Whether `log_prob` takes a third argument, a variance common to all values. It is the
        mean squared error at every step, which maximizes the likelihood given the outputs.

    Examples
    --------
    >>> import torch
    >>> from skcae import ConvVAE
    >>> from skcae.losses import Likelihood
    >>> def laplace(output, target):
    ...     return torch.distributions.Laplace(output, 0.3).log_prob(target)
    >>> ConvVAE(likelihood=Likelihood(laplace, density=True)).likelihood.density
    True
    """

    log_prob: Callable[..., Tensor]
    link: Callable[[Tensor], Tensor] = identity
    unit_interval: bool = False
    density: bool = True
    has_variance: bool = False
    power = 0

    def per_sample(self, output: Tensor, target: Tensor, variance: Tensor) -> Tensor:
        """The sum over the values of each sample, ``(n,)``."""
        output = output.float()
        arguments = (variance,) if self.has_variance else ()
        values = self.log_prob(output, target, *arguments)
        if values.shape != target.shape:
            raise ValueError(
                f"the likelihood returned shape {tuple(values.shape)} for data of shape "
                f"{tuple(target.shape)}; it must return one logarithm per value, of that shape."
            )
        return values.flatten(1).sum(1)


def gaussian(output: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    r""":math:`-\frac{(x - o)^2}{2 \sigma^2} - \frac12 \log 2 \pi \sigma^2`."""
    squares = F.mse_loss(output, target, reduction="none")
    return -0.5 * (squares / variance + torch.log(2 * math.pi * variance))


def bernoulli(output: Tensor, target: Tensor) -> Tensor:
    r""":math:`x \log \sigma(o) + (1 - x) \log(1 - \sigma(o))`."""
    return -binary_crossentropy(output, target)


def continuous_bernoulli(output: Tensor, target: Tensor) -> Tensor:
    r"""That of ``bernoulli`` plus :math:`\log \frac{o}{\tanh(o / 2)}`, which makes it a density \
    on [0, 1] (Loaiza-Ganem and Cunningham, 2019)."""
    near_zero = output.abs() < 0.03
    safe = torch.where(near_zero, 1.0, output)
    normalizer = torch.log(safe / torch.tanh(safe / 2))
    series = math.log(2) + output**2 / 12
    return bernoulli(output, target) + torch.where(near_zero, series, normalizer)


def continuous_bernoulli_mean(output: Tensor) -> Tensor:
    """The mean of the continuous Bernoulli distribution with these logits."""
    near_zero = output.abs() < 0.03
    safe = torch.where(near_zero, 1.0, output)
    mean = torch.sigmoid(safe) / torch.tanh(safe / 2) - 1 / safe
    return torch.where(near_zero, 0.5 + output / 12, mean)


LIKELIHOODS = {
    "gaussian": Likelihood(gaussian, has_variance=True),
    "bernoulli": Likelihood(bernoulli, torch.sigmoid, unit_interval=True, density=False),
    "continuous_bernoulli": Likelihood(
        continuous_bernoulli, continuous_bernoulli_mean, unit_interval=True
    ),
}
