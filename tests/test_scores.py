"""Anomaly scores against independent references, calibration, maps, trimming."""

import functools
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import chi2, gamma, kstest, lognorm, multivariate_normal, norm, uniform
from sklearn.base import clone
from sklearn.covariance import EmpiricalCovariance, ledoit_wolf
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcae import ConditionalConvVAE, ConvAutoencoder
from skcae._calibration import Calibration, splits
from skcae._net._trimming import n_kept, trimmed_mean
from skcae._thresholds import expected_threshold, threshold
from skcae.scores import (
    SCORES,
    Evidence,
    Joint,
    Mahalanobis,
    Mixture,
    Neighbors,
    Score,
    roc_auc_scorer,
)

LINEAR = {"module__linear_path": True}  # as a pilot finds, for few epochs


@pytest.fixture
def X(digits):
    return digits[0].reshape(-1, 64)[:200]


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    mixing = np.diag([1, 2, 3, 4, 5]) + 0.2 * rng.normal(size=(5, 5))
    return torch.from_numpy(rng.normal(size=(1000, 5)) @ mixing + 3)


def evidence(values, x=None, x_hat=None):
    x = values if x is None else x
    return Evidence(x, x if x_hat is None else x_hat, values, torch.zeros(len(values), 2))


# Scores -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(50,), (8, 9), (4, 5, 6)])
def test_errors_are_reduced_as_named(shape):
    values = torch.rand(3, 2, *shape)
    flat = np.sort(values.numpy().reshape(3, -1), axis=1)
    n_top = int(np.ceil(0.05 * flat.shape[1]))
    found = SCORES["top_error"].function(evidence(values))
    np.testing.assert_allclose(found, flat[:, -n_top:].mean(1), rtol=1e-5)


@pytest.mark.parametrize("shape", [(30,), (9, 12), (8, 7, 9), (3, 20)])
def test_ssim_is_the_mean_over_windows(shape):
    rng = np.random.default_rng(0)
    x, y = rng.random((2, *shape))
    windows = [min(7, side) for side in shape]
    wx, wy = (np.lib.stride_tricks.sliding_window_view(a, windows) for a in (x, y))
    axes = tuple(range(-len(shape), 0))
    mx, my = wx.mean(axes), wy.mean(axes)
    cov = (wx * wy).mean(axes) - mx * my
    numerator = (2 * mx * my + 1e-4) * (2 * cov + 9e-4)
    similarity = numerator / ((mx**2 + my**2 + 1e-4) * (wx.var(axes) + wy.var(axes) + 9e-4))
    x, y = (torch.from_numpy(a)[None, None] for a in (x, y))
    score = SCORES["ssim"].function
    assert float(score(evidence(x, x, y))) == pytest.approx(1 - similarity.mean())
    assert float(score(evidence(x, x, x))) == pytest.approx(0, abs=1e-9)


def test_mahalanobis_distance(features):
    expected = np.sqrt(EmpiricalCovariance().fit(features).mahalanobis(features + 1))
    np.testing.assert_allclose(Mahalanobis().fit(features)(features + 1), expected)


@pytest.mark.parametrize("n", [7, 30, 1000])
def test_one_component_is_the_shrunk_normal_density(features, n):
    features = features[:n]
    standard = (features - features.mean(0)) / features.std(0, correction=0)
    covariance = ledoit_wolf(standard, assume_centered=True)[0] + 0.01 * np.eye(5)
    normal = multivariate_normal(np.zeros(5), covariance)
    np.testing.assert_allclose(Mixture(1).fit(features)(features), -normal.logpdf(standard))


def test_mixture_is_that_of_scikit_learn(features):
    standard = (features - features.mean(0)) / features.std(0, correction=0)
    expected = GaussianMixture(8, reg_covar=8 * 5 / 1000, max_iter=10, tol=1e-2, random_state=0)
    expected = -expected.fit(standard).score_samples(standard)
    np.testing.assert_allclose(Mixture(8).fit(features)(features), expected, rtol=1e-9)


