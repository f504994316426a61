"""Networks: shapes, ties, mirrors, initialization."""

import math
from itertools import product

import pytest
import torch
from torch import nn

from skcae.modules import (
    ACTIVATIONS,
    DOWNSAMPLINGS,
    NORMALIZATIONS,
    UPSAMPLINGS,
    Autoencoder,
    initialize_,
)
from skcae.modules._layers import Conv2d, flatten


@pytest.mark.parametrize("n_dims", [1, 2, 3])
@pytest.mark.parametrize(("down", "up"), list(product(DOWNSAMPLINGS, UPSAMPLINGS)))
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_every_network_maps_to_codes_and_back(n_dims, down, up, normalization):
    network = Autoencoder(
        2, (7, 4, 5)[:n_dims], 3, (4, 6), (5,), downsampling=down, upsampling=up,
        normalization=normalization,
    )  # fmt: skip
    x = torch.randn(4, 2, *(7, 4, 5)[:n_dims])
    z = network.encode(x)
    assert z.shape == (4, 3)
    assert network.decode(z).shape == x.shape


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_torchs(activation):
    x = torch.linspace(-2, 2, 9)
    if activation == "leaky_relu":
        expected = torch.where(x > 0, x, 0.2 * x)
    else:
        expected = getattr(torch.nn.functional, activation)(x) if activation else x
    torch.testing.assert_close(ACTIVATIONS[activation]()(x), expected)


def test_each_stage_halves_the_sides_rounding_up():
    network = Autoencoder(1, (29, 28), None, (3, 4, 5))
    assert network.encoder.geometry.kept == [(29, 28), (15, 14), (8, 7), (4, 4)]
    assert network.encode(torch.zeros(2, 1, 29, 28)).shape == (2, 5 * 16)


@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_tied_decoder_is_the_adjoint_of_the_encoder(n_dims):
    """With linear layers <f(x) - f(0), z> = <x, g(z) - g(0)>."""
    shape = (9, 6, 5)[:n_dims]
    network = Autoencoder(
        2, shape, 3, (4, 6), tied_weights=True, activation=None, normalization=None
    ).double()
    x, z = torch.randn(1, 2, *shape).double(), torch.randn(1, 3).double()
    with torch.no_grad():
        left = ((network.encode(x) - network.encode(0 * x)) * z).sum()
        right = (x * (network.decode(z) - network.decode(0 * z))).sum()
    torch.testing.assert_close(left, right)


def test_tied_weights_are_stored_and_trained_once():
    free = Autoencoder(1, (8, 8), 4, (3, 5), normalization=None, decoder_channels=(3,))
    tied = Autoencoder(1, (8, 8), 4, (3, 5), normalization=None, tied_weights=True)
    weights = {k: v for k, v in tied.state_dict().items() if k.endswith("weight")}
    assert all(key.startswith("encoder") for key in weights)
    n_weights = sum(w.numel() for w in weights.values())
    assert sum(p.numel() for p in free.parameters()) == (
        sum(p.numel() for p in tied.parameters()) + n_weights
    )
    out = tied(torch.randn(2, 1, 8, 8)).square().sum()
    out.backward()
    assert tied.encoder.stages[0][0].weight.grad.abs().sum() > 0


def test_decoder_channels_set_the_decoder():
    wide = Autoencoder(1, (8, 8), 4, (3, 5), decoder_channels=(7, 6), normalization=None)
    layers = [m for m in wide.decoder.stages.modules() if hasattr(m, "weight")]
    assert [(m.in_channels, m.out_channels) for m in layers] == [(5, 7), (7, 6), (6, 1)]


@pytest.mark.parametrize("padding", [0, 1, 2, (0, 2)])
def test_explicit_padding_round_trips(padding):
    network = Autoencoder(1, (28, 21), 4, (3, 5), kernel_size=5, padding=padding)
    assert network(torch.zeros(2, 1, 28, 21)).shape == (2, 1, 28, 21)


def test_even_kernels_need_a_padding():
    with pytest.raises(ValueError, match="odd kernel_size"):
        Autoencoder(1, (8, 8), kernel_size=4)
    network = Autoencoder(1, (9, 8), kernel_size=4, padding=1)
    assert network(torch.zeros(2, 1, 9, 8)).shape == (2, 1, 9, 8)


