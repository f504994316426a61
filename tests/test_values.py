"""Values that mean something else than they say: units, ranges, a few that own the variance."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
from conftest import ESTIMATORS, having
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.preprocessing import MinMaxScaler

from skcae import ConditionalConvVAE, ConvAutoencoder, ConvVAE, DenoisingConvAutoencoder
from skcae._data import _stored
from skcae._data._extremes import leave_out_far, warn_few
from skcae._data._layout import Layout
from skcae._data._ranges import warn_other_unit
from skcae._data._scaling import Scaling
from skcae.losses import LIKELIHOODS, LOSSES, Likelihood, Loss

SMALL = {"n_components": 3, "hidden_channels": (2,), "max_epochs": 1, "random_state": 0}
BOUNDED = [
    *((ConvAutoencoder, {"loss": name}) for name, row in LOSSES.items() if row.unit_interval),
    *((ConvVAE, {"likelihood": name}) for name, row in LIKELIHOODS.items() if row.unit_interval),
]
bounded = pytest.mark.parametrize(("cls", "parameter"), BOUNDED, ids=lambda p: str(p)[-25:])


@pytest.fixture(scope="module")
def images():
    """Digits ``(64, 8, 8)`` of 8 bits."""
    return (load_digits().images[:64] * 15.9).astype(np.uint8)


# The unit interval ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "parameter", "dtype"),
    [*((*row, "f8") for row in BOUNDED), (*BOUNDED[0], "f4"), (*BOUNDED[0], "f2")],
)
def test_min_max_scaler_then_cross_entropy(cls, parameter, dtype, images):
    X = MinMaxScaler().fit_transform(images.reshape(-1, 64).astype(dtype))
    X[3, 5], X[4, 6] = np.nextafter(X.dtype.type(1), X.dtype.type(2)), -np.finfo(dtype).eps
    assert X.max() > 1
    ae = cls(**SMALL, **parameter, input_shape=(8, 8)).fit(X)
    np.testing.assert_array_equal(ae.transform(X), ae.transform(X.clip(0, 1)))
    assert np.isfinite(ae.net_.predict(X)).all()
    assert np.isfinite(ae.partial_fit(X).score(X))


def test_a_loss_of_ones_own_never_sees_more_than_one(images):
    def seen(output, target):
        assert target.min() >= 0
        assert target.max() <= 1
        return (output - target) ** 2

    X = images / 254 * (1 + 4e-16)
    assert X.max() > 1
    for dtype in "f8", "f4":
        x = X.astype(dtype) if dtype == "f8" else np.float32(1 + 2e-7) * X.astype(dtype)
        loss = Loss(seen, unit_interval=True)
        ConvAutoencoder(**SMALL, loss=loss, anomaly_score="loss").fit(x).score(x)
        ConvVAE(**SMALL, likelihood=Likelihood(lambda o, t: -seen(o, t), unit_interval=True)).fit(
            x
        )
        DenoisingConvAutoencoder(**SMALL, loss=loss, anomaly_score="loss").fit(x, target=x)


def test_an_error_of_the_unit_interval_shows_the_digits_that_matter(images):
    X = images / 254
    X[0, 0, 0] = 1.00002
    with pytest.raises(
        ValueError, match=r"values in \[0, 1\], but X has values from 0.0 to 1.00002"
    ):
        ConvAutoencoder(**SMALL, loss="binary_crossentropy").fit(X)
    ae = ConvAutoencoder(**SMALL, loss="binary_crossentropy").fit(X.clip(0, 1))
    for call in ae.transform, ae.partial_fit, ae.net_.predict:
        with pytest.raises(ValueError, match=r"from 0.0 to 1.00002; .*, or use loss="):
            call(X)


# Masks and the depth of images ------------------------------------------------------------------


@bounded
def test_binary_masks_of_any_type_are_probabilities(cls, parameter, images):
    masks = images > 100
    expected = cls(**SMALL, **parameter).fit(masks.astype("f4"))
    for dtype in ("u1", "bool") if cls is ConvVAE else ("u1", "bool", "i8", "u2", "i1"):
        ae = cls(**SMALL, **parameter).fit(masks.astype(dtype))
        np.testing.assert_allclose(ae.transform(masks), expected.transform(masks), atol=1e-5)
        assert ae.reconstruct(masks.astype(dtype)).max() <= 1
    for call in ae.transform, ae.partial_fit, ae.score_samples, ae.net_.predict:
        with pytest.raises(ValueError, match=r"from 0 to 254; .* all 0 or 1 in fit are taken as"):
            call(images)


@bounded
def test_images_of_twelve_bits_need_their_full_scale(cls, parameter, images):
    ae = cls(**SMALL, **parameter)
    for dtype in "u2", "i4", "i8":
        with pytest.raises(ValueError, match=r"from 0 to 4064, .* divide X by its full scale"):
            ae.fit(16 * images.astype(dtype))
        assert not hasattr(ae, "net_")
    X = 16 * images / 4095
    assert ae.fit(X).reconstruct(X).max() <= 1


def test_the_unit_of_integers():
    def unit(dtype, high):
        X = np.array([[0, high]], dtype)
        return Scaling.unit_interval(X).unit

    assert [unit("u1", 255), unit("u1", 26), unit("u2", 40000), unit("u4", 2**32 - 1)] == [
        255, 255, 65535, 2**32 - 1,
    ]  # fmt: skip
    assert [unit(dtype, 1) for dtype in ("u1", "u2", "i8", "bool", "f4")] == [1] * 5
    for dtype, high in (("u2", 4095), ("u4", 65535), ("i1", 100), ("i8", 255)):
        with pytest.raises(ValueError, match="the type does not tell"):
            unit(dtype, high)
    with pytest.warns(UserWarning, match="divided by 255, but the largest is 16; if that is not"):
        assert unit("u1", 16) == 255


def test_each_fold_has_the_unit_of_all_images(images):
    X = images.copy().astype("u2")
    X[0, 0, 0] = 60000
    ae = ConvAutoencoder(**SMALL, loss="binary_crossentropy", calibration=2).fit(X)
    assert {net.scaling.unit for net, _ in ae.calibration_.parts} == {65535}
    for seed in range(3):
        ae.set_params(calibration=0.3, random_state=seed).fit(X)
        assert ae.net_.scaling.unit == 65535


# Another range than in fit ----------------------------------------------------------------------


@pytest.fixture(scope="module", params=ESTIMATORS, ids=lambda cls: cls.__name__)
def on_bytes(request, images):
    bounded = {"loss" if request.param in having("loss") else "likelihood": None}
    bounded = dict.fromkeys(bounded, "binary_crossentropy" if "loss" in bounded else "bernoulli")
    noise = {"noise_level": 8} if request.param is DenoisingConvAutoencoder else {}
    estimators = [request.param(**SMALL, **noise, **p) for p in ({}, bounded)]
    return [estimator.fit(images).recalibrate(images) for estimator in estimators]


METHODS = ("transform", "reconstruct", "score_samples", "score", "predict", "decision_function",
           "p_values", "drift_test", "anomaly_map", "posterior", "elbo", "log_likelihood",
           "label_posterior", "recalibrate", "partial_fit")  # fmt: skip


def test_fitted_on_bytes_applied_to_fractions(on_bytes, images):
    for fitted in on_bytes:
        ae = pickle.loads(pickle.dumps(fitted))
        for name in METHODS:
            if hasattr(ae, name):
                with pytest.warns(UserWarning, match=r"from 0 to 1, .* 0 to 254") as told:
                    getattr(ae, name)(images[:2] / 254)
                assert len([w for w in told if "another unit" in str(w.message)]) == 1


@pytest.mark.parametrize(("fitted", "applied"), [
    (lambda X: X, lambda X: X[:1] / 255),
    (lambda X: X, lambda X: X / 127.5 - 1),
    (lambda X: X, lambda X: X > 127),
    (lambda X: X.astype(float), lambda X: X / 255),
    (lambda X: X + 0.25, lambda X: X / 255),
    (lambda X: X / 255, lambda X: X),
    (lambda X: X / 255, lambda X: X[:1]),
    (lambda X: X / 255, lambda X: (X // 16)),
    (lambda X: X / 127.5 - 1, lambda X: X),
    (lambda X: X / 255, lambda X: X / 255 / 255),
    (lambda X: X / 255, lambda X: 60.5 * X),
    (lambda X: X / 255, lambda X: X / 255 + 300),
])  # fmt: skip
def test_another_unit_is_told(fitted, applied, images):
    seen = Scaling().updated(fitted(images).reshape(-1, 64), Layout((64,))).seen
    with pytest.warns(UserWarning, match="in another unit than the X given to fit"):
        warn_other_unit(applied(images).reshape(-1, 64), seen)


OUTLIERS = {
    "a black image": np.zeros((1, 64)),
    "white images": np.ones((20, 64)),
    "a sensor that is off": np.full((1, 64), -9999.0),
    "dead sensors": 0.01 * np.random.default_rng(0).normal(size=(50, 64)),
    "noise": np.random.default_rng(0).normal(size=(20, 64)),
    "hot values": np.where(
        np.arange(64) % 30 == 3, 1e6, np.random.default_rng(0).random((20, 64))
    ),
    "an offset": 20 + np.random.default_rng(0).random((20, 64)),
    "a gain": 9 * np.random.default_rng(0).random((1, 64)),
    "a dark image": 0.01 * np.random.default_rng(0).random((1, 64)),
}


@pytest.mark.parametrize("name", OUTLIERS)
def test_outliers_are_no_other_unit(name, images):
    for scale in 1, 255.0, 4095:
        X = images.reshape(-1, 64) * (scale / 255.3)
        outliers = scale * OUTLIERS[name]
        warn_other_unit(outliers, Scaling().updated(X, Layout((64,))).seen)
        if scale > 1:
            seen = Scaling().updated(X.astype(np.uint16), Layout((64,))).seen
            warn_other_unit(outliers.clip(0, 65535).astype(np.uint16), seen)


def test_dark_frames_and_stored_ones(images, monkeypatch):
    for name, size in (("WHOLE", 0), ("WINDOW", 2**12), ("BLOCK", 2**10)):
        monkeypatch.setattr(_stored, name, size)
    ae = ConvAutoencoder(**SMALL).fit(images)
    ae.transform(np.random.default_rng(0).integers(0, 5, images.shape).astype(np.uint8))
    ae.transform(images // 3)
    memmapped = np.zeros(images.shape, np.float32)
    memmapped[:] = images / 255
    stored = _stored.Stored(memmapped)
    with pytest.warns(UserWarning, match="in another unit"):
        ae.transform(stored)
    memmapped[30:] = 1e38
    with pytest.raises(ValueError, match="single precision"):
        ae.transform(stored)


def test_a_target_or_a_chunk_in_another_unit(images):
    dae, chunks = (DenoisingConvAutoencoder(**SMALL) for _ in range(2))
    for X, target in (images, images / 255), (images, images > 100), (images / 255, images):
        with pytest.warns(UserWarning, match=r"target varies by .* different units") as told:
            dae.fit(X, target=target)
        assert len(told) == 1
    with pytest.raises(ValueError, match="target has values from 0 to 2"):
        dae.fit(images / 255, target=1e36 * images)
    for chunk in np.array_split(images, 4):
        chunks.partial_fit(chunk, target=chunk)


def test_what_was_seen_is_in_the_file_of_the_parameters(images, tmp_path):
    ConvAutoencoder(**SMALL).fit(images).net_.save_params(f_params=tmp_path / "ae.pt")
    ae = ConvAutoencoder(**SMALL).fit(images / 255)
    ae.net_.load_params(f_params=tmp_path / "ae.pt")
    assert ae.net_.scaling.seen.high == 254
    ae.reconstruct(images)
    for call in ae.reconstruct, ae.net_.predict:
        with pytest.warns(UserWarning, match="in another unit"):
            call(images / 255)


# A few values that make up the variance ---------------------------------------------------------


def told(X, layout=None):
    """What is said of rows at a fit."""
    layout = layout or Layout((X.shape[1],))
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        warn_few(X, layout, Scaling().updated(X, layout))
    return [str(warning.message) for warning in record]


def test_two_hot_pixels_of_many(images):
    X = images.astype(np.uint16)
    X[17, 2, 3], X[60, 1, 1] = 65535, 60000
    for call in ConvAutoencoder(**SMALL).fit, ConvVAE(**SMALL).partial_fit:
        with pytest.warns(
            UserWarning, match=r"2 of 4096 values of X, the farthest 65535 at row 17"
        ):
            call(X)
    with pytest.warns(UserWarning, match=r"of X, the farthest 65535 at row 17, make up 9.* %"):
        ConvAutoencoder(**SMALL, calibration=0.2).fit(X)


def left_out(X, layout=None, **options):
    """Rows that a fit leaves out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        kept = leave_out_far({"X": X}, layout or Layout((X.shape[1],)), **options)
    return [] if kept is None else sorted(set(range(len(X))) - set(kept))