def test_a_normal_density_takes_in_more_samples_as_if_it_had_seen_all(features):
    old, new = features[:700], features[700:] + 1
    density = Mixture(1).fit(old)
    density.update(len(old), new)
    both = (torch.cat([old, new]) - old.mean(0)) / old.std(0, correction=0)
    known = both[: len(old)]
    shrunk = ledoit_wolf(known, assume_centered=True)[0] - np.cov(known.T, bias=True)
    covariance = np.cov(both.T, bias=True) + 0.7 * shrunk + 0.01 * np.eye(5)
    normal = multivariate_normal(both.mean(0), covariance)
    np.testing.assert_allclose(density(torch.cat([old, new])), -normal.logpdf(both), rtol=1e-6)


@pytest.mark.parametrize("density", [Mixture, Neighbors])
def test_densities_follow_what_they_take_in(density):
    def draw(mean, n=500):
        generator = torch.Generator().manual_seed(mean)
        return mean + torch.randn(n, 3, dtype=torch.float64, generator=generator)

    fitted = density().fit(torch.cat([draw(0), draw(8)]))
    before = fitted(draw(20)).mean() - fitted(draw(0)).mean()
    for _ in range(4):
        fitted.update(500, draw(20))
    assert fitted(draw(20)).mean() - fitted(draw(0)).mean() < 0.5 * before


def test_joint_is_the_mean_of_mixtures(features):
    code, one, two = features[:, :2], features[:, 2:3], features[:, 3:]
    expected = [
        Mixture().fit(torch.cat([code, e], 1))(torch.cat([code, e], 1)) for e in (one, two)
    ]
    result = Joint().fit(code, one, two)(code, one, two)
    np.testing.assert_allclose(result, (expected[0] + expected[1]) / 2)


def test_levels_make_densities_of_few_and_of_more_samples_comparable():
    features = torch.randn(3000, 200, dtype=torch.float64, generator=torch.manual_seed(0))
    few, more = (Mixture().fit(features[:n]) for n in (30, 60))
    new = features[1000:]
    gap = float((more(new) - few(new)).mean())
    assert gap > 20  # 60 principal components for 30
    assert more.level() - few.level() == pytest.approx(gap, rel=0.2)
    many = Mixture(1).fit(features[:, :5])
    assert many.level() == pytest.approx(float(many(features[:, :5]).mean()), rel=0.01)


def test_neighbors_are_the_nearest_after_whitening(features):
    known, new = features[:800], features[800:] + 0.5
    whitening = np.linalg.inv(np.linalg.cholesky(np.cov(known.T, bias=True)))
    search = NearestNeighbors(n_neighbors=5).fit(known.numpy() @ whitening.T)
    expected = search.kneighbors(new.numpy() @ whitening.T)[0].mean(1)
    np.testing.assert_allclose(Neighbors().fit(known)(new), expected)


@pytest.mark.parametrize("density", [Mahalanobis, Mixture, Neighbors])
@pytest.mark.parametrize("shape", [(1, 3), (2, 3), (20, 200), (300, 200)])
def test_densities_take_few_samples_and_many_features(density, shape):
    features = torch.randn(shape, dtype=torch.float64, generator=torch.manual_seed(0))
    fitted = density().fit(features)
    near, far = fitted(features), fitted(features + 100)
    assert torch.isfinite(near).all()
    assert (far > near.max()).all()


@pytest.mark.parametrize("name", SCORES)
def test_every_score_keeps_the_contract(make, X, name):
    X = X[:80]
    make = functools.partial(make, anomaly_score=name, max_epochs=1)
    ae = make().fit(X)
    scores = ae.score_samples(X)
    assert scores.shape == (80,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(ae.score_samples(X[::-7]), scores[::-7])
    np.testing.assert_array_equal(make().fit(X).score_samples(X), scores)
    ae.set_params(anomaly_score="loss")
    assert ae.score(X) == ae.fit(X).score(X)


def test_a_score_of_the_user(X):
    def median(evidence):
        return evidence.values.flatten(1).median(1).values

    ae = ConvAutoencoder(4, input_shape=(8, 8), max_epochs=2, contamination=0.1, random_state=0)
    given = clone(ae).set_params(anomaly_score=Score(median, in_units=True)).fit(X)
    errors = np.sort((given.reconstruct(X) - X) ** 2, axis=1)[:, 31]
    np.testing.assert_allclose(-given.score_samples(X), errors, rtol=1e-3, atol=1e-6)
    plain = clone(ae).set_params(anomaly_score=median).fit(X)
    ratio = plain.score_samples(X) / given.score_samples(X)
    np.testing.assert_allclose(ratio, 1 / X.var(), rtol=1e-4)
    with pytest.raises(ValueError, match=r"returned shape \(32, 4\) .* one value for each"):
        clone(ae).set_params(anomaly_score=lambda evidence: evidence.z).fit(X)


def test_many_features_are_reduced_to_principal_components():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(200, 64)))[0]
    for n in 150, 500:
        few = rng.normal(size=(n, 64)) * np.linspace(8, 1, 64)
        many = torch.from_numpy(few @ basis.T + 1e-6 * rng.normal(size=(n, 200)))
        distances = np.sqrt(EmpiricalCovariance().fit(few).mahalanobis(few))
        np.testing.assert_allclose(Mahalanobis().fit(many)(many), distances, rtol=1e-3)


