"""The parameters of the estimators, each once: what it may be, its text, what it stands for."""

import inspect
import math
import os
import textwrap
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import check_random_state

from ._net._distributed import rank_and_size
from ._net._schedules import LR_SCHEDULES, OPTIMIZERS
from ._net_params import refusing_moved
from ._private import Interval, RealNotInt, StrOptions
from .corruptions import CORRUPTIONS
from .losses import LIKELIHOODS, LOSSES, Likelihood, Loss
from .modules import ACTIVATIONS, CONDITIONS, NORMALIZATIONS
from .priors import PRIORS
from .scores import SCORES, Score


class Parameter(NamedTuple):
    """What validation asks of a parameter, and the type and the text that docstrings show."""

    constraint: list
    kind: str
    text: str


def _at_least(low, kind=Integral):
    return Interval(kind, low, None, closed="left")


def _names(table):
    return [name for name in table if name is not None]


def _choice(table, *others, kind="", text):
    """A parameter that names a row of a table, or is something else."""
    options = ", ".join(f'"{name}"' for name in _names(table))
    return Parameter([StrOptions(_names(table)), *others], f"{{{options}}}{kind}", text)


COUNT, SWITCH = [_at_least(1)], ["boolean"]
SCORE_CLASS, LOSS_CLASS = ":class:`~skcae.scores.Score`", ":class:`~skcae.losses.Loss`"

