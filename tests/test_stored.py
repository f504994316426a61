"""Arrays outside memory: read by windows, shuffled by blocks, with the results of arrays in it."""

import importlib

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from skcae import ConditionalConvVAE, ConvAutoencoder, ConvVAE, DenoisingConvAutoencoder
from skcae._data import _stored
from skcae._data._stored import Stored, _extents, subsample
from skcae._net._tiles import map_rows

SMALL = {"hidden_channels": (4, 8), "max_epochs": 2, "batch_size": 50, "random_state": 0}
AE = ConvAutoencoder(4, contamination=0.1, **SMALL)


class Sliced:
    """The least that is asked of an array: shape, dtype and slices, which it counts."""

    def __init__(self, values):
        self.values, self.shape, self.dtype, self.longest = values, values.shape, values.dtype, 0

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        self.longest = max(self.longest, rows.stop - rows.start)
        return self.values[rows]


@pytest.fixture
def X(digits):
    return digits[0][:600]


@pytest.fixture(scope="module")
def fitted(digits):
    """Fitted to all rows in memory, for tests that only look."""
    return clone(AE).fit(digits[0][:600])


@pytest.fixture
def small(monkeypatch):
    """Windows of 32 digits, blocks of 4."""
    for name, size in (("WHOLE", 0), ("WINDOW", 2**13), ("BLOCK", 2**10)):
        monkeypatch.setattr(_stored, name, size)


@pytest.fixture
def memmap(X, tmp_path):
    array = np.memmap(tmp_path / "X", X.dtype, "w+", shape=X.shape)
    array[:] = X
    array.flush()
    return np.memmap(tmp_path / "X", X.dtype, "r", shape=X.shape)


def test_what_fits_is_read_whole(X, memmap):
    X, memmap = X[:250], memmap[:250]
    expected = clone(AE).fit(X).transform(X)
    for array in (memmap, Sliced(X)):
        np.testing.assert_array_equal(clone(AE).fit(array).transform(array), expected)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("estimator", [
    clone(AE).set_params(contamination="auto"),
    clone(AE).set_params(early_stopping=True, n_iter_no_change=3),
    clone(AE).set_params(calibration=0.2),
    clone(AE).set_params(loss="binary_crossentropy", anomaly_score="loss"),
    ConvVAE(4, **SMALL),
    ConditionalConvVAE(4, **SMALL),
])  # fmt: skip
def test_results_are_those_of_the_same_array_in_memory(estimator, X, memmap, digits):
    X, memmap, y = X[:400], memmap[:400], digits[1][:400] % 2
    inside, outside = (clone(estimator).fit(data, y) for data in (X, memmap))
    curves = outside.loss_curve_, inside.loss_curve_  # of other orders
    np.testing.assert_allclose(*curves, rtol=0.05, atol=0.05 * np.ptp(inside.loss_curve_))
    few_rows = memmap[:70], X[:70]
    methods = ["transform", "reconstruct", "score_samples", "predict", "anomaly_map", "posterior"]
    for method in [*methods, "elbo", "label_posterior"]:
        if hasattr(outside, method):
            stored, array = (getattr(outside, method)(data) for data in few_rows)
            np.testing.assert_array_equal(stored, array, err_msg=method)
    assert outside.score(memmap) == pytest.approx(outside.score(X), rel=1e-9)
    outside.partial_fit(memmap, y)


@pytest.mark.usefixtures("small")
def test_no_more_than_a_window_is_read_at_once(X):
    array, y = Sliced(X), np.arange(len(X)) % 2
    for cls in ConvAutoencoder, ConditionalConvVAE:
        labels = (y,) if cls is ConditionalConvVAE else ()
        ae = cls(4, **{**SMALL, "max_epochs": 1}).fit(array, *labels)
        Z = Sliced(ae.transform(array, *labels))
        ae.reconstruct(array, *labels)
        ae.score_samples(array)
        assert array.longest <= 2**13 // X[0].nbytes
        np.testing.assert_array_equal(
            ae.inverse_transform(Z, *labels), ae.inverse_transform(Z.values, *labels)
        )
        assert Z.longest <= 2**13 // 16


@pytest.mark.usefixtures("small")
def test_no_more_than_a_window_is_written_at_once(fitted, X):
    ae = fitted
    Z, out = ae.transform(X), Written(X)
    ae.inverse_transform(Z, out=out)
    np.testing.assert_array_equal(out.values, ae.reconstruct(X))
    assert out.longest <= 2**13 // X[0].nbytes


