"""Tests of `skcae.plots`."""

import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib import colors
from matplotlib import pyplot as plt
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.manifold import TSNE
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

from skcae import ConditionalConvVAE, ConvAutoencoder, ConvVAE, DenoisingConvAutoencoder
from skcae.plots import (
    AnomalyMapDisplay,
    LatentDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    SampleGridDisplay,
    ScoreDisplay,
    TrainingDisplay,
)
from skcae.plots._panels import GAP

SMALL = {"n_components": 4, "hidden_channels": (4,), "max_epochs": 2, "random_state": 0}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def X(digits):
    return digits[0][:60]


@pytest.fixture(scope="module")
def y(digits):
    return digits[1][:60]


@pytest.fixture(scope="module")
def ae(X):
    return ConvAutoencoder(**SMALL).fit(X)


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(0)


def drawn(ax):
    """The image that a panel shows, as it was given."""
    (image,) = ax.images
    return np.asarray(image.get_array())


def row_labels(display):
    return [ax.get_ylabel() for ax in display.axes_[:, 0]]


def legend_texts(legend):
    return [text.get_text() for text in legend.get_texts()]


# Reconstructions --------------------------------------------------------------------------------


def test_images_are_drawn_as_they_are(ae, X):
    display = ReconstructionDisplay.from_estimator(ae, X, n_images=5)
    X_hat = ae.reconstruct(X)
    assert display.axes_.shape == (2, 5)
    assert row_labels(display) == ["original", "reconstruction"]
    for j in range(5):
        np.testing.assert_array_equal(drawn(display.axes_[0, j]), X[j])
        np.testing.assert_array_equal(drawn(display.axes_[1, j]), X_hat[j])
    np.testing.assert_array_equal(display.samples, X[:5])
    assert display.clean is None
    assert display.figure_ is display.ax_.figure


def test_all_panels_have_the_range_of_the_originals(ae, X):
    display = ReconstructionDisplay.from_estimator(ae, X * 3, n_images=5)
    limits = {ax.images[0].get_clim() for ax in display.axes_.ravel()}
    assert limits == {(X[:5].min() * 3, X[:5].max() * 3)}


def test_value_range_and_im_kw(ae, X):
    display = ReconstructionDisplay.from_estimator(
        ae, X, n_images=2, value_range=(-1, 2), im_kw={"cmap": "viridis"}
    )
    assert {ax.images[0].get_clim() for ax in display.axes_.ravel()} == {(-1, 2)}
    assert display.axes_[1, 1].images[0].get_cmap().name == "viridis"


def test_rows_of_values_are_folded(X):
    rows = X.reshape(len(X), 64)
    ae = ConvAutoencoder(**SMALL, input_shape=(8, 8)).fit(rows)
    display = ReconstructionDisplay.from_estimator(ae, rows, n_images=3)
    np.testing.assert_array_equal(drawn(display.axes_[0, 2]), X[2])
    np.testing.assert_array_equal(
        drawn(display.axes_[1, 2]), ae.reconstruct(rows)[2].reshape(8, 8)
    )


@pytest.mark.parametrize("container", ["pandas", "polars", "list"])
def test_containers(X, container):
    rows = X.reshape(len(X), 64)
    if container == "list":
        data = rows.tolist()
    else:
        frames = pytest.importorskip(container)
        data = frames.DataFrame({f"pixel{i}": rows[:, i] for i in range(64)})
    ae = ConvAutoencoder(**SMALL, input_shape=(8, 8)).fit(data)
    display = ReconstructionDisplay.from_estimator(ae, data, n_images=2, clean=data)
    np.testing.assert_array_equal(drawn(display.axes_[1, 1]), X[1])


def test_noisy_between_clean_and_denoised(X, rng):
    dae = DenoisingConvAutoencoder(**SMALL).fit(X)
    noisy = X + rng.normal(size=X.shape, scale=0.3)
    display = ReconstructionDisplay.from_estimator(dae, noisy, clean=X, n_images=4)
    assert display.axes_.shape == (3, 4)
    assert row_labels(display) == ["clean", "noisy", "denoised"]
    expected = X, noisy, dae.reconstruct(noisy)
    for i, images in enumerate(expected):
        np.testing.assert_allclose(drawn(display.axes_[i, 3]), images[3], atol=1e-6)
    assert display.axes_[1, 0].images[0].get_clim() == (X[:4].min(), X[:4].max())


def test_no_more_panels_than_samples(ae, X):
    assert ReconstructionDisplay.from_estimator(ae, X[:3]).axes_.shape == (2, 3)
    assert ReconstructionDisplay.from_estimator(ae, X).axes_.shape == (2, 10)


@pytest.mark.parametrize("channel_axis", [-1, 0])
def test_rgb(rng, channel_axis):
    images = rng.integers(256, size=(20, 6, 8, 3)).astype(np.uint8)
    X = images if channel_axis == -1 else np.moveaxis(images, -1, 1)
    ae = ConvAutoencoder(**SMALL, channel_axis=channel_axis).fit(X)
    display = ReconstructionDisplay.from_estimator(ae, X, n_images=3)
    low, high = float(images[:3].min()), float(images[:3].max())
    X_hat = ae.reconstruct(X) if channel_axis == -1 else np.moveaxis(ae.reconstruct(X), 1, -1)
    for i, expected in enumerate((images[1], X_hat[1].clip(low, high))):
        panel = drawn(display.axes_[i, 1])
        assert panel.shape == (6, 8, 3)
        np.testing.assert_allclose(panel, (expected - low) / (high - low), atol=1e-6)


def test_reconstruction_outside_of_the_range_is_clipped():
    X = np.linspace(0, 1, 2 * 4 * 4 * 3).reshape(2, 4, 4, 3)
    display = ReconstructionDisplay.from_predictions(X, 10 * X - 2, channel_axis=-1)
    panel = drawn(display.axes_[1, 1])
    assert (panel.min(), panel.max()) == (1, 1)


