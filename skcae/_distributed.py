"""Training by several processes of torch.distributed, each of which takes part of every batch."""

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


def rank_and_size() -> tuple[int, int]:
    """Which process this is, of how many."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def agreed(value):
    """The value that the first process has."""
    values = [value]
    if rank_and_size()[1] > 1:
        distributed.broadcast_object_list(values)
    return values[0]


def total(value: Tensor) -> Tensor:
    """The sum over the processes."""
    if rank_and_size()[1] > 1:
        distributed.all_reduce(value)
    return value


def share_buffers(module: nn.Module) -> None:
    """Give all processes the statistics of the first one."""
    if rank_and_size()[1] > 1:
        for buffer in module.buffers():
            distributed.broadcast(buffer, 0)


def averaged(net):
    """The objective of a net, whose gradients are those of the mean over the processes."""
    if rank_and_size()[1] == 1:
        return net._objective
    device = torch.device(net.device)
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(net.module_)  # in place
    return DistributedDataParallel(
        _Objective(net),
        device_ids=[device] if device.type == "cuda" else None,
        find_unused_parameters=not net._owns_randomness(),
    )


class _Objective(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.module, self.function = net.module_, net._objective

    def forward(self, inputs: Tensor, target: Tensor | None) -> Tensor:
        return self.function(inputs, target)
