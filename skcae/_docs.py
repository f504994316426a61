"""The text of the parameters that the estimators share, written once."""

ARCHITECTURE = """n_components : int or None, default=16
        Size of the code. None keeps the last convolutional feature map as the code, flattened:
        a fully convolutional autoencoder.

    input_shape : tuple of int, default=None
        Shape of one sample: ``(L,)`` signal, ``(H, W)`` image, ``(D, H, W)`` volume, with the
        channels where `channel_axis` says. None takes it from `X` when `X` holds images
        ``(n_samples, *input_shape)``; rows ``(n_samples, n_features)`` are then signals.

    channel_axis : int, default=None
        Axis of one sample that holds the channels: -1 for ``(32, 32, 3)``, 0 for
        ``(3, 32, 32)``. None: there are no channels.

    hidden_channels : tuple of int, default=(32, 64)
        Filters of each convolutional stage; each stage halves the sides. ``()`` is a dense
        network. The decoder mirrors the encoder.

    hidden_units : tuple of int, default=()
        Widths of dense layers between the feature map and the code.

    kernel_size : int or tuple of int, default=3
        Side of the filters, odd; one for all stages, or one for each.

    downsampling : {"stride", "max_pool", "avg_pool"}, default="stride"
        How a stage halves the sides.

    upsampling : {"nearest", "bilinear", "transpose"}, default="transpose"
        How the decoder doubles them: interpolation then convolution, which leaves no
        checkerboard, or transposed convolution. "bilinear" is linear in 1 and 3 dimensions.

    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"}, None or \
callable, default="relu"
        Between layers; "leaky_relu" has slope 0.2. A callable builds a module.

    normalization : {"batch", "group"}, None or callable, default="batch"
        After each convolution. A callable ``(n_channels)``, such as
        :class:`torch.nn.InstanceNorm2d`, builds a module.

    tied_weights : bool, default=False
        The decoder uses the encoder's weights, transposed, with biases of its own.

    module : callable, default=None
        A class or function of your own that builds a :class:`torch.nn.Module` with
        ``encode(x)`` to ``(n, code size)`` and ``decode(z)``. Of ``n_channels``,
        ``spatial_shape`` and ``n_components`` it is given those that it names as arguments,
        and the ``module__`` entries of `net_params`. The other architecture parameters are
        then not used."""

LOSS = """loss : {"squared_error", "absolute_error", "binary_crossentropy"}, callable or \
:class:`~skcae.losses.Loss`, default="squared_error"
        What to minimize, averaged over the values of a sample. The first two take any real data
        and standardize it inside, by one mean and one standard deviation; results come back in
        the units of `X`. "binary_crossentropy" (nats) needs values in [0, 1] or unsigned
        integers, which are divided by the largest value of their type. A callable
        ``loss(output, target)`` compares standardized tensors and returns a loss for each value
        or each sample."""

TRAINING = """optimizer : {"adamw", "adam", "rmsprop", "sgd"} or class, default="adamw"
        A :class:`torch.optim.Optimizer`. Its other arguments are reached as
        ``net_params={"optimizer__weight_decay": 0.1}``.

    learning_rate : float, default=4e-3
        Largest step size of the schedule.

    lr_schedule : {"one_cycle", "cosine", "constant"} or callable, default="one_cycle"
        Factor of `learning_rate` along a `fit`: "one_cycle" rises for 30 % of the steps and
        falls to zero. A callable takes the share of the steps done, in [0, 1). `partial_fit`
        keeps the rate constant. Scheduler callbacks of skorch need "constant".

    max_epochs : int, default=20
        Passes over the data.

    batch_size : "auto" or int, default="auto"
        Samples per step. "auto" is a fiftieth of the samples, at least 16 and at most 128. A
        single sample left over joins the batch before it. With batches of one sample, batch
        normalization has nothing to average and stays the identity.

    early_stopping : bool, default=False
        Hold out data, stop when its loss stops falling, and keep the weights of the best epoch.

    validation_fraction : float, default=0.1
        Share of the samples held out with `early_stopping`.

    n_iter_no_change : int, default=5
        Epochs without a lower validation loss after which `early_stopping` stops.

    trim_fraction : float in [0, 0.5), default=0.0
        Share of each batch, rounded up, that which is explained worst, from which the network does
        not learn after the first fifth of the steps, or the first call of `partial_fit`. For
        training data with anomalies in it: pass somewhat more than their share.

    warm_start : bool, default=False
        `fit` goes on from the weights of the fit before.

    anomaly_score : {scores}, callable or :class:`~skcae.scores.Score`, default={default}
        What `score_samples` is the negative of; see :mod:`skcae.scores`. "loss" is
        {mean_loss}, "max_error" and "top_error" are the largest error
        of a value and the mean of the largest 5 %, "ssim" the structural dissimilarity. The
        others are of the code: its distance from the mean ("mahalanobis") or from its nearest
        neighbours ("neighbors"), minus its log-density under a mixture of normal distributions
        ("mixture"), or the mean of that of the code together with the logarithms of the error on
        three grids, and with the last feature map ("joint"); they are learned from at most 5000
        training samples.{more}
        A callable takes :class:`~skcae.scores.Evidence`, and returns a value for each sample,
        higher for more abnormal.

    contamination : "auto" or float in (0, 0.5], default="auto"
        Share of outliers in the training data, which sets `offset_` so that this share of it is
        predicted as outliers. "auto" puts `offset_` 1.5 interquartile ranges below the lower
        quartile of the training scores, the box plot's fence (Tukey, 1977). Both come from data
        that the network was trained on: expect more alarms on new data, and see `calibration`.
        With a share held out, "auto" is the fence of the scores of that.

    calibration : float in (0, 1), int or None, default=None
        What `p_values` compares with. A float holds out about that share of the samples, on which
        the network is then not trained: which ones, follows from their values and from an int
        `random_state`, so that `partial_fit` never trains on them later. An int trains a network
        more for each of so many folds, and wastes no data. None: nothing, but `recalibrate` can
        be called later.

    net_params : dict, default=None
        Arguments for :class:`skorch.net.NeuralNet`: ``callbacks``, and those of the optimizer
        and the module, ``optimizer__betas``, ``module__padding`` (see
        :class:`skcae.modules.Autoencoder`); ``compile=True`` trains with the network compiled by
        :func:`torch.compile`, ``compile__mode``. In `set_params` and grids they are
        ``net__optimizer__betas``.

    device : str or torch.device, default="auto"
        "auto" is a CUDA device where there is one, and the CPU otherwise.

    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of training; "bfloat16" is mixed precision. "auto" chooses it for the built-in network
        where it is faster: on CUDA devices from compute capability 8.0 on, and for images on
        processors with AVX512-BF16 or AMX. Inference is always in float32, and so is training on
        a CPU where a feature map has a side of one value, of which torch computes wrong gradients
        in bfloat16.

    random_state : int, RandomState instance or None, default=None
        Initial weights, order of the batches, held-out samples and noise. An int makes results
        bit-identical on one machine. Global random states are neither read nor moved.

    verbose : int, default=0
        1 prints a line for each epoch, 2 keeps a progress bar with the time left."""

