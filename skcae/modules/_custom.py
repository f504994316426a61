"""Networks of the user's own: what they are given, and what they must give back."""

import inspect

import torch
from torch import Tensor
from torch.nn import Module

SHAPES = ("n_channels", "spatial_shape", "n_components", "n_classes")


def build(module, kwargs):
    """Call a class or factory; of the shape arguments it is given those that it names."""
    if isinstance(module, type) and module.__init__ is Module.__init__:
        parameters = {}  # nothing of its own
    else:
        parameters = inspect.signature(module).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        kwargs = {k: v for k, v in kwargs.items() if k in parameters or k not in SHAPES}
    return module(**kwargs)


def code_size(module, shape, n_classes=None):
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
    x = torch.zeros(2, *shape)
    labels = [torch.zeros(2, n_classes)] if n_classes else []
    module.eval()
    with torch.no_grad():
        z = module.encode(x, *labels)
        if n_classes is not None:
            z = _mean(name, z)
        if not isinstance(z, Tensor) or z.ndim != 2 or len(z) != 2:
            raise ValueError(
                f"{name}.encode returned {_shape(z)} for a batch of shape {tuple(x.shape)}; it "
                f"must return codes of shape (2, code size)."
            )
        x_hat = module.decode(z, *labels)
    if not isinstance(x_hat, Tensor) or x_hat.shape != x.shape:
        raise ValueError(
            f"{name}.decode returned {_shape(x_hat)} for the codes of a batch of shape "
            f"{tuple(x.shape)}; it must return that shape."
        )
    return z.shape[1]


def _mean(name, moments):
    if not isinstance(moments, tuple) or len(moments) != 2:
        raise ValueError(
            f"{name}.encode returned a {type(moments).__name__}; for a variational autoencoder it "
            f"must return two tensors, the mean and the log-variance of the code."
        )
    mean, logvar = moments
    if mean.shape != logvar.shape:
        raise ValueError(
            f"{name}.encode returned a mean of {_shape(mean)} and a log-variance of "
            f"{_shape(logvar)}; both must have the shape (2, code size)."
        )
    return mean


def _shape(value):
    if isinstance(value, Tensor):
        return f"shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"
