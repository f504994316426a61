"""What a skorch user may do with ``net_`` and with skorch's callbacks."""

import inspect
import io
import pickle
import threading

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import callbacks

from skcae import ConditionalConvVAE, ConvAutoencoder


@pytest.fixture
def X(digits):
    return 10 * digits[0][:100] - 4  # in units that are not the network's


@pytest.fixture
def fitted(make, X, digits):
    labels = (digits[1][:100] % 2,) if make.cls is ConditionalConvVAE else ()
    return make(input_shape=None).fit(X, *labels)


class NoForward(torch.nn.Module):
    def __init__(self, n_components):
        super().__init__()
        self.encode = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, n_components))
        self.decode = torch.nn.Sequential(
            torch.nn.Linear(n_components, 64), torch.nn.Unflatten(1, (1, 8, 8))
        )


# Prediction -------------------------------------------------------------------------------------


def test_predictions_are_reconstructions_in_the_units_of_the_data(fitted, X):
    expected = fitted.reconstruct(X)
    for result in (
        fitted.net_.predict(X),
        fitted.net_.predict_proba(X),
        fitted.net_.forward(X).numpy(),
        torch.cat(list(fitted.net_.forward_iter(X))).numpy(),
        fitted.net_.infer(X).numpy(),
        fitted.net_.predict(X.reshape(100, 64)).reshape(X.shape),
    ):
        np.testing.assert_array_equal(result, expected)
    with pytest.raises(NotFittedError):
        clone(fitted.net_).predict(X)
    with pytest.raises(ValueError, match="0 sample"):
        fitted.net_.predict(X[:0])
    with pytest.raises(ValueError, match=r"shape \(100, 4, 8\), .* samples of shape \(8, 8\)"):
        fitted.net_.predict(X[:, :4])


def test_forward_of_every_module(fitted, X):
    x = torch.zeros(3, 1, 8, 8)
    module = fitted.net_.module_
    torch.testing.assert_close(module(x), module.decode(module.encode(x)))
    ae = ConvAutoencoder(4, module=NoForward, max_epochs=1, random_state=0).fit(X)
    np.testing.assert_array_equal(ae.net_.forward(X).numpy(), ae.reconstruct(X))


@pytest.mark.parametrize(
    "method", ["fit", "partial_fit", "fit_loop", "train_step", "validation_step"]
)
def test_training_is_left_to_the_estimator(fitted, X, method):
    before = fitted.transform(X)
    name = type(fitted).__name__
    with pytest.raises(TypeError, match=f"trained by {name}.*call fit of {name}.*partial_fit"):
        getattr(fitted.net_, method)(X)
    with pytest.raises(TypeError, match="trained by"):
        fitted.net_.forward(X, training=True)
    np.testing.assert_array_equal(fitted.transform(X), before)


def test_clones_are_built_alike_and_untrained(fitted, X):
    one, two = (clone(fitted.net_).initialize() for _ in range(2))
    np.testing.assert_array_equal(one.predict(X), two.predict(X))
    assert not np.allclose(one.predict(X), fitted.net_.predict(X))
    assert len(one.history) == 0
    assert fitted.n_iter_ == 2


# Files ------------------------------------------------------------------------------------------


def test_saved_parameters_hold_all_that_the_codes_need(fitted, X):
    file, history, optimizer = io.BytesIO(), io.StringIO(), io.BytesIO()
    fitted.net_.save_params(f_params=file, f_optimizer=optimizer)
    file.seek(0), optimizer.seek(0), history.seek(0)
    other = clone(fitted.net_).set_params(scaling=None).initialize()
    other.load_params(f_params=file, f_optimizer=optimizer)
    np.testing.assert_array_equal(other.predict(X), fitted.reconstruct(X))
    np.testing.assert_array_equal(other.encode(X.reshape(100, 64)), fitted.transform(X))


