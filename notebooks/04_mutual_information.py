# %% [markdown]
# # Mutual information: what features tell about the group
#
# **Result.** The features of the original model tell 0.68 of the 0.69 nats that there are to know about the background of
# an image, although the model was trained for the digit alone. With only four groups the estimate needs no sampled groups.
# In tests with a known answer, 0.46 nats and 1,000 samples, it was right in 4 dimensions and 0.28 nats too low in 128.
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
# $$\begin{aligned} I(Z; G) &= H(G) - H(G \mid Z) \\
# &= \mathbb{E}_{p(z,g)} \log \frac{p(g \mid z)}{p(g)} \\
# &= \mathbb{E}_{p(z,g)} \log \frac{p(z, g)}{p(z)\,p(g)}. \end{aligned}$$
#
# The last form is the Kullback-Leibler divergence of the joint distribution from the product of its marginals. With
# natural logarithms the unit is the {term}`nat`. $I$ is 0 when $Z$ and $G$ are independent. It is at most $H(G)$, and
# so at most $\log K$ for $K$ groups.
#
# ### An example with a known answer
#
# Let $g$ be uniform on $0, \dots, m-1$. Given $g$, let $z$ be uniform on the interval from $g$ to $g + 2$.
# Someone tells you $z$. What do you know about $g$ then?
#
# If $z < 1$, the group must be 0. If $z > m$, it must be $m - 1$. Anywhere else two groups are equally likely, so a
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
# This is the {term}`Donsker-Varadhan bound`. *Proof.* Write $c = \mathbb{E}_{p(z)p(g)}[e^T]$. Then $p_T(z, g) =
# p(z)\,p(g)\,e^{T(z,g)} / c$ is a density, and a Kullback-Leibler divergence is not negative:
#
# $$\begin{aligned} 0 &\le \mathbb{E}_{p(z,g)} \log \frac{p(z,g)}{p_T(z,g)} \\
# &= I(Z; G) - \mathbb{E}_{p(z,g)}[T] + \log c. \qquad \square \end{aligned}$$
#
# The gap closes when $p_T = p$, that is for
#
# $$T^*(z, g) = \log \frac{p(g \mid z)}{p(g)} + \text{any constant}. \qquad (2)$$
#
# No $T$ makes the right side of (1) larger than $I$, so you may *train* a network to make it large. That is MINE, *mutual
# information neural estimation* {cite:p}`belghazi2018mine`. The first mean is over samples with their own group. The
# second mean is over samples with a group $g'$ drawn from $p(g)$.


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
# The package's critic and bound compute the same, and we use them from here on. (On small batches MINE also averages the
# denominator of its gradient, $\mathbb{E}[e^T]$, over past batches. {doc}`06_implementing_miu` does that.)

# %%
critic = gru.Critic(1, m, hidden=64)
critic.first.load_state_dict(net[0].state_dict())
critic.last.load_state_dict(net[2].state_dict())
g_other = g[torch.randperm(len(g))]

joint, product = critic(z, g), critic(z, g_other)
assert torch.allclose(joint, T(net, z, g, m), atol=1e-4)
bound = sampled_bound(joint, product)
assert torch.isclose(bound, joint.mean() - product.exp().mean().log(), atol=1e-3)
print(f"On the training samples, with sampled groups, the bound is {bound:.3f} nats.")
print(f"The truth is {truth:.3f}.")

# %% [markdown]
# Has the critic learnt (2)? Here $p(g \mid z)/p(g)$ is 4 where $z$ leaves no doubt, 2 where two groups are possible,
# and 0 where the group is impossible.
#
# :::{predict}
# Where will a trained network miss this step function?
# :::

# %% mystnb={"image": {"alt": "Four panels, one for each group, of the learnt critic against z. Where the group is possible it lies near the dashed steps of the true log ratio. Elsewhere it drops to large negative values, with slanted flanks."}, "figure": {"caption": "The trained critic without its constant (solid) and the true log density ratio (dashed), for each group. Minus infinity is not drawn.", "name": "fig-learnt-ratio"}}
grid = torch.linspace(0, m + 1, 400)[:, None]
with torch.no_grad():
    constant = product.logsumexp(0) - math.log(len(product))
    table = critic.table(grid) - constant
cell = grid[:, 0].floor()
alone = (cell == 0) | (cell >= m)

