"""Densities of features: what is normal among them, for the anomaly scores that learn it."""

import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.cluster import kmeans_plusplus
from torch import Tensor

from ._threads import one_thread
from .modules._layers import linear

__all__ = ["Density", "Joint", "Mahalanobis", "Mixture", "Neighbors"]

# Principal components that are kept; what mixtures add to the variances of
# standardized features, at least; the smallest variance along an axis.
MOST_FEATURES, VARIANCE_ADDED, SMALLEST_EIGENVALUE = 64, 1e-2, 1e-6
# Steps of expectation maximization and of k-means, at most; the gain in nats, and the movement of
# the centres in shares of the variance, below which they end.
MOST_STEPS, SMALLEST_GAIN, MOST_MOVES, SMALLEST_MOVE = 10, 1e-2, 300, 1e-4
# Deviations below this share of the largest are rounding, and are not blown up.
SMALLEST_SCALE = 1e-5
SMALLEST_DEVIATION = 1e-8


class Density:
    """What is normal among features; the base of those that ``SCORES`` uses.

    Each of the features is reduced to its first principal components, ``MOST_FEATURES`` of them
    at most, and standardized, before ``_fit`` sees all of them side by side.
    """

    def fit(self, *features: Tensor) -> Self:
        """Learn from features ``(n, n_features)`` of normal samples, in double precision."""
        self.means = [part.mean(0) for part in features]
        self.axes = [_axes(part - part.mean(0)) for part in features]
        return self._fit(self._reduce(features))

    def _reduce(self, features: tuple[Tensor, ...]) -> Tensor:
        parts = zip(features, self.means, self.axes, strict=True)
        return torch.cat([linear(part - mean, axes) for part, mean, axes in parts], 1)

    def __call__(self, *features: Tensor) -> Tensor:
        """How abnormal features are, ``(n,)``."""
        return self._score(self._reduce(features))

    def _fit(self, features: Tensor) -> Self:
        raise NotImplementedError

    def _score(self, features: Tensor) -> Tensor:
        raise NotImplementedError

    def level(self) -> float:
        """The score of a typical sample, as far as it differs between densities of other samples.

        The number of principal components, and with it the score, depends on that of the samples.
        """
        return 0.0

    def to(self, device: torch.device | str) -> Self:
        """With all tensors on a device."""
        vars(self).update(_convert(vars(self), lambda value: value.to(device), Tensor | Density))
        return self

    def __getstate__(self) -> dict[str, Any]:
        return _convert(vars(self), _to_array, Tensor)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(_convert(state, _to_tensor, np.ndarray))


def _to_array(tensor: Tensor) -> NDArray[Any]:
    """In single precision where that loses nothing."""
    array = tensor.cpu().numpy()
    single = array.astype(np.float32)
    return single if np.array_equal(single, array) else array


def _to_tensor(array: NDArray[Any]) -> Tensor:
    """A copy: what is loaded from a memory map cannot be written to."""
    return torch.from_numpy(array.astype(np.float64))


def _convert(value: Any, function: Callable[[Any], Any], kind: Any) -> Any:
    """Apply to all of one kind in dicts and lists."""
    if isinstance(value, dict):
        return {name: _convert(item, function, kind) for name, item in value.items()}
    if isinstance(value, list):
        return [_convert(item, function, kind) for item in value]
    return function(value) if isinstance(value, kind) else value


def _axes(centred: Tensor) -> Tensor:
    """Rows that standardize features, or their first principal components."""
    n, d = centred.shape
    if d <= MOST_FEATURES:
        axes = torch.eye(d, dtype=centred.dtype, device=centred.device)
        scale = centred.std(0, correction=0)
    else:
        _, singular, axes = (
            torch.linalg.svd(centred, full_matrices=False) if n < d else _svd(centred)
        )
        axes, scale = axes[:MOST_FEATURES], singular[:MOST_FEATURES] / math.sqrt(n)
    noise = max(float(scale.max()) * SMALLEST_SCALE, SMALLEST_DEVIATION)
    return axes / torch.where(scale > noise, scale, 1.0)[:, None]


def _svd(centred: Tensor) -> tuple[None, Tensor, Tensor]:
    """Singular values and right vectors by the covariance, which is quicker for many samples."""
    squares, axes = torch.linalg.eigh(centred.T @ centred)
    return None, torch.sqrt(squares.clamp(min=0)).flip(0), axes.T.flip(0)


