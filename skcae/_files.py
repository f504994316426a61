"""Files of estimators: arrays as safetensors, all else as JSON, and nothing that could be run.

A file is one of safetensors whose metadata have one entry, a JSON object: checksum, versions, and
what the estimator is made of.
"""

import hashlib
import json
import os
import secrets

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from ._base import BaseAutoencoder, _version
from ._encoding import Decoder, Encoder

# Raised when earlier versions of the package would misread what is written.
FORMAT = 1
# How each file goes on after the eight bytes with the length of its header; then comes the
# checksum, which is that of the file with zeros in this place.
START, ZEROS = b'{"__metadata__":{"skcae":"{\\"sha256\\":\\"', b"0" * 64
AT, END = 8 + len(START), 8 + len(START) + len(ZEROS)
FOREIGN = {b"\x80": "a pickle, as of joblib", b"PK": "a zip, as of skops or torch.save"}


def save(estimator, path):
    """Write an estimator to a file that holds nothing to be run.

    It is a file of safetensors: other programs can read the arrays, and the rest is JSON in its
    metadata. It holds the parameters and all that was learned: a loaded estimator gives the same
    results to the last bit, and `partial_fit` goes on as if nothing had happened. Of classes and
    functions of yours it holds the names, and of objects the values of their attributes. It is
    read back before it replaces what was there, and replaces it at once: there is never half a
    file.

    Parameters
    ----------
    estimator : estimator of skcae
        Fitted or not. Of a Pipeline, save the step.
    path : str or path-like
        Where to write. The suffix that other programs know is ``.safetensors``.

    Raises
    ------
    TypeError
        If `estimator` is none of skcae.
    ValueError
        If it holds something that a file cannot, such as an open file.

    See Also
    --------
    load : Reads the file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_digits
    >>> import skcae
    >>> X = load_digits().images[:100]
    >>> ae = skcae.ConvAutoencoder(n_components=4, max_epochs=2, random_state=0).fit(X)
    >>> with TemporaryDirectory() as folder:
    ...     skcae.save(ae, f"{folder}/ae.safetensors")
    ...     same = skcae.load(f"{folder}/ae.safetensors")
    >>> bool((same.transform(X) == ae.transform(X)).all())
    True
    """
    if not isinstance(estimator, BaseAutoencoder):
        raise TypeError(
            f"save takes an estimator of skcae, not a {type(estimator).__name__}; of a Pipeline "
            f"save the step, as pipeline[-1], and the other steps with skops or joblib; of a "
            f"search save its best_estimator_."
        )
    path, writer = os.path.realpath(path), Encoder()
    try:
        tree = writer.write(estimator)
    except RecursionError as error:
        raise ValueError(
            f"{type(estimator).__name__} holds something that refers to itself, which a file "
            f"cannot; take it out before, or pickle the estimator with joblib."
        ) from error
    about = {"sha256": ZEROS.decode(), "format": FORMAT, "version": _version()}
    about |= {"trusted": sorted(writer.trusted), "estimator": tree}
    text = json.dumps(about, allow_nan=False, separators=(",", ":"))
    data = _seal(save_tensors(writer.tensors, {"skcae": text}))
    _read(data, f"the file of this {type(estimator).__name__}", writer.trusted)
    _replace(path, data)


def load(path, trusted=()):
    """Read an estimator from a file that :func:`save` has written.

    Nothing in the file is run or imported. It may name classes and functions of skcae, layers and
    optimizers of PyTorch, and those of yours that you pass as `trusted`. A checksum over the whole
    file shows what was changed by accident; it does not show who wrote the file. What was fitted
    on a CUDA device works on the CPU where there is none.

    Parameters
    ----------
    path : str or path-like
        The file.
    trusted : list of classes and functions, default=()
        Yours that the estimator uses: its `module`, its loss, the class of its noise. They are
        found by their names, so that they may have moved to another module, and they are called
        with values from the file.

    Returns
    -------
    estimator : estimator of skcae
        As it was saved.

    Raises
    ------
    ValueError
        If the file is damaged, something else, written by a later version, or names what is not
        `trusted`.

    See Also
    --------
    save : Writes the file.
    """
    listed = isinstance(trusted, (list, tuple, set))
    if not listed or not all(hasattr(item, "__name__") for item in trusted):
        raise TypeError(
            f"trusted is {trusted!r:.80}; pass a list of classes and functions, as "
            f"trusted=[MyNetwork]."
        )
    with open(path, "rb") as file:
        data = file.read()
    return _read(data, repr(os.fspath(path)), {item.__name__: item for item in trusted})


# The file ------------------------------------------------------------------------------------


def _seal(data):
    """With its checksum."""
    return data[:AT] + _checksum(data) + data[END:]


def _checksum(data):
    view = memoryview(data)
    digest = hashlib.sha256(view[:AT])
    digest.update(ZEROS)
    digest.update(view[END:])
    return digest.hexdigest().encode()


def _replace(path, data):
    """All at once: whoever reads meanwhile sees the old file or the new one."""
    beside = f"{path}.{secrets.token_hex(4)}.tmp"
    try:
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        if os.path.exists(beside):
            os.remove(beside)
        raise


def _read(data, name, trusted):
    """The estimator of a file, whole or not at all."""
    tree, foreign = _open(data, name)
    if missing := [each for each in foreign if each not in trusted]:
        raise ValueError(
            f"{name} uses classes or functions that are not part of skcae: {', '.join(missing)}. "
            f"Import or define them, and if you trust them with the values of the file, pass "
            f"trusted=[{', '.join(foreign)}]."
        )
    try:
        return _check_whole(Decoder(load_tensors(data), trusted).read(tree))
    except Exception as error:
        raise ValueError(
            f"{name} does not hold an estimator that can be built here ({type(error).__name__}: "
            f"{error}). skcae.save has not written it so, or a class of yours, a version or the "
            f"device is another than it was; take what it was, or save the estimator again."
        ) from error


def _open(data, name):
    """What a file holds as JSON, after its checksum, and the names of what is not ours in it."""
    if not data[8:].startswith(START):
        kinds = [text for start, text in FOREIGN.items() if data.startswith(start)]
        raise ValueError(
            f"{name}, of {len(data)} bytes, is no file of skcae.save but "
            f"{[*kinds, 'something else'][0]}; pass what skcae.save has written, or read it with "
            f"the program that wrote it, if you trust where it comes from."
        )
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        about = json.loads(header["__metadata__"]["skcae"])
        later, names = about["format"] > FORMAT, [str(name) for name in about["trusted"]]
    except Exception as error:
        raise _damaged(name) from error
    if later:
        raise ValueError(
            f"{name} was written by skcae {about.get('version')!s:.20} in the format "
            f"{about['format']!s:.20}, and skcae {_version()} reads those up to {FORMAT}; install "
            f"that version, or a later one."
        )
    if data[AT:END] != _checksum(data):
        raise _damaged(name)
    return about.get("estimator"), names


def _damaged(name):
    return ValueError(
        f"{name} was cut off or changed after it was written: its checksum differs; copy it anew, "
        f"or save the estimator again."
    )


def _check_whole(estimator):
    """Whether all that was read is one estimator, whose net fits what is known of it."""
    if not isinstance(estimator, BaseAutoencoder):
        raise TypeError(f"it holds a {type(estimator).__name__}")
    if any(name.endswith("_") for name in vars(estimator)):
        learned = estimator._attributes(estimator.net_)
        learned["n_features_in_"] = estimator.net_.layout.n_features
        for name, value in learned.items():
            if getattr(estimator, name) != value:
                raise ValueError(f"{name} is not that of the net")
    return estimator
