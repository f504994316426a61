"""ConvVAE and ConditionalConvVAE: likelihood, codes, samples, labels."""

import itertools
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from conftest import having, maker
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skcae import ConditionalConvVAE, ConvVAE
from skcae._net._variational import VariationalNet
from skcae.losses import Likelihood
from skcae.modules import VariationalAutoencoder
from skcae.priors import GaussianMixture, Prior, normal_log_prob


@pytest.fixture
def X(digits):
    return digits[0][:120]


@pytest.fixture
def y(digits):
    return digits[1][:120]


@pytest.fixture(scope="module")
def trained(digits):
    """A conditional model that has learned something, for tests that only look."""
    X, y = digits
    small = {"hidden_channels": (8,), "hidden_units": (64,), "batch_size": 70, "max_epochs": 16}
    return ConditionalConvVAE(4, contamination=0.1, random_state=0, **small).fit(X, y)


# Likelihood -------------------------------------------------------------------------------------


class Linear(torch.nn.Module):
    """The model whose exact likelihood is that of probabilistic PCA."""

    def __init__(self, n_components):
        super().__init__()
        self.mean = torch.nn.Linear(6, n_components)
        self.logvar = torch.nn.Parameter(torch.zeros(n_components))
        self.decoder = torch.nn.Linear(n_components, 6)

    def encode(self, x):
        mean = self.mean(x.flatten(1))
        return mean, self.logvar.expand_as(mean)

    def decode(self, z):
        return self.decoder(z).reshape(-1, 1, 6)


@pytest.fixture(scope="module", params=range(2))
def linear(request):
    """A linear VAE, data, and the exact log-likelihood of each row under the fitted model."""
    rng = np.random.default_rng(request.param)
    X = 3 * (rng.normal(size=(400, 2)) @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(400, 6)))
    vae = ConvVAE(2, input_shape=(6,), module=Linear, max_epochs=60, learning_rate=0.02,
                  batch_size=50, contamination=0.1, random_state=request.param)  # fmt: skip
    vae.fit(X + 1)
    model, (shift,), scale = vae.net_.module_, vae.net_.scaling.shift, vae.net_.scaling.unit
    W = model.network.decoder.weight.detach().double()
    mean = model.network.decoder.bias.detach().double() * scale + shift
    cov = (W @ W.T + model.variance.double() * torch.eye(6)) * scale**2
    exact = torch.distributions.MultivariateNormal(mean, cov).log_prob(torch.from_numpy(X + 1))
    return vae, X[:100] + 1, exact.numpy()[:100]


def test_bound_converges_to_the_exact_likelihood_of_probabilistic_pca(linear):
    vae, X, exact = linear
    estimate, std = vae.log_likelihood(X[:40], n_samples=5000, return_std=True)
    assert std.max() < 0.2
    deviations = (estimate - exact[:40]) / np.maximum(std, 1e-4)
    assert np.abs(deviations).max() < 5
    assert np.abs(deviations).mean() < 1.5


def test_bound_grows_with_the_number_of_draws_and_the_elbo_is_below(linear):
    vae, X, exact = linear
    reconstruction, kl = vae.elbo(X, n_samples=2000)
    elbo = reconstruction - kl
    assert (kl > 0).all()
    assert elbo.mean() < exact.mean()
    # The fitted posterior is all but exact. A wrong one makes the gaps larger than the noise.
    with torch.no_grad():
        vae.net_.module_.network.logvar += 1.0
    reconstruction, kl = vae.elbo(X, n_samples=2000)
    bounds = [vae.log_likelihood(X, n_samples=n).mean() for n in (8, 80, 2000)]
    with torch.no_grad():
        vae.net_.module_.network.logvar -= 1.0
    assert (reconstruction - kl).mean() < bounds[0] < bounds[1] < bounds[2] < exact.mean() + 0.01


def test_fit_comes_close_to_probabilistic_pca(linear):
    from sklearn.decomposition import PCA

    _, X, exact = linear
    optimum = PCA(2).fit(X).score(X)
    assert optimum - 0.4 < exact.mean() <= optimum


