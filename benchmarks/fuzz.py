"""Random estimators on random data: each works as a whole, or is refused with a sentence of ours.

    python benchmarks/fuzz.py --cases 3000 --seed 0

A case draws an estimator, parameters (some of them invalid), and layout, type and size of data. It
passes if all that follows holds, or if `fit` raises `ValueError` or
`TypeError` in the package or in scikit-learn's validation: results are finite and of their shape,
two fits with one `random_state` and a pickle give the same bits, rows do not depend on each other,
`predict` follows from `decision_function`, and p-values are in (0, 1]. Prints the cases that fail,
each of which ``--first NUMBER --cases 1`` runs again, and exits with how many they are.
"""

import argparse
import pickle
import sys
import traceback
import warnings

import numpy as np
import torch
from sklearn.base import clone

from skcae import ConditionalConvVAE, ConvAutoencoder, ConvVAE, DenoisingConvAutoencoder
from skcae._net._schedules import LR_SCHEDULES, OPTIMIZERS
from skcae.corruptions import CORRUPTIONS
from skcae.losses import LIKELIHOODS, LOSSES
from skcae.modules import ACTIVATIONS, CONDITIONS, DOWNSAMPLINGS, NORMALIZATIONS, UPSAMPLINGS
from skcae.priors import PRIORS
from skcae.scores import SCORES

ESTIMATORS = ConvAutoencoder, DenoisingConvAutoencoder, ConvVAE, ConditionalConvVAE
KINDS = "u1", "i2", "i8", "f4", "f8", "?", "f2"
# Values of each parameter; those of a table are all of its names.
VALUES = {
    "n_components": [1, 2, 5, None],
    "hidden_channels": [(), (3,), (2, 4), [3, 2], "auto"],
    "hidden_units": [(), (5,), (4, 3)],
    "kernel_size": [1, 3, 5, (3,), (3, 5)],
    "activation": list(ACTIVATIONS),
    "normalization": list(NORMALIZATIONS),
    "condition": list(CONDITIONS),
    "corruption": list(CORRUPTIONS),
    "noise_level": [0, 0.1, 0.5, 3.0],
    "clip_range": [None, (0, 1)],
    "loss": list(LOSSES),
    "likelihood": list(LIKELIHOODS),
    "prior": list(PRIORS),
    "beta": [0, 0.5, 4.0],
    "n_train_samples": [1, 3],
    "n_importance_samples": [1, 4],
    "optimizer": list(OPTIMIZERS),
    "learning_rate": [1e-4, 4e-3, 0.1, 30.0],
    "lr_schedule": list(LR_SCHEDULES),
    "batch_size": ["auto", 1, 3, 64],
    "early_stopping": [False, True],
    "validation_fraction": [0.1, 0.6],
    "trim_fraction": [0.0, 0.2, 0.49],
    "anomaly_score": list(SCORES),
    "contamination": ["auto", 0.1, 0.5],
    "calibration": [None, 0.3, 2],
    "precision": ["auto", "float32", "bfloat16"],
    "net_params": [
        None,
        {"module__downsampling": "max_pool", "module__upsampling": "nearest"},
        {"module__tied_weights": True},
        {"module__linear_path": True, "module__stride": 1},
        {"module__code_activation": "tanh", "optimizer__weight_decay": 0.1},
        *({"module__downsampling": down} for down in DOWNSAMPLINGS),
        *({"module__upsampling": up} for up in UPSAMPLINGS),
        {"module__decoder_channels": (3, 2)},
        {"kl_warmup": 0.5, "free_bits": 0.1},
    ],
}
INVALID = ["nope", -1, 0, 2.5, np.nan, (), (0,), {}, {"module__nope": 1}, b"x", True]


def draw(rng, values):
    return values[rng.integers(len(values))]


def draw_estimator(rng):
    """An estimator, most of whose parameters are defaults; one in five has an invalid one."""
    cls = draw(rng, ESTIMATORS)
    known = cls._parameter_constraints
    chosen = (name for name in VALUES if name in known and rng.random() < 0.3)
    parameters = {name: draw(rng, VALUES[name]) for name in chosen}
    if rng.random() < 0.2:
        parameters[draw(rng, sorted(known.keys() - {"verbose"}))] = draw(rng, INVALID)
    small = {"hidden_channels": (2, 3), "n_components": 3, "max_epochs": int(rng.integers(1, 3))}
    return cls(**{**small, "device": "cpu", "random_state": int(rng.integers(100)), **parameters})


