"""ConvVAE, and what the conditional one shares with it."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import (
    check_is_fitted,
)

from ._base import N_FENCE, BaseAutoencoder, _names
from ._docs import shared
from ._stored import applied
from ._validation import draw_seed, row
from ._variational import VariationalNet
from .losses import LIKELIHOODS, Likelihood
from .modules import VariationalAutoencoder
from .priors import PRIORS
from .scores import LIKELIHOOD_SCORES, SCORES, Score

# A component of the code is active if its posterior mean varies more (Burda et al., 2016).
ACTIVE_VARIANCE = 0.01


class BaseVAE(BaseAutoencoder):
    """What the variational autoencoders share."""

    _net_class, _network_class = VariationalNet, VariationalAutoencoder
    _loss_parameter = "likelihood"
    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        "likelihood": [_names(LIKELIHOODS), Likelihood],
        "prior": [_names(PRIORS), callable],
        "beta": [Interval(Real, 0, None, closed="left")],
        "kl_warmup": [Interval(Real, 0, 1, closed="both")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "n_train_samples": [Interval(Integral, 1, None, closed="left")],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
    }
    del _parameter_constraints["loss"]
    _parameter_constraints["anomaly_score"] = [
        _names(SCORES | LIKELIHOOD_SCORES),
        callable,
        Score,
    ]

    def _loss(self):
        return (
            LIKELIHOODS[self.likelihood] if isinstance(self.likelihood, str) else self.likelihood
        )

    def _net_options(self):
        return {
            "module__n_classes": 0,
            "prior": row(PRIORS, self.prior),
            "beta": self.beta,
            "kl_warmup": self.kl_warmup,
            "free_bits": self.free_bits,
            "n_train_samples": self.n_train_samples,
            "n_importance_samples": self.n_importance_samples,
        }

    def _learned(self, net, rows, target, everything, streaming=False):
        means = net.encode(rows[:: -(-len(rows) // N_FENCE)])
        active = means.var(axis=0) > ACTIVE_VARIANCE
        if len(means) > 1 and not active.any():
            warnings.warn(
                "the codes do not depend on X: all of them have collapsed onto the prior, so "
                "that samples and reconstructions are all alike. Train for longer, or try "
                "kl_warmup=0.3, free_bits=0.1, a smaller beta or another learning_rate.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return super()._learned(net, rows, target, everything, streaming) | {
            "active_units_": active
        }

    def _estimate(self, X, y, n_samples):
        """Estimates of the log-likelihood and standard errors, ``(2, n_samples)``."""
        return self._by_draws(self.net_.log_likelihood, X, y, n_samples)

    def _by_draws(self, function, X, y, n_samples):
        """Two values for each row, as ``(2, n_samples)``."""
        rows = self._validate(X)[0]

        def of_rows(rows, codes=None):
            return function(rows, codes, n_samples).T

        return applied(of_rows, rows, self._codes(y, rows)).T

    def _codes(self, y, rows):
        """Integer codes of the labels ``y``, for a conditional model."""
        return None

    def posterior(self, X):
        """Compute mean and standard deviation of the code given each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components), float32
            What `transform` returns.
        std : ndarray of shape (n_samples, n_components), float32
            Standard deviations.
        """
        check_is_fitted(self)
        moments = applied(self.net_.posterior, self._validate(X)[0])
        return moments[:, 0], moments[:, 1]

    def score_samples(self, X):
        """Estimate the log-likelihood of each sample, or what `anomaly_score` names.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            The importance-weighted bound of the log-likelihood, from `n_importance_samples`
            draws, in nats and in the units of `X`; with another `anomaly_score` its negative.
            The draws belong to the estimator: a score never changes between calls, and does not
            depend on the other rows.
        """
        check_is_fitted(self)
        if self.net_.usual.score != SCORES["loss"]:
            return super().score_samples(X)
        return self._estimate(X, None, self.net_.n_importance_samples)[0]

    def log_likelihood(self, X, n_samples=1000, return_std=False):
        """Estimate the log-likelihood of each sample with more draws.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        n_samples : int, default=1000
            Draws of the code for each sample.
        return_std : bool, default=False
            Whether to return the standard error too.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,), float64
            The importance-weighted bound in nats, in the units of `X`.
        std : ndarray of shape (n_samples,), float64
            Its Monte Carlo standard error, by the delta method; only with ``return_std=True``.
        """
        check_is_fitted(self)
        estimate, std = self._estimate(X, None, check_count("n_samples", n_samples))
        return (estimate, std) if return_std else estimate

    def elbo(self, X, n_samples=100):
        r"""Split the evidence lower bound of each sample into its two terms.

        .. math:: \log p(x) \ge \mathbb{E}_q \log p(x \mid z) - KL(q(z \mid x), p(z))

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        n_samples : int, default=100
            Draws of the code for each sample, over which the first term is averaged; the second
            is exact for the normal prior.

        Returns
        -------
        reconstruction : ndarray of shape (n_samples,), float64
            Expected log-likelihood given the code, in nats.
        kl : ndarray of shape (n_samples,), float64
            Divergence of the posterior from the prior, in nats; the bound is the difference.
        """
        check_is_fitted(self)
        n_samples = check_count("n_samples", n_samples)
        reconstruction, kl = self._by_draws(self.net_.elbo, X, None, n_samples)
        return reconstruction, kl

    def summary(self):
        """List the layers of the network with their output shapes and counts.

        Returns
        -------
        layers : pandas.DataFrame
            As for the other autoencoders, with a row "active units" before the total: how many
            components of the code vary with `X`.
        """
        layers = super().summary()
        total = layers.loc["total"]
        layers = layers.drop(index="total")
        active = f"{self.active_units_.sum()} of {self.n_components_}"
        layers.loc["active units"] = ["", active, 0, 0]
        layers.loc["total"] = total
        return layers

    def _sample(self, n_samples, codes, random_state):
        n_samples = check_count("n_samples", n_samples)
        Z = self.net_.sample(n_samples, draw_seed(random_state))
        return self._as_given(self.net_.decode(Z, codes))

    def _interpolate(self, X_from, X_to, n_steps, codes_of):
        start, end = (self.net_.encode(self._validate(X)[0], codes_of(X)) for X in (X_from, X_to))
        if len(start) != len(end):
            raise ValueError(
                f"X_from has {len(start)} samples and X_to has {len(end)}; pass pairs."
            )
        share = np.linspace(0, 1, check_count("n_steps", n_steps), dtype=np.float32)
        Z = start[:, None] + share[:, None] * (end - start)[:, None]
        return self._decode_grid(Z, codes_of(X_from))

    def _traverse(self, X, n_steps, span, codes_of):
        if not np.isfinite(span):
            raise ValueError(f"span={span!r} is not finite; pass a number such as 2.0.")
        Z = np.zeros((1, self.n_components_), np.float32)
        if X is not None:
            Z = self.net_.encode(self._validate(X)[0])
        if len(Z) != 1:
            raise ValueError(f"X has {len(Z)} samples; pass one, or None for the centre.")
        steps = np.linspace(-span, span, check_count("n_steps", n_steps), dtype=np.float32)
        grid = np.tile(Z[0], (self.n_components_, len(steps), 1))
        component = np.arange(self.n_components_)
        grid[component, :, component] = steps
        codes = None if X is None else codes_of(X)
        return self._decode_grid(grid, None if codes is None else codes.repeat(len(grid)))

    def _decode_grid(self, Z, codes):
        """Codes ``(n, n_steps, n_components)``, each row of them under its label."""
        n, n_steps, _ = Z.shape
        codes = None if codes is None else codes.repeat(n_steps)
        images = self._as_given(self.net_.decode(Z.reshape(n * n_steps, -1), codes))
        return images.reshape(n, n_steps, *images.shape[1:])


@shared
class ConvVAE(BaseVAE):
    r"""Convolutional variational autoencoder.

    A decoder and a prior are a model of the data, :math:`p(x) = \int p(x \mid z) p(z) dz`. An
    encoder :math:`q(z \mid x) = N(\mu(x), \sigma^2(x))` makes it tractable: both are trained by
    stochastic gradients of the bound [1]_

    .. math:: \log p(x) \ge \mathbb{E}_q \log p(x \mid z) - \beta KL(q(z \mid x), p(z)),

    or of its importance-weighted version [2]_. The codes that `transform` returns are the
    posterior means; nothing that is computed from a fitted model is random except `sample`.

    Parameters
    ----------
    {architecture}

    {likelihood}

    {training}

    Attributes
    ----------
    {attributes}{vae_attributes}

    See Also
    --------
    ConditionalConvVAE : Learns the distribution of the data given a label.
    ConvAutoencoder : Without a distribution.
    sklearn.decomposition.PCA : Its probabilistic version is the linear case.

    References
    ----------
    .. [1] Kingma, D. P. and Welling, M. (2014). Auto-encoding variational Bayes. International
       Conference on Learning Representations.
    .. [2] Burda, Y., Grosse, R. and Salakhutdinov, R. (2016). Importance weighted autoencoders.
       International Conference on Learning Representations.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skcae import ConvVAE
    >>> X = load_digits().images
    >>> vae = ConvVAE(n_components=8, max_epochs=5, random_state=0).fit(X)
    >>> vae.transform(X).shape
    (1797, 8)
    >>> vae.sample(3, random_state=0).shape
    (3, 8, 8)
    >>> vae.score_samples(X).shape
    (1797,)
    """

    def __init__(
        self,
        n_components=16,
        *,
        input_shape=None,
        channel_axis=None,
        hidden_channels=(32, 64),
        hidden_units=(),
        kernel_size=3,
        downsampling="stride",
        upsampling="transpose",
        activation="relu",
        normalization="batch",
        tied_weights=False,
        module=None,
        likelihood="gaussian",
        prior="normal",
        beta=1.0,
        kl_warmup=0.0,
        free_bits=0.0,
        n_train_samples=1,
        n_importance_samples=10,
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
        anomaly_score="loss",
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
        self.downsampling = downsampling
        self.upsampling = upsampling
        self.activation = activation
        self.normalization = normalization
        self.tied_weights = tied_weights
        self.module = module
        self.likelihood = likelihood
        self.prior = prior
        self.beta = beta
        self.kl_warmup = kl_warmup
        self.free_bits = free_bits
        self.n_train_samples = n_train_samples
        self.n_importance_samples = n_importance_samples
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

    def sample(self, n_samples=1, random_state=None):
        r"""Draw from the model.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        random_state : int, RandomState instance or None, default=None
            An int draws the same codes in every call.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features) or (n_samples, *input_shape), float32
            The mean of :math:`p(x \mid z)` for each code drawn from the prior, in the units and
            the layout of the `X` given to `fit`.
        """
        check_is_fitted(self)
        return self._sample(n_samples, None, random_state)

    def interpolate(self, X_from, X_to, n_steps=8):
        """Decode the straight lines between the codes of pairs of samples.

        Parameters
        ----------
        X_from : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Where the lines begin.
        X_to : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Where they end.
        n_steps : int, default=8
            Points on each line, both ends included.

        Returns
        -------
        X : ndarray of shape (n_samples, n_steps, n_features) or \
(n_samples, n_steps, *input_shape), float32
            A line in each row.
        """
        check_is_fitted(self)
        return self._interpolate(X_from, X_to, n_steps, lambda X: None)

    def traverse(self, X=None, n_steps=8, span=2.0):
        """Decode codes of which one component at a time runs along its axis.

        Parameters
        ----------
        X : array-like of shape (1, n_features) or (1, *input_shape), default=None
            The sample from whose code to start. None starts from the code 0.
        n_steps : int, default=8
            Values of each component.
        span : float, default=2.0
            They run from minus to plus this, in standard deviations of the normal prior.

        Returns
        -------
        X : ndarray of shape (n_components, n_steps, n_features) or \
(n_components, n_steps, *input_shape), float32
            A component in each row.
        """
        check_is_fitted(self)
        return self._traverse(X, n_steps, span, lambda X: None)


def check_count(name, value):
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name}={value!r} is no number of draws; pass an int of at least 1.")
    return int(value)