def test_one_draw_more_is_one_term_more_in_the_mean(fitted_vae, X):
    """The number of draws asked for is the number used, and a bank begins with smaller ones."""
    vae = fitted_vae
    weights = [np.exp(vae.log_likelihood(X, n_samples=n)) * n for n in (1, 2, 3)]
    second, third = weights[1] - weights[0], weights[2] - weights[1]
    assert (second > 0).all()
    assert (third > 0).all()


def test_standard_error_is_that_of_repeated_estimates(linear):
    vae, X, _ = linear
    seed, estimates = vae.net_.seed, []
    for repeat in range(30):
        vae.net_.seed = repeat
        estimates.append(vae.log_likelihood(X[:40], n_samples=300, return_std=True))
    vae.net_.seed = seed
    estimate, std = np.stack(estimates, 1)
    ratio = std.mean(0) / estimate.std(0)
    assert 0.8 < np.median(ratio) < 1.25


def test_density_is_in_the_units_of_the_input(make_vae, fitted_vae, X):
    one = fitted_vae
    other = make_vae().fit(X * 255 - 40)
    np.testing.assert_allclose(other.score(X * 255 - 40), one.score(X) - 64 * np.log(255),
                               atol=1)  # fmt: skip
    np.testing.assert_allclose(other.reconstruct(X * 255 - 40), 255 * one.reconstruct(X) - 40,
                               atol=8)  # fmt: skip


def test_bernoulli_of_binary_images_needs_no_units(make_vae, X):
    binary = X > 0.5
    as_bool = make_vae(likelihood="bernoulli", optimizer="sgd").fit(binary)
    as_float = make_vae(likelihood="bernoulli", optimizer="sgd").fit(binary.astype(float))
    as_bytes = make_vae(likelihood="bernoulli", optimizer="sgd").fit(
        (255 * binary).astype(np.uint8)
    )
    expected = as_float.score_samples(binary.astype(float))
    assert (expected < 0).all()
    np.testing.assert_allclose(as_bool.score_samples(binary), expected, rtol=1e-4)
    np.testing.assert_allclose(
        as_bytes.score_samples((255 * binary).astype(np.uint8)), expected, rtol=1e-4
    )
    assert as_float.reconstruct(binary.astype(float)).min() >= 0


def test_unit_interval_is_checked(make_vae, X):
    for likelihood in ("bernoulli", "continuous_bernoulli"):
        with pytest.raises(ValueError, match=r"likelihood='.*needs values in \[0, 1\].*gaussian"):
            make_vae(likelihood=likelihood).fit(2 * X)


def test_score_is_the_training_loss(digits):
    X = digits[0][:300]
    for n_train_samples in (1, 3):
        vae = ConvVAE(6, hidden_channels=(8,), contamination=0.1, random_state=0)
        vae.set_params(n_train_samples=n_train_samples).fit(10 * X + 1)
        assert abs(vae.loss_curve_[-1] + vae.score(10 * X + 1)) < 10


def test_options_of_the_bound_do_what_they_say(digits):
    X = digits[0][:300]

    def fit(**parameters):
        small = {"hidden_channels": (8, 16), "max_epochs": 8, "contamination": 0.1}
        return ConvVAE(8, random_state=0, **small, **parameters).fit(X)

    free = {"beta": 4, "net_params": {"free_bits": 2.0}}
    options = {"defaults": {}, "beta=4": {"beta": 4}, "free bits": free}
    kl = {name: fit(**given).elbo(X, 10)[1].mean() for name, given in options.items()}
    assert kl["beta=4"] < 0.8 * kl["defaults"]
    assert kl["free bits"] > 1.2 * kl["beta=4"]


def test_warm_up_starts_without_the_divergence(X):
    warmup = {"net_params": {"kl_warmup": 1.0}}
    small = {"max_epochs": 1, "contamination": 0.1, "random_state": 0}
    first = ConvVAE(4, beta=0.0, **small, **warmup).fit(X)
    warm = ConvVAE(4, beta=1e-9, **small, **warmup).fit(X)
    cold = ConvVAE(4, beta=5.0, **small).fit(X)
    half = ConvVAE(4, beta=5.0, **small, **warmup).fit(X)
    np.testing.assert_allclose(first.loss_curve_, warm.loss_curve_, rtol=1e-5)
    assert first.loss_curve_[0] < half.loss_curve_[0] < cold.loss_curve_[0]


