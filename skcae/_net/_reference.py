"""What is normal: learned from the evidence of training data; how abnormal a sample is."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..modules._custom import describe
from ..scores import Evidence, Score

# Training samples from which is learned; values of their features that are kept between calls of
# `partial_fit`, and the share of new samples from which on the density is fitted anew.
N_SAMPLES, N_KEPT, SHARE_NEW = 5000, 2**19, 0.1


class Reference:
    """The density of the features of a score, and the mean square of each value's error.

    Parameters
    ----------
    score : Score or None
        Whose density is learned; None is the loss, which needs none.
    """

    def __init__(self, score: Score | None) -> None:
        self.score = score
        self.density = score.density() if score is not None and score.density else None
        self.n_errors, self.mean_square = 0, torch.zeros(())
        # Of the density: the samples that it has learned from and was fitted to, and, while chunks
        # are streamed, the newest ones and how many came since the fit.
        self.n_learned, self.n_fitted, self.recent, self.n_new = 0, 0, None, 0

    def with_score(self, score: Score | None) -> "Reference":
        """A copy; one for another score keeps only what is known of the errors."""
        if score == self.score:
            return copy.deepcopy(self)
        other = Reference(score)
        other.n_errors, other.mean_square = self.n_errors, self.mean_square
        return other

    def to(self, device) -> "Reference":
        """With the tensors on a device."""
        self.mean_square = self.mean_square.to(device)
        if hasattr(self.density, "to"):
            self.density = self.density.to(device)
        return self

    def __getstate__(self):
        return vars(self) | {"mean_square": self.mean_square.cpu().numpy()}

    def __setstate__(self, state):
        vars(self).update(
            state | {"mean_square": torch.from_numpy(np.array(state["mean_square"]))}
        )

    # Learning -------------------------------------------------------------------------------

    def observe(self, evidence: Evidence) -> tuple[Tensor, ...]:
        """The errors of the values, and the features, of each sample: what is learned from."""
        return evidence.values, *self.features(evidence)

    def learn_errors(self, values: np.ndarray) -> None:
        """Take in the errors of samples ``(n, n_channels, *spatial)``."""
        square = torch.from_numpy((values.astype(np.float64) ** 2).mean(0))
        old, new = min(self.n_errors, N_SAMPLES), len(values)
        square = square.to(self.mean_square.device)
        self.mean_square = square if not old else torch.lerp(
            self.mean_square, square, new / (old + new)
        )  # fmt: skip
        self.n_errors = old + new

    def learn_features(self, features: Sequence[np.ndarray], streaming: bool, device) -> None:
        """Take in the features of samples; of those of a stream only the newest count.

        A chunk of a stream updates the density, until there are as many new samples as it was
        fitted to: then it is fitted to those.
        """
        if self.density is None:
            return
        sizes = [part.shape[1] for part in features]
        rows = np.concatenate(features, axis=1, dtype=np.float32)
        rows = rows[np.isfinite(rows).all(1)]
        if not len(rows):
            raise ValueError(
                "the function of anomaly_score returned no sample with finite features, so that "
                "its density has nothing to learn; check the function, or the values of X."
            )
        updates = hasattr(self.density, "update")
        newest = rows if self.recent is None else np.concatenate([self.recent, rows])
        newest = newest[-max(1, min(N_SAMPLES, N_KEPT // rows.shape[1])) :].copy()
        self.recent = newest if streaming or not updates else None
        self.n_new += len(rows)
        enough = len(newest) >= min(self.n_fitted, N_KEPT // rows.shape[1])
        anew = enough and self.n_new >= SHARE_NEW * len(newest)
        if streaming and updates and self.n_learned and not anew:
            n_known = min(self.n_learned, max(1, N_SAMPLES - len(rows)))
            self.density.update(n_known, *_split(rows, sizes, device))
            self.n_learned = n_known + len(rows)
        else:
            rows = newest if streaming else rows
            self.density.fit(*_split(rows, sizes, device))
            self.n_learned, self.n_fitted, self.n_new = len(rows), len(rows), 0
        if hasattr(self.density, "round"):
            self.density.round()

    # Scoring --------------------------------------------------------------------------------

    def score_evidence(self, evidence: Evidence) -> Tensor:
        """How abnormal each sample is, ``(n,)``, higher for more."""
        return self.score_features(self.features(evidence))

    def score_features(self, features: Sequence[Tensor]) -> Tensor:
        """The same, for features that were observed."""
        if self.density is None:
            return features[0].squeeze(1)
        if not self.n_learned:
            raise ValueError(
                "what is normal is learned at the end of a training, and load_params of net_ does "
                "not bring it; until then call score, or pass anomaly_score='loss'."
            )
        return self._check_scores(self.density(*features), features[0].shape[0])

    def cross_score(self, features: Sequence[np.ndarray], parts, device) -> np.ndarray:
        """The same, of each of ``parts`` by a density of the features of the others."""
        scores = np.empty(len(features[0]))
        for part in parts:
            others, density = np.setdiff1d(np.arange(len(scores)), part), self.score.density()
            density.fit(*(torch.from_numpy(f[others]).to(device) for f in features))
            tested = density(*(torch.from_numpy(f[part]).to(device) for f in features))
            scores[part] = self._check_scores(tested, len(part)).cpu().numpy()
            scores[part] += self.level() - _level(density)
        return scores

    def level(self) -> float:
        """Of the density: scores minus it are comparable between references."""
        return _level(self.density)

    def error_map(self, evidence: Evidence) -> Tensor:
        """The error of each value, over its size in the training data.

        That is the root of the mean square plus the mean of that over all values, so that
        values that are always right count like others.
        """
        square = self.mean_square
        return evidence.values.double() / torch.sqrt(square + (float(square.mean()) or 1.0))

    def features(self, evidence: Evidence) -> tuple[Tensor, ...]:
        """Those of the density; without one the score itself."""
        if self.score is None:
            return ()
        features = self.score.function(evidence)
        if self.density is None:
            return (self._check_scores(features, evidence.x.shape[0])[:, None],)
        features = features if isinstance(features, tuple) else (features,)
        for part in features:
            if not isinstance(part, Tensor) or part.ndim != 2:
                raise ValueError(
                    f"the function of anomaly_score returned {describe(part)}; with a density it "
                    f"must return tensors of shape (n, n_features)."
                )
        return tuple(part.double() for part in features)

    def _check_scores(self, scores: Tensor, n: int) -> Tensor:
        if not isinstance(scores, Tensor) or scores.shape != (n,):
            raise ValueError(
                f"anomaly_score returned {describe(scores)} for {n} samples; it must return a "
                f"tensor with one value for each."
            )
        return scores.double()


def _level(density) -> float:
    """Of a density of ours."""
    return density.level() if hasattr(density, "level") else 0.0


def _split(rows: np.ndarray, sizes: Sequence[int], device) -> tuple[Tensor, ...]:
    """The features side by side in rows, in double precision on a device."""
    return torch.from_numpy(rows).double().to(device).split(sizes, 1)