def test_joint_finds_what_the_loss_misses():
    rng = np.random.default_rng(0)

    def bars(n, rows):
        """One bright row an image: a code tells which, and the loss hardly does."""
        X = 0.1 * rng.random((n, 8, 8), dtype=np.float32)
        X[np.arange(n), rng.choice(rows, n)] += rng.random((n, 1), dtype=np.float32) + 0.5
        return X

    normal, other = [0, 1, 2, 5, 6, 7], [3, 4]
    train, test = bars(500, normal), np.concatenate([bars(300, normal), bars(300, other)])
    for seed in range(2):
        ae = ConvAutoencoder(4, hidden_channels=(16, 32), max_epochs=5, contamination=0.1)
        ae.set_params(random_state=seed, net__module__linear_path=False).fit(train)
        assert roc_auc_scorer(ae, test, np.repeat([0, 1], 300)) > 0.98


@pytest.mark.parametrize("name", ["joint", "neighbors"])
def test_partial_fit_learns_the_newest_data(digits, name):
    images, y = digits
    ae = ConvAutoencoder(8, hidden_channels=(8, 16), anomaly_score=name, contamination=0.1)
    ae.set_params(random_state=0)
    for _ in range(5):
        ae.partial_fit(images[y == 0])
    before = ae.score_samples(images[y == 1]).mean() - ae.score_samples(images[y == 0]).mean()
    for _ in range(5):
        ae.partial_fit(images[y == 1])
    after = ae.score_samples(images[y == 1]).mean() - ae.score_samples(images[y == 0]).mean()
    assert after > before


@pytest.mark.parametrize("name", ["joint", "neighbors"])
def test_small_chunks_after_a_fit_keep_what_it_learned(digits, name):
    images, y = digits
    normal, other = images[y < 5], images[y >= 5][:200]
    test, labels = (
        np.concatenate([normal[700:], other]),
        np.repeat([0, 1], [len(normal) - 700, 200]),
    )
    drops = []
    for seed in range(2):
        ae = ConvAutoencoder(8, hidden_channels=(8, 16), max_epochs=4, anomaly_score=name,
                             contamination=0.1, net_params=LINEAR, random_state=seed)  # fmt: skip
        ae.fit(normal[:400])
        before = roc_auc_scorer(ae, test, labels)
        for start in range(400, 480, 16):  # a fifth of the rows of the fit
            ae.partial_fit(normal[start : start + 16])
        drops.append(before - roc_auc_scorer(ae, test, labels))
    assert np.mean(drops) < 0.05


def test_scorer_takes_one_for_anomalies(digits):
    images, y = digits
    X, anomaly = images[:100], (y[:100] == 1).astype(int)
    ae = ConvAutoencoder(4, hidden_channels=(4,), max_epochs=1, contamination=0.1, random_state=0)
    ae.fit(X)
    expected = roc_auc_score(anomaly, -ae.score_samples(X))
    assert roc_auc_scorer(ae, X, anomaly) == expected
    assert roc_auc_scorer(ae, X, anomaly.astype(bool)) == expected
    with pytest.raises(ValueError, match=r"labels \[-1, 1\].*\(y == -1\)"):
        roc_auc_scorer(ae, X, 1 - 2 * anomaly)
    search = GridSearchCV(ae, {"anomaly_score": ["loss", "joint"]}, scoring=roc_auc_scorer, cv=2)
    assert 0 < search.fit(X, anomaly).best_score_ <= 1


