# %% [markdown]
# # Exact unlearning by reweighting
#
# **Question.** The forgotten samples are gone and must not be used. Can one still train as if the group had its old size, and
# what does that cost?
#
# **After this lesson you can**
#
# - derive REWEIGHT, and prove what it guarantees and what it does not;
# - say why its price is paid by the group alone, and why the usual *effective sample size* does not show it;
# - judge from ten seeds what it gives back at ratios 0.1, 0.5 and 0.9;
# - compare the paper's sampling with replacement with *top-up* sampling at equal steps.
#
# **You need** {doc}`02_group_imbalance` and expectation and variance. **Time:** three minutes on two CPU cores.

# %% tags=["parameters"]
profile = "full"  # "smoke" trains for one epoch: everything runs, no number means anything
seed = 0

# %%
import numpy as np
import pandas as pd

import gru_lite as gru
from gru_lite import plots

config = gru.TrainConfig() if profile == "full" else gru.TrainConfig(epochs=1, warmup_epochs=0)
bench = gru.load("waterdigits", seed=seed)
split = gru.forget_split(bench.train, groups=[(1, 0)], ratio=0.9, seed=seed)

# %% [markdown]
# ## The idea
#
# Training on $D$ draws samples whose groups follow $p_D(g) = n_D(g) / |D|$. After the request they follow
# $p_R(g) = n_R(g) / |R|$, and the concentrated group is rarer than it was. REWEIGHT draws each retained sample $i$ in
# proportion to
#
# $$w_i = \frac{n_D(g_i)}{n_R(g_i)}.$$
#
# Two counts per group are all that is kept of the forgotten data.

# %%
by_hand = split.n_train / split.n_retain
print(pd.DataFrame({"n_D": split.n_train, "n_R": split.n_retain, "weight": by_hand.round(3)}, index=bench.group_names))

weights = gru.reweight(split)  # one for each retained sample
assert np.allclose(weights, by_hand[bench.train.group[split.retain]])

# %% [markdown]
# ## What it guarantees
#
# **(a) The law of the groups is that of $D$.** The weights of all retained samples add up to
# $\sum_g n_R(g) \cdot n_D(g) / n_R(g) = |D|$, so a draw comes from group $g$ with probability
#
# $$\frac{n_R(g) \cdot n_D(g)/n_R(g)}{|D|} = \frac{n_D(g)}{|D|} = p_D(g). \qquad \square$$

# %%
rng = np.random.default_rng(seed)
retain_group = bench.train.group[split.retain]
draws = np.concatenate([gru.draw_pass(rng, len(split.retain), weights, retain_group) for _ in range(50)])
law = pd.DataFrame({
    "p_D": split.n_train / split.n_train.sum(),
    "p_R": split.n_retain / split.n_retain.sum(),
    "drawn": np.bincount(retain_group[draws]) / len(draws),
}, index=bench.group_names)
print(law.round(4))

# %% [markdown]
# **(b) For a fixed model, the reweighted risk is right on average.** Fix the parameters $\theta$ and let $\ell_i$ be the
# loss of sample $i$. The risk on $D$ is $L_D = \frac{1}{|D|} \sum_{i \in D} \ell_i$, the reweighted risk on what is left is
# $L_w = \frac{1}{|D|} \sum_{i \in R} w_i \ell_i$. Within its group, $F$ is drawn uniformly, so each sample of group $g$ is
# retained with probability $n_R(g)/n_D(g)$, and
#
# $$\mathbb{E}_F[L_w] = \frac{1}{|D|} \sum_{i \in D} \frac{n_R(g_i)}{n_D(g_i)} \cdot \frac{n_D(g_i)}{n_R(g_i)}\, \ell_i = L_D.
# \qquad \square$$
#
# Read the conditions. The expectation is over the draw of $F$: for *the* $F$ at hand, $L_w$ is off by what this $F$ took. And
# $\theta$ is fixed: a model that was *trained* on $R$ has small losses on $R$ because it was trained there, and no
# weighting of those losses says how it does on what is gone. Also, people who ask are not a uniform draw of their group.
#
# Let us see (b), with the original model as the fixed $\theta$ and 4,000 imagined requests. *Which histogram will be centred
# on the line, and what will its width be?*

