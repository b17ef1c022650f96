# %% [markdown]
# # Mutual information: what features tell about the group
#
# **Result.** The features of the original model tell the background of an image almost without doubt: more than nine
# tenths of all there is to know, although it was trained for the digit alone. We can trust this number because there
# are only four groups: the estimate then needs no sampled groups, and errs on the safe side.
#
# **Question.** How much do features tell about the group, and how far can you believe a number that a network has
# estimated?
#
# **After this lesson you can**
#
# - derive the bound of Donsker and Varadhan, and write MINE in a dozen lines;
# - compare it with NWJ, InfoNCE, SMILE and a classifier, by bias and by variance;
# - say how many samples an estimate of $I$ nats needs, and why four groups escape that limit;
# - recognise a worthless estimate: training samples, wrong marginals, differences of bounds.
#
# **You need** {doc}`03_exact_unlearning_by_reweighting`, expectation, and logarithms. **Time:** 25 minutes to read,
# three to run on two CPU cores.

# %% tags=["parameters"]
profile = "full"  # or "smoke": a few steps, so numbers mean nothing
seed = 0

# %%
import math

import numpy as np
import pandas as pd
import torch
from scipy.special import logsumexp
from torch import nn

import gru_lite as gru
from gru_lite import plots
from gru_lite.information import normalised, sampled_bound

full = profile == "full"
torch.set_num_threads(1)  # small tensors: more threads only cost time
rng = np.random.default_rng(seed)
generator = torch.manual_seed(seed)
brief = {} if full else {"steps": 10}  # for gru.mutual_information

# %% [markdown]
# ## Mutual information is the doubt that features remove
#
# $G$ is the {term}`group` of a random image, and $Z$ are its features. The **entropy** $H(G) = -\sum_g p(g) \log
# p(g)$ is your doubt about the group before you see the features. $H(G \mid Z)$, the mean entropy of $p(g \mid z)$,
# is the doubt afterwards. The difference is the {term}`mutual information`
#
# $$I(Z; G) = H(G) - H(G \mid Z) = \mathbb{E}_{p(z,g)} \log \frac{p(g \mid z)}{p(g)}
# = \mathbb{E}_{p(z,g)} \log \frac{p(z, g)}{p(z)\,p(g)}.$$
#
# The last form is a Kullback-Leibler divergence, that of the joint law from the product of its marginals. With
# natural logarithms the unit is the {term}`nat`. $I$ is 0 when $Z$ and $G$ are independent. It is at most $H(G)$, and
# so at most $\log K$ for $K$ groups.
#
# ### An example with a known answer
#
# Let $g$ be uniform on $0, \dots, m-1$. Given $g$, let $z$ be uniform on the interval from $g$ to $g + 2$. *You are
# told $z$. What do you know about $g$?*
#
# Below 1 the group must be 0, and above $m$ it must be $m - 1$. Anywhere else two groups are equally likely, so a
# doubt of $\log 2$ is left. Each of the two clear ends has probability $\frac{1}{2m}$, so
#
# $$I(Z; G) = \log m - \frac{m-1}{m} \log 2.$$
#
# Only $\lfloor z \rfloor$ matters here, so we can check the formula by counting.


# %%
def overlap(m, n):
    g = rng.integers(0, m, n)
    z = g + 2 * rng.random(n)
    return z[:, None], g


m = 4
truth = math.log(m) - (m - 1) / m * math.log(2)
z, g = overlap(m, 200_000)
joint = np.zeros((m + 1, m))
np.add.at(joint, (np.floor(z[:, 0]).astype(int), g), 1 / len(g))
product = joint.sum(1, keepdims=True) * joint.sum(0)
seen = joint > 0
counted = (joint[seen] * np.log(joint[seen] / product[seen])).sum()
print(f"formula {truth:.3f}, counted {counted:.3f} nats")

