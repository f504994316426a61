"""Noise that a denoising autoencoder learns to remove.

A corruption is a :class:`torch.nn.Module` that maps a batch ``x`` of shape
``(n, n_channels, *spatial)``, in the units of the input, to a noisy copy. Like dropout it is the
identity in evaluation mode. One of your own may take ``generator`` as a second argument to draw
its noise from the estimator's generator.
"""

import torch
from torch import Generator, Tensor, nn

__all__ = ["CORRUPTIONS", "Gaussian", "Masking", "SaltAndPepper"]


class Gaussian(nn.Module):
    r"""Additive noise, clipped: :math:`\mathrm{clip}(x + \sigma \epsilon)`.

    Parameters
    ----------
    noise_level : float
        Standard deviation :math:`\sigma`, in the units of the input.
    clip_range : tuple of float or None
        Smallest and largest value of the noisy data; None does not clip.
    """

    def __init__(self, noise_level: float, clip_range: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.noise_level = noise_level
        self.clip_range = clip_range

    def forward(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        if not self.training:
            return x
        noise = torch.randn(x.shape, generator=generator, device=x.device)
        noisy = x + noise.mul_(self.noise_level)
        return noisy if self.clip_range is None else noisy.clamp_(*self.clip_range)


class Masking(nn.Module):
    """Set a random fraction of the values to zero (Vincent et al., 2010).

    Parameters
    ----------
    noise_level : float
        Fraction of values that are lost, in [0, 1].
    clip_range : tuple of float or None
        Not used.
    """

    def __init__(self, noise_level: float, clip_range: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.noise_level = _check_fraction(noise_level, "masking")

    def forward(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        if not self.training:
            return x
        lost = torch.rand(x.shape, generator=generator, device=x.device) < self.noise_level
        return x.masked_fill(lost, 0.0)


class SaltAndPepper(nn.Module):
    """Set a random fraction of the values to the smallest or the largest, half each.

    Parameters
    ----------
    noise_level : float
        Fraction of values that are replaced, in [0, 1].
    clip_range : tuple of float or None
        Pepper and salt; None takes the smallest and the largest value of the batch.
    """

    def __init__(self, noise_level: float, clip_range: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.noise_level = _check_fraction(noise_level, "salt_and_pepper")
        self.clip_range = clip_range

    def forward(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        if not self.training:
            return x
        u = torch.rand(x.shape, generator=generator, device=x.device)
        pepper, salt = self.clip_range or x.aminmax()
        noisy = torch.where(u < self.noise_level / 2, pepper, x)
        return torch.where(u > 1 - self.noise_level / 2, salt, noisy)


def _check_fraction(noise_level: float, name: str) -> float:
    if noise_level > 1:
        raise ValueError(
            f"noise_level={noise_level!r} is not a fraction; corruption={name!r} needs the share "
            f"of the values that it replaces, between 0 and 1."
        )
    return noise_level


CORRUPTIONS = {"gaussian": Gaussian, "masking": Masking, "salt_and_pepper": SaltAndPepper}
