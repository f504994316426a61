"""Training: the loop itself, schedules, early stopping, callbacks, divergence."""

import copy
import math
import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch import callbacks
from torch import nn

from skcae import ConditionalConvVAE, ConvAutoencoder, ConvVAE
from skcae._net import _batches
from skcae._net._batches import split_batches
from skcae._net._schedules import LR_SCHEDULES, OPTIMIZERS
from skcae._net._skorch import StopTraining
from skcae.losses import Loss
from skcae.modules import Autoencoder, Decoder, initialize_

PLAIN = {"module__linear_path": False}


@pytest.fixture
def X(digits):
    return digits[0][:200]


class Linear(nn.Module):
    """A small network of the user's, without randomness in training."""

    def __init__(self, n_components):
        super().__init__()
        self.encode = nn.Sequential(nn.Flatten(), nn.Linear(64, n_components))
        self.decode = nn.Sequential(nn.Linear(n_components, 64), nn.Unflatten(1, (1, 8, 8)))


def test_training_is_the_plain_torch_loop(X):
    """Same weights, to the bit, as a loop written by hand with the same draws."""
    raw = Loss(lambda output, target: (output - target) ** 2, unit_interval=True)
    ae = ConvAutoencoder(
        4, hidden_channels=(4, 8), loss=raw, optimizer="adam", lr_schedule="constant",
        learning_rate=1e-2, batch_size=33, max_epochs=3, precision="float32", net_params=PLAIN,
        random_state=0,
    ).fit(X)  # fmt: skip
    generator = torch.Generator().manual_seed(ae.net_.seed)
    network = initialize_(Autoencoder(1, (8, 8), 4, (4, 8)), generator)
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2, fused=True)
    x = torch.from_numpy(X)[:, None]
    torch.randperm(200, generator=generator)  # which rows to hold out, if any
    for _ in range(3):
        for batch in torch.randperm(200, generator=generator).split(33):
            loss = ((network(x[batch]) - x[batch]) ** 2).flatten(1).mean(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
    trained = ae.net_.module_.state_dict()
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, trained[name]), name


def test_mixed_precision_where_it_is_fast_and_right(X, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    small = ConvAutoencoder(4, hidden_channels=(4, 8), max_epochs=2, device="cpu", random_state=0)
    small.set_params(contamination=0.1)
    mixed, single = (clone(small).set_params(precision=p).fit(X) for p in ("auto", "float32"))
    assert mixed.loss_curve_ != single.loss_curve_
    np.testing.assert_allclose(mixed.loss_curve_, single.loss_curve_, rtol=0.03)
    for options, data in (
        ({"hidden_channels": (4, 4, 4)}, X),  # down to one value a side
        ({"hidden_channels": ()}, X),
        ({}, X.reshape(200, 64)),
        ({"input_shape": (4, 4, 4)}, X),
        ({"module": Linear}, X),
    ):
        data = data.reshape(200, 4, 4, 4) if "input_shape" in options else data
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the square number of features
            auto, single = (
                clone(small).set_params(precision=p, **options).fit(data)
                for p in ("auto", "float32")
            )
        assert auto.loss_curve_ == single.loss_curve_
    tiny = clone(small).set_params(hidden_channels=(4, 4, 4), activation=nn.GELU)  # to one value
    mixed, single = (clone(tiny).set_params(precision=p).fit(X) for p in ("bfloat16", "float32"))
    assert mixed.loss_curve_ == single.loss_curve_


def test_automatic_precision_survives_without_the_probes_of_torch(X, monkeypatch):
    for probe in "_is_avx512_bf16_supported", "_is_amx_tile_supported":
        monkeypatch.delattr(torch.cpu, probe)
    small = ConvAutoencoder(4, hidden_channels=(4, 8), max_epochs=1, device="cpu", random_state=0)
    assert small.fit(X).loss_curve_ == small.set_params(precision="float32").fit(X).loss_curve_


def test_a_single_row_left_over_joins_the_batch_before():
    for n in range(1, 20):
        batches = split_batches(np.arange(n), 4)
        np.testing.assert_array_equal(np.concatenate(batches), np.arange(n))
        assert all(len(batch) > 1 for batch in batches) or n == 1
        assert max(map(len, batches)) <= 5


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, torch.optim.NAdam])
def test_every_optimizer_lowers_the_loss(optimizer, X):
    rate = {"sgd": 0.1}.get(optimizer, 5e-3)
    ae = ConvAutoencoder(
        4, hidden_channels=(4, 8), optimizer=optimizer, learning_rate=rate, max_epochs=8,
        contamination=0.1, net_params=PLAIN, random_state=0,
    ).fit(X)  # fmt: skip
    assert ae.loss_curve_[-1] < 0.8 * ae.loss_curve_[0]