def test_scores_in_several_threads(make, X):
    X = X[:80]
    ae = make(anomaly_score="joint").fit(X)
    expected = ae.score_samples(X)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: ae.score_samples(X), range(16)):
            np.testing.assert_array_equal(result, expected)


def test_a_new_fit_learns_anew(make, X):
    ae = make(anomaly_score="joint", warm_start=True).fit(X).fit(X)
    reference = ae.net_.reference_
    assert reference.n_errors == reference.n_learned == 200
    errors = ae.anomaly_map(X, standardize=False, sigma=0) / ae.net_.error_in_units(1.0)
    if make.cls is not ConditionalConvVAE:
        square = (errors.astype(float) ** 2).mean(0).reshape(1, 8, 8)
        np.testing.assert_allclose(reference.mean_square, square, rtol=1e-3, atol=1e-5)


def test_neighbors_of_training_data_are_others(X):
    ae = ConvAutoencoder(4, input_shape=(8, 8), max_epochs=5, anomaly_score="neighbors",
                         contamination=0.1, random_state=0).fit(X[:150])  # fmt: skip
    assert ae.score_samples(X[:150]).max() < 0
    assert abs((ae.predict(X[150:]) == -1).mean() - 0.1) < 0.15


def test_scorer_takes_infinite_scores(fitted, X):
    absurd = np.full((1, 64), 1e30)
    assert roc_auc_scorer(fitted, np.r_[X[:20], absurd], np.r_[np.zeros(20), 1]) == 1


def test_mistaken_scores_are_explained(make, X):
    X = X[:40]
    with pytest.raises(TypeError, match="is a class; pass a function"):
        make(anomaly_score=Mahalanobis).fit(X)
    with pytest.raises(TypeError, match="not callable"):
        Score()
    for wrong in (lambda e: 1.0, lambda e: e.z, lambda e: None):
        with pytest.raises(ValueError, match="one value for each"):
            make(anomaly_score=wrong).fit(X)
    with pytest.raises(ValueError, match="shape \\(n, n_features\\)"):
        make(anomaly_score=Score(lambda e: e.z[:, 0], Mahalanobis)).fit(X)


# Calibration ------------------------------------------------------------------------------------


def test_p_values_count_the_held_out_samples(make, X):
    ae = make().fit(X[:150]).recalibrate(X[150:])
    known, new = ae.score_samples(X[150:]), ae.score_samples(X[:150])
    p, below = ae.p_values(X[:150]), (known < new[:, None]).sum(1)
    assert (p > below / 51).all()
    assert (p <= (below + 1) / 51).all()
    assert kstest(51 * p - below, "uniform").pvalue > 1e-3


class FirstValue:
    """A net whose scores are the first values of the rows."""

    def anomaly_scores(self, X):
        return X[:, 0]


@pytest.mark.parametrize("n_patterns", [10, 30, 100, 10**9])
@pytest.mark.parametrize("n", [60, 300, 2000])
def test_p_values_keep_their_rates_with_repeated_rows(n, n_patterns):
    rng, net, p_values = np.random.default_rng(0), FirstValue(), []
    for seed in range(3000):
        known, new = np.split(rng.integers(0, n_patterns, n + 5).astype(float), [n])
        p_values.append(Calibration([(net, known)], seed).p_values(new[:, None]))
    for rate in 0.01, 0.05, 0.1:  # within four standard errors of 3000 calibrations
        error = 4 * np.sqrt(rate * (1 - rate) * (1 / 15000 + 1 / n / 3000))
        assert (np.array(p_values) <= rate).mean() == pytest.approx(rate, abs=error)


def test_equal_rows_are_held_out_like_others():
    X = np.random.default_rng(0).integers(0, 2, (1000, 1)).astype(float)
    train, held = splits(0.3, X, 0)[0]
    assert 250 < len(held) < 350
    assert set(X[held, 0]) == set(X[train, 0]) == {0, 1}