# %% mystnb={"image": {"alt": "Two histograms of the risk over random requests. The reweighted one is wide and centred on the dashed line, the risk on all data; the unweighted one is narrow and lies entirely to its left."}, "figure": {"caption": "Risk of one fixed model on what is left after 4,000 random requests for 90% of the group; dashed: its risk on all data.", "name": "fig-unbiased"}}
start = gru.build_model("small_resnet", n_classes=2, seed=seed)
original = gru.fit(start, bench.train, config=config, seed=seed, progress="original")
logits = gru.predict(original, bench.train).astype(float)
loss = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(logits)), bench.train.target]

member = np.flatnonzero(bench.train.group == 2)
n_keep, rest = split.n_retain[2], loss.sum() - loss[member].sum()
kept = np.array([loss[rng.choice(member, n_keep, replace=False)].sum() for _ in range(4000)])
risk = loss.mean()
weighted, plain = (rest + by_hand[2] * kept) / len(loss), (rest + kept) / (len(loss) - len(member) + n_keep)

fig, axis = plots.figure(7, 3.2)
axis.hist(plain, 60, color=plots.RETRAIN, alpha=0.8, label="unweighted")
axis.hist(weighted, 60, color=plots.REWEIGHT, alpha=0.8, label="reweighted")
axis.axvline(risk, color=plots.INK, ls="--", label="all data")
axis.set(xlabel="risk (nats)", ylabel="requests")
axis.legend()
plots.plt.show()

# %% [markdown]
# Unweighted, the risk is too low with near certainty: the hard group is missing from it. Reweighted, it is right on
# average, and for a single request it may be far off. That width is the price.
#
# ## The price
#
# **(c) The variance is that of the group's $n_R(g)$ samples.** Drawing $n_R$ of $n_D$ samples without replacement gives
#
# $$\operatorname{Var}_F[L_w] = \sum_g p_D(g)^2 \left(1 - \frac{n_R(g)}{n_D(g)}\right) \frac{\sigma_g^2}{n_R(g)},$$
#
# where $\sigma_g^2$ is the variance of the losses within group $g$ (with $n_D(g) - 1$ in the denominator). Groups of which
# nothing is forgotten contribute nothing. The forgotten group is known through $n_R(g)$ samples, and drawing them more often
# does not make more of them.

# %%
p, keep = split.n_train[2] / len(loss), n_keep / len(member)
formula = p * np.sqrt((1 - keep) * loss[member].var(ddof=1) / n_keep)
error = abs(weighted.mean() - risk) / (weighted.std() / np.sqrt(len(weighted)))
print(f"mean of the reweighted risk: {weighted.mean():.5f}, risk on all data: {risk:.5f} ({error:.1f} standard errors apart)")
print(f"standard deviation over requests: simulated {weighted.std():.5f}, formula {formula:.5f}")

# %% tags=["claim"]
assert error < 4, "the reweighted risk is not unbiased"
assert abs(weighted.std() / formula - 1) < 0.05, "the variance formula does not hold"
if profile == "full":
    assert (plain < risk).mean() > 0.99, "the unweighted risk is not too low"
print("holds: (b) and (c), within the error of the simulation")

# %% [markdown]
# ### Why the effective sample size misleads
#
# Kish's effective sample size of weighted samples, $(\sum w)^2 / \sum w^2$, is the usual gauge of what weights cost.
# Insert the weights:
#
# $$\mathrm{ESS} = \frac{|D|^2}{\sum_g n_D(g)^2 / n_R(g)}.$$
#
# *Waterbirds has 3498, 184, 56 and 1057 training images in its four groups. Of the 56 waterbirds on land, 90% are forgotten: 6
# stay. How large is the ESS of the 4,745 images that are left?*

