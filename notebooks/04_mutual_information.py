# %% [markdown]
# # Mutual information: what features tell about the group
#
# **Result.** The features of the original model tell 0.68 of the 0.69 nats that there are to know about the background of
# an image, although the model was trained for the digit alone. With only four groups the estimate needs no sampled groups.
# In tests with a known answer it was right in 4 dimensions, and 0.28 nats too low in 128.
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
# **You need** {doc}`03_exact_unlearning_by_reweighting`, expectation, and logarithms.

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
from gru_lite import checks, plots, tables
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
# is the doubt that is left when you have seen them. The difference is the {term}`mutual information`
#
# $$I(Z; G) = H(G) - H(G \mid Z) = \mathbb{E}_{p(z,g)} \log \frac{p(g \mid z)}{p(g)}
# = \mathbb{E}_{p(z,g)} \log \frac{p(z, g)}{p(z)\,p(g)}.$$
#
# The last form is a Kullback-Leibler divergence: that of the joint law from the product of its marginals. With
# natural logarithms the unit is the {term}`nat`. $I$ is 0 when $Z$ and $G$ are independent. It is at most $H(G)$, and
# so at most $\log K$ for $K$ groups.
#
# ### An example with a known answer
#
# Let $g$ be uniform on $0, \dots, m-1$. Given $g$, let $z$ be uniform on the interval from $g$ to $g + 2$.
# Someone tells you $z$. What do you know about $g$ then?
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
print(f"By the formula I is {truth:.3f} nats, by counting {counted:.3f}.")

# %% [markdown]
# The features of a network are 64 numbers of unknown density, and counting cells does not work there.
#
# ## Any critic bounds the information from below
#
# So we *guess* the quotient $p(z, g) / (p(z)\,p(g))$. Let $T(z, g)$ be any function, the {term}`critic`. Then
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
# estimation* {cite:p}`belghazi2018mine`. The first mean is over samples with their own group. The second mean is over
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
# The package's critic and bound compute the same, and we use them from here on.

# %%
critic = gru.Critic(1, m, hidden=64)
critic.first.load_state_dict(net[0].state_dict())
critic.last.load_state_dict(net[2].state_dict())
g_other = g[torch.randperm(len(g))]

joint, product = critic(z, g), critic(z, g_other)
assert torch.allclose(joint, T(net, z, g, m), atol=1e-4)
bound = sampled_bound(joint, product)
assert torch.isclose(bound, joint.mean() - product.exp().mean().log(), atol=1e-3)
print(f"On the training samples the bound is {bound:.3f} nats. The truth is {truth:.3f}.")

# %% [markdown]
# Has the critic learnt (2)? Here $p(g \mid z)/p(g)$ is 4 where $z$ leaves no doubt, 2 where two groups are possible,
# and 0 where the group is impossible.
#
# :::{predict}
# Which parts of these steps will a smooth network find hard?
# :::

# %% mystnb={"image": {"alt": "Four panels, one for each group, of the learnt critic against z. Where the group is possible it lies near the dashed steps of the true log ratio. Elsewhere it drops to large negative values, with slanted flanks."}, "figure": {"caption": "The trained critic without its constant (solid) and the true log density ratio (dashed), for each group. Minus infinity is not drawn.", "name": "fig-learnt-ratio"}}
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
# Where there are samples, the critic is close to the truth. The bound loses at the jumps, which the critic makes slanted,
# and where "minus infinity" is only "very low".
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
# Now $\sum_g p(g)\,e^{\tilde T(z,g)} = 1$ for every $z$. So the second term of (1) is $\log 1 = 0$, and the bound is
# $\mathbb{E}[\tilde T] = \mathbb{E}[T] - \mathbb{E}[a(z)]$. Before, it was $\mathbb{E}[T] - \log \mathbb{E}[e^{a(z)}]$.
# By Jensen's inequality $\mathbb{E}[a] \le \log \mathbb{E}[e^a]$. So **normalising never loosens the bound**, whatever
# the critic and the samples. It also makes $q(g \mid z) = p(g)\,e^{\tilde T(z,g)}$ a *classifier*, a law of groups for
# each $z$:
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
bounds = {"as trained": exact, "normalised rows": tightened, "H(G) - cross-entropy": by_classifier}
bounds = pd.DataFrame({"bound": bounds})
tables.show(bounds, "Three bounds from one critic in nats, on its training samples.", digits=4)

