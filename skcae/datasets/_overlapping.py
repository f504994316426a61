"""Long recordings and whole images, by parts that overlap, and back."""

from itertools import product
from numbers import Integral, Real

import numpy as np

# Values of tiles that are in memory at once.
N_VALUES = 2**24


def sliding_windows(recording, length, step=1):
    """Cut a recording into windows, which may overlap.

    Parameters
    ----------
    recording : array-like of shape (n_times,) or (n_times, n_channels)
        Time is the first axis. A memory map stays on disk.
    length : int
        Time points in a window.
    step : int, default=1
        Time points from the start of a window to that of the next.

    Returns
    -------
    windows : ndarray of shape (n_windows, length) or (n_windows, length, n_channels)
        A view, which takes no memory and cannot be written. There are
        ``n_windows = (n_times - length) // step + 1``; fewer than `step` time points are left
        over at the end. Channels are the last axis: pass ``channel_axis=-1`` to the estimator.

    See Also
    --------
    average_windows : The way back.

    Examples
    --------
    >>> import numpy as np
    >>> from skcae.datasets import sliding_windows
    >>> sliding_windows(np.arange(7), 4, step=3)
    array([[0, 1, 2, 3],
           [3, 4, 5, 6]])
    """
    recording = np.asanyarray(recording)
    if recording.ndim not in (1, 2):
        raise ValueError(
            f"recording has the shape {recording.shape}; pass one of shape (n_times,) or "
            f"(n_times, n_channels). Of several, cut each and join the windows by np.concatenate."
        )
    length, step = _check_count("length", length), _check_count("step", step)
    if length > len(recording):
        turned = "; if time is its second axis, pass recording.T"
        raise ValueError(
            f"length={length} is more than the {len(recording)} time points of a recording of "
            f"shape {recording.shape}{turned if recording.ndim == 2 else ''}."
        )
    view = np.lib.stride_tricks.sliding_window_view(recording, length, axis=0, subok=True)
    return np.moveaxis(view[::step], -1, 1)


def average_windows(values, length, step=1, n_times=None):
    """Join what was computed of sliding windows to one value for each time point.

    A time point gets the mean over the windows that it is in.

    Parameters
    ----------
    values : array-like of shape (n_windows,) or (n_windows, length) or \
(n_windows, length, n_channels)
        A value for each window, as `score_samples` and `p_values` give, or for each of its time
        points, as `anomaly_map` and `reconstruct` do.
    length, step : int
        Those of the call of :func:`sliding_windows`.
    n_times : int, default=None
        Time points of the recording. None leaves out those at its end that are in no window.

    Returns
    -------
    averages : ndarray of shape (n_times,) or (n_times, n_channels), float64
        NaN where no window is: with a `step` larger than `length`, and at the end.

    See Also
    --------
    sliding_windows : The way there.

    Examples
    --------
    >>> import numpy as np
    >>> from skcae.datasets import average_windows
    >>> average_windows([1.0, 3.0], length=4, step=2)
    array([1., 1., 2., 2., 3., 3.])
    """
    values = np.asarray(values)
    length, step = _check_count("length", length), _check_count("step", step)
    if values.shape[1:2] not in ((), (length,)) or values.ndim not in (1, 2, 3) or not len(values):
        raise ValueError(
            f"values have the shape {values.shape}; pass ({len(np.atleast_1d(values))},), "
            f"(n_windows, {length}) or (n_windows, {length}, n_channels), which are of windows of "
            f"length={length}. Channels that are not last go there by np.moveaxis(values, 1, 2)."
        )
    n_windows = len(values)
    covered = (n_windows - 1) * step + length
    n_times = covered if n_times is None else _check_count("n_times", n_times)
    if not covered <= n_times < covered + step:
        raise ValueError(
            f"{n_windows} windows of length={length} with step={step} are of a recording of "
            f"{covered} to {covered + step - 1} time points, not n_times={n_times}; pass what "
            f"sliding_windows was given."
        )
    totals, counts = np.zeros((n_times, *values.shape[2:])), np.zeros(n_times)
    for i in range(length):
        times = slice(i, i + (n_windows - 1) * step + 1, step)
        totals[times] += values if values.ndim == 1 else values[:, i]
        counts[times] += 1
    counts[counts == 0] = np.nan
    return (totals.T / counts).T


