"""The process is left as it was found: threads, forks, filters, generators, other estimators."""

import os
import threading
import time
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from skorch.callbacks import Callback
from threadpoolctl import threadpool_info
from torch import nn

from skcae import ConvAutoencoder, ConvVAE, DenoisingConvAutoencoder
from skcae._net import _build, _start
from skcae._threads import one_thread


@pytest.fixture
def X(digits):
    return digits[0][:200]


@pytest.fixture(autouse=True)
def two_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def small(cls=ConvAutoencoder, **parameters):
    return cls(4, hidden_channels=(4, 8), max_epochs=1, random_state=0, **parameters)


def threads_of_a_new_thread():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return seen[0]


def settings():
    """What belongs to the user, of the process and of this thread."""
    blas = [info["num_threads"] for info in threadpool_info()]
    numbers = torch.get_num_threads(), threads_of_a_new_thread(), torch.get_default_dtype()
    generators = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()
    return *numbers, torch.is_grad_enabled(), generators, blas, list(warnings.filters)


# Threads ----------------------------------------------------------------------------------------


def test_threads_that_fit_and_score_change_nothing_for_others(X):
    X = X[:110]
    expected = small().fit(X).score_samples(X)
    before, scores, seen = settings(), [], []

    def work():
        scores.append(small().fit(X).score_samples(X))

    workers = [threading.Thread(target=work) for _ in range(3)]
    [worker.start() for worker in workers]
    while any(worker.is_alive() for worker in workers):
        seen.append(settings())
        time.sleep(0.01)
    assert len(seen) > 1
    for now in [*seen, settings()]:
        assert now == before
    np.testing.assert_array_equal(scores, [expected] * 3)


def test_one_thread_is_of_the_calling_thread_alone():
    with one_thread():
        assert torch.get_num_threads() == 1
        assert threads_of_a_new_thread() == 2
    assert torch.get_num_threads() == 2


def test_small_fits_do_not_depend_on_the_number_of_threads(X):
    weights = []
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        weights.append(small().fit(X).net_.module_.state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


# Hooks of the user ------------------------------------------------------------------------------


class Broken(nn.Module):
    """Fails where it is built, encodes or decodes."""

    def __init__(self, n_components, where="never"):
        super().__init__()
        self.where = where
        self.encoder, self.decoder = nn.Linear(64, n_components), nn.Linear(n_components, 64)
        self.reach("built")

    def reach(self, place):
        if self.training:
            torch.rand(1)  # of the global generator
        if self.where == place:
            raise ArithmeticError

    def encode(self, x):
        self.reach("encode" if self.training else "")
        return self.encoder(x.flatten(1))

    def decode(self, z):
        self.reach("" if self.training else "score")
        return self.decoder(z).reshape(-1, 1, 8, 8)


class BrokenNoise(nn.Module):
    def forward(self, x):
        raise ArithmeticError


class BrokenCallback(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise ArithmeticError


def fail(*args, **kwargs):
    raise ArithmeticError


HOOKS = {
    "module": {"module": Broken, "net_params": {"module__where": "built"}},
    "encode": {"module": Broken, "net_params": {"module__where": "encode"}},
    "score": {"module": Broken, "net_params": {"module__where": "score"}},
    "loss": {"loss": fail},
    "anomaly_score": {"anomaly_score": fail},
    "activation": {"activation": fail},
    "augmentation": {"net_params": {"augmentation": BrokenNoise()}},
    "callback": {"net_params": {"callbacks": [BrokenCallback()]}},
    "optimizer": {"optimizer": fail},
    "lr_schedule": {"lr_schedule": fail},
    "corruption": {"corruption": BrokenNoise()},
}


def test_a_hook_that_fails_leaves_everything_as_it_was(X):
    before = settings()
    for name, parameters in HOOKS.items():
        cls = DenoisingConvAutoencoder if name == "corruption" else ConvAutoencoder
        ae = small(cls, **parameters)
        with pytest.raises(ArithmeticError):
            ae.fit(X[:30])
        assert not hasattr(ae, "net_"), name
        assert settings() == before, name


def test_a_fit_on_the_processor_seeds_no_other_device(X, monkeypatch):
    monkeypatch.setattr(torch, "manual_seed", fail)  # it seeds those of all devices
    monkeypatch.setattr(torch.cuda, "manual_seed_all", fail)
    before = settings()
    small(module=Broken).fit(X[:30])
    assert settings() == before


# Forks ------------------------------------------------------------------------------------------

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def run_in_child(function, seconds=20):
    """Whether it ends in a forked process, without an error."""
    child = os.fork()
    if not child:
        try:
            function()
            os._exit(0)
        finally:
            os._exit(1)
    for _ in range(100 * seconds):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


@contextmanager
def meanwhile(function):
    """Call it again and again in a thread."""
    done = threading.Event()

    def repeat():
        while not done.is_set():
            function()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@needs_fork
@forks
def test_a_process_forked_while_a_thread_scores(X):
    ae = small().fit(X)
    with meanwhile(lambda: ae.score_samples(X)):
        assert run_in_child(lambda: ae.score_samples(X))


@needs_fork
@forks
def test_a_process_forked_while_a_thread_runs_code_of_the_user(X):
    entered, leave = threading.Event(), threading.Event()
    torch.set_num_threads(1)  # a forked process has no others of OpenMP

    def hold():
        with _build.seeded_globally(0, "cpu"):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait()
    try:
        assert run_in_child(lambda: small(module=Broken, device="cpu").fit(X[:30]))
    finally:
        leave.set()
        thread.join()


# Other estimators -------------------------------------------------------------------------------


def all_subclasses(cls):
    return {cls}.union(*(all_subclasses(sub) for sub in cls.__subclasses__()))


def test_no_estimator_of_scikit_learn_is_fitted_within(X, monkeypatch):
    """Patches of them, as of MLflow's autolog, would log its parameters as those of the fit."""
    for cls in all_subclasses(BaseEstimator):
        if cls.__module__.startswith("sklearn.") and "fit" in vars(cls):
            monkeypatch.setattr(cls, "fit", fail)
            monkeypatch.setattr(cls, "fit_transform", fail, raising=False)
    assert PCA.fit is fail
    ae = small().fit(X)
    assert len(ae.net_.reference_.density.mixtures[0].constant) > 1
    small(ConvVAE).fit(X[:30])


@pytest.mark.parametrize("shape", [(300, 20), (60, 100), (90, 40)])
@pytest.mark.parametrize("most", [_start.N_EXACT, 0], ids=["exact", "large"])
def test_principal_axes_are_those_of_pca(shape, most, monkeypatch):
    monkeypatch.setattr(_start, "N_EXACT", most)
    x = np.random.default_rng(0).normal(size=shape) * 0.7 ** np.arange(shape[1])
    x = (x - x.mean(0)).astype(np.float32)
    expected = PCA(4, svd_solver="full").fit(x).components_
    np.testing.assert_allclose(_start.principal_axes(x, 4, 0), expected, atol=1e-3)