def test_an_optimizer_that_calls_a_closure(X):
    ae = ConvAutoencoder(
        4, hidden_channels=(4, 8), optimizer=torch.optim.LBFGS, learning_rate=1.0, max_epochs=3,
        batch_size=200, net_params={**PLAIN, "optimizer__line_search_fn": "strong_wolfe"},
        contamination=0.1, random_state=0,
    ).fit(X)  # fmt: skip
    assert ae.loss_curve_[-1] < 0.6 * ae.loss_curve_[0]


@pytest.mark.parametrize("given", [None, math.nan, math.inf, 10**400, -0.5, "half", [0.5, 0.5]])
def test_a_schedule_that_gives_no_factor_is_told(given, X):
    ae = ConvAutoencoder(4, hidden_channels=(4,), lr_schedule=lambda share: given)
    with pytest.raises(ValueError, match=r"lr_schedule gave .* for the share 0 of the steps"):
        ae.fit(X)
    assert not hasattr(ae, "net_")


@pytest.mark.parametrize("factor", [1, np.float32(0.5), torch.tensor(0.5), 0])
def test_a_schedule_may_give_any_number(factor, X):
    ConvAutoencoder(
        4, hidden_channels=(4,), max_epochs=1, lr_schedule=lambda share: factor, random_state=0
    ).fit(X)


@pytest.mark.parametrize("schedule", [*LR_SCHEDULES, lambda t: 1 - t])
def test_learning_rate_follows_the_schedule(schedule, X):
    seen = []

    class Watch(callbacks.Callback):
        def on_batch_end(self, net, **kwargs):
            seen.append(net.optimizer_.param_groups[0]["lr"])

    ConvAutoencoder(
        4, hidden_channels=(4,), learning_rate=0.01, lr_schedule=schedule, batch_size=20,
        max_epochs=5, net_params={**PLAIN, "callbacks": [Watch()]}, contamination=0.1,
        random_state=0,
    ).fit(X)  # fmt: skip
    assert len(seen) == 50
    assert max(seen) == pytest.approx(0.01, rel=1e-6)
    if schedule == "constant":
        assert min(seen) == 0.01
    elif schedule == "one_cycle":
        assert seen[0] == pytest.approx(0.01 / 25)
        assert seen.index(max(seen)) == 15
        assert seen[-1] < 1e-4
    else:
        assert sorted(seen, reverse=True) == seen
        assert seen[-1] < 1e-3


def test_schedule_leaves_the_learning_rate_for_what_follows(X):
    ae = ConvAutoencoder(4, hidden_channels=(4,), max_epochs=2, contamination=0.1, random_state=0)
    ae.fit(X)
    assert ae.net_.optimizer_.param_groups[0]["lr"] == ae.learning_rate


def test_early_stopping_keeps_the_best_weights(digits):
    X = np.random.default_rng(0).normal(size=(80, 8, 8))  # noise: it can only overfit
    ae = ConvAutoencoder(
        32, early_stopping=True, validation_fraction=0.25, n_iter_no_change=3, max_epochs=100,
        lr_schedule="constant", contamination=0.1, net_params=PLAIN, random_state=0,
    ).fit(X)  # fmt: skip
    curve = ae.validation_loss_curve_
    assert ae.n_iter_ < 100
    assert len(curve) - 1 - int(np.argmin(curve)) == 3
    held_out = np.sort(torch.randperm(80, generator=_generator_before_training(ae)).numpy()[:20])
    assert -ae.score(X[held_out]) == pytest.approx(min(curve), rel=1e-6)
    assert list(ae.history_.columns) == ["train_loss", "valid_loss", "duration"]