# %% [markdown]
# The features of a network are 64 numbers of unknown density. Counting cells does not work there.
#
# ## Any critic bounds the information from below
#
# So we *guess* the density ratio. Let $T(z, g)$ be any function, the {term}`critic`. Then
#
# $$I(Z; G) \;\ge\; \mathbb{E}_{p(z,g)}[T] - \log \mathbb{E}_{p(z)p(g)}[e^T]. \qquad (1)$$
#
# This is the {term}`Donsker-Varadhan bound`. *Proof.* Write $c = \mathbb{E}_{p(z)p(g)}[e^T]$. Then $q(z, g) =
# p(z)\,p(g)\,e^{T(z,g)} / c$ is a density, and a Kullback-Leibler divergence is not negative:
#
# $$0 \le \mathbb{E}_{p(z,g)} \log \frac{p(z,g)}{q(z,g)}
# = \underbrace{\mathbb{E}_{p(z,g)} \log \frac{p(z,g)}{p(z)\,p(g)}}_{I(Z;G)} - \mathbb{E}_{p(z,g)}[T] + \log c. \qquad
# \square$$
#
# The gap closes when $q = p$, that is for
#
# $$T^*(z, g) = \log \frac{p(g \mid z)}{p(g)} + \text{any constant}. \qquad (2)$$
#
# No $T$ can exceed $I$, so you may *train* a network to make (1) large. That is MINE, *mutual information neural
# estimation* {cite:p}`belghazi2018mine`. The first mean is over samples with their own group, the second over
# samples with a group $g'$ drawn from $p(g)$.


# %%
def T(net, z, g, k):
    one_hot = nn.functional.one_hot(g, k)
    return net(torch.cat([z, one_hot], dim=1)).squeeze(1)


def mine(z, g, k, steps):
    layers = nn.Linear(z.shape[1] + k, 64), nn.ReLU(), nn.Linear(64, 1)
    net = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(steps):
        rows, others = torch.randint(len(z), (2, 256))
        joint = T(net, z[rows], g[rows], k)
        product = T(net, z[rows], g[others], k)
        bound = joint.mean() - (product.logsumexp(0) - math.log(256))
        optimizer.zero_grad()
        (-bound).backward()
        optimizer.step()
    return net


z, g = (torch.tensor(part) for part in overlap(m, 1500))
z = z.float()
net = mine(z, g, m, steps=2000 if full else 20)

# %% [markdown]
# The package's critic and bound are the same. We use the package's from here on.

# %%
critic = gru.Critic(1, m, hidden=64)
critic.first.load_state_dict(net[0].state_dict())
critic.last.load_state_dict(net[2].state_dict())
g_other = g[torch.randperm(len(g))]

joint, product = critic(z, g), critic(z, g_other)
assert torch.allclose(joint, T(net, z, g, m), atol=1e-4)
bound = sampled_bound(joint, product)
assert torch.isclose(bound, joint.mean() - product.exp().mean().log(), atol=1e-3)
print(f"bound on the training samples {bound:.3f}, truth {truth:.3f}")

# %% [markdown]
# Has it learnt (2)? Here $p(g \mid z)/p(g)$ is 4 where $z$ leaves no doubt, 2 where two groups are possible, and 0
# where the group is impossible. *Which parts of that will a smooth network find hard?*

# %% mystnb={"image": {"alt": "Four panels, one for each group, of the learnt critic against z. Where the group is possible it lies near the dashed steps of the true log ratio. Elsewhere it drops to large negative values, with slanted flanks."}, "figure": {"caption": "The trained critic, less its constant, and the true log density ratio (dashed) for the four groups; minus infinity is not drawn.", "name": "fig-learnt-ratio"}}
grid = torch.linspace(0, m + 1, 400)[:, None]
with torch.no_grad():
    constant = product.logsumexp(0) - math.log(len(product))
    table = critic.table(grid) - constant
cell = grid[:, 0].floor()
alone = (cell == 0) | (cell >= m)

fig, axes = plots.figure(8, 2.6, columns=m, sharey=True)
for group, axis in enumerate(axes):
    possible = (cell == group) | (cell == group + 1)
    ratio = torch.where(alone, math.log(m), math.log(m / 2))
    ratio = ratio.where(possible, torch.nan)
    axis.plot(grid[:, 0], table[:, group], color=plots.REWEIGHT, lw=1.8)
    axis.plot(grid[:, 0], ratio, color=plots.INK, ls="--", lw=1.4)
    axis.set(title=f"g = {group}", xlabel="z", ylim=(-6, 2.2))
