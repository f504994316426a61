"""What the variational autoencoders share: likelihoods, codes with a distribution, samples."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from ._base import BaseAutoencoder
from ._finishing import N_SCORES
from ._net._variational import VariationalNet
from ._parameters import check_count, choose, draw_seed
from ._warnings import warn
from .losses import LIKELIHOODS
from .modules import VariationalAutoencoder
from .priors import PRIORS

# A component of the code is active if its posterior mean varies more (Burda et al., 2016).
ACTIVE_VARIANCE = 0.01


class BaseVAE(BaseAutoencoder):
    """What the variational autoencoders share."""

    _net_class, _network_class = VariationalNet, VariationalAutoencoder
    _loss_parameter = "likelihood"

    def _loss(self):
        named = isinstance(self.likelihood, str)
        return LIKELIHOODS[self.likelihood] if named else self.likelihood

    def _module_arguments(self, layout):
        return super()._module_arguments(layout) | {"module__n_classes": 0}

    def _net_options(self):
        return {
            "prior": choose(PRIORS, self.prior),
            "beta": self.beta,
            "n_train_samples": self.n_train_samples,
            "n_importance_samples": self.n_importance_samples,
        }

    def _finish(self, net, unseen, rows, target, *others, **options):
        active = self._active_units(net, rows, target)
        if len(rows) > 1 and not active.any():
            few = np.asarray(rows[:N_SCORES])
            remedy = (
                "All rows of X are equal."
                if (few == few[0]).all()
                else "Train for longer, or try net_params={'kl_warmup': 0.3}, {'free_bits': 0.1}, "
                "a smaller beta or another learning_rate."
            )
            warn(
                f"the codes do not depend on X: all of them have collapsed onto the prior, so "
                f"that samples and reconstructions are all alike. {remedy}",
                ConvergenceWarning,
            )
        attributes = super()._finish(net, unseen, rows, target, *others, **options)
        return attributes | {"active_units_": active}

    def _view(self, net, rows, target):
        view = super()._view(net, rows, target)
        return view | {"active_units_": self._active_units(net, rows, target)}

    def _active_units(self, net, rows, target):
        """Which components of the code vary between some of the rows, given their labels."""
        labels, step = self._labels_of(target), -(-len(rows) // N_SCORES)
        means = net.encode(rows[::step], None if labels is None else labels[::step])
        return means.var(axis=0) > ACTIVE_VARIANCE

    def _code_and_label(self, rows, mixed):
        """Codes, and of a conditional model indices of the labels under which to decode them.

        They are the most probable ones; the codes are those under them, or ``mixed``.
        """
        return self.net_.encode(rows), None

    def posterior(self, X):
        """Compute mean and standard deviation of the code given each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components), float32
            What `transform` returns.
        std : ndarray of shape (n_samples, n_components), float32
            Standard deviations.
        """
        check_is_fitted(self)
        return self.net_.posterior(self._validate(X)[0])

    def score_samples(self, X):
        """Estimate the log-likelihood of each sample, or what `anomaly_score` names.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            The importance-weighted bound of the log-likelihood, from `n_importance_samples`
            draws, in nats and in the units of `X`; with another `anomaly_score` its negative.
            The draws belong to the estimator: a score never changes between calls, and does not
            depend on the other rows.
        """
        return super().score_samples(X)

    def log_likelihood(self, X, n_samples=1000, return_std=False):
        """Estimate the log-likelihood of each sample with more draws.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        n_samples : int, default=1000
            Draws of the code for each sample.
        return_std : bool, default=False
            Whether to return the standard error too, which needs two draws or more.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,), float64
            The importance-weighted bound in nats, in the units of `X`.
        std : ndarray of shape (n_samples,), float64
            Its Monte Carlo standard error, by the jackknife; only with ``return_std=True``. From
            few draws it is itself uncertain: with ten, two of it cover about 80 to 90 %.
        """
        check_is_fitted(self)
        return self._log_likelihood(self._validate(X)[0], None, n_samples, return_std)

    def _log_likelihood(self, rows, labels, n_samples, return_std):
        n_samples = check_count("n_samples", n_samples, 2 if return_std else 1)
        estimate, std = self.net_.log_likelihood(rows, labels, n_samples).T
        return (estimate, std) if return_std else estimate

    def elbo(self, X, n_samples=100):
        r"""Split the evidence lower bound of each sample into its two terms.

        .. math:: \log p(x) \ge \mathbb{E}_q \log p(x \mid z) - KL(q(z \mid x), p(z))

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *input_shape)
            Rows or images.
        n_samples : int, default=100
            Draws of the code for each sample, over which the first term is averaged; the second
            is exact for the normal prior.

        Returns
        -------
        reconstruction : ndarray of shape (n_samples,), float64
            Expected log-likelihood given the code, in nats.
        kl : ndarray of shape (n_samples,), float64
            Divergence of the posterior from the prior, in nats; the bound is the difference.
        """
        check_is_fitted(self)
        n_samples, rows = check_count("n_samples", n_samples), self._validate(X)[0]
        reconstruction, kl = self.net_.elbo(rows, None, n_samples).T
        return reconstruction, kl

    def summary(self):
        """List the layers of the network with their output shapes and counts.

        Returns
        -------
        layers : pandas.DataFrame
            As for the other autoencoders, with a row "active units" before the total: how many
            components of the code vary with `X`.
        """
        layers = super().summary()
        total = layers.loc["total"]
        layers = layers.drop(index="total")
        active = f"{self.active_units_.sum()} of {self.n_components_}"
        layers.loc["active units"] = ["", active, 0, 0]
        layers.loc["total"] = total
        return layers

    def _sample(self, n_samples, labels, random_state):
        n_samples = check_count("n_samples", n_samples)
        Z = self.net_.sample(n_samples, draw_seed(random_state))
        return self._as_given(self.net_.decode(Z, labels))

    def _interpolate(self, X_from, X_to, n_steps):
        begin, end = (self._validate(X)[0] for X in (X_from, X_to))
        if len(begin) != len(end):
            raise ValueError(
                f"X_from has {len(begin)} samples and X_to has {len(end)}; pass pairs."
            )
        share = np.linspace(0, 1, check_count("n_steps", n_steps), dtype=np.float32)
        (begin, labels), (end, _) = (self._code_and_label(X, mixed=False) for X in (begin, end))
        Z = begin[:, None] + share[:, None] * (end - begin)[:, None]
        return self._decode_grid(Z, labels)

    def _traverse(self, X, n_steps, span):
        if not np.isfinite(span):
            raise ValueError(f"span={span!r} is not finite; pass a number such as 2.0.")
        Z, labels = np.zeros((1, self.n_components_), np.float32), None
        if X is not None:
            Z, labels = self._code_and_label(self._validate(X)[0], mixed=True)
        if len(Z) != 1:
            raise ValueError(f"X has {len(Z)} samples; pass one, or None for the centre.")
        steps = np.linspace(-span, span, check_count("n_steps", n_steps), dtype=np.float32)
        grid = np.tile(Z[0], (self.n_components_, len(steps), 1))
        component = np.arange(self.n_components_)
        grid[component, :, component] = steps
        return self._decode_grid(grid, None if labels is None else labels.repeat(len(grid)))

    def _decode_grid(self, Z, labels):
        """Codes ``(n, n_steps, n_components)``, each row of them under its label."""
        n, n_steps, _ = Z.shape
        labels = None if labels is None else labels.repeat(n_steps)
        images = self._as_given(self.net_.decode(Z.reshape(n * n_steps, -1), labels))
        return images.reshape(n, n_steps, *images.shape[1:])