@pytest.mark.parametrize("calibration", [0.25, 2])
def test_calibration_in_fit(make, X, calibration):
    make = functools.partial(make, max_epochs=1)
    ae = make(calibration=calibration).fit(X)
    n = ae.calibration_.n_samples
    assert n == 200 if calibration == 2 else 35 < n < 65
    p = ae.p_values(X)
    assert p.shape == (200,)
    assert 0 < p.min() < p.max() <= 1
    np.testing.assert_array_equal(ae.p_values(X[::-3]), p[::-3])
    np.testing.assert_array_equal(ae.predict(X, false_alarm_rate=0.1), np.where(p <= 0.1, -1, 1))
    np.testing.assert_array_equal(make(calibration=calibration).fit(X).p_values(X), p)


def test_folds_leave_the_network_as_it_is(make, fitted, X):
    folds = make(calibration=3).fit(X)
    np.testing.assert_array_equal(fitted.transform(X), folds.transform(X))
    np.testing.assert_array_equal(fitted.score_samples(X), folds.score_samples(X))


def test_automatic_offset_is_a_quantile_of_what_is_held_out(X):
    ae = ConvAutoencoder(4, input_shape=(8, 8), max_epochs=2, calibration=0.5, random_state=0)
    ae.fit(X)
    held_out = ae.calibration_.parts[0][1]
    assert ae.offset_ == pytest.approx(-np.quantile(held_out, 0.95, method="weibull"))
    assert ae.threshold() == ae.offset_
    ae.recalibrate(X[:99])
    ordered = np.sort(ae.score_samples(X[:99]))
    assert ae.offset_ == ae.threshold(0.05) == pytest.approx(ordered[4])
    assert ae.threshold(0.01) == pytest.approx(ordered[0])


@pytest.mark.parametrize(
    ("scores", "least", "most"),
    [
        (gamma(3), 0.035, 0.065),
        (chi2(20), 0.02, 0.06),
        (lognorm(0.3), 0.03, 0.06),
        (lognorm(1), 0.05, 0.085),  # a tail that is heavier than seen is
        (norm(50, 3), 0.005, 0.05),  # without a tail it errs on the quiet side
        (uniform(), 0, 0.05),
    ],
)
@pytest.mark.parametrize("n", [15, 60, 300])
def test_expected_thresholds_of_few_scores_keep_their_rate(n, scores, least, most):
    draws = scores.rvs((1000, n), random_state=n)
    rates = [scores.sf(-expected_threshold(draw, 0.05)) for draw in draws]
    assert least <= np.mean(rates) <= most
    many = scores.rvs(1000, random_state=n)
    assert expected_threshold(many, 0.05) == threshold(many, 0.05)


@pytest.mark.parametrize("n", [10, 50, 399, 1000])
def test_expected_thresholds_rise_with_the_rate(n):
    scores = np.random.default_rng(0).lognormal(size=n)
    limits = [expected_threshold(scores, rate) for rate in np.linspace(0.001, 0.999, 300)]
    assert limits == sorted(limits)


def test_expected_thresholds_of_odd_scores():
    same, endless = np.full(40, 3.0), np.append(np.arange(39.0), np.inf)
    assert expected_threshold(same) == -3.0
    assert expected_threshold(endless) == threshold(endless) < -37
    few, huge = np.arange(9.0), 1e300 * np.arange(1.0, 20.0)
    rounded = np.repeat([1e16, 1e16 + 2], [99, 1])
    for scores in few, huge, rounded:
        assert expected_threshold(scores) == threshold(scores)
    scores = np.random.default_rng(0).gamma(2.0, size=50)
    moved = expected_threshold(7.0 + 2.0 * scores)
    assert moved == pytest.approx(-7.0 + 2.0 * expected_threshold(scores))