def _generator_before_training(ae):
    generator = torch.Generator().manual_seed(ae.net_.seed)
    initialize_(Autoencoder(1, (8, 8), 32), generator)
    return generator


def test_early_stopping_runs_to_the_end_while_it_gets_better(X):
    ae = ConvAutoencoder(4, early_stopping=True, max_epochs=4, contamination=0.1, random_state=0)
    ae.fit(X)
    assert ae.n_iter_ == 4


class Poison(callbacks.Callback):
    """Makes a weight infinite at the end of the third epoch."""

    def on_batch_begin(self, net, **kwargs):
        if net.history[-1]["epoch"] == 3:
            with torch.no_grad():
                next(net.module_.parameters()).fill_(float("inf"))


def test_divergence_stops_and_keeps_the_last_finite_weights(X):
    parameters = {"hidden_channels": (4,), "lr_schedule": "constant", "contamination": 0.1,
                  "random_state": 0}  # fmt: skip
    two = ConvAutoencoder(4, max_epochs=2, **parameters).fit(X)
    ae = ConvAutoencoder(4, max_epochs=5, net_params={"callbacks": [Poison()]}, **parameters)
    with pytest.warns(UserWarning, match=r"epoch 3;.*learning_rate"):
        ae.fit(X)
    assert ae.n_iter_ == 2
    assert ae.loss_curve_ == two.loss_curve_
    np.testing.assert_array_equal(ae.transform(X), two.transform(X))
    ae.set_params(net__callbacks=None).partial_fit(X)
    assert np.isfinite(ae.loss_curve_).all()


def test_divergence_by_a_learning_rate(X):
    ae = ConvAutoencoder(
        4, optimizer="sgd", normalization=None, learning_rate=1e6, lr_schedule="constant",
        max_epochs=4, contamination=0.1, random_state=0,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="no longer finite in epoch"):
        ae.fit(X)
    assert np.isfinite(ae.transform(X)).all()


def test_divergence_in_the_first_epoch_leaves_a_readable_estimator(X):
    ae = ConvAutoencoder(
        4, optimizer="sgd", normalization=None, learning_rate=1e30, lr_schedule="constant",
        random_state=0,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="no longer finite in epoch 1"):
        ae.fit(X)
    assert ae.n_iter_ == len(ae.history_) == 0
    assert "ConvAutoencoder" in ae._repr_html_()
    assert np.isfinite(ae.transform(X)).all()