def fit_with_and_without(ae, X, rows, target=None, calls=("fit",)):
    """An estimator fitted to all rows, which it tells, and another to those that are meant."""
    meant = np.setdiff1d(np.arange(len(X)), rows)
    fits = []
    for index in np.arange(len(X)), meant:
        fits.append(clone(ae))
        name = "y" if isinstance(ae, ConditionalConvVAE) else "target"
        options = {} if target is None else {name: target[index]}
        with warnings.catch_warnings(record=True) as record:
            warnings.simplefilter("always")
            for call in calls:
                getattr(fits[-1], call)(X[index], **options)
        texts = [str(warning.message) for warning in record]
        told = [text for text in texts if "left out (row" in text]
        assert len(told) == (len(calls) if len(index) == len(X) else 0), texts
        assert all(f"left out (row {rows[0]})" in text for text in told)
    return fits


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("calls", [("fit",), ("partial_fit", "partial_fit")])
@pytest.mark.parametrize(("value", "dtype"), [(65535, "u2"), (1e4, "f8"), (-9999, "i4")])
def test_a_hot_pixel_changes_nothing(cls, calls, value, dtype, images):
    X = images.astype(dtype)
    X[17, 2, 3] = value
    labels = np.arange(64) % 3
    target = {ConditionalConvVAE: labels, DenoisingConvAutoencoder: images}.get(cls)
    ae, without = fit_with_and_without(cls(**SMALL), X, [17], target, calls)
    np.testing.assert_array_equal(ae.transform(images), without.transform(images))
    np.testing.assert_array_equal(ae.score_samples(images), without.score_samples(images))
    assert ae.offset_ == without.offset_
    assert ae.predict(X)[17] == -1


