"""The net of the variational autoencoders: the bound that trains it, and the likelihood."""

import math
from collections.abc import Iterator
from hashlib import blake2b
from types import MethodType

import numpy as np
import torch
from torch import Tensor, nn

from ._net import OWN_NETWORKS, Net, seeded_globally
from ._tensors import moved, to_tensor
from .losses import Likelihood
from .priors import PRIORS, Prior, normal_log_prob
from .scores import Evidence

# The variance of a Gaussian likelihood: weight of the newest batch in its mean, and its smallest
# value, in the units of standardized data.
VARIANCE_MOMENTUM = 0.05
SMALLEST_VARIANCE = 1e-6
# Random draws, and values of rows, that are held at once: 80 MB together.
N_DRAWS, N_VALUES = 2**22, 2**24


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

    def posterior(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean, logvar = self.network.encode(x, *self._labels(x, y))
        return mean.float(), logvar.float()

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.posterior(x, y)[0]

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.network.decode(z, *self._labels(z, y))

    def _labels(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, ...]:
        """The label argument of the network, if it has one; no label is all zeros."""
        if not self.n_classes:
            return ()
        return (x.new_zeros(len(x), self.n_classes) if y is None else y,)

    @torch.no_grad()
    def update_variance(self, output: Tensor, target: Tensor) -> Tensor:
        """Take in a batch, and return its own variance: the best one given the outputs."""
        now = ((output.float() - target) ** 2).mean().clamp(min=SMALLEST_VARIANCE)
        self.n_batches += 1
        share = torch.clamp(1 / self.n_batches, min=VARIANCE_MOMENTUM)
        self.variance.lerp_(now, share)
        return now


class Labels:
    """Codes of labels ``(n,)``, read in batches as one-hot tensors."""

    def __init__(self, codes: np.ndarray, n_classes: int, device) -> None:
        self.X, self.n_classes, self.device = codes, n_classes, device

    def batches(self, parts: list[np.ndarray]) -> Iterator[Tensor]:
        codes = moved(torch.from_numpy(self.X[np.concatenate(parts)]), self.device)
        batches = codes.split([len(part) for part in parts])
        return (one_hot(batch, self.n_classes) for batch in batches)


def _check_prior(prior, code_size):
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


def one_hot(codes: Tensor, n_classes: int) -> Tensor:
    """Rows of zeros with a one; torch's own function waits for the device."""
    return torch.eye(n_classes, device=codes.device)[codes.long()]


def _repeat(x: Tensor | None, n: int) -> Tensor | None:
    """The whole batch ``n`` times over."""
    return x if x is None or n == 1 else x.repeat(n, *[1] * (x.ndim - 1))


class VariationalNet(Net):
    """A :class:`Net` whose loss is minus a bound of the log-likelihood, in nats a sample.

    ``y`` are labels, as integer codes, of a conditional model; None means that there are none.
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
        super().__init__(module, loss=loss, **options)
        own = {
            "prior": prior,
            "beta": beta,
            "kl_warmup": kl_warmup,
            "free_bits": free_bits,
            "n_train_samples": n_train_samples,
            "n_importance_samples": n_importance_samples,
            "n_classes": n_classes,
        }
        vars(self).update(own)
        self.build_arguments |= own

    # Building -------------------------------------------------------------------------------

    def initialize_module(self):
        super().initialize_module()
        if self.prior in PRIORS.values():
            with torch.device("meta"):
                prior = self.prior(self.code_size_)
            prior = prior.to_empty(device="cpu").initialize_(self.generator_)
        else:
            with seeded_globally(self._draw_seed(), self.device):
                prior = self.prior(self.code_size_)
            _check_prior(prior, self.code_size_)
        self.module_ = LatentVariableModel(self.module_, prior, self.n_classes)
        return self

    # Training -------------------------------------------------------------------------------

    def _network(self):
        return self.module_.network

    def _pair(self, x, y):
        return self._standardize(x), y

    def _objective(self, inputs, target):
        losses = -self._bound(inputs, target)
        return self._trimmed_mean(losses) if self._trims() else losses.mean()

    def _bound(self, x: Tensor, y: Tensor | None) -> Tensor:
        """The bound that is trained, for each sample of a batch."""
        model, n = self.module_, self.n_train_samples
        mean, logvar = model.posterior(x, y)
        noise = torch.randn((n, *mean.shape), generator=self.noise_generator_, device=mean.device)
        z = mean + torch.exp(0.5 * logvar) * noise
        output, target = model.decode(z.flatten(0, 1), _repeat(y, n)), _repeat(x, n)
        variance = model.variance
        if self.loss.has_variance:
            variance = model.update_variance(*self._kept(output, target))
        log_likelihood = self.loss.per_sample(output, target, variance)
        beta = self.beta * min(1.0, self.share / self.kl_warmup if self.kl_warmup else 1.0)
        if n == 1:
            kl = model.prior.kl(mean, logvar, z[0])
            if self.free_bits:
                return log_likelihood - beta * kl.mean(0).clamp(min=self.free_bits).sum()
            return log_likelihood - beta * kl.sum(1)
        log_ratio = model.prior.log_prob(z) - normal_log_prob(z, mean, logvar)
        log_weights = log_likelihood.reshape(n, -1) + beta * log_ratio
        return torch.logsumexp(log_weights, 0) - math.log(n)

    def _kept(self, output, target):
        """The pairs from which the variance is estimated."""
        if not self._trims():
            return output, target
        errors = ((output.detach().float() - target) ** 2).flatten(1).mean(1)
        kept = errors.topk(self._n_kept(len(errors)), largest=False).indices
        return output[kept], target[kept]

    def train(self, X, y=None, *, streaming=False, **options):
        """Count the labels too, from which the probabilities of the classes are estimated."""
        if y is not None:
            counts = np.bincount(y.X, minlength=self.n_classes)
            if not streaming:
                self.module_.class_counts.zero_()
            self.module_.class_counts += torch.from_numpy(counts).to(self.device)
        return super().train(X, y, streaming=streaming, **options)

    # Inference ------------------------------------------------------------------------------

    def in_units(self, losses):
        """A density of standardized data in the units of the input."""
        shift = self.layout.n_features * math.log(self.scaling.scale)
        return losses + (shift if self.loss.density else 0.0)

    def posterior(self, X, y=None):
        """Mean and standard deviation of the code of each row, ``(n, 2, code size)``.

        Without labels those of the mixture over the classes.
        """
        if y is None and self.n_classes:
            weights = self.label_posterior(X).T[:, :, None]
            mean = square = 0.0
            for weight, codes in zip(weights, self._each_class(X), strict=True):
                m, s = self.posterior(X, codes).swapaxes(0, 1).astype(np.float64)
                mean, square = mean + weight * m, square + weight * (m**2 + s**2)
            deviation = np.sqrt(np.maximum(square - mean**2, 0))
            return np.stack([mean, deviation], 1, dtype=np.float32, casting="same_kind")

        def posterior(x, *y):
            mean, logvar = self.module_.posterior(self._standardize(x), *y)
            return torch.stack([mean, torch.exp(0.5 * logvar)], 1)

        return self._by_tiles(posterior, X, labels=y)

    def encode(self, X, y=None):
        return self.posterior(X, y)[:, 0]

    def decode(self, Z, y=None):
        """Rows for codes; without labels the mean over the classes."""
        if y is None and self.n_classes:
            rows = (self.decode(Z, codes) for codes in self._each_class(Z))
            return sum(p * x for p, x in zip(self._class_prior(), rows, strict=True)).astype(
                np.float32
            )

        def decode(z, *y):
            return self._unfold(self.module_.decode(z.float(), *y))

        return self._by_tiles(decode, Z, labels=y, fold=False)

    def losses(self, X, y=None):
        """Minus the estimate of the log-likelihood of each row, with few samples."""
        return -self.log_likelihood(X, y, self.n_importance_samples)[0]

    def reconstruct(self, X, y=None):
        """Of a conditional model, encoded under the most probable labels; decoded under ``y``."""
        likely = self._likely(X, None)
        return self.decode(self.encode(X, likely), likely if y is None else y)

    def label_posterior(self, X):
        """Probability of each class given each row, ``(n, n_classes)``."""
        joint = np.empty((self.n_classes, len(X)))
        for rows, log_weights in self._joint_log_weights(X, self.n_importance_samples):
            joint[:, rows] = _log_mean(log_weights)[0]
        with np.errstate(invalid="ignore"):
            posterior = np.exp(joint - np.logaddexp.reduce(joint, axis=0)).T
        # Of a row that no class explains nothing is known but the frequencies of the classes.
        return np.where(np.isnan(posterior), self._class_prior(), posterior)

    def _joint_log_weights(self, X, n_samples):
        """Slices of rows with estimates of ``log p(x, y)``, ``(n_classes, rows, n_samples)``.

        All classes see the same draws.
        """
        with np.errstate(divide="ignore"):
            log_prior = np.log(self._class_prior())[:, None, None]
        parts = (self._by_pairs(X, codes, n_samples) for codes in self._each_class(X))
        for same_rows in zip(*parts, strict=True):
            yield same_rows[0][0], np.stack([terms.sum(0) for _, terms in same_rows]) + log_prior

    def _class_prior(self):
        counts = self.module_.class_counts.cpu().numpy()
        return counts / counts.sum()

    def _each_class(self, X):
        return (np.full(len(X), c) for c in range(self.n_classes))

    def log_likelihood(self, X, y, n_samples):
        """Importance-weighted estimate and its standard error for each row, in nats.

        Without labels the likelihoods of the classes are added up, draw by draw.
        """
        if y is None and self.n_classes:
            parts = self._joint_log_weights(X, n_samples)
            parts = ((rows, np.logaddexp.reduce(weights, axis=0)) for rows, weights in parts)
        else:
            parts = ((rows, terms.sum(0)) for rows, terms in self._by_pairs(X, y, n_samples))
        result = np.empty((2, len(X)))
        for rows, log_weights in parts:
            result[:, rows] = _log_mean(log_weights)
        result[0] = -self.in_units(-result[0])
        return result

    def elbo(self, X, y, n_samples):
        """Expected log-likelihood and divergence of each row, in nats.

        Without labels of a conditional model, given the most probable ones.
        """
        y = self._likely(X, y)
        result = np.empty((2, len(X)))
        for rows, (log_likelihood, log_ratio) in self._by_pairs(X, y, n_samples, closed=True):
            result[0, rows] = log_likelihood.mean(1)
            result[1, rows] = -log_ratio.mean(1)
        result[0] = -self.in_units(-result[0])
        beyond = np.isnan(result).any(0)  # overflow: as bad as can be
        result[:, beyond] = [[-np.inf], [np.inf]]
        return result

    def reconstruction_losses(self, X, labels=None):
        """Minus the first term of the bound."""
        return -self._elbo_of_likely(X, labels)[0]

    def divergences(self, X, labels=None):
        """The second term of the bound."""
        return self._elbo_of_likely(X, labels)[1]

    def _elbo_of_likely(self, X, labels):
        return self.elbo(X, labels, self.n_importance_samples)

    def _likely(self, X, labels):
        """Without labels of a conditional model, the most probable ones."""
        if labels is None and self.n_classes:
            return self.label_posterior(X).argmax(1)
        return labels

    @torch.inference_mode()
    def _by_pairs(self, X, y, n_samples, closed=False):
        r"""Slices of rows with :math:`\log p(x|z)` and :math:`\log p(z) - \log q(z|x)`.

        Both terms come as an array ``(2, rows, n_samples)``, float64. Pairs of row and draw are
        decoded in tiles of one constant size, whatever the number of either. ``closed`` takes
        the divergence in closed form where the prior has one.
        """
        step = N_DRAWS // (n_samples * self.code_size_)
        step = max(1, min(step, N_VALUES // self.layout.n_features))
        for start in range(0, len(X), step):
            rows = slice(start, start + step)
            part, labels = X[rows], None if y is None else y[rows]
            moments = torch.from_numpy(self.posterior(part, labels)).to(self.device)
            terms = self._terms(part, labels, moments, n_samples, closed)
            yield rows, terms.reshape(2, len(part), n_samples)

    def _terms(self, X, y, moments, n_samples, closed):
        n_pairs, model = len(X) * n_samples, self.module_
        x = self._standardize(self.layout.fold(to_tensor(np.array(X), self.device)))
        noise = self._noise(X, n_samples)
        labels = None if y is None else one_hot(torch.from_numpy(y), self.n_classes).to(x.device)

        def tile(start):
            pairs = torch.arange(start, start + self.tile_size, device=x.device)
            pairs = pairs.clamp_(max=n_pairs - 1)
            row = pairs // n_samples
            mean, deviation = moments[row].unbind(1)
            logvar, z = 2 * torch.log(deviation), mean + deviation * noise[pairs]
            output = model.decode(z, None if labels is None else labels[row])
            log_ratio = (
                -model.prior.kl(mean, logvar, z).sum(1)
                if closed
                else model.prior.log_prob(z) - normal_log_prob(z, mean, logvar)
            )
            log_likelihood = self.loss.per_sample(output, x[row], model.variance)
            return torch.stack([log_likelihood, log_ratio], 1).double()

        return self._over_tiles(tile, n_pairs).T

    def _noise(self, rows, n_samples):
        """Draws ``(len(rows) * n_samples, code size)`` that depend on nothing but each row.

        The values of a row are the key of its random stream: its score is always the same, the
        errors of different rows are independent, and more draws begin with fewer.
        """
        noise = np.empty((len(rows), n_samples, self.code_size_), np.float32)
        for row, draws in zip(rows, noise, strict=True):
            # From double precision: the same for every type of X, and for minus zero.
            row = (np.asarray(row, np.float64) - self.scaling.shift) / self.scaling.scale
            with np.errstate(over="ignore"):
                row = row.astype(np.float32)
            key = blake2b(
                (row + 0.0).tobytes(),
                digest_size=16,
                key=self.seed.to_bytes(8, "little"),
            )
            stream = np.random.Philox(key=int.from_bytes(key.digest(), "little"))
            np.random.Generator(stream).standard_normal(out=draws, dtype=np.float32)
        return torch.from_numpy(noise.reshape(-1, self.code_size_)).to(self.device)

    @torch.inference_mode()
    def sample(self, n_samples, seed):
        """Codes drawn from the prior."""
        generator = torch.Generator().manual_seed(seed)
        return self.module_.prior.sample(n_samples, generator).cpu().numpy()

    # Anomalies ------------------------------------------------------------------------------

    def over_evidence(self, function, X, labels=None):
        """Without labels, that of the most probable ones."""
        labels = self._likely(X, labels)

        def evidence(x, *y):
            return function(self._evidence(self._standardize(x), *y))

        return self._by_tiles(evidence, X, labels=labels)

    def _evidence(self, x, *y):
        model, features = self.module_, None
        if self.module in OWN_NETWORKS:
            moments, features = model.network.encode_in_steps(x, *model._labels(x, *y))
        else:
            moments = model.posterior(x, *y)
        mean = moments[0].float()
        x_hat = self.loss.link(model.decode(mean, *y).float())
        return Evidence(x, x_hat, (x_hat - x) ** 2, mean, self._data_range(), features)

    def error_in_units(self, errors):
        return errors * self.scaling.scale**2

    def _by_tiles(self, function, X, *others, labels=None, fold=True):
        if labels is None:
            return super()._by_tiles(function, X, *others, fold=fold)

        def tile(start):
            y = self._tile(labels, start, fold=False)
            return function(self._tile(X, start, fold), one_hot(y, self.n_classes))

        return self._over_tiles(tile, len(X))


def _log_mean(log_weights):
    """Logarithm of the mean over the last axis, and its standard error by the delta method."""
    log_weights = np.where(np.isnan(log_weights), -np.inf, log_weights)
    n, largest = log_weights.shape[-1], log_weights.max(-1, keepdims=True)
    largest = np.maximum(largest, np.finfo(float).min)
    weights = np.exp(log_weights - largest)
    mean = weights.mean(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = weights.std(-1, ddof=1) if n > 1 else np.nan
        return np.stack([np.log(mean) + largest[..., 0], spread / mean / math.sqrt(n)])
