"""Noise: its distribution, its range, and when it is there."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from skcae import DenoisingConvAutoencoder
from skcae.corruptions import CORRUPTIONS, Gaussian, Masking, SaltAndPepper


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_noise_in_training_only_and_from_the_generator(name):
    x = torch.rand(4, 1, 8, 8)
    corruption = CORRUPTIONS[name](0.3)
    kept = x.clone()
    one, two, other = (corruption(x, _generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(x, kept)
    assert one.shape == x.shape
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert torch.equal(corruption.eval()(x, _generator()), x)


def test_gaussian_noise_has_the_given_deviation_and_range():
    x = torch.full((1, 1, 300, 300), 0.5)
    noise = Gaussian(0.2)(x, _generator()) - x
    assert float(noise.mean()) == pytest.approx(0, abs=0.003)
    assert float(noise.std()) == pytest.approx(0.2, rel=0.01)
    clipped = Gaussian(2.0, (0.0, 1.0))(x, _generator())
    assert (float(clipped.min()), float(clipped.max())) == (0, 1)


def test_masking_loses_the_given_share():
    x = torch.rand(1, 1, 300, 300) + 1
    noisy = Masking(0.25)(x, _generator())
    lost = noisy == 0
    assert float(lost.float().mean()) == pytest.approx(0.25, abs=0.01)
    assert torch.equal(noisy[~lost], x[~lost])


@pytest.mark.parametrize("clip_range", [None, (-1.0, 3.0)])
def test_salt_and_pepper_replaces_by_either_end(clip_range):
    x = torch.rand(1, 1, 300, 300)
    low, high = clip_range or (float(x.min()), float(x.max()))
    noisy = SaltAndPepper(0.2, clip_range)(x, _generator())
    assert float((noisy == low).float().mean()) == pytest.approx(0.1, abs=0.01)
    assert float((noisy == high).float().mean()) == pytest.approx(0.1, abs=0.01)


class Record(nn.Module):
    """Keeps what it is given, in a list that copies share."""

    seen = []

    def forward(self, x, generator):
        noisy = x + torch.rand(x.shape, generator=generator)
        Record.seen.append((x, noisy))
        return noisy


def test_every_batch_gets_fresh_noise_in_the_units_of_the_input(digits):
    X = 16 * digits[0][:64] + 100
    Record.seen = []
    DenoisingConvAutoencoder(4, corruption=Record(), batch_size=32, max_epochs=3, random_state=0,
                             contamination=0.1,
                             net_params={"module__linear_path": False}).fit(X)  # fmt: skip
    assert len(Record.seen) == 6
    noises = [noisy - x for x, noisy in Record.seen]
    assert all(not torch.equal(a, b) for a, b in pairwise(noises))
    assert all(float(x.min()) >= 100 and float(x.max()) <= 116 for x, _ in Record.seen)


class Dropout(nn.Module):
    """Noise from torch's global generator."""

    def forward(self, x):
        return nn.functional.dropout(x, 0.3)


