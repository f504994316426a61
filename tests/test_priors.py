"""Priors against torch.distributions."""

import pytest
import torch
from torch import distributions as D

from skcae.priors import PRIORS, GaussianMixture, Normal, normal_log_prob


def _mixture():
    return GaussianMixture(3, n_mixtures=5).initialize_(torch.Generator().manual_seed(0))


def _trained_mixture():
    """With weights, means and variances that all differ."""
    prior, generator = _mixture(), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return prior


def _reference(prior):
    if isinstance(prior, Normal):
        return D.Independent(D.Normal(torch.zeros(3), torch.ones(3)), 1)
    parts = D.Independent(D.Normal(prior.means, (0.5 * prior.logvars).exp()), 1)
    return D.MixtureSameFamily(D.Categorical(logits=prior.logits), parts)


@pytest.mark.parametrize("prior", [Normal(3), _mixture(), _trained_mixture()])
def test_log_prob(prior):
    z = 2 * torch.randn(4, 7, 3, generator=torch.Generator().manual_seed(2))
    expected = _reference(prior).log_prob(z)
    torch.testing.assert_close(prior.log_prob(z), expected, rtol=1e-4, atol=1e-4)


def test_normal_log_prob():
    mean, logvar, z = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0))
    expected = D.Normal(mean, (0.5 * logvar).exp()).log_prob(z).sum(1)
    torch.testing.assert_close(normal_log_prob(z, mean, logvar), expected)


def test_divergence_from_the_normal_prior():
    mean, logvar, z = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0))
    expected = D.kl_divergence(D.Normal(mean, (0.5 * logvar).exp()), D.Normal(0.0, 1.0))
    torch.testing.assert_close(Normal(4).kl(mean, logvar, z), expected)


@pytest.mark.parametrize("prior", [Normal(3), _trained_mixture()])
def test_divergence_is_estimated_without_bias(prior):
    mean, logvar = torch.tensor([[0.5, -1.0, 2.0]]), torch.tensor([[-1.0, 0.0, 0.5]])
    noise = torch.randn(100_000, 3, generator=torch.Generator().manual_seed(0))
    z = mean + (0.5 * logvar).exp() * noise
    estimate = super(Normal, prior).kl(mean, logvar, z) if isinstance(prior, Normal) else (
        prior.kl(mean, logvar, z)
    )  # fmt: skip
    log_q = D.Independent(D.Normal(mean, (0.5 * logvar).exp()), 1).log_prob(z)
    expected = (log_q - _reference(prior).log_prob(z)).mean()
    torch.testing.assert_close(estimate.mean(), expected, rtol=1e-4, atol=1e-4)
    if isinstance(prior, Normal):
        exact = prior.kl(mean, logvar, z).sum()
        error = estimate.std() / len(z) ** 0.5
        assert abs(estimate.mean() - exact) < 4 * error


@pytest.mark.parametrize("prior", [Normal(3), _trained_mixture()])
def test_samples_have_the_moments_of_the_prior(prior):
    with torch.no_grad():
        z = prior.sample(200_000, torch.Generator().manual_seed(0))
        again = prior.sample(200_000, torch.Generator().manual_seed(0))
        reference = _reference(prior)
        torch.testing.assert_close(z.mean(0), reference.mean, atol=0.03, rtol=0)
        torch.testing.assert_close(z.var(0), reference.variance, atol=0.05, rtol=0.03)
    assert torch.equal(z, again)


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_is_built_from_the_size_of_the_code(name):
    prior = PRIORS[name](6).initialize_(torch.Generator().manual_seed(0))
    assert prior.sample(2, torch.Generator()).shape == (2, 6)
    assert prior.log_prob(torch.zeros(4, 6)).shape == (4,)