# %% tags=["claim"]
assert tightened >= exact - 1e-5, "normalising loosened the bound"
assert abs(tightened - by_classifier) < 1e-3, "(3) does not hold"
print("holds: normalised rows do not loosen the bound; (3)")

# %% [markdown]
# ## Sampled estimates need $e^I$ samples
#
# Where both variables are continuous there is no sum to take. Then $g'$ is sampled, and you can choose among four
# estimators. Let $i$ and $j$ number the $n$ samples of a batch:
#
# | name | estimate | what to know |
# |---|---|---|
# | Donsker-Varadhan | (1) from samples | too high for a fixed $T$: by Jensen, the log of a sample mean is too low on average |
# | {term}`NWJ` {cite:p}`nguyen2010estimating` | $\mathbb{E}_{p(z,g)}[T] - \mathbb{E}_{p(z)p(g)}[e^T] + 1$ | by $\log x \le x - 1$ from (1); unbiased for a fixed $T$ |
# | {term}`InfoNCE` {cite:p}`oord2018cpc` | $\frac{1}{n} \sum_i \log \frac{e^{T(z_i, g_i)}}{\frac{1}{n} \sum_j e^{T(z_i, g_j)}}$ | the lower sum contains the upper term: at most $\log n$ |
# | {term}`SMILE` {cite:p}`song2020understanding` | $\mathbb{E}_{p(z,g)}[T] - \log \mathbb{E}_{p(z)p(g)}\big[\mathrm{clip}(e^T, e^{-\tau}, e^{\tau})\big]$ | less variance than (1), and no bound |
#
# To see what a sampled $g'$ alone does, take a case whose best critic is known. Let $G$ be $d$ fair bits, and $Z$ the same
# bits, each flipped with probability $q = 0.05$. Then $I(Z; G) = d\,(\log 2 + q \log q + (1 - q) \log (1 - q))$, half
# a nat for each bit.


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


# %% [markdown]
# :::{predict}
# Which of the five will you trust at 10 nats, from batches of 64? Which will say too much, and which too little?
# :::

# %%
bit = math.log(2) + 0.05 * math.log(0.05) + 0.95 * math.log(0.95)
bits = [(d, 64) for d in (1, 2, 4, 6, 8, 10, 13, 16, 20)]
sizes = [(10, 2**k) for k in range(3, 10)]
bias, spread, most = {}, {}, {}
for d, n in dict.fromkeys(bits + sizes):
    batches = pd.DataFrame([readings(d, n) for _ in range(300 if full else 3)])
    bias[d, n] = batches.mean() - d * bit
    spread[d, n], most[d, n] = batches.std(), batches.max()

cases = {f"{d * bit:.2f} nats, n = {n}": bias[d, n] for d, n in ((4, 64), (20, 64), (10, 512))}
cases = pd.DataFrame(cases)
tables.show(
    cases, "Mean error in nats of five estimators over 300 batches of n samples.", 2, signed=cases.columns
)

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
# Every sampled estimator fails once $I$ passes the logarithm of the batch size, here 4.2 nats:
#
# - **Donsker-Varadhan and SMILE say too much**, at 9.9 nats by 5.3 and 3.9. They are no lower bounds there, although the
#   critic is perfect.
# - **InfoNCE says too little.** It cannot say more than $\log 64$.
# - **NWJ is right on average, but you rarely see it.** Its variance is about $(1.81^d - 1)/n$. At 20 bits this is a
#   standard deviation of 47 nats. The 300 batches show less, because the rare batches that carry it are missing.
#
# All four share the cause. The mean of $e^T$ is carried by pairs $(z, g')$ that fit by chance, and a pair does so with
# a probability of about $e^{-I}$. To hold one, a batch needs about $e^I$ samples: 20,000 for ten nats.
# {cite:t}`poole2019variational` compare such bounds. {cite:t}`song2020understanding` prove that the variance grows
# exponentially in $I$. {cite:t}`mcallester2020limitations` prove that there is no way out: a lower bound from $N$ samples
# that holds with high confidence for every distribution is at most of the order of $\log N$.
#
# **Four groups escape this limit.** $I$ is at most $\log 4$, so $e^I$ is at most 4. And with normalised rows the
# estimate (3) is a plain mean over samples. For a fixed critic it is unbiased for a value that cannot exceed $I$.
# What is left is the critic's error.
#
# ## Only held-out samples count
#
# (1) is about expectations. Means over samples that a network has learnt by heart estimate no expectation. To see that,
# take a **Gaussian mixture**: given $g$, $z$ is normal around a mean of its own in $d$ dimensions. The groups have the
# proportions of WaterDigits. The means are $s$ times the first four unit vectors, and the other coordinates are noise.
# Here $p(g \mid z)$ is known, so you can average $\log p(g \mid z)/p(g)$ over as many draws as you like.

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
rows = {f"s = {s}": values for s, values in truths.items()}
rows = pd.DataFrame(rows, index=["I", "standard error"]).T
tables.show(rows, f"True information of the mixtures in nats; H(G) is {entropy:.3f}.", digits=3)