def test_gaussian_variance_is_the_mean_squared_error(digits):
    X = digits[0][:300]
    vae = ConvVAE(8, hidden_channels=(8, 16), contamination=0.1, random_state=0).fit(X)
    mean, std = vae.posterior(X)
    noise = np.random.default_rng(0).normal(size=mean.shape).astype(np.float32)
    squares = np.mean((vae.inverse_transform(mean + std * noise) - X) ** 2)
    variance = float(vae.net_.module_.variance) * vae.net_.scaling.unit**2
    assert variance == pytest.approx(squares, rel=0.15)


def test_user_likelihood_and_prior(X):
    def laplace(output, target):
        return torch.distributions.Laplace(output, 0.3).log_prob(target)

    class Wide(Prior):
        def log_prob(self, z):
            return torch.distributions.Normal(0.0, 3.0).log_prob(z).sum(-1)

        def sample(self, n, generator):
            return 3 * torch.randn(n, self.n_components, generator=generator)

    vae = ConvVAE(4, likelihood=Likelihood(laplace), prior=Wide, max_epochs=3, random_state=0)
    vae.fit(X)
    assert np.isfinite(vae.score(X))
    assert vae.sample(2, random_state=0).shape == (2, 8, 8)
    with pytest.raises(ValueError, match=r"returned shape .* one logarithm per value"):
        ConvVAE(likelihood=Likelihood(lambda o, t: (o - t).sum())).fit(X)
    with pytest.raises(TypeError, match=r"skcae\.priors\.Prior"):
        ConvVAE(prior=torch.nn.Identity).fit(X)


@pytest.mark.filterwarnings("default:the codes do not depend on X")
def test_collapse_is_noticed(digits):
    X = digits[0][:300]
    small = {"hidden_channels": (8, 16), "contamination": 0.1, "random_state": 0}
    with pytest.warns(UserWarning, match="collapsed onto the prior.*kl_warmup"):
        vae = ConvVAE(4, beta=1000.0, max_epochs=5, **small).fit(X)
    assert not vae.active_units_.any()
    with pytest.warns(UserWarning, match="All rows of X are equal"):
        ConvVAE(4, max_epochs=1, **small).fit(np.repeat(X[:1], 30, 0))
    assert vae.summary().loc["active units", "output_shape"] == "0 of 4"
    vae = ConvVAE(4, **small).fit(X)
    assert vae.active_units_.all()
    assert vae.summary().loc["active units", "output_shape"] == "4 of 4"


def test_summary_counts_everything_once(make_vae, X):
    vae = make_vae(prior="gaussian_mixture").fit(X)
    summary, model = vae.summary(), vae.net_.module_
    n_parameters = sum(p.numel() for p in model.parameters())
    assert summary.loc["total", "parameters"] == n_parameters
    assert summary["parameters"].iloc[:-1].sum() == n_parameters
    assert summary.loc["prior", "parameters"] == 64 + 2 * 64 * 4


# Determinism ------------------------------------------------------------------------------------


NETWORKS = {
    "strided": {},
    "mixture": {"prior": "gaussian_mixture", "hidden_units": (30,)},
    "dense": {"hidden_channels": (), "hidden_units": (20,)},
    "map": {"n_components": None, "hidden_channels": (8, 2)},
}


@pytest.mark.parametrize("network", NETWORKS)
def test_a_row_does_not_see_the_other_rows(make_vae, network, X, y):
    X, y = X[:80], y[:80]
    vae = make_vae(**{"max_epochs": 1, **NETWORKS[network]})
    vae.fit(X, y % 3 if make_vae.cls is ConditionalConvVAE else None)
    order = np.random.default_rng(0).permutation(len(X))
    for method in (vae.transform, vae.score_samples, vae.reconstruct):
        whole = method(X)
        np.testing.assert_array_equal(whole, method(X))
        np.testing.assert_array_equal(whole[order], method(X[order]))
        for rows in (slice(0, 1), slice(63, 66), slice(5, 80, 3)):
            np.testing.assert_array_equal(whole[rows], method(X[rows]))


