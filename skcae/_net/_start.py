"""Where training starts and what it is worth: principal components, and rows that are held out."""

import numpy as np
import torch
from sklearn import config_context
from sklearn.utils.extmath import randomized_svd

from .._data._stored import subsample
from .._threads import one_thread

# Most values for principal components, and most operations, times some ten, for exact ones; most
# rows that are held out, and most in a batch of them; the shares of the network that are tried.
N_VALUES, N_EXACT, N_HELD_OUT, N_BATCH = 2**27, 2**31, 500, 50
SHARES = np.linspace(0, 1, 11)
# By so much a network alone may fall short of one beside PCA in a pilot.
NEARLY = 1.03


def n_held_out(n: int) -> int:
    """A tenth of ``n`` rows, of few up to a quarter."""
    return min(max(n // 10, 20), n // 4, N_HELD_OUT)


def start_at_components(net, X) -> None:
    """Have the linear path be the principal components of rows, and the layers add nothing.

    Of many rows those of a random part. Components beyond the rank of the data are zero.
    """
    rows = X[subsample(X, max(1, N_VALUES // X.shape[1]), net.seed)]
    x = net.standardize(rows).flatten(1).cpu().numpy()
    n_components = min(net.code_size_, *x.shape) if np.ptp(x) and len(x) > 1 else 0
    components = np.zeros((net.code_size_, x.shape[1]), np.float32)
    mean = x.mean(0, dtype=np.float64).astype(np.float32)
    if n_components:
        components[:n_components] = principal_axes(x - mean, n_components, net.seed)
    with torch.no_grad():
        net.network.start_linear_path_(torch.from_numpy(components), torch.from_numpy(mean))


def principal_axes(centred: np.ndarray, n_components: int, seed: int) -> np.ndarray:
    """The first right singular vectors, each with its largest value positive.

    Exact ones of few rows or features, else those of a random projection. No estimator: of those
    users patch `fit`, to log it.
    """
    n, d = centred.shape
    if min(n, d) ** 2 * max(n, d) <= N_EXACT:
        with one_thread():
            axes = torch.linalg.svd(torch.from_numpy(centred), full_matrices=False).Vh.numpy()
    elif d <= min(1000, n // 10):
        axes = np.linalg.eigh(centred.T @ centred)[1].T[::-1]
    else:
        with config_context(array_api_dispatch=False):  # of the user's; it takes other steps
            axes = randomized_svd(centred, n_components, random_state=seed)[2]
    axes = axes[:n_components]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1)
    return axes * np.sign(largest)


def weigh_network(net, X, index: np.ndarray) -> np.ndarray:
    """Weigh the network against its linear path, if it has one, by the loss of held-out rows.

    Returns the loss of each row, corrupted as in training, for each share of the network that was
    tried, ``(n_shares, n)``; the first is that of the linear path alone. ``X`` has ``batches``.
    """
    parts = np.array_split(index, -(-len(index) // N_BATCH))
    with net.isolate(N_BATCH), torch.inference_mode():
        batches = [net.prepare(x, None) for x in X.batches(parts)]
        path, targets = net.linear_path, [target for _, target in batches]
        if path is None:
            return _losses(net, [net.module_.encode(x) for x, _ in batches], targets)[None]
        # What each gives of the code does not depend on the share.
        codes = [(path.encode(x), net.network.encode_by_layers(x)[0]) for x, _ in batches]
        losses = []
        for share in SHARES:
            path.share.fill_(share)
            losses.append(_losses(net, (path.join(*both) for both in codes), targets))
        losses = np.stack(losses)
        best = int(np.argmin(np.nan_to_num(losses.mean(1), nan=np.inf, posinf=np.inf)))
        path.share.fill_(SHARES[best])
    return losses


def needs_no_path(alone: np.ndarray, beside: np.ndarray) -> bool:
    """Whether a network does better alone, by held-out losses of pilots, ``(n_shares, n)`` each.

    It must be better than PCA, but may fall a little short of the network beside PCA, since it
    gains more from the epochs that a pilot lacks.
    """
    loss, losses = alone.mean(), beside.mean(1)
    return bool(loss < losses[0] and loss <= NEARLY * np.nanmin(losses))


def _losses(net, codes, targets):
    decoded = zip(map(net.module_.decode, codes), targets, strict=True)
    losses = [net.criterion_(output, target).double() for output, target in decoded]
    return torch.cat(losses).cpu().numpy()