@pytest.mark.parametrize("calibration", [0.4, 4])
def test_p_values_of_unseen_normal_data_are_uniform(digits, calibration):
    images = digits[0]
    n, shares, in_sample = 400, [], []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(images))
        old, new = images[order[:n]], images[order[n : n + 600]]
        ae = ConvAutoencoder(
            8, hidden_channels=(8, 16), max_epochs=2, calibration=calibration, random_state=seed,
            net_params=LINEAR,
        ).fit(old)  # fmt: skip
        p_values = ae.p_values(new)
        shares.append([(p_values <= a).mean() for a in (0.1, 0.3, 0.5, 0.7, 0.9)])
        in_sample.append((ae.score_samples(new) < np.quantile(ae.score_samples(old), 0.1)).mean())
    # Three calibrations on 160 samples, or 400: three standard errors of their mean are 0.07.
    np.testing.assert_allclose(np.mean(shares, 0), [0.1, 0.3, 0.5, 0.7, 0.9], atol=0.07)
    assert np.mean(in_sample) > np.mean(shares, 0)[0]


def test_false_discoveries_are_controlled(digits):
    images, y = digits
    normal, other = images[y == 0], images[y == 1]
    ae = ConvAutoencoder(8, max_epochs=30, contamination=0.1, random_state=0).fit(normal[:60])
    ae.recalibrate(normal[60:120])
    batch = np.concatenate([normal[120:], other[:40]])
    found = ae.predict(batch, false_discovery_rate=0.2) == -1
    assert found[len(normal) - 120 :].mean() > 0.8
    assert found[: len(normal) - 120].sum() / found.sum() < 0.35
    p = np.sort(ae.p_values(batch))
    below = np.flatnonzero(p <= 0.2 * np.arange(1, len(p) + 1) / len(p))
    assert found.sum() == below.max() + 1  # Benjamini and Hochberg, step by step


def test_drift_is_noticed(digits):
    images = digits[0]
    images = images[np.random.default_rng(0).permutation(len(images))]
    ae = ConvAutoencoder(8, hidden_channels=(8, 16), max_epochs=2, calibration=0.3, random_state=0)
    ae.set_params(net_params=LINEAR).fit(images[:500])
    assert ae.drift_test(images[500:900])[1] > 1e-3
    statistic, p = ae.drift_test(1 - images[500:900])
    assert statistic > 0.5
    assert p < 1e-6


def test_calibration_asked_for_in_vain(make, X):
    ae = make().fit(X)
    with pytest.raises(ValueError, match=r"is not calibrated.*recalibrate"):
        ae.p_values(X)
    with pytest.raises(ValueError, match="is not calibrated"):
        ae.predict(X, false_alarm_rate=0.05)
    with pytest.raises(ValueError, match="fit it with contamination='auto', or with calibration"):
        make(contamination=0.1).fit(X).threshold(0.01)
    ae.recalibrate(X[:50])
    with pytest.raises(ValueError, match="no rate"):
        ae.predict(X, false_alarm_rate=1.5)
    with pytest.raises(ValueError, match="not both"):
        ae.predict(X, false_alarm_rate=0.1, false_discovery_rate=0.1)
    with pytest.raises(ValueError, match="folds need all data at once"):
        make(calibration=3).partial_fit(X)
    with pytest.raises(ValueError, match="leaves nothing"):
        make(calibration=0.5).fit(X[:1])


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("score", "least"), [("joint", 0.9), ("neighbors", 0.25)])
def test_several_passes_over_the_same_rows_keep_the_rate(digits, score, least, seed):
    """What the net was trained on tells nothing of new rows, when it comes again."""
    images = digits[0][np.random.default_rng(seed).permutation(1797)]
    ae = ConvAutoencoder(8, hidden_channels=(8,), anomaly_score=score, random_state=seed)
    for _ in range(5):
        ae.partial_fit(images[:400])
    assert (ae.predict(images[400:]) == -1).mean() < 0.1
    assert (ae.predict(1 - images[400:]) == -1).mean() > least


def test_calibration_of_a_stream_of_small_chunks(digits):
    images = digits[0][np.random.default_rng(0).permutation(1797)]
    ae = ConvAutoencoder(4, hidden_channels=(4,), calibration=0.2, random_state=0)
    ae.partial_fit(images[:20])
    for i in (*range(20, 40), *range(40, 600, 20)):  # rows one by one, then chunks
        ae.partial_fit(images[i : i + (1 if i < 40 else 20)])
    assert 90 < ae.calibration_.n_samples < 150
    assert (ae.predict(images[600:]) == -1).mean() < 0.1