def test_small_blocks_of_weights_give_the_same_scores(fitted_vae, X, monkeypatch):
    whole = fitted_vae.score_samples(X)
    monkeypatch.setattr("skcae._net._importance.N_DRAWS", 280)
    np.testing.assert_array_equal(fitted_vae.score_samples(X), whole)


def test_another_process_gives_the_same_bits(X, tmp_path):
    vaes = [maker(cls)().fit(X) for cls in having("likelihood")]
    (tmp_path / "vaes.pickle").write_bytes(pickle.dumps((vaes, X)))
    script = """
        import pickle, sys, torch
        from pathlib import Path
        torch.set_num_threads(1)
        folder = Path(sys.argv[1])
        vaes, X = pickle.loads((folder / "vaes.pickle").read_bytes())
        results = [(vae.transform(X), vae.score_samples(X)) for vae in vaes]
        (folder / "results.pickle").write_bytes(pickle.dumps(results))
    """
    code = textwrap.dedent(script)
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)
    results = pickle.loads((tmp_path / "results.pickle").read_bytes())
    for vae, (Z, scores) in zip(vaes, results, strict=True):
        np.testing.assert_array_equal(Z, vae.transform(X))
        np.testing.assert_array_equal(scores, vae.score_samples(X))


# Samples ----------------------------------------------------------------------------------------


def test_samples(make_vae, X):
    images, rows = make_vae(input_shape=None).fit(X), make_vae().fit(X.reshape(-1, 64))
    assert images.sample(3, random_state=0).shape == (3, 8, 8)
    assert rows.sample(3, random_state=0).shape == (3, 64)
    np.testing.assert_array_equal(
        images.sample(5, random_state=1), images.sample(5, random_state=1)
    )
    assert not np.array_equal(images.sample(5), images.sample(5))
    with pytest.raises(ValueError, match="n_samples=0 is no number"):
        images.sample(0)


def test_samples_resemble_the_data(digits):
    X = digits[0] * 255
    for seed in range(2):
        vae = ConvVAE(8, hidden_channels=(8, 16), max_epochs=8, contamination=0.1)
        vae.set_params(random_state=seed).fit(X)
        samples = vae.sample(2000, random_state=seed)
        assert np.abs(samples.mean(0) - X.mean(0)).mean() < 0.06 * 255
        assert 0.4 < samples.std(0).mean() / X.std(0).mean() < 1.1


def test_interpolation_and_traversal(make_vae, X):
    vae = make_vae(input_shape=None).fit(X)
    vae.set_output(transform="pandas")  # of codes, not of images
    lines = vae.interpolate(X[:3], X[3:6], n_steps=5)
    assert lines.shape == (3, 5, 8, 8)
    np.testing.assert_array_equal(lines[:, 0], vae.reconstruct(X[:3]))
    grid = vae.traverse(X[:1], n_steps=3, span=1.0)
    assert grid.shape == (4, 3, 8, 8)
    assert vae.traverse().shape == (4, 8, 8, 8)
    centre = vae.traverse(n_steps=3)[:, 1]
    np.testing.assert_array_equal(centre[0], centre[-1])
    with pytest.raises(ValueError, match="pass pairs"):
        vae.interpolate(X[:3], X[:2])
    with pytest.raises(ValueError, match="pass one"):
        vae.traverse(X[:2])


def test_posterior(fitted_vae, X):
    vae = fitted_vae
    mean, std = vae.posterior(X)
    np.testing.assert_array_equal(mean, vae.transform(X))
    assert std.shape == mean.shape
    assert (std > 0).all()


# Labels -----------------------------------------------------------------------------------------


def test_generative_classifier(trained, digits):
    X, y = digits[0][:600], digits[1]
    posterior = trained.label_posterior(X)
    np.testing.assert_allclose(posterior.sum(1), 1)
    assert (posterior.argmax(1) == y[:600]).mean() > 0.95
    np.testing.assert_allclose(trained.class_prior_, np.bincount(y) / len(y))