axes[0].set_ylabel("T(z, g)")
plots.show()

# %% [markdown]
# Where samples are, the critic is close. Slanted jumps, and "very low" for minus infinity, are what the bound loses.
#
# ## A group with few values needs no sampling
#
# The second mean of (1) used one random $g'$ for each sample. But $G$ has only $K$ values, so you can sum over them.
# This is the {term}`exact marginal`:
#
# $$\mathbb{E}_{p(z)p(g)}[e^T] = \mathbb{E}_{p(z)} \sum_g p(g)\, e^{T(z, g)}.$$
#
# `critic.table(z)` has $T$ for all groups, and `gru.donsker_varadhan` takes the sum.
#
# ### With normalised rows, MINE's bound is a classifier's
#
# Subtract from each row of the table a constant of its own:
#
# $$\tilde T(z, g) = T(z, g) - a(z), \qquad a(z) = \log \sum_{g'} p(g')\, e^{T(z, g')}.$$
#
# Now $\sum_g p(g)\,e^{\tilde T(z,g)} = 1$ for every $z$. The second term of (1) is $\log 1 = 0$, and the bound is
# $\mathbb{E}[\tilde T] = \mathbb{E}[T] - \mathbb{E}[a(z)]$. It was $\mathbb{E}[T] - \log \mathbb{E}[e^{a(z)}]$
# before, and by Jensen's inequality $\mathbb{E}[a] \le \log \mathbb{E}[e^a]$. So **normalising never loosens the
# bound**, whatever the critic and the samples. It also makes $q(g \mid z) = p(g)\,e^{\tilde T(z,g)}$ a *classifier*,
# a law of groups for each $z$:
#
# $$\mathbb{E}[\tilde T] = \mathbb{E} \log \frac{q(g \mid z)}{p(g)} = H(G) - \text{cross-entropy of } q. \qquad (3)$$
#
# This is the bound of Barber and Agakov {cite:p}`barber2003im`. For a discrete group, MINE asks how well a classifier
# can tell the group. Only the training differs.

# %%
log_prior = torch.full((m,), -math.log(m))
with torch.no_grad():
    table = critic.table(z)
    exact = gru.donsker_varadhan(table, g, log_prior).item()
    tightened = gru.donsker_varadhan(normalised(table, log_prior), g, log_prior).item()
    cross_entropy = nn.functional.cross_entropy(table + log_prior, g).item()
by_classifier = math.log(m) - cross_entropy
print(f"bound {exact:.4f}, normalised {tightened:.4f}, H(G) minus cross-entropy {by_classifier:.4f}")

# %% tags=["claim"]
assert tightened >= exact - 1e-5, "normalising loosened the bound"
assert abs(tightened - by_classifier) < 1e-3, "(3) does not hold"
print("holds: normalised rows do not loosen the bound; (3)")

# %% [markdown]
# ## Sampled estimates need $e^I$ samples
#
# Where both variables are continuous there is no sum to take. Then $g'$ is sampled, and four estimators compete. Let
# $i$ and $j$ number the $n$ samples of a batch:
#
# | name | estimate | what to know |
# |---|---|---|
# | Donsker-Varadhan | (1) from samples | too high for a fixed $T$: by Jensen, the log of a sample mean is too low on average |
# | {term}`NWJ` {cite:p}`nguyen2010estimating` | $\mathbb{E}_{p(z,g)}[T] - \mathbb{E}_{p(z)p(g)}[e^T] + 1$ | by $\log x \le x - 1$ from (1); unbiased for a fixed $T$ |
# | {term}`InfoNCE` {cite:p}`oord2018cpc` | $\frac{1}{n} \sum_i \log \frac{e^{T(z_i, g_i)}}{\frac{1}{n} \sum_j e^{T(z_i, g_j)}}$ | the lower sum contains the upper term: at most $\log n$ |
# | {term}`SMILE` {cite:p}`song2020understanding` | $\mathbb{E}_{p(z,g)}[T] - \log \mathbb{E}_{p(z)p(g)}\big[\mathrm{clip}(e^T, e^{-\tau}, e^{\tau})\big]$ | less variance than (1), and no bound |
#
# To see what sampling alone does, take a case whose best critic is known. Let $G$ be $d$ fair bits, and $Z$ the same
# bits, each flipped with probability $q = 0.05$. Then $I(Z; G) = d\,(\log 2 + q \log q + (1 - q) \log (1 - q))$, half
# a nat for each bit. *Which estimator will you trust at 10 nats, from batches of 64?*