@pytest.mark.parametrize("parameters", [
    {"contamination": 0.02}, {"calibration": 0.2}, {"calibration": 3}, {"early_stopping": True},
    {"trim_fraction": 0.1}, {"anomaly_score": "neighbors"},
])  # fmt: skip
def test_a_hot_pixel_is_in_no_part_of_a_fit(parameters, images):
    for row in 3, 17, 40:
        X = images.astype(float)
        X[row, 2, 3] = 1e5
        ae, without = fit_with_and_without(ConvAutoencoder(**SMALL, **parameters), X, [row])
        np.testing.assert_array_equal(ae.decision_function(X), without.decision_function(X))
        if "calibration" in parameters:
            np.testing.assert_array_equal(ae.p_values(X), without.p_values(X))


def test_hot_pixels_of_targets_and_of_recalibration(images):
    T = images.astype(float)
    T[17, 2, 3] = 1e4
    with pytest.warns(UserWarning, match=r"row 17\): a few values in them, as 10000 of target,"):
        dae = DenoisingConvAutoencoder(**SMALL).fit(images, target=T)
    keep = np.arange(64) != 17
    without = DenoisingConvAutoencoder(**SMALL).fit(images[keep], target=T[keep])
    np.testing.assert_array_equal(dae.transform(images), without.transform(images))
    ae = ConvAutoencoder(**SMALL).fit(images.astype(float))
    offset = ae.recalibrate(T[keep]).offset_
    with pytest.warns(UserWarning, match=r"row 17\): a few values in them, as 10000 of X,"):
        assert ae.recalibrate(T).offset_ == offset
    with pytest.warns(UserWarning, match="left out"), pytest.raises(ValueError, match="no row of"):
        ae.recalibrate(T[17:18])
    assert ae.offset_ == offset