def test_bayes_rule_and_the_sum_over_the_classes(trained, digits):
    X = digits[0][:50]
    joint = np.log(trained.class_prior_) + np.stack(
        [trained.score_samples(X, y=c) for c in trained.classes_], 1
    )
    np.testing.assert_allclose(trained.score_samples(X), logsumexp(joint, axis=1), rtol=1e-9)
    expected = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    np.testing.assert_allclose(trained.label_posterior(X), expected, atol=1e-9)
    codes = np.stack([trained.transform(X, y=c) for c in trained.classes_], 1)
    mean = (expected[:, :, None] * codes).sum(1)
    np.testing.assert_allclose(trained.transform(X), mean, atol=1e-5)
    Z = trained.transform(X)
    images = np.stack([trained.inverse_transform(Z, y=c) for c in trained.classes_])
    expected = np.einsum("c,cnij->nij", trained.class_prior_, images)
    np.testing.assert_allclose(trained.inverse_transform(Z), expected, atol=1e-5)
    _, std = trained.log_likelihood(X, n_samples=50, return_std=True)
    assert (std > 0).all()
    assert trained.score(X, digits[1][:50]) == pytest.approx(
        trained.score_samples(X, digits[1][:50]).mean()
    )


def test_samples_and_styles_follow_the_label(trained, digits):
    from sklearn.neighbors import KNeighborsClassifier

    X, y = digits
    judge = KNeighborsClassifier(3).fit(X.reshape(-1, 64), y)
    wanted = np.repeat(np.arange(10), 20)
    samples = trained.sample(200, y=wanted, random_state=0)
    assert (judge.predict(samples.reshape(-1, 64)) == wanted).mean() > 0.9
    restyled = trained.reconstruct(X[:200], y=wanted)
    assert (judge.predict(restyled.reshape(-1, 64)) == wanted).mean() > 0.9
    assert (judge.predict(trained.reconstruct(X[:200]).reshape(-1, 64)) == y[:200]).mean() > 0.9
    one = trained.sample(3, y=7, random_state=0)
    np.testing.assert_array_equal(one, trained.sample(3, y=[7, 7, 7], random_state=0))
    assert trained.sample(4, random_state=0).shape == (4, 8, 8)
    assert trained.elbo(X[:5])[0].shape == trained.elbo(X[:5], y[:5])[1].shape == (5,)


@pytest.mark.parametrize("condition", ["both", "decoder"])
@pytest.mark.parametrize("kind", [str, np.float64, bool, object])
def test_labels_of_any_type(X, y, condition, kind):
    labels = {str: np.array(["low", "high"]), np.float64: np.array([0.0, 2.0]),
              bool: np.array([False, True]), object: np.array(["a", "b"], object),
              }[kind][(y > 4).astype(int)]  # fmt: skip
    vae = ConditionalConvVAE(2, hidden_channels=(4,), condition=condition, max_epochs=1,
                             random_state=0).fit(X, list(labels))  # fmt: skip
    assert list(vae.classes_) == sorted(set(labels))
    assert np.isfinite(vae.score(X, labels))
    if condition == "decoder":
        np.testing.assert_array_equal(vae.transform(X, labels), vae.transform(X, labels[::-1]))
    with pytest.raises(ValueError, match=r"unknown label .*the classes are"):
        vae.sample(1, y="other" if kind in (str, object) else 17)


def test_bad_labels(X, y):
    vae = ConditionalConvVAE(2, hidden_channels=(4,), max_epochs=1, random_state=0)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        vae.fit(X, y[:-1])
    with pytest.raises(ValueError, match="continuous"):
        vae.fit(X, X[:, 3, 3] + 0.1)
    with pytest.raises(ValueError, match="NaN"):
        vae.fit(X, np.where(y == 3, np.nan, y))
    with pytest.raises(ValueError, match="None; give every sample a label"):
        vae.fit(X, np.where(y == 3, None, "a"))
    assert not hasattr(vae, "classes_")
    vae.fit(X, y)
    before = vae.score_samples(X, y)
    with pytest.raises(ValueError, match=r"unknown label 'a'; the classes are"):
        vae.score(X, np.full(len(X), "a"))
    with pytest.raises(ValueError, match=r"unknown label 10; the classes are"):
        vae.score(X, y + 2)
    with pytest.raises(ValueError, match="continuous"):
        vae.fit(X, X[:, 3, 3] + 0.1)
    np.testing.assert_array_equal(vae.score_samples(X, y), before)


