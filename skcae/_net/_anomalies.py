"""How abnormal samples are: what a net shows of them, and what it has learned of normal ones."""

import numpy as np
import torch
from torch import Tensor

from .._data._repeats import split
from .._data._scaling import to_channels
from .._data._stored import slices, subsample
from ..scores import Evidence
from ._build import OWN_NETWORKS
from ._reference import N_SAMPLES, Reference
from ._trimming import n_kept

# The range of standardized data; values of evidence that are held at once; folds of densities.
STANDARD_RANGE, N_EVIDENCE, N_FOLDS = 4.0, 2**22, 5


class AnomalyScoring:
    """The methods of a net that learn from evidence and score by it.

    The net maps evidence over tiles of rows; its `reference_` knows evidence only, and no net.
    """

    def map_evidence(self, function, X, labels=None):
        """Apply a function of the :class:`Evidence` to tiles of rows."""
        return self.map_tiles(lambda rows: function(self._evidence(self._load(rows))), X)

    def _evidence(self, x: Tensor) -> Evidence:
        module, features = self.module_, None
        if self.module in OWN_NETWORKS:
            z, features = module.encode_in_steps(x)
        else:
            z = module.encode(x)
        output = module.decode(z).float()
        x_hat = self.loss.link(output)
        values = self.loss.function(output, x)
        if values.shape != x.shape:
            values = (x_hat - x) ** 2
        return Evidence(x, x_hat, values, z, self._data_range(), features)

    def _data_range(self):
        return 1.0 if self.loss.unit_interval else STANDARD_RANGE

    def error_in_units(self, errors):
        """Errors of values in the units of the input."""
        return errors * self.scaling.unit ** self._error_power()

    def _error_power(self):
        """The power of the unit in which the errors of values are."""
        two = torch.zeros(2, self.layout.n_channels, *self.layout.spatial)
        has_values = self.loss.function(two, two).shape == two.shape
        return self.loss.power if has_values else 2

    def learn_reference(self, X, labels=None, trim=0.0, streaming=False):
        """Learn what is normal from some of the rows, anew unless they are a chunk of a stream.

        The share ``trim`` that is explained worst is left out.
        """
        if not streaming:
            self.reference_ = Reference(self.score)
        n_values = X.shape[1] + self.code_size_
        index = subsample(X, max(1, min(N_SAMPLES, 16 * N_EVIDENCE // n_values)), self.seed)
        X, labels = X[index], None if labels is None else labels[index]
        if trim:
            errors = self.map_evidence(lambda e: e.values.flatten(1).mean(1), X, labels)
            kept = np.sort(np.argsort(errors)[: n_kept(len(X), trim)])
            X, labels = X[kept], None if labels is None else labels[kept]
        observed, reference = [], self.reference_
        for rows in slices(len(X), max(1, N_EVIDENCE // n_values)):
            labels_of_rows = None if labels is None else labels[rows]
            seen = self.map_evidence(reference.observe, X[rows], labels_of_rows)
            values, *features = seen if isinstance(seen, tuple) else (seen,)
            reference.learn_errors(values)
            observed.append(features)
        features = [np.concatenate(parts) for parts in zip(*observed, strict=True)]
        reference.learn_features(features, streaming, self.device)

    def anomaly_scores(self, X, labels=None):
        """How abnormal each row is, float64, higher for more."""
        if self.score is None:
            return self.losses(X, labels)
        return self._scores_in_units(self.map_evidence(self.reference_.score_evidence, X, labels))

    def cross_scores(self, X, labels=None):
        """The same by densities that are each learned from others of these rows."""
        if self.reference_.density is None:
            return self.anomaly_scores(X, labels)
        features = self.map_evidence(self.reference_.features, X, labels)
        features = features if isinstance(features, tuple) else (features,)
        parts = split(X, min(N_FOLDS, len(X)), np.random.default_rng(0).permutation)
        return self._scores_in_units(self.reference_.cross_score(features, parts, self.device))

    def _scores_in_units(self, scores):
        if self.score.in_units:
            scores = self.error_in_units(scores)
        return np.where(np.isnan(scores), np.inf, scores)

    def error_map(self, X, standardize=True, labels=None):
        """The error of each value, ``(n, n_features)``, float32."""
        power = self._error_power()

        def in_units(evidence):
            values = evidence.values.double()
            return values * to_channels(self.scaling.scale, values) ** power

        errors_of = self.reference_.error_map if standardize else in_units
        errors = self.map_evidence(lambda e: self.layout.unfold(errors_of(e)), X, labels)
        return errors.astype(np.float32)
