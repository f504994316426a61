"""Edges that users met: they work, or are refused at once with a sentence that helps."""

import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import callbacks

import skcae
from skcae import ConvAutoencoder, ConvVAE, DenoisingConvAutoencoder
from skcae.plots import LatentDisplay, LossCurveDisplay, ReconstructionDisplay

X = np.random.default_rng(0).random((30, 6, 6))


# Networks of one's own ---------------------------------------------------------------------------


class ByKeyword(torch.nn.Module):
    """A network that names the arguments of torch's functions."""

    def __init__(self, n_components):
        super().__init__()
        self.down = torch.nn.Parameter(torch.randn(n_components, 36) / 6)
        self.up = torch.nn.Parameter(torch.randn(36, n_components) / 6)
        self.bias = torch.nn.Parameter(torch.zeros(36))
        self.kernel = torch.nn.Parameter(torch.ones(1, 1, 1, 1))

    def encode(self, x):
        x = F.conv2d(input=x, weight=self.kernel, bias=None)
        return F.linear(input=x.flatten(1), weight=self.down)

    def decode(self, z):
        return F.linear(z, bias=self.bias, weight=self.up).reshape(-1, 1, 6, 6)


class ByProducts(ByKeyword):
    def encode(self, x):
        return torch.einsum("nd,kd->nk", x.flatten(1), self.down)

    def decode(self, z):
        x_hat = torch.matmul(input=z, other=self.up.T) + self.bias
        return torch.nn.functional.pad(input=x_hat, pad=(0, 0)).reshape(-1, 1, 6, 6)


class WithMoments(ByKeyword):
    def encode(self, x):
        mean = super().encode(x)
        return mean, torch.zeros_like(mean)


class Gain(torch.nn.Module):
    """Noise that takes the generator by keyword only."""

    def forward(self, x, *, generator=None):
        return x * torch.rand(len(x), 1, 1, 1, generator=generator)


@pytest.mark.parametrize(
    ("cls", "module"),
    [(ConvAutoencoder, ByKeyword), (ConvAutoencoder, ByProducts), (ConvVAE, WithMoments)],
)
def test_module_that_calls_torch_by_keyword(cls, module):
    ae = cls(5, module=module, max_epochs=1, random_state=0).fit(X)
    codes = ae.transform(X)
    np.testing.assert_array_equal(ae.transform(X[7:9]), codes[7:9])
    x = ae.net_.standardize(X.reshape(30, 36))
    np.testing.assert_allclose(codes, ae.net_.module_.encode(x).detach(), atol=1e-5)
    assert np.isfinite(ae.score_samples(X)).all()


def test_noise_that_takes_its_generator_by_keyword():
    for options in {"corruption": Gain()}, {"net_params": {"augmentation": Gain()}}:
        one, two = (
            DenoisingConvAutoencoder(
                2, hidden_channels=(2,), max_epochs=1, random_state=0, **options
            ).fit(X)
            for _ in range(2)
        )
        np.testing.assert_array_equal(one.transform(X), two.transform(X))


# Entries of net_params ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"module__stride": 0}, "stride=0 must hold integers of at least 1"),
        ({"module__padding": None}, "padding=None must hold integers"),
        ({"module__n_channels": 3}, "the data sets it; take it out"),
        ({"module__decoder_channels": (0, 1)}, "decoder_channels=.* must hold integers"),
        ({"module__upsampling": torch.nn.ReLU}, "choose one of .'nearest'"),
        ({"module__downsampling": ["stride"]}, "choose one of .'stride'"),
        ({"module__tied_weights": "no"}, "neither True nor False"),
        ({"module__nope": 1}, "the network takes no nope; its arguments are n_channels, "),
        ({"optimizer__foreach": "yes"}, "optimizer__foreach='yes' is no bool"),
        ({"optimizer__amsgrad": None}, "optimizer__amsgrad=None is no bool"),
        ({"optimizer__maximize": 1}, "optimizer__maximize=1 is no bool"),
        ({"optimizer__maximize": True}, "makes the loss grow"),
        ({"optimizer__differentiable": True}, "AdamW does not work with differentiable=True"),
        ({"optimizer__nope": 1}, "AdamW does not work with nope=1.*pass those that it takes"),
        ({"optimizer__betas": 3}, "AdamW does not work with betas=3"),
        ({"callbacks": "EarlyStopping"}, "is 'EarlyStopping'; pass a list of skorch callbacks"),
        ({"callbacks": ["EarlyStopping"]}, "pass a list of skorch callbacks"),
        ({"callbacks__nope__x": 1}, "'callbacks__nope__x', but the callbacks are named"),
        (
            {"callbacks": [callbacks.GradientNormClipping(1)], "callbacks__Gradient__x": 1},
            "named .'GradientNormClipping'",
        ),
        ({"compile__mode": "default"}, "compile__mode='default' without compile=True"),
        ({"compile": True, "compile__mode": "nope"}, "torch.compile does not work with .*nope"),
    ],
)
def test_net_params_that_torch_or_skorch_would_refuse_or_pass_over(make, entries, message):
    ae = make(input_shape=None, net_params=entries)
    for method in ae.fit, ae.partial_fit:
        with pytest.raises(ValueError, match=message):
            method(X)
    assert not hasattr(ae, "net_")


