"""Settings of the test session, and small data that many tests share."""

import os
from inspect import signature

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # before scipy is imported: no check is skipped

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from skcae import ConditionalConvVAE, ConvAutoencoder, ConvVAE, DenoisingConvAutoencoder

ESTIMATORS = (ConvAutoencoder, DenoisingConvAutoencoder, ConvVAE, ConditionalConvVAE)


def having(parameter):
    """The estimators that have it."""
    return [cls for cls in ESTIMATORS if parameter in signature(cls).parameters]


torch.set_num_threads(1)  # the check suite is ten times slower with more


def pytest_configure(config):
    import matplotlib

    matplotlib.use("Agg")


def pytest_collection_modifyitems(items):
    skip = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if "cuda" in item.keywords and not torch.cuda.is_available():
            item.add_marker(skip)


@pytest.fixture(scope="session")
def digits():
    """Images ``(1797, 8, 8)`` in [0, 1], float32, and their labels."""
    data = load_digits()
    return (data.images / 16).astype(np.float32), data.target


@pytest.fixture(params=ESTIMATORS, ids=lambda cls: cls.__name__)
def make(request):
    """Build a small, fast estimator of each kind."""
    return maker(request.param)


@pytest.fixture(params=having("loss"), ids=lambda cls: cls.__name__)
def make_with_loss(request):
    """Of those that have a loss, and with it as score."""
    return maker(request.param, anomaly_score="loss")


@pytest.fixture(params=having("likelihood"), ids=lambda cls: cls.__name__)
def make_vae(request):
    """Of those whose score is a log-likelihood."""
    return maker(request.param)


@pytest.fixture
def fitted(make, X, request):
    """What ``make`` builds, fitted to `X` of the test's file once: for tests that only look."""
    return _fit_once(request.module.__name__, make, X)


@pytest.fixture
def fitted_vae(make_vae, X, request):
    """The same of ``make_vae``."""
    return _fit_once(request.module.__name__, make_vae, X)


FITS = {}


def _fit_once(name, make, X):
    if (name, make.cls) not in FITS:
        FITS[name, make.cls] = make().fit(X)
    return FITS[name, make.cls]


def maker(cls, **defaults):
    def make(**parameters):
        small = {
            "n_components": 4,
            "input_shape": (8, 8),
            "hidden_channels": (4, 8),
            "max_epochs": 2,
            "random_state": 0,
            "contamination": 0.1,
            **defaults,
        }
        return cls(**{**small, **parameters})

    make.cls = cls
    return make
