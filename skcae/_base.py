"""The base of all estimators: validation, the numpy-tensor border, every public method."""

import warnings
from contextlib import contextmanager
from functools import partial
from numbers import Integral, Real

import numpy as np
import pandas as pd
import torch
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import _safe_indexing, assert_all_finite, check_array, check_consistent_length
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from ._calibration import Calibration, splits
from ._callbacks import CallbackBridge, CallbackSupportMixin, with_callbacks
from ._detector import Detector
from ._distributed import agreed, rank_and_size
from ._layout import Layout, Scaling
from ._net import Net
from ._stored import Stored, applied, blocks, few, part, stored_or_array
from ._tensors import Rows
from ._training import LR_SCHEDULES, OPTIMIZERS, Progress
from ._validation import (
    batch_size,
    check_net_params,
    check_numeric,
    check_unit_interval,
    draw_seed,
    flatten,
    resolve_device,
    row,
)
from .losses import LOSSES, Loss, as_loss
from .modules import ACTIVATIONS, DOWNSAMPLINGS, NORMALIZATIONS, UPSAMPLINGS, Autoencoder
from .scores import SCORES, Score, as_score

ARCHITECTURE = (
    "hidden_channels",
    "hidden_units",
    "kernel_size",
    "downsampling",
    "upsampling",
    "activation",
    "normalization",
    "tied_weights",
)
# Scores of this many training rows, evenly spaced, are enough for the quartiles of "auto".
N_FENCE = 2000


def _names(table):
    return StrOptions({name for name in table if name is not None})


