"""Convolutional autoencoders as scikit-learn estimators.

Estimators: `ConvAutoencoder` and `DenoisingConvAutoencoder`. Pieces to read about, replace or
import:

modules      networks: encoder, decoder, and the two together
losses       per-sample reconstruction losses
corruptions  noise that a denoising autoencoder learns to remove
datasets     MNIST and Fashion-MNIST
plots        displays of reconstructions, loss curves and codes
"""

from ._autoencoder import ConvAutoencoder, DenoisingConvAutoencoder

__all__ = ["ConvAutoencoder", "DenoisingConvAutoencoder", "__version__"]
__version__ = "0.1.0"