def test_parameters_without_units_are_not_loaded(fitted, X):
    file, before = io.BytesIO(), fitted.transform(X)
    torch.save(fitted.net_.module_.state_dict(), file)
    file.seek(0)
    with pytest.raises(ValueError, match="no units of the data"):
        fitted.net_.load_params(f_params=file)
    np.testing.assert_array_equal(fitted.transform(X), before)


def test_loading_is_whole_or_nothing_and_forgets_what_was_normal(fitted, X):
    wide, file = clone(fitted).set_params(hidden_channels=(5, 7)).fit(X), io.BytesIO()
    wide.net_.save_params(f_params=file)
    file.seek(0)
    ae = clone(fitted).set_params(anomaly_score="joint").fit(X / 2)
    scaling, own = ae.net_.scaling, io.BytesIO()
    with pytest.raises(RuntimeError, match="size mismatch"):
        ae.net_.load_params(f_params=file)
    assert ae.net_.scaling == scaling
    ae.net_.save_params(f_params=own)
    own.seek(0)
    ae.net_.load_params(f_params=own)
    with pytest.raises(ValueError, match="load_params of net_ does not bring it"):
        ae.score_samples(X)


def test_checkpoints_are_in_units_too(X, tmp_path):
    saved = callbacks.Checkpoint(dirname=tmp_path, monitor=None)
    ae = ConvAutoencoder(4, max_epochs=2, net_params={"callbacks": [saved]}, random_state=0).fit(X)
    other = clone(ae.net_).initialize()
    other.load_params(f_params=tmp_path / "params.pt")
    np.testing.assert_array_equal(other.predict(X), ae.reconstruct(X))


def test_trimmed_nets_predict_score_and_pickle(fitted, X):
    expected = fitted.reconstruct(X), fitted.score_samples(X), fitted.n_iter_
    before = len(pickle.dumps(fitted))
    fitted.net_.trim_for_prediction()
    dumped = pickle.dumps(fitted)
    assert len(dumped) < 0.8 * before
    for ae in fitted, pickle.loads(dumped):
        np.testing.assert_array_equal(ae.reconstruct(X), expected[0])
        np.testing.assert_array_equal(ae.score_samples(X), expected[1])
        assert ae.n_iter_ == expected[2]
    assert pickle.loads(pickle.dumps(pickle.loads(dumped))).net_.optimizer_ is None


# Callbacks --------------------------------------------------------------------------------------


class Writer:
    """Of a log: it has a lock, so that it cannot be copied."""

    def __init__(self):
        self.lock, self.rows = threading.Lock(), []

    def add_scalar(self, tag, scalar_value, global_step):
        with self.lock:
            self.rows.append((tag, global_step, scalar_value))

    def close(self):
        pass


def test_tensorboard(X):
    writer = Writer()
    board = callbacks.TensorBoard(writer, close_after_train=False)
    ae = ConvAutoencoder(4, input_shape=(8, 8), max_epochs=3, contamination=0.1, random_state=0)
    ae.set_params(net__callbacks=[board]).fit(X)
    losses = [value for tag, _, value in writer.rows if tag == "Loss/train_loss"]
    np.testing.assert_allclose(losses, ae.loss_curve_)
    writer.rows.clear()
    rows = make_pipeline(FunctionTransformer(), ae)  # which are cloned
    GridSearchCV(rows, {"convautoencoder__n_components": [2, 3]}, cv=2).fit(X.reshape(100, 64))
    assert len([tag for tag, *_ in writer.rows if tag == "Loss/train_loss"]) == 5 * 3
    assert not [value for value in vars(board) if value.endswith("_")]
    assert clone(ae.net_).callbacks[0].writer is writer


def test_early_stopping_of_skorch_tells_of_the_last_epoch(X, capsys):
    stop = callbacks.EarlyStopping(monitor="train_loss", patience=2, threshold=0.99)
    ae = ConvAutoencoder(
        4, max_epochs=9, contamination=0.1, net_params={"callbacks": [stop]}, verbose=1
    ).fit(X)
    assert len(capsys.readouterr().out.splitlines()) == ae.n_iter_ < 9