def test_activations_that_cannot_be_built(make):
    for given in {"activation": torch.nn.Linear}, {"normalization": lambda n: n}:
        with pytest.raises(TypeError, match=r"which it does not take|must build a torch"):
            make(input_shape=None, **given).fit(X)


def test_arguments_of_callbacks_reach_them(make):
    clip, other = callbacks.GradientNormClipping(1.0), callbacks.GradientNormClipping(2.0)
    ae = make(input_shape=None, net_params={"callbacks": [clip, ("mine", other)]})
    ae.set_params(
        net__callbacks__GradientNormClipping__gradient_clip_value=3.0,
        net__callbacks__mine__gradient_clip_value=4.0,
    ).fit(X)
    assert [c.gradient_clip_value for _, c in ae.net_.callbacks_] == [3.0, 4.0]


def test_optimizers_that_do_not_suit_the_network():
    class Matrices(torch.optim.SGD):
        def __init__(self, params, lr):
            if any(p.ndim != 2 for group in params for p in group["params"]):
                raise ValueError("only matrices")
            super().__init__(params, lr=lr)

    with pytest.raises(ValueError, match=r"Matrices does not work with lr=.*only matrices"):
        ConvAutoencoder(2, optimizer=Matrices, max_epochs=1).fit(X)
    ConvAutoencoder(
        2, optimizer=torch.optim.LBFGS, net_params={"optimizer__max_iter": 2}, max_epochs=1
    ).fit(X)


# Parameters that change after a fit --------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "tanh"}, "activation was 'relu' and is 'tanh'"),
        ({"net__module__upsampling": "nearest"}, "upsampling was 'transpose' and is 'nearest'"),
        ({"kernel_size": 5}, "kernel_size was 3 and is 5"),
        ({"input_shape": (36,)}, r"input_shape was \(6, 6\) and is \(36,\)"),
        ({"channel_axis": -1}, "channel_axis was None and is 1"),
    ],
)
def test_architecture_set_anew_before_training_goes_on(make, change, message):
    rows = X.reshape(30, 36)
    ae = make(input_shape=(6, 6), warm_start=True, max_epochs=1).fit(rows)
    before = ae.transform(rows)
    ae.set_params(**change)
    for method in ae.partial_fit, ae.fit:
        with pytest.raises(ValueError, match=message):
            method(rows)
    np.testing.assert_array_equal(ae.transform(rows), before)


def test_architecture_that_only_looks_changed():
    ae = ConvAutoencoder(2, hidden_channels=(2, 3), activation=lambda: torch.nn.ReLU(),
                         warm_start=True, max_epochs=1, random_state=0).fit(X)  # fmt: skip
    ae.set_params(hidden_channels=[2, 3], activation=lambda: torch.nn.ReLU(), input_shape=[6, 6])
    ae.set_params(net_params={"module__padding": "same"}).fit(X).partial_fit(X)
    assert ae.n_iter_ == 3


def test_score_set_after_fit_counts_from_the_next_training_on():
    ae = ConvAutoencoder(2, hidden_channels=(2,), max_epochs=1, random_state=0).fit(X)
    before = ae.score_samples(X)
    np.testing.assert_array_equal(ae.set_params(anomaly_score="loss").score_samples(X), before)
    np.testing.assert_allclose(
        ae.partial_fit(X).score_samples(X),
        -((ae.reconstruct(X) - X) ** 2).mean((1, 2)),
        rtol=1e-4,
    )


# Numbers -----------------------------------------------------------------------------------------


def test_standard_error_of_one_draw(make_vae):
    vae = make_vae(input_shape=None, max_epochs=1).fit(X)
    with pytest.raises(ValueError, match=r"n_samples=1 .* at least 2"):
        vae.log_likelihood(X, n_samples=1, return_std=True)
    assert np.isfinite(vae.log_likelihood(X, n_samples=1)).all()
    assert np.isfinite(vae.log_likelihood(X, n_samples=2, return_std=True)).all()


def test_standard_errors_of_few_draws_are_those_of_other_draws(digits):
    """Where a few weights are most of the sum, the delta method tells less than half."""
    vae = ConvVAE(8, hidden_channels=(8,), max_epochs=5, contamination=0.1, random_state=0)
    vae.fit(digits[0][:300])
    estimates, errors = [], []
    for vae.net_.seed in range(40):
        estimate, error = vae.log_likelihood(digits[0][300:330], n_samples=10, return_std=True)
        estimates.append(estimate)
        errors.append(error)
    ratio = np.sqrt(np.mean(np.square(errors), 0)) / np.std(estimates, 0)
    assert 0.8 < np.median(ratio) < 1.3


