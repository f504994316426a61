"""Training by several processes of torch.distributed, each of which takes part of every batch."""

from collections.abc import Callable

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


def rank_and_size() -> tuple[int, int]:
    """Which process this is, of how many."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def broadcast(value):
    """The value that the first process has."""
    values = [value]
    if rank_and_size()[1] > 1:
        distributed.broadcast_object_list(values)
    return values[0]


def broadcast_buffers(module: nn.Module) -> None:
    """Give all processes the statistics of the first one."""
    if rank_and_size()[1] > 1:
        for buffer in module.buffers():
            distributed.broadcast(buffer, 0)


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of a tensor over the processes, in place."""
    if rank_and_size()[1] > 1:
        distributed.all_reduce(value)
    return value


def average_gradients(objective: Callable, module: nn.Module, device, *, dynamic: bool):
    """An objective of the module, whose gradients are those of the mean over the processes.

    ``dynamic`` says that some parameters may have no part in a step.
    """
    if rank_and_size()[1] == 1:
        return objective
    device = torch.device(device)
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(module)  # in place
    return DistributedDataParallel(
        _Objective(objective, module),
        device_ids=[device] if device.type == "cuda" else None,
        find_unused_parameters=dynamic,
    )


class _Objective(nn.Module):
    """A function of a module's parameters, as a module that has them."""

    def __init__(self, function: Callable, module: nn.Module) -> None:
        super().__init__()
        self.function, self.module = function, module

    def forward(self, *arguments) -> Tensor:
        return self.function(*arguments)
