"""Rows and images, channels, units."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skcae import ConvAutoencoder
from skcae._data._layout import Layout
from skcae._data._scaling import Scaling

shapes = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)


@st.composite
def layouts(draw):
    spatial = draw(shapes)
    axis = draw(st.none() | st.integers(0, len(spatial)))
    if axis is None:
        return Layout(spatial)
    channels = draw(st.integers(1, 4))
    return Layout(spatial[:axis] + (channels,) + spatial[axis:], axis)


@given(layouts(), st.integers(1, 4))
def test_fold_then_unfold_is_the_identity(layout, n):
    x = torch.arange(n * layout.n_features).reshape(n, -1)
    folded = layout.fold(x)
    assert folded.shape == (n, layout.n_channels, *layout.spatial)
    assert torch.equal(layout.unfold(folded), x)


def test_fold_moves_the_channels_and_keeps_the_pixels():
    images = np.random.default_rng(0).normal(size=(2, 5, 4, 3))
    layout = Layout.infer(60, (5, 4, 3), None, -1)
    folded = layout.fold(torch.from_numpy(images.reshape(2, 60)))
    np.testing.assert_array_equal(folded, images.transpose(0, 3, 1, 2))


@settings(max_examples=40, deadline=None)
@given(
    shapes.filter(lambda shape: np.prod(shape) > 1),
    st.sampled_from(["stride", "max_pool", "avg_pool"]),
    st.sampled_from(["nearest", "bilinear", "transpose"]),
    st.booleans(),
)
def test_every_side_length_round_trips(shape, downsampling, upsampling, tied):
    X = np.random.default_rng(0).normal(size=(6, *shape))
    ae = ConvAutoencoder(
        n_components=1,
        hidden_channels=(3, 2),
        net_params={
            "module__downsampling": downsampling,
            "module__upsampling": upsampling,
            "module__tied_weights": tied,
        },
        max_epochs=1,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        ae.fit(X.reshape(6, -1) if len(shape) == 1 else X)
    X_hat = ae.reconstruct(X)
    assert X_hat.shape == X.shape
    assert np.isfinite(X_hat).all()


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_channel_axis_anywhere_gives_the_same_codes(axis):
    X = np.random.default_rng(0).normal(size=(20, 3, 6, 4)).astype(np.float32)
    first = ConvAutoencoder(2, channel_axis=0, max_epochs=1, random_state=0).fit(X)
    moved = np.moveaxis(X, 1, axis + 1 if axis >= 0 else axis)
    other = ConvAutoencoder(2, channel_axis=axis, max_epochs=1, random_state=0).fit(moved)
    np.testing.assert_allclose(other.transform(moved), first.transform(X), atol=1e-3)
    assert other.reconstruct(moved).shape == moved.shape


def test_square_rows_bring_a_warning_that_names_the_shape():
    with pytest.warns(UserWarning, match=r"input_shape=\(8, 8\)"):
        Layout.infer(64, None, None, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Layout.infer(64, None, (64,), None)
        Layout.infer(49, None, None, None)
        Layout.infer(63, None, None, None)


@pytest.mark.parametrize(("shape", "axis"), [((3, 32, 32), 0), ((32, 32, 3), -1)])
def test_a_likely_channel_axis_brings_a_warning(shape, axis):
    with pytest.warns(UserWarning, match=f"channel_axis={axis}"):
        Layout.infer(3072, shape, None, None)


reals = st.floats(-1e6, 1e6, width=32)


@given(arrays(np.float64, st.tuples(st.integers(1, 20), st.integers(1, 5)), elements=reals),
       st.integers(1, 4))  # fmt: skip
def test_streamed_statistics_are_those_of_the_whole(X, n_chunks):
    scaling = Scaling()
    for chunk in np.array_split(X, n_chunks):
        if len(chunk):
            scaling = scaling.updated(chunk)
    assert scaling.count == X.size
    np.testing.assert_allclose(scaling.shift, X.mean(), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(scaling.variance, X.var(), rtol=1e-6, atol=1e-6)


def test_constant_data_keep_a_scale_of_one():
    for value in (0.0, 0.1, 1e8):
        assert Scaling().updated(np.full((50, 7), value)).scale == 1.0


def test_unit_interval_by_type():
    assert Scaling.unit_interval(np.dtype("u1")).scale == 255
    assert Scaling.unit_interval(np.dtype("u2")).scale == 65535
    for dtype in ("f4", "i8", "bool"):
        assert Scaling.unit_interval(np.dtype(dtype)).scale == 1


@pytest.mark.parametrize("dtype", ["f8", "i4", "u4", "i8"])
def test_a_large_offset_costs_no_precision(dtype):
    X = np.random.default_rng(0).integers(0, 17, (60, 6, 6)).astype(dtype)
    near = ConvAutoencoder(2, max_epochs=2, random_state=0).fit(X)
    far = ConvAutoencoder(2, max_epochs=2, random_state=0).fit(X + 1_600_000_000)
    np.testing.assert_allclose(far.transform(X + 1_600_000_000), near.transform(X), atol=0.02)


@pytest.mark.parametrize(("dtype", "scale"), [("f2", 6e3), ("f4", 1e30), ("f4", 1e-30)])
def test_statistics_do_not_overflow_in_the_type_of_the_data(dtype, scale):
    X = (np.random.default_rng(0).random((60, 6, 6)) * scale).astype(dtype)
    ae = ConvAutoencoder(2, max_epochs=2, random_state=0).fit(X)
    double = ConvAutoencoder(2, max_epochs=2, random_state=0).fit(X.astype("f8"))
    assert ae.net_.scaling.scale == pytest.approx(np.std(X.astype("f8")), rel=1e-6)
    np.testing.assert_allclose(ae.transform(X), double.transform(X), atol=0.02)
