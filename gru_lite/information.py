"""Mutual information I(Z; G) between features and the group, in nats, by a critic that is trained to tell them apart.

Belghazi et al., *MINE* (ICML 2018), on the variational formula of Donsker and Varadhan. G is discrete, so the product
of the marginals needs no sampling: the critic is evaluated on every group and weighted by p(g). Lesson 4 derives it.
"""

import math

import torch
from torch import nn

from .seeding import torch_stream


class Critic(nn.Module):
    """T(z, g): one hidden layer with ReLU on concat(z, one-hot g). Always float32, inside autocast too.

    Args:
        n_features, n_groups: D and K; hidden: width of the layer; seed: the initial weights depend on it alone.
    """

    def __init__(self, n_features, n_groups, hidden=512, seed=0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(torch_stream(seed, "critic").initial_seed())
            self.first = nn.Linear(n_features + n_groups, hidden)
            self.last = nn.Linear(hidden, 1)

    def forward(self, z, g):
        """Return T of each sample with the group it is given: (B, D) features and (B,) ids to (B,)."""
        return self._values(z, lambda of_group: of_group[g])

    def table(self, z):
        """Return T of each sample with every group: (B, D) features to (B, K)."""
        return self._values(z[:, None], lambda of_group: of_group)

    def _values(self, z, pick):
        # A one-hot g picks one column of the weights, so that the layer is W_z z + b + W_g[g].
        with torch.autocast(z.device.type, enabled=False):
            of_features, of_group = self.first.weight.split([z.shape[-1], self.first.in_features - z.shape[-1]], dim=1)
            hidden = nn.functional.linear(z.float(), of_features, self.first.bias) + pick(of_group.T)
            return self.last(hidden.relu()).squeeze(-1)


def donsker_varadhan(table, group, log_prior):
    """Return E_p(z,g)[T] - log E_p(z)p(g)[exp T], a lower bound of I(Z; G) for every T, with the sum over g exact.

    Args:
        table: (B, K) values of the critic, see `Critic.table`; group: (B,) int64 group of each sample.
        log_prior: (K,) log p(g); -inf for a group that does not occur.
    """
    joint, log_marginal = exact_terms(table, group, log_prior)
    return joint - log_marginal


def sampled_bound(joint, marginal):
    """Return the same bound from T(z, g) and T(z, g') of sampled g': (B,) values each."""
    joint, log_marginal = sampled_terms(joint, marginal)
    return joint - log_marginal


def exact_terms(table, group, log_prior):
    """Return the two terms of `donsker_varadhan`: E_joint[T] and log E_marginal[exp T]."""
    table, log_prior = table.float(), log_prior.float()
    joint = table.gather(1, group[:, None]).mean()
    weighted = (table + log_prior).masked_fill(log_prior == -math.inf, -math.inf)
    return joint, weighted.flatten().logsumexp(0) - math.log(len(table))


def sampled_terms(joint, marginal):
    """Return the two terms of `sampled_bound`."""
    return joint.float().mean(), marginal.float().logsumexp(0) - math.log(len(marginal))


class MovingAverage:
    """MINE's correction of the gradient of a batch's log E[exp T], for the steps of a critic only.

    Its gradient is E[exp T grad T] / E[exp T], and a ratio of two means over one small batch is biased. The
    denominator is replaced by its exponential moving average, kept as a logarithm so that it cannot overflow.

    Args:
        rate: weight of the newest batch in the average; 1 is no correction.
    """

    def __init__(self, rate=0.01):
        self.rate = rate
        self.log_mean = None

    def loss(self, joint, log_marginal):
        """Return minus the bound, to be minimised, from its two terms; its gradient has the averaged denominator."""
        now = log_marginal.detach()
        if self.log_mean is None:
            self.log_mean = now
        elif self.rate < 1:
            self.log_mean = torch.logaddexp(self.log_mean + math.log1p(-self.rate), now + math.log(self.rate))
        else:
            self.log_mean = now
        scale = (now - self.log_mean).exp()  # at most 1 / rate
        return now + scale * (log_marginal - now) - joint