fig, axes = plots.figure(8, 2.6, columns=m, sharey=True)
for label, axis in enumerate(axes):
    possible = (cell == label) | (cell == label + 1)
    ratio = torch.where(alone, math.log(m), math.log(m / 2))
    ratio = ratio.where(possible, torch.nan)
    axis.plot(grid[:, 0], table[:, label], color=plots.REWEIGHT, lw=1.8)
    axis.plot(grid[:, 0], ratio, color=plots.INK, ls="--", lw=1.4)
    axis.set(title=f"g = {label}", xlabel="z", ylim=(-6, 2.2))
axes[0].set_ylabel("T(z, g)")
plots.show()

# %% [markdown]
# Where there are samples, the critic is close to the truth. It misses at the jumps, which it makes slanted, and where
# "minus infinity" is only "very low".
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
# $$\begin{aligned} \tilde T(z, g) &= T(z, g) - a(z), \\
# a(z) &= \log \sum_{g'} p(g')\, e^{T(z, g')}. \end{aligned}$$
#
# Now $\sum_g p(g)\,e^{\tilde T(z,g)} = 1$ for every $z$. So the second term of (1) is $\log 1 = 0$, and the bound is
# $\mathbb{E}[\tilde T] = \mathbb{E}[T] - \mathbb{E}[a(z)]$. Before, it was $\mathbb{E}[T] - \log \mathbb{E}[e^{a(z)}]$.
# By Jensen's inequality $\mathbb{E}[a] \le \log \mathbb{E}[e^a]$. So **normalising never loosens the bound**, whatever
# the critic and the samples. It also makes $q(g \mid z) = p(g)\,e^{\tilde T(z,g)}$ a *classifier*: for each $z$ the
# groups have probabilities that add up to 1.
#
# $$\begin{aligned} \mathbb{E}[\tilde T] &= \mathbb{E} \log \frac{q(g \mid z)}{p(g)} \\
# &= H(G) - \text{cross-entropy of } q. \qquad (3) \end{aligned}$$
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
bounds = {"sampled groups": bound.item(), "exact marginal": exact}
bounds |= {"normalised rows": tightened, "H(G) - cross-entropy": by_classifier}
bounds = pd.DataFrame({"bound": bounds})
tables.show(bounds, "Four bounds from one critic in nats, on its training samples.", digits=4)

# %% tags=["claim"]
assert tightened >= exact - 1e-5, "normalising loosened the bound"
assert abs(tightened - by_classifier) < 1e-3, "(3) does not hold"
print("holds: normalised rows do not loosen the bound; (3)")

# %% [markdown]
# ## Sampled estimates need at least about $e^I$ samples
#
# Sometimes there is no sum to take, because the second variable is continuous or has too many values. Then $g'$ is
# sampled, and you can choose among four estimators {cite:p}`poole2019variational`. Let $i$ and $j$ number the $n$
# samples of a batch, and let the critic be fixed.
#
# **Donsker-Varadhan** is (1) from samples. The log of a sample mean is too low on average (Jensen), and it is
# subtracted, so the estimate is too high on average.
#
# **{term}`NWJ`** {cite:p}`nguyen2010estimating` follows from (1) by $\log x \le x - 1$, and is unbiased:
#
# $$\mathbb{E}_{p(z,g)}[T] - \mathbb{E}_{p(z)p(g)}[e^T] + 1.$$
#
# **{term}`InfoNCE`** {cite:p}`oord2018cpc` picks each sample's own group from the batch. The denominator contains the
# numerator, so each fraction is at most $n$ and the estimate at most $\log n$:
#
# $$\frac{1}{n} \sum_i \log \frac{e^{T(z_i, g_i)}}{\frac{1}{n} \sum_j e^{T(z_i, g_j)}}.$$
#
# **{term}`SMILE`** {cite:p}`song2020understanding` is (1), but in its second mean $T$ is cut off (*clipped*) below $-\tau$
# and above $\tau$, here 5. It varies less than (1), is biased by the clipping, and is no bound.
#
# ### A perfect critic shows what sampling does
#
# Let $G$ be $b$ fair bits, and $Z$ the same bits, each flipped with probability $\varepsilon = 0.05$. Then $I(Z; G) =
# b\,(\log 2 + \varepsilon \log \varepsilon + (1 - \varepsilon) \log (1 - \varepsilon))$, half a nat for each bit.
# The best critic counts the bits $k$ in which $z$ and $g$ differ:
#
# $$T^*(z, g) = b \log(2 - 2\varepsilon) - k \log\left(\tfrac{1}{\varepsilon} - 1\right).$$