def test_constant_images():
    X = np.ones((2, 4, 4, 3))
    display = ReconstructionDisplay.from_predictions(X, X, channel_axis=-1)
    assert drawn(display.axes_[0, 0]).max() == 0
    ReconstructionDisplay.from_predictions(X[..., 0], X[..., 0])
    ReconstructionDisplay.from_predictions(X[:, :, 0, 0], X[:, :, 0, 0])


def test_some_channels_of_many(rng):
    X = rng.normal(size=(4, 6, 6, 5))
    with pytest.raises(ValueError, match=r"have 5 channels, .* pass those to show"):
        ReconstructionDisplay.from_predictions(X, X, channel_axis=-1)
    display = ReconstructionDisplay.from_predictions(X, X, channel_axis=-1, channels=4)
    np.testing.assert_array_equal(drawn(display.axes_[0, 0]), X[0, :, :, 4])
    display.plot(channels=(3, 2, 0), value_range=(-9, 9))
    np.testing.assert_allclose(drawn(display.axes_[1, 2]), (X[2][..., [3, 2, 0]] + 9) / 18)


def test_signals(rng):
    X = rng.normal(size=(20, 30)).astype(np.float32)
    ae = ConvAutoencoder(**SMALL, input_shape=(30,)).fit(X)
    display = ReconstructionDisplay.from_estimator(ae, X, n_images=4)
    assert display.axes_.shape == (2, 4)
    (line,) = display.axes_[0, 3].lines
    np.testing.assert_array_equal(line.get_ydata(), X[3])
    behind, line = display.axes_[1, 3].lines
    np.testing.assert_array_equal(behind.get_ydata(), X[3])
    np.testing.assert_array_equal(line.get_ydata(), ae.reconstruct(X[:4])[3])
    assert len({ax.get_ylim() for ax in display.axes_.ravel()}) == 1
    assert all(ax.get_ylim()[1] > X[:4].max() for ax in display.axes_.ravel())


def test_signals_of_several_channels(rng):
    X = rng.normal(size=(5, 2, 30))
    display = ReconstructionDisplay.from_predictions(
        X, 0.5 * X, channel_axis=0, value_range=(-3, 3), line_kw={"lw": 2.5}
    )
    first, second = display.axes_[0, 3].lines
    np.testing.assert_array_equal(second.get_ydata(), X[3, 1])
    assert first.get_color() != second.get_color()
    assert first.get_linewidth() == 2.5
    # The grey lines behind do not use up the colours.
    assert [line.get_color() for line in display.axes_[1, 3].lines[2:]] == [
        first.get_color(),
        second.get_color(),
    ]
    assert display.axes_[0, 0].get_ylim() == (-3, 3)


def test_ticks_are_labelled_at_the_left_and_the_bottom(rng):
    X = rng.normal(size=(3, 30))
    display = ReconstructionDisplay.from_predictions(X, X)
    display.figure_.canvas.draw()

    def labelled(ax, axis):
        return any(tick.label1.get_visible() for tick in getattr(ax, axis).get_major_ticks())

    assert [labelled(ax, "xaxis") for ax in display.axes_[:, 0]] == [False, True]
    assert [labelled(ax, "yaxis") for ax in display.axes_[0]] == [True, False, False]


@pytest.mark.parametrize("channel_axis", [None, -1])
def test_central_slice_of_volumes(rng, channel_axis):
    X = rng.normal(size=(6, 5, 6, 8))
    data = X if channel_axis is None else X[..., np.newaxis]
    ae = ConvAutoencoder(**SMALL, channel_axis=channel_axis).fit(data)
    display = ReconstructionDisplay.from_estimator(ae, data, n_images=2)
    np.testing.assert_array_equal(drawn(display.axes_[0, 1]), X[1, 2])
    assert drawn(display.axes_[1, 1]).shape == (6, 8)


def test_pipeline(X):
    rows = 16 * X.reshape(len(X), 64)
    pipeline = make_pipeline(MinMaxScaler(), ConvAutoencoder(**SMALL, input_shape=(8, 8)))
    pipeline.fit(rows)
    display = ReconstructionDisplay.from_estimator(pipeline, rows, n_images=3)
    np.testing.assert_array_equal(drawn(display.axes_[0, 2]), 16 * X[2])
    expected = pipeline.inverse_transform(pipeline.transform(rows))[2].reshape(8, 8)
    np.testing.assert_allclose(drawn(display.axes_[1, 2]), expected, rtol=1e-6)


def test_pipeline_of_images(X):
    def double(images):
        return 2 * images

    def halve(images):
        return images / 2

    pipeline = make_pipeline(
        FunctionTransformer(double, inverse_func=halve, check_inverse=False),
        ConvAutoencoder(**SMALL),
    ).fit(X)
    display = ReconstructionDisplay.from_estimator(pipeline, X, n_images=3)
    np.testing.assert_allclose(
        drawn(display.axes_[1, 2]), pipeline[-1].reconstruct(2 * X)[2] / 2, rtol=1e-5
    )


def test_search(X):
    rows = X.reshape(len(X), 64)
    pipeline = make_pipeline(MinMaxScaler(), ConvAutoencoder(**SMALL, input_shape=(8, 8)))
    search = GridSearchCV(pipeline, {"convautoencoder__n_components": [2]}, cv=2).fit(rows)
    display = ReconstructionDisplay.from_estimator(search, rows, n_images=3)
    assert drawn(display.axes_[1, 2]).shape == (8, 8)
    assert len(LossCurveDisplay.from_estimator(search).lines_[0].get_xdata()) == 2
    assert LatentDisplay.from_estimator(search, rows).points.shape == (60, 2)


def test_any_method_can_be_drawn(X):
    rows = X.reshape(len(X), 64)
    pca = PCA(4).fit(rows)
    X_hat = pca.inverse_transform(pca.transform(rows))
    display = ReconstructionDisplay.from_predictions(rows, X_hat, input_shape=(8, 8))
    np.testing.assert_allclose(drawn(display.axes_[1, 0]), X_hat[0].reshape(8, 8))


