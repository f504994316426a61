"""What is left of samples without those that are explained worst."""

import math

from torch import Tensor


def n_kept(n: int, trim: float) -> int:
    """How many of ``n`` samples are left without the share ``trim``, rounded up; at least one."""
    return max(1, n - math.ceil(round(trim * n, 6)))


def trimmed_mean(losses: Tensor, trim: float) -> Tensor:
    """The mean without the share ``trim`` that is largest."""
    kept = n_kept(len(losses), trim)
    return losses.topk(kept, largest=False, sorted=False).values.mean()