# %%
def readings(d, n, q=0.05, tau=5.0):
    """Five estimates of I(Z; G) from one batch of n samples, with the best critic."""
    g = torch.randint(2, (n, d))
    z = g ^ (torch.rand(n, d) < q)
    differ = torch.cdist(z.float(), g.float(), p=1)  # bits: sample i against group j
    T = d * math.log(2 - 2 * q) - differ * math.log(1 / q - 1)
    own, other = T.diagonal(), T.roll(1, 0).diagonal()
    found = {
        "Donsker-Varadhan": sampled_bound(own, other),
        "SMILE": sampled_bound(own, other.clamp(-tau, tau)),
        "NWJ": own.mean() - other.exp().mean() + 1,
        "InfoNCE": (own - T.logsumexp(1)).mean() + math.log(n),
        "exact marginal": own.mean(),  # its second term is log 1
    }
    return {name: value.item() for name, value in found.items()}


bit = math.log(2) + 0.05 * math.log(0.05) + 0.95 * math.log(0.95)
bits = [(d, 64) for d in (1, 2, 4, 6, 8, 10, 13, 16, 20)]
sizes = [(10, 2**k) for k in range(3, 10)]
bias, spread, most = {}, {}, {}
for d, n in dict.fromkeys(bits + sizes):
    batches = pd.DataFrame([readings(d, n) for _ in range(300 if full else 3)])
    bias[d, n] = batches.mean() - d * bit
    spread[d, n], most[d, n] = batches.std(), batches.max()

for d, n in ((4, 64), (20, 64), (10, 512)):
    print(f"truth {d * bit:.2f} nats, batches of {n}")
    print(pd.DataFrame({"mean error": bias[d, n], "sd": spread[d, n]}).T.round(2).to_string())

# %% mystnb={"image": {"alt": "Four panels. Above, mean errors: as the information grows, Donsker-Varadhan and SMILE rise to several nats too much and InfoNCE falls as far below; larger batches bring all back towards zero. Below, standard deviations on a logarithmic axis: NWJ's grows exponentially. The exact marginal has no error and little spread."}, "figure": {"caption": "Five estimators with the best critic. Left: batches of 64 and growing information. Right: 10 bits and growing batches. Grey lines: a batch of exp(I) samples. Points: the standard deviation of NWJ by its formula.", "name": "fig-bias-variance"}}
looks = {"Donsker-Varadhan": (plots.RETRAIN, "-"), "SMILE": (plots.ORANGE, "--")}
looks |= {"NWJ": (plots.PURPLE, ":"), "InfoNCE": (plots.REWEIGHT, "-."), "exact marginal": (plots.INK, "-")}
fig, axes = plots.figure(8, 5.4, columns=2, rows=2, sharex="col", sharey="row")
for column, part in enumerate((bits, sizes)):
    x = [n if column else d * bit for d, n in part]
    for name, (colour, style) in looks.items():
        look = {"color": colour, "ls": style, "lw": 2, "label": name}
        axes[0, column].plot(x, [bias[case][name] for case in part], **look)
        axes[1, column].plot(x, [spread[case][name] for case in part], **look)
    formula = [math.sqrt((1.81**d - 1) / n) for d, n in part]  # 2 (q**2 + (1 - q)**2) = 1.81
    axes[1, column].plot(x, formula, color=plots.PURPLE, ls=":", lw=1, marker=".")
    for axis in axes[:, column]:
        axis.axvline(math.exp(10 * bit) if column else math.log(64), color="0.6", lw=1.5)
axes[0, 0].set(ylabel="mean error (nats)", title="batches of 64", ylim=(-6.5, 6.5))
axes[0, 1].set_title("10 bits, 4.95 nats")
axes[1, 0].set(ylabel="standard deviation (nats)", xlabel="true I (nats)", yscale="log")
axes[1, 1].set(xlabel="samples in a batch", xscale="log")
fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
plots.show()

