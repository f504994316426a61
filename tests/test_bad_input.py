"""Bad input gets an error that says what was given and what to do, and loses nothing."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from skcae import ConvAutoencoder, DenoisingConvAutoencoder

GOOD = np.random.default_rng(0).random((30, 6, 6))


def _with(value):
    X = GOOD.copy()
    X[3, 2, 1] = value
    return X


BAD_DATA = {
    "nan": (_with(np.nan), ValueError, "NaN"),
    "inf": (_with(np.inf), ValueError, "infinity"),
    "strings": (np.full((5, 36), "a"), ValueError, "convert|numeric"),
    "objects": (np.full((5, 36), None), (ValueError, TypeError), "NaN|NoneType|float"),
    "complex": (GOOD + 1j, ValueError, "Complex"),
    "sparse": (scipy.sparse.csr_matrix(GOOD.reshape(30, 36)), TypeError, "toarray"),
    "dates": (np.full((5, 36), "2020-01-01", "M8[D]"), ValueError, "numbers are needed"),
    "empty": (GOOD[:0], ValueError, "0 sample"),
    "no features": (GOOD.reshape(30, 36)[:, :0], ValueError, "0 feature"),
    "one dimension": (GOOD.ravel(), ValueError, "Reshape your data"),
    "a number": (3.0, ValueError, "array"),
}


@pytest.mark.parametrize("name", BAD_DATA)
@pytest.mark.parametrize("fitted", [False, True])
def test_bad_data(make, name, fitted):
    X, error, message = BAD_DATA[name]
    ae = make(input_shape=None)
    if fitted:
        before = ae.fit(GOOD).score_samples(GOOD)
        for method in ("transform", "score_samples", "predict", "reconstruct", "score"):
            with pytest.raises(error, match=message):
                getattr(ae, method)(X)
    for method in (ae.fit, ae.partial_fit):
        with pytest.raises(error, match=f"{message}|features"):
            method(X)
    if fitted:
        np.testing.assert_array_equal(ae.score_samples(GOOD), before)
    else:
        assert not [name for name in vars(ae) if name.endswith("_")]


class Images(torch.utils.data.Dataset):
    """Samples, or tuples of them and what else is given."""

    def __init__(self, *arrays):
        self.arrays = arrays

    def __len__(self):
        return len(GOOD)

    def __getitem__(self, i):
        items = tuple(array[i] for array in self.arrays)
        return items if len(items) > 1 else items[0]


CELLS, LABELS = pd.Series(list(GOOD)), np.arange(30) % 2
NO_ARRAYS = {
    "images and labels": ((GOOD, LABELS), "a pair.* labels as y"),
    "list of pairs": (list(zip(GOOD, LABELS, strict=True)), "np.stack.*for image, _ in X"),
    "data set of pairs": (Images(GOOD, LABELS), "each item of which is a tuple.*torch.stack"),
    "loader": (torch.utils.data.DataLoader(Images(GOOD)), "DataLoader.*torch.cat"),
    "unequal images": ([GOOD[0], GOOD[1, :5]], r"different shapes, \(5, 6\) and \(6, 6\)"),
    "unequal tensors": ([torch.zeros(6, 6), torch.zeros(6, 5)], "crop, pad or resize"),
    "column of images": (CELLS, r"arrays in its cells.*np.stack\(X\)"),
    "frame of images": (CELLS.to_frame("image"), r"np.stack\(X\[column\]\)"),
    "objects that are images": (CELLS.to_numpy(), "arrays in its cells"),
    "lazy frame": (pl.DataFrame(GOOD.reshape(30, 36)).lazy(), r"X.collect\(\)"),
    "frame of lists": (pl.DataFrame({"a": GOOD.reshape(30, 36).tolist()}), r"X\[column\]"),
    "generator": ((image for image in GOOD), "only once"),
    "dictionary": ({"image": GOOD}, "a dict with the keys"),
    "path": ("images.npy", "read the data before"),
    "nothing": (None, "read the data before"),
}


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("name", NO_ARRAYS)
def test_what_is_no_array_is_named(name):
    X, message = NO_ARRAYS[name]
    ae = ConvAutoencoder(2, hidden_channels=(2,), max_epochs=1, random_state=0)
    for fitted in (False, True):
        for method in (ae.fit, ae.partial_fit, *([ae.transform, ae.score] if fitted else [])):
            with pytest.raises((TypeError, ValueError), match=message):
                method(X)
        ae.fit(GOOD)
    if X is not None:
        with pytest.raises((TypeError, ValueError), match=message.replace("X", "target")):
            DenoisingConvAutoencoder(2).fit(GOOD, target=X)


def test_a_tuple_of_noisy_and_clean_images_is_no_pair_of_volumes(make):
    for X in ((GOOD, GOOD), (torch.from_numpy(GOOD), GOOD[:3])):
        with pytest.raises(TypeError, match="clean half of pairs as target"):
            make(input_shape=None).fit(X)


def test_one_image_in_place_of_a_batch(make):
    colours = np.random.default_rng(0).random((5, 6, 6, 3))
    for X, parameters in (
        (GOOD, {}),
        (colours, {"channel_axis": -1}),
        (GOOD.reshape(30, 36), {"input_shape": (6, 6)}),
    ):
        ae = make(**{"input_shape": None, **parameters}).fit(X)
        for one in (X[0], torch.from_numpy(X[0]), X[0].ravel(), X[0].reshape(ae.input_shape_)):
            for method in (ae.transform, ae.score_samples, ae.partial_fit):
                with pytest.raises(ValueError, match=r"of one sample.*np.expand_dims\(X, 0\)"):
                    method(one)
    with pytest.raises(ValueError, match="of one sample"):
        make(input_shape=(6, 6, 3), channel_axis=-1).fit(colours[0])


def test_lists_and_data_sets_of_tensors_are_read():
    ae = ConvAutoencoder(2, hidden_channels=(2,), max_epochs=1, random_state=0).fit(GOOD)
    X = torch.from_numpy(GOOD).bfloat16()
    expected = ae.transform(X.float().numpy())
    for given_ in (list(X), [x.requires_grad_() for x in X.clone()], Images(X)):
        np.testing.assert_array_equal(ae.transform(given_), expected)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"input_shape": (5, 7)}, r"holds 35 values, but X has 36 features.*\(6, 6\)"),
        ({"input_shape": (6, 0)}, "not the shape of a sample"),
        ({"input_shape": ()}, "not the shape of a sample"),
        ({"input_shape": (6.2, 6.2)}, "not the shape of a sample"),
        ({"net_params": {"optimizer__lr": 1}, "input_shape": (6, 6)}, "set learning_rate"),
        ({"net_params": {"callbacks": 3}, "input_shape": (6, 6)}, "a list of skorch callbacks"),
        ({"device": "meta", "input_shape": (6, 6)}, "'meta' is not supported; pass 'auto'"),
        ({"input_shape": (2, 18), "channel_axis": 2}, "out of range.*from -2 to 1"),
        ({"input_shape": (36,), "channel_axis": 0}, "0 spatial axes"),
        ({"input_shape": (2, 2, 3, 3)}, "4 spatial axes"),
        ({"kernel_size": 2, "input_shape": (6, 6)}, "odd kernel_size"),
        ({"kernel_size": (3,), "input_shape": (6, 6)}, "1 entries, but there are 2"),
        ({"net_params": {"lr": 1}, "input_shape": (6, 6)}, "'lr'; valid are 'callbacks'"),
        ({"device": "gpu", "input_shape": (6, 6)}, "'gpu' is unknown; pass 'auto'"),
        ({"hidden_channels": (0,), "input_shape": (6, 6)}, "hidden_channels"),
        ({"hidden_units": (2.5,), "input_shape": (6, 6)}, "hidden_units"),
        ({"learning_rate": 0, "input_shape": (6, 6)}, "learning_rate"),
    ],
)
def test_bad_parameters(make, parameters, message):
    ae = make(input_shape=(6, 6)).fit(GOOD)
    before = ae.transform(GOOD)
    ae.set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        ae.fit(GOOD.reshape(30, 36))
    np.testing.assert_array_equal(ae.transform(GOOD), before)
    assert ae.n_features_in_ == 36


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
def test_cuda_without_cuda(make):
    with pytest.raises(ValueError, match="finds no CUDA device; pass device='auto'"):
        make(device="cuda", input_shape=None).fit(GOOD)


def test_other_data_than_fitted(make):
    ae = make(input_shape=None).fit(GOOD)
    with pytest.raises(ValueError, match="features"):
        ae.transform(np.zeros((3, 35)))
    with pytest.raises(ValueError, match=r"samples of shape \(4, 9\).*fitted.*\(6, 6\)"):
        ae.transform(np.zeros((3, 4, 9)))
    with pytest.raises(ValueError, match=r"5 columns.*codes of 4 values"):
        ae.inverse_transform(np.zeros((3, 5)))
    with pytest.raises(ValueError, match="NaN"):
        ae.inverse_transform(np.full((3, 4), np.nan))
    with pytest.raises(ValueError, match=r"does not match X"):
        make(input_shape=(4, 9)).fit(GOOD)


@pytest.mark.parametrize("low_high", [(-0.1, 1), (0, 1.1), (0, 255)])
def test_cross_entropy_outside_the_unit_interval(make_with_loss, low_high):
    low, high = low_high
    ae = make_with_loss(input_shape=None, loss="binary_crossentropy")
    with pytest.raises(ValueError, match=r"needs values in \[0, 1\].*MinMaxScaler"):
        ae.fit(low + (high - low) * GOOD / GOOD.max() - (low * (GOOD == 0)))
    ae.fit(GOOD)
    with pytest.raises(ValueError, match=r"needs values in \[0, 1\]"):
        ae.score_samples(2 * GOOD)


def test_transform_before_fit(make):
    for method in ("transform", "inverse_transform", "reconstruct", "score_samples", "score",
                   "decision_function", "predict"):  # fmt: skip
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(make(), method)(GOOD)
    with pytest.raises(NotFittedError):
        make().summary()
    for attribute in ("loss_curve_", "n_iter_", "history_"):
        assert not hasattr(make(), attribute)


def test_one_sample(make):
    ae = make(input_shape=None, contamination="auto").fit(GOOD[:1])
    assert np.isfinite(ae.transform(GOOD)).all()
    with pytest.raises(ValueError, match="leaves none to train on"):
        make(input_shape=None, early_stopping=True).fit(GOOD[:1])
    ae = make(input_shape=None, early_stopping=True, contamination="auto").fit(GOOD[:2])
    assert np.isfinite(ae.score(GOOD))


@pytest.mark.parametrize("value", [0, 0.3, 1e9])
def test_constant_data(make, value):
    X = np.full((20, 6, 6), float(value))
    ae = make(input_shape=None, max_epochs=30, contamination="auto").fit(X)
    np.testing.assert_allclose(ae.reconstruct(X), X, atol=0.5, rtol=1e-6)
    assert (ae.predict(X) == 1).all()


def test_a_code_larger_than_the_input_brings_a_warning(make):
    if make.cls is DenoisingConvAutoencoder:
        return  # to remove noise is no identity
    with pytest.warns(UserWarning, match="code of 40 values is larger than the 36 features"):
        make(input_shape=None, n_components=40).fit(GOOD)


class BadDecoder(torch.nn.Module):
    def __init__(self, shape=(1, 6, 5), code=(4,)):
        super().__init__()
        self.shape, self.code = shape, code
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def encode(self, x):
        return torch.zeros(len(x), *self.code) * self.weight

    def decode(self, z):
        return torch.zeros(len(z), *self.shape) * self.weight


def test_modules_of_the_wrong_shape(make_with_loss):
    for module, message in (
        (BadDecoder, r"decode returned shape \(2, 1, 6, 5\).*\(2, 1, 6, 6\)"),
        (lambda: BadDecoder(code=(2, 2)), r"encode returned shape \(2, 2, 2\).*\(2, 1, 6, 6\)"),
        (lambda: BadDecoder((1, 6, 6)).encode, "torch.nn.Module with the methods"),
        (lambda: torch.nn.Linear(3, 3), "torch.nn.Module with the methods"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            make_with_loss(input_shape=None, module=module).fit(GOOD)
    with pytest.raises(TypeError, match="its class"):
        make_with_loss(input_shape=None, module=BadDecoder()).fit(GOOD)


def test_targets_and_noise_that_do_not_fit():
    ae = DenoisingConvAutoencoder(4, max_epochs=1)
    with pytest.raises(ValueError, match=r"target has 29 samples of shape .* but X has 30"):
        ae.fit(GOOD, target=GOOD[:29])
    with pytest.raises(ValueError, match="target contains NaN"):
        ae.fit(GOOD, target=_with(np.nan))
    with pytest.raises(ValueError, match=r"shape \(4, 9\), but X has 30 of shape \(6, 6\)"):
        ae.fit(GOOD, target=GOOD.reshape(30, 4, 9))
    with pytest.raises(ValueError, match="but target has values"):
        DenoisingConvAutoencoder(4, loss="binary_crossentropy").fit(GOOD, target=2 * GOOD)
    ae.set_params(corruption="masking", noise_level=30.0).fit(GOOD, target=GOOD)  # no noise
    for corruption in ("masking", "salt_and_pepper"):
        with pytest.raises(ValueError, match="between 0 and 1"):
            ae.set_params(corruption=corruption, noise_level=1.5).fit(GOOD)
    with pytest.raises(ValueError, match="no range; pass"):
        ae.set_params(noise_level=0.3, clip_range=(1, 0)).fit(GOOD)
    with pytest.raises(ValueError, match="keep the shape"):
        ae.set_params(corruption=torch.nn.Flatten(), clip_range=None).fit(GOOD)


def test_failed_refit_leaves_the_earlier_fit_usable(make):
    ae = make(input_shape=None).fit(GOOD)
    before = ae.transform(GOOD)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="NaN"):
            ae.fit(np.full((5, 9, 9), np.nan))
    np.testing.assert_array_equal(ae.transform(GOOD), before)
    assert ae.input_shape_ == (6, 6)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 4),
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.none() | st.lists(st.integers(0, 6), max_size=4).map(tuple),
    st.none() | st.integers(-5, 5),
)
def test_any_shapes_fit_or_raise_value_error(n, sides, input_shape, channel_axis):
    X = np.random.default_rng(0).normal(size=(n, *sides))
    ae = ConvAutoencoder(
        1, input_shape=input_shape, channel_axis=channel_axis, hidden_channels=(2,), max_epochs=1
    )
    error = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            ae.fit(X)
        except ValueError as caught:
            error = str(caught)
    assert len(error) > 30 if error else ae.reconstruct(X).shape == X.shape


def test_parts_that_are_built_already_or_not_at_all(make):
    for parameters, message in (
        ({"activation": torch.nn.ReLU()}, "activation=ReLU.* is a module; pass its class"),
        ({"normalization": torch.nn.BatchNorm2d(4)}, "normalization=.*pass its class"),
    ):
        with pytest.raises(TypeError, match=message):
            make(input_shape=None, **parameters).fit(GOOD)


def test_losses_that_are_none(make_with_loss):
    with pytest.raises(ValueError, match="squared_error"):
        make_with_loss(loss="mse", input_shape=None).fit(GOOD)
    with pytest.raises(TypeError, match="MSELoss is a class; pass an instance"):
        make_with_loss(loss=torch.nn.MSELoss, input_shape=None).fit(GOOD)


def test_partial_fit_checks_its_parameters_every_time(make_with_loss):
    ae = make_with_loss(input_shape=None).partial_fit(GOOD)
    before = ae.transform(GOOD)
    for parameters, message in (
        ({"optimizer": "bogus"}, "'adamw'"),
        ({"optimizer": "adam", "loss": "absolute_error"}, "not the loss of the calls before"),
    ):
        with pytest.raises(ValueError, match=message):
            ae.set_params(**parameters).partial_fit(GOOD)
    np.testing.assert_array_equal(ae.transform(GOOD), before)


def test_values_beyond_single_precision(make):
    ae = make(input_shape=None).fit(GOOD)
    with np.errstate(over="ignore", invalid="ignore"):
        assert ae.predict(_with(1e30))[3] == -1
        assert ae.predict(np.full((1, 6, 6), 1e30)) == -1
        assert np.isfinite(ae.transform(_with(1e34))).all()
    for value in (1e38, 1e100):
        for call in (ae.fit, ae.partial_fit, ae.transform, ae.score_samples, ae.net_.predict):
            with pytest.raises(ValueError, match=r"precision cannot hold; .* rescale X"):
                call(_with(value))
    with pytest.raises(ValueError, match="variance is not finite; rescale X"):
        ae.fit(GOOD * 1e200)


def test_large_kernels_on_volumes():
    X = np.random.default_rng(0).random((10, 7, 7, 7))
    with pytest.raises(ValueError, match="too large for volumes on a CPU"):
        ConvAutoencoder(2, kernel_size=7, device="cpu").fit(X)