class Written(Sliced):
    """The same, to write to."""

    def __setitem__(self, rows, values):
        if self.longest == 0:
            self.values = np.empty_like(self.values)
        self.longest = max(self.longest, rows.stop - rows.start)
        self.values[rows] = values


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # scikit-learn's, of 1e300
@pytest.mark.usefixtures("small")
def test_codes_outside_memory_are_checked_as_those_in_it(fitted, X):
    ae = fitted
    Z = ae.transform(X).astype(float)
    large, missing = Z.copy(), Z.copy()
    large[550, 1], missing[550, 1] = 1e300, np.nan
    for bad, text in (
        (large, "Z contains infinity or a value too large for dtype"),
        (missing, "Z contains NaN"),
        (Z[:, :, None], "Found array with dim 3"),
        (Z[:, :3], "Z has 3 columns, but ConvAutoencoder was fitted with codes of 4"),
    ):
        for codes in (bad, Sliced(bad)):
            with pytest.raises(ValueError, match=text):
                ae.inverse_transform(codes)


@pytest.mark.parametrize("out", [[[0.0]], "out", pd.DataFrame([[0.0]])], ids=["list", "str", "df"])
def test_out_must_be_an_array(fitted, X, out):
    with pytest.raises(TypeError, match=r"out is a .*; pass an array in the computer's memory"):
        fitted.transform(X[:50], out=out)


@pytest.mark.usefixtures("small")
def test_output_for_labels(X, memmap, digits):
    X, memmap, y = X[:200], memmap[:200], digits[1][:200] % 2
    vae = ConditionalConvVAE(4, **{**SMALL, "max_epochs": 1}).fit(X, y)
    for data in (X, memmap):
        for labels in (y, None):
            for method in ("transform", "reconstruct"):
                expected = getattr(vae, method)(X, labels)
                out = np.empty_like(expected)
                assert getattr(vae, method)(data, labels, out=out) is out
                np.testing.assert_array_equal(out, expected)
    Z = vae.transform(X, y)
    out = np.empty_like(X)
    vae.inverse_transform(Z, y, out=out)
    np.testing.assert_array_equal(out, vae.inverse_transform(Z, y))


@pytest.mark.usefixtures("small")
def test_values_are_not_checked_when_told_so(fitted, X, tmp_path):
    array = np.memmap(tmp_path / "Y", X.dtype, "w+", shape=X.shape)
    array[:] = X
    array[3] = np.nan
    with sklearn.config_context(assume_finite=True):
        assert np.isnan(fitted.transform(array)).any(1).tolist() == [i == 3 for i in range(len(X))]


def test_the_number_of_rows_must_be_known(X):
    array = importlib.import_module("dask.array").from_array(X)
    with pytest.raises(ValueError, match=r"has the unknown shape \(nan, 8, 8\); compute"):
        clone(AE).fit(array[array.sum((1, 2)) > 0])


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.int16])
def test_any_number(dtype, X, tmp_path):
    array = np.memmap(tmp_path / "X", dtype, "w+", shape=X.shape)
    array[:] = np.round(255 * X)
    ae = clone(AE).fit(array)
    np.testing.assert_array_equal(ae.transform(array), ae.transform(np.array(array)))


@pytest.mark.usefixtures("small")
def test_clean_and_noisy_arrays_outside_memory(X, memmap):
    noisy = X + np.random.default_rng(0).normal(0, 0.2, X.shape).astype(np.float32)
    dae = DenoisingConvAutoencoder(
        4, early_stopping=True, contamination=0.1, **{**SMALL, "max_epochs": 3}
    )
    both, half = clone(dae).fit(Sliced(noisy), target=memmap), clone(dae).fit(noisy, target=X)
    np.testing.assert_allclose(both.loss_curve_, half.loss_curve_, rtol=0.15)


@pytest.mark.usefixtures("small")
def test_bad_values_are_found_when_they_are_read(X, tmp_path):
    array = np.memmap(tmp_path / "X", X.dtype, "w+", shape=X.shape)
    array[:] = X
    ae = clone(AE).fit(array)
    array[500, 3, 3] = np.nan
    for call in (clone(AE).fit, ae.transform, ae.score_samples, ae.partial_fit):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            call(array)
    array[500, 3, 3] = 7
    with pytest.raises(ValueError, match=r"needs values in \[0, 1\], but X has values"):
        clone(AE).set_params(loss="binary_crossentropy").fit(array)
    with pytest.raises(ValueError, match="X has 32 features, but ConvAutoencoder is expecting"):
        ae.transform(Sliced(X[:, :4]))


