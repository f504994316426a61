"""ConvVAE."""

from sklearn.utils.validation import check_is_fitted

from ._generative import BaseVAE
from ._parameters import parametrize


@parametrize
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
    {parameters}

    Attributes
    ----------
    {attributes}

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
    >>> X = load_digits().images[:500]
    >>> vae = ConvVAE(n_components=8, max_epochs=5, random_state=0).fit(X)
    >>> vae.transform(X).shape
    (500, 8)
    >>> vae.sample(3, random_state=0).shape
    (3, 8, 8)
    >>> vae.score_samples(X).shape
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
        likelihood="gaussian",
        prior="normal",
        beta=1.0,
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
        self.activation = activation
        self.normalization = normalization
        self.module = module
        self.likelihood = likelihood
        self.prior = prior
        self.beta = beta
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
        return self._interpolate(X_from, X_to, n_steps)

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
        return self._traverse(X, n_steps, span)