# %%
def readings(b, n, eps=0.05, tau=5.0):
    """Five estimates of I(Z; G) from one batch of n samples, with the best critic."""
    g = torch.randint(2, (n, b))
    z = g ^ (torch.rand(n, b) < eps)
    differ = torch.cdist(z.float(), g.float(), p=1)  # bits: sample i against group j
    T = b * math.log(2 - 2 * eps) - differ * math.log(1 / eps - 1)
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
# The critic is perfect. By how many nats will each of the five miss 10 nats, on average over batches of 64?
# :::

# %%
nats = math.log(2) + 0.05 * math.log(0.05) + 0.95 * math.log(0.95)  # a bit's share of I
by_bits = [(b, 64) for b in (1, 2, 4, 6, 8, 10, 13, 16, 20)]
by_size = [(10, 2**power) for power in range(3, 10)]
bias, spread, most, middle = {}, {}, {}, {}
for case in dict.fromkeys(by_bits + by_size):
    batches = pd.DataFrame([readings(*case) for _ in range(300 if full else 3)])
    bias[case] = batches.mean() - case[0] * nats
    middle[case] = batches.median() - case[0] * nats
    spread[case], most[case] = batches.std(), batches.max()

shown = {f"{b * nats:.2f} nats, n = {n}": bias[b, n] for b, n in ((4, 64), (20, 64), (10, 512))}
shown = pd.DataFrame(shown).round(2) + 0.0
tables.show(
    shown, "Mean error in nats of five estimators over 300 batches of n samples.", 2, signed=shown.columns
)

# %% [markdown]
# - **Donsker-Varadhan and SMILE say too much**, at 9.9 nats by 5.3 and 3.9. They are no lower bounds there, although
#   the critic is perfect. SMILE's clipping alone adds 0.60 at 4.95 nats, with any number of samples.
# - **InfoNCE says too little.** It cannot say more than $\log 64 \approx 4.2$.
# - **NWJ's expectation is right, but nearly every batch misses it.** Its second term has the mean 1. In most batches
#   the mean of $e^T$ is near 0, so they read nearly 1 nat too much. In very rare ones it is in the hundreds.
# - **The exact marginal is right**, even with $2^{20}$ groups: here $p(g)$ and the perfect critic are known, so the
#   second term of (1) is $\log 1$.
#
# ### The spread
#
# The variance of NWJ is about $(1.81^b - 1)/n$, because $\mathbb{E}_{p(z)p(g)}[e^{2T^*}] = (2 \cdot 0.05^2 + 2 \cdot
# 0.95^2)^b = 1.81^b$.
#
# :::{predict}
# At 20 bits and $n = 64$ that is a standard deviation of 47 nats. Will 300 batches show it?
# :::

# %% mystnb={"image": {"alt": "Four panels. Above, mean errors: as the information grows, Donsker-Varadhan and SMILE rise to several nats too much and InfoNCE falls as far below; larger batches bring all back towards zero. Below, standard deviations on a logarithmic axis: by its formula NWJ's grows exponentially, and at 10 nats the measured one lies far below. The exact marginal has no error and little spread."}, "figure": {"caption": "Five estimators with the best critic. Left: batches of 64 and growing information. Right: 10 bits and growing batches. Grey lines: a batch of exp(I) samples. Points: the standard deviation of NWJ by its formula.", "name": "fig-bias-variance"}}
looks = {"Donsker-Varadhan": (plots.RETRAIN, "-"), "SMILE": (plots.ORANGE, "--")}
looks |= {"NWJ": (plots.PURPLE, ":"), "InfoNCE": (plots.REWEIGHT, "-."), "exact marginal": (plots.INK, "-")}
panels, grid_of = plots.figure(8, 5.4, columns=2, rows=2, sharex="col", sharey="row")
for column, cases in enumerate((by_bits, by_size)):
    across = [case[column] if column else case[0] * nats for case in cases]
    for label, (colour, style) in looks.items():
        look = {"color": colour, "ls": style, "lw": 2, "label": label}
        grid_of[0, column].plot(across, [bias[case][label] for case in cases], **look)
        grid_of[1, column].plot(across, [spread[case][label] for case in cases], **look)
    formula = [math.sqrt((1.81 ** case[0] - 1) / case[1]) for case in cases]
    grid_of[1, column].plot(across, formula, color=plots.PURPLE, ls=":", lw=1, marker=".")
    for panel in grid_of[:, column]:
        panel.axvline(math.exp(10 * nats) if column else math.log(64), color="0.6", lw=1.5)