def test_initialization_is_torchs_distribution_from_the_given_generator():
    def draw(seed):
        network = Autoencoder(1, (16, 16), 64, (64, 64), (100,))
        return initialize_(network, torch.Generator().manual_seed(seed))

    one, two, other = draw(0), draw(0), draw(1)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)
    reference = dict(Autoencoder(1, (16, 16), 64, (64, 64), (100,)).named_parameters())
    for name, p in one.named_parameters():
        if p.numel() > 1000:
            bound = float(reference[name].detach().abs().max())
            assert float(p.detach().abs().max()) == pytest.approx(bound, rel=0.02), name
            assert float(p.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.05), name
            assert not torch.equal(p, dict(other.named_parameters())[name])


def test_tied_convolutions_keep_the_variance_both_ways():
    """He's bound for the geometric mean of 9 * 64 summed values forth and 9 * 128 / 4 back."""
    network = Autoencoder(1, (16, 16), 8, (64, 128), tied_weights=True)
    weight = initialize_(network, torch.Generator().manual_seed(0)).encoder.stages[1][0].weight
    bound = math.sqrt(6 / math.sqrt(9 * 64 * 9 * 128 / 4))
    assert float(weight.detach().abs().max()) == pytest.approx(bound, rel=0.01)
    assert float(weight.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_group_norm_has_at_least_four_channels_in_a_group():
    for n in (1, 2, 4, 6, 8, 32, 48, 64):
        norm = NORMALIZATIONS["group"](n, 2)
        assert n % norm.num_groups == 0
        assert norm.num_groups == 1 or n // norm.num_groups >= 4


def test_activation_first_swaps_the_order():
    stage = Autoencoder(1, (8, 8), 4, (3,), activation_first=True).encoder.stages[0]
    assert [type(m) for m in stage] == [Conv2d, nn.ReLU, nn.BatchNorm2d]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": (3, 3, 3)}, "3 entries, but there are 2"),
        ({"kernel_size": 5, "padding": 0, "spatial_shape": (8, 4)}, "does not fit"),
        ({"n_components": None, "hidden_units": (4,)}, "no hidden_units"),
        ({"n_components": None, "hidden_channels": ()}, "at least one"),
        ({"decoder_channels": (4, 4, 4, 4)}, "need 2"),
        ({"tied_weights": True, "decoder_channels": (4,)}, "fixes decoder_channels"),
        ({"activation": "rellu"}, "choose one of"),
    ],
)
def test_impossible_networks_say_why(options, message):
    given = {"n_channels": 1, "spatial_shape": (8, 8), "hidden_channels": (4, 4), **options}
    with pytest.raises(ValueError, match=message):
        Autoencoder(**given)


def test_gradients_keep_the_memory_format():
    """Another one makes batch normalization ten times as slow."""
    x = torch.randn(3, 4, 5, 6, requires_grad=True)
    last = x.detach().to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(3, 120)
    for features in (x, last):
        (flatten(features) * weight).sum().backward()
        torch.testing.assert_close(features.grad, weight.reshape(3, 4, 5, 6))
    seen, y = [], last * 1
    y.register_hook(seen.append)
    flatten(y).sum().backward()
    assert [g.is_contiguous(memory_format=torch.channels_last) for g in seen] == [True]


@pytest.mark.parametrize("padding", [0, 1, (0, 1)])
@pytest.mark.parametrize("stride", [2, 3, (1, 2)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_strided_kernels_of_one_value(memory_format, stride, padding):
    """Beside torch's in double precision, which has no gradient by oneDNN."""
    conv = Conv2d(2, 3, 1, stride, padding).to(memory_format=memory_format)
    torch_conv = nn.Conv2d(2, 3, 1, stride, padding).double()
    torch_conv.load_state_dict(conv.state_dict())
    for _ in range(50):  # a memory that is broken shows after some time
        x = torch.randn(9, 2, 4, 8).to(memory_format=memory_format).requires_grad_()
        expected_x = x.detach().double().requires_grad_()
        y, expected = conv(x), torch_conv(expected_x)
        y.square().sum().backward()
        expected.square().sum().backward()
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(x.grad.double(), expected_x.grad, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        conv.weight.grad.double(), torch_conv.weight.grad, rtol=1e-4, atol=1e-3
    )