def test_panels_divide_given_axes(ae, X):
    figure, (left, right) = plt.subplots(1, 2)
    display = ReconstructionDisplay.from_estimator(ae, X, n_images=3, ax=right)
    assert display.ax_ is right
    assert display.figure_ is figure
    assert right.child_axes == list(display.axes_.ravel())
    assert left.axison
    assert not right.axison


@pytest.mark.parametrize("n_images", [1, 3, 12])
@pytest.mark.parametrize("shape", [(8, 8), (5, 20), (20, 5), (40,)])
def test_nothing_is_cut_off(rng, shape, n_images):
    X = rng.normal(size=(n_images, *shape))
    display = ReconstructionDisplay.from_predictions(X, X, n_images=n_images)
    display.figure_.canvas.draw()
    page, inside = display.figure_.bbox, display.figure_.get_tightbbox()
    assert inside.x0 >= 0
    assert inside.y0 >= 0
    assert inside.x1 <= page.width / display.figure_.dpi
    assert inside.y1 <= page.height / display.figure_.dpi
    widths = {round(ax.get_window_extent().width, 3) for ax in display.axes_.ravel()}
    assert len(widths) == 1


def test_images_fill_their_panels(rng):
    X = rng.normal(size=(4, 5, 20))
    display = ReconstructionDisplay.from_predictions(X, X)
    display.figure_.canvas.draw()
    first, second = (ax.get_window_extent() for ax in display.axes_[0, :2])
    below = display.axes_[1, 0].get_window_extent()
    assert first.height / first.width == pytest.approx(5 / 20)
    assert second.x0 - first.x1 == pytest.approx(GAP * first.width)
    assert first.y0 - below.y1 == pytest.approx(GAP * first.height)


def test_errors_of_reconstructions(ae, X):
    with pytest.raises(ValueError, match=r"n_images=0 leaves nothing to draw"):
        ReconstructionDisplay.from_estimator(ae, X, n_images=0)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[60, 5\]"):
        ReconstructionDisplay.from_estimator(ae, X, clean=X[:5])
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[60, 5\]"):
        ReconstructionDisplay.from_predictions(X, X[:5])
    with pytest.raises(ValueError, match=r"X_hat has 63 values a sample, .* shape \(8, 8\)"):
        ReconstructionDisplay.from_predictions(X, X.reshape(60, 64)[:, :63])
    with pytest.raises(ValueError, match=r"channel_axis=2 is out of range .* \(8, 8\)"):
        ReconstructionDisplay.from_predictions(X, X, channel_axis=2)


@pytest.mark.parametrize(
    "display", [ReconstructionDisplay, LossCurveDisplay, AnomalyMapDisplay, ScoreDisplay]
)
def test_errors_of_estimators(display, X):
    data = () if display is LossCurveDisplay else (X,)
    with pytest.raises(NotFittedError):
        display.from_estimator(ConvAutoencoder(), *data)
    with pytest.raises(TypeError, match="PCA is not an autoencoder"):
        display.from_estimator(PCA(2).fit(X.reshape(60, 64)), *data)
    with pytest.raises(TypeError, match="PCA is not an autoencoder"):
        display.from_estimator(make_pipeline(PCA(2)).fit(X.reshape(60, 64)), *data)


# Loss curves ------------------------------------------------------------------------------------


def test_loss_curves(X):
    ae = ConvAutoencoder(**SMALL | {"max_epochs": 4}, early_stopping=True).fit(X)
    display = LossCurveDisplay.from_estimator(ae)
    training, validation = display.lines_
    np.testing.assert_array_equal(training.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(training.get_ydata(), ae.loss_curve_)
    np.testing.assert_array_equal(validation.get_ydata(), ae.validation_loss_curve_)
    assert legend_texts(display.ax_.get_legend()) == ["training", "validation"]
    assert display.ax_.get_xlabel() == "Epoch"
    assert display.ax_.get_ylabel() == "Loss (squared error)"
    assert display.ax_.get_yscale() == "linear"
    assert display.figure_ is display.ax_.figure


def test_training_curve_alone(ae):
    display = LossCurveDisplay.from_estimator(ae, log_scale=True)
    assert len(display.lines_) == 1
    assert legend_texts(display.ax_.get_legend()) == ["training"]
    assert display.ax_.get_yscale() == "log"


def test_epochs_are_whole_numbers(ae):
    display = LossCurveDisplay.from_estimator(ae)
    ticks = display.ax_.get_xticks()
    np.testing.assert_array_equal(ticks, np.round(ticks))


def test_validation_of_some_epochs_stands_at_those_epochs(X):
    ae = ConvAutoencoder(**SMALL, warm_start=True).fit(X)
    ae.set_params(early_stopping=True).fit(X)
    _, validation = LossCurveDisplay.from_estimator(ae).lines_
    expected = [np.nan, np.nan, *ae.validation_loss_curve_]
    np.testing.assert_array_equal(validation.get_ydata(), expected)


def test_estimators_share_axes(ae):
    _, ax = plt.subplots()
    LossCurveDisplay.from_estimator(ae, ax=ax, name="first")
    display = LossCurveDisplay.from_estimator(
        ae, ax=ax, name="second", line_kw={"c": "red", "ls": ":"}
    )
    assert display.ax_ is ax
    assert legend_texts(ax.get_legend()) == ["first, training", "second, training"]
    assert display.lines_[0].get_color() == "red"
    assert display.lines_[0].get_linestyle() == ":"


def test_curves_from_arrays():
    display = LossCurveDisplay([3.0, 2.0], [3.5, 2.5]).plot()
    np.testing.assert_array_equal(display.lines_[1].get_ydata(), [3.5, 2.5])
    assert display.ax_.get_ylabel() == "Loss"
    assert len(LossCurveDisplay([3.0, 2.0], []).plot().lines_) == 1


def test_loss_of_the_user_has_no_name(X):
    def cubed(output, target):
        return (output - target).abs() ** 3

    ae = ConvAutoencoder(**SMALL, loss=cubed).fit(X)
    assert LossCurveDisplay.from_estimator(ae).ax_.get_ylabel() == "Loss"


# Codes ------------------------------------------------------------------------------------------


def test_two_components_are_drawn_as_they_are(X, y):
    ae = ConvAutoencoder(**SMALL | {"n_components": 2}).fit(X)
    display = LatentDisplay.from_estimator(ae, X, y)
    np.testing.assert_array_equal(display.scatter_.get_offsets(), ae.transform(X))
    assert display.ax_.get_xlabel() == "Component 1"
    assert display.ax_.get_ylabel() == "Component 2"
    assert display.figure_ is display.ax_.figure


def test_classes_have_colours_and_entries(ae, X, y):
    display = LatentDisplay.from_estimator(ae, X, y)
    assert legend_texts(display.legend_) == [str(digit) for digit in range(10)]
    entries = [handle.get_color() for handle in display.legend_.legend_handles]
    assert len({colors.to_hex(entry) for entry in entries}) == 10
    for i in range(60):
        expected = colors.to_rgb(entries[y[i]])
        np.testing.assert_allclose(display.scatter_.get_facecolor()[i, :3], expected)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["cat", "dog"])[np.arange(60) % 2],
        pd.Series(["cat", "dog"] * 30),
        ["cat", "dog"] * 30,
    ],
    ids=["array", "series", "list"],
)
def test_labels_of_strings(ae, X, labels):
    assert legend_texts(LatentDisplay.from_estimator(ae, X, labels).legend_) == ["cat", "dog"]


