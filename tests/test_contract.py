"""What a scikit-learn user relies on, told once for all estimators."""

import copy
import io
import pickle
import subprocess
import sys
import textwrap
import threading
import tomllib
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import skcae
from skcae import ConditionalConvVAE, ConvAutoencoder, DenoisingConvAutoencoder
from skcae._thresholds import expected_threshold


@pytest.fixture
def X(digits):
    return digits[0][:80].reshape(80, 64)


@pytest.fixture
def many(digits):
    """Enough rows to learn something in two epochs, and their labels."""
    return digits[0][:200].reshape(200, 64), digits[1][:200]


def test_story_of_an_estimator(make, X):
    ae = make(contamination="auto")
    assert ae.fit(X) is ae
    Z = ae.transform(X)
    assert Z.shape == (80, 4)
    assert Z.dtype == np.float32
    X_hat = ae.inverse_transform(Z)
    assert X_hat.shape == X.shape
    assert X_hat.dtype == np.float32
    if make.cls is not ConditionalConvVAE:  # its codes do not tell the label
        np.testing.assert_array_equal(X_hat, ae.reconstruct(X))
    scores = ae.score_samples(X)
    assert scores.shape == (80,)
    assert scores.dtype == np.float64
    assert isinstance(ae.score(X), float)
    assert ae.score(X) == pytest.approx(-ae.net_.losses(X).mean())
    np.testing.assert_array_equal(ae.decision_function(X), scores - ae.offset_)
    np.testing.assert_array_equal(ae.predict(X), np.where(scores < ae.offset_, -1, 1))
    assert ae.n_iter_ == len(ae.loss_curve_) == len(ae.history_) == 2
    assert list(ae.history_.columns) == ["train_loss", "duration"]
    assert ae.validation_loss_curve_ == []
    assert ae.input_shape_ == (8, 8)
    assert ae.n_features_in_ == 64
    assert ae.device_ == "cpu" or ae.device_.startswith("cuda")
    names = ae.get_feature_names_out()
    assert list(names) == [f"{type(ae).__name__.lower()}{i}" for i in range(4)]


def test_score_is_minus_the_loss_of_the_reconstruction(make_with_loss, X):
    ae = make_with_loss().fit(X)
    expected = -((ae.reconstruct(X) - X) ** 2).mean(1)
    np.testing.assert_allclose(ae.score_samples(X), expected, rtol=1e-4)


def test_images_and_rows_are_the_same_data(make, fitted, X):
    rows, images = fitted, make(input_shape=None).fit(X.reshape(-1, 8, 8))
    np.testing.assert_array_equal(rows.transform(X), images.transform(X))
    np.testing.assert_array_equal(rows.transform(X), rows.transform(X.reshape(-1, 8, 8)))
    assert rows.inverse_transform(rows.transform(X)).shape == (80, 64)
    assert images.inverse_transform(images.transform(X)).shape == (80, 8, 8)
    assert images.reconstruct(X).shape == (80, 64)
    assert rows.reconstruct(X.reshape(-1, 8, 8)).shape == (80, 8, 8)


def test_units_do_not_matter(make_with_loss, X):
    scale = {"noise_level": 0.3 * 255} if make_with_loss.cls is DenoisingConvAutoencoder else {}
    ae, ae_255 = make_with_loss().fit(X), make_with_loss(**scale).fit(255 * X - 40)
    np.testing.assert_allclose(ae_255.transform(255 * X - 40), ae.transform(X), atol=2e-2)
    np.testing.assert_allclose(ae_255.score_samples(255 * X - 40), 255**2 * ae.score_samples(X),
                               rtol=2e-2)  # fmt: skip
    np.testing.assert_allclose(ae_255.reconstruct(255 * X - 40), 255 * ae.reconstruct(X) - 40,
                               atol=2)  # fmt: skip


def test_training_loss_is_in_the_units_of_the_score(X):
    ae = ConvAutoencoder(4, input_shape=(8, 8), hidden_channels=(8, 16), max_epochs=5,
                         random_state=0)  # fmt: skip
    ae.fit(255 * X)
    assert 0.3 < ae.loss_curve_[-1] / -ae.score(255 * X) < 3


