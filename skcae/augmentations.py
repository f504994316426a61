"""Random changes of training samples that leave them what they are, such as small shifts.

An augmentation is a :class:`torch.nn.Module` that maps a batch ``x`` of shape
``(n, n_channels, *spatial)``, in the units of the input, to a changed copy. In training every
batch passes through it, before any noise, and what a sample is to give back changes with it. One
of your own may take ``generator`` as a second argument, to draw from the estimator's generator.
Pairs, given as `X` and `target`, pass through it as one batch of ``2 * n_channels`` channels, the
input's first, so that both are changed alike.
"""

from numbers import Integral

import torch
from torch import Generator, Tensor, nn

__all__ = ["Shift"]


class Shift(nn.Module):
    """Shift each sample along each of its spatial axes, by whole positions.

    What moves in from outside repeats the values at the edge.

    Parameters
    ----------
    most : int
        Shifts are drawn from all integers between ``-most`` and ``most``.

    Raises
    ------
    ValueError
        If ``most`` is not a positive integer, or no smaller than a side of the samples.
    """

    def __init__(self, most: int = 1) -> None:
        super().__init__()
        if not isinstance(most, Integral) or isinstance(most, bool) or most < 1:
            raise ValueError(f"most={most!r} must be an integer of at least 1, in positions.")
        self.most = int(most)

    def forward(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        for axis in range(2, x.ndim):
            if self.most >= x.shape[axis] > 1:
                raise ValueError(
                    f"Shift({self.most}) moves samples of shape {tuple(x.shape[2:])} out of "
                    f"themselves; pass fewer positions."
                )
            shape = [1] * x.ndim
            shape[axis] = -1
            places = torch.arange(x.shape[axis], device=x.device).reshape(shape)
            shape[0], shape[axis] = len(x), 1
            shifts = torch.randint(
                -self.most, self.most + 1, shape, generator=generator, device=x.device
            )
            places = (places - shifts).clamp_(0, x.shape[axis] - 1)
            x = x.gather(axis, places.expand_as(x))
        return x
