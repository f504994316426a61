"""A net as a torch module: samples as the user has them in; codes, scores or alarms out."""

import copy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..densities import Density
from ..modules._layers import choose
from ._net import Net
from ._variational import VariationalNet


class Applied(nn.Module):
    """What the outputs share: a copy of the network, and the units and layout of the samples.

    What reads samples and sees evidence are the methods of the net themselves, so that a module
    computes what the net does.

    Parameters
    ----------
    net : Net
        Trained.
    classes : ndarray of int or None
        The labels of a conditional model, in the order of its classes.
    """

    _standardize, _unfold, _data_range = Net._standardize, Net._unfold, Net._data_range

    def __init__(self, net: Net, classes: np.ndarray | None) -> None:
        super().__init__()
        self.layout, self.scaling, self.loss = net.layout, net.scaling, net.loss
        self.denoises, self.module = net.denoises, net.module
        network = copy.deepcopy(net.module_).cpu().to(memory_format=torch.contiguous_format)
        self.module_ = network.requires_grad_(False)
        classes = None if classes is None else torch.from_numpy(classes)
        self.register_buffer("classes", classes)
        self.eval()

    def _read(self, X: Tensor) -> Tensor:
        """Samples as the network sees them."""
        shape, layout = tuple(X.shape[1:]), self.layout
        if shape not in (layout.shape, (layout.n_features,)):
            raise ValueError(
                f"X has samples of shape {shape}; pass samples of shape {layout.shape}, or rows "
                f"of {layout.n_features} values, in a batch."
            )
        return self._standardize(layout.fold(_widen(X)))

    def _one_hot(self, y: Tensor | None) -> tuple[Tensor, ...]:
        """The label argument of the network, if it has one; of unknown labels NaN."""
        if self.classes is None:
            return ()
        if y is None:
            raise ValueError("y is missing; pass the labels of the samples, one for each.")
        known = (y[:, None] == self.classes).float()
        return (known / known.sum(1, keepdim=True),)


class Codes(Applied):
    """The codes of samples, ``(n, code size)``."""

    names = ("codes",)

    def forward(self, X: Tensor, y: Tensor | None = None) -> Tensor:
        return self.module_.encode(self._read(X), *self._one_hot(y))


class Reconstruction(Applied):
    """Samples, encoded and decoded, in their own layout and units."""

    names = ("reconstruction",)

    def forward(self, X: Tensor, y: Tensor | None = None) -> Tensor:
        labels = self._one_hot(y)
        z = self.module_.encode(self._read(X), *labels)
        return self._unfold(self.module_.decode(z, *labels)).reshape(X.shape)


class Score(Applied):
    """How normal samples are, ``(n,)``, in double precision."""

    names = ("score",)

    def __init__(self, net: Net, classes: np.ndarray | None) -> None:
        super().__init__(net, classes)
        if net.score is None and isinstance(net, VariationalNet):
            raise ValueError(
                f"the score of this {net.estimator} is a log-likelihood, estimated by codes that "
                f"are drawn for each sample, which no graph can repeat; fit it with another "
                f"anomaly_score, such as 'joint', or take the codes or the reconstruction."
            )
        self.evidence, self.criterion = type(net)._evidence, net.criterion_
        self.register_buffer("unit", torch.tensor(_unit(net), dtype=torch.float64))
        self.reference = copy.copy(net.reference_)
        self.reference.recent = None
        if self.reference.density is not None:
            self.density = self.reference.density = _Buffered(self.reference.density)

    def forward(self, X: Tensor, y: Tensor | None = None) -> Tensor:
        scores = self.unit * self._abnormality(self._read(X), *self._one_hot(y))
        return -torch.where(scores.isnan(), torch.inf, scores)

    def _abnormality(self, x: Tensor, *labels: Tensor) -> Tensor:
        if self.reference.score is not None:
            return self.reference.score_evidence(self.evidence(self, x, *labels))
        return self.criterion(self.module_.decode(self.module_.encode(x)), x).double()


