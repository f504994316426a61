"""Convolutional autoencoders as scikit-learn estimators.

Estimators: `ConvAutoencoder`, `DenoisingConvAutoencoder`, `ConvVAE` and `ConditionalConvVAE`.
Files: `save` and `load`; `export_onnx` writes them for other programs.
Pieces to read about, replace or import:

modules      networks: encoder, decoder, and the two together
losses       per-sample reconstruction losses and likelihoods
priors       distributions of the codes of a variational autoencoder
scores       anomaly scores
densities    of the features of a score
corruptions  noise that a denoising autoencoder learns to remove
datasets     own images, recordings and whole images; data that are made up, or fetched
plots        displays of reconstructions, loss curves and codes
"""

from ._autoencoder import ConvAutoencoder, DenoisingConvAutoencoder
from ._conditional import ConditionalConvVAE
from ._export import export_onnx
from ._files import load, save
from ._vae import ConvVAE

__all__ = [
    "ConditionalConvVAE",
    "ConvAutoencoder",
    "ConvVAE",
    "DenoisingConvAutoencoder",
    "__version__",
    "export_onnx",
    "load",
    "save",
]
__version__ = "0.2.0.dev0"