class BaseAutoencoder(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    Detector,
    BaseEstimator,
):
    """Everything that the autoencoders share; each leaf lists its own parameters."""

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "input_shape": ["array-like", None],
        "channel_axis": [Integral, None],
        "hidden_channels": ["array-like"],
        "hidden_units": ["array-like"],
        "kernel_size": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "downsampling": [_names(DOWNSAMPLINGS)],
        "upsampling": [_names(UPSAMPLINGS)],
        "activation": [_names(ACTIVATIONS), callable, None],
        "normalization": [_names(NORMALIZATIONS), callable, None],
        "tied_weights": ["boolean"],
        "module": [callable, None],
        "loss": [_names(LOSSES), callable, Loss],
        "trim_fraction": [Interval(Real, 0, 0.5, closed="left")],
        "optimizer": [_names(OPTIMIZERS), callable],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [_names(LR_SCHEDULES), callable],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "anomaly_score": [_names(SCORES), callable, Score],
        "calibration": [
            Interval(RealNotInt, 0, 1, closed="neither"),
            Interval(Integral, 2, None, closed="left"),
            None,
        ],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "net_params": [dict, None],
        "device": [str, torch.device],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # What a kind of autoencoder replaces.
    _net_class, _network_class, _loss_parameter = Net, Autoencoder, "loss"

    # Fitting --------------------------------------------------------------------------------

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Train the network on `X`.

        A fit that fails, or is interrupted with Ctrl-C, leaves the estimator as it was before.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Train for one epoch on a chunk of data.

        The scaling of the data is updated with each chunk, the learning rate is constant, and
        `offset_` is that of the chunk. `early_stopping` is not used.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._partial_fit(X)

    def _fit(self, X, y=None, target=None):
        observers = []
        if hasattr(self, "_init_callback_context"):
            observers.append(CallbackBridge(self, X, y))
        with _all_or_nothing(self):
            rows, layout = self._validate_fit(X, reset=True)
            target = self._check_target(target, rows, reset=True)
            pairs = self._split(rows, target)
            if self._holds_out():
                first, folds = pairs[0][0], []
            else:
                first, folds = None, pairs
            net = self._train(part(rows, first), _part(target, first), layout, observers, rows)
            nets = [self._train(part(rows, i), _part(target, i), layout) for i, _ in folds]
            self._calibrate(nets or [net], [part(rows, i) for _, i in pairs])
        return self

    def _train(self, rows, target, layout, observers=None, everything=None):
        """A net trained on the rows; with ``observers``, the one that the estimator keeps.

        ``everything`` are the rows of `X`, those held out among them.
        """
        net = self._make_net(layout, len(rows), paired=target is not None)
        keep = observers is not None
        if keep and self.warm_start and hasattr(self, "net_"):
            net.continue_from(self.net_)
        net.scaling = self._make_scaling(net.loss, rows)
        for bridge in observers or []:
            bridge.attributes = lambda: self._learned(net, rows, target, everything)
        progress = self._progress(self.max_epochs, bar=self.verbose > 1)
        net.train(
            *self._to_train(net, rows, target),
            epochs=self.max_epochs,
            lr_schedule=row(LR_SCHEDULES, self.lr_schedule),
            validation_fraction=self.validation_fraction if self.early_stopping else None,
            patience=self.n_iter_no_change if self.early_stopping else None,
            observers=[*(observers or []), *progress],
        )
        if keep:
            vars(self).update(self._learned(net, rows, target, everything))
        else:
            net.learn_usual(rows, self._labels_of(target))
        return net

    def _partial_fit(self, X, target=None):
        self._validate_params()  # scikit-learn skips it on a fitted estimator
        first = not hasattr(self, "net_")
        if not first and self._loss() != self.net_.loss:
            raise ValueError(
                f"{self._loss_text()} is not the {self._loss_parameter} of the calls before, on "
                f"which the scaling of the data depends; set it back, or start anew with fit."
            )
        if self.calibration is not None and not self._holds_out():
            raise ValueError(
                f"calibration={self.calibration} folds need all data at once, in fit; pass the "
                f"share of each chunk to hold out, or None and call recalibrate at the end."
            )
        with _all_or_nothing(self):
            rows, layout = self._validate_fit(X, reset=first)
            target = self._check_target(target, rows, reset=first)
            pairs = self._split(rows, target)
            held_out, everything = [part(rows, i) for _, i in pairs], rows
            for index, _ in pairs:
                rows, target = part(rows, index), _part(target, index)
            net = self._make_net(layout, len(rows), paired=target is not None)
            if first:
                net.scaling = self._make_scaling(net.loss, rows)
            else:
                net.continue_from(self.net_)
                if not net.loss.unit_interval:
                    net.scaling = net.scaling.updated(rows)
            net.train(
                *self._to_train(net, rows, target),
                epochs=1,
                streaming=True,
                observers=self._progress(1, bar=False),
            )
            vars(self).update(self._learned(net, rows, target, everything, streaming=True))
            self._calibrate([net], held_out)
        return self

    def _progress(self, epochs, bar):
        """What prints: of several processes only the first."""
        first = rank_and_size()[0] == 0
        return [Progress(epochs, bar)] if self.verbose and first else []

    def _holds_out(self):
        """Whether a share of the samples is held out to calibrate on."""
        return self.calibration is not None and not isinstance(self.calibration, Integral)

    def _split(self, rows, target):
        if self.calibration is None:
            return []
        if target is not None:
            check_consistent_length(rows, target)
        return splits(self.calibration, rows, self.random_state)

    def _calibrate(self, nets, held_out):
        self.calibration_ = None
        if held_out:
            pairs = zip(nets, held_out, strict=True)
            self.calibration_ = Calibration(
                [(net, applied(net.unusual, rows)) for net, rows in pairs]
            )
        if self.contamination == "auto" and self._holds_out():
            self.offset_ = _fence(-self.calibration_.parts[0][1])

    def _learned(self, net, rows, target, everything, streaming=False):
        """The fitted attributes that training leaves behind."""
        net.learn_usual(rows, self._labels_of(target), streaming)
        if self.contamination == "auto":
            offset = _fence(-net.unusual(rows[few(rows, N_FENCE, net.seed)]))
        else:
            unusual = applied(net.unusual, everything)
            offset = float(np.percentile(-unusual, 100 * self.contamination))
        return {
            "net_": net,
            "input_shape_": net.layout.shape,
            "n_components_": net.code_size_,
            "offset_": offset,
        }

    def _make_net(self, layout, n_samples, paired):
        if isinstance(self.module, torch.nn.Module):
            raise TypeError(
                f"module is an instance of {type(self.module).__name__}; pass its class, or a "
                f"function that builds it, so that each fit gets new weights."
            )
        shapes = {
            "n_channels": layout.n_channels,
            "spatial_shape": layout.spatial,
            "n_components": self.n_components,
        }
        if self.module is None:
            names = [name for name in ARCHITECTURE if hasattr(self, name)]
            shapes |= {name: getattr(self, name) for name in names}
        net = self._net_class(
            self._network_class if self.module is None else self.module,
            **{
                "device": resolve_device(self.device),
                "loss": self._loss(),
                "layout": layout,
                "seed": agreed(draw_seed(self.random_state)),
                "corruption": None if paired else self._make_corruption(),
                "precision": self.precision,
                "score": as_score(self.anomaly_score),
                "trim": self.trim_fraction,
                "optimizer": row(OPTIMIZERS, self.optimizer),
                "lr": self.learning_rate,
                "batch_size": batch_size(self.batch_size, n_samples),
            },
            **{f"module__{name}": value for name, value in shapes.items()}
            | self._net_options()
            | check_net_params(self.net_params),
        ).initialize()
        method = net.usual.score.method
        if method and not hasattr(net, method):
            raise ValueError(f"{type(self).__name__} has no {method!r} for anomaly_score.")
        if net.code_size_ > layout.n_features:
            warnings.warn(
                f"the code of {net.code_size_} values is larger than the {layout.n_features} "
                f"features of X, so it need not learn anything; pass a smaller n_components, or "
                f"with n_components=None fewer filters in the last stage.",
                UserWarning,
                stacklevel=2,
            )
        return net

    def _loss(self):
        return as_loss(self.loss)

    def _loss_text(self):
        return f"{self._loss_parameter}={getattr(self, self._loss_parameter)!r}"

    def _net_options(self):
        """What the net of a kind of estimator takes beyond the arguments of all."""
        return {}

    def _check_target(self, target, rows, reset):
        return target

    def _labels_of(self, target):
        """Integer codes of labels, of a conditional model."""
        return None

    def _make_corruption(self):
        return None

    def _make_scaling(self, loss, rows):
        if loss.unit_interval:
            scaling = Scaling.unit_interval(rows.dtype)
            for block in blocks(rows):
                check_unit_interval(block, scaling, self._loss_text())
            return scaling
        return Scaling().updated(rows)

    # Data -----------------------------------------------------------------------------------

    def _validate_fit(self, X, reset):
        rows, image_shape = self._validate(X, reset)
        if not reset:
            return rows, self.net_.layout
        layout = Layout.infer(rows.shape[1], image_shape, self.input_shape, self.channel_axis)
        return rows, layout

    def _validate(self, X, reset=False):
        """Rows ``(n_samples, n_features)``, and the shape of a sample if `X` came as images."""
        X, image_shape = flatten(X)
        if isinstance(X, Stored):
            validate_data(self, X, reset=reset, skip_check_array=True)
            _check_when_read(X, partial(assert_all_finite, input_name="X"))
            rows = X
        else:
            rows = validate_data(self, X, reset=reset, dtype="numeric")
        check_numeric(rows)
        if not reset:
            shape, loss = self.net_.layout.shape, self.net_.loss
            if image_shape is not None and image_shape != shape:
                raise ValueError(
                    f"X has samples of shape {image_shape}, but {type(self).__name__} was fitted "
                    f"on samples of shape {shape}; reshape X to (n_samples, *{shape})."
                )
            if loss.unit_interval:
                check = partial(
                    check_unit_interval, scaling=self.net_.scaling, parameter=self._loss_text()
                )
                rows.checks.append(check) if isinstance(rows, Stored) else check(rows)
        return rows, image_shape

    def _to_train(self, net, rows, target):
        """Inputs and targets as the net reads them; no target means the inputs themselves."""
        inputs = Rows(rows, net.layout, net.device)
        if target is None:
            return inputs, None
        target, image_shape = flatten(target)
        if isinstance(target, Stored):
            _check_when_read(target, partial(assert_all_finite, input_name="target"))
        else:
            target = check_array(target, input_name="target", dtype="numeric")
        check_numeric(target, "target")
        if target.shape != rows.shape or image_shape not in (None, net.layout.shape):
            raise ValueError(
                f"target has {len(target)} samples of shape {image_shape or target.shape[1:]}, "
                f"but X has {len(rows)} of shape {net.layout.shape}; pass the clean version of "
                f"each sample of X."
            )
        for block in blocks(target) if net.loss.unit_interval else ():
            check_unit_interval(block, net.scaling, self._loss_text(), "target")
        return inputs, Rows(target, net.layout, net.device)

    # Applying -------------------------------------------------------------------------------

    def transform(self, X, out=None):
        """Encode `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        out : array of shape (n_samples, n_components), default=None
            Where to write the codes, a part at a time: an array, or a memory map, or anything
            that takes slices. None makes a new array.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
            Codes.
        """
        check_is_fitted(self)
        return applied(self.net_.encode, self._validate(X)[0], out=out)

    def inverse_transform(self, Z, out=None):
        """Decode codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes.
        out : array of shape (n_samples, n_features) or (n_samples, *input_shape), default=None
            Where to write the reconstructions, as in `transform`.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features) or (n_samples, *input_shape), float32
            Reconstructions in the units of the `X` given to `fit`, as rows or images like it.
        """
        check_is_fitted(self)
        result = applied(self.net_.decode, self._validate_codes(Z), out=out)
        return result if out is not None else self._as_given(result)

    def _validate_codes(self, Z):
        Z = stored_or_array(Z)
        check = partial(check_array, dtype=np.float32, input_name="Z")
        if isinstance(Z, Stored):
            check(np.zeros((1, *Z.array.shape[1:]), Z.dtype))  # its shape and type, at once
            _check_when_read(Z, check)
        else:
            Z = check(Z)
        if Z.shape[1] != self.n_components_:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, but {type(self).__name__} was fitted with codes of "
                f"{self.n_components_} values; pass what transform returned."
            )
        return Z

    def _as_given(self, rows):
        """Rows in the layout of the `X` given to `fit`."""
        return rows.reshape(-1, *self.input_shape_) if self.net_.layout.images else rows

    def reconstruct(self, X, out=None):
        """Encode and decode `X`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        out : array of the shape of `X`, default=None
            Where to write the reconstructions, as in `transform`.

        Returns
        -------
        X_hat : ndarray of the shape of `X`, float32
            Reconstructions in the units of the `X` given to `fit`.
        """
        check_is_fitted(self)
        rows, image_shape = self._validate(X)
        result = applied(self.net_.reconstruct, rows, out=out)
        return result if out is not None else self._shaped(result, image_shape)

    def _shaped(self, rows, image_shape):
        """Rows in the layout of the `X` of this call."""
        return rows if image_shape is None else rows.reshape(-1, *image_shape)

    # Reading the result ---------------------------------------------------------------------

    def summary(self):
        """List the layers of the network with their output shapes and counts.

        Returns
        -------
        layers : pandas.DataFrame
            A row for each layer and a last row "total". Columns: `layer`, its kind;
            `output_shape` of one sample, channels first; `parameters`, trained values;
            `statistics`, running means and variances of batch normalization.
        """
        check_is_fitted(self)
        layers = pd.DataFrame(self.net_.layers()).set_index("name")
        counts = layers[["parameters", "statistics"]].sum()
        layers.loc["total"] = ["", "", *counts]
        return layers

    @property
    def device_(self):
        return str(self.net_.device)

    @property
    def n_iter_(self):
        return len(self.net_.history)

    @property
    def loss_curve_(self):
        return [row["train_loss"] for row in self.net_.history]

    @property
    def validation_loss_curve_(self):
        return [row["valid_loss"] for row in self.net_.history if "valid_loss" in row]

    @property
    def history_(self):
        keys = ("epoch", "train_loss", "valid_loss", "dur")
        rows = [{k: row[k] for k in keys if k in row} for row in self.net_.history]
        frame = pd.DataFrame(rows, columns=keys).set_index("epoch")
        if not self.validation_loss_curve_:
            frame = frame.drop(columns="valid_loss")
        return frame.rename(columns={"dur": "duration"})

    @property
    def _n_features_out(self):
        return self.n_components_

    # Parameters -----------------------------------------------------------------------------

    def get_params(self, deep=True):
        """Get the parameters, those in `net_params` as ``net__...`` too.

        Parameters
        ----------
        deep : bool, default=True
            Whether to list the entries of `net_params`.

        Returns
        -------
        params : dict
            Names and values.
        """
        params = super().get_params(deep)
        if deep and isinstance(self.net_params, dict):
            params |= {f"net__{name}": value for name, value in self.net_params.items()}
        return params

    def set_params(self, **params):
        """Set parameters; ``net__name=value`` sets an entry of `net_params`.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self : object
            The estimator.
        """
        inner = {k: v for k, v in params.items() if k.startswith("net__")}
        super().set_params(**{k: v for k, v in params.items() if k not in inner})
        if inner:
            inner = {name.removeprefix("net__"): value for name, value in inner.items()}
            self.net_params = {**(self.net_params or {}), **inner}
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _part(target, index):
    """As `part`, of anything that holds one target for each row, or of None."""
    if target is None or index is None or isinstance(target, Stored):
        return target if target is None else part(target, index)
    return _safe_indexing(target, index)


def _check_when_read(stored, check):
    """Check values in the thread that reads them, which does not know ``assume_finite``."""
    if not get_config()["assume_finite"]:
        stored.checks.append(check)


def _fence(scores):
    """1.5 interquartile ranges below the lower quartile (Tukey, 1977)."""
    low, high = np.percentile(scores, [25, 75])
    return float(low - 1.5 * (high - low))


@contextmanager
def _all_or_nothing(estimator):
    """Give the estimator its attributes back if fitting fails or is interrupted."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
