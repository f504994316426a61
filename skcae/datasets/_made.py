"""Data that are made up: textures with defects, and a recording of a machine that fails."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

# Of a texture: its period, in values, and the standard deviation of its noise. Of a defect: its
# radius, as a share of the longest side.
PERIOD, NOISE, RADIUS = 8, 0.03, (0.06, 0.16)
# Of a recording: time points of a cycle, of an anomaly, and of that with those around it.
CYCLE, DURATION, ROOM = 50, (30, 81), 100


def make_signals(
    n_samples=500, length=128, *, n_channels=None, contamination=0.1, random_state=None
):
    """Make oscillations, some of them with a stretch that is wrong.

    Parameters
    ----------
    n_samples : int, default=500
        Number of signals.
    length : int, default=128
        Number of their values.
    n_channels : int, default=None
        Number of their channels. None makes signals without an axis of channels.
    contamination : float in [0, 1], default=0.1
        Share of signals with an anomaly.
    random_state : int, RandomState instance or None, default=None
        An int makes the same data in every call.

    Returns
    -------
    X : ndarray of shape (n_samples, length) or (n_samples, length, n_channels), float32
        Signals, most of their values in [0, 1].
    y : ndarray of shape (n_samples,), int64
        1 for normal signals, -1 for those with an anomaly, as `predict` returns.
    masks : ndarray of the shape of `X`, bool
        Where the anomalies are.

    Examples
    --------
    >>> from skcae.datasets import make_signals
    >>> X, y, masks = make_signals(200, contamination=0.05, random_state=0)
    >>> X.shape, masks.shape, int((y == -1).sum())
    ((200, 128), (200, 128), 10)
    """
    _check_count("length", length)
    return _make(n_samples, (length,), n_channels, contamination, random_state)


def make_images(
    n_samples=500, size=(32, 32), *, n_channels=None, contamination=0.1, random_state=None
):
    """Make images of a fabric, some of them with a defect.

    Defects are stains, holes and threads in the wrong place, at random.

    Parameters
    ----------
    n_samples : int, default=500
        Number of images.
    size : tuple of int (height, width), default=(32, 32)
        Their size.
    n_channels : int, default=None
        Number of their channels, 3 for colours. None makes images without an axis of channels.
    contamination : float in [0, 1], default=0.1
        Share of images with a defect.
    random_state : int, RandomState instance or None, default=None
        An int makes the same data in every call.

    Returns
    -------
    X : ndarray of shape (n_samples, height, width) or (n_samples, height, width, n_channels), \
