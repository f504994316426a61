"""Optimizers, and learning rates along the training, by name."""

import math

import torch


def one_cycle(share: float) -> float:
    """Rise from 1/25 in the first 30 percent, then fall to zero, along cosines (Smith, 2018)."""
    if share < 0.3:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * share / 0.3)) / 2
    return (1 + math.cos(math.pi * (share - 0.3) / 0.7)) / 2


def cosine(share: float) -> float:
    """Fall to zero along a cosine."""
    return (1 + math.cos(math.pi * share)) / 2


def factor_at(schedule, share: float) -> float:
    """What a schedule gives, a user's too, which is told where it is no factor."""
    given = schedule(share)
    try:
        factor = float(given)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        factor = math.nan
    if not 0 <= factor < math.inf:
        raise ValueError(
            f"lr_schedule gave {given!r} for the share {share:.3g} of the steps; it has to return "
            f"the factor of learning_rate there, a number from 0 up."
        )
    return factor


# The factor of the learning rate after the share in [0, 1) of all steps.
LR_SCHEDULES = {"one_cycle": one_cycle, "cosine": cosine, "constant": None}
OPTIMIZERS = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