def test_every_numeric_type_gives_the_codes_of_its_values(make, X):
    def codes(values):
        # Adam would amplify the last bit of gradients that are zero.
        return make(optimizer="sgd", precision="float32").fit(values).transform(values)

    types = ("u1", "i2", "u2", "i8", "f2", "f4", ">f4", "g")
    for values, dtypes in ((np.round(8 * X[:40]), types), (1.0 * (X[:40] > 0.5), ["bool"])):
        expected = codes(values.astype(np.float64))
        for dtype in dtypes:
            np.testing.assert_allclose(
                codes(values.astype(dtype)), expected, atol=1e-4, err_msg=dtype
            )


def test_unsigned_integers_are_scaled_by_their_range_for_cross_entropy(make_with_loss, X):
    images = np.round(255 * X).astype(np.uint8)
    scale = {"noise_level": 0.3 * 255} if make_with_loss.cls is DenoisingConvAutoencoder else {}
    # Adam would amplify the last bit of gradients that are zero.
    common = {"loss": "binary_crossentropy", "optimizer": "sgd", "precision": "float32"}
    as_uint8 = make_with_loss(**common, **scale).fit(images)
    as_float = make_with_loss(**common).fit(images / 255)
    expected = as_float.score_samples(images / 255)
    np.testing.assert_allclose(as_uint8.score_samples(images), expected, rtol=1e-3)
    np.testing.assert_allclose(
        as_uint8.reconstruct(images), 255 * as_float.reconstruct(images / 255), atol=1
    )


@pytest.mark.parametrize("contamination", [0.1, 0.25])
def test_contamination_is_the_share_of_outliers_in_the_training_data(make, X, contamination):
    ae = make(contamination=contamination)
    assert (ae.fit_predict(X) == -1).sum() == 80 * contamination


def test_automatic_offset_lets_one_in_twenty_pass(make, X):
    ae = make(contamination="auto").fit(X)
    assert len(ae.expected_scores_) == 80
    limit = expected_threshold(ae.expected_scores_, 0.05)
    assert ae.offset_ == pytest.approx(limit, rel=1e-12)  # they are added up in another order
    assert 0.01 < (ae.expected_scores_ > -ae.offset_).mean() < 0.1
    assert ae.threshold() == ae.offset_
    assert ae.threshold(0.2) > ae.offset_ > ae.threshold(0.01)


# Composition ------------------------------------------------------------------------------------


def test_pipeline_first_middle_and_last(make, X, many):
    first = make_pipeline(make(), LogisticRegression(max_iter=1000)).fit(*many)
    assert first.score(*many) > 0.3
    middle = make_pipeline(MinMaxScaler(), make(), StandardScaler()).fit(X)
    assert middle.transform(X).shape == (80, 4)
    assert middle.inverse_transform(middle.transform(X)).shape == X.shape
    last = make_pipeline(MinMaxScaler(), make()).fit(X)
    assert last.score_samples(X).shape == (80,)
    assert set(last.predict(X)) <= {-1, 1}
    assert last.score(X) < 0


def test_grid_search_over_architecture_and_net_parameters_in_two_processes(make, X):
    grid = {
        "hidden_channels": [(4,), (4, 8)],
        "net__optimizer__betas": [(0.9, 0.999), (0.5, 0.9)],
        "net__module__code_activation": ["tanh"],
    }
    search = GridSearchCV(make(), grid, cv=2, n_jobs=2, error_score="raise").fit(X)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert len(np.unique(search.cv_results_["mean_test_score"])) == 4
    best = search.best_estimator_
    assert best.net_.optimizer_.param_groups[0]["betas"] == best.net_params["optimizer__betas"]
    assert np.abs(best.transform(X)).max() <= 1


def test_grid_search_through_a_pipeline(make, X):
    pipe = Pipeline([("scale", StandardScaler()), ("ae", make())])
    grid = {"ae__n_components": [2, 3], "ae__net__optimizer__weight_decay": [0.1]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X)
    assert search.best_estimator_["ae"].n_components_ == search.best_params_["ae__n_components"]
    assert search.best_estimator_["ae"].net_.optimizer_.param_groups[0]["weight_decay"] == 0.1