def test_learning_rate_that_diverges(make):
    ae = make(
        input_shape=None,
        learning_rate=10.0,
        max_epochs=3,
        anomaly_score="loss",
        contamination="auto",
    )
    ae.set_params(**{} if "likelihood" in ae.get_params() else {"net__module__linear_path": False})
    with pytest.warns(ConvergenceWarning, match="training diverged.*Lower learning_rate"):
        ae.fit(X)


def test_training_that_learns_nothing_from_noise_does_not_diverge(make):
    noise = np.random.default_rng(0).normal(size=(40, 8, 8))
    for parameters in {"max_epochs": 1}, {"optimizer": "sgd", "learning_rate": 1e-6}:
        make(input_shape=None, contamination="auto", **parameters).fit(
            noise
        )  # a warning is an error in these tests


def test_codes_larger_than_the_data_are_for_denoisers():
    few = X.reshape(30, 36)[:, :5]
    options = {"hidden_channels": (2,), "max_epochs": 1, "random_state": 0}
    DenoisingConvAutoencoder(8, **options).fit(few)
    DenoisingConvAutoencoder(8, **options).fit(few, target=few)
    with pytest.warns(UserWarning, match="is larger than the 5 features"):
        ConvAutoencoder(8, **options).fit(few)


# Words -------------------------------------------------------------------------------------------


def _fit_in_search(ae, rows):
    GridSearchCV(ae, {"n_components": [2]}, cv=2, refit=False, error_score="raise").fit(rows)


CALLS = {
    "fit": lambda ae, rows: ae.fit(rows),
    "partial_fit": lambda ae, rows: ae.partial_fit(rows),
    "fit_predict": lambda ae, rows: ae.fit_predict(rows),
    "pipeline": lambda ae, rows: make_pipeline(FunctionTransformer(), ae).fit_transform(rows),
    "search": _fit_in_search,
}


@pytest.mark.parametrize("how", CALLS)
def test_warnings_show_the_line_of_the_user(how):
    ae = ConvAutoencoder(2, hidden_channels=(2,), max_epochs=1, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CALLS[how](ae, np.repeat(X.reshape(30, 36), 4, axis=1))  # rows of 144, a square
    assert {warning.filename for warning in caught} == {__file__}


def test_every_warning_goes_the_same_way():
    for path in Path(skcae.__file__).parent.rglob("*.py"):
        assert path.stem == "_warnings" or "warnings.warn" not in path.read_text(), path


@pytest.mark.parametrize("display", [LossCurveDisplay, ReconstructionDisplay, LatentDisplay])
def test_displays_of_every_estimator(make, display):
    ae = make(input_shape=None, early_stopping=True).fit(X)
    drawn = display.from_estimator(ae, *([] if display is LossCurveDisplay else [X]))
    if display is LossCurveDisplay:
        name = "nats" if "likelihood" in ae.get_params() else "squared error"
        assert drawn.ax_.get_ylabel() == f"Loss ({name})"
    plt.close("all")


@pytest.mark.parametrize(
    ("parameter", "names"),
    [
        ("optimizer", "'adamw', 'adam', 'rmsprop', 'sgd'"),
        ("activation", "'relu', 'leaky_relu', 'elu', 'gelu', 'silu', 'tanh', 'sigmoid'"),
        ("anomaly_score", "'loss', 'top_error', 'ssim', 'neighbors', 'joint'"),
    ],
)
def test_names_in_errors_have_the_order_of_the_documentation(parameter, names):
    with pytest.raises(ValueError, match=f"among .{names}.* Got 'x'"):
        ConvAutoencoder(**{parameter: "x"}).fit(X)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_channels": 32}, r"pass a tuple, hidden_channels=\(32,\)"),
        ({"hidden_units": 8.0}, r"pass a tuple, hidden_units=\(8.0,\)"),
        ({"input_shape": 36}, r"pass a tuple, input_shape=\(36,\)"),
    ],
)
def test_a_number_for_a_tuple(make, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit(X)


@pytest.mark.parametrize("name", ["n_components", "kernel_size", "learning_rate", "max_epochs"])
def test_a_bool_for_a_number(make, name):
    with pytest.raises(ValueError, match=f"{name}=True is a bool; pass a number"):
        make(**{name: True}).fit(X)


def test_clip_range_of_one_number():
    with pytest.raises(ValueError, match=r"pass a tuple, clip_range=\(low, high\)"):
        DenoisingConvAutoencoder(clip_range=1).fit(X)


def test_feature_names_only_where_all_are_strings(make):
    rows, ae = X.reshape(30, 36), make(input_shape=(6, 6), max_epochs=1)
    assert not hasattr(ae.fit(pd.DataFrame(rows)), "feature_names_in_")
    named = pd.DataFrame(rows, columns=[f"x{i}" for i in range(36)])
    assert list(clone(ae).fit(named).feature_names_in_) == list(named.columns)
    assert "only when `X` has names that are all strings" in " ".join(ae.__doc__.split())
