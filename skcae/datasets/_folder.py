"""Folders of image files, as one array or read when needed."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

# Kinds of images, as Pillow names them: those to convert to, and what others are read as.
MODES = ("L", "RGB", "RGBA", "F")
READ_AS = {"1": "L", "LA": "RGBA", "La": "RGBA", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB"}
READ_AS |= dict.fromkeys(("CMYK", "YCbCr", "LAB", "HSV"), "RGB")


def load_image_folder(folder, *, size=None, mode=None, lazy=False, return_X_y=False):
    """Read the images in a folder, with the names of its subfolders as labels.

    Files are found at any depth: an image in ``folder/cat/summer/`` has the label "cat". Images
    that all lie in `folder` itself have one label, its name. Files of other kinds, hidden files
    and hidden folders are left out. Needs Pillow, of the extra `images`.

    Images are turned as their EXIF orientation says. Those with a palette are read as colours,
    masks as grey levels of 0 and 255, and other colour spaces as RGB. Of several frames the first
    is read.

    Parameters
    ----------
    folder : str or Path
        Where the images, or the folders with the images of each class, are.
    size : int or tuple of int (height, width), default=None
        The size to which all images are brought, whatever their aspect ratio. None keeps their
        own, which must then be the same for all.
    mode : {"L", "RGB", "RGBA", "F"} or None, default=None
        What all images are converted to: grey levels, colours, colours with transparency, or
        grey levels in single precision. What is transparent becomes white where transparency is
        dropped. None keeps their own, which must then be the same for all.
    lazy : bool, default=False
        Read the images only when they are needed, for folders larger than memory. `fit`,
        `transform`, `score_samples` and the like read them a part at a time.
    return_X_y : bool, default=False
        Return ``(images, target)`` instead of a Bunch.

    Returns
    -------
    data : Bunch
        `images`, of shape (n_samples, height, width) for grey levels and otherwise (n_samples,
        height, width, n_channels), uint8 but for files of 16 bits, uint16, or more, and "F",
        float32: an array or, with `lazy`, an object that has `shape`, `dtype`, `len` and slices,
        which are arrays, and that :func:`numpy.asarray` reads whole. `target` of shape
        (n_samples,), int64, counts the `target_names`, a sorted list of str. `filenames`, an
        array of str.

    Raises
    ------
    ValueError
        Names the first file that is unlike the first one, or cannot be read; with `lazy`,
        `size` and `mode` when it is needed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from PIL import Image
    >>> from skcae.datasets import load_image_folder
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("cat", "dog"):
    ...         Path(folder, name).mkdir()
    ...         Image.new("RGB", (40, 30)).save(Path(folder, name, "1.png"))
    ...     data = load_image_folder(folder)
    >>> data.images.shape, data.target, data.target_names
    ((2, 30, 40, 3), array([0, 1]), ['cat', 'dog'])
    """
    if mode is not None and mode not in MODES:
        raise ValueError(f"mode={mode!r} is unknown; choose one of {', '.join(MODES)}, or None.")
    size = _check_size(size)
    filenames, labels = _find_images(Path(folder))
    target_names, target = np.unique(labels, return_inverse=True)
    images = ImageFiles(filenames, size, mode)
    images, target = images if lazy else images[:], target.astype(np.int64)
    if return_X_y:
        return images, target
    return Bunch(
        images=images,
        target=target,
        target_names=target_names.tolist(),
        filenames=np.array(filenames),
    )


class ImageFiles:
    """Images in files, of one size and one mode, which are read when they are needed.

    Parameters
    ----------
    filenames : list of str
        Where they are.
    size : tuple of int (height, width) or None
        The size to bring them to; None keeps their own.
    mode : str or None
        The mode to convert them to; None keeps their own.
    """

    def __init__(self, filenames, size, mode):
        if size is None or mode is None:
            modes, sizes = zip(*map(describe, filenames), strict=True)
            for name, given, found in (("mode", mode, modes), ("size", size, sizes)):
                if given is None:
                    _check_same(name, found, filenames)
        self.filenames, self.size, self.mode = filenames, size, mode
        first = read_image(filenames[0], size, mode)
        self.shape, self.dtype = (len(filenames), *first.shape), first.dtype
        self.ndim = len(self.shape)

    def __len__(self):
        return len(self.filenames)

    def __repr__(self):
        return f"<{len(self)} image files of shape {self.shape[1:]}, {self.dtype}>"

    def __getitem__(self, index):
        """An image by its number; an array of images by a slice, numbers or a mask."""
        if isinstance(index, Integral):
            image = read_image(self.filenames[index], self.size, self.mode)
            names = self.filenames[0], self.filenames[index]
            _check_same("size", (self.shape[1:3], image.shape[:2]), names)  # no header told
            return image
        index = np.arange(len(self))[index]
        images = np.empty((len(index), *self.shape[1:]), self.dtype)

        def read(i):
            images[i] = self[index[i]]

        with ThreadPoolExecutor() as pool:  # Pillow decodes without the interpreter's lock
            for _ in pool.map(read, range(len(index))):
                pass
        return images

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("images in files cannot be an array without a copy.")
        return self[:].astype(dtype or self.dtype, copy=False)


def describe(filename):
    """The mode as which a file is read, and its (height, width), from its header."""
    from PIL import Image

    with _opened(filename) as image:
        width, height = image.size
        # PNG's own method would read all of the file.
        sideways = Image.Image.getexif(image).get(0x0112, 1) >= 5  # by a quarter turn
        return _own_mode(image), (width, height) if sideways else (height, width)


def read_image(filename, size, mode):
    """One image as an array."""
    from PIL import Image, ImageOps

    with _opened(filename) as image:
        own = _own_mode(image)
        image = ImageOps.exif_transpose(image).convert(own)
    if own[0] in "IF" and mode in ("L", "RGB", "RGBA"):
        raise ValueError(
            f"{filename} has more than 8 bits a value, which mode={mode!r} would cut off; pass "
            f"mode='F', or None where all files are alike."
        )
    if own == "RGBA" and mode in ("L", "RGB", "F"):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert(mode or own)
    if size is not None and image.size != size[::-1]:
        image = image.resize(size[::-1], Image.Resampling.BICUBIC)
    array = np.array(image)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


@contextmanager
def _opened(filename):
    """A file as an image of Pillow, whose decoders raise errors of all kinds."""
    from PIL import Image

    try:
        with Image.open(filename) as image:
            yield image
    except Exception as error:
        raise ValueError(
            f"{filename} cannot be read as an image ({error}); take it out of the folder, or "
            f"write it anew."
        ) from error


def _own_mode(image):
    """What an image is read as where nothing is asked for."""
    if image.mode == "P":
        return "RGBA" if "transparency" in image.info else "RGB"
    return READ_AS.get(image.mode, image.mode)


def _check_same(name, found, filenames):
    """Whether all files have one size, or one mode."""
    for value, filename in zip(found, filenames, strict=True):
        if value != found[0]:
            common = "F" if name == "mode" and found[0] not in MODES else found[0]
            raise ValueError(
                f"{filename} has the {name} {value!r}, but {filenames[0]}, the first, has "
                f"{found[0]!r}; pass {name}={common!r} to bring all images to it, or take it out "
                f"of the folder."
            )


def _check_size(size):
    """(height, width) or None."""
    sides = (size, size) if isinstance(size, Integral) else size
    if sides is None:
        return None
    sides = tuple(sides)
    if len(sides) != 2 or not all(isinstance(side, Integral) and side > 0 for side in sides):
        raise ValueError(f"size={size!r} is no size; pass (height, width), or an int for both.")
    return int(sides[0]), int(sides[1])


def _find_images(folder):
    """Sorted file names and the label of each."""
    known = _known_extensions()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder; pass the one that holds the images.")
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    loose = [entry for entry in entries if entry.is_file() and entry.suffix.lower() in known]
    found = [(path, entry.name) for entry in entries if entry.is_dir()
             for path in _walk(entry) if path.suffix.lower() in known]  # fmt: skip
    if loose and found:
        raise ValueError(
            f"{loose[0]} lies beside folders of images, so that it has no label; move it to one "
            f"of them, or pass one of the folders."
        )
    found = found or [(path, folder.resolve().name) for path in loose]
    if not found:
        others = ", ".join(entry.name for entry in entries[:5]) or "nothing"
        raise ValueError(f"{folder} holds no images; it holds {others}.")
    return [str(path) for path, _ in found], [label for _, label in found]


def _walk(folder):
    """Files at any depth, without hidden ones, in order."""
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(path, name) for name in sorted(files) if not name.startswith("."))


def _known_extensions():
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "load_image_folder needs Pillow; install it with pip install pillow, or as the extra "
            "skcae[images]."
        ) from error
    readable = Image.registered_extensions().items()  # which loads all formats
    return {extension for extension, kind in readable if kind in Image.OPEN}
