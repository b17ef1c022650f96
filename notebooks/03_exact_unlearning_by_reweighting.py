# %% [markdown]
# # Exact unlearning by reweighting
#
# **Result.** REWEIGHT draws the few images that are left of a group as often as the whole group was drawn before. At
# ratio 0.5 it gives back 6 of the 11 points that retraining costs the group. At ratio 0.9 it gives back 23 of 56.
#
# **Question.** The forgotten samples are gone, and we must not use them. Can we still train as if the group had its old
# size, and what does that cost?
#
# **After this lesson you can**
#
# - derive {term}`REWEIGHT`, and prove what it guarantees and what it does not;
# - write the training loop and the weighted sampler, and show that the package computes the same;
# - say what it costs for a fixed model, and why the usual {term}`effective sample size` does not show it;
# - judge from twenty seeds what it gives back, and why it is not more;
# - put a promising difference between two ways of sampling to the test on fresh seeds.
#
# **You need** {doc}`02_group_imbalance`, and expectation and variance.

# %% tags=["parameters"]
profile = "full"  # or "smoke": few images, one epoch; numbers mean nothing
seed = 0

# %%
import copy
import textwrap
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

import gru_lite as gru
from gru_lite import checks, plots, tables
from gru_lite.seeding import stream

config = gru.TrainConfig(epochs=15 if profile == "full" else 1)
bench = gru.load("waterdigits" if profile == "full" else "waterdigits_small", seed=seed)
split = gru.forget_split(bench.train, groups=[(1, 0)], ratio=0.9, seed=seed)

# %% [markdown]
# ## One weight per group undoes the change of shares
#
# Let $n_D(g)$ be the size of group $g$ in the training set $D$, and $n_R(g)$ its size in the {term}`retain set` $R$.
# Training on $D$ draws samples whose groups follow $p_D(g) = n_D(g) / |D|$. After the request they follow
# $p_R(g) = n_R(g) / |R|$, so the group that asked is rarer than it was. REWEIGHT draws each retained sample $i$, of group
# $g_i$, in proportion to the weight
#
# $$w_i = \frac{n_D(g_i)}{n_R(g_i)}.$$
#
# It keeps one number per group of the forgotten data: how many left, $n_D(g) - n_R(g)$.

# %%
by_hand = split.n_train / split.n_retain
counts = {"images in D": split.n_train, "images in R": split.n_retain, "weight": by_hand}
counts = pd.DataFrame(counts, index=bench.group_names)
tables.show(counts, "Images of each group before and after the request, and the weight of one that is left.")

weights = gru.reweight(split)  # one for each retained sample
retain_group = bench.train.group[split.retain]
assert np.allclose(weights, by_hand[retain_group])

# %% [markdown]
# ## Each draw has the groups of D
#
# **(a) A draw comes from group $g$ with probability $p_D(g)$.** *Proof.* The weights of all retained samples add up to
# $\sum_g n_R(g) \cdot n_D(g) / n_R(g) = |D|$. So the probability of group $g$ is
#
# $$\frac{n_R(g) \cdot n_D(g)/n_R(g)}{|D|} = \frac{n_D(g)}{|D|} = p_D(g). \qquad \square$$
#
# We check (a) by counting: fifty passes over $R$ are drawn.

# %%
rng = np.random.default_rng(seed)
n_retain = len(split.retain)
passes = [gru.draw_pass(rng, n_retain, weights, retain_group) for _ in range(50)]
drawn = np.bincount(retain_group[np.concatenate(passes)])

law = {"in D": split.n_train, "in R": split.n_retain, "drawn from R": drawn}
law = pd.DataFrame(law, index=bench.group_names)
tables.show(100 * law / law.sum(), "Share of each group in percent; fifty passes were drawn.", digits=2)

# %% [markdown]
# ## The whole method fits in one training loop
#
# A training with REWEIGHT is a plain loop with another sampler. Give sample $i$ an interval of length $w_i$, throw a random
# number between 0 and $|D|$, and take the sample in whose interval it falls.