def test_hot_pixels_of_any_share_and_place():
    rng = np.random.default_rng(0)
    for n, n_rows in ((20, 1), (130, 2), (600, 12)):
        X = rng.normal(size=(n, 64)).cumsum(1)
        rows = sorted(rng.permutation(n)[:n_rows])
        for value in 1e4, -1e4, 1e30:
            Y = X.copy()
            Y[rows, rng.permutation(64)[:n_rows]] = value
            assert left_out(Y) == rows
            assert left_out(np.concatenate([X, Y], 1), Layout((2, 64), 0)) == rows
            for seen, expected in ((X, rows), (Y, [])):
                earlier = Scaling().updated(seen, Layout((64,)))
                assert left_out(Y, earlier=earlier) == expected
                if expected:  # of a chunk that alone cannot tell
                    assert left_out(Y[rows[:1]], earlier=earlier) == [0]
                    assert left_out(255 * X[:5], earlier=earlier) == []
    Y[rng.permutation(600)[:6], 1] = 1e30  # more than a few rows
    assert left_out(Y) == []
    X[0, 0] = 1e5
    assert left_out(X[:20]) == [0]
    assert left_out(X[:19]) == []


def test_the_last_row_of_a_class_is_kept(images):
    X, y = images.astype(float), np.arange(64) % 3
    X[17, 2, 3], y[17] = 1e5, 9
    vae = ConditionalConvVAE(**SMALL)
    with pytest.warns(UserWarning, match="make up 9"):
        vae.fit(X, y)
    assert vae.class_prior_[3] > 0


