"""What is given beside `X`: whether it is in the units of `X`, or would be ignored."""

from functools import partial

import numpy as np

from .._warnings import warn
from ..corruptions import Gaussian, SaltAndPepper
from ._stored import Stored, blocks, stored_or_array, subsample
from ._validation import as_numpy

# Of up to so many rows, and values, the spread is estimated.
N_ROWS, N_VALUES = 1000, 2**22
# Spreads by this factor apart are of other units: 8-bit values beside [0, 1] are 255 apart, 4-bit
# ones 15, but noise ten times as strong as the signal can be learned from.
OTHER_UNITS = 12
# Noise by this factor weaker than the data does nothing, by this factor stronger leaves nothing.
NO_NOISE = 40
# How far noisy values lie beyond the unit interval, on either side.
NOISY_RANGE = 10


def refuse_target(X, y, instead):
    """Whether ``y``, which is not used, is samples like those of ``X``.

    Labels, several for each sample among them, may be there for others to use. So may masks, and
    `X` itself, which is what an autoencoder gives back.
    """
    given = _shape(y)
    if y is None or y is X or len(given) < 2 or hasattr(y, "toarray"):
        return
    shape = _shape(X)
    if given[:1] != shape[:1] or not np.prod(given[1:]) == np.prod(shape[1:]) > 1:
        return
    X, y = (stored_or_array(as_numpy(array)) for array in (X, y))
    if not (isinstance(X, Stored) or isinstance(y, Stored)):
        X, y = (np.asarray(array).reshape(given[0], -1) for array in (X, y))
        mask = _is_mask(y) and not _is_mask(X)
        if mask or y.dtype.kind not in "biuf" or np.array_equal(X, y):
            return
    raise ValueError(
        f"y has the shape {given}, and X has {shape}: it holds samples, not labels, and would not "
        f"be used; {instead}."
    )


def _is_mask(array):
    """Whether it has two values at most, as masks and one-hot labels do."""
    return array.dtype.kind == "b" or bool(((array == array.min()) | (array == array.max())).all())


def warn_of_other_units(rows, target, layout):
    """Whether reconstructions in the units of ``target`` can be compared with the rows."""
    moments = [_moments(_few(array), layout) for array in (rows, target)]
    for (mean, std), (target_mean, target_std) in zip(*moments, strict=True):
        low, high = sorted((std, target_std))
        far = abs(mean - target_mean) > OTHER_UNITS * high
        if low > 0 and (far or high > OTHER_UNITS * low):
            warn(
                f"target varies by {target_std:.3g} around {target_mean:.3g}, but X by {std:.3g} "
                f"around {mean:.3g}; if they are in different units, bring target to those of X, "
                f"in which the network is trained and its scores are."
            )
            return


def warn_of_no_noise(corruption, rows, layout):
    """Whether a level of noise in the units of X is weak or strong beyond use."""
    few, clip_range = _few(rows), getattr(corruption, "clip_range", None)
    low, high = float(few.min()), float(few.max())
    clips = f"clip_range={clip_range}"
    range_of_X = f"their range is clip_range=({low:.4g}, {high:.4g})"
    if isinstance(corruption, Gaussian) and corruption.noise_level:
        given, level = f"noise_level={corruption.noise_level:g}", corruption.noise_level
        better = f"0.3 of their range is noise_level={0.3 * (high - low):.4g}"
    elif isinstance(corruption, SaltAndPepper) and clip_range:
        given, level, better = clips, (clip_range[1] - clip_range[0]) / 2, range_of_X
    else:
        return
    effect = _effect_of_noise(level, few, layout)
    if not effect and isinstance(corruption, Gaussian) and clip_range:
        lost = few.std() > 2 * few.clip(*clip_range).std()
        given, better, effect = clips, range_of_X, "cuts off most of X" if lost else None
    if effect:
        warn(
            f"{given}, in the units of X, {effect}, whose values go from {low:.4g} to "
            f"{high:.4g}: {better}."
        )


def _effect_of_noise(level, rows, layout):
    """What is wrong with it for some channel, or None."""
    for _, std in _moments(rows, layout):
        if 0 < std < np.inf and level * NO_NOISE < std:
            return "is tiny beside X"
        if 0 < std < np.inf and level > NO_NOISE * std:
            return "is huge beside X"
    return None


def check_noisy(rows, scaling, parameter, when_read=False):
    """Whether values of samples to denoise are in units in which the clean ones are in [0, 1]."""
    check = partial(_check_noisy, scaling=scaling, parameter=parameter)
    if when_read and isinstance(rows, Stored):
        rows.checks.append(check)
        return
    for block in blocks(rows):
        check(block)


def _check_noisy(rows, scaling, parameter):
    low, high, unit = float(rows.min()), float(rows.max()), scaling.unit
    if low < -NOISY_RANGE * unit or high > (1 + NOISY_RANGE) * unit:
        raise ValueError(
            f"{parameter} gives back values in [0, {unit:g}], but X has values from {low:g} to "
            f"{high:g}, which is more than noise; bring X to those units."
        )


def _moments(rows, layout):
    """Mean and standard deviation of each channel."""
    with np.errstate(over="ignore", invalid="ignore"):
        return [
            (float(x.mean()), float(x.std()) if np.ptp(x) else 0.0)
            for x in layout.channels_of(rows)
        ]


def _few(rows):
    """Some of the rows, in double precision."""
    n = max(1, min(N_ROWS, N_VALUES // rows.shape[1]))
    return np.asarray(rows[subsample(rows, n, 0)], np.float64)


def _shape(array):
    """Its shape, of labels and lists too; () where it has none."""
    try:
        return tuple(array.shape if hasattr(array, "shape") else np.shape(array))
    except (TypeError, ValueError, RuntimeError):
        return ()