def test_cross_validate_in_two_processes_equals_one(make, X, digits):
    y = digits[1][:80]
    pipe = make_pipeline(make(), LogisticRegression(max_iter=1000))
    one, two = (cross_validate(pipe, X, y, cv=2, n_jobs=n)["test_score"] for n in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_column_transformer_and_feature_union(make, X):
    frame = pd.DataFrame(np.hstack([X, X[:, :3]]))
    frame.columns = [f"p{i}" for i in range(67)]
    columns = ColumnTransformer(
        [("image", make(), list(frame.columns[:64])), ("rest", "passthrough", ["p65"])]
    )
    assert columns.fit_transform(frame).shape == (80, 5)
    union = FeatureUnion([("ae", make()), ("scale", StandardScaler())], n_jobs=2)
    assert union.fit_transform(X).shape == (80, 68)


def test_memory_caches_the_fit(make, X, tmp_path):
    pipe = make_pipeline(make(), StandardScaler(), memory=str(tmp_path))
    once = pipe.fit(X).transform(X)
    np.testing.assert_array_equal(once, clone(pipe).fit(X).transform(X))
    cached = list(tmp_path.rglob("output.pkl"))
    assert len(cached) == 1


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output(make, X, library):
    module = pytest.importorskip(library)
    ae = make().set_output(transform=library).fit(X)
    frame = ae.transform(X)
    assert isinstance(frame, module.DataFrame)
    assert list(frame.columns) == list(ae.get_feature_names_out())


def test_feature_names(make, X):
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)])
    ae = make().fit(frame)
    assert list(ae.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        ae.transform(frame[frame.columns[::-1]])


def test_metadata_routing_of_weights_and_targets(X):
    weights = np.r_[np.ones(40), np.zeros(40)]
    with sklearn.config_context(enable_metadata_routing=True):
        ae = DenoisingConvAutoencoder(4, input_shape=(8, 8), max_epochs=1, random_state=0)
        ae.set_score_request(sample_weight=True).set_fit_request(target=True)
        pipe = make_pipeline(MinMaxScaler(), ae).fit(X, target=1 - X)
        direct = clone(ae).fit(pipe[0].transform(X), target=1 - X)
        np.testing.assert_array_equal(pipe.transform(X), direct.transform(pipe[0].transform(X)))
        with pytest.warns(UserWarning, match="no target is given"):
            assert pipe.score(X, sample_weight=weights) == pytest.approx(pipe.score(X[:40]))


def test_parameters_of_the_net_are_read_and_set_like_others(make):
    ae = make(net_params={"optimizer__eps": 1e-6})
    assert ae.get_params()["net__optimizer__eps"] == 1e-6
    assert "net__optimizer__eps" not in ae.get_params(deep=False)
    given = ae.net_params
    ae.set_params(net__optimizer__eps=1e-4, n_components=3)
    assert ae.net_params == {"optimizer__eps": 1e-4}
    assert given == {"optimizer__eps": 1e-6}
    assert ae.n_components == 3
    assert clone(ae).get_params() == ae.get_params()


# Copies -----------------------------------------------------------------------------------------


def _dumped_by_joblib(ae, tmp_path, mmap_mode=None):
    path = tmp_path / "ae.joblib"
    joblib.dump(ae, path)
    return joblib.load(path, mmap_mode=mmap_mode)


COPIES = {
    "deepcopy": lambda ae, tmp_path: copy.deepcopy(ae),
    "pickle": lambda ae, tmp_path: pickle.loads(pickle.dumps(ae)),
    "joblib": _dumped_by_joblib,
    "joblib mmap": lambda ae, tmp_path: _dumped_by_joblib(ae, tmp_path, "r"),
}


def test_copies_are_identical_and_train_on_identically(make, X, tmp_path):
    ae = make(contamination="auto", net_params={"callbacks": None}).fit(X)
    copies = {how: duplicate(ae, tmp_path) for how, duplicate in COPIES.items()}
    for how, other in copies.items():
        np.testing.assert_array_equal(other.transform(X), ae.transform(X), err_msg=how)
        assert other.loss_curve_ == ae.loss_curve_, how
    ae.partial_fit(X)
    for how, other in copies.items():
        other.partial_fit(X)
        np.testing.assert_array_equal(other.transform(X), ae.transform(X), err_msg=how)
        np.testing.assert_array_equal(other.score_samples(X), ae.score_samples(X), err_msg=how)
        assert other.offset_ == ae.offset_, how


def test_copies_do_not_share_weights(fitted, X):
    other, before = copy.deepcopy(fitted), fitted.transform(X)
    other.partial_fit(X)
    np.testing.assert_array_equal(fitted.transform(X), before)


def test_parameters_set_after_fit_do_not_break_a_pickle(fitted, X):
    ae = copy.deepcopy(fitted)
    ae.set_params(hidden_channels=(16,), n_components=7)
    other = pickle.loads(pickle.dumps(ae))
    np.testing.assert_array_equal(other.transform(X), ae.transform(X))


def test_pickles_are_lean_and_tell_their_version(make, digits):
    """Weights and two moments of each for the optimizer; no rows of the training data."""
    X = np.tile(digits[0][:, ::2, ::2], (3, 1, 1))  # more rows than are learned from
    ae = make(input_shape=None, hidden_channels=(16, 32), n_components=16, max_epochs=1,
              batch_size=600, contamination="auto").fit(X)  # fmt: skip
    weights = sum(v.numel() * v.element_size() for v in ae.net_.module_.state_dict().values())
    assert len(pickle.dumps(ae)) <= 3.6 * weights + 60_000
    state = ae.__getstate__()
    assert state["_skcae_version"] == skcae.__version__
    del state["kernel_size"]
    with pytest.raises(ValueError, match=rf"pickled by skcae {skcae.__version__}.*fit it anew"):
        make.cls.__new__(make.cls).__setstate__(state)


def test_pickles_of_the_first_version_are_refused(make):
    old = {**make().__getstate__(), "downsampling": "stride"}
    del old["_skcae_version"]
    with pytest.raises(ValueError, match=r"pickled by skcae 0\.1.*fit it anew"):
        make.cls.__new__(make.cls).__setstate__(old)
    fitted = b"cskcae._net\n_rebuild\n."  # what such a pickle of a net begins with
    with pytest.raises(ValueError, match="written by skcae"):
        pickle.loads(fitted)


def test_module_that_no_file_holds_works_in_two_processes(X):
    class Mine(torch.nn.Module):  # as one of a notebook: other processes cannot import it
        def __init__(self, n_components, width=8):
            super().__init__()
            self.down = torch.nn.Linear(64, n_components)
            self.drop = torch.nn.Dropout(0.1)
            self.up = torch.nn.Linear(n_components, 64)

        def encode(self, x):
            return self.drop(self.down(x.flatten(1)))

        def decode(self, z):
            return self.up(z).reshape(-1, 1, 8, 8)

    ae = ConvAutoencoder(module=Mine, input_shape=(8, 8), max_epochs=2, random_state=0)
    search = GridSearchCV(ae, {"n_components": [2, 5]}, cv=2, n_jobs=2, error_score="raise").fit(X)
    assert search.best_estimator_.transform(X).shape == (80, search.best_params_["n_components"])
    assert np.isfinite(search.best_score_)


# Determinism ------------------------------------------------------------------------------------


def test_same_seed_same_bits_and_another_seed_another_fit(make, many):
    X, _ = many
    one, two, other = make().fit(X), make().fit(X), make(random_state=1).fit(X)
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    np.testing.assert_array_equal(one.score_samples(X), two.score_samples(X))
    assert not np.allclose(one.transform(X), other.transform(X))


def test_random_state_instance_moves_on(make, many):
    X, _ = many
    state = np.random.RandomState(0)
    one = make(random_state=state).fit(X).transform(X)
    two = make(random_state=state).fit(X).transform(X)
    assert not np.allclose(one, two)


@pytest.mark.parametrize("random_state", [None, 0])
def test_global_random_states_are_not_touched(make, fitted, X, random_state):
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    ae = make(random_state=random_state, contamination="auto").fit(X)
    Z = ae.transform(X)
    ae.partial_fit(X).predict(X)
    pickle.loads(pickle.dumps(ae)).transform(X)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    if random_state == 0:  # whatever the states are
        np.testing.assert_array_equal(Z, fitted.transform(X))


class Odd(torch.nn.Module):
    """Widths that are no multiple of anything."""

    def __init__(self, n_components):
        super().__init__()
        width = 30
        self.encoder = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(64, width), torch.nn.BatchNorm1d(width),
            torch.nn.Dropout(0.1), torch.nn.Linear(width, n_components),
        )  # fmt: skip
        self.decoder = torch.nn.Linear(n_components, 64)

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(z).reshape(-1, 1, 8, 8)