def test_any_number_of_rows_can_be_calibrated_on(X):
    for n, calibration in product((2, 3, 5), (0.1, 0.9)):
        for seed in range(3):
            train, held = splits(calibration, X[:n], seed)[0]
            assert len(train) + len(held) == n > max(len(train), len(held))


def test_what_is_held_out_stays_held_out(make, X):
    trained, held = set(), set()
    for shuffle in range(3):
        part = X[np.random.default_rng(shuffle).permutation(200)[:120]]
        for random_state in None, 0:
            pairs = splits(0.3, part, random_state)
            assert 15 < len(pairs[0][1]) < 60
            trained |= {(random_state, row.tobytes()) for row in part[pairs[0][0]]}
            held |= {(random_state, row.tobytes()) for row in part[pairs[0][1]]}
    assert not trained & held
    ae = make(calibration=0.3).partial_fit(X)
    assert ae.calibration_.n_samples == len(splits(0.3, X, 0)[0][1])


def test_contamination_counts_what_is_held_out_too(make, X):
    ae = make(calibration=0.3)
    assert (ae.fit_predict(X) == -1).sum() == 20


def test_equal_p_values_and_rates_are_found():
    calibration = Calibration([(None, np.arange(499.0))])
    calibration.p_values = lambda X: np.r_[np.full(17, 0.0339), np.ones(33)]
    found = calibration.alarms(None, false_discovery_rate=0.1)  # 17 * 0.1 / 50 is 0.034
    assert found.sum() == 17


def test_rates_pass_through_a_pipeline(X):
    ae = ConvAutoencoder(4, input_shape=(8, 8), max_epochs=2, calibration=0.3, random_state=0)
    pipe = make_pipeline(FunctionTransformer(np.sqrt), ae).fit(X)
    assert set(pipe.predict(X, false_alarm_rate=0.1)) == {-1, 1}


# Where ------------------------------------------------------------------------------------------