def test_the_best_epoch_is_kept_whatever_stops_the_training(X):
    class Stop(callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 4:
                raise StopTraining

    whole = ConvAutoencoder(4, early_stopping=True, contamination=0.1, random_state=0)
    ae = clone(whole).set_params(net__callbacks=[Stop()]).fit(X)
    assert len(ae.validation_loss_curve_) == 4
    generator = torch.Generator().manual_seed(ae.net_.seed)
    initialize_(Autoencoder(1, (8, 8), 4), generator)
    held_out = np.sort(torch.randperm(200, generator=generator).numpy()[:20])
    assert -ae.score(X[held_out]) == pytest.approx(min(ae.validation_loss_curve_), rel=1e-6)
    assert whole.fit(X).validation_loss_curve_[:4] == ae.validation_loss_curve_


def test_batches_of_one_sample(X):
    ae = ConvAutoencoder(4, hidden_channels=(4, 8, 8, 8), batch_size=1, max_epochs=2,
                         contamination=0.1, random_state=0).fit(X[:20])  # fmt: skip
    assert ae.loss_curve_[1] < ae.loss_curve_[0]


def test_a_network_of_the_user_may_build_on_a_fitted_estimator(X):
    def pretrained():
        ae = ConvAutoencoder(3, module=Linear, max_epochs=1, contamination=0.1, random_state=0)
        return ae.fit(X).net_.module_

    ae = ConvAutoencoder(module=pretrained, max_epochs=1, contamination=0.1).fit(X)
    assert ae.n_components_ == 3


def test_normalization_of_the_user(X):
    ae = ConvAutoencoder(4, hidden_channels=(4,), normalization=nn.InstanceNorm2d, max_epochs=1)
    layers = ae.fit(X).summary()["layer"]
    assert (layers == "InstanceNorm2d").sum() == 2


def test_skorch_callbacks(X, tmp_path):
    saved = callbacks.Checkpoint(dirname=tmp_path, monitor="valid_loss_best")
    ae = ConvAutoencoder(
        4, hidden_channels=(4,), max_epochs=30, early_stopping=True, n_iter_no_change=30,
        random_state=0,
        net_params={
            "callbacks": [
                callbacks.EarlyStopping(monitor="train_loss", patience=2, threshold=0.9),
                callbacks.GradientNormClipping(1e-3),
                saved,
            ]
        },
    ).fit(X)  # fmt: skip
    assert ae.n_iter_ == 3
    assert (tmp_path / "params.pt").exists()


def test_callbacks_of_the_user_are_not_changed(X):
    class Count(callbacks.Callback):
        n = 0

        def on_epoch_end(self, net, **kwargs):
            self.n += 1

    mine = Count()
    ae = ConvAutoencoder(4, max_epochs=2, net_params={"callbacks": [mine]}).fit(X)
    assert mine.n == 0
    assert ae.net_.callbacks_[0][1].n == 2


def test_a_network_of_the_user(X):
    before = torch.get_rng_state()
    one, two = (
        ConvAutoencoder(6, module=Linear, max_epochs=9, contamination=0.1, random_state=0).fit(X)
        for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    assert one.n_components_ == 6
    assert one.summary().loc["total", "parameters"] == 64 * 6 + 6 + 6 * 64 + 64
    width = ConvAutoencoder(
        module=lambda width: Linear(width), net_params={"module__width": 3}, max_epochs=1
    )
    assert width.fit_transform(X).shape == (200, 3)


def test_bfloat16_reaches_nearly_the_same_loss(X):
    float32, bfloat16 = (
        ConvAutoencoder(
            8, precision=precision, max_epochs=15, contamination=0.1, random_state=0
        ).fit(X)
        for precision in ("float32", "bfloat16")
    )
    assert bfloat16.loss_curve_ != float32.loss_curve_
    assert bfloat16.score(X) == pytest.approx(float32.score(X), rel=0.1)
    assert bfloat16.transform(X).dtype == np.float32


def test_data_on_the_device_train_as_those_in_memory(X, monkeypatch):
    for rows in X, (255 * X).astype(np.uint8), X.astype(np.float16), X > 0.5:
        ae = ConvAutoencoder(4, max_epochs=2, contamination=0.1, random_state=0)
        expected = ae.fit(rows).transform(rows)
        with monkeypatch.context() as patch:
            patch.setattr(_batches, "fits_on_device", lambda X, device: True)
            np.testing.assert_array_equal(ae.fit(rows).transform(rows), expected)


@pytest.mark.parametrize(
    "estimator",
    [
        ConvAutoencoder(4, hidden_channels=(4,)),
        ConvVAE(4, hidden_channels=(4,), n_train_samples=2),
    ],
    ids=["ConvAutoencoder", "ConvVAE"],
)
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's own tracing
def test_compiled_training_learns_the_same_and_compiles_once(X, estimator):
    common = {"max_epochs": 2, "batch_size": 64, "random_state": 0, "precision": "float32",
              "contamination": 0.1}  # fmt: skip
    plain = clone(estimator).set_params(normalization=None, **common)
    fast = clone(plain).set_params(net__compile=True, net__compile__backend="aot_eager")
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True):
        fast.fit(X[:150])  # 22 are left for the last batch
    np.testing.assert_allclose(fast.loss_curve_, plain.fit(X[:150]).loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(fast.transform(X), plain.transform(X), atol=1e-4)
    assert list(fast.net_.module_.state_dict()) == list(plain.net_.module_.state_dict())
    again = pickle.loads(pickle.dumps(fast))
    np.testing.assert_array_equal(again.transform(X), fast.transform(X))


class Own(nn.Module):
    """A network whose ``encode`` is its own attribute, and ``decode`` a layer."""

    def __init__(self, n_components):
        super().__init__()
        self.first = nn.Linear(64, n_components)
        self.decode = nn.Sequential(nn.Linear(n_components, 64), nn.Unflatten(1, (1, 8, 8)))
        self.encode = lambda x: self.first(x.flatten(1)).tanh()


def test_what_compiling_leaves_behind(X, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    copies = []

    class Copy(callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            copies.append(copy.deepcopy(net.module_))

    for module in (None, Own, Linear):
        common = {"module": module, "max_epochs": 2, "contamination": 0.1, "random_state": 0}
        plain = ConvAutoencoder(4, **common).fit(X)
        fast = ConvAutoencoder(4, net_params={"compile": True}, **common).fit(X)
        np.testing.assert_array_equal(fast.transform(X), plain.transform(X))
        assert ("encode" in vars(fast.net_.module_)) == (module is Own)
        assert "decode" not in vars(fast.net_.module_)
    options = {**PLAIN, "compile": True, "callbacks": [Copy()]}
    ConvAutoencoder(4, max_epochs=1, contamination=0.1, net_params=options).fit(X)
    for weight in copies[0].parameters():
        weight.data.zero_()
    assert not copies[0].train().encode(torch.ones(3, 1, 8, 8)).any()


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own call of it
@pytest.mark.parametrize("transform", [torch.func.jacrev, torch.func.jacfwd])
def test_derivatives_of_the_codes(X, transform):
    module = ConvAutoencoder(3, max_epochs=1, contamination=0.1).fit(X).net_.module_.eval()
    x = torch.from_numpy(X[:1, None]).to(memory_format=torch.channels_last)
    jacobian = transform(module.encode)(x)
    expected = torch.autograd.functional.jacobian(module.encode, x)
    torch.testing.assert_close(jacobian, expected)


@pytest.mark.parametrize("shape", [(8, 9), (9, 9, 2), (40,), (7, 6, 7), (20, 20)])
@pytest.mark.parametrize("estimator", [ConvAutoencoder, ConvVAE, ConditionalConvVAE])
def test_a_few_rows_take_a_small_tile_and_get_the_bits_of_the_batch(estimator, shape):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(70, *shape)), np.arange(70) % 3
    axis = -1 if shape[-1] == 2 else None
    model = estimator(3, channel_axis=axis, max_epochs=1, contamination=0.1, random_state=0)
    if estimator is not ConvAutoencoder:
        model.set_params(n_importance_samples=5)
    model.fit(X, y)
    if estimator is ConvAutoencoder:  # the layers, beside the linear path
        model.net_.linear_path.share.fill_(0.7)
    assert model.net_.small_tile_size_ == 4 < model.net_.tile_size_
    methods = [model.transform, model.reconstruct, model.score_samples, model.anomaly_map]
    if hasattr(model, "log_likelihood"):
        methods += [lambda X: model.log_likelihood(X, n_samples=20)]
    for method in methods:
        whole = method(X)
        for rows in (slice(1), slice(1, 5), slice(5, 10), slice(66, None)):
            np.testing.assert_array_equal(method(X[rows]), whole[rows])
    codes = model.transform(X)
    np.testing.assert_array_equal(
        model.inverse_transform(codes[:2]), model.inverse_transform(codes)[:2]
    )


def test_rows_of_a_few_do_not_depend_on_each_other_where_layers_have_other_bits():
    """Of this network the last layer hides them, but for some data."""
    X = np.random.default_rng(0).random((5, 5, 8))
    vae = ConvVAE(3, hidden_channels=(2, 3), kernel_size=1, max_epochs=1, random_state=0)
    for seed in range(5):
        Z = vae.set_params(random_state=seed).fit(X).transform(X)
        for rows in (slice(1), slice(1, 3), [3, 1], slice(4)):
            np.testing.assert_array_equal(vae.transform(X[rows]), Z[rows])


def test_whole_tiles_where_small_ones_would_change_bits(X, monkeypatch):
    ae = ConvAutoencoder(3, max_epochs=1, contamination=0.1, random_state=0).fit(X)
    whole, net = ae.transform(X), pickle.loads(pickle.dumps(ae.net_))
    # As if the convolutions of the decoder depended on the size of the batch.
    forward = Decoder.forward
    monkeypatch.setattr(Decoder, "forward", lambda self, z: forward(self, z) + len(z))
    assert net.small_tile_size_ == net.tile_size_ == 32
    np.testing.assert_array_equal(net.encode(X[:1].reshape(1, -1)), whole[:1])
