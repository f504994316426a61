"""Displays of reconstructions, anomalies, samples, codes and trainings.

They follow scikit-learn's convention: a display keeps the arrays that it shows, `plot` draws them,
and the class methods build and draw in one call. Only `plot` needs matplotlib. Estimators are used
through their public methods; a fitted :class:`~sklearn.pipeline.Pipeline` or search whose last
step is an autoencoder can take their place.
"""

from ._anomaly_map import AnomalyMapDisplay
from ._latent import LatentDisplay
from ._loss_curve import LossCurveDisplay
from ._reconstruction import ReconstructionDisplay
from ._samples import SampleGridDisplay
from ._scores import ScoreDisplay
from ._training import TrainingDisplay

__all__ = [
    "AnomalyMapDisplay",
    "LatentDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "SampleGridDisplay",
    "ScoreDisplay",
    "TrainingDisplay",
]