def draw_data(rng):
    """Images or rows, and the parameters that tell their layout."""
    spatial = tuple(int(side) for side in rng.integers(1, 9, rng.integers(1, 4)))
    axis = draw(rng, [None, 0, -1]) if rng.random() < 0.4 else None
    n_channels = int(rng.integers(1, 4))
    shape = {None: spatial, 0: (n_channels, *spatial), -1: (*spatial, n_channels)}[axis]
    n, kind = int(draw(rng, [1, 2, 3, 5, 12, 40])), np.dtype(draw(rng, KINDS))
    X = rng.random((n, *shape))
    if kind.kind in "iu":
        X *= 255 if kind == "u1" else 1000
    elif kind.kind == "f" and rng.random() < 0.5:
        X = draw(rng, [0, 1e-3, 30.0, 1e4]) * X + draw(rng, [0, -7, 100])
    X = (X > 0.5) if kind.kind == "b" else X.astype(kind)
    layout = {"channel_axis": axis}
    if rng.random() < 0.5 or X.ndim < 3:
        X, layout["input_shape"] = X.reshape(n, -1), shape
    if rng.random() < 0.03:
        layout["channel_axis"] = 7
    return X, layout


def draw_case(seed, case):
    """An estimator, data, and the further arguments of `fit`."""
    rng = np.random.default_rng([seed, case])
    X, layout = draw_data(rng)
    estimator, arguments = draw_estimator(rng), {}
    if estimator.input_shape is estimator.channel_axis is None:
        estimator.set_params(**layout)
    if isinstance(estimator, DenoisingConvAutoencoder) and rng.random() < 0.3:
        arguments["target"] = X[::-1] if rng.random() < 0.8 else X[:-1]
    if isinstance(estimator, ConditionalConvVAE) and rng.random() < 0.8:
        arguments["y"] = rng.choice(["a", "b", "c"], len(X))
    return estimator, X, arguments


def check(fitted, twin, X, rng):
    """All that must hold of a fitted estimator and of one that was fitted alike."""
    Z, scores = fitted.transform(X), fitted.score_samples(X)
    assert Z.shape == (len(scores), fitted.n_components_) == (len(X), Z.shape[1]), "shape of Z"
    X_hat, decision = fitted.reconstruct(X), fitted.decision_function(X)
    assert X_hat.shape == X.shape == fitted.inverse_transform(Z).shape, "shape of X_hat"
    assert fitted.anomaly_map(X).shape == X.shape, "shape of the map"
    for name, values in {"codes": Z, "X_hat": X_hat, "scores": scores}.items():
        assert np.isfinite(values).all(), f"{name} are not finite"
    assert np.isfinite([fitted.score(X), fitted.offset_, *fitted.loss_curve_]).all(), "losses"
    for other, name in ((pickle.loads(pickle.dumps(fitted)), "pickle"), (twin, "second fit")):
        assert np.array_equal(other.transform(X), Z), f"codes of the {name}"
        assert np.array_equal(other.score_samples(X), scores), f"scores of the {name}"
    order = rng.permutation(len(X))[: max(1, len(X) // 2)]
    assert np.array_equal(fitted.transform(X[order]), Z[order]), "codes of some rows"
    assert np.array_equal(fitted.score_samples(X[order]), scores[order]), "scores of some rows"
    assert np.array_equal(fitted.predict(X) == -1, decision < 0), "predict against decision"
    if fitted.calibration_ is not None:
        p = fitted.p_values(X)
        assert ((p > 0) & (p <= 1)).all(), "p-values"
    if hasattr(fitted, "sample"):
        assert np.isfinite(fitted.sample(2, random_state=0)).all(), "samples"
        assert np.isfinite(fitted.log_likelihood(X, n_samples=3)).all(), "log-likelihood"


def is_ours(error):
    """Whether an error was raised on purpose: in the package, or by scikit-learn's validation."""
    name = list(traceback.walk_tb(error.__traceback__))[-1][0].f_globals["__name__"]
    ours = name.startswith("skcae") or "valid" in name
    return isinstance(error, (ValueError, TypeError)) and ours and len(str(error)) > 30


def run_case(seed, case):
    """None if all is well, "refused" if that or a divergence was told, or what is wrong."""
    (estimator, X, arguments), rng = draw_case(seed, case), np.random.default_rng(case)
    stage = "fit"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            fitted, twin = (clone(estimator).fit(X, **arguments) for _ in range(2))
            if any(text in str(w.message) for w in told for text in ("diverged", "no longer")):
                return "refused"
            stage = "check"
            check(fitted, twin, X, rng)
            stage = "partial_fit"
            fitted.partial_fit(X, **arguments)
        except Exception as error:
            if stage == "check" or not is_ours(error):
                return f"{stage}: {type(error).__name__}: {error}"
            return "refused"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    options = parser.parse_args()
    torch.set_num_threads(1)
    refused, failed = 0, 0
    for n, case in enumerate(range(options.first, options.first + options.cases), 1):
        what = run_case(options.seed, case)
        refused += what == "refused"
        if what not in (None, "refused"):
            failed += 1
            estimator, X, _ = draw_case(options.seed, case)
            print(f"{case}: {estimator} on {X.dtype} {X.shape}\n    {what}", flush=True)
        if not n % 100 or n == options.cases:
            print(f"{n} cases, {refused} refused, {failed} failed", flush=True)
    sys.exit(min(failed, 100))


if __name__ == "__main__":
    main()