# %% tags=["claim"]
assert all(most[d, n]["InfoNCE"] <= math.log(n) + 1e-4 for d, n in most), "InfoNCE passes log n"
if full:
    far = bias[20, 64]
    assert min(far["Donsker-Varadhan"], far["SMILE"]) > 2, "sampling does not say too much"
    assert far["InfoNCE"] < -5, "no ceiling"
    assert all(abs(error["exact marginal"]) < 0.2 for error in bias.values()), "the exact sum is biased"
    assert max(bias[2, 64].abs()) < 0.15, "at one nat sampling matters"
    for name in ("Donsker-Varadhan", "SMILE", "InfoNCE"):
        assert abs(bias[10, 512][name]) < abs(bias[10, 8][name]) - 1, f"{name}: batches do not help"
print("holds: four estimators fail beyond the log of the batch, the exact sum does not")

# %% [markdown]
# Every sampled estimator fails once $I$ passes the logarithm of the batch, here 4.2 nats:
#
# - **Donsker-Varadhan and SMILE say too much**, several nats at 9.9. They are no lower bounds there, although the
#   critic is perfect.
# - **InfoNCE says too little.** It cannot say more than $\log 64$.
# - **NWJ is right on average, and you rarely see it.** Its variance is about $(1.81^d - 1)/n$: at 20 bits a standard
#   deviation of 47 nats. The 300 batches show less, because the rare batches that carry it are missing.
#
# All four share the cause. The mean of $e^T$ is carried by pairs $(z, g')$ that fit by chance, with a probability of
# about $e^{-I}$. To hold one, a batch needs about $e^I$ samples: 20,000 for ten nats. {cite:t}`poole2019variational`
# compare such bounds, and {cite:t}`song2020understanding` prove that the variance grows exponentially in $I$.
# {cite:t}`mcallester2020limitations` prove that there is no way out: a lower bound from $N$ samples that holds with
# high confidence for every distribution is at most of the order of $\log N$.
#
# **Four groups escape this limit.** $I$ is at most $\log 4$, so $e^I$ is at most 4. And with normalised rows the
# estimate (3) is a plain mean over samples: for a fixed critic it is unbiased for a value that cannot exceed $I$.
# McAllester and Stratos also recommend a difference of entropies, as (3) is one. What is left is the critic's error.
#
# ## Held-out samples, or nothing
#
# (1) holds for expectations. Over samples that a network has learnt by heart, means estimate nothing. To see that,
# take a **Gaussian mixture**: given $g$, $z$ is normal around a mean of its own in $d$ dimensions. Its $p(g \mid z)$
# is known, so $I$ is a mean over as many draws as you like. The groups have the proportions of WaterDigits. The means
# are $s$ times the first four unit vectors, and the other coordinates are noise.

# %%
p = np.array([2100, 180, 180, 1540]) / 4000
entropy = -(p * np.log(p)).sum()


def mixture(s, d, n, rng):
    g = rng.choice(4, n, p=p)
    z = rng.normal(size=(n, d))
    z[np.arange(n), g] += s
    return z, g


def true_information(s, n=200_000):
    z, g = mixture(s, 4, n, np.random.default_rng(1))
    scores = s * z  # log p(z | g), up to what is the same for all g
    log_posterior = scores - logsumexp(scores, axis=1, b=p, keepdims=True)
    values = log_posterior[np.arange(n), g]  # log p(g | z) / p(g)
    return values.mean(), values.std() / math.sqrt(n)


strengths = (0, 1.5, 3.0)
truths = {s: true_information(s) for s in strengths}
print(f"H(G) = {entropy:.3f} nats")
for s, (value, error) in truths.items():
    print(f"strength {s}: I = {value:.3f} ± {error:.3f} nats")

# %% [markdown]
# Now train a critic on 500 samples in 64 dimensions. After each step, read its bound on these samples and on 500
# others. *Where will the two curves go, and what does $H(G)$ have to say about that?*

