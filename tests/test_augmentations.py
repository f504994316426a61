"""Random changes of training samples."""

import numpy as np
import pytest
import torch
from torch import nn

from skcae import ConditionalConvVAE, ConvAutoencoder, DenoisingConvAutoencoder
from skcae.augmentations import Shift


@pytest.mark.parametrize("shape", [(9,), (6, 7), (4, 5, 6)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_sample_is_shifted_by_up_to_most(shape, dtype):
    x = torch.rand(400, 2, *shape, dtype=dtype)
    shifted = Shift(1)(x, torch.Generator().manual_seed(0))
    assert shifted.dtype == dtype
    padded = np.pad(x, [(0, 0), (0, 0), *[(1, 1)] * len(shape)], mode="edge")
    counts = {}
    for shift in np.ndindex(*[3] * len(shape)):
        crop = tuple(slice(s, s + n) for s, n in zip(shift, shape, strict=True))
        same = shifted.numpy() == padded[(slice(None), slice(None), *crop)]
        counts[shift] = same.reshape(400, -1).all(1).sum()
    assert sum(counts.values()) == 400
    assert min(counts.values()) > 100 / 3 ** len(shape)


def test_most_is_a_positive_integer():
    for most in (0, 1.5, "1"):
        with pytest.raises(ValueError, match="must be an integer of at least 1"):
            Shift(most)


def test_samples_are_not_shifted_out_of_themselves(make, digits):
    X = digits[0][:60]
    with pytest.raises(ValueError, match=r"Shift\(8\) moves samples of shape \(8, 8\) out of"):
        make(net_params={"augmentation": Shift(8)}).fit(X)
    signals = X.reshape(60, 64, 1)
    ae = make(net_params={"augmentation": Shift(3)}, input_shape=(64, 1), channel_axis=-1)
    ae.fit(signals)


class Several(nn.Module):
    def forward(self, x):
        return [x]


def test_what_is_no_tensor_is_told(make, digits):
    with pytest.raises(TypeError, match="augmentation returned a list for a batch"):
        make(net_params={"augmentation": Several()}).fit(digits[0][:60])


class Same(nn.Module):
    def forward(self, x, generator):
        return x


def test_one_that_changes_nothing_is_as_none(make, digits):
    X, y = digits[0][:60], digits[1][:60] % 2
    labels = (y,) if make.cls is ConditionalConvVAE else ()
    plain = make().fit(X, *labels)
    same = make(net_params={"augmentation": Same()}).fit(X, *labels)
    np.testing.assert_array_equal(plain.transform(X), same.transform(X))
    shifted = make(net_params={"augmentation": Shift(1)})
    before = torch.get_rng_state()
    codes = [shifted.fit(X, *labels).transform(X) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(*codes)
    assert plain.loss_curve_ == same.loss_curve_ != shifted.loss_curve_
    shifted.partial_fit(X, *labels)


class Record(nn.Module):
    seen = []

    def forward(self, x):
        x = x.roll(1, 2)
        self.seen.append(x)
        return x


def test_pairs_change_alike(digits):
    X = digits[0][:32]
    Record.seen.clear()
    DenoisingConvAutoencoder(
        2, hidden_channels=(4,), max_epochs=1, contamination=0.1,
        net_params={"augmentation": Record()},
    ).fit(X, target=2 * X)  # fmt: skip
    noisy, clean = torch.cat(Record.seen).chunk(2, 1)
    assert len(noisy) == 32
    assert torch.equal(2 * noisy, clean)


def test_what_is_no_module_is_refused(digits):
    with pytest.raises(ValueError, match=r"pass an instance of a torch.nn.Module"):
        ConvAutoencoder(net_params={"augmentation": Shift}).fit(digits[0][:20])
    cut = {"augmentation": nn.AvgPool2d(2)}
    with pytest.raises(ValueError, match="augmentation returned shape"):
        ConvAutoencoder(net_params=cut).fit(digits[0][:20])


def test_it_helps_where_position_does_not_matter():
    def bumps(n, rng):
        centre, width = rng.uniform(8, 24, (n, 1)), rng.uniform(1, 3, (n, 1))
        return np.exp(-(((np.arange(32) - centre) / width) ** 2))

    for seed in range(2):
        X, new = (bumps(n, np.random.default_rng([seed, n])) for n in (40, 300))
        errors = []
        for augmentation in (None, Shift(3)):
            ae = ConvAutoencoder(
                2, hidden_channels=(8, 16), max_epochs=60, contamination=0.1, random_state=seed,
                net_params={"augmentation": augmentation, "module__linear_path": False},
            ).fit(X)  # fmt: skip
            errors.append(np.mean((ae.reconstruct(new) - new) ** 2))
        assert errors[1] < errors[0]
