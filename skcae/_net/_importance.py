"""Importance sampling: what a variational model says about the probability of a sample."""

import math
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

from .._data._scaling import to_channels
from ..priors import normal_log_prob

# Random draws that are held at once: 16 MB.
N_DRAWS = 2**22


class ImportanceSampling:
    r"""The methods of a variational net that draw codes for each row.

    With :math:`z_k` from the posterior :math:`q(z \mid x)`,

    .. math:: \log p(x) \approx \log \frac1K \sum_k \frac{p(x \mid z_k) p(z_k)}{q(z_k \mid x)}.

    The draws of a row follow from its values: they are the same in every call, whatever the other
    rows, and more draws begin with fewer.
    """

    def losses(self, X, labels=None):
        """Minus the estimate of the log-likelihood of each row, with few draws."""
        return -self.log_likelihood(X, labels, self.n_importance_samples)[:, 0]

    def log_likelihood(self, X, labels, n_samples):
        """The estimate and its standard error for each row, ``(n, 2)``, in nats.

        Without labels the likelihoods of the classes are added up, draw by draw.
        """

        def estimate(rows, *labels):
            x = self._load(rows)
            if labels or not self.n_classes:
                y = self._one_hot(*labels)
                moments, noise = self.module_.posterior(x, y), self._draw(rows, n_samples)
                return _log_mean(self._terms(x, y, moments, noise).sum(0))
            return _log_mean(torch.logsumexp(self._joint_log_weights(x, rows, n_samples), 0))

        result = self._map(estimate, X, labels, n_samples=n_samples)
        result[:, 0] = -self.loss_in_units(-result[:, 0])
        return result

    def elbo(self, X, labels, n_samples):
        """Expected log-likelihood and divergence of each row, ``(n, 2)``, in nats.

        Without labels of a conditional model, given the most probable ones.
        """

        def terms(rows, *labels):
            x = self._load(rows)
            y = self._one_hot(*labels) if labels else self._likely(x, rows)
            moments, noise = self.module_.posterior(x, y), self._draw(rows, n_samples)
            both = self._terms(x, y, moments, noise, closed=True).mean(2)
            return torch.stack([both[0], -both[1]], 1)

        result = self._map(terms, X, labels, n_samples=n_samples)
        result[:, 0] = -self.loss_in_units(-result[:, 0])
        result[np.isnan(result).any(1)] = [-np.inf, np.inf]  # overflow: as bad as can be
        return result

    def label_posterior(self, X):
        """Probability of each class given each row, ``(n, n_classes)``."""
        return self._map(lambda rows: self._label_posterior(self._load(rows), rows), X)

    def _map(self, function, X, labels=None, out=None, n_samples=None):
        """Over tiles of as many rows as their draws allow, without labels those of each class."""
        if n_samples is None and labels is None and self.n_classes:
            n_samples = self.n_importance_samples
        size = N_DRAWS // ((n_samples or 1) * self.code_size_)
        size = max(1, min(self.tile_size_, size))
        given = [] if labels is None else [labels]
        return self.map_tiles(function, X, *given, size=size, out=out)

    # Of the rows of one tile -----------------------------------------------------------------

    def _label_posterior(self, x: Tensor, rows: np.ndarray) -> Tensor:
        joint = _log_mean(self._joint_log_weights(x, rows, self.n_importance_samples))[..., 0]
        posterior = torch.exp(joint - torch.logsumexp(joint, 0)).T
        # Of a row that no class explains nothing is known but the frequencies of the classes.
        return torch.where(posterior.isnan(), self.module_.class_prior, posterior)

    def _likely(self, x: Tensor, rows: np.ndarray) -> Tensor | None:
        """The most probable label of each row, of a conditional model."""
        if not self.n_classes:
            return None
        return self._one_hot(self._label_posterior(x, rows).argmax(1).cpu().numpy())

    def _joint_log_weights(self, x: Tensor, rows: np.ndarray, n_samples: int) -> Tensor:
        """Of ``log p(x, y)``, ``(n_classes, rows, n_samples)``; all classes see the same draws."""
        noise, prior = self._draw(rows, n_samples), torch.log(self.module_.class_prior)
        moments = self.module_.posteriors(x, self._each_label(len(x)))
        pairs = zip(self._each_label(len(x)), moments, strict=True)
        weights = [self._terms(x, y, both, noise).sum(0) for y, both in pairs]
        return torch.stack(weights) + prior[:, None, None]

    def _terms(self, x: Tensor, y: Tensor | None, moments, noise: Tensor, closed=False) -> Tensor:
        r""":math:`\log p(x|z)` and :math:`\log p(z) - \log q(z|x)`, ``(2, rows, n_samples)``.

        Pairs of row and draw are decoded in tiles of one constant size, whatever the number of
        either, and larger than those of rows, as they are more. ``closed`` takes the divergence
        in closed form where the prior has one.
        """
        model, size, (n_rows, n_samples, _) = self.module_, 4 * self.tile_size_, noise.shape
        (mean, logvar), noise = moments, noise.flatten(0, 1)
        deviation, n_pairs = torch.exp(0.5 * logvar), n_rows * n_samples
        terms = []
        for start in range(0, n_pairs, size):
            pairs = torch.arange(start, start + size, device=x.device).clamp_(max=n_pairs - 1)
            row = pairs // n_samples
            m, v = mean[row], logvar[row]
            z = m + deviation[row] * noise[pairs]
            output = model.decode(z, None if y is None else y[row])
            log_ratio = (
                -model.prior.kl(m, v, z).sum(1)
                if closed
                else model.prior.log_prob(z) - normal_log_prob(z, m, v)
            )
            log_likelihood = self.loss.per_sample(output, x[row], model.variance)
            terms.append(torch.stack([log_likelihood, log_ratio]).double())
        return torch.cat(terms, 1)[:, :n_pairs].unflatten(1, (n_rows, n_samples))

    def _draw(self, rows: np.ndarray, n_samples: int) -> Tensor:
        """Standard normal draws ``(rows, n_samples, code size)``.

        The values of a row are the key of its random stream, so that the errors of different
        rows are independent.
        """
        noise = np.empty((len(rows), n_samples, self.code_size_), np.float32)
        # From double precision: the same for every type of X, and for minus zero.
        x = self.layout.fold(torch.from_numpy(np.array(rows, np.float64)))
        x = (x - to_channels(self.scaling.shift, x)) / to_channels(self.scaling.scale, x)
        keys = self.layout.unfold(x).numpy()
        with np.errstate(over="ignore"):
            keys = keys.astype(np.float32) + np.float32(0.0)
        seed = self.seed.to_bytes(8, "little")
        for key, draws in zip(keys, noise, strict=True):
            key = blake2b(key.tobytes(), digest_size=16, key=seed).digest()
            stream = np.random.Philox(key=int.from_bytes(key, "little"))
            np.random.Generator(stream).standard_normal(out=draws, dtype=np.float32)
        return torch.from_numpy(noise).to(self.device)


def _log_mean(log_weights: Tensor) -> Tensor:
    """Logarithm of the mean over the last axis, and its standard error by the jackknife.

    Where a few weights are most of the sum, the delta method would tell half of the error.
    """
    log_weights = log_weights.nan_to_num(nan=-math.inf, posinf=math.inf, neginf=-math.inf)
    n, (largest, where) = log_weights.shape[-1], log_weights.max(-1, keepdim=True)
    largest = largest.clamp(min=torch.finfo(torch.float64).min)
    weights = torch.exp(log_weights - largest)
    total = weights.sum(-1, keepdim=True)
    # Without each of the weights; without the largest the sum would be lost to rounding.
    others = torch.logsumexp(log_weights.scatter(-1, where, -math.inf), -1, keepdim=True) - largest
    without = torch.log(total - weights).scatter(-1, where, others)
    error = torch.sqrt((n - 1) * without.var(-1, correction=0)).nan_to_num(nan=math.inf)
    return torch.stack([(torch.log(total / n) + largest)[..., 0], error], -1)
