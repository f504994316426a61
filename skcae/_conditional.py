"""ConditionalConvVAE."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._generative import BaseVAE
from ._labels import Labelled
from ._parameters import check_count, draw_seed, parametrize
from ._private import fit_context, with_callbacks


@parametrize
class ConditionalConvVAE(Labelled, BaseVAE):
    r"""Convolutional variational autoencoder of the data given a label.

    It models :math:`p(x \mid y) = \int p(x \mid z, y) p(z) dz` and trains the bound of its
    logarithm [1]_, with the labels as one-hot vectors. The code keeps what the label does not
    tell, the style. With the frequencies :math:`p(y)` of the labels it is a model of the data,
    :math:`p(x) = \sum_y p(y) p(x \mid y)`, and by Bayes' rule a classifier, `label_posterior`.

    Labels are optional wherever scikit-learn calls without them. Methods without ``y`` sum over
    the classes by :math:`p(y \mid x)`, which costs as many passes as there are classes. A `fit`
    without ``y`` puts all samples in one class, 0.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.

    class_prior_ : ndarray of shape (n_classes,)
        Their frequencies in the training data.

    {attributes}

    See Also
    --------
    ConvVAE : Without labels.

    References
    ----------
    .. [1] Sohn, K., Lee, H. and Yan, X. (2015). Learning structured output representation using
       deep conditional generative models. Advances in Neural Information Processing Systems 28.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skcae import ConditionalConvVAE
    >>> X, y = load_digits(return_X_y=True)
    >>> X, y = X[:200].reshape(-1, 8, 8), y[:200]
    >>> vae = ConditionalConvVAE(n_components=4, max_epochs=5, random_state=0).fit(X, y)
    >>> vae.sample(2, y=[3, 8], random_state=0).shape
    (2, 8, 8)
    >>> vae.label_posterior(X[:5]).shape
    (5, 10)
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
        condition="both",
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
        self.condition = condition
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

    # Fitting --------------------------------------------------------------------------------

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Train the network on `X` and its labels.

        A fit that fails, or is interrupted with Ctrl-C, leaves the estimator as it was before.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : array-like of shape (n_samples,), default=None
            Labels of any type. None puts all samples in one class, 0.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, target=(y, None))

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, classes=None):
        """Train for one epoch on a chunk of data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : array-like of shape (n_samples,), default=None
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever be seen. Needed in the first call, unless its `y` has them
            all; may be left out afterwards.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._partial_fit(X, target=(y, classes))

    # Applying -------------------------------------------------------------------------------

    @property
    def class_prior_(self):
        return self.net_.module_.class_prior.cpu().numpy()

    def label_posterior(self, X):
        r"""Compute the probability of each label by Bayes' rule.

        .. math:: p(y \mid x) = \frac{p(y) p(x \mid y)}{\sum_{y'} p(y') p(x \mid y')}

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
            In the order of `classes_`; the likelihoods are those of `n_importance_samples`.
        """
        check_is_fitted(self)
        return self.net_.label_posterior(self._validate(X)[0])

    def transform(self, X, y=None, out=None):
        r"""Compute the posterior mean of the code of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : array-like of shape (n_samples,) or one label, default=None
            Labels. None: the mean of the codes under all labels, weighted by
            :math:`p(y \mid x)`.
        out : array of shape (n_samples, n_components), default=None
            Where to write the codes, a part at a time: an array, or a memory map, or anything
            that takes slices. None makes a new array.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
            Codes.
        """
        check_is_fitted(self)
        rows = self._validate(X)[0]
        return self.net_.encode(rows, self._indices(y, rows), out)

    def posterior(self, X, y=None):
        """Compute mean and standard deviation of the code given each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : array-like of shape (n_samples,) or one label, default=None
            Labels. None: the moments of the mixture over the labels.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components), float32
            What `transform` returns.
        std : ndarray of shape (n_samples, n_components), float32
            Standard deviations.
        """
        check_is_fitted(self)
        rows = self._validate(X)[0]
        return self.net_.posterior(rows, self._indices(y, rows))

    def inverse_transform(self, Z, y=None, out=None):
        """Decode codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes.
        y : array-like of shape (n_samples,) or one label, default=None
            Labels under which to decode. None: the mean over the labels by their frequency.
        out : array of shape (n_samples, n_features) or (n_samples, *input_shape), default=None
            Where to write the reconstructions, as in `transform`.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features) or (n_samples, *input_shape), float32
            Reconstructions in the units and the layout of the `X` given to `fit`; float64 where
            that is far from zero, so that single precision would round what varies.
        """
        check_is_fitted(self)
        Z = self._validate_codes(Z)
        result = self.net_.decode(Z, self._indices(y, Z), out)
        return result if out is not None else self._as_given(result)

    def reconstruct(self, X, y=None, out=None):
        """Encode `X` under its most probable label and decode it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : array-like of shape (n_samples,) or one label, default=None
            Labels under which to decode: another label than that of a sample keeps its style.
            None: the most probable one.
        out : array of the shape of `X`, default=None
            Where to write the reconstructions, as in `transform`.

        Returns
        -------
        X_hat : ndarray of the shape of `X`, float32
            Reconstructions in the units of the `X` given to `fit`; float64 far from zero.
        """
        check_is_fitted(self)
        rows, image_shape = self._validate(X)
        result = self.net_.reconstruct(rows, self._indices(y, rows), out)
        return result if out is not None else self._shaped(result, image_shape)

    def score_samples(self, X, y=None):
        r"""Estimate the log-likelihood of each sample, or what `anomaly_score` names.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : array-like of shape (n_samples,) or one label, default=None
            Labels, for :math:`\log p(x \mid y)`. None: :math:`\log p(x)`.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            The importance-weighted bound of the log-likelihood, from `n_importance_samples`
            draws, in nats and in the units of `X`; with another `anomaly_score` its negative. It
            does not depend on the other rows.
        """
        check_is_fitted(self)
        rows = self._validate(X)[0]
        return -self.net_.anomaly_scores(rows, self._indices(y, rows))

    def score(self, X, y=None, sample_weight=None):
        """Average the log-likelihood, which a grid search maximizes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : array-like of shape (n_samples,), default=None
            Labels, or None.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean.

        Returns
        -------
        score : float
            Mean log-likelihood in nats, given the labels where there are any.
        """
        check_is_fitted(self)
        rows = self._validate(X)[0]
        return self._average(-self.net_.losses(rows, self._indices(y, rows)), sample_weight)

    def log_likelihood(self, X, y=None, n_samples=1000, return_std=False):
        r"""Estimate the log-likelihood of each sample with more draws.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : array-like of shape (n_samples,) or one label, default=None
            Labels, for :math:`\log p(x \mid y)`. None: :math:`\log p(x)`.
        n_samples : int, default=1000
            Draws of the code for each sample.
        return_std : bool, default=False
            Whether to return the standard error too, which needs two draws or more.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,), float64
            The importance-weighted bound in nats, in the units of `X`.
        std : ndarray of shape (n_samples,), float64
            Its Monte Carlo standard error, by the jackknife; only with ``return_std=True``. From
            few draws it is itself uncertain: with ten, two of it cover about 80 to 90 %.
        """
        check_is_fitted(self)
        rows = self._validate(X)[0]
        return self._log_likelihood(rows, self._indices(y, rows), n_samples, return_std)

    def elbo(self, X, y=None, n_samples=100):
        r"""Split the evidence lower bound of each sample into its two terms.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        y : array-like of shape (n_samples,) or one label, default=None
            Labels, for the bound of :math:`\log p(x \mid y)`. None: the most probable ones.
        n_samples : int, default=100
            Draws of the code for each sample.

        Returns
        -------
        reconstruction : ndarray of shape (n_samples,), float64
            Expected log-likelihood given the code and the label, in nats.
        kl : ndarray of shape (n_samples,), float64
            Divergence of the posterior from the prior, in nats.
        """
        check_is_fitted(self)
        n_samples, rows = check_count("n_samples", n_samples), self._validate(X)[0]
        reconstruction, kl = self.net_.elbo(rows, self._indices(y, rows), n_samples).T
        return reconstruction, kl

    def sample(self, n_samples=1, y=None, random_state=None):
        r"""Draw from the model.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        y : array-like of shape (n_samples,) or one label, default=None
            Labels. None draws them by their frequency.
        random_state : int, RandomState instance or None, default=None
            An int draws the same codes in every call, whatever the labels.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features) or (n_samples, *input_shape), float32
            The mean of :math:`p(x \mid z, y)` for each code drawn from the prior, in the units
            and the layout of the `X` given to `fit`.
        """
        check_is_fitted(self)
        seed, n_samples = draw_seed(random_state), check_count("n_samples", n_samples)
        if y is None:
            rng = np.random.default_rng(seed)
            y = rng.choice(self.classes_, n_samples, p=self.class_prior_)
        return self._sample(n_samples, self._indices(y, range(n_samples)), seed)

    def interpolate(self, X_from, X_to, n_steps=8):
        """Decode the straight lines between the codes of pairs of samples.

        Parameters
        ----------
        X_from : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Where the lines begin. A line is decoded under the most probable label of its
            beginning, whose reconstruction is its first point.
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
            The sample from whose code to start, and under whose most probable label to decode.
            None starts from the code 0 and averages over the labels.
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