def test_partial_fit_takes_the_classes_once(X, y):
    vae = ConditionalConvVAE(2, hidden_channels=(4,), random_state=0)
    first = y < 5
    vae.partial_fit(X[first], y[first], classes=range(10))
    assert list(vae.classes_) == list(range(10))
    assert vae.class_prior_[7] == 0
    assert np.isfinite(vae.score_samples(X)).all()
    vae.partial_fit(X[~first], y[~first])
    np.testing.assert_allclose(vae.class_prior_, np.bincount(y) / len(y))
    with pytest.raises(ValueError, match="are not those of the first call"):
        vae.partial_fit(X, y, classes=range(11))
    other = ConditionalConvVAE(2, hidden_channels=(4,), random_state=0)
    other.partial_fit(X[first], y[first])
    with pytest.raises(ValueError, match="unknown label"):
        other.partial_fit(X, y)
    with pytest.raises(ValueError, match="unknown label"):
        ConditionalConvVAE().partial_fit(X, y, classes=[0, 1])


def test_labels_through_scikit_learn(X, y):
    y = y % 3
    vae = ConditionalConvVAE(
        2, hidden_channels=(4,), max_epochs=1, contamination=0.1, random_state=0
    )
    pipe = make_pipeline(MinMaxScaler(), vae.set_params(input_shape=(8, 8))).fit(
        X.reshape(-1, 64), y
    )
    assert len(pipe[-1].classes_) == 3
    rows = X.reshape(-1, 64)
    search = GridSearchCV(vae, {"condition": ["both", "decoder"]}, cv=2, error_score="raise")
    search.fit(rows, y)
    assert np.isfinite(search.best_score_)
    assert np.isfinite(cross_val_score(vae, rows, cv=2)).all()
    np.testing.assert_array_equal(
        vae.fit_transform(rows, y), sklearn.base.clone(vae).fit(rows, y).transform(rows)
    )
    assert (vae.fit_predict(rows, y) == vae.predict(rows)).all()


def test_without_labels_there_is_one_class(X):
    vae = ConditionalConvVAE(2, hidden_channels=(4,), max_epochs=1, random_state=0).fit(X)
    assert list(vae.classes_) == [0]
    np.testing.assert_array_equal(vae.transform(X), vae.transform(X, y=0))


# Networks of the user ---------------------------------------------------------------------------


class Mine(torch.nn.Module):
    def __init__(self, n_components, n_classes=0):
        super().__init__()
        self.down = torch.nn.Linear(64 + n_classes, 2 * n_components)
        self.up = torch.nn.Linear(n_components + n_classes, 64)

    def encode(self, x, *y):
        mean, logvar = self.down(torch.cat([x.flatten(1), *y], 1)).chunk(2, 1)
        return mean, logvar

    def decode(self, z, *y):
        return self.up(torch.cat([z, *y], 1)).reshape(-1, 1, 8, 8)


def test_network_of_the_user(make_vae, X, y):
    vae = make_vae(module=Mine, input_shape=None, max_epochs=10).fit(X, y)
    assert vae.loss_curve_[-1] < vae.loss_curve_[0]
    assert vae.transform(X).shape == (120, 4)

    class OneOutput(Mine):
        def encode(self, x, *y):
            return super().encode(x, *y)[0]

    class Lopsided(Mine):
        def encode(self, x, *y):
            mean, logvar = super().encode(x, *y)
            return mean, logvar[:, :1]

    for module, message in ((OneOutput, "two tensors, the mean"), (Lopsided, "log-variance of")):
        with pytest.raises(ValueError, match=message):
            make_vae(module=module, input_shape=None).fit(X, y)


SHAPES = [(5,), (7, 4), (3, 4, 5)]


@pytest.mark.filterwarnings("ignore:the code of .* values is larger")
@pytest.mark.filterwarnings("ignore:samples of shape")
@pytest.mark.parametrize(
    ("shape", "n_components", "condition"),
    list(itertools.product(SHAPES, (3, None), ("both", "decoder"))),
)
def test_every_layout_takes_labels(shape, n_components, condition):
    X = np.random.default_rng(0).normal(size=(40, *shape))
    vae = ConditionalConvVAE(
        n_components,
        input_shape=shape,
        condition=condition,
        hidden_channels=(4, 3),
        max_epochs=1,
        random_state=0,
    )
    vae.fit(X.reshape(40, -1), np.arange(40) % 3)
    assert vae.sample(2, y=1).shape == (2, X[0].size)
    assert vae.reconstruct(X).shape == X.shape