grid_of[0, 0].set(ylabel="mean error (nats)", title="batches of 64", ylim=(-6.5, 6.5))
grid_of[0, 1].set_title("10 bits, 4.95 nats")
grid_of[1, 0].set(ylabel="standard deviation (nats)", xlabel="true I (nats)", yscale="log")
grid_of[1, 1].set(xlabel="samples in a batch", xscale="log")
panels.legend(*grid_of[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
plots.show()

# %% [markdown]
# No: the 300 batches show far less, because the rare batches that carry the variance are missing.

# %% tags=["claim"]
assert all(most[case]["InfoNCE"] <= math.log(case[1]) + 1e-4 for case in most), "InfoNCE passes log n"
fair = [math.comb(10, k) / 2**10 for k in range(11)]
best_T = [10 * math.log(1.9) - k * math.log(19) for k in range(11)]
clipped = -math.log(sum(w * math.exp(min(max(x, -5), 5)) for w, x in zip(fair, best_T)))
assert abs(clipped - 0.60) < 0.005, "clipping leaves another error"
if full:
    far = bias[20, 64]
    assert min(far["Donsker-Varadhan"], far["SMILE"]) > 2, "sampling does not say too much"
    assert far["InfoNCE"] < -5, "no ceiling"
    assert 0.5 < middle[20, 64]["NWJ"] < 1.3, "a usual batch does not miss nearly 1 nat"
    assert spread[20, 64]["NWJ"] < 47 / 1.2, "300 batches show the spread"
    assert all(abs(error["exact marginal"]) < 0.2 for error in bias.values()), "the exact sum is biased"
    assert max(bias[2, 64].abs()) < 0.15, "at one nat sampling matters"
    for name in ("Donsker-Varadhan", "SMILE", "InfoNCE"):
        assert abs(bias[10, 512][name]) < abs(bias[10, 8][name]) - 1, f"{name}: batches do not help"
print("holds: four estimators fail beyond the log of the batch, the exact sum does not")

# %% [markdown]
# All four sampled estimators fail for one reason. The mean of $e^T$ is carried by pairs $(z, g')$ that fit by chance,
# and a pair does so with a probability of about $e^{-I}$. To hold one, a batch needs about $e^I$ samples: 20,000 for
# ten nats. {cite:t}`song2020understanding` prove that the variance grows exponentially in $I$.
# {cite:t}`mcallester2020limitations` prove that nobody who has only $N$ samples finds a way out: a lower bound that
# holds with high confidence for every distribution is at most of the order of $\log N$.
#
# **Four groups escape this limit.** $I$ is at most $\log 4$, so $e^I$ is at most 4, and $p(g)$ can be counted, so
# nothing needs to be sampled. With normalised rows the estimate (3) is then a plain mean over samples. For a fixed
# critic its expectation is a lower bound of $I$. Two errors are left: the critic's, and the sampling error of a mean,
# which shrinks as $1/\sqrt n$.
#
# ## Only held-out samples count
#
# (1) is about expectations. On training samples the means are biased, so (1) does not apply to them. To see that, take a
# **Gaussian mixture**: given $g$, $z$ is normal around a mean of its own in $d$ dimensions. The groups have the
# proportions of WaterDigits. The means are $r$ times the first four unit vectors, and the other coordinates are noise.
# Here $p(g \mid z)$ is known, so you can average $\log p(g \mid z)/p(g)$ over as many draws as you like.

# %%
p = np.array([2100, 180, 180, 1540]) / 4000
entropy = -(p * np.log(p)).sum()
log_prior = torch.tensor(p).log()


def mixture(r, d, n, rng):
    g = rng.choice(4, n, p=p)
    z = rng.normal(size=(n, d))
    z[np.arange(n), g] += r
    return z, g


def true_information(r, n=200_000):
    z, g = mixture(r, 4, n, np.random.default_rng(1))
    scores = r * z  # log p(z | g), up to what is the same for all g
    log_posterior = scores - logsumexp(scores, axis=1, b=p, keepdims=True)
    values = log_posterior[np.arange(n), g]  # log p(g | z) / p(g)
    return values.mean(), values.std() / math.sqrt(n)


radii = (0, 1.5, 3.0)
truths = {r: true_information(r) for r in radii}
rows = {f"r = {r}": values for r, values in truths.items()}
rows = pd.DataFrame(rows, index=["I", "standard error"]).T
tables.show(rows, f"True information of the mixtures in nats; H(G) is {entropy:.3f}.", digits=3)

# %% [markdown]
# Now we train a critic on 500 samples in 64 dimensions. After each step we read its bound on these samples and on 500
# others.
#
# :::{predict}
# Where will the two curves end? Can a curve pass $H(G)$?
# :::

# %% mystnb={"image": {"alt": "Two curves of the bound against training steps. On the training samples it rises past the true value up to the entropy of the group. On other samples it rises to a part of the truth, then falls far below zero."}, "figure": {"caption": "The bound of one critic during its training, on the training samples and on other samples. The dashed line is the truth, the dotted line is H(G). The curve of the other samples leaves the picture at -0.5 nats.", "name": "fig-in-sample"}}
z_mixed, g_mixed = (torch.tensor(a) for a in mixture(1.5, 64, 1000, rng))
critic = gru.Critic(64, 4, seed=seed)
optimizer = torch.optim.Adam(critic.parameters(), lr=3e-3)
curve = {"training samples": [], "other samples": []}
for _ in range(120 if full else 5):
    table = critic.table(z_mixed.float())
    for which, half in zip(curve, (slice(500), slice(500, None))):
        bound = gru.donsker_varadhan(table[half], g_mixed[half], log_prior)
        curve[which].append(bound.item())
        if half.start is None:
            optimizer.zero_grad()
            (-bound).backward(retain_graph=True)
    optimizer.step()

curve = pd.DataFrame(curve)
fig, axis = plots.figure(7, 3.8)
axis.plot(curve["training samples"], color=plots.RETRAIN, label="training samples")
axis.plot(curve["other samples"], color=plots.REWEIGHT, ls="-.", label="other samples")
axis.axhline(truths[1.5][0], color=plots.INK, ls="--", label="truth")
axis.axhline(entropy, color=plots.INK, ls=":", label="H(G)")
axis.set(xlabel="step", ylabel="bound (nats)", ylim=(-0.5, 1.2))
fig.legend(loc="outside upper center", ncols=2, frameon=False)
plots.show()

# %% [markdown]
# On the training samples the bound climbs to about $H(G)$, twice the truth: the critic knows every group by heart. It
# can even pass $H(G)$: an exercise asks why. On other samples the bound rises a little first. Then it falls, the more
# the critic has learnt by heart.

# %% tags=["claim"]
last, best = curve.iloc[-1], curve["other samples"].max()
if full:
    assert last["training samples"] > truths[1.5][0] + 0.3, "in-sample is not high"
    assert last["other samples"] < best - 0.1 and best < truths[1.5][0], "held-out is not low"
print("holds: training samples say too much, other samples too little")

# %% [markdown]
# So for any one critic a sample may have only one of three roles: **train** the critic, say when to **stop**, or
# **evaluate**. `gru.mutual_information` rotates the roles:
#
# - Features are standardised first, because their scale matters to a network.
# - There are four folds. Two train a critic, one says when to stop it, and one is evaluated.
# - Each fold is evaluated with three critics, whose outputs $T$ are averaged.
# - A critic starts at $T = 0$. One that stops before its first step gives the estimate 0.
#
# You choose the `estimator`:
#
# - `"mine"` is trained to raise (1) with the exact marginal, and read as (1) with normalised rows.
# - `"classifier"` is trained to lower the cross-entropy, and read as (3), which is the same.
# - `"smile"` is trained to tell own groups from drawn ones (logistic loss), and read as SMILE with the exact marginal.
#
# ## The estimate is right in 4 dimensions and too low in 128
#
# In four dimensions the mean errors are below 0.1 nats. In 128 dimensions MINE misses 0.28 ± 0.06 of the 0.46 nats, and
# SMILE misses 0.41 ± 0.04. We tried five problems, a thousand samples each, and four seeds (new samples and new critics).

# %%
ways = {"mine": {}, "classifier": {"estimator": "classifier"}, "smile": {"estimator": "smile"}}
problems = [(1.5, 4), (1.5, 32), (1.5, 128), (0, 32), (3.0, 32)]  # r, d
seeds = range(seed, seed + 4) if full else range(seed, seed + 1)


def errors(way, r, d, n=1000):
    found = []
    for k in seeds:
        z, g = mixture(r, d, n, np.random.default_rng([k, d]))
        value = gru.mutual_information(z, g, 4, seed=k, **way, **brief)
        found.append(value - truths[r][0])
    return np.array(found)


# %%
error = {(w, *at): errors(ways[w], *at) for w in ways for at in problems}

rows = {}
for r, d in problems:
    cells = {way: gru.mean_interval(error[way, r, d]) for way in ways}
    row = {name: x for way in ways for name, x in zip((way, f"{way} ±"), cells[way])}
    rows[f"I = {truths[r][0]:.2f}, d = {d}"] = row
rows = pd.DataFrame(rows).T.round(2) + 0.0
halves = {way: f"{way} ±" for way in ways}
caption = "Estimate minus truth in nats: mean of four seeds ± half of its 95% interval."
tables.show(rows, caption, 2, signed=ways, intervals=halves)

# %% tags=["claim"]
if full:
    hundredths = {key: 100 * values for key, values in error.items()}
    far, near = (hundredths["mine", 1.5, d] for d in (128, 4))
    gru.check_claim("d = 128 misses more than d = 4 (hundredths)", near - far)
    third = 100 / 3 * truths[1.5][0]
    gru.check_claim("at d = 128 MINE misses more than a third (hundredths)", -far - third)
    for way, r, d in error:
        mean = error[way, r, d].mean()
        assert mean < 0.05, f"{way} says too much at {r}, {d}"
        assert r or abs(mean) < 0.02, f"{way} finds something in nothing"
        if d == 128:
            assert abs(mean + (0.41 if way == "smile" else 0.28)) < 0.1, f"{way} misses another part"
        if d == 4:
            assert abs(mean) < 0.1, f"{way} is off in four dimensions"
    gap = [error["mine", *at] - error["classifier", *at] for at in problems]
    assert np.abs(np.mean(gap, axis=1)).max() < 0.05, "MINE and the classifier differ"

# %% [markdown]
# A critic has 500 training samples, 22 of each rare group, and must find four directions among 128. On average the
# errors are on the low side, and where there is nothing, nothing is found. MINE and the classifier differ by less
# than 0.05 nats, as (3) suggests. SMILE's critic is trained with another loss. Whether that is why it misses more, we
# didn't test.
#
# Read an estimate of MINE or the classifier as "at least", up to its sampling error. Don't compare two estimates of
# different dimensions or sample sizes: here the same 0.46 nats are read 0.28 nats apart in 4 and 128 dimensions.
# Equal ones can still miss different parts. Never conclude that high-dimensional features tell *little*.
#
# ## A uniform marginal adds a constant
#
# The released code of MIU, the method of the next lessons, draws $g'$ *uniformly* from the $K$ groups
# {cite:p}`demin2025group`. The proof of (1) still works with $u(g) = 1/K$ in the place of $p(g)$, but the best critic
# then reaches another value:
#
# $$\begin{aligned} \mathbb{E} \log \frac{p(z,g)}{p(z)\,u(g)} &= I(Z; G) + \mathbb{E} \log \frac{p(g)}{1/K} \\
# &= I(Z; G) + \log K - H(G). \end{aligned}$$
#
# The offset, $\log K - H(G)$, does not depend on the features.

# %%
offset = math.log(4) - entropy
more = {r: errors({"marginal": "uniform"}, r, 4) - errors(ways["mine"], r, 4) for r in (0, 3.0)}

rows = {f"I = {truths[r][0]:.2f}": gru.mean_interval(values) for r, values in more.items()}
rows = pd.DataFrame(rows, index=["uniform minus exact", "±"]).T
caption = f"MINE in 4 dimensions: difference in nats, four seeds. The offset is {offset:.3f} nats."
tables.show(rows, caption, 2, signed=rows.columns, intervals={"uniform minus exact": "±"})

# %% tags=["claim"]
if full:
    for r, values in more.items():
        gru.check_claim(f"radius {r}: uniform is higher (hundredths)", 100 * values)
        assert abs(values.mean() - offset) < 0.15, f"radius {r}: not by the offset"

# %% [markdown]
# With the uniform marginal, pure noise "has" nearly 0.4 nats. What is missing to 0.401 is the error of the estimates. In a
# difference of two true values with the same $p(g)$ the offset cancels.
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
# We measure on test images. Here each group has a quarter of them, so $H(G)$ is $\log 4 = 1.386$ nats and not 0.985.
# A group is a target with a background, $G = (Y, S)$, so the chain rule says
#
# $$\begin{aligned} I(Z; G) &= I(Z; Y) + I(Z; S \mid Y), \\
# I(Z; S \mid Y) &= \sum_y p(y)\, I(Z; S \mid Y = y). \end{aligned}$$
#
# Estimate the last term **within** each target, as the sum on the right. Don't take the difference of two estimates,
# $I(Z; G)$ minus $I(Z; Y)$: their errors need not be equal, so a difference of two lower bounds bounds nothing. Each of
# the two terms is at most $\log 2 = 0.693$ nats.


# %%
def probes(z, group, k):
    return np.array([gru.mutual_information(z, group, k, seed=i, **brief) for i in seeds])


def within_target(z):
    masks = [test.target == y for y in (0, 1)]
    return sum(mask.mean() * probes(z[mask], test.sensitive[mask], 2) for mask in masks)


found = {}
for stage, z in (("untrained", z_start), ("original", z_test)):
    found[f"{stage}: group"] = probes(z, test.group, 4)
    found[f"{stage}: target"] = probes(z, test.target, 2)
    found[f"{stage}: background | target"] = within_target(z)

# %% [markdown]
# :::{predict}
# How much will a network that was never trained tell about the target, and how much about the background?
# :::

# %%
rows = {name: gru.mean_interval(values) for name, values in found.items()}
rows = pd.DataFrame(rows, index=["information", "±"]).T
caption = "Information in the features of test images in nats: mean over four draws of folds and critics."
tables.show(rows, caption, 3, intervals={"information": "±"})

# %% [markdown]
# An untrained network already tells 0.444 nats of the background, and 0.032 of the target. So the level alone is no sign of
# learning.
#
# The features of the original tell the background almost without doubt: 0.677 of 0.693 nats. This estimate can hardly be
# much too low, because the maximum is near. The estimate for the target is lower, 0.584. That doesn't rank the two: the
# truth for the target can be as high as 0.693.
#
# The intervals, over draws of folds and critics, say how steady the *estimate* is on these images.

# %% tags=["claim"]
if full:
    known = found["original: background | target"]
    gru.check_claim("more than nine tenths of log 2 (hundredths)", 100 * (known - 0.9 * math.log(2)))
    learnt = found["original: group"] - found["untrained: group"]
    gru.check_claim("more than before training (hundredths)", 100 * learnt)
    start = {what: found[f"untrained: {what}"].mean() for what in ("target", "background | target")}
    assert start["target"] < 0.15 < 0.25 < start["background | target"]
    assert known.mean() > found["original: target"].mean(), "the estimate for the target is not lower"

# %% [markdown]
# ## Summary
#
# - Any critic bounds $I(Z; G)$ from below. The best one is $\log p(g \mid z)/p(g)$ plus a constant.
# - With sampled groups, every estimator errs, and fails when $I$ is larger than the logarithm of the number of
#   samples. It is too high (Donsker-Varadhan, SMILE), capped (InfoNCE), or right only by very rare batches (NWJ).
# - Few groups allow the exact marginal. With normalised rows MINE's bound *is* that of a classifier.
# - Use samples that neither trained nor stopped the critic. The estimate then errs downwards, more so in more
#   dimensions. Check yours at your $d$, $n$ and $p(g)$. (For our features an exercise does so at $I = 0$.)
# - A uniform marginal adds $\log K - H(G)$ to what is estimated, whatever the features.
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
# - [ ] Probably about 4.1, because InfoNCE varies little
#
#   InfoNCE cannot say more than $\log 64 = 4.16$. A reading close to this limit is the same for 5 nats and for 50.
#
# - [ ] Probably less, because sampled estimates are too high
#
#   That is Donsker-Varadhan beyond the logarithm of the batch. InfoNCE errs the other way.
#
# - [x] Probably more, and the reading can't say how much
#
#   The reading is at its limit. Larger batches raise the limit, but only with their logarithm.
# :::
#
# :::{quiz}
# You use four groups, the exact marginal, normalised rows and held-out samples. Which error does not shrink when only
# the number of evaluated samples grows?
#
# - [x] A value that is too low, from a critic that is not the best
#
#   For a fixed critic the estimate is unbiased for a value that is at most $I$. More samples to evaluate don't improve the critic.
#
# - [ ] A variance that grows exponentially in the information
#
#   That comes from sampled $g'$ when $I$ is large. Here nothing is sampled, and $I$ is at most $\log 4$.
#
# - [ ] None, because the second mean of (1) is a sum over all groups
#
#   Only this mean is exact. In 128 dimensions the estimate still misses 0.28 of 0.46 nats.
# :::
#
# :::{quiz}
# You feed pure noise as features and read held-out samples with four seeds: 0.38 ± 0.05 nats. Rare groups have 4.5% each,
# and $g'$ is drawn uniformly. What happened?
#
# - [ ] The critic knows the samples by heart and repeats them.
#
#   The samples were held out. And the number agrees with a formula that has no critic in it.
#
# - [ ] Four seeds are too few, so that the value is due to luck.
#
#   The interval excludes 0.
#
# - [x] The estimate contains $\log K - H(G)$ besides the information.
#
#   For the groups of WaterDigits this offset is 0.401 nats, whatever the features.
# :::
#
# :::{quiz}
# After unlearning you estimate 0.90 nats for the group and 0.55 for the target. May you write "0.35 nats are about the
# background"?
#
# - [ ] Yes, because both estimates err downwards and the errors cancel.
#
#   They need not be equal. In 4 and 128 dimensions the same information is read with errors of 0.00 and 0.28 nats.
#
# - [x] No, because one of the two estimates can be lower by more.
#
#   So a difference of lower bounds can be too high or too low. A mean of lower bounds within the targets is a lower bound.
#
# - [ ] No, because the chain rule needs independent $Y$ and $S$.
#
#   The chain rule holds for all $Y$ and $S$, but for the true values.
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
# InfoNCE: drop all terms of the sum over $j$ but one. NWJ: write both estimates with $x$, the sample mean of $e^T$, and
# compare them. Then replace $x$ by $e^c x$.
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
# The proof needs both means of (1) to be over the distribution $p$. Here the first mean is over 500 samples, which the
# critic was fitted to. Normalising does not loosen the bound, and then it is the sample mean of $\log q(g \mid z) - \log p(g)$. As
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
# With a thousand samples MINE misses 0.28 of 0.46 nats in 128 dimensions. How much does it miss with 4,000 and with 16,000?
# :::
#
# :::{clue}
# `errors(ways["mine"], 1.5, 128, n)` has the errors of four seeds for $n$ samples.
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
off = {"1,000": error["mine", 1.5, 128]}
for n in (4000, 16_000) if full else (2000,):
    off[f"{n:,}"] = errors(ways["mine"], 1.5, 128, n)
off = {n: gru.mean_interval(values) for n, values in off.items()}
off = pd.DataFrame(off, index=["error", "±"]).T.rename_axis("samples")
caption = "Estimate minus truth in nats in 128 dimensions, four seeds."
tables.show(off, caption, 2, signed=["error"], intervals={"error": "±"})
if full:
    means = off["error"].to_list()
    assert means[0] / 2 < means[1] < means[2] and means[2] > -0.06, "the error does not fall"

# %% [markdown]
# Four times as many samples leave less than half of the error, and 16,000 samples leave less than 0.06 nats. So a first
# check of your own estimate costs little: estimate from half of your samples. If the estimate falls much, the full
# one is too low, too.
#
# :::{answer-end}
# :::
#
# :::{exercise} Features on another scale
# :label: ex-scale
# Multiply the features of `mixture(1.5, 4, 1000, rng)` by 10,000, which changes no information. What do `mine`, trained on
# 500 samples and read on the others, and `gru.mutual_information` say?
# :::
#
# :::{clue}
# `gru.donsker_varadhan` needs the table of `T` for all four groups, the true groups, and `log_prior`.
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
    net = mine(scaled[:500], groups[:500], 4, steps=500 if full else 20)
    others = scaled[500:]
    with torch.no_grad():
        every = [T(net, others, torch.full_like(groups[500:], k), 4) for k in range(4)]
    by_mine = gru.donsker_varadhan(torch.stack(every, dim=1), groups[500:], log_prior).item()
    by_package = gru.mutual_information(factor * z_raw, g_raw, 4, seed=seed, **brief)
    rows[f"times {factor:,}"] = [by_mine, by_package]
rows = pd.DataFrame(rows, index=["mine", "gru.mutual_information"]).T
tables.show(rows, f"Estimates in nats; the truth is {truths[1.5][0]:.2f}.", digits=2)
assert abs(np.subtract(*rows["gru.mutual_information"])) < 0.05
if full:
    assert rows["mine"].iloc[1] < min(0, rows["mine"].iloc[0] - 1)

# %% [markdown]
# With the large features `mine` is lost: its bound is far below 0. It starts with huge values of $T$, and 500 steps do not
# bring them back. The package standardises the features first, so the factor changes nothing.
#
# :::{answer-end}
# :::
#
# ## Next
#
# {doc}`05_deriving_miu` uses a critic to make a model forget, and asks what retraining does to this information.