# %%
def ess_table(counts, group, ratios):
    rows = []
    for ratio in ratios:
        n_train, n_retain = np.array(counts), np.array(counts)
        n_retain[group] -= int(ratio * counts[group])
        w = np.repeat(gru.group_weights(n_train, n_retain), n_retain)
        closed = n_train.sum() ** 2 / (n_train**2 / n_retain).sum()
        assert np.isclose(gru.effective_sample_size(w), closed)
        rows.append({"ratio": ratio, "retained": n_retain.sum(), "ESS": round(closed), "left of the group": n_retain[group]})
    return pd.DataFrame(rows).to_string(index=False)


print("Waterbirds\n" + ess_table([3498, 184, 56, 1057], 2, (0.1, 0.5, 0.9)))
print("\nWaterDigits\n" + ess_table(split.n_train.tolist(), 2, (0.1, 0.5, 0.9)))

# %% [markdown]
# The ESS stays above nine tenths of what is left, and the group is down to six images. The global number averages the price
# over all samples, and the group is too small to be seen in the average: the same mistake as judging harm by overall accuracy.
# The effective sample size *of the group* is $n_R(g)$, because its samples have equal weights. Report that.

# %% [markdown]
# ## What it gives back
#
# Theory is about a fixed $\theta$. What does it do to trained models? The record has ten seeds at three ratios. *At which ratios
# do you expect it to give back all of the loss, a part, nothing that can be seen?*

# %% mystnb={"image": {"alt": "Group accuracy against the forgotten share for the original, plain retraining and retraining with REWEIGHT in both samplings. Retraining falls steeply, the reweighted ones less, and none stays at the level of the original at 0.9."}, "figure": {"caption": "Test accuracy of the forgotten group: mean and 95% interval over ten seeds.", "name": "fig-give-back"}}
table, about = gru.read_record("waterdigits_requests")
rows = [("original", ""), ("retrain", ""), ("retrain", "replacement"), ("retrain", "top_up")]
plots.ratio_curves(table, "GA", rows, ylabel="accuracy of the forgotten group (%)")
plots.plt.show()

# %%
def difference(ratio, first, second, metric="GA"):
    """Paired differences over seeds between two (method, sampling) rows."""
    values = [table[(table["ratio"] == ratio) & (table["method"] == m) & (table["sampling"] == s)].set_index("seed")[metric]
              for m, s in (first, second)]
    return (values[0] - values[1]).sort_index()


ORIGINAL, RETRAIN, REWEIGHT, TOP_UP = rows
for ratio in ("0.1", "0.5", "0.9"):
    parts = [gru.mean_interval(difference(ratio, a, b)) for a, b in ((RETRAIN, ORIGINAL), (REWEIGHT, RETRAIN), (REWEIGHT, ORIGINAL))]
    lost, back, still = (f"{mean:+6.1f} ± {half:4.1f}" for mean, half in parts)
    print(f"ratio {ratio}: retraining {lost}   REWEIGHT gives back {back}   still missing {still}")

# %% tags=["claim"]
for ratio in ("0.5", "0.9"):
    gru.check_claim(f"at {ratio} REWEIGHT gives back group accuracy", difference(ratio, REWEIGHT, RETRAIN))
    gru.check_claim(f"at {ratio} something is still missing", difference(ratio, ORIGINAL, REWEIGHT))

# %% [markdown]
# READING-GIVE-BACK
#
# ## Two ways to draw: replacement and top-up
#
# The paper draws $|R|$ times *with replacement*. How often a given sample is drawn in an epoch is then close to a Poisson
# number with mean $w_i |R| / |D|$: of the groups with weight 1, more than a third of the samples are not seen in an epoch at all.
# **Top-up** sampling (ours) has the same law of groups and less noise: each pass visits every retained sample once, and
# adds draws within each group until it has its old size, every sample equally often up to one.

# %%
n_D, n_R = split.n_train.sum(), len(split.retain)
for sampling in ("replacement", "top_up"):
    order = gru.draw_pass(np.random.default_rng(seed), n_R, weights, retain_group, sampling)
    times = np.bincount(order, minlength=n_R)
    print(f"{sampling:11}  draws {len(order)}   never drawn {np.mean(times == 0):5.1%}   "
          f"times a sample of the group is drawn: {times[retain_group == 2].min()} to {times[retain_group == 2].max()}")

