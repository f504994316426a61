"""Data: MNIST and Fashion-MNIST, from files or by download."""

from ._mnist import fetch_fashion_mnist, fetch_mnist

__all__ = ["fetch_fashion_mnist", "fetch_mnist"]