NETWORKS = {
    "strided": {},
    "dense": {"hidden_channels": (), "hidden_units": (20,)},
    "odd widths": {"input_shape": (64,), "hidden_channels": (5,), "hidden_units": (30, 7)},
    "linear": {"hidden_channels": (), "n_components": 3},
    "user": {"module": Odd},
    "pooled": {
        "net_params": {"module__downsampling": "max_pool", "module__upsampling": "nearest"}
    },
    "signal": {"input_shape": (64,)},
    "volume": {"input_shape": (4, 4, 4)},
    "channels": {"input_shape": (4, 4, 4), "channel_axis": -1, "normalization": "group"},
    "map": {
        "n_components": None,
        "hidden_channels": (8, 2),
        "net_params": {"module__tied_weights": True},
    },
}


@pytest.mark.filterwarnings("ignore:samples of shape:UserWarning")
@pytest.mark.parametrize("network", NETWORKS)
def test_a_row_does_not_see_the_other_rows(network, X):
    parameters = {"n_components": 4, "input_shape": (8, 8), **NETWORKS[network]}
    ae = ConvAutoencoder(max_epochs=1, contamination=0.1, random_state=0, **parameters).fit(X)
    order = np.random.default_rng(0).permutation(len(X))
    for method in (ae.transform, ae.score_samples, ae.reconstruct):
        whole = method(X)
        np.testing.assert_array_equal(whole, method(X))
        np.testing.assert_array_equal(whole[order], method(X[order]))
        for rows in (slice(0, 1), slice(63, 66), slice(5, 80, 3)):
            np.testing.assert_array_equal(whole[rows], method(X[rows]))


