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
# Noise by the first factor weaker than the data does nothing, by the second stronger leaves
# nothing; factors for a level that is chosen, and for the one that nobody chose.
NO_NOISE, NOT_MEANT, BY_DEFAULT = (40, 40), (15, 6), 0.3
# An axis whose entries have units of their own is that of channels, if it has no more entries, and
# by this factor fewer than another, along which the spreads differ by less than the last.
MOST_CHANNELS, SHORTER, ALIKE = 16, 4, 3
# How far noisy values lie beyond the unit interval, on either side.
NOISY_RANGE = 10


def refuse_target(X, y, instead, masks=True):
    """Whether ``y``, which is not used, is samples like those of ``X``.

    Labels, several for each sample among them, may be there for others to use. So may masks, which
    without ``masks`` have to be boolean or one-hot, and `X` itself, which is what an autoencoder
    gives back.
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
        one_hot = y.dtype.kind in "biuf" and (np.count_nonzero(y, axis=1) == 1).all()
        mask = y.dtype.kind == "b" or ((masks or one_hot) and _has_two_values(y))
        if (mask and not _has_two_values(X)) or y.dtype.kind not in "biuf" or np.array_equal(X, y):
            return
    raise ValueError(
        f"y has the shape {given}, and X has {shape}: it holds samples, not labels, and would not "
        f"be used; {instead}."
    )


def _has_two_values(array):
    """At most, as masks and one-hot labels do."""
    return array.dtype.kind == "b" or bool(((array == array.min()) | (array == array.max())).all())


def refuse_disordered(X, target):
    """Whether the rows or columns of two frames are the same in another order."""
    if target is None or any(hasattr(array, "collect") for array in (X, target)):  # lazy ones
        return
    for names, axis in (("columns", "columns"), ("index", "rows")):
        of_X, of_target = (getattr(array, names, None) for array in (X, target))
        if not all(hasattr(labels, "__len__") for labels in (of_X, of_target)):
            continue
        of_X, of_target = list(map(str, of_X)), list(map(str, of_target))
        if of_X != of_target and sorted(of_X) == sorted(of_target):
            raise ValueError(
                f"target has the {axis} of X in another order, and values are paired by their "
                f"place; pass {'target.loc[X.index]' if axis == 'rows' else 'target[X.columns]'}."
            )


def warn_of_channels(rows, layout):
    """Where no axis is named as that of channels, but the entries of one have their own units."""
    sides, axes = layout.shape, (len(layout.shape) - 1, 0)
    axes = [i for i in axes if SHORTER * sides[i] <= max(sides) and sides[i] <= MOST_CHANNELS]
    if layout.channel_axis is not None or not axes:
        return
    x = _few(rows).reshape(-1, *layout.shape)
    low, high = zip(*(_ends_of_spreads(x, axis) for axis in range(1, x.ndim)), strict=True)
    for axis in axes:
        others = [i for i, side in enumerate(sides) if side >= SHORTER * sides[axis]]
        alike = any(high[i] < ALIKE * low[i] for i in others)
        if alike and high[axis] > OTHER_UNITS * low[axis] > 0:
            axis = -1 if axis else 0
            warn(
                f"samples of shape {sides} are taken as {len(sides)}-dimensional "
                f"images with one channel, but the entries of axis {axis} vary by {low[axis]:.3g} "
                f"to {high[axis]:.3g}; if they are channels in units of their own, pass "
                f"channel_axis={axis}, otherwise input_shape={sides} to be explicit."
            )
            return


def _ends_of_spreads(x, axis):
    """Smallest and largest standard deviation of the entries of an axis, of those that vary.

    Without a quarter at each end, where images have a margin.
    """
    margin = x.shape[axis] // 4
    with np.errstate(over="ignore", invalid="ignore"):
        spreads = np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1).std(1)
    spreads = spreads[margin : len(spreads) - margin]
    spreads = spreads[spreads > 0]
    return (spreads.min(), spreads.max()) if len(spreads) else (0.0, 0.0)


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
        spreads = [std for _, std in _moments(few, layout) if std]
        if spreads and max(spreads) > OTHER_UNITS * min(spreads):
            better = (
                "its channels are in units of their own, for which one level cannot serve; divide "
                "each by its standard deviation before, and give the level as a share of that"
            )
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
    weaker, stronger = NOT_MEANT if level == BY_DEFAULT else NO_NOISE
    for _, std in _moments(rows, layout):
        if 0 < std < np.inf and level * weaker < std:
            return "is tiny beside X"
        if 0 < std < np.inf and level > stronger * std:
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