PARAMETERS = {
    # Data
    "n_components": Parameter([_at_least(1), None], "int or None", """
        Size of the code. None keeps the last convolutional feature map as the code, flattened:
        a fully convolutional autoencoder."""),
    "input_shape": Parameter(["array-like", None], "tuple of int", """
        Shape of one sample: ``(L,)`` signal, ``(H, W)`` image, ``(D, H, W)`` volume, with the
        channels where `channel_axis` says. None takes it from `X` when `X` holds images
        ``(n_samples, *input_shape)``; rows ``(n_samples, n_features)`` are then signals."""),
    "channel_axis": Parameter([Integral, None], "int", """
        Axis of one sample that holds the channels: -1 for ``(32, 32, 3)``, 0 for
        ``(3, 32, 32)``. None: there are no channels."""),
    # Architecture
    "hidden_channels": Parameter([StrOptions(["auto"]), "array-like"], '"auto" or tuple of int',
                                 """
        Filters of each convolutional stage; each stage halves the sides. The decoder mirrors the
        encoder. "auto" follows the shape of a sample: two stages of 32 and 64 filters, of volumes
        16 and 32; for sides above 45 three stages or more, of 16, 32 and then 64 filters.
        ``()`` is a dense network."""),
    "hidden_units": Parameter(["array-like"], "tuple of int", """
        Widths of dense layers between the feature map and the code."""),
    "kernel_size": Parameter([_at_least(1), "array-like"], "int or tuple of int", """
        Side of the filters, odd; one for all stages, or one for each."""),
    "activation": _choice(ACTIVATIONS, callable, None, kind=", None or callable", text="""
        Between layers; "leaky_relu" has slope 0.2. A callable builds a module."""),
    "normalization": _choice(NORMALIZATIONS, callable, None, kind=", None or callable", text="""
        After each convolution. A callable ``(n_channels)``, such as
        :class:`torch.nn.InstanceNorm2d`, builds a module."""),
    "module": Parameter([callable, None], "callable", """
        A class or function of your own that builds a :class:`torch.nn.Module` with
        ``encode(x)`` to ``(n, code size)`` and ``decode(z)``. Of ``n_channels``,
        ``spatial_shape`` and ``n_components`` it is given those that it names as arguments,
        and the ``module__`` entries of `net_params`. The other architecture parameters are
        then not used."""),
    "condition": _choice(CONDITIONS, text="""
        Whether the encoder and the decoder are told the label, or the decoder alone."""),
    # Noise
    "corruption": _choice(CORRUPTIONS, torch.nn.Module, kind=" or Module", text="""
        Noise that is added to each batch in training: normal noise, values set to zero, or
        values set to either end of `clip_range`. A module of your own maps a batch
        ``(n, n_channels, *spatial)`` in the units of `X` to its noisy version, and may take
        ``generator`` as a second argument."""),
    "noise_level": Parameter([_at_least(0, Real)], "float", """
        For "gaussian" the standard deviation of the noise in the units of `X`: 0.3 suits values
        in [0, 1], and 0.3 * 255 their 8-bit version; a level 40 times below or above the standard
        deviation of `X` brings a warning, and 0.3 if it is 15 times below or 6 times above. For
        the others the fraction of the values, in [0, 1]."""),
    "clip_range": Parameter(["array-like", None], "tuple of float (low, high)", """
        In the units of `X`: the range to which "gaussian" clips the noisy data, None not at
        all; the two values of "salt_and_pepper", None for the smallest and the largest of the
        batch. "masking" and a module of your own do not use it."""),
    # Loss
    "loss": _choice(LOSSES, callable, Loss, kind=f", callable or {LOSS_CLASS}", text="""
        What to minimize, averaged over the values of a sample. "binary_crossentropy" (nats) needs
        values in [0, 1] or integers: masks of 0 and 1, or images of 8 bits, which are divided by
        255; wider ones: see the user guide. The others take any real data and standardize it
        inside, by the mean of each channel and a standard deviation; results come back in the
        units of `X`. A callable
        ``loss(output, target)`` compares standardized tensors and returns a loss for each value
        or each sample."""),
    "likelihood": _choice(LIKELIHOODS, Likelihood, kind=" or :class:`~skcae.losses.Likelihood`",
                          text="""
        Distribution of the values of `X` given the code. "gaussian" takes any real data; its
        variance, common to all values, is estimated by maximum likelihood while training.
        "bernoulli" is for binary data and "continuous_bernoulli" for grey values; both need values
        in [0, 1], or integers: masks of 0 and 1, images of 8 bits (divided by 255; wider: see the
        user guide). Grey values under "bernoulli" only give a number that trains well."""),
    "prior": _choice(PRIORS, callable, kind=" or callable", text="""
        Distribution of the codes: standard normal, or a mixture of 64 normal distributions that
        is learned with the network. A callable ``(n_components)`` builds a
        :class:`skcae.priors.Prior`."""),
    "beta": Parameter([_at_least(0, Real)], "float", """
        Weight of the divergence of the codes from the prior in training (Higgins et al., 2017).
        Above 1 the codes tell less, below 1 more. The likelihood that is reported has weight
        1."""),
    "n_train_samples": Parameter(COUNT, "int", """
        Draws of the code for each sample and step. 1 trains the evidence lower bound (ELBO),
        more the importance-weighted bound (Burda et al., 2016), which is closer to the
        likelihood and costs that many passes through the decoder."""),
    "n_importance_samples": Parameter(COUNT, "int", """
        Draws of the code for each sample in `score_samples` and all that builds on it: the
        importance-weighted bound, which rises to the log-likelihood with their number."""),
    # Training
    "optimizer": _choice(OPTIMIZERS, callable, kind=" or class", text="""
        A :class:`torch.optim.Optimizer`. Its other arguments are reached as
        ``net_params={"optimizer__weight_decay": 0.1}``."""),
    "learning_rate": Parameter([Interval(Real, 0, None, closed="neither")], "float", """
        Largest step size of the schedule."""),
    "lr_schedule": _choice(LR_SCHEDULES, callable, kind=" or callable", text="""
        Factor of `learning_rate` along a `fit`: "one_cycle" rises for 30 % of the steps and
        falls to zero. A callable takes the share of the steps done, in [0, 1). `partial_fit`
        keeps the rate constant. Scheduler callbacks of skorch need "constant"."""),
    "max_epochs": Parameter(COUNT, "int", """
        Passes over the data."""),
    "batch_size": Parameter([StrOptions(["auto"]), *COUNT], '"auto" or int', """
        Samples per step. "auto" is a fiftieth of the samples, at least 16 and at most 32;
        a GPU is busy with larger ones only. A single sample left over joins the batch before it.
        With batches of one sample, batch normalization has nothing to average and stays the
        identity."""),
    "early_stopping": Parameter(SWITCH, "bool", """
        Hold out data, stop when its loss stops falling, and keep the weights of the best
        epoch."""),
    "validation_fraction": Parameter([Interval(Real, 0, 1, closed="neither")], "float", """
        Share of the samples held out with `early_stopping`."""),
    "n_iter_no_change": Parameter(COUNT, "int", """
        Epochs without a lower validation loss after which `early_stopping` stops."""),
    "trim_fraction": Parameter([Interval(Real, 0, 0.5, closed="left")], "float in [0, 0.5)", """
        Share of each batch, rounded up, that which is explained worst, from which the network does
        not learn after the first fifth of the steps, or the first call of `partial_fit`. For
        training data with anomalies in it: pass somewhat more than their share. `offset_` leaves
        so many out as well, and so calls more of clean data outliers."""),
    "warm_start": Parameter(SWITCH, "bool", """
        `fit` goes on from the weights of the fit before."""),
    # Outliers
    "anomaly_score": _choice(SCORES, callable, Score, kind=f", callable or {SCORE_CLASS}", text="""
        What `score_samples` is the negative of; see :mod:`skcae.scores`. "loss" is the loss of a
        sample, of variational autoencoders minus the log-likelihood; "top_error" is the mean of
        the largest 5 % of the errors of its values, "ssim" the structural dissimilarity. Two are
        learned from at most 5000 training samples: "neighbors" is the distance of the code from
        its nearest neighbours, "joint" minus the log-density of the code together with the
        logarithms of the error on three grids, and with the last feature map, under mixtures of
        normal distributions. A callable takes :class:`~skcae.scores.Evidence`, and returns a
        value for each sample, higher for more abnormal. Like all parameters it takes effect in
        the next `fit` or `partial_fit`."""),
    "contamination": Parameter(
        [StrOptions(["auto"]), Interval(Real, 0, 0.5, closed="right")],
        '"auto" or float in (0, 0.5]', """
        "auto" sets `offset_` so that `predict` calls about one in twenty of the normal samples to
        come an outlier, by samples that were not trained on: those of `calibration`, or else, of
        more than 2000, a tenth, at most 500; of fewer by a second network on four fifths of them,
        which takes about as long as the first. A float, which takes no time, is the share of the
        training data that is predicted as outliers: on new data expect more alarms."""),
    "calibration": Parameter(
        [Interval(RealNotInt, 0, 1, closed="neither"), _at_least(2), None],
        "float in (0, 1), int or None", """
        What `p_values` compares with. A float holds out about that share of the samples, on which
        the network is not trained: which ones, follows from their values and from an int
        `random_state`, so that no chunk of a stream trains on them later. An int trains a network
        more for each of so many folds, for small data. None: only `recalibrate` calibrates."""),
    # Engine
    "net_params": Parameter([dict, None], "dict", """
        What few need: ``callbacks`` of skorch; ``augmentation``, a module that changes training
        samples at random, as :class:`skcae.augmentations.Shift` does; arguments of the
        optimizer and of the network, ``optimizer__betas``, ``module__padding`` (see
        :class:`skcae.modules.Autoencoder`);
        ``compile=True``, which trains with the network compiled by :func:`torch.compile`, and
        ``compile__mode``; of variational autoencoders ``kl_warmup``, the share of the steps of
        `fit` over which `beta` rises from 0, and ``free_bits``, nats that each component of the
        code may tell without cost (Kingma et al., 2016; with one draw in training). In
        `set_params` and grids they are ``net__optimizer__betas``. What is a parameter of the
        estimator is refused here."""),
    "device": Parameter([str, torch.device], "str or torch.device", """
        "auto" is a CUDA device where there is one, and the CPU otherwise."""),
    "precision": Parameter([StrOptions(["auto", "float32", "bfloat16"])],
                           '{"auto", "float32", "bfloat16"}', """
        Of training; "bfloat16" is mixed precision. "auto" chooses it for the built-in network
        where it is faster: on CUDA devices from compute capability 8.0 on, and for images on
        processors with AVX512-BF16 or AMX. Inference is always in float32, and so is training on
        a CPU where a feature map has a side of one value, of which torch computes wrong gradients
        in bfloat16."""),
    "random_state": Parameter(["random_state"], "int, RandomState instance or None", """
        Initial weights, order of the batches, held-out samples and noise. An int makes results
        bit-identical on one machine. Global random states are neither read nor moved."""),
    "verbose": Parameter(["verbose"], "int", """
        1 prints a line for each epoch, with the time left; long ones show a bar meanwhile."""),
}  # fmt: skip

