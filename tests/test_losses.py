"""Losses against scikit-learn and numpy, one value per sample."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error

from skcae import ConvAutoencoder
from skcae.losses import LOSSES, Loss, PerSampleLoss, as_loss

REFERENCES = {
    "squared_error": mean_squared_error,
    "absolute_error": mean_absolute_error,
    "binary_crossentropy": lambda x, p: -np.mean(x * np.log(p) + (1 - x) * np.log(1 - p)),
}


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.normal(size=(5, 2, 3, 4))), torch.from_numpy(
        rng.random((5, 2, 3, 4))
    )


@pytest.mark.parametrize("name", LOSSES)
def test_loss_of_each_sample_is_the_reference(name, pair):
    output, target = pair
    loss = LOSSES[name]
    values = PerSampleLoss(loss)(output, target)
    assert values.shape == (5,)
    torch.testing.assert_close(PerSampleLoss(loss).mean(output, target), values.mean())
    for i in range(5):
        x, x_hat = target[i].numpy().ravel(), loss.link(output[i]).numpy().ravel()
        assert float(values[i]) == pytest.approx(REFERENCES[name](x, x_hat), rel=1e-5)


def test_cross_entropy_of_binary_data_is_scikit_learns_log_loss():
    x = np.random.default_rng(0).integers(0, 2, 30)
    output = torch.randn(1, 1, 30, generator=torch.Generator().manual_seed(0))
    value = PerSampleLoss(LOSSES["binary_crossentropy"])(
        output, torch.from_numpy(x[None, None] * 1.0)
    )
    assert float(value) == pytest.approx(
        log_loss(x, torch.sigmoid(output).numpy().ravel()), rel=1e-5
    )


@pytest.mark.parametrize("name", LOSSES)
def test_score_samples_is_minus_the_loss_of_the_reconstruction(name, digits):
    X = digits[0][:100]
    ae = ConvAutoencoder(4, loss=name, anomaly_score="loss", max_epochs=3, random_state=0).fit(X)
    X_hat = ae.reconstruct(X)
    expected = [-REFERENCES[name](x.ravel(), x_hat.ravel().astype(np.float64))
                for x, x_hat in zip(X, X_hat, strict=True)]  # fmt: skip
    np.testing.assert_allclose(ae.score_samples(X), expected, rtol=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_power_brings_losses_to_the_units_of_the_data(name, pair):
    output, target = pair
    loss = LOSSES[name]
    if not loss.unit_interval:
        one, ten = (PerSampleLoss(loss)(c * output, c * target) for c in (1, 10))
        torch.testing.assert_close(ten, 10**loss.power * one)


def test_losses_of_the_user(digits):
    X = digits[0][:100]

    def per_value(output, target):
        return F.huber_loss(output, target, reduction="none")

    def per_sample(output, target):
        return per_value(output, target).flatten(1).mean(1)

    one, two = (
        ConvAutoencoder(4, loss=loss, anomaly_score="loss", max_epochs=1, random_state=0).fit(X)
        for loss in (per_value, per_sample)
    )
    np.testing.assert_allclose(one.score_samples(X), two.score_samples(X), rtol=1e-5)
    brier = Loss(lambda o, x: (torch.sigmoid(o) - x) ** 2, torch.sigmoid, True, 2)
    X_hat = ConvAutoencoder(4, loss=brier, max_epochs=1, random_state=0).fit(X).reconstruct(X)
    assert X_hat.min() >= 0
    assert X_hat.max() <= 1


def test_a_loss_of_the_wrong_shape_is_explained(digits):
    with pytest.raises(ValueError, match="reduction='none'"):
        ConvAutoencoder(4, loss=F.mse_loss, max_epochs=1).fit(digits[0][:20])


def test_names_and_callables():
    assert as_loss("squared_error") is LOSSES["squared_error"]
    row = Loss(F.mse_loss)
    assert as_loss(row) is row
    assert as_loss(F.mse_loss).power == 0