# %% mystnb={"image": {"alt": "Two curves of the bound against training steps. On the training samples it rises past the true value up to the entropy of the group. On other samples it rises to a part of the truth, then falls far below zero."}, "figure": {"caption": "Bound of one critic while it is trained: on its training samples and on others; dashed: the truth.", "name": "fig-in-sample"}}
z, g = (torch.tensor(a) for a in mixture(1.5, 64, 1000, rng))
z, log_prior = z.float(), torch.tensor(p).log()
critic = gru.Critic(64, 4, seed=seed)
optimizer = torch.optim.Adam(critic.parameters(), lr=3e-3)
curve = {"training samples": [], "other samples": []}
for _ in range(120 if full else 5):
    table = critic.table(z)
    for name, part in zip(curve, (slice(500), slice(500, None))):
        bound = gru.donsker_varadhan(table[part], g[part], log_prior)
        curve[name].append(bound.item())
        if part.start is None:
            optimizer.zero_grad()
            (-bound).backward(retain_graph=True)
    optimizer.step()

curve = pd.DataFrame(curve)
fig, axis = plots.figure(7, 3.2)
axis.plot(curve["training samples"], color=plots.RETRAIN, label="training samples")
axis.plot(curve["other samples"], color=plots.REWEIGHT, ls="-.", label="other samples")
axis.axhline(truths[1.5][0], color=plots.INK, ls="--", label="truth")
axis.axhline(entropy, color=plots.INK, ls=":", label="H(G)")
axis.set(xlabel="step", ylabel="bound (nats)", ylim=(-0.5, 1.2))
axis.legend(ncols=2, frameon=False)
plots.show()

# %% tags=["claim"]
last, best = curve.iloc[-1], curve["other samples"].max()
if full:
    assert last["training samples"] > truths[1.5][0] + 0.3, "in-sample is not high"
    assert last["other samples"] < best - 0.1 and best < truths[1.5][0], "held-out is not low"
print("holds: training samples say too much, other samples too little")

# %% [markdown]
# On the training samples the bound climbs to about $H(G)$, twice the truth: the critic knows every group by heart. On
# other samples it falls, the more the critic has learnt by heart. So no sample may have two of three roles: **train**
# the critic, say when to **stop**, **evaluate**.
#
# `gru.mutual_information` rotates the roles through four folds. For each pair of folds a critic is trained on the
# other two. One fold of the pair says when to stop (perhaps before the first step: the estimate is then 0), and the
# other is evaluated, both ways round. Each sample is evaluated once, with the mean of three critics. Features are
# standardised, because a network trained for a fixed number of steps suffers from their scale. You choose how the
# critic is trained and read:
#
# | `estimator` | trained to | read as |
# |---|---|---|
# | `"mine"` | raise (1), with the exact marginal | (1) with normalised rows |
# | `"classifier"` | lower the cross-entropy | (3), the same |
# | `"smile"` | raise the bound of the Jensen-Shannon divergence | SMILE, $\tau = 5$, with the exact marginal |
#
# ## How far off?
#
# In four dimensions the estimates are right to less than 0.1 nats, and in 128 they miss more than a third. We tried
# five problems, a thousand samples each, and four seeds (new samples and new critics).

# %%
ways = {"mine": {}, "classifier": {"estimator": "classifier"}, "smile": {"estimator": "smile"}}
problems = [(1.5, 4), (1.5, 32), (1.5, 128), (0, 32), (3.0, 32)]  # s, d
seeds = range(seed, seed + 4) if full else range(seed, seed + 1)


def errors(way, s, d):
    found = []
    for k in seeds:
        z, g = mixture(s, d, 1000, np.random.default_rng([k, d]))
        value = gru.mutual_information(z, g, 4, seed=k, **way, **brief)
        found.append(value - truths[s][0])
    return np.array(found)


# %%
error = {(w, *at): errors(ways[w], *at) for w in ways for at in problems}

rows = {}
for s, d in problems:
    cells = [gru.mean_interval(error[way, s, d]) for way in ways]
    rows[f"{truths[s][0]:.2f}", d] = ["{:+.2f} ± {:.2f}".format(*c) for c in cells]
rows = pd.DataFrame(rows, index=list(ways)).T
print("estimate minus truth (nats)")
print(rows.rename_axis(["I", "d"]).to_string())