def test_a_hot_pixel_of_a_stored_array(monkeypatch, tmp_path, images):
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.uint16, (64, 8, 8))
    X[:] = images
    X[17, 2, 3] = 65535
    monkeypatch.setattr(_stored, "WHOLE", 0)
    ae, without = fit_with_and_without(ConvAutoencoder(**SMALL), X, [17])
    assert ae.net_.scaling == without.net_.scaling
    np.testing.assert_array_equal(ae.transform(X), without.transform(X))


def test_no_more_rows_are_left_out_than_a_few_of_all_channels():
    X = np.random.default_rng(0).normal(size=(40, 40, 64))
    X[range(40), range(40), range(40)] = 1e4
    assert left_out(X.reshape(40, -1), Layout((40, 64), 0)) == []
    X[1:] = np.clip(X[1:], -5, 5)
    assert left_out(X.reshape(40, -1), Layout((40, 64), 0)) == [0]


@pytest.mark.parametrize("calibration", [None, 0.2])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_hot_pixel_in_a_small_chunk_of_a_stream(cls, calibration, images):
    X, labels = images / 254, np.arange(64) % 3

    def feed(ae, X, labels):
        return ae.partial_fit(X, labels) if cls is ConditionalConvVAE else ae.partial_fit(X)

    before = pickle.dumps(feed(cls(**SMALL, calibration=calibration), X[:60], labels[:60]))
    hot = X[60:61].copy()
    hot[0, 2, 3] = 1e4
    for clean in X[:0], X[61:]:
        told, expected = pickle.loads(before), pickle.loads(before)
        with pytest.warns(UserWarning, match=r"1 of \d rows is left out \(row 0\): a few"):
            feed(told, np.concatenate([hot, clean]), labels[: 1 + len(clean)])
        if len(clean):
            feed(expected, clean, labels[1 : 1 + len(clean)])
        np.testing.assert_array_equal(told.transform(X), expected.transform(X))
        assert told.offset_ == expected.offset_


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_held_out_values_are_told_too(cls):
    X = np.random.default_rng(0).normal(size=(200, 7, 7)).cumsum(2)  # so few that none is left out
    target = {"y": np.arange(200) % 3} if cls is ConditionalConvVAE else {}
    for row in range(8):
        Y = X.copy()
        Y[row, 3, 3] = -9999
        with warnings.catch_warnings(record=True) as record:
            warnings.simplefilter("always")
            ae = cls(**SMALL, calibration=0.2).fit(Y, **target)
            ae.recalibrate(Y[:20])
        text = f"the farthest -9999 at row {row}, make up"
        assert sum(text in str(warning.message) for warning in record) == 2


