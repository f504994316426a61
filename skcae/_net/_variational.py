"""The net of the variational autoencoders: the bound that trains it, codes, and evidence."""

import math

import numpy as np
import torch
from torch import Tensor

from ..losses import Likelihood
from ..priors import PRIORS, Prior, normal_log_prob
from ..scores import Evidence
from ._batches import one_hot
from ._build import draw_seed, seeded_globally
from ._importance import ImportanceSampling
from ._latent import LatentVariableModel, check_prior
from ._net import Net
from ._trimming import n_kept, trimmed_mean


class VariationalNet(ImportanceSampling, Net):
    """A :class:`Net` whose loss is minus a bound of the log-likelihood, in nats a sample.

    Labels are indices of classes, of a conditional model. Without them its methods sum over the
    classes, or take the most probable one, as they say.

    Parameters
    ----------
    module, **options
        As of :class:`Net`.
    loss : Likelihood
        Of the values given the code.
    prior : callable
        Builds the prior.
    beta, kl_warmup, free_bits, n_train_samples
        Of the bound that is trained.
    n_importance_samples : int
        Draws of the code in losses.
    n_classes : int
        Number of labels; 0 for none.
    """

    def __init__(
        self,
        module,
        *,
        loss: Likelihood,
        prior=Prior,
        beta=1.0,
        kl_warmup=0.0,
        free_bits=0.0,
        n_train_samples=1,
        n_importance_samples=1,
        n_classes=0,
        **options,
    ):
        self.prior, self.n_classes = prior, n_classes
        self.beta, self.kl_warmup, self.free_bits = beta, kl_warmup, free_bits
        self.n_train_samples, self.n_importance_samples = n_train_samples, n_importance_samples
        super().__init__(module, loss=loss, **options)

    # Building -------------------------------------------------------------------------------

    def initialize_module(self):
        super().initialize_module()
        if self.prior in PRIORS.values():
            with torch.device("meta"):
                prior = self.prior(self.code_size_)
            prior = prior.to_empty(device="cpu").initialize_(self.generator_)
        else:
            with seeded_globally(draw_seed(self.generator_), self.device):
                prior = self.prior(self.code_size_)
            check_prior(prior, self.code_size_)
        self.module_ = LatentVariableModel(self.module_, prior, self.n_classes)
        return self

    @property
    def network(self):
        return self.module_.network

    # Training -------------------------------------------------------------------------------

    def prepare(self, x, y):
        return self._standardize(x), y

    def count_labels(self, labels: np.ndarray, anew: bool) -> None:
        """Learn the probabilities of the classes."""
        counts = self.module_.class_counts
        if anew:
            counts.zero_()
        counts += torch.from_numpy(np.bincount(labels, minlength=self.n_classes)).to(counts)

    def objective(self, inputs, target, share, trim):
        """Minus the mean of the bound, without the share ``trim`` where it is lowest."""
        with self.autocast():
            losses = -self._bound(inputs, target, share, trim)
            return trimmed_mean(losses, trim) if trim else losses.mean()

    def _bound(self, x: Tensor, y: Tensor | None, share: float, trim: float) -> Tensor:
        """The bound that is trained, for each sample of a batch."""
        model, n = self.module_, self.n_train_samples
        mean, logvar = model.posterior(x, y)
        noise = torch.randn((n, *mean.shape), generator=self.noise_generator_, device=mean.device)
        z = mean + torch.exp(0.5 * logvar) * noise
        output, target = model.decode(z.flatten(0, 1), _repeat(y, n)), _repeat(x, n)
        variance = model.variance
        if self.loss.has_variance:
            variance = model.update_variance(*_without_worst(output, target, trim))
        log_likelihood = self.loss.per_sample(output, target, variance)
        beta = self.beta * min(1.0, share / self.kl_warmup if self.kl_warmup else 1.0)
        if n == 1:
            kl = model.prior.kl(mean, logvar, z[0])
            if self.free_bits:
                return log_likelihood - beta * kl.mean(0).clamp(min=self.free_bits).sum()
            return log_likelihood - beta * kl.sum(1)
        log_ratio = model.prior.log_prob(z) - normal_log_prob(z, mean, logvar)
        log_weights = log_likelihood.reshape(n, -1) + beta * log_ratio
        return torch.logsumexp(log_weights, 0) - math.log(n)

    def loss_in_units(self, losses):
        """A density of standardized data in the units of the input."""
        shift = self.layout.n_features * np.mean(np.log(self.scaling.scale))
        return losses + (shift if self.loss.density else 0.0)

    # Codes ----------------------------------------------------------------------------------

    def posterior(self, X, labels=None):
        """Mean and standard deviation of the code of each row, ``(n, code size)`` each.

        Without labels those of the mixture over the classes.
        """
        return self._map(self._moments, X, labels)

    def encode(self, X, labels=None, out=None):
        """The mean of the code, as from :meth:`posterior`."""
        return self._map(lambda *tile: self._moments(*tile)[0], X, labels, out)

    def encode_by(self, X, weights):
        """The mean of the code over the classes, by weights ``(n, n_classes)``."""

        def encode(rows, weights):
            return self._mixture(self._load(rows), self._pad(weights))[0]

        return self.map_tiles(encode, X, weights)

    def _moments(self, rows: np.ndarray, *labels: np.ndarray) -> tuple[Tensor, Tensor]:
        x = self._load(rows)
        if not labels and self.n_classes:
            return self._mixture(x, self._label_posterior(x, rows))
        mean, logvar = self.module_.posterior(x, self._one_hot(*labels))
        return mean, torch.exp(0.5 * logvar)

    def _mixture(self, x: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Moments of the mixture of the posteriors under each label."""
        mean = square = 0.0
        moments = self.module_.posteriors(x, self._each_label(len(x)))
        for share, moments_of_label in zip(shares.T, moments, strict=True):
            m, logvar = (value.double()[: len(share)] for value in moments_of_label)
            mean = mean + share[:, None] * m
            square = square + share[:, None] * (m**2 + torch.exp(logvar))
        return mean.float(), torch.sqrt((square - mean**2).clamp(min=0)).float()

    def decode(self, Z, labels=None, out=None):
        """Rows for codes; without labels the mean over the classes by their frequency."""

        def decode(rows, *labels):
            z = self._pad(rows).float()
            if labels or not self.n_classes:
                return self._unfold(self.module_.decode(z, self._one_hot(*labels)))
            shares = zip(self.module_.class_prior, self._each_label(len(z)), strict=True)
            decoded = (p * self._unfold(self.module_.decode(z, y)).double() for p, y in shares)
            mean = sum(decoded)
            return mean if self.scaling.is_far else mean.float()

        return self.map_tiles(decode, Z, *([] if labels is None else [labels]), out=out)

    def reconstruct(self, X, labels=None, out=None):
        """Of a conditional model, encoded under the most probable labels; decoded under others."""

        def reconstruct(rows, *labels):
            x = self._load(rows)
            likely = self._likely(x, rows)
            y = self._one_hot(*labels) if labels else likely
            return self._unfold(self.module_.decode(self.module_.encode(x, likely), y))

        return self._map(reconstruct, X, labels, out)

    def sample(self, n_samples, seed):
        """Codes drawn from the prior."""
        generator = torch.Generator().manual_seed(seed)
        with torch.inference_mode():
            return self.module_.prior.sample(n_samples, generator).cpu().numpy()

    # Anomalies ------------------------------------------------------------------------------

    def map_evidence(self, function, X, labels=None):
        """Without labels, that of the most probable ones."""

        def evidence(rows, *labels):
            x = self._load(rows)
            y = self._one_hot(*labels) if labels else self._likely(x, rows)
            return function(self._evidence(x, y))

        return self._map(evidence, X, labels)

    def _evidence(self, x: Tensor, y: Tensor | None = None) -> Evidence:
        mean, features = self.module_.evidence_of(x, y)
        x_hat = self.loss.link(self.module_.decode(mean, y).float())
        return Evidence(x, x_hat, (x_hat - x) ** 2, mean, self._data_range(), features)

    def _error_power(self):
        return 2

    # Labels ---------------------------------------------------------------------------------

    def _one_hot(self, labels: np.ndarray | None = None) -> Tensor | None:
        """Labels of a tile."""
        return None if labels is None else one_hot(self._pad(labels), self.n_classes)

    def _each_label(self, n: int):
        """Each label in turn, ``n`` times."""
        for row in torch.eye(self.n_classes, device=self.device):
            yield row.expand(n, -1)


def _repeat(x: Tensor | None, n: int) -> Tensor | None:
    """The whole batch ``n`` times over."""
    return x if x is None or n == 1 else x.repeat(n, *[1] * (x.ndim - 1))


def _without_worst(output: Tensor, target: Tensor, trim: float) -> tuple[Tensor, Tensor]:
    """The pairs from which the variance is estimated."""
    if not trim:
        return output, target
    errors = ((output.detach().float() - target) ** 2).flatten(1).mean(1)
    kept = errors.topk(n_kept(len(errors), trim), largest=False).indices
    return output[kept], target[kept]
