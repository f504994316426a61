r"""Priors of the code of a variational autoencoder: ``log_prob``, ``kl`` and ``sample``.

A prior is a :class:`torch.nn.Module` built from the size of the code. Its parameters are trained
with the network. A prior of your own needs ``log_prob(z) -> (n,)`` and
``sample(n, generator) -> (n, n_components)``.
"""

import math

import torch
from torch import Tensor, nn

__all__ = ["PRIORS", "GaussianMixture", "Normal", "Prior", "normal_log_prob"]

LOG_2_PI = math.log(2 * math.pi)


def normal_log_prob(z: Tensor, mean: Tensor | float = 0.0, logvar: Tensor | None = None) -> Tensor:
    r"""Logarithm of the density of independent normal values, summed over the last axis."""
    if logvar is None:
        return -0.5 * ((z - mean) ** 2 + LOG_2_PI).sum(-1)
    return -0.5 * ((z - mean) ** 2 * torch.exp(-logvar) + logvar + LOG_2_PI).sum(-1)


class Prior(nn.Module):
    """What a prior must provide.

    Parameters
    ----------
    n_components : int
        Size of the code.
    """

    def __init__(self, n_components: int) -> None:
        super().__init__()
        self.n_components = n_components

    def initialize_(self, generator: torch.Generator) -> "Prior":
        """Draw the parameters from ``generator`` in place."""
        return self

    def log_prob(self, z: Tensor) -> Tensor:
        """Logarithm of the density of codes ``(..., n_components)``, of shape ``(...)``."""
        raise NotImplementedError

    def kl(self, mean: Tensor, logvar: Tensor, z: Tensor) -> Tensor:
        r"""Divergence of :math:`q = N(\mu, \sigma^2)` from the prior, in nats.

        Of shape ``(n, n_components)`` where it is a sum over the components, else ``(n, 1)``.
        This one is the estimate :math:`\log q(z) - \log p(z)` with a draw ``z`` from ``q``.
        """
        return (normal_log_prob(z, mean, logvar) - self.log_prob(z))[:, None]

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` codes."""
        raise NotImplementedError


class Normal(Prior):
    """The standard normal distribution."""

    def log_prob(self, z: Tensor) -> Tensor:
        return normal_log_prob(z)

    def kl(self, mean: Tensor, logvar: Tensor, z: Tensor) -> Tensor:
        r""":math:`\frac12 (\mu^2 + \sigma^2 - \log \sigma^2 - 1)` for each component."""
        return 0.5 * (mean**2 + logvar.exp() - logvar - 1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, self.n_components, generator=generator)


class GaussianMixture(Prior):
    r"""A learned mixture :math:`\sum_m w_m N(\mu_m, \operatorname{diag} \sigma_m^2)`.

    Parameters
    ----------
    n_components : int
        Size of the code.
    n_mixtures : int
        Number of normal distributions.

    References
    ----------
    Dilokthanakul, N. et al. (2016). Deep unsupervised clustering with Gaussian mixture
    variational autoencoders. arXiv:1611.02648.
    """

    def __init__(self, n_components: int, n_mixtures: int = 64) -> None:
        super().__init__(n_components)
        self.logits = nn.Parameter(torch.zeros(n_mixtures))
        self.means = nn.Parameter(torch.randn(n_mixtures, n_components))
        self.logvars = nn.Parameter(torch.zeros(n_mixtures, n_components))

    @torch.no_grad()
    def initialize_(self, generator: torch.Generator) -> "GaussianMixture":
        self.logits.zero_()
        self.means.normal_(generator=generator)
        self.logvars.zero_()
        return self

    def log_prob(self, z: Tensor) -> Tensor:
        # The quadratic form as two matrix products: no tensor of n x n_mixtures x n_components.
        precisions = torch.exp(-self.logvars)
        weighted = self.means * precisions
        squares = nn.functional.linear(z**2, precisions) - 2 * nn.functional.linear(z, weighted)
        constants = (self.means * weighted + self.logvars + LOG_2_PI).sum(1)
        return torch.logsumexp(self.logits.log_softmax(0) - 0.5 * (squares + constants), -1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        weights = self.logits.softmax(0).cpu()
        which = torch.multinomial(weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.n_components, generator=generator)
        means, deviations = self.means.cpu()[which], (0.5 * self.logvars.cpu()[which]).exp()
        return means + deviations * noise


PRIORS = {"normal": Normal, "gaussian_mixture": GaussianMixture}