def test_two_threads_fit_as_one(make, X):
    make = partial(make, contamination="auto")
    alone = [make(random_state=i).fit(X).transform(X) for i in range(2)]
    together = [None, None]

    def work(i):
        together[i] = make(random_state=i).fit(X).transform(X)

    for _ in range(2):
        threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        np.testing.assert_array_equal(together, alone)


# Training on ------------------------------------------------------------------------------------


def test_partial_fit_streams_chunks(make, digits):
    X = digits[0][:400].reshape(-1, 64)
    ae = make()
    if "loss" in ae.get_params():  # so that there is something to learn
        ae.set_params(net_params={"module__linear_path": False})
    chunks = (chunk for _ in range(3) for chunk in np.array_split(X * 10 + 3, 4))
    for chunk in chunks:
        ae.partial_fit(chunk)
    assert ae.n_iter_ == 12
    np.testing.assert_allclose(ae.net_.scaling.shift, np.mean(X * 10 + 3), rtol=1e-6)
    assert ae.net_.scaling.unit == pytest.approx(np.std(X * 10 + 3), rel=1e-6)
    fallen = ae.loss_curve_[0] - ae.loss_curve_[-1]
    assert fallen > (0.2 * ae.loss_curve_[0] if "loss" in ae.get_params() else 5)


def test_partial_fit_follows_parameters(make, X):
    ae = make().partial_fit(X)
    assert ae.net_.optimizer_.param_groups[0]["lr"] == 4e-3
    ae.set_params(learning_rate=1e-5).partial_fit(X)
    assert ae.net_.optimizer_.param_groups[0]["lr"] == 1e-5
    ae.set_params(optimizer="sgd").partial_fit(X)
    assert ae.n_iter_ == 3


def test_warm_start_goes_on(make, many):
    X, _ = many
    ae = make(warm_start=True).fit(X)
    first = ae.loss_curve_
    ae.fit(X)
    assert ae.n_iter_ == 4
    assert ae.loss_curve_[:2] == first
    assert ae.loss_curve_[2] < first[0]
    ae.set_params(hidden_channels=(5,))
    with pytest.raises(ValueError, match="warm_start=False"):
        ae.fit(X)
    assert ae.n_iter_ == 4


