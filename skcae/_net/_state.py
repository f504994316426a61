"""What a net has learned, as NumPy arrays: for pickles, for copies, and to go on from."""

import numpy as np
import torch
from skorch.history import History
from torch import Tensor

# NumPy has no such numbers: their bits, under a name that tells.
BFLOAT16 = np.dtype([("bfloat16", np.int16)])


def to_array(tensor: Tensor) -> np.ndarray:
    """A copy of a tensor."""
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().copy().view(BFLOAT16)
    return tensor.numpy().copy()


def to_tensor(array: np.ndarray) -> Tensor:
    """A copy of an array."""
    if array.dtype == BFLOAT16:
        return to_tensor(array["bfloat16"]).view(torch.bfloat16)
    return torch.from_numpy(np.array(array))


def state_of(net) -> dict:
    """Weights, optimizer, generators, history, units and reference; no tensor among them."""
    optimizer = net.optimizer_
    return {
        "weights": _to_arrays(dict(net.module_.state_dict())),
        "optimizer": None if optimizer is None else _to_arrays(optimizer.state_dict()),
        "generator": net.generator_.get_state().numpy(),
        "noise_generator": net.noise_generator_.get_state().numpy(),
        "history": list(net.history),
        "scaling": net.scaling,
        "reference": net.reference_,
    }


def restore(net, state: dict):
    """Give an initialized net a state; the hyperparameters of its optimizer stay its own."""
    net.module_.load_state_dict(_to_tensors(state["weights"]))
    if state["optimizer"] is not None:
        optimizer = _to_tensors(state["optimizer"])
        groups = zip(optimizer["param_groups"], net.optimizer_.param_groups, strict=True)
        for old, new in groups:
            old.update({k: v for k, v in new.items() if k != "params"})
        net.optimizer_.load_state_dict(optimizer)
    net.generator_.set_state(_to_tensors(state["generator"]))
    noise = _to_tensors(state["noise_generator"])
    if noise.shape == net.noise_generator_.get_state().shape:  # the same kind of device
        net.noise_generator_.set_state(noise)
    net.history_ = History(state["history"])
    net.scaling, net.reference_ = state["scaling"], state["reference"].to(net.device)
    return net


def _map_leaves(tree, kind, function):
    """Apply to the leaves of one kind in nested dicts and lists."""
    if isinstance(tree, dict):
        return {k: _map_leaves(v, kind, function) for k, v in tree.items()}
    if isinstance(tree, list):
        return [_map_leaves(v, kind, function) for v in tree]
    return function(tree) if isinstance(tree, kind) else tree


def _to_arrays(tree):
    return _map_leaves(tree, Tensor, to_array)


def _to_tensors(tree):
    return _map_leaves(tree, np.ndarray, to_tensor)
