"""Data: read from files, cut into windows and tiles, made up, or fetched."""

from ._folder import load_image_folder
from ._made import make_images, make_recording, make_signals, make_volumes
from ._mnist import fetch_fashion_mnist, fetch_mnist
from ._overlapping import apply_to_tiles, average_windows, sliding_windows

__all__ = [
    "apply_to_tiles",
    "average_windows",
    "fetch_fashion_mnist",
    "fetch_mnist",
    "load_image_folder",
    "make_images",
    "make_recording",
    "make_signals",
    "make_volumes",
    "sliding_windows",
]