ATTRIBUTES = """net_ : skorch.net.NeuralNet
        The trained net; ``net_.module_`` is the torch module.

    input_shape_ : tuple of int
        Shape of one sample.

    n_components_ : int
        Size of the code.

    n_features_in_ : int
        Number of values in a sample.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where `X` had string names.

    n_iter_ : int
        Epochs of training, over `fit` and its continuations.

    loss_curve_ : list of float
        Mean training loss of each epoch, in the units of ``-score``. Under a corruption it is
        that of the corrupted data.

    validation_loss_curve_ : list of float
        Loss of the held-out data after each epoch; empty without `early_stopping`.

    history_ : pandas.DataFrame
        One row an epoch: losses and duration in seconds.

    offset_ : float
        ``decision_function`` is ``score_samples`` minus this.

    calibration_ : object or None
        Scores of samples that were held out, for `p_values`.

    device_ : str
        Device that was used."""


LIKELIHOOD = """likelihood : {"gaussian", "bernoulli", "continuous_bernoulli"} or \
:class:`~skcae.losses.Likelihood`, default="gaussian"
        Distribution of the values of `X` given the code. "gaussian" takes any real data; its
        variance, common to all values, is estimated by maximum likelihood while training.
        "bernoulli" is for binary data and "continuous_bernoulli" for grey values; both need
        values in [0, 1], or unsigned integers, which are divided by the largest value of their
        type. Grey values under "bernoulli" give no likelihood, only a number that trains well.

    prior : {"normal", "gaussian_mixture"} or callable, default="normal"
        Distribution of the codes: standard normal, or a mixture of 64 normal distributions that
        is learned with the network. A callable ``(n_components)`` builds a
        :class:`skcae.priors.Prior`.

    beta : float, default=1.0
        Weight of the divergence of the codes from the prior in training (Higgins et al., 2017).
        Above 1 the codes tell less, below 1 more. The likelihood that is reported has weight 1.

    kl_warmup : float in [0, 1], default=0.0
        Share of the steps of `fit` over which `beta` rises from 0. Try 0.3 where codes collapse.

    free_bits : float, default=0.0
        Nats that each component of the code, on average over a batch, may tell without cost
        (Kingma et al., 2016). A learned prior counts all components together. Only with
        ``n_train_samples=1``.

    n_train_samples : int, default=1
        Draws of the code for each sample and step. 1 trains the evidence lower bound (ELBO),
        more the importance-weighted bound (Burda et al., 2016), which is closer to the
        likelihood and costs that many passes through the decoder.

    n_importance_samples : int, default=10
        Draws of the code for each sample in `score_samples` and all that builds on it: the
        importance-weighted bound, which rises to the log-likelihood with their number."""

VAE_ATTRIBUTES = """

    active_units_ : ndarray of shape (n_components_,), bool
        Components of the code whose posterior mean varies between samples, by more than 0.01
        (Burda et al., 2016). The others have collapsed onto the prior."""

_NAMES = '"loss", "max_error", "top_error", "ssim", "mahalanobis", "neighbors", "mixture", "joint"'
SCORES_OF_AUTOENCODERS = {
    "scores": "{" + _NAMES + "}",
    "default": '"joint"',
    "mean_loss": "the mean loss of a sample",
    "more": "",
}
SCORES_OF_VAES = {
    "scores": "{" + _NAMES + ', "reconstruction", "kl"}',
    "default": '"loss"',
    "mean_loss": "minus the log-likelihood",
    "more": """ "reconstruction" and "kl" are the two terms of the bound.""",
}


def shared(cls):
    """Fill the shared texts into the docstring of an estimator."""
    texts = {
        "architecture": ARCHITECTURE,
        "loss": LOSS,
        "training": TRAINING,
        "attributes": ATTRIBUTES,
        "likelihood": LIKELIHOOD,
        "vae_attributes": VAE_ATTRIBUTES,
    }
    texts |= SCORES_OF_VAES if hasattr(cls, "elbo") else SCORES_OF_AUTOENCODERS
    for name, text in texts.items():
        cls.__doc__ = cls.__doc__ and cls.__doc__.replace(f"{{{name}}}", text)
    if cls.__doc__ and "tied_weights" not in cls._parameter_constraints:
        before, _, after = cls.__doc__.partition("    tied_weights : ")
        cls.__doc__ = before + after[after.index("    module : ") :]
    return cls