# %% [markdown]
# Now we train a critic on 500 samples in 64 dimensions. After each step we read its bound on these samples and on 500
# others.
#
# :::{predict}
# Where will the two curves go? What does $H(G)$ have to say about that?
# :::

# %% mystnb={"image": {"alt": "Two curves of the bound against training steps. On the training samples it rises past the true value up to the entropy of the group. On other samples it rises to a part of the truth, then falls far below zero."}, "figure": {"caption": "The bound of one critic during its training, on the training samples and on other samples. The dashed line is the truth, the dotted line is H(G).", "name": "fig-in-sample"}}
z_mixed, g_mixed = (torch.tensor(a) for a in mixture(1.5, 64, 1000, rng))
log_prior = torch.tensor(p).log()
critic = gru.Critic(64, 4, seed=seed)
optimizer = torch.optim.Adam(critic.parameters(), lr=3e-3)
curve = {"training samples": [], "other samples": []}
for _ in range(120 if full else 5):
    table = critic.table(z_mixed.float())
    for name, part in zip(curve, (slice(500), slice(500, None))):
        bound = gru.donsker_varadhan(table[part], g_mixed[part], log_prior)
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
# other samples it falls, the more the critic has learnt by heart. So each sample may have only one of three roles:
# **train** the critic, say when to **stop**, or **evaluate**.
#
# `gru.mutual_information` rotates the roles through four folds: two train a critic, one says when to stop, and one is
# evaluated. A critic may stop before its first step, and the estimate is then 0. Each sample is evaluated once, with the
# mean of three critics. Features are standardised first, because their scale matters to a network. You choose how the
# critic is trained and read:
#
# | `estimator` | trained to | read as |
# |---|---|---|
# | `"mine"` | raise (1), with the exact marginal | (1) with normalised rows |
# | `"classifier"` | lower the cross-entropy | (3), the same |
# | `"smile"` | raise the bound of the Jensen-Shannon divergence | SMILE, $\tau = 5$, with the exact marginal |
#
# ## The estimate is right in 4 dimensions and too low in 128
#
# In four dimensions the estimates are right to less than 0.1 nats. In 128 dimensions they miss more than a third of the
# 0.46 nats. We tried five problems, a thousand samples each, and four seeds (new samples and new critics).

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
    cells = {way: gru.mean_interval(error[way, s, d]) for way in ways}
    row = {name: x for way in ways for name, x in zip((way, f"{way} ±"), cells[way])}
    rows[f"I = {truths[s][0]:.2f}, d = {d}"] = row
rows = pd.DataFrame(rows).T
halves = {way: f"{way} ±" for way in ways}
tables.show(rows, "Estimate minus truth in nats, four seeds.", 2, signed=ways, intervals=halves)

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
# A critic has 500 training samples, 22 of each rare group, and must find four directions among 128. On average the errors
# are on the low side, and where there is nothing, nothing is found. MINE and the classifier differ by less than 0.05 nats,
# as (3) suggests. SMILE is trained *and* read in another way, so this table can't say which of the two matters.
#
# Read an estimate as "at least", and compare two estimates only at the same dimension and sample size. Never conclude that
# high-dimensional features tell *little*.
#
# ## A uniform marginal adds a constant
#
# The code that was released with the paper draws $g'$ *uniformly* from the $K$ groups. The proof of (1) still works with
# the uniform law $u$ in the place of $p(g)$, but the best critic then reaches another value:
#
# $$\mathbb{E} \log \frac{p(z,g)}{p(z)\,u(g)} = I(Z; G) + \mathbb{E} \log \frac{p(g)}{1/K} = I(Z; G) + \log K - H(G).$$
#
# The offset, $\log K - H(G)$, does not depend on the features.

