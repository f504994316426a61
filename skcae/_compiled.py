"""Networks compiled by torch for training, with CUDA graphs on a GPU."""

from contextlib import contextmanager

import torch


@contextmanager
def compiled(network, **options):
    """Within it, the network's ``encode`` and ``decode`` are compiled where they train.

    Only for batches of the first one's shape: any other, as that of the last batch of an epoch,
    would have to be compiled anew.
    """
    options = {"mode": "reduce-overhead", "dynamic": False} | options
    methods = {name: _Compiled(network, name, options) for name in ("encode", "decode")}
    vars(network).update(methods)
    try:
        yield
    finally:
        for name in methods:
            del vars(network)[name]


class _Compiled:
    """A method of a network, compiled for one shape."""

    def __init__(self, network, name, options):
        self.network, self.name, self.shape = network, name, None
        self.eager = getattr(network, name)
        self.fast = torch.compile(self.eager, **options)

    def __call__(self, batch, *labels):
        if not self.network.training:
            return self.eager(batch, *labels)
        self.shape = self.shape or batch.shape
        if batch.shape != self.shape:
            return self.eager(batch, *labels)
        if self.name == "encode" and batch.is_cuda:  # from here the graphs' memory is used again
            torch.compiler.cudagraph_mark_step_begin()
        return self.fast(batch, *labels)
