"""Networks of the user's own: what they are given, and what they must give back."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

SHAPES = ("n_channels", "spatial_shape", "n_components", "n_classes")


def build(module: Callable[..., Module], kwargs: dict[str, Any]) -> Module:
    """Call a class or factory; of the shape arguments it is given those that it names."""
    parameters: Mapping[str, inspect.Parameter]
    if isinstance(module, type) and module.__init__ is Module.__init__:
        parameters = {}  # nothing of its own
    else:
        parameters = inspect.signature(module).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        kwargs = {k: v for k, v in kwargs.items() if k in parameters or k not in SHAPES}
    return module(**kwargs)


def code_size(module: Any, shape: tuple[int, ...], n_classes: int | None = None) -> int:
    """Size of the code, tried on a batch of two samples; an error says which shape is wrong.

    A number of classes, 0 without labels, says that the network is variational.
    """
    name = type(module).__name__
    if not isinstance(module, Module) or not all(
        callable(getattr(module, method, None)) for method in ("encode", "decode")
    ):
        raise TypeError(
            f"module built a {name}; it must build a torch.nn.Module with the methods encode(x) "
            f"and decode(z)."
        )
    network: Any = module  # that a Module has these methods is beyond a type checker
    x = torch.zeros(2, *shape)
    labels = [torch.zeros(2, n_classes)] if n_classes else []
    module.eval()
    with torch.no_grad():
        z = network.encode(x, *labels)
        if n_classes is not None:
            z = _mean(name, z)
        if not isinstance(z, Tensor) or z.ndim != 2 or len(z) != 2:
            raise ValueError(
                f"{name}.encode returned {describe(z)} for a batch of shape {tuple(x.shape)}; it "
                f"must return codes of shape (2, code size)."
            )
        x_hat = network.decode(z, *labels)
    if not isinstance(x_hat, Tensor) or x_hat.shape != x.shape:
        raise ValueError(
            f"{name}.decode returned {describe(x_hat)} for the codes of a batch of shape "
            f"{tuple(x.shape)}; it must return that shape."
        )
    return z.shape[1]


def _mean(name: str, moments: Any) -> Tensor:
    if not isinstance(moments, tuple) or len(moments) != 2:
        raise ValueError(
            f"{name}.encode returned a {type(moments).__name__}; for a variational autoencoder it "
            f"must return two tensors, the mean and the log-variance of the code."
        )
    mean, logvar = moments
    if mean.shape != logvar.shape:
        raise ValueError(
            f"{name}.encode returned a mean of {describe(mean)} and a log-variance of "
            f"{describe(logvar)}; both must have the shape (2, code size)."
        )
    return mean


def describe(value: object) -> str:
    """A tensor by its shape, anything else by its type."""
    if isinstance(value, Tensor):
        return f"shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"