def test_rare_events_are_no_faults():
    rng = np.random.default_rng(0)
    n, rare = 2000, rng.random(2000) < 0.015
    noise, hot = rng.normal(size=(n, 200)), np.eye(100)[rng.integers(0, 100, n)]
    amount = np.where(rare, rng.lognormal(7, 1, n), 0)
    idle = 0.01 * noise
    idle[rare, 50:90] += np.sin(np.arange(40) / 3)
    kept = {
        "claims": np.c_[noise[:, :11], amount],
        "claims in a wide table": np.c_[noise, amount],
        "one-hot and claims": np.c_[hot, amount],
        "flags and a rare count": np.c_[hot > 0, 50 * rare],
        "idle sensors": idle,
        "idle sensors and rounding": np.where(idle > 0.5, 1, 1e-17 * noise),
        "empty windows": np.where(rng.random((n, 200)) < 1e-4, 50.0, 0),
        "mostly empty windows": np.where(rng.random((n, 16)) < 0.02, rng.pareto(1, (n, 16)), 0),
    }
    assert {name: rows for name, X in kept.items() if (rows := left_out(X))} == {}


def test_values_that_stand_for_missing_ones():
    rng = np.random.default_rng(0)
    X = 15 + 10 * rng.normal(size=(300, 100))
    somewhere = rng.random(X.shape) < 0.002
    for missing, where in ((-9999, somewhere), (-999, somewhere), (1e20, (5, 5)), (9999, (0,))):
        Y = X.copy()
        Y[where] = missing
        (text,) = told(Y)
        assert f"the farthest {missing:g} at row" in text
        (text,) = told(np.concatenate([X, Y], 1), Layout((2, 100), 0))  # in one channel
        assert f"the farthest {missing:g} at row" in text
    X[:, 7] = 65535  # of each image the same pixel
    assert told(X)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.4])
def test_a_value_that_stands_for_many_missing_ones(share):
    rng = np.random.default_rng(0)
    X = 15 + 10 * rng.normal(size=(300, 100))
    for missing in -9999, 1e20:
        Y = np.where(rng.random(X.shape) < share, missing, X)
        for rows, layout in ((Y, None), (np.concatenate([X, Y], 1), Layout((2, 100), 0))):
            (text,) = told(rows, layout)
            assert f"values of X are {missing:g}, far from all others" in text


@pytest.mark.parametrize("call", ["fit", "partial_fit", "transform", "score_samples"])
def test_masked_values_are_not_used_unnoticed(images, call):
    masked = np.ma.masked_greater(images, 15)
    ae = ConvAutoencoder(**SMALL).fit(images)
    with pytest.raises(ValueError, match=r"masked array with \d+ masked values.*X.filled"):
        getattr(ae, call)(masked)
    for several in list(masked), [list(image) for image in masked]:
        with pytest.raises(ValueError, match=r"list of masked arrays with \d+ .* its own filled"):
            getattr(ae, call)(several)
    getattr(ae, call)(np.ma.masked_array(images))  # of which none is masked