def apply_to_tiles(function, image, tile_shape, overlap=0.5):
    """Apply a function of small images to a whole one: by tiles, blended where they overlap.

    An autoencoder that was trained on patches denoises, reconstructs or inspects images of any
    size. The weight of a tile falls from its middle to its edges as a squared sine, so that there
    are no seams, and edges, where a network sees least, count little.

    Parameters
    ----------
    function : callable
        Takes tiles of shape (n_tiles, \\*tile_shape), and returns an array of that shape, or of
        shape (n_tiles,): `reconstruct`, `anomaly_map` or `score_samples` of a fitted estimator,
        for instance.
    image : array-like
        A whole signal, image or volume, with channels where tiles have them. At least as large as
        a tile along each axis. Of a memory map a part at a time is read.
    tile_shape : tuple of int
        Shape of a tile, channels included: `input_shape_` of the estimator.
    overlap : float in [0, 1), default=0.5
        Share of a side that neighbouring tiles have in common at least. Twice as many tiles along
        each axis are needed for 0.5 as for 0.

    Returns
    -------
    result : ndarray of the shape of `image`
        float64 where `function` returns that, otherwise float32.

    See Also
    --------
    sklearn.feature_extraction.image.extract_patches_2d : Patches to train on.

    Examples
    --------
    >>> import numpy as np
    >>> from skcae.datasets import apply_to_tiles
    >>> image = np.random.default_rng(0).random((50, 70))
    >>> doubled = apply_to_tiles(lambda tiles: 2 * tiles, image, (16, 16))
    >>> np.allclose(doubled, 2 * image)
    True
    """
    if not callable(function):
        raise TypeError(
            f"function is of type {type(function).__name__}, which cannot be called; pass what is "
            f"to be done with tiles, as the method reconstruct of a fitted estimator."
        )
    image = np.asanyarray(image)
    tile_shape = _check_tile(tile_shape, image.shape)
    if not isinstance(overlap, Real) or not 0 <= overlap < 1:
        raise ValueError(f"overlap={overlap!r} is no share of a tile; pass a number in [0, 1).")
    starts = [
        _starts(side, tile, overlap) for side, tile in zip(image.shape, tile_shape, strict=True)
    ]
    weights = [np.sin(np.pi * (np.arange(tile) + 0.5) / tile) ** 2 for tile in tile_shape]
    weight = _along_axes(np.ones(tile_shape), weights)
    corners, n_at_once = list(product(*starts)), max(1, N_VALUES // int(np.prod(tile_shape)))
    result = None
    for first in range(0, len(corners), n_at_once):
        parts = [_part(corner, tile_shape) for corner in corners[first : first + n_at_once]]
        outputs = _outputs(function, np.stack([image[part] for part in parts]))
        if result is None:
            result = np.zeros(image.shape, np.result_type(outputs.dtype, np.float32))
        for part, output in zip(parts, outputs, strict=True):
            result[part] += weight * output
    # What each position was given in all is a product over the axes, too.
    totals = [
        _total(side, axis_starts, weight)
        for side, axis_starts, weight in zip(image.shape, starts, weights, strict=True)
    ]
    return _along_axes(result, [1 / total for total in totals])


def _check_count(name, value):
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r} is no number of time points; pass an int from 1 on.")
    return int(value)


def _check_tile(tile_shape, image_shape):
    """The shape of a tile, which has the axes of the image and fits into it."""
    tile_shape = tuple(tile_shape) if np.iterable(tile_shape) else (tile_shape,)
    if not all(isinstance(side, Integral) and side > 0 for side in tile_shape):
        raise ValueError(f"tile_shape={tile_shape!r} is no shape; pass its sides, as in (32, 32).")
    if len(tile_shape) != len(image_shape):
        raise ValueError(
            f"image has the shape {image_shape}, but tile_shape={tile_shape} has "
            f"{len(tile_shape)} axes; pass one image, with channels where tiles have them."
        )
    if any(tile > side for tile, side in zip(tile_shape, image_shape, strict=True)):
        raise ValueError(
            f"image has the shape {image_shape}, smaller than a tile of shape {tile_shape}; pad "
            f"it, for instance with np.pad(image, ..., mode='reflect'), or train on smaller ones."
        )
    return tile_shape


def _starts(side, tile, overlap):
    """Where the tiles along an axis start, evenly from its start to its end."""
    step = max(1, tile - int(np.ceil(overlap * tile)))
    n_tiles = -(-(side - tile) // step) + 1
    return [int(start) for start in np.linspace(0, side - tile, n_tiles).round()]


def _part(corner, tile_shape):
    return tuple(slice(i, i + side) for i, side in zip(corner, tile_shape, strict=True))


def _outputs(function, tiles):
    """What a function makes of tiles, to combine with them."""
    outputs = np.asarray(function(tiles))
    if outputs.shape not in (tiles.shape, tiles.shape[:1]):
        raise ValueError(
            f"function returned the shape {outputs.shape} for tiles of shape {tiles.shape}; it "
            f"must return that shape, or one value for each tile, ({len(tiles)},)."
        )
    return outputs.reshape(len(tiles), *outputs.shape[1:] or [1] * (tiles.ndim - 1))


def _total(side, starts, weight):
    """The sum of the weights of all tiles along an axis."""
    total = np.zeros(side)
    for start in starts:
        total[start : start + len(weight)] += weight
    return total


def _along_axes(values, factors):
    """Values times a vector along each axis."""
    for axis, factor in enumerate(factors):
        others = [i for i in range(len(factors)) if i != axis]
        values = values * np.expand_dims(factor.astype(values.dtype), others)
    return values
