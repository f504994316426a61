"""Rows and images, channels, units."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.datasets import load_digits

from skcae import ConvAutoencoder, ConvVAE, DenoisingConvAutoencoder
from skcae._data._beside import warn_of_channels
from skcae._data._layout import Layout, advise_shape
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


@pytest.mark.parametrize(
    ("shape", "given", "likely"),
    [
        ((288, 1), None, -1),
        ((38, 4), None, -1),
        ((3, 500), None, 0),
        ((3, 32, 32), -1, 0),
        ((32, 32, 3), 0, -1),
        ((16, 16, 16, 1), 0, -1),
        ((500, 3), 0, -1),
    ],
)
def test_another_axis_that_looks_like_channels_brings_a_warning(shape, given, likely):
    with pytest.warns(UserWarning, match=f"if axis {likely} holds .* channel_axis={likely}"):
        Layout.infer(np.prod(shape), shape, None, given)


@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("n_sensors", [5, 12])
def test_sensors_in_units_of_their_own_bring_a_warning(axis, n_sensors):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 50, n_sensors)) * np.geomspace(0.01, 300, n_sensors) + 1e5
    X = np.moveaxis(X, -1, axis + 1 if axis == 0 else axis)
    ae = ConvAutoencoder(4, hidden_channels=(2,), max_epochs=1, random_state=0)
    for method in "fit", "partial_fit":
        with pytest.warns(UserWarning, match=f"units of their own, pass channel_axis={axis}"):
            getattr(clone(ae), method)(X)
    ae.set_params(channel_axis=axis).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(ae).set_params(channel_axis=None, input_shape=X.shape[1:]).fit(X)
        clone(ae).set_params(channel_axis=None).fit(rng.normal(size=(60, 50, n_sensors)))


def test_images_bring_no_warning_of_sensors():
    images = load_digits().images  # of which the outer columns hardly vary
    wide = np.concatenate([images, images[::-1]] * 2, 2)
    for X in (images, wide, np.repeat(images, 4, 1)):
        warn_of_channels(X.reshape(len(X), -1), Layout(X.shape[1:]))


def test_layouts_that_a_user_may_mean_bring_no_warning():
    for shape, axis in (
        *(((28, 28), None), ((4, 4), None), ((5, 3), 1), ((3, 32, 32), 0), ((32, 32, 3), -1)),
        *(((64, 4, 4), 0), ((12, 100), 0), ((100, 12), -1), ((5, 6, 7), 1), ((8, 8, 8), None)),
    ):
        Layout.infer(np.prod(shape), shape, None, axis)


def test_rows_of_rgb_images_bring_a_warning_that_names_shape_and_channels():
    with pytest.warns(UserWarning, match=r"pass input_shape=\(32, 32, 3\), channel_axis=-1, oth"):
        Layout.infer(3072, None, None, None)
    for n_features, input_shape in ((3072, (3072,)), (300, None), (3 * 16 * 17, None)):
        Layout.infer(n_features, None, input_shape, None)


@pytest.mark.parametrize(
    ("given", "fitted"),
    [
        ((3, 16, 16), (16, 16, 3)),
        ((16, 16, 3), (3, 16, 16)),
        ((3, 20, 16), (20, 16, 3)),
        ((9, 4), (4, 9)),
        ((3, 20, 16), (16, 20, 3)),
        ((3, 5, 6, 7), (5, 6, 7, 3)),
    ],
)
def test_images_with_the_channels_elsewhere_are_told_to_move_them(given, fitted):
    advice = advise_shape(given, fitted)
    X = np.zeros((2, *given))
    moved = eval(advice.removeprefix("pass "), {"np": np, "X": X})
    assert moved.shape == (2, *fitted)
    channel_axes = [shape.index(min(given)) for shape in (given, fitted)]
    X[(slice(None),) * (1 + channel_axes[0]) + (0,)] = 1  # the first channel
    assert moved.take(0, 1 + channel_axes[1]).all()


def test_axes_of_one_entry_are_reshaped_and_other_images_are_asked_for():
    assert advise_shape((28, 28, 1), (28, 28)) == "reshape X to (n_samples, *(28, 28))"
    assert advise_shape((1, 28, 28), (28, 28, 1)) == "reshape X to (n_samples, *(28, 28, 1))"
    assert advise_shape((4, 9), (6, 6)) == "pass samples of shape (6, 6)"


def test_every_method_tells_of_the_order_of_the_channels(make):
    X = np.random.default_rng(0).random((12, 6, 6, 3))
    ae = make(input_shape=None, channel_axis=-1).fit(X)
    other = np.moveaxis(X, -1, 1)
    for name in ("transform", "reconstruct", "score_samples", "predict", "score", "anomaly_map",
                 "partial_fit", "recalibrate"):  # fmt: skip
        with pytest.raises(ValueError, match=r"np.moveaxis\(X, 1, 3\)"):
            getattr(ae, name)(other)
    with pytest.raises(ValueError, match=r"np.moveaxis\(X, 1, 3\)"):
        ae.net_.predict(other)
    with pytest.raises(ValueError, match=r"np.moveaxis\(X, 1, 3\)"):
        ae.set_params(input_shape=(6, 6, 3)).fit(other)
    with pytest.raises(ValueError, match=r"np.moveaxis\(target, 1, 3\)"):
        DenoisingConvAutoencoder(2, channel_axis=-1).fit(X, target=other)


# In thousandths: what varies by less than 1e-36 is refused.
reals = st.integers(-(10**9), 10**9).map(lambda value: value / 1000)


@given(arrays(np.float64, st.tuples(st.integers(1, 20), st.integers(1, 5)), elements=reals),
       st.integers(1, 4), st.booleans())  # fmt: skip
def test_streamed_statistics_are_those_of_the_whole(X, n_chunks, channels):
    layout = Layout((X.shape[1], 1), 0) if channels else Layout((X.shape[1],))
    scaling = Scaling()
    for chunk in np.array_split(X, n_chunks):
        if len(chunk):
            scaling = scaling.updated(chunk, layout)
    axis = None if layout.n_channels == 1 else 0
    assert scaling.count * layout.n_channels == X.size
    np.testing.assert_allclose(scaling.shift, np.ravel(X.mean(axis)), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(scaling.variance, np.ravel(X.var(axis)), rtol=1e-6, atol=1e-6)


def test_constant_data_keep_a_scale_of_one():
    for value in (0.0, 0.1, 1e8):
        assert Scaling().updated(np.full((50, 7), value), Layout((7,))).scale == (1.0,)


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
    assert ae.net_.scaling.unit == pytest.approx(np.std(X.astype("f8")), rel=1e-6)
    np.testing.assert_allclose(ae.transform(X), double.transform(X), atol=0.02)


# Channels ---------------------------------------------------------------------------------------


@pytest.fixture
def sensors(digits):
    """Digits as three sensors: other parts of the image, other units."""
    images = digits[0][:200, 1:7].astype("f8")
    parts = [images[:, :, shift : shift + 6] for shift in range(3)]
    return np.stack([20 + 3 * parts[0], 101_325 + 400 * parts[1], 0.4 + 0.02 * parts[2]], 1)


@pytest.fixture(params=[ConvAutoencoder, ConvVAE])
def having_channels(request):
    return partial(request.param, 8, hidden_channels=(8, 16), max_epochs=10, contamination=0.1)


def errors_in_deviations(ae, X, axes=(0, 2, 3)):
    error = ae.reconstruct(X).astype("f8") - X
    return np.sqrt((error**2).mean(axes)) / X.std(axes)


@pytest.mark.parametrize(("axis", "seed"), [(0, 0), (1, 1), (-1, 2)])
def test_channels_of_different_units_are_all_reconstructed(sensors, axis, seed, having_channels):
    X = np.moveaxis(sensors, 1, axis if axis < 0 else axis + 1)
    axes = tuple(i for i in range(4) if i != (axis % 3) + 1)
    ae = having_channels(channel_axis=axis, random_state=seed).fit(X)
    errors = errors_in_deviations(ae, X, axes)
    assert errors.max() < 0.8
    assert errors.max() < 1.5 * errors.min()


def test_units_of_channels_do_not_matter(sensors, having_channels):
    units, offsets = np.array([[[0.125]], [[8.0]], [[2.0]]]), np.array([[[1]], [[-3]], [[8]]])
    X = sensors * units + offsets
    ae, other = (
        having_channels(channel_axis=0, max_epochs=2, random_state=0).fit(x) for x in (sensors, X)
    )
    np.testing.assert_allclose(other.transform(X), ae.transform(sensors), atol=0.02)
    gap = other.score_samples(X) - ae.score_samples(sensors)
    density = 36 * np.log(units).sum() if "likelihood" in ae.get_params() else 0
    np.testing.assert_allclose(gap, -density, atol=0.05 * np.ptp(ae.score_samples(sensors)))
    plain = ae.anomaly_map(sensors, standardize=False, sigma=0)
    np.testing.assert_allclose(
        other.anomaly_map(X, standardize=False, sigma=0), plain * units**2, rtol=0.1, atol=1e-2
    )


def test_channels_of_one_unit_share_a_scale(digits):
    images = digits[0][:300].astype("f8")
    colours = np.stack([images, 3 + 2 * images, images / 3], axis=-1)
    ae = ConvAutoencoder(4, channel_axis=-1, max_epochs=1, contamination=0.1, random_state=0)
    ae.fit(colours)
    scaling = ae.net_.scaling
    np.testing.assert_allclose(scaling.shift, colours.mean((0, 1, 2)), rtol=1e-5)
    within = np.sqrt(colours.var((0, 1, 2)).mean())
    np.testing.assert_allclose(scaling.scale, within, rtol=1e-5)
    error = np.mean((ae.reconstruct(colours) - colours) ** 2, axis=(1, 2, 3))
    ae.set_params(anomaly_score="loss").fit(colours)
    np.testing.assert_allclose(-ae.score_samples(colours), error, rtol=1e-3)


def test_a_channel_that_never_varies_has_no_unit(sensors):
    X = np.concatenate([sensors[:, :2], np.full_like(sensors[:, :1], 7)], 1)
    ae = ConvAutoencoder(8, channel_axis=0, max_epochs=5, contamination=0.1, random_state=0).fit(X)
    assert ae.net_.scaling.scale[2] == 1
    np.testing.assert_allclose(ae.reconstruct(X)[:, 2], 7, atol=0.5)


def test_the_first_chunk_decides_on_units(sensors):
    ae = ConvAutoencoder(4, channel_axis=0, contamination=0.1, random_state=0)
    for chunk in np.array_split(sensors, 4):
        ae.partial_fit(chunk)
    np.testing.assert_allclose(ae.net_.scaling.shift, sensors.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(ae.net_.scaling.scale, sensors.std((0, 2, 3)), rtol=1e-5)
    alike = sensors / sensors.std((0, 2, 3), keepdims=True)
    ae = clone(ae).partial_fit(alike)
    with pytest.warns(UserWarning, match="in another unit"):
        ae.partial_fit(sensors)
    assert ae.net_.scaling.is_common
