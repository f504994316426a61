"""Networks compiled by torch for training, with CUDA graphs on a GPU."""

import copy
from contextlib import contextmanager

import torch


@contextmanager
def compile_methods(network, **options):
    """Within it, the network's ``encode`` and ``decode`` are compiled where they train.

    Only for batches of the first one's shape: any other, as that of the last batch of an epoch,
    would have to be compiled anew.
    """
    options = with_defaults(options)
    own, names = vars(network), ("encode", "decode")
    before = {name: own[name] for name in names if name in own}
    own.update({name: _CompiledMethod(network, name, options) for name in names})
    try:
        yield
    finally:
        for name in names:
            del own[name]
        own.update(before)


def with_defaults(options):
    """The arguments of :func:`torch.compile`."""
    if not {"options", "backend"} & options.keys():  # neither goes with a mode
        options = {"mode": "reduce-overhead", **options}
    return {"dynamic": False, **options}


def check_compiling(entries):
    """Whether torch takes what entries of `net_params` say of it; nothing is compiled yet."""
    options = {k: v for k, v in entries.items() if str(k).startswith("compile__")}
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    if not entries.get("compile"):
        if options:
            raise ValueError(
                f"net_params has {given} without compile=True, so that nothing is compiled; add "
                f"that, or leave the entry out."
            )
        return
    options = {name.removeprefix("compile__"): value for name, value in options.items()}
    try:
        torch.compile(_identity, **with_defaults(options))
    except Exception as error:
        raise ValueError(
            f"torch.compile does not work with net_params of {given or 'compile=True'}: {error}. "
            f"Pass what it takes, or leave compile out."
        ) from error


def _identity(x):
    return x


class _CompiledMethod:
    """A method of a network, compiled for one shape."""

    def __init__(self, network, name, options):
        self.network, self.name, self.shape = network, name, None
        self.eager = getattr(network, name)
        self.fast = torch.compile(self.eager, **options)

    def __call__(self, batch, *labels):
        if self.network.training:
            self.shape = self.shape or batch.shape
        if not self.network.training or batch.shape != self.shape:
            return self.eager(batch, *labels)
        if self.name == "encode" and batch.is_cuda:  # from here the graphs' memory is used again
            torch.compiler.cudagraph_mark_step_begin()
        return self.fast(batch, *labels)

    # A copy of the network has the method as it was.

    def __deepcopy__(self, memo):
        return copy.deepcopy(self.eager, memo)

    def __reduce__(self):
        return getattr, (self.network, self.name)
