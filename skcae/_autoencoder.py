"""ConvAutoencoder and DenoisingConvAutoencoder."""

from numbers import Real

from sklearn.utils.validation import check_is_fitted

from ._base import BaseAutoencoder
from ._data._beside import (
    check_noisy,
    refuse_disordered,
    refuse_target,
    warn_of_no_noise,
    warn_of_other_units,
)
from ._data._scaling import Scaling
from ._data._validation import check_precision, check_unit_interval, validate_target
from ._parameters import parametrize
from ._private import fit_context, with_callbacks
from ._warnings import warn
from .corruptions import CORRUPTIONS


@parametrize
class ConvAutoencoder(BaseAutoencoder):
    r"""Convolutional autoencoder.

    An encoder :math:`f` and a decoder :math:`g` minimize the loss of the reconstruction,

    .. math:: \min_{f, g} \frac{1}{n} \sum_{i=1}^n \ell(g(f(x_i)), x_i),

    so that the codes :math:`f(x)` keep what explains the data [1]_. It is fitted by stochastic
    gradient descent. Use the codes as features, the reconstructions to compress, and the loss of
    a sample to find anomalies.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    DenoisingConvAutoencoder : Learns to remove noise.
    sklearn.decomposition.PCA : The best linear autoencoder under squared error.

    References
    ----------
    .. [1] Hinton, G. E. and Salakhutdinov, R. R. (2006). Reducing the dimensionality of data with
       neural networks. Science 313, 504-507.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skcae import ConvAutoencoder
    >>> X = load_digits().images[:500]
    >>> ae = ConvAutoencoder(n_components=8, max_epochs=5, random_state=0).fit(X)
    >>> ae.transform(X).shape
    (500, 8)
    >>> ae.reconstruct(X).shape
    (500, 8, 8)
    >>> ae.score_samples(X).shape
    (500,)
    """

    def __init__(
        self,
        n_components=16,
        *,
        input_shape=None,
        channel_axis=None,
        hidden_channels="auto",
        hidden_units=(),
        kernel_size=3,
        activation="relu",
        normalization="batch",
        module=None,
        loss="squared_error",
        optimizer="adamw",
        learning_rate=4e-3,
        lr_schedule="one_cycle",
        max_epochs=20,
        batch_size="auto",
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
        trim_fraction=0.0,
        warm_start=False,
        anomaly_score="joint",
        contamination="auto",
        calibration=None,
        net_params=None,
        device="auto",
        precision="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.input_shape = input_shape
        self.channel_axis = channel_axis
        self.hidden_channels = hidden_channels
        self.hidden_units = hidden_units
        self.kernel_size = kernel_size
        self.activation = activation
        self.normalization = normalization
        self.module = module
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.lr_schedule = lr_schedule
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.trim_fraction = trim_fraction
        self.warm_start = warm_start
        self.anomaly_score = anomaly_score
        self.contamination = contamination
        self.calibration = calibration
        self.net_params = net_params
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose


@parametrize
class DenoisingConvAutoencoder(BaseAutoencoder):
    r"""Convolutional autoencoder that learns to remove noise.

    It is trained to give the clean sample back from a corrupted one [1]_,

    .. math:: \min_{f, g} \frac{1}{n} \sum_{i=1}^n \mathbb{E}\, \ell(g(f(\tilde x_i)), x_i),

    with fresh noise for every batch. `reconstruct` denoises what it is given; `transform`,
    `score_samples` and the validation of `early_stopping` add no noise. Where you have noisy and
    clean pairs, pass them as ``fit(X_noisy, target=X_clean)``: no further noise is then added.
    Of cross-entropy only what is given back must lie in [0, 1], noisy values may lie beyond.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    ConvAutoencoder : Without noise.

    References
    ----------
    .. [1] Vincent, P., Larochelle, H., Lajoie, I., Bengio, Y. and Manzagol, P.-A. (2010). Stacked
       denoising autoencoders. Journal of Machine Learning Research 11, 3371-3408.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skcae import DenoisingConvAutoencoder
    >>> X = load_digits().images[:500] / 16
    >>> dae = DenoisingConvAutoencoder(noise_level=0.3, max_epochs=5, random_state=0).fit(X)
    >>> noisy = X + 0.3 * np.random.default_rng(0).normal(size=X.shape)
    >>> dae.reconstruct(noisy).shape
    (500, 8, 8)
    """

    def __init__(
        self,
        n_components=16,
        *,
        input_shape=None,
        channel_axis=None,
        hidden_channels="auto",
        hidden_units=(),
        kernel_size=3,
        activation="relu",
        normalization="batch",
        module=None,
        corruption="gaussian",
        noise_level=0.3,
        clip_range=None,
        loss="squared_error",
        optimizer="adamw",
        learning_rate=4e-3,
        lr_schedule="one_cycle",
        max_epochs=20,
        batch_size="auto",
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
        trim_fraction=0.0,
        warm_start=False,
        anomaly_score="joint",
        contamination="auto",
        calibration=None,
        net_params=None,
        device="auto",
        precision="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.input_shape = input_shape
        self.channel_axis = channel_axis
        self.hidden_channels = hidden_channels
        self.hidden_units = hidden_units
        self.kernel_size = kernel_size
        self.activation = activation
        self.normalization = normalization
        self.module = module
        self.corruption = corruption
        self.noise_level = noise_level
        self.clip_range = clip_range
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.lr_schedule = lr_schedule
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.trim_fraction = trim_fraction
        self.warm_start = warm_start
        self.anomaly_score = anomaly_score
        self.contamination = contamination
        self.calibration = calibration
        self.net_params = net_params
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    _instead_of_y = "pass it as target, as in fit(X, target=y)"

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, target=None):
        """Train the network to remove the noise of `corruption`, or to turn `X` into `target`.

        A fit that fails, or is interrupted with Ctrl-C, leaves the estimator as it was before.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images; clean, or the noisy half of pairs.
        y : Ignored
            Present for API consistency. Other samples than `X`, of its shape, are an error.
        target : array-like of the shape of `X`, default=None
            The clean half of pairs, in the units of `X`. None adds the noise of `corruption` to
            `X`; with a target it is not used. Through a Pipeline it is carried by metadata
            routing, ``set_fit_request(target=True)``.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._check_pairs(X, y, target)
        return self._fit(X, y, target)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, target=None):
        """Train for one epoch on a chunk of data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : Ignored
            Present for API consistency. Other samples than `X`, of its shape, are an error.
        target : array-like of the shape of `X`, default=None
            The clean half of pairs.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._check_pairs(X, y, target)
        return self._partial_fit(X, target)

    def score(self, X, y=None, sample_weight=None, target=None):
        """Average minus the loss, which a grid search maximizes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images; clean, or the noisy half of pairs.
        y : Ignored
            Present for API consistency. Other samples than `X`, of its shape, are an error.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean.
        target : array-like of the shape of `X`, default=None
            The clean half of pairs, with which the reconstructions are compared. None compares
            them with `X` itself, and so prefers networks that keep its noise: of several
            `noise_level` it prefers 0.

        Returns
        -------
        score : float
            Negative mean loss, whatever the `anomaly_score`, in the units of `X` (squared, for
            the squared error; nats, for cross-entropy).
        """
        check_is_fitted(self)
        self._check_pairs(X, y, target)
        if target is None:
            if self._learned_from_pairs():
                warn(
                    "score compares the reconstructions with X itself and its noise, since no "
                    "target is given; pass the clean half as target, in a search by metadata "
                    "routing, set_score_request(target=True)."
                )
            return super().score(X, sample_weight=sample_weight)
        net, rows = self.net_, self._validate(X, compared=False)[0]
        target = validate_target(target, rows, net.layout)
        if net.loss.unit_interval:
            check_unit_interval(target, net.scaling, self._loss_text(), "target", when_read=True)
        return self._average(-net.losses(rows, target), sample_weight)

    def _check_pairs(self, X, y, target):
        refuse_target(X, y, self._instead_of_y, masks=False)
        refuse_disordered(X, target)

    def _learned_from_pairs(self):
        """Whether the fit before was on pairs, with which no noise is added."""
        return getattr(self, "net_", None) is not None and self.net_.corruption is None

    def _read_target(self, target, rows, layout, reset):
        if target is None and (self.warm_start or not reset) and self._learned_from_pairs():
            raise ValueError(
                "target is missing, but the calls before had one; pass it, or start anew with "
                "warm_start=False and fit."
            )
        return None if target is None else validate_target(target, rows, layout), {}

    def _scale(self, rows, target, layout, earlier=None):
        if target is None or not self._loss().unit_interval:
            scaling = super()._scale(rows, target, layout, earlier)
        else:
            scaling = earlier.extended(rows) if earlier else Scaling.unit_interval(rows)
            check_noisy(rows, scaling, self._loss_text())
            check_unit_interval(target, scaling, self._loss_text(), "target")
        if target is None:
            warn_of_no_noise(self._make_corruption(), rows, layout)
        else:
            check_precision(target, scaling, "target")
            warn_of_other_units(rows, target, layout)
        return scaling

    def _net_options(self):
        return {"denoises": True}

    def _make_corruption(self):
        if not isinstance(self.corruption, str):
            return self.corruption
        options = {}
        if self.clip_range is not None:
            options["clip_range"] = _check_clip_range(self.clip_range)
        return CORRUPTIONS[self.corruption](self.noise_level, **options)


def _check_clip_range(clip_range):
    """Two numbers, the lower one first."""
    low_high = tuple(clip_range)
    numbers = all(isinstance(value, Real) for value in low_high)
    if len(low_high) != 2 or not numbers or not low_high[0] < low_high[1]:
        raise ValueError(
            f"clip_range={clip_range!r} is no range; pass (low, high) with low below high."
        )
    return float(low_high[0]), float(low_high[1])