def test_output_goes_to_the_given_array(fitted, X, memmap, tmp_path):
    ae = fitted
    Z, X_hat = ae.transform(X), ae.reconstruct(X)
    for data in (X, memmap, X.reshape(-1, 64)):
        out = np.memmap(tmp_path / "Z", np.float32, "w+", shape=Z.shape)
        assert ae.transform(data, out=out) is out
        np.testing.assert_array_equal(out, Z)
        images = np.zeros_like(X_hat)
        assert ae.reconstruct(data, out=images) is images
        np.testing.assert_array_equal(images, X_hat)
    rows = np.zeros((len(X), 64), np.float32)
    np.testing.assert_array_equal(ae.inverse_transform(Z, out=rows).reshape(X.shape), X_hat)
    with pytest.raises(ValueError, match="out has 3 rows, but X has 600; pass one for each"):
        ae.transform(X, out=np.zeros((3, 4)))
    for bad in (np.zeros((len(X), 5)), np.zeros((len(X), 4), int)):
        with pytest.raises(ValueError, match="pass floating-point numbers, 4 a sample"):
            ae.transform(X, out=bad)
    closed = np.zeros((len(X), 4))
    closed.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        ae.transform(X, out=closed)
    np.testing.assert_array_equal(ae.inverse_transform(Sliced(Z)), X_hat)


# Reading ----------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 500), min_size=1), st.integers(1, 30), st.integers(1, 60))
def test_extents_hold_all_indices(index, gap, most):
    index, seen = np.array(sorted(index)), []
    for part, start, stop in _extents(index, gap, most):
        assert (index[part][0], index[part][-1]) == (start, stop - 1)
        assert stop - start <= most
        assert np.diff(index[part]).max(initial=0) <= gap
        seen.extend(index[part])
    np.testing.assert_array_equal(seen, index)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("n_parts", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 5, 32, 600])
def test_every_row_comes_once_an_epoch(n, n_parts, X):
    generator = torch.Generator().manual_seed(0)
    stored = Stored(X[:n])
    order = stored.shuffled(
        np.arange(n), lambda n: torch.randperm(n, generator=generator).numpy(), n_parts
    )
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    parts = np.array_split(order, range(50, n, 50))
    for part, rows in zip(parts, stored.batches(parts), strict=True):
        np.testing.assert_array_equal(rows, X[part].reshape(-1, 64))


@pytest.mark.usefixtures("small")
def test_few_rows_are_distinct_and_spread():
    stored = Stored(np.zeros((10000, 4), np.float32))
    for rows in (stored, stored.array):
        index = subsample(rows, 1000, 0)
        assert len(np.unique(index)) == len(index) == 1000
        assert index.min() < 1000
        assert index.max() > 9000


@pytest.mark.usefixtures("small")
def test_parts_of_parts(X):
    half = Stored(X).take(np.arange(1, 600, 2))
    quarter = half.take(np.arange(0, len(half), 2))
    np.testing.assert_array_equal(quarter[:], X[1::4].reshape(-1, 64))
    sums = map_rows(lambda rows: torch.from_numpy(rows).sum(1), quarter, size=50)
    np.testing.assert_allclose(sums, X[1::4].reshape(-1, 64).sum(1), rtol=1e-5)
    np.testing.assert_array_equal(np.stack(list(quarter)), quarter[:])


@pytest.mark.parametrize("library", ["zarr", "h5py", "dask.array"])
def test_other_libraries(library, X, small, tmp_path):
    module = importlib.import_module(library)  # of the extra `test`
    if library == "h5py":
        with module.File(tmp_path / "X", "w") as file:
            _check_library(file.create_dataset("X", data=X, chunks=(100, 8, 8)), X)
    elif library == "zarr":
        out = module.zeros((len(X), 4), chunks=(500, 4), dtype="float32")
        ae = _check_library(module.array(X, chunks=(100, 8, 8)), X)
        np.testing.assert_array_equal(ae.transform(X, out=out)[:], ae.transform(X))
    else:
        array = module.from_array(X, chunks=(700, 8, 8))
        ae = _check_library(array, X)
        lazy = array.map_blocks(ae.transform, dtype="float32", drop_axis=2, chunks=(700, 4))
        np.testing.assert_array_equal(lazy.compute(), ae.transform(X))


def _check_library(array, X):
    ae = clone(AE).fit(array)
    np.testing.assert_array_equal(ae.transform(array), ae.transform(X))
    return ae