def test_target_names(ae, X):
    labels = np.where(np.arange(60) < 3, -1, 1)
    display = LatentDisplay.from_estimator(ae, X, labels, target_names=["outlier", "inlier"])
    assert legend_texts(display.legend_) == ["outlier", "inlier"]
    with pytest.raises(ValueError, match="target_names has 1 names, but y has 2 classes"):
        LatentDisplay.from_estimator(ae, X, labels, target_names=["outlier"])


def test_without_classes(ae, X):
    display = LatentDisplay.from_estimator(ae, X)
    assert display.legend_ is None
    assert display.colorbar_ is None
    assert len(display.scatter_.get_facecolor()) == 1


def test_values_have_a_colour_bar(ae, X):
    scores = ae.score_samples(X)
    display = LatentDisplay.from_estimator(ae, X, scores, scatter_kw={"cmap": "magma"})
    np.testing.assert_array_equal(display.scatter_.get_array(), scores)
    assert display.legend_ is None
    assert display.colorbar_.cmap.name == "magma"


def test_many_classes_have_different_colours(rng):
    display = LatentDisplay.from_codes(rng.normal(size=(100, 3)), np.arange(100) % 25)
    assert len(np.unique(display.scatter_.get_facecolor(), axis=0)) == 25
    assert len(legend_texts(display.legend_)) == 25


def test_colours_can_be_chosen(ae, X, y):
    display = LatentDisplay.from_estimator(ae, X, y, scatter_kw={"cmap": "Set3", "s": 3})
    expected = plt.get_cmap("Set3")(int(y[0]))
    np.testing.assert_allclose(display.scatter_.get_facecolor()[0, :3], expected[:3])
    assert display.scatter_.get_sizes().tolist() == [3]


def test_principal_components(ae, X, y):
    Z = ae.transform(X)
    display = LatentDisplay.from_estimator(ae, X, y)
    pca = PCA(2, svd_solver="full").fit(Z)
    np.testing.assert_allclose(display.scatter_.get_offsets(), pca.transform(Z), atol=1e-5)
    share = f"{pca.explained_variance_ratio_[0]:.0%}"
    assert display.ax_.get_xlabel() == f"PC 1 ({share})"


def test_tsne(ae, X, y):
    display = LatentDisplay.from_estimator(ae, X, y, projection="tsne", random_state=0)
    again = LatentDisplay.from_estimator(ae, X, y, projection="tsne", random_state=0)
    np.testing.assert_array_equal(display.points, again.points)
    assert display.points.shape == (60, 2)
    assert display.ax_.get_xlabel() == "t-SNE 1"


def test_tsne_of_few_codes(rng):
    Z = rng.normal(size=(8, 3))
    assert LatentDisplay.from_codes(Z, projection="tsne", random_state=0).points.shape == (8, 2)


def test_projection_by_a_fitted_transformer(ae, X):
    Z = ae.transform(X)
    pca = PCA(3).fit(Z[:30])
    display = LatentDisplay.from_codes(Z, projection=pca)
    np.testing.assert_array_equal(display.points, pca.transform(Z)[:, :2])
    assert display.ax_.get_xlabel() == "PCA 1"


def test_projection_by_a_transformer_that_is_not_fitted(ae, X):
    Z, pca = ae.transform(X), PCA(2)
    display = LatentDisplay.from_codes(Z, projection=pca)
    np.testing.assert_allclose(display.points, PCA(2).fit_transform(Z))
    assert not hasattr(pca, "components_")


def test_projection_that_cannot_be_applied_again_is_fitted_anew(rng):
    Z = rng.normal(size=(30, 3))
    tsne = TSNE(perplexity=5, init="pca", random_state=0).fit(Z[:20])
    display = LatentDisplay.from_codes(Z, projection=tsne)
    assert display.points.shape == (30, 2)
    assert tsne.embedding_.shape == (20, 2)


def test_projection_to_a_data_frame(rng):
    pca = PCA(2).set_output(transform="pandas")
    display = LatentDisplay.from_codes(rng.normal(size=(30, 3)), projection=pca)
    assert isinstance(display.points, np.ndarray)


