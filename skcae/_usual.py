"""What is usual: learned from the evidence of training data, to tell how unusual a sample is."""

import copy

import numpy as np
import torch

from ._stored import few

# Training samples from which a score learns; values of them that are held at once, and values
# of features that are kept for later calls of ``partial_fit``.
N_SAMPLES, N_VALUES, N_KEPT = 5000, 2**22, 2**19


class Usual:
    """Density of the features of a score, and mean and variance of each value's error."""

    def __init__(self, score):
        self.score = score
        self.density = score.density() if score.density else None
        self.features, self.sizes = None, None
        self.count, self.mean, self.variance = 0, 0.0, 0.0

    def for_score(self, score):
        """A copy, of which another score than its own keeps only the errors of the values."""
        if score == self.score:
            return copy.deepcopy(self)
        other = Usual(score)
        other.count, other.mean, other.variance = self.count, self.mean, self.variance
        return other

    def learn(self, net, X, labels=None):
        """Take in training samples; of earlier ones only the newest count.

        The share that the training trims is left out.
        """
        n_values = X.shape[1] + net.code_size_
        index = few(X, max(1, min(N_SAMPLES, 16 * N_VALUES // n_values)), net.seed)
        X, labels = X[index], None if labels is None else labels[index]
        if net.trim:
            errors = net.over_evidence(lambda e: e.values.flatten(1).mean(1), X, labels)
            kept = np.sort(np.argsort(errors)[: net._n_kept(len(X))])
            X, labels = X[kept], None if labels is None else labels[kept]

        def features_and_values(evidence):
            values = net.layout.unfold(evidence.values.double())
            if self.density is None:
                return values
            features = self._features(evidence)
            self.sizes = [part.shape[1] for part in features]
            return torch.cat([*features, values], 1)

        features, step = [], max(1, N_VALUES // n_values)
        for start in range(0, len(X), step):
            rows = slice(start, start + step)
            part = None if labels is None else labels[rows]
            both = net.over_evidence(features_and_values, X[rows], part)
            features.append(both[:, : both.shape[1] - len(X[0])].astype(np.float32))
            self._count(both[:, both.shape[1] - len(X[0]) :])
        if self.density is not None:
            self._learn_density(np.concatenate(features))

    def _features(self, evidence):
        features = self.score.function(evidence)
        features = features if isinstance(features, tuple) else (features,)
        for part in features:
            if not isinstance(part, torch.Tensor) or part.ndim != 2:
                raise ValueError(
                    f"the function of anomaly_score returned {_what(part)}; with a density it "
                    f"must return tensors of shape (n, n_features)."
                )
        return [part.double() for part in features]

    def _learn_density(self, features):
        features = features[np.isfinite(features).all(1)]
        if self.features is not None:
            features = np.concatenate([self.features, features])
        newest = features[-N_SAMPLES:]
        self.features = newest[-max(1, N_KEPT // features.shape[1]) :].copy()
        self.density.fit(*torch.from_numpy(newest).double().split(self.sizes, 1))

    def _count(self, values):
        """Mean and variance over the samples so far (Chan et al., 1983)."""
        old, new = min(self.count, N_SAMPLES), len(values)
        share = new / (old + new)
        delta, variance = values.mean(0) - self.mean, values.var(0)
        self.mean = self.mean + share * delta
        self.variance = (1 - share) * self.variance + share * variance
        self.variance = self.variance + (1 - share) * share * delta**2
        self.count = old + new

    def unusual(self, net, X, labels=None):
        """How unusual each row is, float64, higher for more."""
        if self.score.method:
            arguments = (X,) if labels is None else (X, labels)
            return getattr(net, self.score.method)(*arguments)
        density = self.density
        if hasattr(density, "to"):
            density = density.to(net.device)

        def unusual(evidence):
            if density is None:
                result = self.score.function(evidence)
            else:
                result = density(*self._features(evidence))
            if not isinstance(result, torch.Tensor) or result.shape != evidence.x.shape[:1]:
                raise ValueError(
                    f"anomaly_score returned {_what(result)} for {len(evidence.x)} samples; it "
                    f"must return a tensor with one value for each."
                )
            return result.double()

        result = net.over_evidence(unusual, X, labels)
        if self.score.in_units:
            result = net.error_in_units(result)
        return np.where(np.isnan(result), np.inf, result)

    def error_map(self, net, X, standardize=True, labels=None):
        """The error of each value, ``(n, n_features)``, float32.

        Standardized: over the root of its mean square over training data plus the mean of that
        over all values, so that values that are always right count like others.
        """

        def values(evidence):
            return net.layout.unfold(evidence.values.double())

        errors = net.over_evidence(values, X, labels)
        if not standardize:
            return net.error_in_units(errors).astype(np.float32)
        square = self.variance + self.mean**2
        return (errors / np.sqrt(square + (square.mean() or 1.0))).astype(np.float32)


def _what(result):
    """A tensor by its shape, anything else by its type."""
    if isinstance(result, torch.Tensor):
        return f"shape {tuple(result.shape)}"
    return f"a {type(result).__name__}"
