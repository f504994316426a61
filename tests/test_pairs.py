"""Pairs of noisy and clean samples: given as they are elsewhere, in other units, beyond [0, 1]."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from conftest import ESTIMATORS, maker
from sklearn.model_selection import GridSearchCV

from skcae import ConditionalConvVAE, ConvAutoencoder, DenoisingConvAutoencoder
from skcae._data._beside import refuse_target

CLEAN = np.random.default_rng(0).random((40, 6, 6))
NOISY = CLEAN + 0.3 * np.random.default_rng(1).normal(size=CLEAN.shape)
make_denoiser = maker(
    DenoisingConvAutoencoder, input_shape=None, net_params={"module__linear_path": False}
)


# Samples as y ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_predict", "fit_transform", "score"])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_pairs_given_as_in_keras_are_told_of_target(cls, method):
    ae = maker(cls, input_shape=None, max_epochs=1)()
    if method == "score":
        ae.fit(NOISY)
    message = {DenoisingConvAutoencoder: r"pass it as target", ConditionalConvVAE: "holds labels"}
    with pytest.raises(
        ValueError, match=message.get(cls, r"DenoisingConvAutoencoder\(\).fit\(X, ta")
    ):
        getattr(ae, method)(NOISY, CLEAN)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(lambda X: X.reshape(len(X), -1), id="rows"),
        pytest.param(torch.from_numpy, id="tensor"),
        pytest.param(lambda X: (255 * X).astype("u1"), id="8-bit"),
        pytest.param(lambda X: pd.DataFrame(X.reshape(len(X), -1)), id="frame"),
        pytest.param(list, id="list"),
    ],
)
def test_the_clean_half_is_known_in_any_form(given):
    with pytest.raises(ValueError, match="holds samples, not labels"):
        refuse_target(NOISY, given(CLEAN), "")
    with pytest.raises(ValueError, match="holds samples, not labels"):
        refuse_target(given(CLEAN), NOISY, "")


def test_what_a_pipeline_passes_as_y_is_silent():
    labels = np.arange(40) % 2
    for y in (
        labels,
        labels[:, None],
        pd.Series(labels.astype(str)),
        np.eye(3)[labels],  # several targets, or one-hot
        CLEAN > 0.5,  # masks
        (CLEAN > 0.5).astype(int),
        NOISY,  # as in fit(X, X) of Keras
        NOISY.copy(),
        torch.from_numpy(NOISY),
    ):
        refuse_target(NOISY, y, "")
    ConvAutoencoder(2, hidden_channels=(2,), max_epochs=1).fit(NOISY, NOISY.copy())


def test_a_search_over_pairs_compares_with_the_clean_half():
    ae = make_denoiser(max_epochs=1).fit(NOISY, target=CLEAN)
    error = np.mean((ae.reconstruct(NOISY) - CLEAN) ** 2)
    assert ae.score(NOISY, target=CLEAN) == pytest.approx(-error, rel=1e-4)
    with pytest.warns(UserWarning, match="with X itself and its noise"):
        assert ae.score(NOISY) < ae.score(NOISY, target=CLEAN)
    with pytest.warns(UserWarning, match="with X itself and its noise"):
        GridSearchCV(ae, {"learning_rate": [0.01]}, cv=2).fit(NOISY, target=CLEAN)
    with sklearn.config_context(enable_metadata_routing=True):
        ae.set_fit_request(target=True).set_score_request(target=True)
        search = GridSearchCV(ae, {"learning_rate": [0.01]}, cv=2).fit(NOISY, target=CLEAN)
    assert search.best_score_ > -0.3


@pytest.mark.parametrize("dtype", [float, np.float32, np.uint8, int])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "score"])
def test_a_clean_half_of_two_values_is_no_mask_for_a_denoiser(method, dtype):
    ae = make_denoiser(max_epochs=1).fit(NOISY)
    binary = (CLEAN > 0.5).astype(dtype)
    with pytest.raises(ValueError, match="pass it as target"):
        getattr(ae, method)(NOISY, binary)
    getattr(ae, method)(NOISY, np.eye(36)[np.arange(40) % 36])
    getattr(ae, method)(NOISY, binary > 0)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "score"])
def test_frames_of_another_order_are_not_paired_by_place(method):
    names = [f"x{i}" for i in range(36)]
    X, T = (pd.DataFrame(A.reshape(40, 36), columns=names) for A in (NOISY, CLEAN))
    ae = make_denoiser(max_epochs=1, input_shape=(6, 6)).fit(X, target=T)
    call = getattr(ae, method)
    with pytest.raises(ValueError, match=r"columns of X in another order.*target\[X.columns\]"):
        call(X, target=T[names[::-1]])
    with pytest.raises(ValueError, match=r"rows of X in another order.*target.loc\[X.index\]"):
        call(X, target=T.sample(frac=1, random_state=0))
    for target in (
        T,
        T.set_axis(range(36), axis=1),
        T.set_axis(map(str, range(40)), axis=0),
        T.add_prefix("clean "),
        T.set_axis(range(40, 80)),
        T.to_numpy(),
    ):
        call(X, target=target)


def test_a_stream_of_pairs_goes_on_with_pairs():
    ae = make_denoiser(max_epochs=1).partial_fit(NOISY, target=CLEAN)
    before = ae.transform(NOISY)
    with pytest.raises(ValueError, match="target is missing, but the calls before had one"):
        ae.partial_fit(NOISY)
    with pytest.raises(ValueError, match="target is missing, but the calls before had one"):
        ae.set_params(warm_start=True).fit(NOISY)
    np.testing.assert_array_equal(ae.transform(NOISY), before)
    ae.set_params(warm_start=False).fit(NOISY)
    ae.partial_fit(NOISY).partial_fit(NOISY, target=CLEAN)  # made-up noise first


# Units -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "target"),
    [
        pytest.param(255 * NOISY, CLEAN, id="8-bit and unit"),
        pytest.param(NOISY, (255 * CLEAN).astype("u1"), id="unit and 8-bit"),
        pytest.param(NOISY, CLEAN + 273.15, id="Celsius and Kelvin"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_pairs_in_different_units_bring_a_warning(X, target, method):
    with pytest.warns(UserWarning, match="bring target to those of X"):
        getattr(make_denoiser(max_epochs=1), method)(X, target=target)


def test_one_channel_of_the_pairs_in_other_units_brings_a_warning():
    X, target = (np.stack([A, A], -1) for A in (NOISY, CLEAN))
    target[..., 1] *= 255
    with pytest.warns(UserWarning, match="bring target to those of X"):
        make_denoiser(max_epochs=1, channel_axis=-1).fit(X, target=target)


def test_cross_entropy_of_pairs_with_8_bit_inputs_brings_a_warning():
    ae = make_denoiser(loss="binary_crossentropy", max_epochs=1)
    with pytest.warns(UserWarning, match="bring target to those of X"):
        ae.fit((255 * CLEAN).astype("u1"), target=CLEAN)


def test_strong_noise_and_dark_inputs_are_pairs_of_one_unit():
    noise = np.random.default_rng(2).normal(size=CLEAN.shape)
    for X in (CLEAN + 10 * CLEAN.std() * noise, CLEAN / 10, 1 - CLEAN):
        make_denoiser(max_epochs=1).fit(X, target=CLEAN)


# Cross-entropy ---------------------------------------------------------------------------------


def test_denoising_with_cross_entropy_takes_what_noise_makes_of_the_data():
    ae = make_denoiser(loss="binary_crossentropy").fit(CLEAN)
    for method in (ae.transform, ae.reconstruct, ae.net_.predict):
        assert np.isfinite(method(NOISY)).all()
        with pytest.raises(ValueError, match="more than noise; bring X to those units"):
            method(255 * CLEAN)
    assert np.isfinite(ae.score(NOISY, target=CLEAN))
    for method in (ae.fit, ae.partial_fit, ae.score_samples):  # where X is what is given back
        with pytest.raises(ValueError, match="clip it where only noise is beyond"):
            method(NOISY)
    with pytest.raises(ValueError, match="but target has values"):
        ae.score(NOISY, target=2 * CLEAN)
    plain = ConvAutoencoder(2, loss="binary_crossentropy", max_epochs=1).fit(CLEAN)
    for method in (plain.reconstruct, plain.net_.predict):
        with pytest.raises(ValueError, match=r"needs values in \[0, 1\]"):
            method(NOISY)


@pytest.mark.parametrize("anomaly_score", ["joint", "loss", "top_error"])
def test_of_pairs_only_the_target_is_in_the_unit_interval(anomaly_score):
    ae = make_denoiser(loss="binary_crossentropy", anomaly_score=anomaly_score, calibration=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ae.fit(NOISY, target=CLEAN).partial_fit(NOISY, target=CLEAN)
    assert ae.reconstruct(NOISY).max() <= 1
    scores = ae.score_samples(NOISY)
    assert np.isfinite(scores).all()
    assert (ae.p_values(NOISY) > 0.1).mean() > 0.5
    if anomaly_score != "joint":
        assert (scores < 0).all()  # of what is beyond, the nearer end is compared
    with pytest.raises(ValueError, match="more than noise"):
        ae.fit(255 * NOISY, target=CLEAN)
    with pytest.raises(ValueError, match="but target has values"):
        ae.fit(NOISY, target=NOISY)