# %%
offset = math.log(4) - entropy
more = {s: errors({"marginal": "uniform"}, s, 4) - errors(ways["mine"], s, 4) for s in (0, 3.0)}

rows = {f"I = {truths[s][0]:.2f}": gru.mean_interval(values) for s, values in more.items()}
rows = pd.DataFrame(rows, index=["uniform minus exact", "±"]).T
caption = f"Difference of the estimates in nats, four seeds. The offset is {offset:.3f} nats."
tables.show(rows, caption, 2, signed=rows.columns, intervals={"uniform minus exact": "±"})

# %% tags=["claim"]
if full:
    for s, values in more.items():
        gru.check_claim(f"strength {s}: uniform is higher (hundredths)", 100 * values)
        assert abs(values.mean() - offset) < 0.15, f"strength {s}: not by the offset"

# %% [markdown]
# With the uniform marginal, pure noise "has" nearly 0.4 nats. The offset cancels in a difference of two estimates with the
# same $p(g)$.
#
# MINE has one more trick, for small batches. The gradient of $\log \mathbb{E}[e^T]$ is a quotient of two means,
# $\mathbb{E}[e^T \nabla T] \,/\, \mathbb{E}[e^T]$, and on a batch it is biased. So MINE divides by a moving average over past
# batches, `MovingAverage` in the package. That makes sense only while a critic is trained, whose values change slowly.
#
# ## The features of WaterDigits know the background
#
# Now we measure features whose truth nobody knows: the 64 numbers that the original model gives to its linear head.

# %%
config = gru.TrainConfig(epochs=15 if full else 1)
bench = gru.load("waterdigits" if full else "waterdigits_small", seed=seed)
start = gru.build_model("small_resnet", n_classes=2, seed=seed)
original = gru.fit(start, bench.train, config=config, seed=seed, progress="original")

test = bench.test
z_start = gru.extract_features(start, test)
z_test = gru.extract_features(original, test)
print(f"Each of the {len(z_test):,} test images has {z_test.shape[1]} features.")

# %% [markdown]
# We measure on test images, a quarter from each group. With the target $Y$ and the background $S$, the chain rule says
#
# $$I(Z; G) = I(Z; Y) + I(Z; S \mid Y), \qquad I(Z; S \mid Y) = \sum_y p(y)\, I(Z; S \mid Y = y).$$
#
# Estimate the last term **within** each target, as the sum on the right. Don't take the difference of two estimates,
# $I(Z; G)$ minus $I(Z; Y)$: a difference of two lower bounds bounds nothing. Each of the two terms is at most
# $\log 2 = 0.69$ nats, and the model was trained for the first.
#
# :::{predict}
# How much will the features of the original tell about the background? And those of a network that was never trained?
# :::