def test_anomaly_map_is_the_loss_of_each_value(make_with_loss, X):
    ae = make_with_loss().fit(X)
    errors = ae.anomaly_map(X, standardize=False, sigma=0)
    np.testing.assert_allclose(errors, (ae.reconstruct(X) - X) ** 2, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(errors.mean(1), -ae.score_samples(X), rtol=1e-4)
    images = ae.anomaly_map(X.reshape(-1, 8, 8), standardize=False, sigma=0)
    np.testing.assert_array_equal(images.reshape(-1, 64), errors)


def test_map_of_a_loss_for_each_sample_is_the_squared_error(X):
    def per_sample(output, target):
        return abs(output - target).flatten(1).mean(1)

    ae = ConvAutoencoder(4, input_shape=(8, 8), max_epochs=2, loss=per_sample, contamination=0.1,
                         random_state=0)  # fmt: skip
    errors = ae.fit(255 * X).anomaly_map(255 * X, standardize=False, sigma=0)
    np.testing.assert_allclose(errors, (ae.reconstruct(255 * X) - 255 * X) ** 2, rtol=1e-2, atol=1)


def test_standardized_map(make, fitted, X):
    ae = fitted
    errors = ae.anomaly_map(X, standardize=False, sigma=0) / ae.net_.error_in_units(1.0)
    if make.cls is not ConditionalConvVAE:  # learned under the given labels, not the likely ones
        square = (errors.astype(float) ** 2).mean(0)
        expected = errors / np.sqrt(square + square.mean())
        np.testing.assert_allclose(ae.anomaly_map(X, sigma=0), expected, rtol=1e-3, atol=1e-3)
    assert ae.anomaly_map(X).dtype == np.float32


def test_map_is_smoothed_within_each_sample_and_channel():
    X = np.random.default_rng(0).random((20, 9, 7, 3))
    ae = ConvAutoencoder(2, channel_axis=-1, max_epochs=1, hidden_channels=(4,),
                         contamination=0.1, random_state=0)  # fmt: skip
    sharp, smooth = (ae.fit(X).anomaly_map(X, sigma=sigma) for sigma in (0, 1.5))
    for i, channel in product(range(20), range(3)):
        expected = gaussian_filter(sharp[i, ..., channel], 1.5)
        np.testing.assert_allclose(smooth[i, ..., channel], expected, rtol=1e-5)
    for sigma in (-1, "1", None, np.nan):
        with pytest.raises(ValueError, match=r"sigma=.* is no width; pass a number from 0 on"):
            ae.anomaly_map(X, sigma=sigma)


@pytest.mark.parametrize(
    ("shape", "channel_axis"), [((20,), None), ((9, 7), None), ((9, 7, 3), -1), ((5, 6, 7), None)]
)
def test_map_has_the_layout_of_the_input(shape, channel_axis):
    X = np.random.default_rng(0).random((20, *shape), dtype=np.float32)
    X[:, 0] = 0.5  # constant
    ae = ConvAutoencoder(2, input_shape=shape, channel_axis=channel_axis, max_epochs=1,
                         hidden_channels=(4,), contamination=0.1, random_state=0)  # fmt: skip
    ae.fit(X)
    assert ae.anomaly_map(X).shape == X.shape
    broken = X.copy()
    broken[0, 1, ...] += 3
    where = ae.anomaly_map(broken, sigma=0)[0]
    assert where[1].min() > np.delete(where, 1, axis=0).mean()
    assert abs(ae.anomaly_map(X)).max() < 50


def test_map_finds_a_patch(digits):
    images = digits[0]
    train, test, truth = images[:200], images[1200:1500].copy(), np.zeros((300, 8, 8), bool)
    for i, (row, column) in enumerate(np.random.default_rng(0).integers(0, 7, (300, 2))):
        patch = np.s_[i, row : row + 2, column : column + 2]
        test[patch] = 1 - test[patch]
        truth[patch] = True
    mean, variance = train.mean(0), train.var(0)
    without = (test - mean) ** 2 / (variance + variance.mean())
    for seed in range(3):
        ae = ConvAutoencoder(16, hidden_channels=(16, 32), max_epochs=8, contamination=0.1)
        ae.set_params(random_state=seed).fit(train)
        found = roc_auc_score(truth.ravel(), ae.anomaly_map(test, sigma=0).ravel())
        assert found > roc_auc_score(truth.ravel(), without.ravel()) + 0.02


# Dirty data -------------------------------------------------------------------------------------


def test_trimming_ignores_the_worst_of_a_batch(make, fitted, X):
    assert float(trimmed_mean(torch.arange(10.0), 0.2)) == 3.5
    assert [n_kept(n, 0.2) for n in (1, 5, 6, 16)] == [1, 4, 4, 12]
    assert not np.array_equal(fitted.transform(X), make(trim_fraction=0.2).fit(X).transform(X))


def test_trimming_waits_until_the_network_knows_something(X):
    """Nothing is left out in the first fifth of the steps, nor in the first chunk of a stream."""
    ae = ConvAutoencoder(4, input_shape=(8, 8), max_epochs=5, batch_size=200, random_state=0)
    ae.set_params(lr_schedule="constant", optimizer="sgd", normalization=None, contamination=0.1)
    ae.set_params(net__module__linear_path=False)
    plain, trimmed = (clone(ae).set_params(trim_fraction=t).fit(X) for t in (0.0, 0.2))
    assert plain.loss_curve_[0] == trimmed.loss_curve_[0]
    assert plain.loss_curve_[1] > trimmed.loss_curve_[1]
    plain, trimmed = (clone(ae).set_params(trim_fraction=t).partial_fit(X) for t in (0.0, 0.2))
    assert plain.loss_curve_ == trimmed.loss_curve_
    assert plain.partial_fit(X).loss_curve_[1] > trimmed.partial_fit(X).loss_curve_[1]


def test_trimming_helps_on_dirty_data(digits):
    images, y = digits
    normal, other = images[y == 0], images[y == 3]
    train = np.concatenate([normal[:100], other[:15]])
    test = np.concatenate([normal[100:], other[100:]])
    label = np.repeat([0, 1], [len(normal) - 100, len(other) - 100])
    gains = []
    for seed in range(2):
        ae = ConvAutoencoder(8, max_epochs=40, anomaly_score="loss", contamination=0.1)
        ae.set_params(random_state=seed)
        plain = roc_auc_scorer(clone(ae).fit(train), test, label)
        gains.append(
            roc_auc_scorer(ae.set_params(trim_fraction=0.2).fit(train), test, label) - plain
        )
    assert min(gains) > 0