class Mixture(Density):
    r"""Minus the logarithm of the density of a mixture of normal distributions, in nats.

    Fitted to standardized features by a few steps of expectation maximization from clusters of
    k-means, with as many components as leave each ten samples a feature, up to ``n_components``,
    and variances raised by the more, the fewer samples there are.
    """

    def __init__(self, n_components: int = 8) -> None:
        self.n_components = n_components

    def _fit(self, features: Tensor) -> Self:
        n, d = features.shape
        k = max(1, min(self.n_components, n // (10 * d)))
        with one_thread():
            if k == 1:
                mean = features.mean(0)
                covariance = _shrink(features - mean)[None]
                return self._keep(features.new_ones(1), mean[None], _factors(covariance))
            added = max(VARIANCE_ADDED, k * d / n)
            self._maximize(features, _cluster(features, k), added)
            self._iterate(features, added)
        return self

    def _iterate(self, features: Tensor, added: float) -> None:
        """Expectation maximization, until it gains little."""
        bound = -math.inf
        for _ in range(MOST_STEPS):
            logs = self._log_densities(features)
            before, bound = bound, float(torch.logsumexp(logs, 1).mean())
            self._maximize(features, torch.softmax(logs, 1), added)
            if abs(bound - before) < SMALLEST_GAIN:
                break

    def _maximize(self, features: Tensor, shares: Tensor, added: float) -> None:
        """The step that fits each component to its shares ``(n, k)`` of the samples."""
        sizes = shares.sum(0) + 10 * torch.finfo(shares.dtype).eps  # of the empty ones, too
        means = shares.T @ features / sizes[:, None]
        covariances = _scatter(features, shares, means) / sizes[:, None, None]
        covariances += added * torch.eye(features.shape[1]).to(features)
        self._keep(sizes / sizes.sum(), means, _factors(covariances))

    def _keep(self, weights: Tensor, means: Tensor, factors: Tensor) -> Self:
        """Keep what scoring needs of weights, means and Cholesky factors of the precisions."""
        d = means.shape[1]
        self.offset = torch.einsum("kd,kde->ke", means, factors)  # which standardize by each
        log_det = torch.log(factors.diagonal(dim1=1, dim2=2)).sum(1)
        self.constant = torch.log(weights) + log_det - d * math.log(2 * math.pi) / 2
        self.factors = factors.transpose(1, 2).reshape(-1, d).contiguous()
        return self

    def level(self) -> float:
        """The mean of a component's entropy, and of its weight."""
        return float(self._weights() @ (self.offset.shape[1] / 2 - self.constant))

    def _weights(self) -> Tensor:
        """Of the components, ``(k,)``."""
        k, d = self.offset.shape
        factors = self.factors.unflatten(0, (k, d))
        log_det = torch.log(factors.diagonal(dim1=1, dim2=2)).sum(1)
        return torch.exp(self.constant - log_det + d * math.log(2 * math.pi) / 2)

    def update(self, n_known: int, *features: Tensor) -> None:
        """Take in more samples, beside ``n_known``, by one step of expectation maximization.

        The standardization stays. Statistics are added up as in stepwise EM (Cappe and Moulines,
        2009): no earlier sample is needed.
        """
        values = self._reduce(features)
        k, d = self.offset.shape
        factors = self.factors.unflatten(0, (k, d)).transpose(1, 2)
        inverse = torch.linalg.inv(factors)
        weights = self._weights()
        means = torch.einsum("ke,ked->kd", self.offset, inverse)
        covariances = inverse.transpose(1, 2) @ inverse
        shares = torch.softmax(self._log_densities(values), 1)
        old, new = n_known * weights, shares.sum(0)
        total = old + new
        mean = (old[:, None] * means + shares.T @ values) / total[:, None]
        scatter = _scatter(values, shares, mean)
        moved = (means - mean)[..., None] * (means - mean)[:, None]
        added = VARIANCE_ADDED * torch.eye(d).to(values) * new[:, None, None]
        covariance = old[:, None, None] * (covariances + moved) + scatter + added
        self._keep(total / total.sum(), mean, _factors(covariance / total[:, None, None]))

    def _score(self, features: Tensor) -> Tensor:
        return -torch.logsumexp(self._log_densities(features), 1)

    def _log_densities(self, features: Tensor) -> Tensor:
        """Of each component, with its weight."""
        distances = linear(features, self.factors).unflatten(1, self.offset.shape) - self.offset
        return self.constant - (distances**2).sum(2) / 2

    def round(self) -> None:
        """Keep what single precision holds, so that pickles are half as large and lose nothing."""
        vars(self).update(_convert(vars(self), lambda tensor: tensor.float().double(), Tensor))

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "factors" in state:  # triangular
            k, d = state["offset"].shape
            rows, columns = np.tril_indices(d)
            state["factors"] = state["factors"].reshape(k, d, d)[:, rows, columns]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "factors" in state:
            k, d = state["offset"].shape
            factors = np.zeros((k, d, d), state["factors"].dtype)
            factors[:, *np.tril_indices(d)] = state["factors"]
            state = {**state, "factors": factors.reshape(-1, d)}
        super().__setstate__(state)


def _shrink(centred: Tensor) -> Tensor:
    """The covariance, moved towards a multiple of the unit matrix as Ledoit and Wolf (2004) do.

    By as much as is expected to bring it nearest to the covariance of the population.
    """
    n, d = centred.shape
    unit = torch.eye(d).to(centred)
    covariance = centred.T @ centred / n
    size = covariance.trace() / d
    distance = ((covariance - size * unit) ** 2).sum()
    fourth = (centred**2).sum(1).square().mean()
    error = (fourth - (covariance**2).sum()) / n
    share = (error / distance).clamp(0, 1) if distance > 0 else error.new_zeros(())
    return (1 - share) * covariance + (share * size + VARIANCE_ADDED) * unit


def _cluster(features: Tensor, k: int) -> Tensor:
    """To which of the clusters of k-means each sample belongs, one-hot ``(n, k)``."""
    if k == 1:
        return features.new_ones(len(features), 1)
    features = features - features.mean(0)
    # A function, no estimator: of those users patch `fit`, to log it.
    centres, _ = kmeans_plusplus(features.cpu().numpy(), k, random_state=0)
    centres = torch.from_numpy(centres).to(features)
    smallest = SMALLEST_MOVE * features.var(0, correction=0).mean()
    for _ in range(MOST_MOVES):
        nearest = _nearest(features, centres)
        moved = nearest.T @ features / nearest.sum(0)[:, None]
        moved = torch.where(moved.isfinite(), moved, centres)  # of an empty cluster
        centres, before = moved, centres
        if ((centres - before) ** 2).sum() <= smallest:
            break
    return _nearest(features, centres)


def _nearest(features: Tensor, centres: Tensor) -> Tensor:
    """The nearest centre of each sample, one-hot ``(n, k)``."""
    distances = (centres**2).sum(1) - 2 * linear(features, centres)
    return F.one_hot(distances.argmin(1), len(centres)).to(features)


def _scatter(features: Tensor, shares: Tensor, means: Tensor) -> Tensor:
    """Of each component the sum of the squares around its mean, ``(k, d, d)``."""
    centred = features - means[:, None]
    return (shares.T[..., None] * centred).transpose(1, 2) @ centred


def _factors(covariances: Tensor) -> Tensor:
    """Upper Cholesky factors of the precisions, ``(k, d, d)``."""
    unit = torch.eye(covariances.shape[1]).to(covariances).expand_as(covariances)
    lower = torch.linalg.cholesky(covariances)
    return torch.linalg.solve_triangular(lower, unit, upper=False).transpose(1, 2)


class Joint(Density):
    """The mean of the mixtures of the code with each of several other features."""

    def fit(self, *features: Tensor) -> Self:
        """Fit a :class:`Mixture` of the first with each of the others."""
        code, *others = features
        self.mixtures = [Mixture().fit(code, other) for other in others]
        return self

    def __call__(self, *features: Tensor) -> Tensor:
        code, *others = features
        pairs = zip(self.mixtures, others, strict=True)
        return torch.stack([density(code, other) for density, other in pairs]).mean(0)

    def level(self) -> float:
        """As of a :class:`Mixture`."""
        return sum(density.level() for density in self.mixtures) / len(self.mixtures)

    def update(self, n_known: int, *features: Tensor) -> None:
        """As of a :class:`Mixture`."""
        code, *others = features
        for density, other in zip(self.mixtures, others, strict=True):
            density.update(n_known, code, other)

    def round(self) -> None:
        """As of a :class:`Mixture`."""
        for density in self.mixtures:
            density.round()


class Mahalanobis(Density):
    """The Mahalanobis distance from the mean."""

    def _fit(self, features: Tensor) -> Self:
        variances, axes = torch.linalg.eigh(features.T @ features / len(features))
        self.whitening = axes.T / torch.sqrt(variances.clamp(min=SMALLEST_EIGENVALUE))[:, None]
        return self

    def _score(self, features: Tensor) -> Tensor:
        return torch.linalg.vector_norm(linear(features, self.whitening), dim=1)


class Neighbors(Mahalanobis):
    """The mean distance to the nearest training samples, after whitening.

    A training sample is not its own neighbour.
    """

    def __init__(self, n_neighbors: int = 5) -> None:
        self.n_neighbors = n_neighbors

    def _fit(self, features: Tensor) -> Self:
        super()._fit(features)
        self.known = linear(features, self.whitening)
        self.squares = (self.known**2).sum(1)
        return self

    def update(self, n_known: int, *features: Tensor) -> None:
        """Take in more samples, beside the newest ``n_known``; the whitening stays."""
        new = linear(self._reduce(features), self.whitening)
        self.known = torch.cat([self.known[-n_known:], new])
        self.squares = (self.known**2).sum(1)

    def _score(self, features: Tensor) -> Tensor:
        z = linear(features, self.whitening)
        squares = (z**2).sum(1, keepdim=True) + self.squares - 2 * linear(z, self.known)
        k = min(self.n_neighbors + 1, len(self.known))
        nearest = squares.topk(k, dim=1, largest=False).values
        if k > 1:
            itself = nearest[:, :1] <= 1e-9 * (1 + self.squares.mean())
            nearest = torch.where(itself, nearest[:, 1:], nearest[:, :-1])
        return torch.sqrt(nearest.clamp(min=0)).mean(1)