class Alarm(nn.Module):
    """Which samples are outliers, their scores, and p-values where there is a calibration.

    Parameters
    ----------
    net, classes
        As of the others.
    offset : float
        The score below which a sample is an outlier.
    parts : list of (net, ndarray)
        Those of a calibration: nets, and the anomaly scores of samples that they have not seen.
    """

    def __init__(self, net, classes, offset: float, parts) -> None:
        super().__init__()
        self.score = Score(net, classes)
        self.classes = self.score.classes
        self.register_buffer("offset", torch.tensor(offset, dtype=torch.float64))
        scores = [self.score if part is net else Score(part, classes) for part, _ in parts]
        self.parts = nn.ModuleList(scores)
        for i, (_, known) in enumerate(parts):
            self.register_buffer(f"known_{i}", torch.from_numpy(np.array(known)))
        self.names = ("alarm", "score", "p_value")[: 3 if parts else 2]
        self.eval()

    def forward(self, X: Tensor, y: Tensor | None = None) -> tuple[Tensor, ...]:
        score = self.score(X, y)
        found = score - self.offset < 0, score
        return (*found, self._p_value(X, score)) if len(self.parts) else found

    def _p_value(self, X: Tensor, score: Tensor) -> Tensor:
        """The share of the calibration that is as abnormal, or more, each sample among them."""
        above, n = 1, 1
        for i, part in enumerate(self.parts):
            known = getattr(self, f"known_{i}")
            scores = score if part is self.score else part(X)
            above, n = above + (known >= -scores[:, None]).sum(1), n + len(known)
        return above.double() / n


OUTPUTS = {"codes": Codes, "reconstruction": Reconstruction, "score": Score, "alarm": Alarm}


def make_module(output: str, net: Net, offset: float, parts=(), classes=None) -> nn.Module:
    """The module that gives an output; see :class:`Alarm`."""
    kind = choose("output", output, OUTPUTS, closed=True)
    return kind(net, classes, offset, parts) if kind is Alarm else kind(net, classes)


class _Buffered(nn.Module):
    """A density whose tensors are buffers, which are moved and saved with the module."""

    def __init__(self, density) -> None:
        super().__init__()
        self.taken = self._take(density, "density")

    def forward(self, *features: Tensor) -> Tensor:
        return self._give(self.taken)(*features)

    def _take(self, value, name: str):
        """A value with names of buffers in the place of tensors."""
        if isinstance(value, Tensor):
            self.register_buffer(name, value.cpu().clone())
            return _Held(name)
        if isinstance(value, Density):
            return _Taken(type(value), self._take(vars(value), name))
        if isinstance(value, list):
            return [self._take(item, f"{name}_{i}") for i, item in enumerate(value)]
        if isinstance(value, dict):
            return {key: self._take(item, f"{name}_{key}") for key, item in value.items()}
        return value

    def _give(self, value):
        """The other way."""
        if isinstance(value, _Held):
            return getattr(self, value.name)
        if isinstance(value, _Taken):
            density = object.__new__(value.kind)
            vars(density).update(self._give(value.values))
            return density
        if isinstance(value, list):
            return [self._give(item) for item in value]
        if isinstance(value, dict):
            return {key: self._give(item) for key, item in value.items()}
        return value


class _Held(NamedTuple):
    """In the place of a tensor."""

    name: str


class _Taken(NamedTuple):
    """In the place of a density."""

    kind: type
    values: dict


def _unit(net: Net) -> float:
    """Of the score."""
    if net.score is None:
        return net.loss_in_units(1.0)
    return net.error_in_units(1.0) if net.score.in_units else 1.0


def _widen(X: Tensor) -> Tensor:
    """What the net makes of the types of arrays."""
    if X.dtype in (torch.int32, torch.int64, torch.float64):
        return X.double()
    return X.float()