# %%
def train_by_hand(model, config, indices, weights):
    images, target = torch.from_numpy(bench.train.images), torch.from_numpy(bench.train.target)
    model, n, size = copy.deepcopy(model).train(), len(indices), config.batch_size
    options = {"momentum": config.momentum, "weight_decay": config.weight_decay}
    optimiser = torch.optim.SGD(model.parameters(), **options)

    ends = np.cumsum(weights)  # of the intervals
    passes = [stream(seed, "order", k).random(n) for k in range(config.epochs + 1)]
    draws = indices[np.searchsorted(ends, np.concatenate(passes) * ends[-1], side="right")]

    steps = -(-n // size)  # of an epoch, rounded up
    for step in range(config.epochs * steps):
        batch = draws[step * size :][:size]
        x = images[batch].to(memory_format=torch.channels_last) / 127.5 - 1
        optimiser.param_groups[0]["lr"] = config.lr_at(step, steps)
        optimiser.zero_grad()
        F.cross_entropy(model(x), target[batch]).backward()
        optimiser.step()
    return model.eval()


# %% [markdown]
# The package also shifts the images at random. Without shifts, and for one epoch, its outputs should agree with ours.

# %%
start = gru.build_model("small_resnet", n_classes=2, seed=seed)
short = replace(config, epochs=1, shift=0)
torch.set_num_threads(short.threads)  # the order of a sum depends on it
hand = train_by_hand(start, short, split.retain, weights)
same = {"config": short, "indices": split.retain, "weights": weights, "seed": seed}
package = gru.fit(start, bench.train, device="cpu", **same)
outputs = [gru.predict(model, bench.test) for model in (hand, package)]
difference = np.abs(outputs[0] - outputs[1]).max()
print(f"The largest difference of an output of the two networks is {difference:.1e}.")
assert difference < 0.01  # 0 or rounding, which training amplifies

# %% [markdown]
# ## For a fixed model the risk is right on average
#
# **(b) Over requests, the mean of the reweighted risk is the risk on $D$.** Fix the parameters $\theta$ of a model, and let
# $\ell_i$ be its loss on sample $i$. The risk, or mean loss, on $D$ is $L_D = \frac{1}{|D|} \sum_{i \in D} \ell_i$. The
# reweighted risk on what is left is $L_w = \frac{1}{|D|} \sum_{i \in R} w_i \ell_i$. It is the expected loss of one draw,
# because sample $i$ is drawn with probability $w_i / |D|$.
#
# *Proof.* The forget set $F$ is drawn uniformly within its group. So each sample of group $g$ stays with probability
# $n_R(g)/n_D(g)$, and
#
# $$\mathbb{E}_F[L_w] = \frac{1}{|D|} \sum_{i \in D} \frac{n_R(g_i)}{n_D(g_i)} \cdot \frac{n_D(g_i)}{n_R(g_i)}\, \ell_i = L_D.
# \qquad \square$$
#
# Statisticians call $L_w$ the Horvitz-Thompson estimator: weight each sample by one over its chance to be there
# {cite:p}`horvitz1952`. Three conditions limit what (b) promises.
#
# - The mean is over many draws of $F$. For *the* $F$ at hand, $L_w$ is off by what this $F$ took.
# - $\theta$ is fixed. A model that was *trained* on $R$ has small losses on $R$ because it was trained there. No weighting
#   of those losses says how it does on what is gone.
# - The draw is uniform within the group. The people who really ask need not be a random choice.
#
# Now we look at (b), with the original model as the fixed $\theta$ and 4,000 imagined requests.
#
# :::{predict}
# We draw two histograms of the risk over requests, without and with weights. Which one has its mean on the line of $L_D$?
# Which one is wider?
# :::

# %% mystnb={"image": {"alt": "Two histograms of the risk over random requests. The reweighted one is wide and skewed; its mean, not its peak, is at the dashed line, the risk on all data. The unweighted one is narrow and lies to the left of the line."}, "figure": {"caption": "The risk of one fixed model on what is left after 4,000 random requests for 90% of the group. The dashed line is its risk on all data.", "name": "fig-unbiased"}}
common = {"dataset": bench.train, "config": config, "seed": seed}
original = gru.fit(start, **common, progress="original")
logits = gru.predict(original, bench.train).astype(float)
correct_logit = logits[np.arange(len(logits)), bench.train.target]
loss = np.logaddexp.reduce(logits, axis=1) - correct_logit

group, others = loss[bench.train.group == 2], loss[bench.train.group != 2]
n_D, n_R = split.n_train[2], split.n_retain[2]
kept = np.array([rng.choice(group, n_R, replace=False).sum() for _ in range(4000)])
plain = (others.sum() + kept) / (len(others) + n_R)
weighted = (others.sum() + n_D / n_R * kept) / len(loss)

fig, axis = plots.figure(7, 3.2)
bins = np.linspace(weighted.min(), weighted.max(), 80)
axis.hist(plain, bins, color=plots.RETRAIN, alpha=0.8, label="unweighted")
axis.hist(weighted, bins, color=plots.REWEIGHT, alpha=0.8, label="reweighted")
axis.axvline(loss.mean(), color=plots.INK, ls="--", label="all data")
axis.set(xlabel="risk (nats)", ylabel="requests")
axis.legend(frameon=False)
plots.show()

# %% [markdown]
# Without weights the risk is too low in almost every request, because the group that asked has high losses and is too
# rare in it. With weights the *mean* is on the line. A single request can be far off, and more than half of them give too
# low a risk. That width is the price.
#
# ## The price depends on the images that are left
#
# **(c) The variance of the reweighted risk comes from the $n_R(g)$ samples of the group that asked.** Write
# $L_w = \sum_g p_D(g)\,\bar\ell_g$, with $\bar\ell_g$ the mean loss of the retained samples of group $g$. This is the mean
# of a *stratified sample*, whose strata are the groups {cite:p}`cochran1977`. The groups are drawn independently, so their
# variances add. The mean of $n_R$ samples out of $n_D$, drawn without replacement, has variance
# $(1 - n_R/n_D)\,\sigma_g^2/n_R$. The bracket is called the *finite-population correction*. So
#
# $$\operatorname{Var}_F[L_w] = \sum_g p_D(g)^2 \left(1 - \frac{n_R(g)}{n_D(g)}\right) \frac{\sigma_g^2}{n_R(g)},$$
#
# with $\sigma_g^2$ the variance of the losses within group $g$ (with $n_D(g) - 1$ in the denominator). $\square$
#
# A group that forgets nothing adds nothing to this sum. The group that asked is known through $n_R(g)$ samples, and
# drawing them more often does not make more of them. The 4,000 requests agree with (b) and (c).

# %%
share = n_D / len(loss)  # p_D of the group
formula = share * np.sqrt((1 - n_R / n_D) * group.var(ddof=1) / n_R)
spread = weighted.std()
z_score = abs(weighted.mean() - loss.mean()) / (spread / np.sqrt(len(weighted)))

rows = {"4,000 requests": [weighted.mean(), spread], "(b) and (c)": [loss.mean(), formula]}
moments = pd.DataFrame(rows, index=["mean", "standard deviation"]).T
tables.show(moments, "Reweighted risk over requests in nats: simulated, and by (b) and (c).", digits=5)
print(f"The two means are {z_score:.1f} standard errors of the simulation apart.")

# %% tags=["claim"]
assert z_score < 4, "(b) does not hold: the reweighted risk is biased"
assert abs(spread / formula - 1) < 0.1, "(c) does not hold"
if profile == "full":
    assert (plain < loss.mean()).mean() > 0.99, "the unweighted risk is not too low"
    assert (weighted < loss.mean()).mean() > 0.5, "the reweighted risk is not skewed"
print("holds: (b) and (c), within the error of the simulation")

# %% [markdown]
# ### The effective sample size hides the price
#
# The usual measure of what weights cost is Kish's {term}`effective sample size`, $\mathrm{ESS} = (\sum w)^2 / \sum w^2$.
# With our weights it is
#
# $$\mathrm{ESS} = \frac{|D|^2}{\sum_g n_D(g)^2 / n_R(g)}.$$
#
# :::{predict}
# Waterbirds has 3498, 184, 56 and 1057 training images in its four groups. Of the 56 waterbirds on land 90% are forgotten,
# and 6 stay. How large is the ESS of the 4,745 images that are left?
# :::


# %%
def ess_table(name, counts, g, ratios=(0.1, 0.5, 0.9)):
    rows = {}
    for ratio in ratios:
        n_D, n_R = np.array(counts), np.array(counts)
        n_R[g] -= int(ratio * counts[g])
        weights = np.repeat(gru.group_weights(n_D, n_R), n_R)
        ess = gru.effective_sample_size(weights)
        assert np.isclose(ess, n_D.sum() ** 2 / (n_D**2 / n_R).sum())
        rows[f"{name}, ratio {ratio}"] = [n_R.sum(), round(ess), n_R[g]]
    return pd.DataFrame(rows, index=["images left", "ESS", "left of the group"]).T


waterbirds = ess_table("Waterbirds", [3498, 184, 56, 1057], g=2)
waterdigits = ess_table("WaterDigits", split.n_train.tolist(), g=2)
tables.show(pd.concat([waterbirds, waterdigits]), "Images that are left, and how many the ESS makes of them.")

# %% [markdown]
# On Waterbirds the ESS stays above nine tenths of what is left, although only six images of the group are left. The ESS
# averages the price over all samples, so a small group is hardly seen in it. Overall accuracy hides harm in the same way.
# Within a group all weights are equal, so the effective sample size *of the group* is $n_R(g)$. Report $n_R(g)$.

# %% [markdown]
# ## REWEIGHT gives back about half of the loss, or less
#
# Until now $\theta$ was fixed. What does REWEIGHT do to trained models? We recorded ten seeds at three ratios.
#
# :::{predict}
# At which of the ratios 0.1, 0.5 and 0.9 will REWEIGHT give back all of the loss? Where a part, and where nothing that ten
# seeds can show?
# :::

# %% mystnb={"image": {"alt": "Group accuracy against the forgotten share for the original, plain retraining and retraining with REWEIGHT in both samplings. Retraining falls steeply, the reweighted ones less, and none stays at the level of the original at 0.9."}, "figure": {"caption": "Test accuracy of the forgotten group: mean and 95% interval over ten seeds.", "name": "fig-give-back"}}
table, about = gru.read_record("waterdigits_requests")
rows = list(plots.STYLES)[:4]
plots.ratio_curves(table, "GA", rows, ylabel="accuracy, forgotten group (%)")
plots.show()


# %%
def accuracy(ratio, method, sampling="none"):
    return gru.select(table, method, ratio, sampling)["GA"]


def show_differences(rows, caption):
    """Mean and 95% interval of the differences in rows, {name: {column: differences}}."""
    columns = list(next(iter(rows.values())))
    names = [name for column in columns for name in (column, f"{column} ±")]
    numbers = [[x for cell in row.values() for x in gru.mean_interval(cell)] for row in rows.values()]
    frame = pd.DataFrame(numbers, index=list(rows), columns=names)
    tables.show(frame, caption, signed=columns, intervals={name: f"{name} ±" for name in columns})


ratios = ("0.1", "0.5", "0.9")
before = {r: accuracy(r, "original") for r in ratios}
retrain = {r: accuracy(r, "retrain") for r in ratios}
replaced = {r: accuracy(r, "retrain", "replacement") for r in ratios}

rows = {}
for r in ratios:
    steps = {"retraining": retrain[r] - before[r], "REWEIGHT gives back": replaced[r] - retrain[r]}
    rows[f"ratio {r}"] = steps | {"together": replaced[r] - before[r]}
show_differences(rows, "Change of the group's test accuracy in points, ten seeds.")

# %% tags=["claim"]
for r in ("0.5", "0.9"):
    gru.check_claim(f"at {r} REWEIGHT gives accuracy back", replaced[r] - retrain[r])
    gru.check_claim(f"at {r} some is still missing", before[r] - replaced[r])
harm, gain = before["0.9"] - retrain["0.9"], replaced["0.9"] - retrain["0.9"]
gru.check_claim("at 0.9 less than half comes back", harm / 2 - gain)

# %% [markdown]
# - **Ratio 0.5: about half comes back**, 6.0 of 11.3 points.
# - **Ratio 0.9: less than half comes back**, 22.6 of 56.1 points.
# - **Ratio 0.1: undecided.** Retraining costs 1.7 points and REWEIGHT gives back 0.7. The intervals of both numbers contain
#   0, and exclude effects above four points.
#
# ### The other rare group loses, too
#
# Nobody asked to remove images of the other rare group, *no hole on water*. Its weight is 1, and by (c) it should pay
# nothing. But at ratio 0.9 it does pay.

# %%
fresh, about = gru.read_record("waterdigits_fresh_seeds")
twenty = pd.concat([table, fresh])
steps = [("original", "none"), ("retrain", "none"), ("retrain", "replacement")]
other = [gru.select(twenty, method, 0.9, sampling)["acc_0_1"] for method, sampling in steps]
of_other = {"retraining": other[1] - other[0], "REWEIGHT gives back": other[2] - other[1]}
of_other |= {"together": other[2] - other[0]}
caption = "Change of the test accuracy of digits without a hole on water in points, ratio 0.9, twenty seeds."
show_differences({"no hole on water": of_other}, caption)

# %% tags=["claim"]
gru.check_claim("the other rare group stays below the original", other[0] - other[2])
back = other[2] - other[1]
gru.check_claim("less than half of its loss comes back", (other[0] - other[1]) / 2 - back)

# %% [markdown]
# With REWEIGHT this group is still 10.1 points (± 1.5) below the original. So (c) holds for a fixed model and *not* for
# trained models. In trained models the group that asked is not the only one that pays.
#
# ### The network learns 18 images by heart
#
# Each draw has the right groups at every ratio, so why does the loss not come back? At ratio 0.9 the model sees the same 18
# images about ten times in each epoch. It can learn what the group looks like, or it can learn these 18 images. We train
# one of the recorded models again, live, and test it on the 18 and on new images.

# %%
equal_steps = -(-n_retain // config.batch_size)  # an epoch over R, rounded up
common |= {"indices": split.retain, "weights": weights, "steps_per_epoch": equal_steps}
model = gru.fit(start, **common, progress="REWEIGHT")
live = gru.score(model, bench, split)
stayed = split.retain[retain_group == 2]


def right_on_stayed(model):
    return 100 * (gru.predict(model, bench.train, stayed).argmax(axis=1) == 1).mean()


by_heart = right_on_stayed(model)
print(f"The model is right on {by_heart:.0f}% of the {len(stayed)} images that stayed,")
print(f"and on {live.GA:.0f}% of new images of the group.")

# %% [markdown]
# The live model should score like the recorded one. On other hardware than the record's it will differ, because sums are
# rounded otherwise. To judge the difference, the record has a second training of each seed, which differs from the first
# one in its randomness alone.

# %%
recorded = gru.select(table, "retrain", 0.9, "replacement").loc[seed]
names = {"TA": "all of test", "GA": "the group", "UA": "forget set"}
both = [[getattr(live, name), recorded[name]] for name in names]
both = pd.DataFrame(both, index=list(names.values()), columns=["live", "recorded"])
tables.show(both, "Accuracy in percent of the live and of the recorded model.")
luck = accuracy("0.9", "ceiling", "replacement") - replaced["0.9"]
luck = (luck**2).mean() ** 0.5
print(f"Two trainings of a seed differ by {luck:.1f} points in the group (root mean square).")

# %% tags=["claim"]
if profile == "full":
    gru.check_claim("it knows the 18 better than the group by 10 points, margin", [by_heart - live.GA - 10])
    statement = "live and recorded GA differ by less than three times that, margin"
    gru.check_claim(statement, [3 * luck - abs(live.GA - recorded.GA)])

# %% [markdown]
# The network knows the 18 images by heart, and is far less often right on new images of the group. Weights only say which
# training images count more. Once a network gets all of them right, weights have little effect {cite:p}`byrd2019`. A large
# network tends to memorise the rare group, and to read the background for everyone else
# {cite:p}`sagawa2020investigation`. Our numbers look like that, but they do not show that memorising is the cause. A
# test would have to keep the network from memorising. {ref}`The last exercise <ex-memorising>` tries the simplest way.
#
# ## Top-up draws with less noise
#
# The paper draws $|R|$ times *with replacement*. The number of times that sample $i$ is drawn in an epoch is then close to a
# Poisson number with mean $w_i |R| / |D|$. With $w_i = 1$ at ratio 0.9 the mean is 0.96, so an epoch misses
# $e^{-0.96} = 38\%$ of these samples.
#
# {term}`Top-up sampling <top-up sampling>` is our alternative. Each pass visits every retained sample once. Then it adds
# draws within each group until the group has its old size, and draws every sample of the group equally often, up to one.

# %%
rows = {}
for sampling in ("replacement", "top_up"):
    rng = np.random.default_rng(seed)
    order = gru.draw_pass(rng, n_retain, weights, retain_group, sampling)
    times = np.bincount(order, minlength=n_retain)
    of_group = times[retain_group == 2]
    rows[sampling.replace("_", "-")] = [len(order), 100 * np.mean(times == 0), of_group.min(), of_group.max()]
columns = ["draws", "never drawn (%)", "fewest", "most"]
kinds = dict(zip(columns, (int, float, int, int)))
caption = "One pass: share of R that it misses, and fewest and most draws of an image of the group."
passes = pd.DataFrame(rows, index=columns).T.astype(kinds)
tables.show(passes, caption)

# %% [markdown]
# ### Ten fresh seeds do not settle whether top-up helps
#
# A top-up pass has 4,000 draws and a pass over $R$ has 3,838. So the record compares the two at **equal optimiser steps**,
# not at equal epochs.
#
# :::{predict}
# Will less noise in the draws show in the group's accuracy?
# :::

# %% mystnb={"image": {"alt": "Dots of the difference in group accuracy between top-up and replacement sampling for ten seeds at three ratios, with mean and interval, around the zero line."}, "figure": {"caption": "Top-up minus replacement at equal steps: a dot is the difference of the group's test accuracy on one seed.", "name": "fig-top-up"}}
topped_up = {r: accuracy(r, "retrain", "top_up") for r in ratios}
gained = {f"ratio {r}": topped_up[r] - replaced[r] for r in ratios}
plots.paired_dots(gained, "GA, top-up minus replacement (points)")
plots.show()

# %%
tests = {r: gru.paired_test(topped_up[r], replaced[r]) for r in ratios}
p_values = gru.holm([p for _, _, p in tests.values()])  # three tests, so corrected
columns = ["top-up minus replacement", "±", "p (Holm)"]
rows = {f"ratio {r}": [mean, half, p] for (r, (mean, half, _)), p in zip(tests.items(), p_values)}
found = pd.DataFrame(rows, index=columns).T
caption = "Difference of the group's accuracy in points, ten seeds, and p after Holm's correction."
tables.show(found, caption, {columns[2]: 2}, signed=columns[:1], intervals={columns[0]: "±"})

# %% [markdown]
# At ratio 0.9 top-up is ahead by 3.5 points (± 3.2). This is one of three comparisons, and after correction for three tests
# its p is 0.10. A p-value is the chance of a difference at least this large if there were none. Among three tests, one falls
# below 0.05 by luck more often than one in twenty. {term}`Holm's correction` multiplies the smallest p by 3 and the next
# by 2.
#
# It would be easy to write "top-up helps at high ratios". But we found this by looking at the data, so it needs a test on
# fresh seeds, with one question written down beforehand: is the difference at 0.9 other than zero on seeds 10 to 19?

# %%
ways = ("none", "replacement", "top_up")
plain, by_paper, by_top_up = (gru.select(fresh, "retrain", 0.9, way)["GA"] for way in ways)
everywhere = [gru.select(twenty, "retrain", 0.9, way)["GA"] for way in ("top_up", "replacement")]

p = gru.paired_test(by_top_up, by_paper)[2]
found = {"top-up minus replacement, seeds 10 to 19": by_top_up - by_paper}
found |= {"top-up minus replacement, all twenty seeds": everywhere[0] - everywhere[1]}
found |= {"REWEIGHT gives back, seeds 10 to 19": by_paper - plain}
rows = {name: {"difference": values} for name, values in found.items()}
show_differences(rows, "Difference of the group's test accuracy in points at ratio 0.9.")

# %% [markdown]
# On fresh seeds the mean is +0.3 points (95% interval -5.5 to +6.1). That neither confirms nor excludes a gain of 3.5. Over
# all twenty seeds it is +1.9 ± 3.1: undecided. We can't recommend top-up yet, so the book uses the paper's sampling. What
# REWEIGHT gives back is there again on fresh seeds: 23.2 points.

# %% tags=["claim"]
first, half, _ = tests["0.9"]
assert first - half > 0 and p_values[2] > 0.05, "the first record reads otherwise"
assert p > 0.05, "fresh seeds do tell the two samplings apart"
gru.check_claim("what REWEIGHT gives back is there again", by_paper - plain)

# %% [markdown]
# ## Could three, five or ten seeds tell?
#
# Choose a model, a ratio, and how many of the recorded seeds you look at. The figure shows the accuracy of the group that
# asked, and the lines below say what these seeds can tell.
#
# :::{explore}
# :::
#
# ## REWEIGHT fails without images or with wrong labels
#
# - **A group that is forgotten whole** has no retained sample to weight: $n_D(g)/0$. The package refuses, and names the
#   group. If the groups that remain are to share its place, say so with `missing_group="renormalise"`.
# - **Wrong group labels** send weights to the wrong samples. REWEIGHT needs the group of every sample. A sample that is
#   wrongly labelled as one of our group has weight 10. It is drawn ten times as often as it should be, and nothing corrects
#   that.

# %%
everyone = gru.forget_split(bench.train, groups=[(1, 0)], ratio=1, seed=seed)
try:
    gru.reweight(everyone)
except gru.InputError as problem:
    print(textwrap.fill(str(problem), 80))

# %% [markdown]
# ## Summary
#
# - REWEIGHT draws a retained sample in proportion to $n_D(g)/n_R(g)$. The groups are then drawn as before the request.
# - It is exact unlearning, apart from one count per group: no forgotten sample is used.
# - For a fixed model the reweighted risk is unbiased over uniform requests. For a model that was trained on $R$, and for
#   the one $F$ at hand, nothing is guaranteed.
# - For a fixed model the price is variance, from the group that asked alone. The global effective sample size hides it, so
#   report $n_R(g)$. In trained models the other rare group loses, too.
# - At ratio 0.9 less than half of the loss comes back. The network knows the 18 images that stayed by heart, and new images
#   of the group much less well.
# - Top-up was ahead at 0.9 on ten seeds. Ten fresh seeds neither confirm nor exclude it.
#
# ## Questions
#
# :::{quiz}
# A retained sample of a group that lost half of its images gets the weight 2. What did REWEIGHT have to know of the
# forgotten images?
#
# - [ ] Their losses under the original model
#
#   The weight is a ratio of two counts. No image of $F$ is looked at again.
#
# - [ ] Nothing at all
#
#   The counts of the retain set alone do not tell how large the group was. Someone has to keep the number that left.
#
# - [x] How many there were in each group
#
#   With that number and $n_R(g)$ you have $n_D(g)$. A strict reading of "forget" has to allow this count.
# :::
#
# :::{quiz}
# You train a model on $R$ with REWEIGHT. Its reweighted risk on $R$ is 0.02. What does (b) tell about its risk on $D$?
#
# - [x] Nothing
#
#   (b) needs parameters that do not depend on which samples stayed. This model was trained on exactly those.
#
# - [ ] It is 0.02 on average over requests.
#
#   That would hold for a model that was fixed before the request. Training makes the losses on $R$ small, not those on $F$.
#
# - [ ] It is 0.02, because each draw has the groups of $D$.
#
#   The right share of each group is (a). It says how often the group is drawn, not how the model does on images that are gone.
# :::
#
# :::{quiz}
# On Waterbirds at ratio 0.9 the ESS is 4,370 of 4,745 images. What follows for the group that asked?
#
# - [ ] It is known almost as well as before.
#
#   The group has 6 of its 56 images. The ESS averages over all samples, and the group is a tiny part of them.
#
# - [ ] About 92% of its images are left.
#
#   92% is the ESS over all images. In the group, a tenth is left.
#
# - [x] Hardly anything
#
#   The number is about the mean over all samples. For the group, count $n_R(g)$: six.
# :::
#
# :::{quiz}
# The 18 images that are left are drawn as often as 180 were. Why does the group's accuracy on new images not come back?
#
# - [ ] The sampler draws the group too rarely.
#
#   By (a) it draws the group exactly as often as before, and the count of fifty passes agrees.
#
# - [x] The model sees the same 18 images again and again.
#
#   It is right on all of them and far less often on new images. Repeating an image adds no variety to the group.
#
# - [ ] Ten seeds are too few to see it come back.
#
#   The interval of what is still missing at 0.9, 33.6 ± 3.9 points, is far from 0.
# :::
#
# :::{quiz}
# You compare two methods at three ratios. At one of them the interval is 3.5 ± 3.2, and p after correction is 0.10. What do
# you do?
#
# - [ ] Report that the method helps at this ratio.
#
#   You chose the ratio because it looked best. That is why the correction is needed, and it leaves p at 0.10.
#
# - [ ] Report that the methods do not differ.
#
#   A p of 0.10 does not show that. An interval that reaches 6.7 points does not exclude a useful gain.
#
# - [x] Fix one question, and test it on new seeds.
#
#   New seeds had no part in choosing the question, so one test of it needs no correction.
# :::
#
# ## Exercises
#
# :::{exercise} A top-up pass
# :label: ex-top-up-pass
# Prove (a) for a whole top-up pass, where the size of each group is not random. With what probability is sample $i$ at a
# given position of the pass, and does (b) still hold?
# :::
#
# :::{clue}
# How often is each sample of a group in the pass, at least and at most, and on average? The order of the pass is a random
# permutation, so each position has the same law.
# :::
#
# :::{answer}
# :::
#
# A top-up pass has $n_D(g)$ draws of every group $g$, so $|D|$ in all, and the shares are exactly $p_D(g)$ in each pass. A
# group's draws are shared out evenly, up to one, and who gets one more is drawn uniformly. So each of its $n_R(g)$ samples
# is in the pass $n_D(g) / n_R(g) = w_i$ times on average. A random permutation puts each entry of the pass at a given
# position with probability $1/|D|$. So sample $i$ is there with probability $w_i/|D|$, as with replacement. The expected
# loss of a draw is again $L_w$, and (b) holds. A numeric check at another ratio, where $w_i$ is not a whole number:

# %% tags=["solution"]
third = gru.forget_split(bench.train, groups=[(1, 0)], ratio=0.7, seed=seed)
w, groups = gru.reweight(third), bench.train.group[third.retain]
rng = np.random.default_rng(seed)
passes = [gru.draw_pass(rng, len(w), w, groups, "top_up") for _ in range(400)]
times = np.array([np.bincount(order, minlength=len(w)) for order in passes])
assert all((np.bincount(groups, weights=t) == third.n_train).all() for t in times)
assert (np.abs(times - w) < 1).all()
assert np.abs(times.mean(axis=0) - w).max() < 0.2  # the mean over 400 passes
print(f"Every pass has the groups of D. With weight {w.max():.2f}, an image is drawn", end=" ")
print(f"{times[:, groups == 2].min()} or {times[:, groups == 2].max()} times.")

# %% [markdown]
# :::{answer-end}
# :::
#
# :::{exercise} Weights on the loss
# :label: ex-weights-on-the-loss
# Instead of drawing a sample more often, you can draw uniformly from $R$ and multiply its *loss* by $w_i |R| / |D|$. Which of
# (a), (b) and (c) stay true? For the original model, compare how noisy the mean loss of a batch of 64 is in both designs,
# and how many batches hold no image of the group.
# :::
#
# :::{clue}
# Write both designs as draws with a law $\pi_i$ and a factor $f_i$, such that $\pi_i f_i = w_i / |D|$. The mean of a batch
# has variance $\big(\sum_i \pi_i (f_i \ell_i)^2 - L_w^2\big) / 64$ when the 64 draws are independent. You need no simulation.
# :::
#
# :::{answer}
# :::
#
# (a) fails: batches have the groups of $R$. (b) and (c) stay true, because the expected loss of a draw is
# $\sum_{i \in R} \frac{1}{|R|} \cdot \frac{w_i |R|}{|D|} \ell_i = L_w$ as before, and (b) and (c) are about $L_w$. What
# changes is the noise of a batch around $L_w$:

# %% tags=["solution"]
kept_loss, is_group = loss[split.retain], retain_group == 2
drawing = weights / weights.sum()  # draw in proportion to the weights, factor 1
uniform = np.full(n_retain, 1 / n_retain)  # draw uniformly, weight the loss
rows = {}
for name, law in {"weighted draws": drawing, "weighted losses": uniform}.items():
    values = drawing / law * kept_loss
    risk = (law * values).sum()
    noise = np.sqrt(((law * values**2).sum() - risk**2) / 64)
    rows[name] = [risk, noise, 100 * (1 - law[is_group].sum()) ** 64]
columns = ["mean loss", "noise of a batch", "batches without the group (%)"]
designs = pd.DataFrame(rows, index=columns).T
caption = "Loss of the original model on a batch of 64 in nats, and batches that hold none of the group."
tables.show(designs, caption, digits={columns[0]: 4, columns[1]: 4})
assert np.isclose(*designs["mean loss"])
if profile == "full":
    assert designs.loc["weighted losses", columns[2]] > 70 > 10 > designs.loc["weighted draws", columns[2]]
    assert designs.loc["weighted losses", columns[1]] > designs.loc["weighted draws", columns[1]]

# %% [markdown]
# Both designs have the same mean loss. With weighted losses three batches of four hold no image of the group. In the others
# a single image counts almost ten times, so a batch is noisier. What that does to a trained model is a question for an
# experiment, with seeds.
#
# :::{answer-end}
# :::
#
# :::{exercise} A request that is not uniform
# :label: ex-not-uniform
# Forget the half of the group that has the *highest* loss under the original. By how much is $L_w$ off, and in which
# direction? Compare with the standard deviation that (c) gives for a uniform request of this size.
# :::
#
# :::{clue}
# `np.argsort` of the group's losses, and `gru.forget_split(bench.train, indices=...)` for a request that you choose
# yourself.
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
members = np.flatnonzero(bench.train.group == 2)
hardest = members[np.argsort(group)[-(n_D // 2) :]]
chosen = gru.forget_split(bench.train, indices=hardest)
off = (gru.reweight(chosen) * loss[chosen.retain]).sum() / len(loss) - loss.mean()
left = chosen.n_retain[2]
usual = share * np.sqrt((1 - left / n_D) * group.var(ddof=1) / left)
print(f"The reweighted risk is {loss.mean() + off:.4f} instead of {loss.mean():.4f} nats:")
print(f"off by {off:+.4f}, or {off / usual:+.1f} standard deviations of a uniform request.")
assert off < -2 * usual

# %% [markdown]
# The risk is far too low. The weights restore the *size* of the group, and the easy half stands in for the hard one. (b) does
# not protect you here, because the request was not drawn uniformly. Nothing in the weights or in the counts shows that.
#
# :::{answer-end}
# :::
#
# :::{exercise} The ESS as an alarm
# :label: ex-ess-alarm
# Derive the formula of the ESS from the weights. Is there a ratio, with at least one image of the group left, at which the
# ESS of Waterbirds falls below half of $|R|$? And for WaterDigits?
# :::

# %% tags=["remove-cell"]
answer = ...  # {"Waterbirds": True or False, "WaterDigits": True or False}
checks.check("ex-ess-alarm", answer)

# %% [markdown]
# :::{clue}
# Sum $w$ and $w^2$ over the $n_R(g)$ samples of each group. The ESS falls with every image that leaves, so look at the
# case of one image.
# :::
#
# :::{answer}
# :::
#
# Group $g$ has $n_R(g)$ samples of weight $n_D(g)/n_R(g)$. So $\sum w = \sum_g n_D(g) = |D|$ and
# $\sum w^2 = \sum_g n_R(g)\,\big(n_D(g)/n_R(g)\big)^2 = \sum_g n_D(g)^2/n_R(g)$, which gives the formula.

# %% tags=["solution"]
sizes = {"Waterbirds": [3498, 184, 56, 1057], "WaterDigits": [2100, 180, 180, 1540]}
rows = {}
for name, counts in sizes.items():
    n_before = np.array(counts)
    for n_left in (18, 6, 1):
        n_after = np.where(np.arange(4) == 2, n_left, n_before)
        ess = n_before.sum() ** 2 / (n_before**2 / n_after).sum()
        rows[f"{name}, {n_left} of the group left"] = [round(ess), n_after.sum(), 100 * ess / n_after.sum()]
alarm = pd.DataFrame(rows, index=["ESS", "images left", "ESS (%)"]).T
alarm = alarm.astype({"ESS": int, "images left": int})
tables.show(alarm, "The ESS when few images of the group are left, also in percent of all that are left.", 0)
shares = alarm["ESS (%)"].to_numpy()
assert checks.hint("ex-ess-alarm", {"Waterbirds": shares[2] < 50, "WaterDigits": shares[5] < 50}) is None

# %% [markdown]
# Waterbirds never gets there: with a single image left the ESS is still 62% of $|R|$. On WaterDigits it falls to 12%. An
# alarm that rings only for larger groups is no alarm for small ones.
#
# :::{answer-end}
# :::
#
# :::{exercise} Stop before the network memorises
# :label: ex-memorising
# Train for 6 epochs instead of 15. Does a larger share of the loss come back? Does the network still know the images that
# stayed by heart? Would one seed be enough to answer?
# :::
#
# :::{clue}
# Fewer epochs change the original and the retrained model, too. So you need three short trainings: everyone, $R$, and $R$
# with weights. The record has the three models at 15 epochs.
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
brief = {"dataset": bench.train, "config": replace(config, epochs=min(config.epochs, 6)), "seed": seed}
on_retain = brief | {"indices": split.retain}
kinds = {"original": brief, "retrain": on_retain, "REWEIGHT": on_retain | {"weights": weights}}
quick = {name: gru.fit(start, **options, progress=name) for name, options in kinds.items()}
new = {name: gru.score(model, bench, split).GA for name, model in quick.items()}
at_15 = dict(zip(kinds, (values["0.9"].loc[seed] for values in (before, retrain, replaced))))
rows = {"new images, 6 epochs": new, "new images, 15 epochs (recorded)": at_15}
rows["images that stayed, 6 epochs"] = {name: right_on_stayed(model) for name, model in quick.items()}
tables.show(pd.DataFrame(rows).T, "Accuracy in percent on the group, one seed.")

if profile == "full":
    back = [(a["REWEIGHT"] - a["retrain"]) / (a["original"] - a["retrain"]) for a in (new, at_15)]
    print(f"Of the loss {back[0]:.0%} comes back after 6 epochs, and {back[1]:.0%} after 15.")
    assert right_on_stayed(quick["REWEIGHT"]) > new["REWEIGHT"] + 10
    assert new["original"] < at_15["original"]

# %% [markdown]
# With REWEIGHT the network knows the images that stayed by heart after 6 epochs already, and new images far less well. So
# fewer epochs do not keep it from memorising, and this is no test of the cause. The original has not learnt the group as
# well in 6 epochs either, so there is less to give back.
#
# On seed 0 a larger share of the loss comes back, 75% instead of 27%. With `seed = 1` we got 39% and 35%. One seed says
# little about a quotient of two differences, so plan for ten.
#
# :::{answer-end}
# :::
#
# ## Next
#
# Retraining is exact and slow. How near can you come without it? The paper's answer needs a way to measure what features
# know about a group: {doc}`04_mutual_information`.