def test_errors_of_codes(rng):
    Z = rng.normal(size=(30, 3))
    with pytest.raises(ValueError, match=r"Z has shape \(30, 1\), .* n_components of at least 2"):
        LatentDisplay.from_codes(Z[:, :1])
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[30, 5\]"):
        LatentDisplay.from_codes(Z, np.arange(5))
    with pytest.raises(ValueError, match=r"projection='umap' is unknown; choose 'pca', 'tsne'"):
        LatentDisplay.from_codes(Z, projection="umap")
    with pytest.raises(ValueError, match=r"returned shape \(30, 1\)"):
        LatentDisplay.from_codes(Z, projection=PCA(1))


# Channels and columns ---------------------------------------------------------------------------


def test_channels_are_named(rng):
    X = rng.normal(size=(1, 3, 20))
    display = ReconstructionDisplay.from_predictions(
        X, X, channel_axis=0, channel_names=["x", "y", "z"]
    )
    assert legend_texts(display.legend_) == ["x", "y", "z"]
    colour = display.legend_.legend_handles[2].get_color()
    assert display.axes_[0, 0].lines[2].get_color() == colour
    assert legend_texts(display.plot(channels=[2, 0]).legend_) == ["z", "x"]
    numbered = ReconstructionDisplay.from_predictions(X, X, channel_axis=0, channels=[0, 2])
    assert legend_texts(numbered.legend_) == ["channel 0", "channel 2"]


def test_feature_names_name_channels(rng):
    columns = [f"{name}_{i:02d}" for name in ("speed", "gyro2") for i in range(10)]
    X = pd.DataFrame(rng.normal(size=(20, 20)), columns=columns)
    ae = ConvAutoencoder(**SMALL, input_shape=(2, 10), channel_axis=0).fit(X)
    display = ReconstructionDisplay.from_estimator(ae, X)
    assert display.axes_.shape == (2, 4)  # signals are wider than images
    assert legend_texts(display.legend_) == ["speed", "gyro2"]
    unlike = X.set_axis([f"f{i}" for i in range(20)], axis=1)
    ae = ConvAutoencoder(**SMALL, input_shape=(2, 10), channel_axis=0).fit(unlike)
    display = AnomalyMapDisplay.from_estimator(ae, unlike, n_images=1)
    assert legend_texts(display.legend_) == ["channel 0", "channel 1"]


def test_one_line_and_images_have_no_legend(ae, X):
    assert ReconstructionDisplay.from_estimator(ae, X, n_images=2).legend_ is None
    assert ReconstructionDisplay.from_predictions(X[:, 0], X[:, 0]).legend_ is None
    many = np.zeros((2, 11, 8))
    assert ReconstructionDisplay.from_predictions(many, many, channel_axis=0).legend_ is None


# Anomaly maps -----------------------------------------------------------------------------------


def test_maps_lie_over_the_input(ae, X):
    display = AnomalyMapDisplay.from_estimator(ae, X, n_images=3)
    maps = ae.anomaly_map(X[:3])
    assert row_labels(display) == ["input", "reconstruction", "anomaly map\n(error / usual)"]
    for j in range(3):
        np.testing.assert_array_equal(drawn(display.axes_[0, j]), X[j])
        np.testing.assert_array_equal(drawn(display.axes_[1, j]), ae.reconstruct(X)[j])
        below, above = display.axes_[2, j].images
        np.testing.assert_array_equal(below.get_array(), X[j])
        np.testing.assert_array_equal(above.get_array(), maps[j])
        assert above.get_clim() == (0, maps.max())
    transparent, opaque = above.get_cmap()([0.0, 1.0])[:, 3]
    assert transparent == 0
    assert opaque > 0.8
    assert (display.colorbar_.vmin, display.colorbar_.vmax) == (0, maps.max())


def test_options_of_maps(ae, X):
    display = AnomalyMapDisplay.from_estimator(
        ae,
        X[:2],
        standardize=False,
        sigma=0,
        map_range=(0, 9),
        map_kw={"cmap": "viridis"},
        value_range=(-1, 1),
    )
    above = display.axes_[2, 1].images[1]
    np.testing.assert_array_equal(above.get_array(), ae.anomaly_map(X[:2], False, 0)[1])
    assert above.get_clim() == (0, 9)
    assert above.get_cmap().name == "viridis"
    assert display.axes_[0, 0].images[0].get_clim() == (-1, 1)
    assert row_labels(display)[2] == "anomaly map\n(squared error)"


def test_maps_of_colours_are_drawn_over_grey(rng):
    X, maps = rng.uniform(size=(3, 6, 8, 3)), rng.uniform(size=(3, 6, 8, 3))
    display = AnomalyMapDisplay.from_predictions(X, X, maps, channel_axis=-1)
    below, above = display.axes_[2, 1].images
    assert drawn(display.axes_[0, 1]).shape == (6, 8, 3)
    np.testing.assert_allclose(below.get_array(), X[1] @ [0.299, 0.587, 0.114])
    np.testing.assert_allclose(above.get_array(), maps[1].mean(-1))
    assert row_labels(display)[2] == "anomaly map"


def test_maps_of_signals_are_lines_of_time(rng):
    X, maps = rng.normal(size=(5, 2, 30)), rng.uniform(size=(5, 2, 30))
    display = AnomalyMapDisplay.from_predictions(
        X, 0 * X, maps, channel_axis=0, channel_names=["x", "y"]
    )
    assert display.axes_.shape == (3, 4)
    np.testing.assert_array_equal(display.axes_[2, 3].lines[1].get_ydata(), maps[3, 1])
    strip = drawn(display.axes_[0, 3])
    np.testing.assert_array_equal(strip, maps[3].max(0, keepdims=True))
    assert display.colorbar_ is None
    assert legend_texts(display.legend_) == ["x", "y"]


