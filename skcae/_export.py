"""`export_onnx`: a fitted estimator as a file for other programs, compared with the estimator."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import torch

from ._base import BaseAutoencoder
from ._data._scaling import to_channels

# The types of values that a graph may take; how far its results may lie from those of the
# estimator, over their size; samples on which they are compared, and how noisy those are.
DTYPES = ("float32", "float64", "uint8", "int8", "uint16", "int16", "int32", "int64")
TOLERANCE, N_COMPARED, NOISE = 1e-5, 16, 0.2
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def export_onnx(estimator, path, output="codes", dtype="float32"):
    """Write a fitted estimator to an ONNX file, which runs without Python and PyTorch.

    The graph takes samples as they are given to the estimator, any number of them: standardizing,
    network, densities, threshold and p-values are in it. It is that of
    :meth:`~skcae.ConvAutoencoder.to_module`. Before it is written, onnxruntime runs it on samples
    that the estimator makes up, and its results must be those of the estimator within 1e-5 of
    their size.

    Parameters
    ----------
    estimator : estimator of skcae
        Fitted. Of a Pipeline its last step; the steps before it are not in the graph.
    path : str or path-like
        The file, as "ae.onnx". An existing one is replaced, once the new one is complete.
    output : {"codes", "reconstruction", "score", "alarm"}, default="codes"
        What the graph gives: what `transform`, `reconstruct` or `score_samples` returns, under
        the name of the output. "alarm" gives ``alarm``, whether `predict` calls a sample an
        outlier, its ``score``, and of a calibrated estimator its ``p_value``, as of
        :meth:`~skcae.ConvAutoencoder.to_module`.
    dtype : {"float32", "float64", "uint8", "int8", "uint16", "int16", "int32", "int64"}, \
default="float32"
        The type of the samples in the graph, whose units are always those of the `X` given to
        `fit`: integers only where that held whole numbers.

    Raises
    ------
    ValueError
        Where the score draws at random, as log-likelihoods do; where PyTorch cannot turn a part
        of yours, such as a `module`, into a graph; where results differ.
    ImportError
        Without onnx, onnxscript and onnxruntime: ``pip install "skcae[onnx]"``.

    Notes
    -----
    The inputs are ``X``, of the shape of the `X` given to `fit`, and of a
    :class:`~skcae.ConditionalConvVAE` also ``y``, int64: the labels, or where those are no whole
    numbers their places in `classes_`, under which samples are encoded and decoded. Values are
    not checked as the estimator's methods do. NaN, and of a label one that is unknown, makes
    codes and reconstructions NaN, the score minus infinity and so an alarm.

    Examples
    --------
    >>> from skcae import ConvAutoencoder, export_onnx
    >>> ae = ConvAutoencoder(calibration=0.2).fit(X)                # doctest: +SKIP
    >>> export_onnx(ae, "ae.onnx", output="alarm")                  # doctest: +SKIP
    """
    _check_estimator(estimator)
    module, net = estimator.to_module(output), estimator.net_
    dtype = _check_dtype(dtype, net)
    for package in PACKAGES:
        _import(package)
    labels = [] if module.classes is None else [np.arange(N_COMPARED) % len(module.classes)]
    rows = _make_rows(net, dtype, labels)
    samples = {"X": rows.reshape(-1, *net.layout.shape) if net.layout.images else rows}
    if labels:
        samples["y"] = module.classes.numpy()[labels[0]]
    model = _trace(module, samples, type(estimator).__name__)
    _describe(model, estimator, output)
    content = model.SerializeToString()
    expected = _expect_codes if output in ("codes", "reconstruction") else _expect_scores
    _compare(_run(content, samples), expected(estimator, output, rows, labels))
    _write(Path(path), content)


def _check_estimator(estimator):
    if isinstance(estimator, BaseAutoencoder):
        return
    steps = ""
    if hasattr(estimator, "steps"):
        steps = ": of a Pipeline its last step, to whose graph you give what the others return"
    raise TypeError(
        f"estimator is a {type(estimator).__name__}; pass a fitted estimator of skcae{steps}."
    )


def _check_dtype(dtype, net):
    """A type that holds samples in the units of the fit."""
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r} is unknown; choose one of {list(DTYPES)}.")
    if np.dtype(dtype).kind in "iu" and not net.scaling.seen.whole:
        raise ValueError(
            f"dtype={dtype!r} holds whole numbers, but the X given to fit had others; pass "
            f"dtype='float32', or fit on whole numbers."
        )
    if dtype == "float32" and net.scaling.is_far:
        raise ValueError(
            "the X given to fit is so far from zero that float32 rounds what varies; pass "
            "dtype='float64'."
        )
    return np.dtype(dtype)


def _import(package):
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(
            f'export_onnx needs {package}, which is not installed; run pip install "skcae[onnx]".'
        ) from error


def _make_rows(net, dtype, labels):
    """Samples in the units of the fit: what the net makes of noise, and a share of the noise."""
    layout, scaling, rng = net.layout, net.scaling, np.random.default_rng(0)
    noise = rng.normal(size=(N_COMPARED, layout.n_channels, *layout.spatial))
    if net.loss.unit_interval:
        noise = np.clip(0.5 + 0.25 * noise, 0, 1)
    rows = layout.unfold(scaling.inverse(torch.from_numpy(noise))).numpy()
    rows = NOISE * rows + (1 - NOISE) * net.decode(net.encode(rows, *labels), *labels)
    rows = rows.clip(scaling.seen.low, scaling.seen.high)
    return rows.astype(dtype) if dtype.kind == "f" else np.rint(rows).astype(dtype)


def _trace(module, samples, name):
    """The graph of a module, for any number of samples."""
    aten = torch.ops.aten
    pools = aten.adaptive_avg_pool1d, aten.adaptive_avg_pool2d, aten.adaptive_avg_pool3d
    try:
        return torch.onnx.export(
            module,
            tuple(torch.from_numpy(values[:3]) for values in samples.values()),
            dynamo=True,
            dynamic_shapes=({0: "n"}, {0: torch.export.Dim.DYNAMIC})[: len(samples)],
            input_names=list(samples),
            output_names=list(module.names),
            custom_translation_table={pool.default: _pool for pool in pools},
            optimize=False,  # which rounds otherwise; runtimes optimize what they load
            verbose=False,
        ).model_proto
    except RuntimeError as error:
        raise ValueError(
            f"PyTorch cannot turn this {name} into a graph: {_find_cause(error)}. Where a module, "
            f"loss or anomaly_score of yours is in it, use operations on tensors that ONNX has, "
            f"for any number of samples: x.shape[0] and not len(x), no NumPy, no branches on "
            f"values."
        ) from error


def _pool(x, sizes):
    """Means over the cells of a grid, of which onnxruntime has none in double precision."""
    op, shape = import_module("onnxscript").opset18, x.shape
    for axis, n_cells in enumerate(sizes, len(shape) - len(sizes)):
        side, means = shape[axis], []
        for i in range(n_cells):
            start, stop = i * side // n_cells, -(-(i + 1) * side // n_cells)
            means.append(op.ReduceMean(op.Slice(x, [start], [stop], [axis]), [axis], keepdims=1))
        x = op.Concat(*means, axis=axis)
    return x


def _find_cause(error):
    """The first line of what an error comes from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0].rstrip(".")


