"""Mutual information I(Z; G) between features and the group, in nats, by a critic that is trained to tell
them apart.

Belghazi et al., *MINE* (ICML 2018), on the variational formula of Donsker and Varadhan. G is discrete, so the
product of the marginals needs no sampling: the critic is evaluated on every group and weighted by p(g).
Lesson 4 derives it.
"""

from __future__ import annotations

import copy
import itertools
import math
import numbers

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .errors import DivergedError, InputError, check_choice
from .seeding import stream, torch_stream

FOLDS = 4  # two train a critic, one says when to stop, one is evaluated; the roles rotate
BATCH = 128
# Steps between two looks at the fold that says when to stop, and how many of its samples they take at most.
CHECKS, LOOK_AT = 5, 2000
CLIP = 10.0  # features are cut off this many standard deviations from their mean
TAU = 5.0  # the clipped bound's limit on abs(T)
FEWEST = 40  # samples: ten a fold


class Critic(nn.Module):
    """T(z, g): one hidden layer with ReLU on concat(z, one-hot g). Always float32, inside autocast too.

    Args:
        n_features: size of the features, D.
        n_groups: number of groups, K.
        hidden: width of the layer.
        seed: the initial weights depend on it alone.
    """

    def __init__(self, n_features: int, n_groups: int, hidden: int = 512, seed: int = 0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(torch_stream(seed, "critic").initial_seed())
            self.first = nn.Linear(n_features + n_groups, hidden)
            self.last = nn.Linear(hidden, 1)

    def forward(self, z: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """Return T of each sample with the group it is given: (B, D) features and (B,) ids to (B,)."""
        return self._values(z, lambda of_group: of_group[g])

    def table(self, z: torch.Tensor) -> torch.Tensor:
        """Return T of each sample with every group: (B, D) features to (B, K)."""
        return self._values(z[:, None], lambda of_group: of_group)

    def _values(self, z, pick):
        # A one-hot g picks one column of the weights, so that the layer is W_z z + b + W_g[g].
        with torch.autocast(z.device.type, enabled=False):
            sizes = [z.shape[-1], self.first.in_features - z.shape[-1]]
            of_features, of_group = self.first.weight.split(sizes, dim=1)
            hidden = F.linear(z.float(), of_features, self.first.bias) + pick(of_group.T)
            return self.last(hidden.relu()).squeeze(-1)


def donsker_varadhan(table: torch.Tensor, group: torch.Tensor, log_prior: torch.Tensor) -> torch.Tensor:
    """Return E_p(z,g)[T] - log E_p(z)p(g)[exp T], a lower bound of I(Z; G) for every T, with the sum over g
    exact.

    Args:
        table: (B, K) values of the critic, see `Critic.table`.
        group: (B,) int64 group of each sample.
        log_prior: (K,) log p(g); -inf for a group that does not occur.
    """
    joint, log_marginal = exact_terms(table, group, log_prior)
    return joint - log_marginal


def sampled_bound(joint: torch.Tensor, marginal: torch.Tensor) -> torch.Tensor:
    """Return the same bound from T(z, g) and T(z, g') of sampled g': (B,) values each."""
    joint, log_marginal = sampled_terms(joint, marginal)
    return joint - log_marginal


def normalised(table: torch.Tensor, log_prior: torch.Tensor) -> torch.Tensor:
    """Return the table less, in each row, log of the mean over p(g) of exp T: it is then 0.

    By Jensen's inequality `donsker_varadhan` does not fall on any sample, and becomes the classifier's bound
    for q(g | z) = p(g) exp T(z, g).
    """
    return table - (table + log_prior).logsumexp(1, keepdim=True)


def exact_terms(
    table: torch.Tensor, group: torch.Tensor, log_prior: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the two terms of `donsker_varadhan`: E_joint[T] and log E_marginal[exp T]."""
    table, log_prior = table.float(), log_prior.float()
    joint = table.gather(1, group[:, None]).mean()
    weighted = (table + log_prior).masked_fill(log_prior == -math.inf, -math.inf)
    return joint, weighted.flatten().logsumexp(0) - math.log(len(table))


def sampled_terms(joint: torch.Tensor, marginal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the two terms of `sampled_bound`."""
    return joint.float().mean(), marginal.float().logsumexp(0) - math.log(len(marginal))


class MovingAverage:
    """MINE's correction of the gradient of a batch's log E[exp T], for the steps of a critic only.

    Its gradient is E[exp T grad T] / E[exp T], and a ratio of two means over one small batch is biased. The
    denominator is replaced by its exponential moving average, kept as a logarithm so that it cannot overflow.

    Args:
        rate: weight of the newest batch in the average; 1 is no correction.
        linear: keep E[exp T] itself and add 1e-18 to the denominator, as the authors' release does: where T
            reaches 89, exp T is infinite in float32 and the gradient not a number.
    """

    def __init__(self, rate: float = 0.01, linear: bool = False):
        self.rate, self.linear = rate, linear
        self.mean = None  # its logarithm, unless linear

    def loss(self, joint: torch.Tensor, log_marginal: torch.Tensor) -> torch.Tensor:
        """Return minus the bound, from its two terms; its gradient has the averaged denominator."""
        now = log_marginal.detach()
        if self.linear:
            newest = now.exp()
            self.mean = newest if self.mean is None else self.rate * newest + (1 - self.rate) * self.mean
            scale = newest / (self.mean + 1e-18)
        else:
            if self.mean is None or self.rate == 1:
                self.mean = now
            else:
                self.mean = torch.logaddexp(self.mean + math.log1p(-self.rate), now + math.log(self.rate))
            scale = (now - self.mean).exp()  # at most 1 / rate
        return now + scale * (log_marginal - now) - joint


# From here on: an estimate from a sample, with critics of its own.


class _StartingAtZero(Critic):
    """A Critic with one more term, linear in z for each group: many features need it. It starts as T = 0."""

    def __init__(self, n_features, n_groups, hidden, seed):
        super().__init__(n_features, n_groups, hidden, seed)
        self.linear = nn.Parameter(torch.zeros(n_groups, n_features))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, z, g):
        return super().forward(z, g) + (z * self.linear[g]).sum(1)

    def table(self, z):
        return super().table(z) + z @ self.linear.T


def mutual_information(
    features: np.ndarray | torch.Tensor,
    groups: np.ndarray | torch.Tensor,
    n_groups: int,
    estimator: str = "mine",
    marginal: str = "exact",
    seed: int = 0,
    *,
    hidden: int = 64,
    steps: int = 400,
    lr: float = 0.01,
) -> float:
    """Estimate I(Z; G) in nats. Every sample is judged by critics that it neither trained nor stopped.

    The samples are cut into four folds, each with all groups in proportion. For each of the six pairs of
    folds a critic is trained on the other two; one fold of the pair says when to stop (before the first step,
    too), and the other one is evaluated; both ways round. So each sample is evaluated once, with the mean T
    of three critics.

    Args:
        features: (N, D) finite numbers of any scale, numpy or torch; N at least 40. They are standardised.
        groups: (N,) whole numbers from 0 to n_groups - 1.
        n_groups: K; groups that do not occur are allowed.
        estimator: "mine", the bound of Donsker and Varadhan (Belghazi et al., 2018); "classifier", H(G) minus
            the cross-entropy of a classifier (Barber and Agakov, 2003); "smile", the clipped bound of Song
            and Ermon (2020), with abs(T) <= 5. On average the first two are not above I; of the third nothing
            is promised.
        marginal: for "mine" alone, what stands for p(z)p(g): "exact", the sum over all groups; "empirical",
            one g' a sample, drawn from p(g); "uniform", drawn from all K groups, as in the authors' released
            code. The last estimates I + log K - H(G), not I.
        seed: of the folds, the critics and all draws.
        hidden: width of the critics' hidden layer.
        steps: most steps of a critic.
        lr: of the critics.

    Returns:
        nats; where there is no information, often a little below 0. Exactly 0.0 when only one group occurs.

    Raises:
        InputError: names the row or the option that is wrong.
        DivergedError: the loss of a critic left all bounds.
    """
    check_choice(estimator, ("mine", "classifier", "smile"), "estimator")
    check_choice(marginal, ("exact", "empirical", "uniform"), "marginal")
    if marginal != "exact" and estimator != "mine":
        raise InputError(
            f"marginal {marginal!r} is for estimator 'mine': {estimator!r} always takes the exact one"
        )
    _check_whole("hidden", hidden)
    _check_whole("steps", steps)
    if not isinstance(lr, numbers.Real) or not 0 < lr < math.inf:
        raise InputError(f"lr {lr!r} is not a number above 0")
    z, group = _checked(features, groups, n_groups)
    fold = _folds(group, stream(seed, "folds"))
    if np.ptp(group) == 0:
        return 0.0
    frequency = np.bincount(group, minlength=n_groups) / len(group)
    p = frequency if marginal == "empirical" else None
    other = stream(seed, "g'").choice(n_groups, len(group), p=p)  # not read where the marginal is exact
    sample = [torch.from_numpy(part) for part in (z, group, other)]
    log_prior = torch.from_numpy(frequency).float().log()
    table = torch.zeros(len(z), n_groups)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums depend on it, and so the estimate
    try:
        for run, pair in enumerate(itertools.combinations(range(FOLDS), 2)):
            masks = [*map(torch.from_numpy, (~np.isin(fold, pair), fold == pair[0], fold == pair[1]))]
            parts = [[part[mask] for part in sample] for mask in masks]
            rng = stream(seed, "critic", run)
            held_out = _fit(*parts, log_prior, estimator, marginal, rng, hidden, steps, lr)
            for mask, values in zip(masks[1:], held_out):
                table[mask] += values / (FOLDS - 1)
        return _value(table, *sample[1:], log_prior, estimator, marginal).item()
    finally:
        torch.set_num_threads(threads)


def _fit(train, first, second, log_prior, estimator, marginal, rng, hidden, steps, lr):
    """Train one critic; return T of `first`, stopped by `second`, and T of `second`, stopped by `first`."""
    z, group, _ = train
    n_groups = len(log_prior)
    mean, scale = z.mean(0), z.std(0)
    scale = torch.where(scale > 1e-9 * mean.abs(), scale, math.inf)  # a constant feature becomes 0

    def standard(values):
        return ((values - mean) / scale).clamp(-CLIP, CLIP).float()

    def table_of(part):
        return torch.cat([critic.table(standard(values)) for values in part[0].split(4096)])

    critic = _StartingAtZero(z.shape[1], n_groups, hidden, int(rng.integers(2**31)))
    optimizer = torch.optim.Adam(critic.parameters(), lr=lr, fused=True)
    z = standard(z)
    draws = torch.from_numpy(rng.integers(0, len(group), (steps, BATCH)))
    other = torch.from_numpy(rng.integers(0, n_groups, (steps, BATCH)))
    if marginal == "empirical":
        other = group[rng.integers(0, len(group), (steps, BATCH))]
    of_train = (torch.bincount(group, minlength=n_groups) / len(group)).log()  # a group can be missing in it

    looked_at = []
    for part in (first, second):
        few = torch.from_numpy(rng.permutation(len(part[1]))[:LOOK_AT])
        looked_at.append([values[few] for values in part])
    best = [(-math.inf, 0, None)] * 2  # value, step and weights, by `first` and by `second`
    for step in range(steps + 1):
        if step % CHECKS == 0:
            for i, part in enumerate(looked_at):
                with torch.no_grad():
                    value = _value(table_of(part), *part[1:], log_prior, estimator, marginal).item()
                if value > best[i][0]:
                    best[i] = (value, step, copy.deepcopy(critic.state_dict()))
            if step == steps or step > 50 + 1.5 * max(best[0][1], best[1][1]):
                break
        batch = draws[step]
        loss = _loss(critic.table(z[batch]), group[batch], other[step], of_train, estimator, marginal)
        if not loss.item() < 1e3:
            raise DivergedError(
                f"the critic diverged in step {step + 1}: its loss is {loss.item():.4g}; lower lr ({lr})"
            )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    with torch.no_grad():
        critic.load_state_dict(best[1][2])
        of_first = table_of(first)
        critic.load_state_dict(best[0][2])
        return of_first, table_of(second)


def _loss(table, group, other, log_prior, estimator, marginal):
    """What a critic minimises on a batch; `other` is g'."""
    if estimator == "classifier":
        return F.cross_entropy(table + log_prior, group)
    if estimator == "smile":  # trained, as its authors do, on the bound of the Jensen-Shannon divergence
        return F.softplus(-_of(table, group)).mean() + (F.softplus(table) @ log_prior.exp()).mean()
    if marginal == "exact":
        return -donsker_varadhan(table, group, log_prior)
    return -sampled_bound(_of(table, group), _of(table, other))


def _value(table, group, other, log_prior, estimator, marginal):
    """The estimate from T of held-out samples."""
    if estimator == "smile":
        return _of(table, group).mean() - exact_terms(table.clamp(-TAU, TAU), group, log_prior)[1]
    if marginal == "exact":
        return donsker_varadhan(normalised(table, log_prior), group, log_prior)
    return sampled_bound(_of(table, group), _of(table, other))


def _of(table, group):
    return table.gather(1, group[:, None]).squeeze(1)


def _folds(group, rng):
    """(N,) fold of each sample; every group is spread over all folds."""
    order = rng.permutation(len(group))
    order = order[np.argsort(group[order], kind="stable")]
    fold = np.empty(len(group), dtype=np.int64)
    fold[order] = np.arange(len(group)) % FOLDS
    return fold


def _check_whole(name, value):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise InputError(f"{name} {value!r} is not a whole number of 1 or more")


def _checked(features, groups, n_groups):
    """(N, D) float64 and (N,) int64 of what was given, or InputError."""
    _check_whole("n_groups", n_groups)
    features, groups = _array(features, "features"), _array(groups, "groups")
    if features.ndim != 2 or features.shape[1] == 0:
        raise InputError(f"features have shape {features.shape}: give (samples, features)")
    if groups.shape != features.shape[:1]:
        raise InputError(f"groups have shape {groups.shape} for {len(features)} samples: give one group each")
    if len(features) < FEWEST:
        raise InputError(f"{len(features)} samples are too few: give at least {FEWEST} (hundreds are better)")
    if not np.isfinite(features).all():
        row = int(np.argmin(np.isfinite(features).all(axis=1)))
        raise InputError(f"features of sample {row} are not finite numbers")
    good = (groups >= 0) & (groups < n_groups) & (groups == np.floor(groups))
    if not good.all():
        row = int(np.argmin(good))
        raise InputError(
            f"the group of sample {row} is {groups[row]:g}: groups are whole numbers from 0 to {n_groups - 1}"
        )
    return features, groups.astype(np.int64)


def _array(values, name):
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().double().numpy()
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} are not an array of numbers") from None