def test_the_slice_of_a_volume_holds_the_largest_value(rng):
    X, maps = rng.normal(size=(2, 5, 6, 7)), np.zeros((2, 5, 6, 7))
    maps[0, 1, 2, 3] = maps[1, 4, 0, 0] = 1
    display = AnomalyMapDisplay.from_predictions(X, X, maps)
    np.testing.assert_array_equal(drawn(display.axes_[0, 0]), X[0, 1])
    np.testing.assert_array_equal(drawn(display.axes_[1, 1]), X[1, 4])
    assert display.axes_[2, 1].images[1].get_array()[0, 0] == 1


def test_maps_in_a_pipeline(X):
    rows = 16 * X.reshape(len(X), 64)
    pipeline = make_pipeline(MinMaxScaler(), ConvAutoencoder(**SMALL, input_shape=(8, 8)))
    pipeline.fit(rows)
    display = AnomalyMapDisplay.from_estimator(pipeline, rows, n_images=2)
    np.testing.assert_array_equal(drawn(display.axes_[0, 1]), 16 * X[1])
    expected = pipeline[-1].anomaly_map(pipeline[0].transform(rows[:2]))[1].reshape(8, 8)
    np.testing.assert_allclose(display.axes_[2, 1].images[1].get_array(), expected, rtol=1e-6)


def test_all_normal_values_draw(ae, X):
    display = AnomalyMapDisplay.from_predictions(X[:2], X[:2], 0 * X[:2])
    assert display.axes_[2, 0].images[1].get_clim() == (0, 1)


# Scores -----------------------------------------------------------------------------------------


def test_scores_beside_those_expected(ae, X, y):
    odd = y % 2 == 1
    display = ScoreDisplay.from_estimator(ae, X, odd, target_names=["even", "odd"])
    scores = ae.score_samples(X)
    even, of_odd = (np.mean(scores[part] < ae.offset_) for part in (~odd, odd))
    assert display.threshold_line_.get_xdata() == [ae.offset_, ae.offset_]
    texts = legend_texts(display.legend_)
    assert texts[0].startswith("normal, expected: ")
    assert texts[1:] == [
        f"even: {percent(even)} alarms",
        f"odd: {percent(of_odd)} alarms",
        "threshold",
    ]
    for histogram in display.histograms_:
        assert histogram.get_data().values.sum() == pytest.approx(1)
    assert display.rate_axis_.get_xlabel() == "Share of normal samples below"


def percent(share):
    return f"{100 * share:.{1 if 0 < share < 0.0995 else 0}f} %"


def test_the_upper_axis_has_rates_of_false_alarms(X):
    calibrated = ConvAutoencoder(**SMALL, calibration=0.5).fit(X)
    display = ScoreDisplay.from_estimator(calibrated, X, false_alarm_rate=0.2)
    assert display.threshold_line_.get_xdata()[0] == calibrated.threshold(0.2)
    assert display.rate_axis_.get_xlabel() == "p-value"
    display.figure_.canvas.draw()
    ticks = display.rate_axis_.get_xticks()
    labels = [float(label.get_text()) for label in display.rate_axis_.get_xticklabels()]
    assert labels[0] == 0.5
    np.testing.assert_allclose(ticks, [calibrated.threshold(rate) for rate in labels])
    assert legend_texts(display.legend_)[1].startswith("new: ")


def test_scores_alone():
    display = ScoreDisplay.from_predictions([1.0, 2.0, 3.0])
    assert display.threshold_line_ is None
    assert display.rate_axis_ is None
    assert legend_texts(display.legend_) == ["new"]
    ScoreDisplay.from_predictions([1.0, 1.0])


def test_scores_far_below_are_in_the_first_bin(rng):
    normal = rng.normal(size=500)
    scores = [*normal[:97], -1e6, -np.inf, -1e9]
    display = ScoreDisplay.from_predictions(scores, expected_scores=normal, threshold=-2)
    first = display.histograms_[1].get_data()
    assert first.values[0] == pytest.approx(0.03)
    assert -30 < first.edges[0] < -5
    assert "holds all below" in display.ax_.get_xlabel()


def test_contamination_says_nothing_of_normal_samples(X):
    ae = ConvAutoencoder(**SMALL, contamination=0.1).fit(X)
    display = ScoreDisplay.from_estimator(ae, X)
    assert legend_texts(display.legend_) == ["new: 10 % alarms", "threshold"]
    assert display.rate_axis_ is None


def test_scores_of_a_pipeline(X):
    rows = X.reshape(len(X), 64)
    pipeline = make_pipeline(MinMaxScaler(), ConvAutoencoder(**SMALL, input_shape=(8, 8)))
    display = ScoreDisplay.from_estimator(pipeline.fit(rows), rows)
    np.testing.assert_array_equal(display.scores, pipeline.score_samples(rows))


@pytest.mark.parametrize("scores", [[], [1.0, np.nan], [-np.inf, -np.inf]])
def test_errors_of_scores(scores):
    with pytest.raises(ValueError, match="pass what score_samples returns"):
        ScoreDisplay.from_predictions(scores)
    with pytest.raises(ValueError, match="bins=0 leaves nothing to draw"):
        ScoreDisplay.from_predictions([1.0], bins=0)


# Samples ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vae(X):
    return ConvVAE(**SMALL).fit(X)


@pytest.fixture(scope="module")
def cvae(X, y):
    return ConditionalConvVAE(**SMALL).fit(X, y % 4)


def columns(display):
    return [ax.get_title() for ax in display.axes_[0]]


def test_samples(vae):
    display = SampleGridDisplay.from_estimator(vae, n_rows=2, n_columns=3, random_state=0)
    samples = vae.sample(6, random_state=0)
    assert display.axes_.shape == (2, 3)
    np.testing.assert_array_equal(drawn(display.axes_[1, 2]), samples[5])
    limits = {ax.images[0].get_clim() for ax in display.axes_.ravel()}
    assert limits == {(samples.min(), samples.max())}