def test_scoring_callbacks_say_that_they_cannot_work(make, X):
    for cls in callbacks.EpochScoring, callbacks.BatchScoring:
        ae = make(input_shape=None, net_params={"callbacks": [("mine", cls("accuracy"))]})
        with pytest.raises(ValueError, match=r"'mine' compares .*ScoringMonitor.*history_"):
            ae.fit(X)


def test_batch_losses_are_averaged_by_passthrough_scoring(X):
    mean = callbacks.PassthroughScoring(
        "train_loss", on_train=True
    )  # which takes the place of ours
    ae = ConvAutoencoder(4, max_epochs=2, contamination=0.1, random_state=0)
    expected = ae.fit(X).loss_curve_
    ae.set_params(net__callbacks=[mean]).fit(X)
    np.testing.assert_allclose(ae.loss_curve_, expected, rtol=1e-5)


# One door for each parameter --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "parameter"),
    [
        ("module__n_components", "parameter n_components"),
        ("module__hidden_channels", "parameter hidden_channels"),
        ("module__activation", "parameter activation"),
        ("module__spatial_shape", "the data"),
        ("module__n_channels", "the data"),
        ("optimizer__lr", "parameter learning_rate"),
    ],
)
def test_what_is_given_twice_is_refused(make, X, entry, parameter):
    for ae in (make(input_shape=None, net_params={entry: 7}),
               make(input_shape=None).set_params(**{f"net__{entry}": 7})):  # fmt: skip
        with pytest.raises(ValueError, match=f"entry '{entry}', but .*{parameter} sets it"):
            ae.fit(X)


def test_arguments_of_the_users_network_may_be_named_like_ours(X):
    class Wide(NoForward):
        def __init__(self, n_components, hidden_channels):
            super().__init__(n_components)
            self.width = hidden_channels

    ae = ConvAutoencoder(3, module=Wide, net_params={"module__hidden_channels": 5}, max_epochs=1)
    assert ae.fit(X).net_.module_.width == 5
    with pytest.raises(ValueError, match="parameter n_components sets it"):
        ae.set_params(net__module__n_components=7).fit(X)


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("tied_weights", "module__tied_weights"),
        ("upsampling", "module__upsampling"),
        ("downsampling", "module__downsampling"),
        ("kl_warmup", "kl_warmup"),
        ("free_bits", "free_bits"),
    ],
)
def test_parameters_that_went_say_where(make, name, entry):
    if entry == name and "loss" in make().get_params():
        pytest.skip("was never one of its parameters")
    for call in make, make().set_params:
        with pytest.raises(TypeError, match=rf"no parameter of \w+ any more.*net__{entry}"):
            call(**{name: 1})


def test_a_notebook_shows_the_parameters_of_the_constructor(make):
    assert (
        list(inspect.signature(make.cls).parameters)
        == list(inspect.signature(make.cls.__init__).parameters)[1:]
    )
    assert set(inspect.signature(make.cls).parameters) == set(make().get_params(deep=False))


def test_scores_that_went_say_where(make, X):
    for name, now in (("mixture", "Score.code, Mixture"), ("kl", "elbo")):
        with pytest.raises(ValueError, match=f"'{name}' has no name any more.*{now}"):
            make(input_shape=None, anomaly_score=name).fit(X)


def test_subclasses_may_have_parameters_that_went():
    class Mine(ConvAutoencoder):
        def __init__(self, downsampling="mine"):
            super().__init__()
            self.downsampling = downsampling

    assert Mine(downsampling="yours").set_params(downsampling="ours").downsampling == "ours"


def test_options_of_the_bound_belong_to_variational_estimators(make, make_vae, X):
    for entries in {"kl_warmup": 2}, {"free_bits": -1}, {"kl_warmup": "a"}:
        with pytest.raises(ValueError, match=r"pass a number in \[0, "):
            make_vae(input_shape=None, net_params=entries).fit(X)
    if "loss" in make().get_params():
        with pytest.raises(ValueError, match="entry 'kl_warmup'; valid are 'callbacks'"):
            make(input_shape=None, net_params={"kl_warmup": 0.3}).fit(X)