ATTRIBUTES = """
    net_ : skorch.net.NeuralNet
        The trained net; ``net_.module_`` is the torch module. ``net_.predict`` is `reconstruct`.

    input_shape_ : tuple of int
        Shape of one sample.

    n_components_ : int
        Size of the code.

    n_features_in_ : int
        Number of values in a sample.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features. Defined only when `X` has names that are all strings.

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

    expected_scores_ : ndarray or None
        Anomaly scores, at most 1000, as they are expected of new normal samples, from which
        ``contamination="auto"`` finds `offset_`. None with a calibration, or a float.

    calibration_ : object or None
        Scores of samples that were held out, for `p_values`.

    device_ : str
        Device that was used."""

VARIATIONAL_ATTRIBUTES = """

    active_units_ : ndarray of shape (n_components_,), bool
        Components of the code whose posterior mean varies between samples, by more than 0.01
        (Burda et al., 2016). The others have collapsed onto the prior."""


def parametrize(cls):
    """Give an estimator the constraints and the texts of the parameters of its ``__init__``."""
    signature = inspect.signature(cls.__init__).parameters
    given = {name: PARAMETERS[name] for name in signature if name in PARAMETERS}
    cls._parameter_constraints = {name: given[name].constraint for name in given}
    texts = [_entry(name, given[name], signature[name].default) for name in given]
    attributes = ATTRIBUTES + (VARIATIONAL_ATTRIBUTES if hasattr(cls, "elbo") else "")
    doc = cls.__doc__.replace("{parameters}", "\n\n".join(texts).strip())
    cls.__doc__ = doc.replace("{attributes}", attributes.strip())
    cls.__init__ = refusing_moved(cls.__init__)
    return cls