def test_mixture_with_another_number_of_parts(X):
    from functools import partial

    vae = ConvVAE(3, prior=partial(GaussianMixture, n_mixtures=5), max_epochs=1).fit(X)
    assert vae.net_.module_.prior.means.shape == (5, 3)


# What users tripped over ------------------------------------------------------------------------


class LearnedMean(Prior):
    """Starts at 3, and has a tensor that is no buffer."""

    def __init__(self, n_components):
        super().__init__(n_components)
        self.mean = torch.nn.Parameter(torch.full((n_components,), 3.0))
        self.scale = torch.tensor(1.0)

    def log_prob(self, z):
        return normal_log_prob(z / self.scale, self.mean)

    def sample(self, n, generator):
        return self.mean + torch.randn(n, self.n_components, generator=generator)


class OnlyLogProb(torch.nn.Module):
    def __init__(self, n_components):
        super().__init__()
        self.n_components = n_components

    def log_prob(self, z):
        return normal_log_prob(z)

    def sample(self, n, generator):
        return torch.randn(n, self.n_components, generator=generator)


@pytest.fixture
def rows(digits):
    return digits[0].reshape(-1, 64)[:200]


@pytest.mark.parametrize("prior", [LearnedMean, OnlyLogProb])
def test_prior_of_the_user_keeps_its_values(make_vae, rows, prior):
    vae = make_vae(prior=prior).fit(rows)
    if prior is LearnedMean:
        assert abs(vae.net_.module_.prior.mean - 3).max() < 0.5
    assert np.isfinite(vae.score_samples(rows)).all()
    np.testing.assert_array_equal(
        vae.score_samples(rows), make_vae(prior=prior).fit(rows).score_samples(rows)
    )
    assert vae.sample(2, random_state=0).shape == (2, 64)


def test_prior_that_is_none(make_vae, rows):
    with pytest.raises(TypeError, match="must build a module"):
        make_vae(prior=lambda n: 3).fit(rows)

    class PerComponent(OnlyLogProb):
        def log_prob(self, z):
            return -0.5 * z**2

    with pytest.raises(ValueError, match=r"returned shape \(2, 4\) for 2 codes"):
        make_vae(prior=PerComponent).fit(rows)


def test_standard_error_without_labels_is_that_of_other_draws(rows, digits):
    y = digits[1][:200] % 3
    vae = ConditionalConvVAE(
        4,
        input_shape=(8, 8),
        hidden_channels=(4,),
        max_epochs=6,
        contamination=0.1,
        random_state=0,
    ).fit(rows, y)

    def ratio(labels):
        runs = []
        for seed in range(30):
            vae.net_.seed = seed
            runs.append(vae.log_likelihood(rows[:15], labels, n_samples=100, return_std=True))
        estimates, errors = np.moveaxis(runs, 1, 0)
        return np.median(estimates.std(0, ddof=1) / errors.mean(0))

    # The delta method is somewhat too small for few draws, with labels and without.
    assert 0.8 * ratio(y[:15]) < ratio(None) < 1.25 * ratio(y[:15])


def test_labels_that_go_missing_or_change(rows, digits):
    y = digits[1][:200] % 3
    vae = ConditionalConvVAE(
        4, input_shape=(8, 8), hidden_channels=(4,), max_epochs=1, random_state=0
    )
    with pytest.raises(ValueError, match=r"y is missing.*\[0, 1, 2\]"):
        clone(vae).partial_fit(rows, y).partial_fit(rows)
    warm = clone(vae).set_params(warm_start=True).fit(rows, y)
    with pytest.raises(ValueError, match=r"classes \['a', 'b', 'c'\].*\[0, 1, 2\]"):
        warm.fit(rows, np.array(list("cab"))[y])
    again = warm.fit(rows[:100], y[:100]).class_prior_
    np.testing.assert_allclose(again, np.bincount(y[:100]) / 100)
    with pytest.raises(ValueError, match="classes contains NaN"):
        clone(vae).partial_fit(rows, y.astype(float), classes=[0, 1, 2, np.nan])


