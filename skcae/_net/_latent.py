"""The module of a variational net: encoder, decoder, prior, and what is learned beside them."""

from collections.abc import Iterable, Iterator
from itertools import repeat
from types import MethodType

import torch
from torch import Tensor, nn

from ..priors import Prior
from ._build import OWN_NETWORKS

# The variance of a Gaussian likelihood: weight of the newest batch in its mean, and its smallest
# value, in the units of standardized data.
VARIANCE_MOMENTUM, VARIANCE_FLOOR = 0.05, 1e-6


class LatentVariableModel(nn.Module):
    """All that is learned: encoder and decoder, prior, and the variance of the likelihood.

    Parameters
    ----------
    network : Module
        Has ``encode(x) -> (mean, logvar)`` and ``decode(z)``, with labels as second argument.
    prior : Module
        The prior of the code.
    n_classes : int
        Number of labels; 0 for none.
    """

    def __init__(self, network: nn.Module, prior: nn.Module, n_classes: int) -> None:
        super().__init__()
        self.network, self.prior = network, prior
        self.register_buffer("variance", torch.tensor(1.0))
        self.register_buffer("n_batches", torch.tensor(0))
        self.register_buffer("class_counts", torch.zeros(n_classes, dtype=torch.float64))

    @property
    def n_classes(self) -> int:
        return len(self.class_counts)

    @property
    def class_prior(self) -> Tensor:
        """Frequencies of the labels in the training data, in double precision."""
        return self.class_counts / self.class_counts.sum()

    def posterior(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the code."""
        mean, logvar = self.network.encode(x, *self._labels(x, y))
        return mean.float(), logvar.float()

    def posteriors(self, x: Tensor, labels: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """The same under each of several labels; encoded once where the encoder is told none."""
        if getattr(self.network, "n_labels_in", 1):
            return (self.posterior(x, y) for y in labels)
        return repeat(self.posterior(x), self.n_classes)

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The mean of the code."""
        return self.posterior(x, y)[0]

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The output of the decoder."""
        return self.network.decode(z, *self._labels(z, y))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The output for the mean of the code."""
        return self.decode(self.encode(x, y), y)

    def evidence_of(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The mean of the code, and the feature map of one of our networks."""
        if not isinstance(self.network, OWN_NETWORKS):
            return self.encode(x, y), None
        moments, features = self.network.encode_in_steps(x, *self._labels(x, y))
        return moments[0].float(), features

    def _labels(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, ...]:
        """The label argument of the network, if it has one; no label is all zeros."""
        if not self.n_classes:
            return ()
        return (x.new_zeros(len(x), self.n_classes) if y is None else y,)

    @torch.no_grad()
    def update_variance(self, output: Tensor, target: Tensor) -> Tensor:
        """Take in a batch, and return its own variance: the best one given the outputs."""
        now = ((output.float() - target) ** 2).mean().clamp(min=VARIANCE_FLOOR)
        self.n_batches += 1
        share = torch.clamp(1 / self.n_batches, min=VARIANCE_MOMENTUM)
        self.variance.lerp_(now, share)
        return now


def check_prior(prior, code_size: int) -> None:
    """Check a prior of the user's, and lend it the divergence if it has none."""
    if not isinstance(prior, nn.Module) or not callable(getattr(prior, "log_prob", None)):
        raise TypeError(
            f"prior built a {type(prior).__name__}; it must build a module with log_prob(z) and "
            f"sample(n, generator), such as a skcae.priors.Prior."
        )
    with torch.no_grad():
        shape = tuple(prior.log_prob(torch.zeros(2, code_size)).shape)
    if shape != (2,):
        raise ValueError(
            f"log_prob of the prior returned shape {shape} for 2 codes; it must return one "
            f"logarithm per code, of shape (2,)."
        )
    if not hasattr(prior, "kl"):
        prior.kl = MethodType(Prior.kl, prior)