# %% mystnb={"image": {"alt": "Dots of three mutual informations, of the group, of the target and of the background given the target, for the untrained and the original network. The original is higher in all three, and its information about the background is close to the maximum of 0.69."}, "figure": {"caption": "Information in the features of test images. A dot is one of four draws of folds and critics, and the dashed lines are the largest possible values.", "name": "fig-waterdigits-features"}}
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
rows = {name: gru.mean_interval(values) for name, values in found.items()}
rows = pd.DataFrame(rows, index=["information", "±"]).T
caption = "Information in the features of test images in nats: mean over four draws of folds and critics."
tables.show(rows, caption, 3, intervals={"information": "±"})

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
# The features of the original tell the background almost without doubt: 0.677 of 0.693 nats. They tell the background even
# better than the target, 0.584. In training the background was a good hint at the target, and nothing in the loss asked the
# network to drop it.
#
# An untrained network tells 0.444 nats of the background, so the level alone is no sign of learning. The intervals, over
# draws of folds and critics, say how steady the *estimate* is. The truth probably lies above, as in the problems that we
# could check.
#
# ## Summary
#
# - Any critic bounds $I(Z; G)$ from below. The best one is $\log p(g \mid z)/p(g)$ plus a constant.
# - With sampled groups, every estimator fails beyond the logarithm of the number of samples. It is too high
#   (Donsker-Varadhan, SMILE), capped (InfoNCE) or wild (NWJ).
# - Few groups allow the exact marginal. With normalised rows MINE's bound *is* that of a classifier.
# - Use samples that neither trained nor stopped the critic. The estimate then errs downwards, more so in more
#   dimensions. Check yours where the truth is known, at your $d$, $n$ and $p(g)$.
# - A uniform marginal adds $\log K - H(G)$, whatever the features.
# - Estimate $I(Z; S \mid Y)$ within each $y$, not as a difference of two bounds.
#
# ## Questions
#
# :::{quiz}
# A critic was trained on all your samples. On these samples its bound is 0.98 nats, close to $H(G) = 0.985$. What do you know?
#
# - [ ] The features tell nearly everything about the group.
#
#   A critic that has learnt the samples by heart reaches this value even on noise.
#
# - [x] Nothing about $I(Z; G)$ yet
#
#   The bound holds for expectations. You need samples that neither trained nor stopped the critic.
#
# - [ ] At least 0.98 nats, because (1) is a lower bound
#
#   (1) bounds an expectation. A mean over training samples does not estimate this expectation.
# :::
#
# :::{quiz}
# InfoNCE with batches of 64 reads 4.1 nats. How large is $I$?
#
# - [ ] About 4.1 nats
#
#   InfoNCE cannot say more than $\log 64 = 4.16$. A reading close to this limit is the same for 5 nats and for 50.
#
# - [ ] Less than 4.1, because sampled estimates are too high
#
#   That is Donsker-Varadhan beyond the logarithm of the batch. InfoNCE errs the other way.
#
# - [x] Probably 4.1 or more, and nobody can tell how much more
#
#   The reading is at its limit. Larger batches raise the limit, but only with their logarithm.
# :::
#
# :::{quiz}
# With four groups you use the exact marginal, normalised rows and held-out samples. Which error is left?
#
# - [x] The critic is not the best one, so the estimate is too low on average.
#
#   For a fixed critic the estimate is unbiased for a value that is at most $I$. What is lost is what the critic has not learnt.
#
# - [ ] A variance that grows exponentially in $I$
#
#   That comes from sampled $g'$ when $I$ is large. Here nothing is sampled, and $I$ is at most $\log 4$.
#
# - [ ] None: the exact marginal makes the estimate exact.
#
#   Only the second mean of (1) is exact. In 128 dimensions the estimate still misses more than a third of the truth.
# :::
#
# :::{quiz}
# You feed pure noise as features and get 0.4 nats. Rare groups have 4.5% each, and $g'$ is drawn uniformly. What happened?
#
# - [ ] The critic overfits.
#
#   The samples were held out. And the number agrees with a formula that has no critic in it.
#
# - [ ] Four seeds are too few, and it is luck.
#
#   The interval of the difference, 0.38 ± 0.05, excludes 0.
#
# - [x] The estimate contains $\log K - H(G)$, which has nothing to do with the features.
#
#   For the groups of WaterDigits this offset is 0.401 nats.
# :::
#
# :::{quiz}
# Before unlearning you estimate 1.26 nats for the group and 0.58 for the target. May you write "0.68 nats are about the
# background"?
#
# - [ ] Yes, by the chain rule.
#
#   The chain rule holds for the true values. Both estimates are too low, by amounts that nobody knows.
#
# - [x] Only if you estimate it within each target.
#
#   The mean of lower bounds within the targets is a lower bound. A difference of lower bounds can be too high or too low.
#
# - [ ] No, because the background cannot have more than the target.
#
#   Each of the two has at most $\log 2$, and here the background has more.
# :::
#
# ## Exercises
#
# :::{exercise} A wider overlap
# :label: ex-wider-overlap
# In the overlap example let the interval reach from $g$ to $g + 3$. Derive $I(Z; G)$ for $m \ge 3$ and check it by counting.
# :::

# %% tags=["remove-cell"]
answer = ...  # a function of m that returns I(Z;G) in nats
checks.check("ex-wider-overlap", answer)

# %% [markdown]
# :::{clue}
# Look at the cells $\lfloor z \rfloor = 0, \dots, m + 1$. How many groups are possible in each, and how likely is the cell?
# :::
#
# :::{answer}
# :::
#
# A cell in which $k$ groups are possible has probability $k/(3m)$ and leaves a doubt of $\log k$. The cells at both ends
# have $k = 1$, the two next to them $k = 2$, and the other $m - 2$ cells have $k = 3$. So
#
# $$I(Z; G) = \log m - \frac{4}{3m} \log 2 - \frac{m - 2}{m} \log 3.$$


