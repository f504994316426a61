"""Repeats of a sample, frames and overlapping windows: held out together, or they tell nothing."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA

from skcae import ConvAutoencoder, ConvVAE
from skcae._calibration import splits
from skcae._data._layout import Layout
from skcae._data._repeats import draw, runs_of, split
from skcae._net._batches import Rows, hold_out
from skcae.datasets import sliding_windows


def measure(n_subjects, n_repeats, seed):
    """Signals of subjects, each measured several times."""
    rng = np.random.default_rng(seed)
    axes = np.random.default_rng(99).normal(size=(12, 64))
    X = rng.normal(size=(n_subjects, 12)) @ axes + rng.normal(size=(n_subjects, 64))
    X = np.repeat(X, n_repeats, 0)
    return X + 0.05 * rng.normal(size=X.shape)


@pytest.mark.parametrize("seed", range(3))
def test_repeats_of_subjects_do_not_make_it_worse_than_pca_on_new_ones(seed):
    X, new = measure(40, 5, seed), measure(300, 1, 10 + seed)
    pca = PCA(8).fit(X)
    error = np.mean((pca.inverse_transform(pca.transform(new)) - new) ** 2)
    for parameters in {}, {"early_stopping": True}:
        ae = ConvAutoencoder(8, input_shape=(64,), random_state=seed, **parameters).fit(X)
        assert -ae.score(new) <= 1.01 * error
        assert np.mean(ae.predict(new) < 0) < 0.1


@pytest.mark.parametrize("cls", [ConvAutoencoder, ConvVAE])
def test_repeats_of_subjects_do_not_all_raise_alarms_on_new_ones(cls):
    """Row by row all of them did."""
    X, new = measure(60, 5, 0), measure(300, 1, 10)
    for calibration in None, 0.25, 5:
        ae = cls(8, input_shape=(64,), calibration=calibration, max_epochs=5, random_state=0)
        alarms = np.mean(ae.fit(X).predict(new) < 0)
        assert alarms < 0.2, calibration


@pytest.mark.parametrize("order", [np.arange, np.random.default_rng(0).permutation])
def test_rows_that_are_there_several_times_do_not_all_raise_alarms(order):
    """Row by row .7 to .9 of them did."""
    images = load_digits().images / 16
    for seed in range(3):
        index = np.random.default_rng(seed).permutation(len(images))
        X, new = np.repeat(images[index[:60]], 5, 0)[order(300)], images[index[60:]]
        ae = ConvAutoencoder(max_epochs=5, random_state=seed).fit(X)
        assert np.mean(ae.predict(new) < 0) < 0.2


WALK = np.random.default_rng(0).normal(size=(300, 50)).cumsum(0)
SLOW = np.sin(np.arange(2000) / 30 + 3 * np.random.default_rng(0).random())
REPEATED = {
    "subjects": measure(40, 5, 0),
    "equal": np.tile(measure(60, 1, 0), (3, 1)),
    "equal, in any order": np.tile(load_digits().data[:60], (5, 1))[::-1],
    "windows": sliding_windows(SLOW + 0.01 * np.random.default_rng(1).normal(size=2000), 64),
    "frames": WALK,
}


@pytest.mark.parametrize("name", REPEATED)
def test_no_run_is_parted(name):
    X = REPEATED[name].astype(np.float32)
    runs, n = runs_of(X), len(X)
    assert 5 <= runs.max() + 1 < n
    rng = np.random.default_rng(0)
    parts = split(X, 5, rng.permutation)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(n))
    parts += [draw(X, n // 10, 0)]
    parts += [part for _, part in [*splits(0.2, X, 0), *splits(4, X, 0)]]
    parts += [hold_out(Rows(X, Layout((X.shape[1],)), "cpu"), 0.2, rng.permutation)[1]]
    for part in parts:
        assert 0 < len(part) < 0.5 * n
        assert np.all(np.diff(part) > 0)
        assert not set(runs[part]) & set(runs[np.setdiff1d(np.arange(n), part)])


@pytest.mark.parametrize(
    ("n_subjects", "n_repeats"), [(100, 2), (40, 5), (25, 15), (12, 30), (15, 60), (10, 100)]
)
def test_runs_are_those_of_the_subjects(n_subjects, n_repeats):
    expected = np.repeat(np.arange(n_subjects), n_repeats)
    np.testing.assert_array_equal(runs_of(measure(n_subjects, n_repeats, 1)), expected)


def test_what_is_held_out_stays_held_out():
    for X in WALK, measure(40, 5, 0):
        held_out = splits(0.2, X[:-1], 0)[0][1]
        train, _ = splits(0.2, X, 0)[0]
        assert not set(held_out) & set(train)
    chunk = splits(0.2, WALK[:100], 0, streaming=False)[0][1]
    train, _ = splits(0.2, WALK[:90], 0, streaming=True)[0]
    assert not set(chunk) & set(train)


def test_single_rows_are_held_out_of_all_else():
    rng = np.random.default_rng(0)
    digits, y = load_digits(return_X_y=True)
    cards = np.tile([0.9, 0.8, 0.7], (200, 1024))
    cards.reshape(200, 32, 32, 3)[:, 8:24, 8:24] = rng.random((200, 16, 16, 3))
    idle = np.where(rng.random((200, 1)) < 0.6, 0, rng.normal(size=(200, 64)))
    for X in (
        *(measure(300, 1, 0), digits, digits[np.argsort(y)], load_iris().data, cards, idle),
        np.eye(10)[rng.integers(0, 10, 300)],  # categories
        *(rng.random((300, 8)) > 0.5, rng.integers(0, 5, (300, 3)), rng.poisson(0.5, (300, 4))),
        *(rng.uniform(-6e4, 6e4, (100, 20)).astype("f2"), 1e200 * rng.normal(size=(100, 20))),
        *(np.zeros((50, 9)), sliding_windows(rng.normal(size=4000), 64, 64)),
    ):
        assert runs_of(X) is None
    for n in 20, 25, 30:
        for d in 1, 4, 64:
            assert runs_of(rng.normal(size=(n, d))) is None
    index = np.sort(np.random.default_rng(3).permutation(1797)[:50])
    np.testing.assert_array_equal(draw(digits, 50, 3), index)