def test_fit_starts_afresh(make, X):
    ae = make().fit(X)
    once = ae.transform(X)
    np.testing.assert_array_equal(ae.fit(X).transform(X), once)
    assert ae.n_iter_ == 2


# Callbacks --------------------------------------------------------------------------------------


def test_scikit_learn_callbacks(make, many):
    X, y = many[0], many[1] % 2
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")

    class Count:
        def __init__(self):
            self.events = []

        def setup(self, estimator, context):
            self.events.append("setup")

        def teardown(self, estimator, context):
            self.events.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            self.events.append(f"begin {context.task_name}")

        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            scores = fitted_estimator.score(X), fitted_estimator.predict(X)
            assert len(fitted_estimator.summary())
            self.events.append((context.task_name, scores[0]))

    count = Count()
    ae = make().set_callbacks(count).fit(X, y)
    ends = [e for e in count.events if isinstance(e, tuple)]
    assert [name for name, _ in ends] == ["epoch", "epoch", "fit"]
    assert ends[-1][1] == ends[-2][1] == ae.score(X) > ends[0][1]
    assert (count.events[0], count.events[-1]) == ("setup", "teardown")
    unobserved = make().fit(X, y)
    np.testing.assert_array_equal(ae.score_samples(X), unobserved.score_samples(X))

    monitor = callback.ScoringMonitor(scoring={"loss": lambda ae, X, y: -ae.score(X)})
    make().set_callbacks(monitor).fit(X, y)
    assert [row["loss"] for row in monitor.get_logs().data][-1] == pytest.approx(-ends[-1][1])


def test_scikit_learn_callback_stops_training(make, X):
    pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")

    class Stop:
        def setup(self, estimator, context): ...
        def teardown(self, estimator, context): ...
        def on_fit_task_begin(self, estimator, context): ...
        def on_fit_task_end(self, estimator, context):
            return context.task_name == "epoch" and context.task_id == 2

    ae = make(contamination="auto", max_epochs=9).set_callbacks(Stop()).fit(X)
    assert ae.n_iter_ == 3


def test_nested_progress_bars(make, X, capsys):
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")
    pytest.importorskip("rich")
    bar = callback.ProgressBar(max_propagation_depth=None)
    pipe = Pipeline([("scale", StandardScaler()), ("ae", make())])
    GridSearchCV(pipe, {"ae__n_components": [2, 3]}, cv=2).set_callbacks(bar).fit(X)
    printed = capsys.readouterr().out
    assert "GridSearchCV" in printed
    assert type(make()).__name__ in printed


SIGINT = """
    import os, signal, sys, threading
    import numpy as np
    from skcae import ConvAutoencoder

    X = np.random.default_rng(0).normal(size=(60, 8, 8))
    ae = ConvAutoencoder(4, max_epochs=1, random_state=0).fit(X)
    before = ae.transform(X)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # even where a shell ignores it
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        ae.set_params(max_epochs=100_000).fit(X)
    except KeyboardInterrupt:
        print(np.array_equal(ae.transform(X), before), ae.n_iter_)
"""


def test_ctrl_c(tmp_path):
    script = tmp_path / "long.py"
    script.write_text(textwrap.dedent(SIGINT))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "1"], done.stderr


