"""How the module of a net comes to be: our networks and those of users, and their precision."""

import inspect
import os
import threading
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from .._private import has_fast_bfloat16
from ..modules import Autoencoder, VariationalAutoencoder, _custom, initialize_

# The networks whose weights ``initialize_`` draws.
OWN_NETWORKS = (Autoencoder, VariationalAutoencoder)
# Switches of PyTorch's optimizers that may be None: as is faster.
AUTOMATIC = {"foreach", "fused"}


def build_own(network: type, arguments: dict, generator: torch.Generator) -> nn.Module:
    """One of our networks, all of whose weights come from ``generator``."""
    check_names(network, arguments)
    with torch.device("meta"):
        module = network(**arguments)
    return initialize_(module.to_empty(device="cpu").float(), generator)


def check_names(network: type, arguments: dict) -> None:
    """Whether one of our networks takes all the arguments."""
    taken = own_defaults(network)
    for name in arguments:
        if name not in taken:
            raise ValueError(
                f"net_params has the entry 'module__{name}', but the network takes no {name}; "
                f"its arguments are {', '.join(taken)}."
            )


def own_defaults(network: type) -> dict:
    """The arguments of one of our networks, those it passes on among them, and their defaults."""
    kinds = [kind for kind in OWN_NETWORKS if issubclass(network, kind)]
    named = {k: p for kind in kinds for k, p in inspect.signature(kind).parameters.items()}
    return {k: p.default for k, p in named.items() if p.kind is not p.VAR_KEYWORD}


def architecture_changes(net, earlier) -> list[str]:
    """In which arguments one of our networks differs from that of an earlier net, in words.

    Weights may fit although the layers between them changed. Of a network of the user's, only the
    weights tell. Callables are one if their names are, so that a cell of a notebook may be run
    again.
    """
    if net.module not in OWN_NETWORKS or net.module is not earlier.module:
        return []
    defaults = own_defaults(net.module)
    old, new = (defaults | each.get_params_for("module") for each in (earlier, net))
    names = [name for name in new if name != "linear_path" and _key(old[name]) != _key(new[name])]
    return [f"{name} was {old[name]!r} and is {new[name]!r}" for name in names]


def _key(value):
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return tuple(value) if isinstance(value, (list, tuple, np.ndarray)) else value


def build_optimizer(optimizer: type, groups: tuple, arguments: dict, device):
    """An optimizer of the user's or ours; its arguments are tried on one small weight."""
    of_torch = getattr(optimizer, "__module__", "").startswith("torch.optim")
    for name in _switches(optimizer) & arguments.keys() if of_torch else ():
        value, may_be_none = arguments[name], name in AUTOMATIC
        if not isinstance(value, bool | np.bool_) and not (may_be_none and value is None):
            raise ValueError(f"optimizer__{name}={value!r} is no bool; pass one.")
        arguments[name] = value if value is None else bool(value)  # of NumPy's
    if of_torch and arguments.get("maximize"):
        raise ValueError("optimizer__maximize=True makes the loss grow; leave it out.")
    weight = nn.Parameter(torch.zeros(2, 2, device=device))

    def closure():
        loss = weight.sum()
        loss.backward()
        return loss

    try:
        built = optimizer(*groups, **arguments)
        if arguments.keys() - {"lr", "fused"}:
            optimizer([weight], **arguments).step(closure)
    except (TypeError, ValueError, RuntimeError, AttributeError, AssertionError) as error:
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        name = getattr(optimizer, "__name__", repr(optimizer))
        raise ValueError(
            f"the optimizer {name} does not work with {given}: {error}. Arguments of it are "
            f"entries of net_params, as 'optimizer__weight_decay'; pass those that it takes, or "
            f"another optimizer."
        ) from error
    return built


def _switches(optimizer: type) -> set[str]:
    """The options of one of PyTorch's optimizers that take any value for a bool."""
    options = inspect.signature(optimizer).parameters.values()
    return {o.name for o in options if isinstance(o.default, bool)} | AUTOMATIC


def build_custom(module, arguments: dict, layout, seed: int, device) -> tuple[nn.Module, int]:
    """A network that runs code of the user's, and the size of its code."""
    shape = layout.n_channels, *layout.spatial
    with seeded_globally(seed, device):
        network = _custom.build(module, arguments)
        return network, _custom.code_size(network, shape, arguments.get("n_classes"))


def draw_seed(generator: torch.Generator) -> int:
    """A seed for code that draws from torch's global generators."""
    return int(torch.randint(2**31, (1,), generator=generator))


def _make_lock():
    global _global_generators
    _global_generators = threading.RLock()


_make_lock()
if hasattr(os, "register_at_fork"):  # the thread that holds it is none of the child's
    os.register_at_fork(after_in_child=_make_lock)


@contextmanager
def seeded_globally(seed: int, device):
    """Run code that draws from torch's global generators, and leave those as they were.

    Those of other devices are not touched.
    """
    with _global_generators:
        generators = _generators_of(torch.device(device))
        states = [generator.get_state() for generator in generators]
        try:
            for generator in generators:
                generator.manual_seed(seed)
            yield
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)


def _generators_of(device: torch.device) -> list[torch.Generator]:
    if device.type != "cuda":
        return [torch.default_generator]
    torch.cuda.init()
    index = torch.cuda.current_device() if device.index is None else device.index
    return [torch.default_generator, torch.cuda.default_generators[index]]


def use_channels_last(module: nn.Module) -> nn.Module:
    """Weights in the memory format that is faster, but in that of other programs in state dicts.

    1.3 times faster in training, 1.45 in inference on a CPU.
    """
    for layer in module.modules():
        if any(weight.ndim == 4 for weight in layer.parameters(recurse=False)):
            layer.register_state_dict_post_hook(_make_contiguous)
    return module.to(memory_format=torch.channels_last)


def _make_contiguous(layer: nn.Module, state: dict, prefix: str, metadata: dict) -> None:
    """Of what a layer adds to a state dict, what is no parameter itself."""
    for name, value in state.items():
        if name.startswith(prefix) and not isinstance(value, nn.Parameter):
            state[name] = value.contiguous()


def check_kernel(arguments: dict, layout, device) -> None:
    """Torch's CPU convolution of volumes gives wrong gradients, or crashes, from side 7 on."""
    kernels = np.ravel(arguments.get("kernel_size", 3))
    if len(layout.spatial) == 3 and kernels.size and kernels.max() > 5 and device == "cpu":
        raise ValueError(
            f"kernel_size={arguments['kernel_size']!r} is too large for volumes on a CPU, where "
            f"torch computes wrong gradients from 7 on; pass at most 5, and more stages in "
            f"hidden_channels to see more of a volume."
        )


def trains_in_bfloat16(precision: str, network: nn.Module, layout, device) -> bool:
    """Whether one of our networks trains in mixed precision.

    Torch's CPU convolution gives wrong gradients in it, or crashes, where a side has one value.
    """
    geometry, kind = network.encoder.geometry, torch.device(device).type
    convolves, smallest = len(geometry.kernels) > 0, min(map(min, geometry.kept))
    wrong = kind == "cpu" and convolves and smallest == 1
    if precision != "auto":
        return precision == "bfloat16" and not wrong
    if kind == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return has_fast_bfloat16() and convolves and not wrong and len(layout.spatial) == 2