# %% tags=["claim"]
if full:
    hundredths = {key: 100 * values for key, values in error.items()}
    far, near = (hundredths["mine", 1.5, d] for d in (128, 4))
    gru.check_claim("d = 128 misses more than d = 4 (hundredths)", near - far)
    third = 100 / 3 * truths[1.5][0]
    gru.check_claim("at d = 128 MINE misses more than a third (hundredths)", -far - third)
    for way, s, d in error:
        mean = error[way, s, d].mean()
        assert mean < 0.05, f"{way} says too much at {s}, {d}"
        assert s or abs(mean) < 0.02, f"{way} finds something in nothing"
        if d == 4:
            assert abs(mean) < 0.1, f"{way} is off in four dimensions"
    gap = [error["mine", *at] - error["classifier", *at] for at in problems]
    assert np.abs(np.mean(gap, axis=1)).max() < 0.05, "MINE and the classifier differ"

# %% [markdown]
# A critic has 500 training samples, 22 of each rare group, and must find four directions among 128. The errors are on
# the safe side: where there is nothing, nothing is found. MINE and the classifier differ by less than 0.05 nats, as
# (3) suggests. SMILE is trained *and* read in another way, so this table can't say which of the two matters.
#
# Read an estimate as "at least", and compare two only at the same dimension and sample size. Never conclude that
# high-dimensional features tell *little*.
#
# ## What goes wrong
#
# ### A uniform marginal adds a constant
#
# The code that was released with the paper draws $g'$ *uniformly* from the $K$ groups. The proof of (1) goes through
# with the uniform law $u$ in the place of $p(g)$, but the best critic then reaches another value:
#
# $$\mathbb{E} \log \frac{p(z,g)}{p(z)\,u(g)} = I(Z; G) + \mathbb{E} \log \frac{p(g)}{1/K} = I(Z; G) + \log K - H(G).$$
#
# The offset, $\log K - H(G)$, does not depend on $Z$. No features can bring it to 0.

# %%
offset = math.log(4) - entropy
more = {s: errors({"marginal": "uniform"}, s, 4) - errors(ways["mine"], s, 4) for s in (0, 3.0)}
print(f"log K - H(G) = {offset:.3f} nats")
for s, values in more.items():
    print("strength {}: uniform minus exact {:.2f} ± {:.2f}".format(s, *gru.mean_interval(values)))

# %% tags=["claim"]
if full:
    for s, values in more.items():
        gru.check_claim(f"strength {s}: uniform is higher (hundredths)", 100 * values)
        assert abs(values.mean() - offset) < 0.15, f"strength {s}: not by the offset"

# %% [markdown]
# Noise tells nothing, and "has" nearly 0.4 nats. If two estimates share $p(g)$, the offset cancels in their
# difference.
#
# ### Small batches bias the gradient
#
# The gradient of $\log \mathbb{E}[e^T]$ is $\mathbb{E}[e^T \nabla T] \,/\, \mathbb{E}[e^T]$. On a batch, the ratio of
# two means is biased. MINE divides by an exponential moving average over past batches instead, `MovingAverage` in the
# package. That makes sense in the steps of a critic, whose values change slowly, and nowhere else.
#
# ## The features of WaterDigits know the background
#
# Nobody knows the truth for these features, the 64 numbers that the original model gives to its linear head.

# %%
config = gru.TrainConfig(epochs=15 if full else 1)
bench = gru.load("waterdigits" if full else "waterdigits_small", seed=seed)
start = gru.build_model("small_resnet", n_classes=2, seed=seed)
original = gru.fit(start, bench.train, config=config, seed=seed, progress="original")

test = bench.test
z_start = gru.extract_features(start, test)
z_test = gru.extract_features(original, test)
print("features of the test images:", z_test.shape)

# %% [markdown]
# We measure on test images, a quarter from each group. The group is the pair of target $Y$ and background $S$. By the
# chain rule
#
# $$I(Z; G) = I(Z; Y) + I(Z; S \mid Y), \qquad I(Z; S \mid Y) = \sum_y p(y)\, I(Z; S \mid Y = y).$$
#
# Estimate the last term **within** each target: a difference of two lower bounds, $I(Z; G)$ minus $I(Z; Y)$, bounds
# nothing. Each term is at most $\log 2 = 0.69$ nats, and the model was trained for the first. *How much of the second
# will its features have? How much has a network that was never trained?*