def test_interrupt_leaves_what_was_there(make, X):
    from skorch.callbacks import Callback

    class Interrupt(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    ae = make(contamination="auto", net_params={"callbacks": [Interrupt()]})
    with pytest.raises(KeyboardInterrupt):
        ae.fit(X)
    assert not hasattr(ae, "net_")
    assert not hasattr(ae, "n_features_in_")
    ae = make().fit(X)
    before = ae.transform(X)
    ae.set_params(net__callbacks=[Interrupt()])
    for method in (ae.fit, ae.partial_fit):
        with pytest.raises(KeyboardInterrupt):
            method(X)
        np.testing.assert_array_equal(ae.transform(X), before)
        assert ae.n_iter_ == 2


# Reading the result -----------------------------------------------------------------------------


def test_verbose_prints_a_line_an_epoch(make, X, capsys):
    make(
        contamination="auto", verbose=1, early_stopping=True, n_iter_no_change=12, max_epochs=12
    ).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert all(f"epoch {i + 1:2d}/12" in line for i, line in enumerate(lines))
    assert all("loss" in line and "validation" in line and line.endswith("left") for line in lines)
    assert len({line.index("validation") for line in lines}) == 1


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_bars_within_epochs_in_a_terminal_only(X, monkeypatch, capsys, stream):
    monkeypatch.setattr("skcae._observers.DELAY", 0)  # seconds until a bar is shown
    monkeypatch.setattr("sys.stderr", stream())
    ae = ConvAutoencoder(4, max_epochs=2, batch_size=20, random_state=0, input_shape=(8, 8))
    Z = clone(ae).fit(X).transform(X)
    assert not sys.stderr.getvalue()
    np.testing.assert_array_equal(ae.set_params(verbose=1).fit(X).transform(X), Z)
    shown = sys.stderr.getvalue()
    assert ("\repoch 2/2:   0%" in shown) == (stream is Terminal)
    assert not shown or shown.endswith("\r")  # nothing is left behind
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_summary_counts_parameters(make_with_loss, X):
    ae = make_with_loss(net_params={"module__linear_path": False}).fit(X)
    summary = ae.summary()
    n_parameters = sum(p.numel() for p in ae.net_.module_.parameters())
    assert summary.loc["total", "parameters"] == n_parameters
    assert summary["parameters"].iloc[:-1].sum() == n_parameters
    assert summary.loc["total", "statistics"] == 2 * (4 + 8 + 8 + 4)
    assert summary["output_shape"].iloc[-2] == (1, 8, 8)
    assert (4,) in list(summary["output_shape"])
    assert not ae.net_.module_.training


def test_summary_of_a_network_of_the_user(X):
    class Shared(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(64))
            self.twice = torch.nn.Linear(64, 64)
            self.recurrent = torch.nn.LSTM(64, 4, batch_first=True)
            self.unused = torch.nn.Linear(2, 3)
            self.up = torch.nn.Linear(4, 64)

        def encode(self, x):
            x = self.twice(self.twice(x.flatten(1) * self.weight))
            return self.recurrent(x[:, None])[0][:, 0]

        def decode(self, z):
            return self.up(z).reshape(-1, 1, 8, 8)

    ae = ConvAutoencoder(module=Shared, input_shape=(8, 8), max_epochs=1).fit(X)
    total = sum(p.numel() for p in ae.net_.module_.parameters())
    assert ae.summary().loc["total", "parameters"] == total


def test_representations_do_not_fail(fitted):
    assert "n_components=4" in repr(fitted)
    assert type(fitted).__name__ in fitted._repr_html_()
    assert "train_loss" in str(fitted.history_)


def test_conda_installs_what_pip_does():
    root = Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    recipe = (root / ".ci/conda/meta.yaml").read_text()
    assert f'version = "{skcae.__version__}"' in recipe
    runs = recipe.partition("  run:\n")[2].partition("\n\n")[0]
    listed = {line.strip(" -").replace(" ", "") for line in runs.splitlines()}
    asked = {name.replace("torch", "pytorch") for name in project["dependencies"]}
    assert listed == asked | {f"python{project['requires-python']}"}


def test_notebooks_show_a_link_and_the_network(fitted):
    pyproject = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    site = pyproject["project"]["urls"]["Documentation"]
    assert f'href="{site}api/skcae.{type(fitted).__name__}.html"' in fitted._repr_html_()
    if hasattr(BaseEstimator, "_html_repr"):  # from scikit-learn 1.7 on
        assert "ConvTranspose2d" in fitted._repr_mimebundle_()["text/html"]
        assert "ConvTranspose2d" not in clone(fitted)._repr_html_()


def test_scores_find_anomalies_on_digits(digits):
    X, y = digits
    for seed in range(2):
        ae = ConvAutoencoder(8, max_epochs=10, contamination=0.1, random_state=seed)
        ae.fit(X[y == 0][:150])
        test = np.concatenate([X[y == 0][150:], X[y != 0]])
        normal = np.arange(len(test)) < (y == 0).sum() - 150
        assert roc_auc_score(normal, ae.score_samples(test)) > 0.95
