r"""Anomaly scores: what the code and the reconstruction of a sample say about it.

A :class:`Score` maps the :class:`Evidence` of a batch, one forward pass, to one value for each
sample, **higher for more abnormal**; ``score_samples`` is its negative. A score with a ``density``
first learns what is normal from the evidence of training data.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from sklearn.utils import check_consistent_length, column_or_1d
from torch import Tensor

from .densities import Density, Joint, Mahalanobis, Mixture, Neighbors

__all__ = [
    "SCORES",
    "Density",
    "Evidence",
    "Joint",
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
