"""The base of all estimators: what a fitted one does with data, and its parameters."""

import copy

import pandas as pd
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._data._beside import refuse_target
from ._data._kinds import explaining
from ._data._layout import advise_shape
from ._data._validation import check_range, validate_codes, validate_rows
from ._detector import Detector
from ._fitting import Fitting
from ._net._module import make_module
from ._net_params import MOVED, copy_net_params, refuse_moved
from ._parameters import refuse_moved_score, refuse_numbers
from ._private import CallbackSupportMixin, fit_context, with_callbacks

# Where the pages of the documentation are; the HTML of an estimator links to its own.
DOCUMENTATION = "https://skcae.github.io/skcae/"


class BaseAutoencoder(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    Fitting,
    Detector,
    BaseEstimator,
):
    """Everything that the autoencoders share; each leaf lists its own parameters."""

    _doc_link_module = "skcae"
    _doc_link_template = DOCUMENTATION + "api/{estimator_module}.{estimator_name}.html"

    # What to do with samples that are given as `y`.
    _instead_of_y = (
        "leave it out, or, to learn to turn X into it, call "
        "DenoisingConvAutoencoder().fit(X, target=y)"
    )

    # Fitting --------------------------------------------------------------------------------

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Train the network on `X`.

        A fit that fails, or is interrupted with Ctrl-C, leaves the estimator as it was before.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : Ignored
            Present for API consistency. Other samples than `X`, of its shape, are an error.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        refuse_target(X, y, self._instead_of_y)
        return self._fit(X, y)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Train for one epoch on a chunk of data.

        The scaling of the data is updated with each chunk, the learning rate is constant, and
        `offset_` follows from the newest rows that were new, as the network scored them before it
        was trained on them. `early_stopping` is not used.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : Ignored
            Present for API consistency. Other samples than `X`, of its shape, are an error.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        refuse_target(X, y, self._instead_of_y)
        return self._partial_fit(X)

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
        return self.net_.encode(self._validate(X, compared=False)[0], out=out)

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
            Reconstructions in the units and the layout of the `X` given to `fit`; float64 where
            that is far from zero, so that single precision would round what varies.
        """
        check_is_fitted(self)
        result = self.net_.decode(self._validate_codes(Z), out=out)
        return result if out is not None else self._as_given(result)

    def _validate(self, X, compared=True):
        """Rows ``(n_samples, n_features)``, and the shape of a sample if `X` came as images.

        ``compared`` tells whether they are compared with their reconstructions.
        """
        shape = self.net_.layout.shape
        with explaining(X, shape):
            rows, image_shape = validate_rows(self, X)
        if image_shape is not None and image_shape != shape:
            raise ValueError(
                f"X has samples of shape {image_shape}, but {type(self).__name__} was fitted "
                f"on samples of shape {shape}; {advise_shape(image_shape, shape)}."
            )
        self.net_.check_range(rows, self._loss_text(), compared)
        check_range(rows, self.net_.scaling)
        return rows, image_shape

    def _validate_codes(self, Z):
        Z = validate_codes(Z)
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
            Reconstructions in the units of the `X` given to `fit`; float64 far from zero.
        """
        check_is_fitted(self)
        rows, image_shape = self._validate(X, compared=False)
        result = self.net_.reconstruct(rows, out=out)
        return result if out is not None else self._shaped(result, image_shape)

    def _shaped(self, rows, image_shape):
        """Rows in the layout of the `X` of this call."""
        return rows if image_shape is None else rows.reshape(-1, *image_shape)

    def score(self, X, y=None, sample_weight=None):
        refuse_target(X, y, self._instead_of_y)
        return super().score(X, y, sample_weight)

    def to_module(self, output="codes"):
        """Make a PyTorch module of what was fitted: samples in the units of `X` in, results out.

        It has standardizing, network, densities and threshold in it, and works alone: with
        :func:`torch.export.export`, in other modules, or in a file for other programs, which
        :func:`~skcae.export_onnx` writes and checks.

        Parameters
        ----------
        output : {"codes", "reconstruction", "score", "alarm"}, default="codes"
            What it gives: what `transform`, `reconstruct` or `score_samples` returns. "alarm"
            gives a tuple: whether `predict` calls the sample an outlier, its score, and, of a
            calibrated estimator, a p-value, the largest that `p_values` may return for that
            score. So ``p_value <= rate`` keeps the rate, and now and then misses an alarm that
            ``predict(X, false_alarm_rate=rate)`` gives.

        Returns
        -------
        module : torch.nn.Module
            For inference, on the CPU; it shares nothing with the estimator. It is called with a
            tensor of samples of the shape and in the units of the `X` given to `fit`. Values are
            not checked: NaN is an alarm.

        Notes
        -----
        The module of a `ConditionalConvVAE` takes the labels of the samples as a second argument,
        int64; labels that are no whole numbers stand for their places in `classes_`. Samples are
        encoded and decoded under them, as in ``inverse_transform(transform(X, y), y)``, and
        scored as in ``score_samples(X, y)``. Its alarms compare that score with `offset_`, which
        was found without labels, and come without p-values, which have none.

        Log-likelihoods, the default scores of variational autoencoders, draw codes for each
        sample and cannot be repeated by a module; a `ValueError` says so. Fit with another
        `anomaly_score`, such as "joint".
        """
        check_is_fitted(self)
        return make_module(output, self.net_, self.offset_, **self._module_options())

    def _module_options(self):
        """What a module has beside the net: nets and scores of the calibration, for p-values."""
        calibration = getattr(self, "calibration_", None)
        return {"parts": () if calibration is None else calibration.parts}

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

    def _html_repr(self):
        """What notebooks show; of a fitted estimator with the layers of its network."""
        html = super()._html_repr()
        if not hasattr(self, "net_"):
            return html
        layers = self.summary().to_html(border=0)
        return f"{html}<details><summary>Network</summary>{layers}</details>"

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
        refuse_moved(type(self), params)
        inner = {k: v for k, v in params.items() if k.startswith("net__")}
        super().set_params(**{k: v for k, v in params.items() if k not in inner})
        if inner:
            inner = {name.removeprefix("net__"): value for name, value in inner.items()}
            self.net_params = {**(self.net_params or {}), **inner}
        return self

    def _validate_params(self):
        refuse_moved_score(self.anomaly_score)
        refuse_numbers(vars(self))
        super()._validate_params()

    def __sklearn_clone__(self):
        """A copy without what was learned; of callbacks, what cannot be copied is shared."""
        bare = copy.copy(self)
        bare.net_params = None
        cloned = super(BaseAutoencoder, bare).__sklearn_clone__()
        cloned.net_params = copy_net_params(self.net_params)
        return cloned

    def __getstate__(self):
        return {**super().__getstate__(), "_skcae_version": _version()}

    def __setstate__(self, state):
        state = dict(state)
        version = state.pop("_skcae_version", "0.1")
        names = set(self._get_param_names())
        if names - state.keys() or (MOVED.keys() - names) & state.keys():
            raise ValueError(
                f"this {type(self).__name__} was pickled by skcae {version}, where it has other "
                f"parameters than in skcae {_version()}; load it there, or fit it anew."
            )
        super().__setstate__(state)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _version():
    from . import __version__

    return __version__