def test_noise_from_the_global_generator_is_repeatable_and_leaves_it_alone(digits):
    X = digits[0][:100]
    before = torch.get_rng_state()
    one, two, other = (
        DenoisingConvAutoencoder(
            4, corruption=Dropout(), max_epochs=1, contamination=0.1, random_state=seed
        ).fit(X)
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    assert not np.allclose(one.transform(X), other.transform(X))


def test_denoising_beats_the_noise_and_the_plain_autoencoder(digits):
    X, X_test = digits[0][:400], digits[0][1200:]
    for seed in range(2):
        noise = 0.4 * np.random.default_rng(seed).normal(size=X_test.shape).astype(np.float32)
        noisy = np.clip(X_test + noise, 0, 1)
        dae = DenoisingConvAutoencoder(
            32,
            hidden_channels=(16, 32),
            noise_level=0.4,
            clip_range=(0, 1),
            max_epochs=8,
            contamination=0.1,
            random_state=seed,
        ).fit(X)
        error = np.mean((dae.reconstruct(noisy) - X_test) ** 2)
        assert error < 0.5 * np.mean((noisy - X_test) ** 2)


def test_pairs_are_learned_without_further_noise(digits):
    X = digits[0][:300]
    ae = DenoisingConvAutoencoder(32, hidden_channels=(16, 32), noise_level=100.0, random_state=0)
    ae.set_params(max_epochs=20, contamination=0.1).fit(X, target=1 - X)
    assert np.mean((ae.reconstruct(X) - (1 - X)) ** 2) < 0.2 * np.var(X)


def test_level_zero_is_the_plain_autoencoder(digits):
    from skcae import ConvAutoencoder

    X = digits[0][:100]
    plain = ConvAutoencoder(4, max_epochs=2, random_state=0).fit(X)
    dae = DenoisingConvAutoencoder(4, noise_level=0.0, max_epochs=2, random_state=0).fit(X)
    np.testing.assert_allclose(dae.transform(X), plain.transform(X), atol=1e-5)


EIGHT_BIT = np.random.default_rng(0).integers(0, 256, (30, 6, 6)).astype("u1")


@pytest.mark.parametrize(
    ("parameters", "X", "advice"),
    [
        ({}, EIGHT_BIT, r"tiny beside X.* 0.3 of their range is noise_level=76\.5"),
        ({"noise_level": 76.5}, EIGHT_BIT / 255, "huge beside X.*noise_level=0.3"),
        ({"corruption": Gaussian(0.1)}, EIGHT_BIT, "noise_level=0.1, in the units of X, is tiny"),
        ({"noise_level": 76.5, "clip_range": (0, 1)}, EIGHT_BIT, r"cuts off.*range=\(0, 255\)"),
        ({"corruption": "salt_and_pepper", "clip_range": (0, 1)}, EIGHT_BIT, r"is tiny.*\(0, 255"),
        (
            {"corruption": "salt_and_pepper", "clip_range": (0, 255)},
            EIGHT_BIT / 255,
            r"is huge.*clip_range=\(0, 1\)",
        ),
        ({"channel_axis": -1}, np.stack([EIGHT_BIT / 255.0, EIGHT_BIT], -1), "is tiny"),
        (  # no level serves both
            {"channel_axis": -1, "noise_level": 1e4},
            np.stack([EIGHT_BIT / 255.0, EIGHT_BIT], -1),
            "is huge.*one level cannot serve; divide each by its standard deviation",
        ),
        ({}, EIGHT_BIT / 12, "noise_level=0.3.* is tiny"),  # which nobody chose
        ({}, EIGHT_BIT / 2550, "noise_level=0.3.* is huge"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_noise_in_other_units_than_the_images_brings_a_warning(parameters, X, advice, method):
    ae = DenoisingConvAutoencoder(2, hidden_channels=(2,), max_epochs=1, random_state=0)
    ae.set_params(net_params={"module__linear_path": False}, **parameters)
    with pytest.warns(UserWarning, match=advice):
        getattr(ae, method)(X)


def test_noise_that_a_user_may_want_brings_no_warning():
    ae = DenoisingConvAutoencoder(2, hidden_channels=(2,), max_epochs=1, random_state=0)
    ae.set_params(net_params={"module__linear_path": False})
    for parameters in (
        {"noise_level": 0.0},
        {"noise_level": 2.0},  # faint
        {"noise_level": 500.0},  # strong
        {"noise_level": 76.5, "clip_range": (0, 255)},
        {"corruption": "masking", "noise_level": 0.01},
        {"corruption": "salt_and_pepper", "noise_level": 0.01},
    ):
        ae.set_params(**parameters).fit(EIGHT_BIT)
    ae.set_params(corruption="gaussian", noise_level=0.31).fit(EIGHT_BIT / 12)
    ae.set_params(noise_level=0.3).fit(EIGHT_BIT / 255)
