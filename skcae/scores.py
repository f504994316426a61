r"""Anomaly scores: what the code and the reconstruction of a sample say about it.

A :class:`Score` maps the :class:`Evidence` of a batch, one forward pass, to one value for each
sample, **higher for more abnormal**; ``score_samples`` is its negative. A score with a ``density``
first learns what is normal from the evidence of training data.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn import config_context, mixture
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.utils import check_consistent_length, column_or_1d
from threadpoolctl import threadpool_limits
from torch import Tensor

__all__ = [
    "SCORES",
    "Density",
    "Evidence",
    "Mahalanobis",
    "Mixture",
    "Neighbors",
    "Score",
    "code",
    "roc_auc_scorer",
]

# Share of the values of a sample that "top_error" averages; side of the windows of "ssim".
TOP_SHARE, SSIM_WINDOW = 0.05, 7
# Cells along each axis of the grids on which "joint" sees the error, and the feature map.
ERROR_GRIDS, FEATURE_GRID = (1, 2, 4), 3
# Added to an error before its logarithm: of standardized data, whose variance is 1.
SMALLEST_ERROR = 1e-8
# Of densities: principal components that are kept; what mixtures add to the variances of
# standardized features, at least; the smallest variance along an axis.
MOST_FEATURES, VARIANCE_ADDED, SMALLEST_EIGENVALUE = 64, 1e-2, 1e-6
# Deviations below this share of the largest are rounding, and are not blown up.
SMALLEST_SCALE = 1e-5


class Evidence(NamedTuple):
    """What one forward pass tells about each of ``n`` samples.

    Parameters
    ----------
    x, x_hat : Tensor of shape ``(n, n_channels, *spatial)``
        The standardized sample and its reconstruction.
    values : Tensor of shape ``(n, n_channels, *spatial)``
        The loss of each value; the squared error where the loss has none of its own.
    z : Tensor of shape ``(n, code size)``
        The code.
    data_range : float
        Of the network's data: 1 in the unit interval, 4 standard deviations else.
    features : Tensor of shape ``(n, n_filters, *spatial)`` or None
        The feature map before the dense layers of the encoder, where there are such.
    """

    x: Tensor
    x_hat: Tensor
    values: Tensor
    z: Tensor
    data_range: float = 1.0
    features: Tensor | None = None


@dataclass(frozen=True)
class Score:
    """A row of ``SCORES``.

    Parameters
    ----------
    function : callable
        ``function(evidence)`` returns a value for each sample, ``(n,)``, higher for more
        abnormal; with a density, features ``(n, n_features)``, or a tuple of several.
    density : callable or None
        Builds an object with ``fit(*features)`` and ``__call__(*features) -> (n,)``, such as
        :class:`Mixture`. It is fitted to the features of training data.
    in_units : bool
        Whether the value is a loss, to be given in the units of the input.

    Examples
    --------
    >>> from skcae import ConvAutoencoder
    >>> from skcae.scores import Score
    >>> def median_error(evidence):
    ...     return evidence.values.flatten(1).median(1).values
    >>> ConvAutoencoder(anomaly_score=Score(median_error, in_units=True)).anomaly_score.in_units
    True
    """

    function: Callable[[Evidence], Tensor | tuple[Tensor, ...]] | None = None
    density: Callable[[], Any] | None = None
    in_units: bool = False

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"function={self.function!r} is not callable; pass a function.")


def top_error(evidence: Evidence) -> Tensor:
    """The mean over the largest 5 % of the values, for small defects."""
    values = evidence.values.flatten(1)
    return values.topk(math.ceil(TOP_SHARE * values.shape[1]), dim=1).values.mean(1)


def dissimilarity(evidence: Evidence) -> Tensor:
    """One minus the structural similarity (Wang et al., 2004).

    Its mean over all windows of 7 values a side, uniformly weighted, with the constants
    0.01 and 0.03 times the range of the data: 1, or of standardized data 4.
    """
    x, y = evidence.x, evidence.x_hat
    window = [min(SSIM_WINDOW, side) for side in x.shape[2:]]
    pool = getattr(F, f"avg_pool{len(window)}d")
    mean = partial(pool, kernel_size=tuple(window), stride=1)
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * evidence.data_range) ** 2, (0.03 * evidence.data_range) ** 2
    similarity = (2 * mx * my + c1) * (2 * cov + c2)
    similarity = similarity / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return 1 - similarity.flatten(1).mean(1)


def code(evidence: Evidence) -> Tensor:
    """The code, for the densities."""
    return evidence.z.double()


def code_error_and_features(evidence: Evidence) -> tuple[Tensor, ...]:
    """The code; the logarithm of the error on three grids; the feature map on one.

    The error is the mean of the values within each cell of a grid of 1, 2 and 4 cells along each
    axis, the feature map that of each filter on a grid of 3, as far as the axes are that long.
    """
    error = evidence.values.double().mean(1, keepdim=True)
    errors = [torch.log(_pool(error, n) + SMALLEST_ERROR) for n in ERROR_GRIDS]
    features = evidence.features
    return code(evidence), *errors, *([] if features is None else [_pool(features, FEATURE_GRID)])


def _pool(values: Tensor, n_cells: int) -> Tensor:
    """The mean over the cells of a grid, flattened."""
    pool = getattr(F, f"adaptive_avg_pool{values.ndim - 2}d")
    return pool(values, [min(n_cells, side) for side in values.shape[2:]]).flatten(1)


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
        return torch.cat([F.linear(part - mean, axes) for part, mean, axes in parts], 1)

    def __call__(self, *features: Tensor) -> Tensor:
        """How abnormal features are, ``(n,)``."""
        return self._score(self._reduce(features))

    def _fit(self, features: Tensor) -> Self:
        raise NotImplementedError

    def _score(self, features: Tensor) -> Tensor:
        raise NotImplementedError

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
    noise = max(float(scale.max()) * SMALLEST_SCALE, SMALLEST_ERROR)
    return axes / torch.where(scale > noise, scale, 1.0)[:, None]


def _svd(centred: Tensor) -> tuple[None, Tensor, Tensor]:
    """Singular values and right vectors by the covariance, which is quicker for many samples."""
    squares, axes = torch.linalg.eigh(centred.T @ centred)
    return None, torch.sqrt(squares.clamp(min=0)).flip(0), axes.T.flip(0)


class Mixture(Density):
    r"""Minus the logarithm of the density of a mixture of normal distributions, in nats.

    Fitted by expectation maximization (:class:`sklearn.mixture.GaussianMixture`) to standardized
    features, with as many components as leave each ten samples a feature, up to
    ``n_components``, and variances raised by the more, the fewer samples there are.
    """

    def __init__(self, n_components: int = 8) -> None:
        self.n_components = n_components

    def _fit(self, features: Tensor) -> Self:
        n, d = features.shape
        k = max(1, min(self.n_components, n // (10 * d)))
        fit = _fit_mixture if k > 1 else _fit_normal
        return self._keep(*fit(features, k, max(VARIANCE_ADDED, k * d / n)))

    def _keep(self, weights: Tensor, means: Tensor, factors: Tensor) -> Self:
        """Keep what scoring needs of weights, means and Cholesky factors of the precisions."""
        d = means.shape[1]
        self.offset = torch.einsum("kd,kde->ke", means, factors)  # which standardize by each
        log_det = torch.log(factors.diagonal(dim1=1, dim2=2)).sum(1)
        self.constant = torch.log(weights) + log_det - d * math.log(2 * math.pi) / 2
        self.factors = factors.transpose(1, 2).reshape(-1, d).contiguous()
        return self

    def update(self, n_known: int, *features: Tensor) -> None:
        """Take in more samples, beside ``n_known``, by one step of expectation maximization.

        The standardization stays. Statistics are added up as in stepwise EM (Cappe and Moulines,
        2009): no earlier sample is needed.
        """
        values = self._reduce(features)
        k, d = self.offset.shape
        factors = self.factors.unflatten(0, (k, d)).transpose(1, 2)
        inverse = torch.linalg.inv(factors)
        log_det = torch.log(factors.diagonal(dim1=1, dim2=2)).sum(1)
        weights = torch.exp(self.constant - log_det + d * math.log(2 * math.pi) / 2)
        means = torch.einsum("ke,ked->kd", self.offset, inverse)
        covariances = inverse.transpose(1, 2) @ inverse
        shares = torch.softmax(self._log_densities(values), 1)
        old, new = n_known * weights, shares.sum(0)
        total = old + new
        mean = (old[:, None] * means + shares.T @ values) / total[:, None]
        centred = values[None] - mean[:, None]
        scatter = (shares.T[..., None] * centred).transpose(1, 2) @ centred
        moved = (means - mean)[..., None] * (means - mean)[:, None]
        added = VARIANCE_ADDED * torch.eye(d).to(values) * new[:, None, None]
        covariance = old[:, None, None] * (covariances + moved) + scatter + added
        self._keep(total / total.sum(), mean, _factors(covariance / total[:, None, None]))

    def _score(self, features: Tensor) -> Tensor:
        return -torch.logsumexp(self._log_densities(features), 1)

    def _log_densities(self, features: Tensor) -> Tensor:
        """Of each component, with its weight."""
        distances = F.linear(features, self.factors).unflatten(1, self.offset.shape) - self.offset
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


def _fit_mixture(features: Tensor, k: int, added: float) -> tuple[Tensor, Tensor, Tensor]:
    """Weights ``(k,)``, means ``(k, d)`` and Cholesky factors of the precisions ``(k, d, d)``."""
    model = mixture.GaussianMixture(k, reg_covar=added, max_iter=10, tol=1e-2, random_state=0)
    with (
        warnings.catch_warnings(),
        threadpool_limits(1),  # more are slower
        config_context(array_api_dispatch=False),  # which its k-means does not know
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features.cpu().numpy())
    fitted = model.weights_, model.means_, model.precisions_cholesky_
    weights, means, factors = (torch.from_numpy(array).to(features) for array in fitted)
    return weights, means, factors


def _fit_normal(features: Tensor, k: int, added: float) -> tuple[Tensor, Tensor, Tensor]:
    """The same for one component, which needs no iterations."""
    mean = features.mean(0)
    unit = torch.eye(features.shape[1], dtype=features.dtype, device=features.device)
    covariance = (features - mean).T @ (features - mean) / len(features) + added * unit
    return features.new_ones(1), mean[None], _factors(covariance[None])


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
        return torch.linalg.vector_norm(F.linear(features, self.whitening), dim=1)


class Neighbors(Mahalanobis):
    """The mean distance to the nearest training samples, after whitening.

    A training sample is not its own neighbour.
    """

    def __init__(self, n_neighbors: int = 5) -> None:
        self.n_neighbors = n_neighbors

    def _fit(self, features: Tensor) -> Self:
        super()._fit(features)
        self.known = F.linear(features, self.whitening)
        self.squares = (self.known**2).sum(1)
        return self

    def update(self, n_known: int, *features: Tensor) -> None:
        """Take in more samples, beside the newest ``n_known``; the whitening stays."""
        new = F.linear(self._reduce(features), self.whitening)
        self.known = torch.cat([self.known[-n_known:], new])
        self.squares = (self.known**2).sum(1)

    def _score(self, features: Tensor) -> Tensor:
        z = F.linear(features, self.whitening)
        squares = (z**2).sum(1, keepdim=True) + self.squares - 2 * F.linear(z, self.known)
        k = min(self.n_neighbors + 1, len(self.known))
        nearest = squares.topk(k, dim=1, largest=False).values
        if k > 1:
            itself = nearest[:, :1] <= 1e-9 * (1 + self.squares.mean())
            nearest = torch.where(itself, nearest[:, 1:], nearest[:, :-1])
        return torch.sqrt(nearest.clamp(min=0)).mean(1)


def as_score(score: str | Score | Callable[[Evidence], Tensor]) -> Score | None:
    """The row that ``score`` names; a plain callable is a function of the evidence."""
    if isinstance(score, Score):
        return score
    if isinstance(score, type):
        raise TypeError(
            f"anomaly_score={score.__name__} is a class; pass a function, or "
            f"Score(function, density={score.__name__})."
        )
    return Score(score) if callable(score) else SCORES[score]


# None is the loss, which every net computes itself; of a variational one minus the
# log-likelihood, for which it draws codes.
SCORES: dict[str, Score | None] = {
    "loss": None,
    "top_error": Score(top_error, in_units=True),
    "ssim": Score(dissimilarity),
    "neighbors": Score(code, Neighbors),
    "joint": Score(code_error_and_features, Joint),
}


def roc_auc_scorer(estimator: Any, X: Any, y: Any) -> float:
    """Area under the ROC curve of an anomaly detector, to pass as ``scoring``.

    Parameters
    ----------
    estimator : object
        Fitted; its ``score_samples`` is higher for more normal samples.
    X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
        Rows or images.
    y : array-like of shape (n_samples,)
        1 (or True) for an anomaly, 0 for a normal sample.

    Returns
    -------
    auc : float
        Probability that an anomaly scores as less normal than a normal sample.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skcae import ConvAutoencoder
    >>> from skcae.scores import roc_auc_scorer
    >>> search = GridSearchCV(
    ...     ConvAutoencoder(), {"anomaly_score": ["loss", "joint"]}, scoring=roc_auc_scorer
    ... )
    """
    y = column_or_1d(y)
    check_consistent_length(X, y)
    unknown = set(np.unique(y).tolist()) - {0, 1}
    if unknown:
        raise ValueError(
            f"y has the labels {sorted(np.unique(y).tolist())}; pass 1 for anomalies and 0 for "
            f"normal samples. Of scikit-learn's labels, -1 for outliers, that is (y == -1)."
        )
    return float(roc_auc_score(y, -np.nan_to_num(estimator.score_samples(X))))  # may be infinite