float32
        Images, most of their values in [0, 1].
    y : ndarray of shape (n_samples,), int64
        1 for normal images, -1 for those with a defect, as `predict` returns.
    masks : ndarray of the shape of `X`, bool
        Where the defects are.

    Examples
    --------
    >>> from skcae.datasets import make_images
    >>> X, y, masks = make_images(200, n_channels=3, random_state=0)
    >>> X.shape, masks.shape, int((y == -1).sum())
    ((200, 32, 32, 3), (200, 32, 32, 3), 20)
    """
    size = _check_size(size, ("height", "width"))
    return _make(n_samples, size, n_channels, contamination, random_state)


def make_volumes(
    n_samples=200, size=(16, 16, 16), *, n_channels=None, contamination=0.1, random_state=None
):
    """Make volumes with a regular structure, some of them with a defect.

    Parameters
    ----------
    n_samples : int, default=200
        Number of volumes.
    size : tuple of int (depth, height, width), default=(16, 16, 16)
        Their size.
    n_channels : int, default=None
        Number of their channels. None makes volumes without an axis of channels.
    contamination : float in [0, 1], default=0.1
        Share of volumes with a defect.
    random_state : int, RandomState instance or None, default=None
        An int makes the same data in every call.

    Returns
    -------
    X : ndarray of shape (n_samples, depth, height, width) or (n_samples, depth, height, width, \
n_channels), float32
        Volumes, most of their values in [0, 1].
    y : ndarray of shape (n_samples,), int64
        1 for normal volumes, -1 for those with a defect, as `predict` returns.
    masks : ndarray of the shape of `X`, bool
        Where the defects are.

    Examples
    --------
    >>> from skcae.datasets import make_volumes
    >>> X, y, masks = make_volumes(50, random_state=0)
    >>> X.shape, masks.shape, int((y == -1).sum())
    ((50, 16, 16, 16), (50, 16, 16, 16), 5)
    """
    size = _check_size(size, ("depth", "height", "width"))
    return _make(n_samples, size, n_channels, contamination, random_state)


def make_recording(n_times=20_000, n_channels=3, *, n_anomalies=10, random_state=None):
    """Make the recording of the sensors of a machine, with stretches where one of them is wrong.

    The machine runs in cycles of about 50 time points, whose length and strength drift. In an
    anomaly one sensor is stuck, late by half a cycle, or oscillates three times as fast; its
    values stay in the range that they always have. The first half of the recording is normal.

    Parameters
    ----------
    n_times : int, default=20_000
        Number of time points.
    n_channels : int, default=3
        Number of sensors, which have units of their own.
    n_anomalies : int, default=10
        Number of anomalies, of 30 to 80 time points each, no two of which touch.
    random_state : int, RandomState instance or None, default=None
        An int makes the same data in every call.

    Returns
    -------
    recording : ndarray of shape (n_times, n_channels), float32
        What the sensors measured.
    y : ndarray of shape (n_times,), int64
        1 where all is normal, -1 within an anomaly, as `predict` returns.

    Examples
    --------
    >>> from skcae.datasets import make_recording
    >>> recording, y = make_recording(2000, n_anomalies=2, random_state=0)
    >>> recording.shape, y.shape
    ((2000, 3), (2000,))
    """
    _check_count("n_times", n_times)
    _check_count("n_channels", n_channels)
    _check_count("n_anomalies", n_anomalies, 0)
    if n_anomalies * ROOM > n_times // 2:
        raise ValueError(
            f"n_anomalies={n_anomalies} do not fit into half of n_times={n_times}; pass at least "
            f"n_times={2 * n_anomalies * ROOM}, or fewer anomalies."
        )
    rng = _generator(random_state)
    lengths = CYCLE * (1 + 0.1 * np.sin(np.arange(n_times) / 300 + rng.uniform(0, 6)))
    cycles = np.cumsum(1 / lengths)
    delays, overtones = rng.random(n_channels), rng.uniform(0.2, 0.5, n_channels)

    def measure(cycles):
        angle = 2 * np.pi * (cycles[:, None] + delays)
        strength = 1 + 0.2 * np.sin(angle / 37)
        return strength * (np.sin(angle) + overtones * np.sin(2 * angle + delays))

    values = measure(cycles) + rng.normal(0, 0.1, (n_times, n_channels))
    y = np.ones(n_times, np.int64)
    for i, times in enumerate(_stretches(n_times, n_anomalies, rng)):
        channel, y[times] = rng.integers(n_channels), -1
        if i % 3 == 0:
            values[times, channel] = values[times.start, channel]
        else:
            wrong = cycles[times] + 0.5 if i % 3 == 1 else 3 * cycles[times]
            values[times, channel] = measure(wrong)[:, channel]
    units = 10.0 ** (np.arange(n_channels) % 3 - 1)
    return (units * (4 + values)).astype(np.float32), y


def _stretches(n_times, n_anomalies, rng):
    """Slices in the second half, in order, with a time point between them at least."""
    places = rng.permutation((n_times - n_times // 2) // ROOM)[:n_anomalies]
    for place in np.sort(places):
        duration = rng.integers(*DURATION)
        start = n_times // 2 + place * ROOM + rng.integers(ROOM - duration)
        yield slice(int(start), int(start + duration))


def _make(n_samples, shape, n_channels, contamination, random_state):
    """Textures of any number of axes, some with a defect, their labels and masks."""
    _check_count("n_samples", n_samples)
    if n_channels is not None:
        _check_count("n_channels", n_channels)
    if not isinstance(contamination, Real) or not 0 <= contamination <= 1:
        raise ValueError(f"contamination={contamination!r} is no share; pass one in [0, 1].")
    rng = _generator(random_state)
    y = np.ones(n_samples, np.int64)
    y[rng.permutation(n_samples)[: round(contamination * n_samples)]] = -1
    X = np.empty((n_samples, *shape, n_channels or 1), np.float32)
    masks = np.zeros(X.shape, bool)
    for x, label, mask in zip(X, y, masks, strict=True):
        x[:] = texture = _texture(x.shape, rng)
        if label < 0:
            mask[:] = _ball(shape, rng)[..., None]
            x[mask] = _spoil(texture, rng)[mask]
        x += rng.normal(0, NOISE, x.shape)
    return (X, y, masks) if n_channels else (X[..., 0], y, masks[..., 0])


def _texture(shape, rng):
    """A wave along each axis, with random phases, strength and brightness."""
    texture, n_axes = np.full(shape, rng.uniform(0.4, 0.6)), len(shape) - 1
    strength = rng.uniform(0.2, 0.3) / n_axes
    for axis in range(n_axes):
        # Each channel is a little later than the one before.
        late = (np.arange(shape[-1]) + rng.uniform(0, PERIOD)) / PERIOD
        places = np.arange(shape[axis])[:, None] / (PERIOD * rng.uniform(0.9, 1.1))
        wave = strength * np.sin(2 * np.pi * (places + late))
        texture += np.expand_dims(wave, [other for other in range(n_axes) if other != axis])
    return texture


def _ball(shape, rng):
    """A mask that holds a value at least."""
    centre = [rng.integers(side) for side in shape]
    radius = rng.uniform(*RADIUS) * max(shape)
    squares = [(np.arange(side) - c) ** 2 for side, c in zip(shape, centre, strict=True)]
    return sum(np.ix_(*squares)) <= radius**2


def _spoil(texture, rng):
    """What is in place of a texture in a defect: a stain, a hole, or another texture."""
    kind = rng.integers(3)
    if kind == 0:
        return texture + rng.choice([-0.3, 0.3])
    return np.full_like(texture, texture.mean()) if kind == 1 else 2 * texture.mean() - texture


def _generator(random_state):
    """A generator of numbers that leaves NumPy's global one alone."""
    if random_state is None:
        return np.random.default_rng()
    return np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))


def _check_count(name, value, least=1):
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r} is no count; pass an int of at least {least}.")


def _check_size(size, names):
    """A tuple with a count for each of the names."""
    sides = tuple(size) if np.iterable(size) else (size,)
    whole = all(isinstance(side, Integral) and side > 0 for side in sides)
    if len(sides) != len(names) or not whole:
        raise ValueError(
            f"size={size!r} is no size; pass ({', '.join(names)}), and channels as n_channels."
        )
    return sides