def test_a_column_for_each_label(cvae, X):
    display = SampleGridDisplay.from_estimator(cvae, n_rows=2, random_state=0)
    assert columns(display) == ["0", "1", "2", "3"]
    chosen = SampleGridDisplay.from_estimator(cvae, y=[0, 3], n_rows=2, random_state=0)
    assert columns(chosen) == ["0", "3"]
    # A row has one style, whatever the label.
    np.testing.assert_array_equal(chosen.samples[:, 1], display.samples[:, 3])
    styles = SampleGridDisplay.from_estimator(cvae, X[:3], y=[1, 2])
    np.testing.assert_array_equal(styles.samples[:, 1], cvae.reconstruct(X[:3], y=2))


def test_traversals(vae, X):
    display = SampleGridDisplay.from_traversal(vae, X[:1], n_steps=5, components=[3, 1])
    assert row_labels(display) == ["convvae3", "convvae1"]
    assert columns(display) == ["\N{MINUS SIGN}2", "\N{MINUS SIGN}1", "0", "+1", "+2"]
    expected = vae.traverse(X[:1], n_steps=5)
    np.testing.assert_array_equal(drawn(display.axes_[0, 4]), expected[3, 4])
    assert len(SampleGridDisplay.from_traversal(vae, n_steps=2).axes_) == max(
        1, vae.active_units_.sum() or 4
    )


def test_interpolations(vae, X):
    display = SampleGridDisplay.from_interpolation(vae, X[:2], X[2:4], n_steps=3)
    assert columns(display) == ["0%", "50%", "100%"]
    np.testing.assert_array_equal(display.samples, vae.interpolate(X[:2], X[2:4], n_steps=3))


def test_samples_of_signals_and_of_a_pipeline(rng):
    X = 100 + 5 * rng.normal(size=(30, 24))
    vae = ConvVAE(**SMALL, input_shape=(2, 12), channel_axis=0)
    pipeline = make_pipeline(MinMaxScaler(), vae).fit(X)
    display = SampleGridDisplay.from_estimator(
        pipeline, n_rows=2, n_columns=3, random_state=0, channel_names=["a", "b"]
    )
    expected = pipeline[0].inverse_transform(pipeline[1].sample(6, random_state=0))
    np.testing.assert_allclose(
        display.axes_[0, 1].lines[1].get_ydata(), expected[1].reshape(2, 12)[1]
    )
    assert legend_texts(display.legend_) == ["a", "b"]
    traversed = SampleGridDisplay.from_traversal(pipeline, X[:1], components=0).samples
    ends = SampleGridDisplay.from_interpolation(pipeline, X[:1], X[1:2], n_steps=2).samples
    assert traversed.shape == (1, 8, 2, 12)
    expected = pipeline.inverse_transform(pipeline.transform(X[:2])).reshape(2, 2, 12)
    np.testing.assert_allclose(ends[0], expected, rtol=1e-5)


def test_errors_of_samples(ae, vae, X):
    with pytest.raises(TypeError, match="ConvAutoencoder draws no samples; pass a fitted ConvVAE"):
        SampleGridDisplay.from_estimator(ae)
    with pytest.raises(TypeError, match="ConvVAE knows no labels"):
        SampleGridDisplay.from_estimator(vae, y=[1, 2])
    with pytest.raises(ValueError, match=r"components=\[4\] are not all of the 4 of the code"):
        SampleGridDisplay.from_traversal(vae, components=4)
    with pytest.raises(ValueError, match="column_names has 1 names for 2"):
        SampleGridDisplay(X[np.newaxis, :2], column_names=["a"]).plot()
    with pytest.raises(ValueError, match="channel_names has 1 names, but channel 1 is drawn"):
        SampleGridDisplay(X[np.newaxis, :1, :2], channel_axis=0, channel_names=["a"]).plot()
    with pytest.raises(NotFittedError):
        SampleGridDisplay.from_traversal(ConvVAE())


# Training ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(X, y):
    ae = ConvAutoencoder(**SMALL, net_params={"module__linear_path": False}, calibration=2)
    return TrainingDisplay.from_estimator(ae, X, y, X_test=X[:20], y_test=y[:20], n_images=3)


def test_every_epoch_is_recorded(trained, X):
    ae = trained.estimator_
    assert trained.codes.shape == (3, 20, 4)
    assert trained.reconstructions.shape == (3, 3, 8, 8)
    np.testing.assert_array_equal(trained.codes[-1], ae.transform(X[:20]))
    np.testing.assert_array_equal(trained.reconstructions[-1], ae.reconstruct(X[:3]))
    assert not np.allclose(trained.codes[0], trained.codes[1])
    # To record changes nothing, and leaves nothing behind.
    plain = ConvAutoencoder(**ae.get_params(deep=False)).fit(X)
    np.testing.assert_array_equal(plain.transform(X), ae.transform(X))
    assert ae.net_params == {"module__linear_path": False}
    assert ae.net_.callbacks is None


def test_reconstructions_of_epochs(trained, X):
    display = trained.plot()
    assert row_labels(display) == ["original", "before training", "epoch 1", "epoch 2"]
    np.testing.assert_array_equal(drawn(display.axes_[0, 1]), X[1])
    np.testing.assert_array_equal(drawn(display.axes_[3, 1]), trained.reconstructions[2, 1])
    assert row_labels(display.plot(epochs=[2])) == ["original", "epoch 2"]


def test_codes_before_and_after_training(trained, y):
    display = trained.plot(kind="codes")
    assert columns(display) == ["before training", "epoch 2"]
    pca = PCA(2, svd_solver="full").fit(trained.codes[2])
    before, after = (ax.collections[0].get_offsets() for ax in display.axes_[0])
    np.testing.assert_allclose(before, pca.transform(trained.codes[0]), atol=1e-5)
    np.testing.assert_allclose(after, pca.transform(trained.codes[2]), atol=1e-5)
    assert legend_texts(display.legend_) == [str(digit) for digit in np.unique(y[:20])]
    assert display.axes_[0, 0].get_legend() is None