@pytest.mark.parametrize("dtype", ["datetime64[ns]", "datetime64[us]", "Int64", "boolean"])
def test_labels_of_pandas(rows, digits, dtype):
    two = digits[1][:200] % 2
    if dtype.startswith("datetime"):
        y = pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02"]).astype(dtype)[two])
    else:
        y = pd.Series(two).astype(dtype)
    vae = ConditionalConvVAE(
        4, input_shape=(8, 8), hidden_channels=(4,), max_epochs=1, random_state=0
    ).fit(rows, y)
    assert vae.classes_.dtype.kind == {"d": "M", "I": "i", "b": "b"}[dtype[0]]
    assert vae.sample(2, y=y[0]).shape == (2, 64)
    np.testing.assert_array_equal(vae.transform(rows, y[0]), vae.transform(rows, [y[0]] * 200))


def test_equal_rows_score_alike_whatever_their_type(make_vae, rows):
    single = np.round(16 * rows).astype("f4")
    vae = make_vae(n_importance_samples=3).fit(single)
    expected = vae.score_samples(single)
    for dtype in "f2", "f8", "u1", "i8":
        np.testing.assert_allclose(vae.score_samples(single.astype(dtype)), expected, rtol=1e-4)
    minus = np.where(single == 0, -0.0, single)
    np.testing.assert_allclose(vae.score_samples(minus), expected, rtol=1e-6)


def test_values_beyond_single_precision(make_vae, rows):
    for factor in 1e45, 1e-200:
        with pytest.raises(ValueError, match="single precision cannot hold"):
            make_vae().fit(rows.astype(float) * factor)
    vae = make_vae().fit(rows)
    with pytest.warns(UserWarning, match="in another unit"):
        reconstruction, kl = vae.elbo(rows[:2].astype(float) * 1e30)
    assert (reconstruction == -np.inf).all()
    assert (kl == np.inf).all()
    for method in vae.elbo, vae.log_likelihood, vae.posterior:
        with pytest.raises(ValueError, match="single precision cannot hold"):
            method(rows[:2].astype(float) * 1e100)


def test_interpolation_begins_at_the_reconstruction(make_vae, rows):
    vae = make_vae().fit(rows)
    line = vae.interpolate(rows[:5], rows[5:10], n_steps=3)
    np.testing.assert_allclose(line[:, 0], vae.reconstruct(rows[:5]), rtol=1e-4, atol=1e-4)


def test_trimming_leaves_outliers_out_of_the_variance(rows):
    rng = np.random.default_rng(0)
    dirty = np.concatenate([rows, 3 * rng.random((30, 64))])
    vae = ConvVAE(4, input_shape=(8, 8), hidden_channels=(8,), max_epochs=20, contamination=0.1,
                  random_state=0)  # fmt: skip
    variances = []
    for trim in 0.0, 0.2:
        net = clone(vae).set_params(trim_fraction=trim).fit(dirty).net_
        variances.append(float(net.module_.variance) * net.scaling.unit**2)
    assert variances[1] < 0.5 * variances[0]


def test_work_is_done_once(rows, digits, monkeypatch):
    y = digits[1][:200] % 3
    calls = []

    def count(cls, name):
        method = getattr(cls, name)

        def counted(*args, **kwargs):
            calls.append(name)
            return method(*args, **kwargs)

        monkeypatch.setattr(cls, name, counted)

    count(VariationalNet, "_label_posterior")
    count(VariationalAutoencoder, "encode_in_steps")
    vae = ConditionalConvVAE(
        4, input_shape=(8, 8), hidden_channels=(4,), max_epochs=1, random_state=0
    )
    for condition, n_encoded in ("both", 3), ("decoder", 1):
        vae.set_params(condition=condition).fit(rows, y)
        for call, n_posteriors in (
            (lambda: vae.interpolate(rows[:3], rows[3:6]), 2),
            (lambda: vae.traverse(rows[:1]), 1),
            (lambda: vae.reconstruct(rows[:3]), 1),
        ):
            calls.clear()
            call()
            assert calls.count("_label_posterior") == n_posteriors
        calls.clear()
        vae.score_samples(rows[:30])
        assert calls.count("encode_in_steps") == n_encoded
