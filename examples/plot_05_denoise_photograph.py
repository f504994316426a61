"""
============================
Denoising a whole photograph
============================

A network that was trained on small patches of one photograph removes the noise of another one, of
any size: patches come from scikit-learn, the whole image from
:func:`~skcae.datasets.apply_to_tiles`.
"""

# %%
# A photograph with noise
# -----------------------
# 427 x 640 pixels, values in [0, 1], and noise with a standard deviation of 0.1. From here to
# ``denoised`` are less than fifteen lines, imports apart.

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.cbook import get_sample_data
from scipy.ndimage import gaussian_filter, median_filter
from skimage.restoration import denoise_tv_chambolle
from sklearn.datasets import load_sample_image
from sklearn.feature_extraction.image import extract_patches_2d

from skcae import DenoisingConvAutoencoder
from skcae.datasets import apply_to_tiles

clean = load_sample_image("china.jpg") / 255
noisy = clean + np.random.default_rng(0).normal(scale=0.1, size=clean.shape)

# %%
# Learn from another one
# ----------------------
# Patches of a portrait, and their negatives, so that bright is as common as dark. Of the portrait
# every third pixel is taken: a smaller photograph has more detail in a patch. The code is the
# feature map of 16 x 16 places (``n_components=None``), which has room for every detail; the first
# layer halves the sides, the second keeps them.

photograph = plt.imread(get_sample_data("grace_hopper.jpg", asfileobj=False)) / 255
patches = extract_patches_2d(photograph[::3, ::3], (32, 32), max_patches=500, random_state=0)
denoiser = DenoisingConvAutoencoder(
    n_components=None, channel_axis=-1, noise_level=0.1, hidden_channels=(48, 48),
    net_params={"module__stride": (2, 1), "module__decoder_channels": (48,)},
    normalization=None, batch_size=10, max_epochs=10, random_state=0,
    anomaly_score="loss", contamination=0.1,  # no alarms are wanted, which saves time
).fit(np.concatenate([patches, 1 - patches]))  # fmt: skip

denoised = apply_to_tiles(denoiser.reconstruct, noisy, denoiser.input_shape_)

# %%
# Beside filters
# --------------
# Each has the strength that is best for this very photograph, which cannot be known without the
# clean one.


def psnr(image):
    """Peak signal-to-noise ratio in decibels; by 3 of them the squared error halves."""
    return -10 * np.log10(np.mean((image.clip(0, 1) - clean) ** 2))


filtered = {
    "median": [median_filter(noisy, (size, size, 1)) for size in (3, 5)],
    "Gaussian": [gaussian_filter(noisy, (s, s, 0)) for s in (0.5, 0.6, 0.7, 0.8)],
    "total variation": [
        denoise_tv_chambolle(noisy, weight, channel_axis=-1) for weight in (0.04, 0.05, 0.06, 0.07)
    ],
}
images = {"noisy": noisy} | {name: max(tries, key=psnr) for name, tries in filtered.items()}
images["autoencoder"] = denoised
for name, image in images.items():
    print(f"{name:16}{psnr(image):6.2f} dB")

# %%
# Result
# ------
# A part of it by each of them, and the whole.

figure = plt.figure(figsize=(10, 8.4), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=[5, 4])
part = slice(150, 250), slice(240, 390)
for ax, (name, image) in zip(
    top.subplots(2, 3).flat, {"clean": clean, **images}.items(), strict=True
):
    ax.imshow(image[part].clip(0, 1))
    ax.set_title(name if image is clean else f"{name}, {psnr(image):.1f} dB")
    ax.set_axis_off()
for ax, name in zip(bottom.subplots(1, 2), ("noisy", "autoencoder"), strict=True):
    ax.imshow(images[name].clip(0, 1))
    ax.set_title(name)
    ax.set_axis_off()
plt.show()

# %%
# What to learn from it
# ---------------------
# A denoising autoencoder needs clean images only: it makes the noise itself, new in every batch.
# Without a bottleneck it is a filter that was learned. What it learned from a portrait holds for a
# pagoda, as long as contrast and detail of the patches are alike: train on photographs like those
# that you will have. Tiles overlap by half and are blended, so that the whole has no seams.