def _describe(model, estimator, output):
    """Tell in the file what it is."""
    from . import __version__

    model.producer_name, model.producer_version = "skcae", __version__
    told = {"estimator": type(estimator).__name__, "output": output}
    if hasattr(estimator, "classes_"):
        told["classes"] = json.dumps(estimator.classes_.tolist())
    for key, value in told.items():
        model.metadata_props.add(key=key, value=value)


def _write(path, content):
    """A whole file, or none."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


# Comparing ----------------------------------------------------------------------------------


def _run(content, samples):
    """The results of onnxruntime by name, of one sample and of the others."""
    try:
        providers = ["CPUExecutionProvider"]
        session = import_module("onnxruntime").InferenceSession(content, providers=providers)
    except Exception as error:  # its classes have no public base
        raise ValueError(f"onnxruntime cannot run the graph: {error}") from error
    names = [result.name for result in session.get_outputs()]
    batches = [
        session.run(names, {name: values[part] for name, values in samples.items()})
        for part in (slice(1), slice(1, None))
    ]
    results = map(np.concatenate, zip(*batches, strict=True))
    return dict(zip(names, results, strict=True))


def _compare(results, expected):
    """Whether results lie where they are expected."""
    for name, (low, high) in expected.items():
        result = results[name].reshape(low.shape)
        if not np.all((low <= result) & (result <= high)):
            raise ValueError(
                f"the graph was not written, for onnxruntime gives another {name} than the "
                f"estimator, by more than {TOLERANCE:g} of its size. A module, loss or "
                f"anomaly_score of yours that draws at random, or whose result depends on the "
                f"number of samples, can be the cause."
            )


def _around(values, size):
    """The lowest and the highest results that are as good as these values."""
    slack = TOLERANCE * size + 4 * np.spacing(np.abs(values))
    return values - slack, values + slack


def _expect_codes(estimator, output, rows, labels):
    """Between which results codes, or reconstructions, must lie."""
    net = estimator.net_
    codes = net.encode(rows, *labels)
    if output == "codes":
        return {output: _around(codes, max(1.0, np.ptp(codes)))}
    values = net.decode(codes, *labels)
    spreads = [np.ptp(channel) for channel in net.layout.channels_of(values)]
    sizes = np.maximum(spreads, net.scaling.scale)
    blank = torch.zeros(1, net.layout.n_channels, *net.layout.spatial, dtype=torch.float64)
    return {output: _around(values, net.layout.unfold(blank + to_channels(sizes, blank)).numpy())}


def _expect_scores(estimator, output, rows, labels):
    """The same of scores, alarms and p-values."""
    low, high = _expect_score(estimator.net_, rows, *labels)
    expected = {"score": (low, high)}
    if output == "alarm":
        expected["alarm"] = high < estimator.offset_, low < estimator.offset_
    parts = estimator._module_options().get("parts") if output == "alarm" else ()
    if parts:
        ends = zip(*(_expect_score(net, rows) for net, _ in parts), strict=True)
        known = [scores for _, scores in parts]
        expected["p_value"] = tuple(_p_value(known, scores) for scores in ends)
    return expected


def _expect_score(net, rows, *labels):
    scores = -net.anomaly_scores(rows, *labels)
    return _around(scores, np.abs(scores).max())


def _p_value(known, scores):
    """The largest p-values that scores, as each part of a calibration gives them, may have."""
    above = sum(
        len(k) - np.searchsorted(k, -score) for k, score in zip(known, scores, strict=True)
    )
    return (1 + above) / (1 + sum(map(len, known)))