def test_honest_data_have_no_few_values_of_much_variance(digits):
    rng = np.random.default_rng(0)
    sparse = 0.01 * rng.normal(size=(300, 200))
    sparse[np.arange(300), rng.integers(0, 200, 300)] = 1
    honest = {
        "digits": digits[0].reshape(-1, 64),
        "wine": load_wine().data,
        "breast cancer": load_breast_cancer().data,
        "one-hot": np.eye(200)[rng.integers(0, 200, 1000)],
        "one-hot and age": np.c_[
            np.eye(128)[rng.integers(0, 128, 999)], rng.integers(18, 90, 999)
        ],
        "impulses": sparse,
        "a constant column": np.c_[np.full(200, 2024.0), rng.normal(size=(200, 9))],
        "ink on paper": np.where(
            rng.random((60, 64)) < 0.2, 0, rng.integers(252, 256, (60, 64))
        ).astype(np.uint8),
        "white paper": np.where(
            rng.random((60, 64)) < 0.3, rng.integers(0, 4, (60, 64)), 255
        ).astype(np.uint8),
        "signals with a padded end": np.pad(20 + rng.normal(size=(200, 40)), ((0, 0), (0, 20))),
        "few counts": rng.poisson(0.001, (500, 64)),
        "spectra": np.abs(np.fft.rfft(50 + rng.normal(size=(200, 256)).cumsum(1))),
        **{f"lognormal {s}": rng.lognormal(0, s, (500, 64)) for s in (1, 2, 3)},
        **{f"counts {rate}": rng.poisson(rate, (500, 64)) for rate in (0.01, 0.1)},
        **{f"zipf {a}": rng.zipf(a, (500, 64)).astype(float).clip(None, 1e9) for a in (2, 3)},
        "one row": rng.lognormal(0, 3, (1, 64)),
    }
    assert {name: text for name, X in honest.items() if (text := told(X))} == {}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for n in 20, 100, 1000:
            honest |= {f"t {df} {n} {seed}": rng.standard_t(df, (n, 64)) for df in (2, 3)}
            honest |= {f"lognormal {s} {n} {seed}": rng.lognormal(0, s, (n, 64)) for s in (1, 3)}
            loud = rng.lognormal(0, 2, (n, 1))
            honest[f"loud {n} {seed}"] = loud * rng.normal(size=(n, 64))
    assert [name for name, X in honest.items() if left_out(X)] == []


# Precision --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [ConvAutoencoder, ConvVAE])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_values_below_single_precision(cls, dtype, images):
    make = partial(cls, **SMALL)
    X = (images * 1e-42).astype(dtype)
    with pytest.raises(ValueError, match="single precision cannot hold"):
        make().fit(X)
    ae = make().fit(images)
    assert np.isfinite(ae.transform(np.concatenate([X, images]))).all()
    small = make().fit((images * 1e-34).astype(dtype))
    assert 0 < np.ptp(small.reconstruct((images * 1e-34).astype(dtype))) < 1e-31


def test_an_offset_of_a_billion_keeps_the_signal(images):
    X = images / 64
    for cls in ESTIMATORS:
        near, far = (cls(**SMALL).fit(x).reconstruct(x) - x for x in (X, X + 1e9))
        np.testing.assert_allclose(far.std(), near.std(), rtol=0.02)
    ae = cls(**SMALL).fit(X + 1e9)
    Z = ae.transform(X + 1e9)
    assert ae.inverse_transform(Z).dtype == np.float64
    with pytest.raises(ValueError, match="would round what varies; pass float64"):
        ae.inverse_transform(Z, out=np.zeros((len(X), 64), np.float32))
    out = np.zeros((len(X), 64))
    ae.inverse_transform(Z, out=out)
    np.testing.assert_array_equal(out.reshape(X.shape), ae.inverse_transform(Z))
    assert cls(**SMALL).fit(X).inverse_transform(Z).dtype == np.float32


# One row of a batch -----------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "batch_size"), [(1, 16), (5, 1), (5, 4)])
@pytest.mark.parametrize("cls", [ConvAutoencoder, ConditionalConvVAE])
def test_trimming_leaves_at_least_one_row(cls, n, batch_size, images):
    X = images[:5]
    ae = cls(**SMALL, trim_fraction=0.45, batch_size=batch_size).set_params(max_epochs=6)
    assert np.isfinite(ae.fit(X[:n]).score_samples(X)).all()
    assert np.isfinite(ae.loss_curve_).all()
    for chunk in X[:n], X[:1], X[1:2]:
        ae.partial_fit(chunk)
    assert np.isfinite(ae.score_samples(X)).all()


# Noise beyond the unit interval -----------------------------------------------------------------


def test_noise_beyond_the_unit_interval_is_not_clipped(images):
    X = images / 254
    noisy = X + np.random.default_rng(0).normal(0, 0.3, X.shape)
    dae = DenoisingConvAutoencoder(**SMALL, loss="binary_crossentropy").fit(noisy, target=X)
    assert not np.allclose(dae.transform(noisy), dae.transform(noisy.clip(0, 1)), atol=1e-4)