# %% [markdown]
# One top-up pass is longer than a pass over $R$, so that "the same number of epochs" would give it more steps. The record
# compares both at **equal optimiser steps**. *Would you expect less noise in the draws to show in the group's accuracy?*

# %% mystnb={"image": {"alt": "Dots of the difference in group accuracy between top-up and replacement sampling for ten seeds at three ratios, with mean and interval, around the zero line."}, "figure": {"caption": "Top-up minus replacement at equal steps: difference of the group's test accuracy, a dot for each seed.", "name": "fig-top-up"}}
plots.paired_dots({f"ratio {r}": difference(r, TOP_UP, REWEIGHT) for r in ("0.1", "0.5", "0.9")}, "difference of GA (points)")
plots.plt.show()

# %%
tests = {(r, m): gru.paired_test(*(table[(table["ratio"] == r) & (table["sampling"] == s) & (table["method"] == "retrain")]
         .sort_values("seed")[m] for s in ("top_up", "replacement"))) for r in ("0.1", "0.5", "0.9") for m in ("GA", "TA")}
corrected = gru.holm([p for _, _, p in tests.values()])
for ((ratio, metric), (mean, half, _)), p_value in zip(tests.items(), corrected):
    print(f"ratio {ratio} {metric}: {mean:+5.1f} ± {half:4.1f}   p after Holm {p_value:.3f}")

# %% [markdown]
# READING-TOP-UP
#
# One of these trainings again, live, beside its recorded row:

# %%
steps = -(-n_R // config.batch_size)
model = gru.fit(start, bench.train, indices=split.retain, weights=weights, sampling="top_up", steps_per_epoch=steps,
                config=config, seed=seed, progress="top-up")
live = gru.score(model, bench, split)
recorded = table.query("method == 'retrain' and sampling == 'top_up' and ratio == '0.9' and seed == @seed").iloc[0]
print(f"GA live {live.GA:.1f}, recorded {recorded.GA:.1f};  TA live {live.TA:.1f}, recorded {recorded.TA:.1f}")

# %% tags=["claim"]
if profile == "full":
    gru.check_claim("live and recorded GA agree to five points", [5 - abs(live.GA - recorded.GA)])

# %% [markdown]
# ## Where it cannot help
#
# A group that is forgotten *whole* has no retained sample to weight: $n_D(g)/0$. The package refuses, and names the group. If the
# groups that remain are to share its place, say so with `missing_group="renormalise"`: a decision, not a default.

# %%
everyone = gru.forget_split(bench.train, groups=[(1, 0)], ratio=1, seed=seed)
try:
    gru.reweight(everyone)
except gru.InputError as error:
    print(error)

# %% [markdown]
# ## Summary
#
# - REWEIGHT draws a retained sample in proportion to $n_D(g)/n_R(g)$: the groups are drawn as before the request.
# - For a fixed model the reweighted risk is unbiased over uniform requests. For the model that was trained on $R$, and for the
#   one $F$ at hand, nothing is guaranteed.
# - The price is variance, paid by the forgotten group; the global effective sample size hides it. Report $n_R(g)$.
# - It is exact unlearning: no forgotten sample is used, only two counts per group.
#
# ## Exercises
#
# 1. Prove (a) for top-up sampling. Which step of (b) changes?
# 2. Instead of drawing more often, multiply the *loss* of each sample by its weight. Which of (a), (b), (c) stay true? Train it
#    (a few lines of PyTorch) and compare at ratio 0.9.
# 3. Requests are rarely uniform within a group. Forget the half of the group with the *highest* loss under the original. By
#    how much is $L_w$ off, and in which direction?
# 4. Derive the ESS formula above from the weights, and find the ratio at which Waterbirds' ESS falls below half of $|R|$.
#
# ## Next
#
# Retraining is exact and slow. The next part of the book, in preparation, asks how near one can come without it.