# %% tags=["solution"]
def wider_overlap(m):
    return math.log(m) - 4 / (3 * m) * math.log(2) - (m - 2) / m * math.log(3)


for m_wide in (3, 4, 10):
    groups = rng.integers(0, m_wide, 200_000)
    place = np.floor(groups + 3 * rng.random(len(groups))).astype(int)
    joint = np.zeros((m_wide + 2, m_wide))
    np.add.at(joint, (place, groups), 1 / len(groups))
    product = joint.sum(1, keepdims=True) * joint.sum(0)
    seen = joint > 0
    counted = (joint[seen] * np.log(joint[seen] / product[seen])).sum()
    by_formula = wider_overlap(m_wide)
    print(f"m = {m_wide}: by the formula {by_formula:.3f} nats, by counting {counted:.3f}")
    assert abs(counted - by_formula) < 0.02
assert checks.hint("ex-wider-overlap", wider_overlap) is None

# %% [markdown]
# :::{answer-end}
# :::
#
# :::{exercise} InfoNCE is at most log n, NWJ at most Donsker-Varadhan
# :label: ex-order-of-bounds
# Prove that InfoNCE is at most $\log n$. Prove that NWJ never exceeds Donsker-Varadhan for the same $T$ and samples. Which
# of the two changes when you add a constant to $T$?
# :::
#
# :::{clue}
# The sum in the denominator of InfoNCE contains the numerator. For NWJ use $\log x \le x - 1$.
# :::
#
# :::{answer}
# :::
#
# **InfoNCE.** All terms of $\sum_j e^{T(z_i, g_j)}$ are positive, and the term $j = i$ is the numerator. So each fraction is
# at most $n$, and the mean of the logarithms is at most $\log n$.
#
# **NWJ.** Let $x$ be the mean of $e^T$ over the second samples. Donsker-Varadhan is the mean of $T$ minus $\log x$, and NWJ
# is the mean of $T$ minus $(x - 1)$. Because $\log x \le x - 1$, NWJ is not larger. The two agree at $x = 1$.
#
# **A constant.** With $T + c$ the mean of $T$ grows by $c$, and $\log x$ grows by $c$, too: Donsker-Varadhan stays. In NWJ
# $x$ becomes $e^c x$, so NWJ changes. It is best at $c = -\log x$, where it agrees with Donsker-Varadhan.

# %% tags=["solution"]
values = 3 * torch.randn(64, 64)  # any critic: sample i against group j
own, other = values.diagonal(), values.roll(1, 0).diagonal()
info_nce = (own - values.logsumexp(1)).mean().item() + math.log(64)
bounds = {}
for c in (-2, 0, 2, -(other.logsumexp(0).item() - math.log(64))):
    nwj = (own + c).mean() - (other + c).exp().mean() + 1
    bounds[f"c = {c:+.2f}"] = [sampled_bound(own + c, other + c).item(), nwj.item()]
bounds = pd.DataFrame(bounds, index=["Donsker-Varadhan", "NWJ"]).T
tables.show(bounds, "Two estimates in nats from one random critic plus a constant c.", digits=2)
assert info_nce <= math.log(64) + 1e-4
assert (bounds["NWJ"] <= bounds["Donsker-Varadhan"] + 1e-3).all()
assert np.ptp(bounds["Donsker-Varadhan"]) < 1e-3 and abs(np.subtract(*bounds.iloc[-1])) < 1e-3

# %% [markdown]
# :::{answer-end}
# :::
#
# :::{exercise} More than there is to know
# :label: ex-more-than-entropy
# The curve on training samples can end above $H(G)$, which no information can exceed. Where does the proof of (1) break
# down? Which value can the curve not exceed?
# :::
#
# :::{clue}
# The 500 samples have group frequencies $\hat p$ of their own, but the bound is computed with $p$. Use (3) and
# $q(g \mid z) \le 1$.
# :::
#
# :::{answer}
# :::
#
# The proof needs both means of (1) to be over the law $p$. Here the first mean is over 500 samples, which the critic was
# fitted to. Normalising does not loosen the bound, and then it is the sample mean of $\log q(g \mid z) - \log p(g)$. As
# $q \le 1$, it is at most $-\sum_g \hat p(g) \log p(g)$. This is $H(G)$ for $\hat p = p$. It is larger when the sample has
# more of the rare groups than $p$ says.