@pytest.mark.parametrize("kind", ["reconstructions", "codes"])
def test_animation(trained, kind, tmp_path):
    Image = pytest.importorskip("PIL.Image")
    trained.animate(kind=kind).save(tmp_path / "epochs.gif", writer="pillow")
    with Image.open(tmp_path / "epochs.gif") as image:
        assert image.n_frames == 3  # and the last stays for longer


def test_training_of_a_pipeline(X, y):
    rows = 16 * X.reshape(len(X), 64)
    cvae = ConditionalConvVAE(**SMALL | {"n_components": 2}, input_shape=(8, 8))
    display = TrainingDisplay.from_estimator(
        make_pipeline(MinMaxScaler(), cvae), rows, y % 2, n_images=2, epochs=[0, 1]
    )
    np.testing.assert_array_equal(drawn(display.axes_[0, 1]), 16 * X[1])
    pipeline = display.estimator_
    expected = pipeline[0].inverse_transform(pipeline[1].reconstruct(pipeline[0].transform(rows)))
    np.testing.assert_allclose(display.reconstructions[-1, 1].ravel(), expected[1], rtol=1e-5)
    np.testing.assert_array_equal(display.codes[-1], pipeline.transform(rows))
    assert list(pipeline[-1].classes_) == [0, 1]


def test_errors_of_training(trained, X):
    with pytest.raises(ValueError, match="kind='loss' is unknown"):
        trained.plot(kind="loss")
    with pytest.raises(ValueError, match=r"epochs has 3, but the training has epochs 0, .* to 2"):
        trained.plot(epochs=[3])
    with pytest.raises(TypeError, match="PCA is not an autoencoder"):
        TrainingDisplay.from_estimator(PCA(2), X)
    ae = ConvAutoencoder(**SMALL)
    with pytest.raises(ValueError, match="samples of shape"):
        TrainingDisplay.from_estimator(ae, X, X_test=X[:, 1:])


# All of them ------------------------------------------------------------------------------------


def test_figures_can_be_saved(ae, X, y, tmp_path):
    for i, display in enumerate(
        (
            ReconstructionDisplay.from_estimator(ae, X, n_images=2),
            LossCurveDisplay.from_estimator(ae),
            LatentDisplay.from_estimator(ae, X, y),
            AnomalyMapDisplay.from_estimator(ae, X[:2]),
            ScoreDisplay.from_estimator(ae, X),
        )
    ):
        display.figure_.savefig(tmp_path / f"{i}.pdf")
        assert (tmp_path / f"{i}.pdf").stat().st_size > 1000


def test_plotting_again_returns_the_display(ae, X, y):
    for display in (
        ReconstructionDisplay.from_estimator(ae, X, n_images=2),
        LossCurveDisplay.from_estimator(ae),
        LatentDisplay.from_estimator(ae, X, y),
        AnomalyMapDisplay.from_estimator(ae, X[:2]),
        ScoreDisplay.from_estimator(ae, X),
        SampleGridDisplay(X[np.newaxis, :2]).plot(),
    ):
        first = display.ax_
        assert display.plot() is display
        assert display.ax_ is not first


def test_missing_matplotlib(ae, X, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for call in (
        lambda: ReconstructionDisplay.from_estimator(ae, X),
        lambda: ReconstructionDisplay(X, X).plot(),
        lambda: LossCurveDisplay.from_estimator(ae),
        lambda: LossCurveDisplay([1.0]).plot(),
        lambda: LatentDisplay.from_estimator(ae, X),
        lambda: LatentDisplay(X[:, 0, :2]).plot(),
        lambda: AnomalyMapDisplay.from_estimator(ae, X),
        lambda: AnomalyMapDisplay(X, X, X).plot(),
        lambda: ScoreDisplay.from_estimator(ae, X),
        lambda: ScoreDisplay.from_predictions([1.0]),
        lambda: SampleGridDisplay.from_estimator(ae),
        lambda: SampleGridDisplay(X[np.newaxis]).plot(),
        lambda: TrainingDisplay.from_estimator(ae, X),
        lambda: TrainingDisplay(X, X[np.newaxis], X[np.newaxis, :, 0]).animate(),
    ):
        with pytest.raises(ImportError, match="requires matplotlib"):
            call()


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize(
    ("width", "size", "names", "n_columns"),
    [
        (3.4, 10, ["normal", "zero"], 1),
        (4.6, 10, ["normal machine", "broken bearing"], 1),
        (5.5, 10, ["normal", "zero"], 2),
        (5.5, 14, ["normal", "zero"], 1),
        (8, 10, ["normal machine", "broken bearing"], 2),
    ],
)
def test_a_legend_of_scores_fits_the_width_of_its_figure(width, size, names, n_columns, within):
    rng = np.random.default_rng(0)
    with plt.rc_context({"font.size": size}):
        figure = plt.figure(figsize=(2 * width if within else width, 4.2), layout="constrained")
        host = figure.subfigures(1, 2)[0] if within else figure
        display = ScoreDisplay.from_predictions(
            rng.normal(size=100), np.repeat([0, 1], 50), expected_scores=rng.normal(size=100),
            threshold=-2.0, target_names=names, ax=host.subplots(),
        )  # fmt: skip
        figure.canvas.draw()
        legend = display.legend_.get_window_extent()
    assert display.legend_._ncols == n_columns
    assert legend.x0 >= host.bbox.x0
    assert legend.x1 <= host.bbox.x1


def test_legends_of_scores_side_by_side(ae, X):
    figure, axes = plt.subplots(1, 3, figsize=(12, 3))
    for ax in axes:
        display = ScoreDisplay.from_estimator(ae, X, np.arange(len(X)) % 2, ax=ax)
    figure.canvas.draw()
    ends = [ax.get_legend().get_window_extent() for ax in axes]
    assert ends[0].x1 < ends[1].x0 < ends[1].x1 < ends[2].x0
    assert display.legend_._ncols == 1