# %% mystnb={"image": {"alt": "Dots of three mutual informations, of the group, of the target and of the background given the target, for the untrained and the original network. The original is higher in all three, and its information about the background is close to the maximum of 0.69."}, "figure": {"caption": "Information in the features of test images: a dot for each of four draws of folds and critics; dashed: the largest possible values.", "name": "fig-waterdigits-features"}}
def probes(z, group, k):
    return np.array([gru.mutual_information(z, group, k, seed=i, **brief) for i in seeds])


def within_target(z):
    parts = [test.target == y for y in (0, 1)]
    return sum(part.mean() * probes(z[part], test.sensitive[part], 2) for part in parts)


found = {}
for name, z in (("untrained", z_start), ("original", z_test)):
    found[f"{name}: group"] = probes(z, test.group, 4)
    found[f"{name}: target"] = probes(z, test.target, 2)
    found[f"{name}: background | target"] = within_target(z)

lines = {f"log {k}": math.log(k) for k in (2, 4)}
plots.paired_dots(found, "mutual information (nats)", lines)
plots.show()

# %%
for name, values in found.items():
    print("{:32} {:.3f} ± {:.3f}".format(name, *gru.mean_interval(values)))

# %% tags=["claim"]
if full:
    known = found["original: background | target"]
    gru.check_claim("background more than target (hundredths)", 100 * (known - found["original: target"]))
    gru.check_claim("more than nine tenths of log 2 (hundredths)", 100 * (known - 0.9 * math.log(2)))
    learnt = found["original: group"] - found["untrained: group"]
    gru.check_claim("more than before training (hundredths)", 100 * learnt)
    start = {what: found[f"untrained: {what}"].mean() for what in ("target", "background | target")}
    assert start["target"] < 0.15 < 0.25 < start["background | target"]

# %% [markdown]
# The features tell the background almost without doubt, and better than the target. In training the background was a
# good hint at the target, and nothing made the network drop it. An untrained network tells much of the background,
# too, so the level alone is no sign of learning. The intervals, over draws of folds and critics, say how steady the
# *estimate* is. The truth probably lies above, as in the problems that we could check.
#
# ## Summary
#
# - Any critic bounds $I(Z; G)$ from below. The best one is $\log p(g \mid z)/p(g)$ plus a constant.
# - With sampled groups, every estimator fails beyond the logarithm of the number of samples: too high
#   (Donsker-Varadhan, SMILE), capped (InfoNCE) or wild (NWJ).
# - Few groups allow the exact marginal. With normalised rows MINE's bound *is* that of a classifier.
# - Use samples that neither trained nor stopped the critic. The estimate then errs downwards, more so in more
#   dimensions. Check yours where the truth is known, at your $d$, $n$ and $p(g)$.
# - A uniform marginal adds $\log K - H(G)$, whatever the features.
# - Estimate $I(Z; S \mid Y)$ within each $y$, not as a difference of two bounds.
#
# ## Exercises
#
# 1. In the overlap example let the interval reach from $g$ to $g + 3$. Derive $I(Z; G)$ for $m \ge 3$ and check it by
#    counting.
# 2. Prove the ceiling of InfoNCE, and that NWJ never exceeds Donsker-Varadhan for the same $T$ and samples. Why does
#    adding a constant to $T$ change one of them and not the other?
# 3. The curve on training samples can end above $H(G)$, which no information can exceed. Where does the proof of (1)
#    break down? (The 500 samples have group frequencies of their own.)
# 4. Permute `test.group` twenty times and estimate each. How large has an estimate to be before you believe it?
# 5. Find the sample size at which the error of `(1.5, 128)` falls below 0.05 nats.
# 6. Multiply the features of `mixture(1.5, 4, 1000, rng)` by 10,000. What do `mine` and `gru.mutual_information` say?
#
# ## Next
#
# {doc}`05_deriving_miu` uses a critic to make a model forget, and asks what retraining does to this information.