def _entry(name, parameter, default):
    shown = f'"{default}"' if isinstance(default, str) else repr(default)
    text = textwrap.indent(textwrap.dedent(parameter.text).strip(), 8 * " ")
    return f"    {name} : {parameter.kind}, default={shown}\n{text}"


# Where parameters went, and those that were meant ----------------------------------------------

TUPLES = dict.fromkeys(("input_shape", "hidden_channels", "hidden_units"), "({},)")
TUPLES["clip_range"] = "(low, high)"

MOVED_SCORES = {
    "max_error": "Score(function, in_units=True) with evidence.values.flatten(1).amax(1)",
    "mixture": "Score(code, Mixture), of skcae.scores",
    "mahalanobis": "Score(code, Mahalanobis), of skcae.scores",
    "reconstruction": "elbo(X)[0]",
    "kl": "elbo(X)[1]",
}


def refuse_numbers(parameters) -> None:
    """Say how a parameter is written that was given one number for several, or a bool for one."""
    for name, value in parameters.items():
        if name in TUPLES and isinstance(value, Real):
            example = TUPLES[name].format(value)
            raise ValueError(f"{name}={value!r} is one number; pass a tuple, {name}={example}.")
        counts = any(isinstance(kind, Interval) for kind in PARAMETERS.get(name, [[]])[0])
        if counts and isinstance(value, bool):
            raise ValueError(f"{name}={value!r} is a bool; pass a number.")


def refuse_moved_score(score) -> None:
    """Say how scores are written that had names in an earlier version."""
    if isinstance(score, str) and score in MOVED_SCORES:
        raise ValueError(
            f"anomaly_score={score!r} has no name any more, for it trailed the others; it is now "
            f"{MOVED_SCORES[score]}."
        )


# What parameters stand for ---------------------------------------------------------------------


def choose(table, value):
    """The row of a table that ``value`` names, or ``value`` itself where it is callable."""
    return value if callable(value) else table[value]


def choose_batch_size(batch_size, n_samples):
    """For "auto" 50 steps an epoch or more, with 16 to 32 samples each."""
    return min(max(n_samples // 50, 16), 32) if batch_size == "auto" else batch_size


def choose_hidden_channels(hidden_channels, spatial):
    """For "auto" two to five stages, until the longest side is about 8."""
    if not isinstance(hidden_channels, str):
        return hidden_channels
    n_stages = min(max(round(math.log2(max(spatial) / 8)), 2), 5)
    first = 32 if n_stages == 2 and len(spatial) < 3 else 16
    return tuple(min(first * 2**stage, 64) for stage in range(n_stages))


def draw_seed(random_state):
    """An int from ``random_state``; None draws from the system, not from numpy's global state."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31 - 1))
    return int(check_random_state(random_state).randint(2**31 - 1))


def choose_device(device):
    """The device to use, checked."""
    if str(device) == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is unknown; pass 'auto', 'cpu', 'cuda' or 'cuda:<index>'."
        ) from error
    if kind not in ("cpu", "cuda"):
        raise ValueError(
            f"device={str(device)!r} is not supported; pass 'auto', 'cpu', 'cuda' or "
            f"'cuda:<index>'."
        )
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device={str(device)!r} was asked for, but torch finds no CUDA device; pass "
            f"device='auto' or 'cpu', or install a torch build with CUDA."
        )
    own = os.environ.get("LOCAL_RANK") if rank_and_size()[1] > 1 else None
    return f"cuda:{own}" if str(device) == "cuda" and own is not None else str(device)


def check_count(name, value, least=1):
    """A number of draws, of a method; a standard error needs two."""
    if not isinstance(value, Integral) or value < least:
        raise ValueError(
            f"{name}={value!r} is no number of draws; pass an int of at least {least}."
        )
    return int(value)