# %% tags=["solution"]
frequency = np.bincount(g_mixed[:500], minlength=4) / 500
limit = -(frequency * np.log(p)).sum()
highest = curve["training samples"].max()
print(f"The curve reaches {highest:.3f} nats. H(G) is {entropy:.3f}, and the limit is {limit:.3f}.")
assert highest <= limit + 1e-4

# %% [markdown]
# :::{answer-end}
# :::
#
# :::{exercise} What nothing looks like
# :label: ex-permuted
# Permute `test.group` twenty times, and estimate each time. How large must an estimate be before you believe it?
# :::
#
# :::{clue}
# `rng.permutation(test.group)` keeps $p(g)$ and removes every dependence on the features.
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
times = 20 if full else 2
nothing = [
    gru.mutual_information(z_test, rng.permutation(test.group), 4, seed=k, **brief) for k in range(times)
]
print(f"Without dependence the estimates lie between {min(nothing):.4f} and {max(nothing):.4f} nats.")
if full:
    assert max(nothing) < found["untrained: target"].mean()

# %% [markdown]
# Without dependence no estimate reaches 0.01 nats, because a critic that finds nothing may stop at once. So an estimate of
# a few hundredths can be believed here, such as the 0.032 nats of the target in the untrained network. The answer is for
# these 2,400 samples, 64 features and equal groups. Permute your own.
#
# :::{answer-end}
# :::
#
# :::{exercise} How many samples do 128 dimensions need?
# :label: ex-sample-size
# With a thousand samples the error of `(1.5, 128)` is -0.28 nats. At which sample size is it smaller than 0.05?
# :::
#
# :::{clue}
# Multiply the size by four until the error is small enough. One seed is enough for an error of this size.
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
off = {"1,000": error["mine", 1.5, 128].mean()}
for n in (4000, 16_000) if full else (2000,):
    z_many, g_many = mixture(1.5, 128, n, np.random.default_rng(seed))
    off[f"{n:,}"] = gru.mutual_information(z_many, g_many, 4, seed=seed, **brief) - truths[1.5][0]
off = pd.DataFrame({"error": off}).rename_axis("samples")
tables.show(off, "Estimate minus truth in nats in 128 dimensions.", 2, signed=["error"])
if full:
    assert off["error"].is_monotonic_increasing and off["error"].iloc[-1] > -0.06

# %% [markdown]
# Four times as many samples leave a third of the error, and 16,000 samples are enough. The error falls with more samples, so
# a first check of your own estimate costs little: estimate from half of your samples. If the estimate falls much, the full
# one is too low, too.
#
# :::{answer-end}
# :::
#
# :::{exercise} Features on another scale
# :label: ex-scale
# Multiply the features of `mixture(1.5, 4, 1000, rng)` by 10,000, which changes no information. What do `mine` and
# `gru.mutual_information` say?
# :::
#
# :::{clue}
# Read the critic of `mine` on its own training samples with `gru.donsker_varadhan`. You need its table of all four groups.
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
z_raw, g_raw = mixture(1.5, 4, 1000, rng)
groups = torch.tensor(g_raw)
rows = {}
for factor in (1, 10_000):
    scaled = torch.tensor(factor * z_raw).float()
    net = mine(scaled, groups, 4, steps=500 if full else 20)
    with torch.no_grad():
        table = torch.stack([T(net, scaled, torch.full_like(groups, k), 4) for k in range(4)], dim=1)
    by_mine = gru.donsker_varadhan(table, groups, log_prior).item()
    by_package = gru.mutual_information(factor * z_raw, g_raw, 4, seed=seed, **brief)
    rows[f"times {factor:,}"] = [by_mine, by_package]
rows = pd.DataFrame(rows, index=["mine", "gru.mutual_information"]).T
tables.show(rows, f"Estimates in nats; the truth is {truths[1.5][0]:.2f}.", digits=2)
assert abs(np.subtract(*rows["gru.mutual_information"])) < 0.05
if full:
    assert rows["mine"].iloc[1] < 0 < rows["mine"].iloc[0]

# %% [markdown]
# `mine` is lost: its bound is far below 0. It starts with huge values of $T$, and 500 steps do not bring them back.
# The package standardises the features first, so the factor changes nothing.
#
# :::{answer-end}
# :::
#
# ## Next
#
# {doc}`05_deriving_miu` uses a critic to make a model forget, and asks what retraining does to this information.
