# %% [markdown]
# # Many groups, many sizes
#
# **Result.** Each time a group's images are halved, its error with REWEIGHT rises by about 5.3 ± 0.7 points. This law
# predicts groups of requests that no fit has seen with a mean miss of 5.3 points (9 and 15 groups), and *no change* misses
# by 10.6.
#
# **Question.** What happens when many groups ask at once, and unevenly? Can you predict a group's error before you
# train?
#
# **After this lesson you can**
#
# - write a request in which each group has a ratio of its own;
# - fit a law of a group's error against the number of its images that are left, and test it on requests that the fit
#   hasn't seen;
# - say how much REWEIGHT gives back, for few images and for many;
# - turn the law into a rule: keep at least $N$ images of each group.
#
# **You need** {doc}`03_exact_unlearning_by_reweighting`. {doc}`12_what_can_be_proved` has the law for one group.

# %% tags=["parameters"]
profile = "full"  # or "smoke": three epochs; numbers mean nothing
seed = 0

# %%
import numpy as np
import pandas as pd
from scipy.optimize import least_squares

import gru_lite as gru
from gru_lite import labels, plots, tables
from gru_lite.groups import parse_ratio

full = profile == "full"

# %% [markdown]
# ## InkDigits has twenty groups, and each needs images of its own
#
# {term}`WaterDigits` has four groups, and one of them asks. FairFace has 63 groups, and the paper's code
# has settings for requests of 9 and of 25. For such requests we drew another benchmark, {term}`InkDigits`. The target
# is the digit modulo 5, so 0 and 5 are one target. The {term}`sensitive attribute` is one of four inks. Five targets and
# four inks make twenty groups. Each target has one common ink with 420 training images, and 120 images in each other ink.
#
# If you only knew a 3 that is drawn with the pen, would you read the 3 of the outline?

# %% mystnb={"image": {"alt": "A table of small pictures with a row for each of four inks and two columns for each of five targets. The pen draws thick strokes, the outline only their edges, chalk leaves patches and hatching leaves parallel lines."}, "figure": {"caption": "Two training images of each of the twenty groups of InkDigits, and how many there are.", "name": "fig-inks"}}
bench = gru.load("inkdigits", seed=seed)
counts = bench.train.group_counts.reshape(5, 4)
fig, axes = plots.figure(7.5, 5, columns=5, rows=4)
for (y, s), n in np.ndenumerate(counts):
    pair = bench.train.images[bench.train.group == 4 * y + s][:2]
    axes[s, y].imshow(np.concatenate(list(pair.transpose(0, 2, 3, 1)), axis=1), interpolation="none")
    axes[s, y].set_title(f"{bench.target_names[y]}, {bench.sensitive_names[s]}: {n}", fontsize=9)
    axes[s, y].axis("off")
plots.show()

# %% [markdown]
# The shapes stay, and the edges change. So a model learns little about one ink from another, and a group needs images of
# its own.
#
# An *even* request takes the same share of each group. Real requests are rarely even. `gru.forget_split` takes one
# {term}`ratio` for all groups, or a list with a ratio for each:

# %%
bench = gru.load("inkdigits_edges", seed=seed)  # the same samples as 131 numbers each: trains in a second
train = bench.train
uneven = gru.forget_split(train, [(0, 0), (1, 0), (2, 0)], [0.95, 0.5, 0.05], seed)
asked = [y * 4 + s for y, s in uneven.groups]
request = pd.DataFrame({"before": uneven.n_train[asked], "left": uneven.n_retain[asked]})
request["weight"] = gru.group_weights(uneven.n_train, uneven.n_retain)[asked]
request.index = [train.group_names[g] for g in asked]
tables.show(request, "An uneven request of three groups: images before and after, and REWEIGHT's weight.", 2)
print(
    "effective sample size:", round(gru.effective_sample_size(gru.reweight(uneven))), "of", len(uneven.retain)
)

# %% tags=["claim"]
assert counts.sum() == 3900 and sorted(set(counts.ravel())) == [120, 420]
assert request["left"].tolist() == [21, 60, 114] and request["weight"].round(2).tolist() == [20, 2, 1.05]

# %% [markdown]
# The request costs the first group 399 of 420 images, so each image that is left gets the weight 20. These 21
# images lower the {term}`effective sample size` from 3,435 to 1,267.
#
# ## A group's own share counts, and company is mostly undecided
#
# Curves of many requests take hundreds of retrainings. So the model is small here. It has one hidden layer of 64 units and
# reads a picture as 131 numbers, as in {doc}`11_group_labels`. The record (`results/many_groups.py`) has sixteen seeds. Each
# seed puts the twenty groups into a random order, and requests are of the first 1, 3, 9 or 15. Its column `power` is 0 for
# plain retraining and 1 for REWEIGHT. The *rise* of a group is its test error after retraining minus that of the original
# model, in points.
#
# :::{predict}
# A group loses 90% of its images. Once it asks alone, and once 14 other groups ask for the same. When does its
# error rise more?
# :::

# %%
table, about = gru.read_record("inkdigits_groups")
table["ratios"] = table["ratios"].astype(str)


def members(table):
    """A row for each run and group that asked: its images before and after, its error and how far it rose."""
    original, rows = table[table["request"] == "none"].set_index("seed"), []
    for run in table[table["asked"] > 0].itertuples():
        for place, (pair, ratio) in enumerate(zip(run.groups.split(), run.ratios.split())):
            y, s = map(int, pair.split(","))
            n, accuracy = int(counts[y, s]), f"acc_{y}_{s}"
            row = {name: getattr(run, name) for name in ("request", "asked", "power", "seed")}
            row |= {"place": place, "ratio": float(parse_ratio(ratio)), "n_D": n}
            row |= {"n_R": n - int(parse_ratio(ratio) * n), "error": 100 - getattr(run, accuracy)}
            rows.append(row | {"rise": original.loc[run.seed, accuracy] - getattr(run, accuracy)})
    return pd.DataFrame(rows)


groups = members(table)
even = groups[groups["request"] == "even"]

# %%
# One request of nine groups again, on the reader's machine
config = gru.TrainConfig(batch_size=256, lr=0.2, shift=0, epochs=12 if full else 3)
start = gru.build_model("mlp", 5, seed, n_features=train.features.shape[1])
recorded = table[
    (table["seed"] == 0) & (table["ratios"] == " ".join(["0.9"] * 9)) & (table["request"] == "even")
]
nine = [tuple(map(int, pair.split(","))) for pair in recorded["groups"].iloc[0].split()]
split, live = gru.forget_split(train, nine, 0.9, seed), {}
for power, weights in ((0, None), (1, gru.reweight(split))):
    model = gru.fit(start, train, indices=split.retain, weights=weights, config=config, seed=seed)
    live[power] = gru.accuracies(model, bench, split)["GA"]
in_record = recorded.set_index("power")["GA"]
print("GA here, plain and with REWEIGHT:", {power: round(value, 1) for power, value in live.items()})
print("GA in the record:", in_record.round(1).to_dict())

# %% tags=["claim"]
if full and seed == 0:
    assert max(abs(live[power] - in_record[power]) for power in live) < 5, "this run is far from the record"

# %% mystnb={"image": {"alt": "Two panels with four curves each against the share that left, from 0.05 to 0.95. All curves rise slowly up to 0.5 and steeply from 0.75 on. With plain retraining those of 3, 9 and 15 groups reach about 30 to 35 points, with REWEIGHT about 25. The curve of one group ends lower in both panels."}, "figure": {"caption": "Rise of the error of the groups that asked, against the share of each that left: mean over groups and 95% interval over sixteen seeds, for requests of 1, 3, 9 and 15 groups.", "name": "fig-many-ratio"}}
fig, axes = plots.figure(8, 3.6, columns=2, sharey=True)
looks = {1: ("o", plots.INK), 3: ("v", plots.RETRAIN), 9: ("s", plots.REWEIGHT), 15: ("D", plots.CEILING)}
for axis, (power, name) in zip(axes, ((0, "plain retraining"), (1, "with REWEIGHT"))):
    for asked, (marker, color) in looks.items():
        part = even[(even["power"] == power) & (even["asked"] == asked)]
        per_seed = part.groupby(["ratio", "seed"])["rise"].mean().unstack()
        mean, half = np.array([gru.mean_interval(row) for row in per_seed.to_numpy()]).T
        place = per_seed.index + 0.006 * (list(looks).index(asked) - 1.5)
        label = f"{asked} groups" if asked > 1 else "1 group"
        axis.errorbar(place, mean, half, marker=marker, color=color, capsize=2, label=label)
    axis.set(xlabel="share of each group that left", title=name)
axes[0].set_ylabel("rise of the error (points)")
axes[0].legend()
plots.show()


# %%
def beside(asked, ratio, power=1, first=1):
    """Rise of the first groups of the order when `asked` groups ask, a mean for each seed."""
    rows = (even["asked"] == asked) & (even["power"] == power) & (even["place"] < first)
    return even[rows & np.isclose(even["ratio"], ratio)].groupby("seed")["rise"].mean()


# %%
company = {
    f"{name}, ratio {ratio}: among 15 - among 3": beside(15, ratio, power, 3) - beside(3, ratio, power, 3)
    for power, name in ((0, "plain"), (1, "REWEIGHT"))
    for ratio in (0.5, 0.9)
}
company |= {
    f"{name}, ratio 0.9: among 15 - alone": beside(15, 0.9, power) - beside(1, 0.9, power)
    for power, name in ((0, "plain"), (1, "REWEIGHT"))
}
tests = gru.paired_tests(company)
shown = tests[["mean", "half", "smallest_holm", "verdict"]].set_axis(
    ["rise", "±", "visible from", "verdict"], axis=1
)
caption = "The same groups in more company: difference of their rise, points, 95% interval. Verdicts: Holm over six."
tables.show(shown, caption, 1, ["rise"], {"rise": "±"}, file="company")

# %% [markdown]
# **Shares (shown).** At ratio 0.9 the error of the fifteen groups rises by about 21 points with REWEIGHT. Without it the
# rise is 6.0 ± 1.9 points larger.
#
# **Company.** The curve of one group lies lowest at large shares, but it is of other groups: the first of each
# seed's order. The table compares the same groups. Only one of six differences is shown. In plain retraining at
# ratio 0.5, groups lose 2.0 ± 1.4 points *less* among fifteen than among three. With REWEIGHT at ratio 0.9 the
# difference is 2.1 ± 2.8, and one of 5.1 points would have been seen. Against a group that is alone it is 7.3 ±
# 5.7, which is undecided: we asked six questions, and {term}`Holm's correction` asks for more. A difference of 10.5 would
# have been seen.
#
# **Fewer steps aren't the reason for the rise.** After a large request a pass over $R$ has fewer optimiser steps. The
# record also has retrainings of 9 and 15 groups at ratio 0.9 with as many steps as the original had. Their rise differs by
# -0.3 ± 0.6 and 0.0 ± 0.8 points, so a change of more than a point is excluded.
#
# FairFace is the paper's data set of many groups. Its table of hyperparameters has rows for 9 and 25 groups, at
# ratio 0.5. The results of its first version have one group only, so we can't compare many groups with the paper.
# The one group goes our way: plain retraining costs it 12.5 points of {term}`GA`, and REWEIGHT gives back 10.9
# (71.2, 58.7 and 69.6).

# %% tags=["claim"]
assert (tests["verdict"] == "shown").tolist() == [True] + [False] * 5, tests
assert [round(value, 1) for value in tests.iloc[0, :2]] == [-2.0, 1.4]
long = groups[groups["request"] == "steps"].groupby(["asked", "seed"])["rise"].mean()
for asked in (9, 15):
    mean, half = gru.mean_interval(long[asked] - beside(asked, 0.9, 1, asked))
    assert abs(mean) + half < 1, f"{asked} groups: the number of steps matters, {mean} ± {half}"
at_90 = even[np.isclose(even["ratio"], 0.9) & (even["asked"] == 15)].groupby(["power", "seed"])["rise"].mean()
gru.check_claim("fifteen groups, ratio 0.9, REWEIGHT: rise beyond 18 points", at_90[1] - 18)
gru.check_claim("REWEIGHT helps fifteen groups at ratio 0.9", at_90[0] - at_90[1])
paper = gru.reported()
fairface = paper[paper["dataset"] == "fairface"].set_index("method")["GA"]
assert fairface[["Pretrain", "Retrain", "Retrain+REWEIGHT"]].tolist() == [71.2, 58.7, 69.6]

# %% [markdown]
# ## Each halving costs a group about the same number of points
#
# A group has $n_D$ images before the request and $n_R$ after it. Two laws of its error with REWEIGHT are candidates. In the
# first, the error is $a_g + b\, n^{-c}$. In the second it is $a_g - k \log n$, the limit for a small $c$. The
# original has the error of $n = n_D$, so the unknown $a_g$ drops out of the rise:
#
# $$\text{power: } b\,\big(n_R^{-c} - n_D^{-c}\big), \qquad \text{logarithm: } k \log\frac{n_D}{n_R}.$$
#
# Both can be computed before the training, from two counts. We fit them on even requests of 1 and 3 groups, by least
# squares. For a seed we use the fit of the fifteen other seeds. Then we look at all even requests, also those of 9 and
# 15 groups: does each halving cost as much as the one before?
#
# :::{predict}
# A group of 420 goes down to 210. Another one goes from 42 down to 21. Which halving costs more points?
# :::


# %%
def power_law(p, n_D, n_R):
    return p[0] * (n_R ** -p[1] - n_D ** -p[1])


def log_law(p, n_D, n_R):
    return p[0] * np.log(n_D / n_R)


def fit(law, start, rows):
    """The parameters of a law that fit the rises best."""
    n_D, n_R, rise = rows[["n_D", "n_R", "rise"]].to_numpy(float).T
    bounds = ([0, 0.001], [np.inf, 3]) if len(start) == 2 else ([0], [np.inf])
    return least_squares(lambda p: law(p, n_D, n_R) - rise, start, bounds=bounds).x


# %%
with_weights = groups[groups["power"] == 1]
is_even, is_uneven = with_weights["request"] == "even", with_weights["request"].str.startswith("uneven")
seen = with_weights[is_even & with_weights["asked"].isin([1, 3])]
seeds = sorted(table["seed"].unique())
fits = {s: fit(log_law, [8], seen[seen["seed"] != s]) for s in seeds}
b, c = fit(power_law, [100, 0.3], seen)
(k,) = fit(log_law, [8], seen)
slopes = pd.Series({s: fit(log_law, [8], seen[seen["seed"] == s])[0] for s in seeds})
held_out = {
    "9 and 15 groups": with_weights[is_even & (with_weights["asked"] > 3)],
    "uneven": with_weights[is_uneven],
}
k_mean, k_half = gru.mean_interval(slopes)
print(
    f"power law: b = {b:.0f}, c = {c:.3f}; logarithm: k = {k:.1f} points; per seed {k_mean:.1f} ± {k_half:.1f}"
)
print(f"one halving: {k_mean * np.log(2):.1f} ± {k_half * np.log(2):.1f} points")

# %% mystnb={"image": {"alt": "Three kinds of points against the factor by which a group shrank, from 1 to 20. All rise along a straight line from 0 to about 23 points. Those of 9 and 15 groups lie a little above the line at the factors 10 and 20."}, "figure": {"caption": "With REWEIGHT: rise of a group's error against the factor by which it shrank, on a logarithmic axis: mean over groups, requests and seeds. Filled: even requests of 1 and 3 groups, which the line was fitted on. Open: requests that the fit hasn't seen.", "name": "fig-many-law"}}
fig, axis = plots.figure(7, 4)
marks = (("o", plots.INK), ("s", plots.REWEIGHT), ("v", plots.RETRAIN))
for number, (name, rows) in enumerate(({"1 and 3 groups (fitted)": seen} | held_out).items()):
    marker, color = marks[number]
    rows = rows.assign(factor=(rows["n_D"] / rows["n_R"]).round(2))
    per_seed = rows.groupby(["factor", "seed"])["rise"].mean().unstack()
    mean, half = np.array([gru.mean_interval(row[~np.isnan(row)]) for row in per_seed.to_numpy()]).T
    fill = {} if number == 0 else {"mfc": "white"}
    place = per_seed.index * (1 + 0.02 * (number - 1))
    axis.errorbar(place, mean, half, ls="none", marker=marker, color=color, capsize=2, label=name, **fill)
factor = np.geomspace(1, 20, 50)
axis.plot(factor, k * np.log(factor), color=plots.INK, lw=1)
axis.set(xscale="log", xlabel="images before / images left", ylabel="rise of the error (points)")
axis.set_xticks([1, 2, 4, 10, 20], ["1", "2", "4", "10", "20"])
axis.legend()
plots.show()

# %% [markdown]
# **The fit chooses the logarithm.** It sends $c$ to 0.001, the smallest value that we allowed. In the fitted requests
# halving a group costs it 5.3 ± 0.7 points.
#
# **Halvings cost about the same.** Over all even requests the first one costs 6.1 ± 0.6 points and the last, from a tenth to
# a twentieth, 5.6 ± 0.5. A trend of 1.5 points or more between the two is excluded. But the last halving takes 21 images from a
# group of 420, and the first takes 210. So each of the last images is worth most.
#
# {doc}`12_what_can_be_proved` found $c = 0.48$ for one group of WaterDigits. That law had no $a_g$, and another
# network. The next section tries that exponent here.

# %%
factors = with_weights[is_even].assign(factor=lambda rows: (rows["n_D"] / rows["n_R"]).round(2))
at_factor = factors.groupby(["seed", "factor"])["rise"].mean().unstack().assign(**{"1": 0.0})
at_factor = at_factor.rename(columns=float)
one_halving = {
    f"from {1 / a:.0%} to {1 / z:.0%}": (at_factor[z] - at_factor[a]) / np.log2(z / a)
    for a, z in ((1, 2), (2, 4), (4, 10), (10, 20))
}
shown = pd.DataFrame(
    {name: gru.mean_interval(values) for name, values in one_halving.items()}, ["rise", "±"]
).T
caption = (
    "What one halving costs a group in even requests with REWEIGHT: rise in points, 95% interval over seeds."
)
trend = one_halving["from 10% to 5%"] - one_halving["from 100% to 50%"]
print("last halving minus first: {:+.1f} ± {:.1f} points".format(*gru.mean_interval(trend)))
tables.show(shown, caption, 1, ["rise"], {"rise": "±"}, file="halvings")

# %% tags=["claim"]
assert c < 0.01, "the fit no longer chooses the logarithm"
assert sum(map(abs, gru.mean_interval(trend))) < 1.5, "the halvings differ"
halving = slopes * np.log(2)
assert [round(value, 1) for value in gru.mean_interval(halving)] == [5.3, 0.7], gru.mean_interval(halving)
gru.check_claim("halving a group costs more than 4 points", halving - 4)

# %% [markdown]
# ## The law predicts requests that it hasn't seen
#
# The fit has seen no request of 9 or 15 groups, and no uneven one. Now it predicts each group of these requests, for seeds
# that it hasn't seen either. We compare five predictions by their mean absolute error. *No change* says that the rise is 0.
# *A constant* is the mean rise of the fitted requests. *The share that left* is $b\,(1 - n_R/n_D)$. No prediction can be
# perfect, because two trainings differ by chance. *Chance* is how far the error of a group moves that didn't ask, when one
# other group loses 5%.
#
# :::{predict}
# By how many points does a group's error move by chance, and by how many does the law miss?
# :::


# %%
def share_law(p, n_D, n_R):
    return p[0] * (1 - n_R / n_D)


def lesson_12_law(p, n_D, n_R):
    return power_law((p[0], 0.48), n_D, n_R)


def missed(rows):
    """Mean absolute error of each prediction: (predictions, seeds)."""
    found = {}
    for s, part in rows.groupby("seed"):
        of_others = seen[seen["seed"] != s]
        laws = {"logarithm": (log_law, fits[s])}
        laws["power, c = 0.48"] = (lesson_12_law, fit(lesson_12_law, [50], of_others))
        laws["share that left"] = (share_law, fit(share_law, [20], of_others))
        said = {name: law(p, part["n_D"], part["n_R"]) for name, (law, p) in laws.items()}
        said |= {"a constant": of_others["rise"].mean(), "no change": 0}
        found[s] = {name: (part["rise"] - values).abs().mean() for name, values in said.items()}
    return pd.DataFrame(found)


misses = {name: missed(rows) for name, rows in held_out.items()}
held = pd.concat(held_out.values())

# %%
nothing = table[(table["request"] == "none")].set_index("seed")
little = table[
    (table["request"] == "even") & (table["asked"] == 1) & (table["ratios"] == "0.05") & (table["power"] == 1)
]
accuracy = [name for name in table if name.startswith("acc_")]
moved = (little.set_index("seed")[accuracy] - nothing[accuracy]).abs()
for s, run in little.set_index("seed").iterrows():  # without the group that asked
    moved.loc[s, "acc_" + run["groups"].replace(",", "_")] = np.nan
chance = moved.mean(axis=1)
cells = {}
for name, found in misses.items():
    for prediction, values in found.iterrows():
        cells.setdefault(prediction, {})[name], cells[prediction][f"{name} ±"] = gru.mean_interval(values)
mean, half = gru.mean_interval(chance)
cells["chance (groups that didn't ask)"] = {"9 and 15 groups": mean, "9 and 15 groups ±": half}
scored = pd.DataFrame(cells).T
caption = "Requests that no fit has seen: mean absolute error of the predicted rise, points, mean and 95% interval over seeds."
tables.show(scored, caption, 1, (), {name: f"{name} ±" for name in misses}, file="predictions")

# %%
asked_for = {
    f"{name}: {other} - logarithm": found.loc[other] - found.loc["logarithm"]
    for name, found in misses.items()
    for other in ("power, c = 0.48", "share that left", "a constant", "no change")
}
versus = gru.paired_tests(asked_for)
shown = versus[["mean", "half", "smallest_holm", "verdict"]].set_axis(
    ["worse by", "±", "visible from", "verdict"], axis=1
)
bias = {
    name: rows.assign(
        off=rows["rise"] - [log_law(fits[s], n, m) for s, n, m in zip(rows["seed"], rows["n_D"], rows["n_R"])]
    )
    .groupby("seed")["off"]
    .mean()
    for name, rows in held_out.items()
}
of_seed = held["seed"].map(lambda s: fits[s][0])
off_by = (held["rise"] - of_seed * np.log(held["n_D"] / held["n_R"])).abs()
print("mean miss at each ratio:", off_by.groupby(held["ratio"]).mean().round(1).to_dict())
for name, values in bias.items():
    print("{}: rise minus prediction {:+.1f} ± {:.1f} points".format(name, *gru.mean_interval(values)))
caption = "How much worse than the logarithm, points of mean absolute error, 95% interval. Verdicts: Holm over eight."
tables.show(shown, caption, 1, ["worse by"], {"worse by": "±"}, file="versus")

# %% [markdown]
# **Shown: the counts predict.** The logarithm misses a group of 9 or 15 by 5.3 ± 0.4 points, and one of an uneven
# request by 6.6 ± 0.6. It beats a constant by 3.7 and 2.6 points, and *no change* by 5.3 and 4.4. It beats the
# share that left by 0.3 points only, so these misses alone would hardly tell the two apart. The exponent 0.48 of lesson 12
# is worse by 1.2 and 1.1 points.
#
# **It predicts means better than groups.** The miss grows with the ratio: it is 3.9 points at ratio 0.5 and 12.2 at 0.95.
# Chance moves a group that didn't ask by 2.1 ± 0.3 points. A group with few images left may move by more. So we can't say
# how much of the miss is chance.
#
# **It is a little low for many groups**, by 1.5 ± 0.7 points for 9 and 15 groups, and by 1.1 ± 0.9 for uneven requests.

# %% tags=["claim"]
for name in misses:
    for other in ("power, c = 0.48", "share that left", "a constant", "no change"):
        gru.check_claim(f"{name}: {other} is worse", asked_for[f"{name}: {other} - logarithm"])
    gru.check_claim(f"{name}: more than chance", misses[name].loc["logarithm"] - chance)
    gru.check_claim(f"{name}: the rise is above the prediction", bias[name])
assert scored.loc["logarithm", ["9 and 15 groups", "uneven"]].round(1).tolist() == [5.3, 6.6]
assert off_by.groupby(held["ratio"]).mean()[[0.5, 0.95]].round(1).tolist() == [3.9, 12.2]

# %% [markdown]
# ## Larger groups fall further, and that was found by looking
#
# The points of the figure hide the two sizes. In the first ten seeds the groups of 420 lie above the line, and those of 120
# below it. The law was not made for that, so the finding needs seeds that nobody had looked at. We then ran six more, 10 to
# 15. A slope for each size is fitted on seeds 0 to 9, on even requests of 1 and 3 groups as before.


# %%
def slope(rows):
    return fit(log_law, [8], rows)[0]


first_ten = seen[seen["seed"] < 10]
of_size = {n: first_ten[first_ten["n_D"] == n] for n in (120, 420)}
two_slopes = {n: slope(rows) for n, rows in of_size.items()}
later = with_weights[(with_weights["seed"] >= 10) & (is_even | is_uneven)]
by_size = {n: later[later["n_D"] == n].groupby("seed").apply(slope) for n in (120, 420)}
unseen = later[(later["asked"] > 3) | later["request"].str.startswith("uneven")]
factor = np.log(unseen["n_D"] / unseen["n_R"])
laws = {"one slope": slope(first_ten) * factor, "two slopes": unseen["n_D"].map(two_slopes) * factor}
off = {name: (unseen["rise"] - said).abs().groupby(unseen["seed"]).mean() for name, said in laws.items()}
steeper, better = by_size[420] - by_size[120], off["one slope"] - off["two slopes"]
print("fitted on ten seeds: slope {:.1f} for groups of 120, {:.1f} for 420".format(*two_slopes.values()))
for name, values in {
    "slope of 120": by_size[120], "slope of 420": by_size[420], "420 steeper by": steeper,
    "one slope misses by": off["one slope"], "two slopes miss by": off["two slopes"], "gain": better,
}.items():  # fmt: skip
    print("six fresh seeds, {}: {:.1f} ± {:.1f} points".format(name, *gru.mean_interval(values)))

# %% [markdown]
# **Shown: larger groups fall further.** On the six fresh seeds the slope is 10.4 ± 1.1 points for groups of 420 and
# 6.8 ± 1.0 for groups of 120, so 3.7 ± 1.7 more. A group of 420 begins with fewer errors, so it has more to lose.
# We haven't tested whether that is the reason.
#
# **Undecided: whether two slopes predict better.** Fitted on ten seeds they are 12.6 and 6.7, and on fresh seeds
# they miss by as much as one slope (a gain of 0.0 ± 0.5 points). Few of the fitted groups have 420 images, so their
# slope is badly known. We keep one slope.

# %% tags=["claim"]
gru.check_claim("fresh seeds: groups of 420 fall further", steeper)
mean, half = gru.mean_interval(better)
assert abs(mean) < half, "whether two slopes predict better is decided"

# %% [markdown]
# ## REWEIGHT never gives back all, and costs a point where hardly any left
#
# REWEIGHT's *gain* for a group is the rise under plain retraining minus the rise with REWEIGHT. Where is it largest? Few
# images with a large weight can only teach what is in them. Many images hardly need a weight.
#
# :::{predict}
# A group of 420 keeps 21 images, a group of 120 keeps 6. The weight is 20 for both. Which one gets more back?
# :::

# %% mystnb={"image": {"alt": "Two curves against the number of images left. For groups of 420 the gain is about 10 points at 21 and 42 images and falls to a little below zero at 399. For groups of 120 it is about 4 points at 6 images and falls to one point below zero at 114."}, "figure": {"caption": "What REWEIGHT gives back of a group's accuracy, against the number of its images that are left: mean and 95% interval over sixteen seeds, even and uneven requests of 1 to 15 groups.", "name": "fig-many-gain"}}
pairs = groups[groups["request"].isin(["even", "uneven a", "uneven b"])]
key = ["request", "asked", "seed", "place", "n_D", "n_R"]
both = pairs.pivot_table(index=key, columns="power", values="rise").reset_index()
both["gain"] = both[0] - both[1]
gains = both.groupby(["n_D", "n_R", "seed"])[["gain", 0]].mean()
fig, axis = plots.figure(7, 3.8)
for n_D, marker, color in ((120, "o", plots.RETRAIN), (420, "s", plots.REWEIGHT)):
    per_seed = gains.loc[n_D]["gain"].unstack()
    mean, half = np.array([gru.mean_interval(row[~np.isnan(row)]) for row in per_seed.to_numpy()]).T
    axis.errorbar(per_seed.index, mean, half, marker=marker, color=color, capsize=2, label=f"groups of {n_D}")
axis.axhline(0, color=plots.INK, lw=1, ls="--")
axis.set(xscale="log", xlabel="images of the group that are left", ylabel="gain of REWEIGHT (points)")
axis.set_xticks([6, 12, 30, 60, 120, 210, 420], [6, 12, 30, 60, 120, 210, 420])
axis.legend()
plots.show()

# %%
rows = {}
for (n_D, n_R), part in gains.groupby(level=["n_D", "n_R"]):
    mean, half = gru.mean_interval(part["gain"])
    rows[f"{n_R} of {n_D}"] = {"weight": n_D / n_R, "plain rise": part[0].mean(), "gain": mean, "±": half}
broken = pd.DataFrame(rows).T
caption = "Plain retraining's rise and REWEIGHT's gain, points, 95% interval over sixteen seeds."
tables.show(broken, caption, {"weight": 2}, ["gain"], {"gain": "±"}, file="gains")

# %% [markdown]
# - **More for the larger group.** At the same weight of 20, the 21 images of a group of 420 give back 10.2 ± 1.4
#   points, and the 6 images of a group of 120 give back 3.8 ± 1.1. So neither the weight alone nor the share
#   decides the gain.
# - **A falling part of the loss.** At 105 of 420 REWEIGHT gives back 33% of the rise, at 21 of 420 it is 23%. In
#   groups of 120 the part falls from 21% at 30 images to 15% at 6.
# - **A cost at the other end.** If 5% of a group of 120 leave, REWEIGHT makes the group's error 1.0 ± 0.3 points
#   *larger*. The reason is the drawing with replacement: each pass misses more than a third of the images.
#   Top-up sampling misses none ({doc}`03_exact_unlearning_by_reweighting`). With it such groups, fifteen at once, have
#   1.2 ± 0.4 points less error than with replacement, and 0.3 ± 0.2 less than in plain retraining.

# %% tags=["claim"]
gain = {key: part["gain"] for key, part in gains.groupby(level=["n_D", "n_R"])}
gain = {key: values.droplevel([0, 1]) for key, values in gain.items()}
for few in ((120, 6), (120, 12), (120, 30), (120, 60), (420, 21), (420, 42), (420, 105), (420, 210)):
    gru.check_claim(f"{few[1]} of {few[0]} left: REWEIGHT gives back", gain[few])
for many in ((120, 114), (120, 108), (420, 399)):
    gru.check_claim(f"{many[1]} of {many[0]} left: REWEIGHT costs", -gain[many])
small = groups[(groups["asked"] == 15) & (groups["n_D"] == 120) & (groups["n_R"] == 114)]
small = small.groupby(["request", "power", "seed"])["rise"].mean()
topped_up = small["top up", 1]
for reference, less in (("replacement", small["even", 1]), ("plain", small["even", 0])):
    gru.check_claim(f"5% left: top-up has less error than {reference}", less - topped_up)
gru.check_claim("weight 20: the larger group gets more back", gain[420, 21] - gain[120, 6])
part = (broken["gain"] / broken["plain rise"])[["105 of 420", "21 of 420", "30 of 120", "6 of 120"]]
assert (100 * part).round().tolist() == [33, 23, 21, 15], part

# %% [markdown]
# Is the weight too small, then? The record also has weights $(n_D/n_R)^p$ with $p = 0.5$ and $1.5$, at ratio 0.9.

# %%
at = groups[
    np.isclose(groups["ratio"], 0.9)
    & groups["request"].isin(["even", "weights"])
    & groups["asked"].isin([1, 9])
]
by_power = at.groupby(["asked", "power", "seed"])["rise"].mean()
total = table[table["request"].isin(["even", "weights"]) & (table["ratios"].str.split().str[0] == "0.9")]
ta = total.groupby(["asked", "power", "seed"])["TA"].mean()
ess = total.assign(share=100 * total["ess"] / total["retained"]).groupby(["asked", "power"])["share"].mean()
rows = {}
for asked in (1, 9):
    for power in (0.5, 1, 1.5):
        cells = {"ESS (% of R)": ess[asked, power]}
        cells["rise"], cells["rise ±"] = gru.mean_interval(by_power[asked, power] - by_power[asked, 0])
        cells["TA"], cells["TA ±"] = gru.mean_interval(ta[asked, power] - ta[asked, 0])
        rows[f"{asked} group{'s' * (asked > 1)}, p = {power:g}"] = cells
stronger = pd.DataFrame(rows).T
caption = "Ratio 0.9, minus plain retraining: rise of the groups that asked and test accuracy (TA), points, 95% interval."
tables.show(stronger, caption, 1, ["rise", "TA"], {"rise": "rise ±", "TA": "TA ±"}, file="powers")

# %% [markdown]
# With nine groups, $p = 1.5$ lowers the rise by 6.5 ± 2.0 points and REWEIGHT by 4.9 ± 1.2. The difference is 1.5 ± 1.1. But
# everyone pays: TA falls by 3.0 ± 1.2 points below plain retraining's, and the effective sample size is 15.6% of $R$. With
# REWEIGHT TA changes by -0.6 ± 0.8, which is undecided. So more weight than REWEIGHT's isn't free.

# %% tags=["claim"]
gru.check_claim("nine groups, p = 1.5: everyone pays", ta[9, 0] - ta[9, 1.5])
gru.check_claim("nine groups: p = 1.5 costs more TA than REWEIGHT", ta[9, 1] - ta[9, 1.5])
gru.check_claim("nine groups: REWEIGHT helps", by_power[9, 0] - by_power[9, 1])
mean, half = gru.mean_interval(ta[9, 1] - ta[9, 0])
assert abs(mean) < half, "REWEIGHT's TA with nine groups is decided"

# %% [markdown]
# ## A group that leaves as a whole can't be predicted, and isn't at zero
#
# At $n_R = 0$ there is no weight, and the law says infinity. The package refuses, and names the group. With
# `missing_group="renormalise"` the other groups share its weight.

# %%
try:
    gru.reweight(gru.forget_split(train, [(0, 0)], 1, seed))
except gru.InputError as refused:
    print(refused)

# %%
whole = groups[groups["request"] == "whole"]
rows = {}
for asked in (1, 3):
    of = {
        p: whole[(whole["asked"] == asked) & (whole["power"] == p)].groupby("seed")["error"].mean()
        for p in (0, 1)
    }
    last = even[(even["asked"] == asked) & (even["power"] == 1) & np.isclose(even["ratio"], 0.95)]
    few = last.groupby("seed")["error"].mean()
    for name, values in {"plain": of[0], "renormalised": of[1], "5% left, REWEIGHT": few}.items():
        row = rows.setdefault(f"{asked} group{'s' * (asked > 1)}, {name}", {})
        row["error"], row["±"] = gru.mean_interval(values)
gone = pd.DataFrame(rows).T
tables.show(
    gone,
    "Test error of groups that left as a whole, percent, 95% interval.",
    1,
    (),
    {"error": "±"},
    file="whole",
)

# %% [markdown]
# The error is 63% for one group and 69% for three, where guessing would be wrong in 80%. So the digits in other inks teach
# something. Reweighting the other groups changes the error of three whole groups by 0.0 ± 0.9 points, so an effect of a
# point or more is excluded. Keeping 5% instead of nothing lowers their error by 5.9 ± 1.6. So the first few images count.

# %% tags=["claim"]
of = {p: whole[(whole["asked"] == 3) & (whole["power"] == p)].groupby("seed")["error"].mean() for p in (0, 1)}
gru.check_claim("three whole groups: better than guessing", 80 - of[1])
gru.check_claim("three groups: 5% left are better than none", of[1] - few)
mean, half = gru.mean_interval(of[1] - of[0])
assert abs(mean) + half < 1, "renormalising changes whole groups"

# %% [markdown]
# ## With few steps REWEIGHT takes methods further from the reference
#
# What do the methods of lessons 6 and 7 do with nine groups? The request takes half or 90% of each group of the first three
# targets in the first three inks. All methods have 150 optimiser steps, and a retraining has 570 to 870. `gru-lite tune` gave
# each row 8 trials or more on two other seeds, for nine groups at ratio 0.9. The other requests have the same values, which
# were not chosen for them. So a bad row there can be the fault of the values.
#
# We say that a method *breaks* the groups that asked if their {term}`GA` is shown to be more than 5 points away from the
# {term}`reference`'s, on either side. It doesn't break them if that is excluded. The reference is retraining with REWEIGHT.
#
# :::{predict}
# Will the methods come nearer to the reference with REWEIGHT or without?
# :::

# %%
sizes = {"1 group": 1, "9 groups": 9}
records = {name: gru.read_record(f"inkdigits_methods_{n}")[0] for name, n in sizes.items()}
conditions = {f"{name}, {r}": (of, r) for name, of in records.items() for r in sorted(of["ratio"].unique())}
reference, ceiling, nothing = ("retrain", "replacement"), ("ceiling", "replacement"), ("original", "none")
approximate = ("finetune", "eu_k", "l1_sparse", "salun", "scrub", "miu")
order = [nothing, ("retrain", "none"), ("gradient_ascent", "none")]
order += [(method, sampling) for method in approximate for sampling in ("none", "replacement")]
halves = {condition: f"{condition} ±" for condition in conditions}


def minus(key, other, score, condition):
    """Differences of a score between two rows of a record, paired by seed."""
    of, ratio = conditions[condition]
    first, second = (gru.select(of, method, ratio, sampling)[score] for method, sampling in (key, other))
    return (first - second).dropna()


# %%
rows = {}
for key in order:
    row = rows.setdefault(labels.label(*key), {})
    for condition in conditions:
        row[condition], row[f"{condition} ±"] = gru.mean_interval(minus(key, ceiling, "avg_gap", condition))
below = pd.DataFrame(rows).T
caption = (
    "Avg. Gap minus the ceiling's: points, mean and 95% interval over twelve seeds. Nearer to 0 is better."
)
tables.show(below, caption, 1, list(conditions), halves, file="methods", one_scale=True)

# %% mystnb={"image": {"alt": "Two panels with a row for each method. For one group SalUn lies about 20 points below zero at both ratios, and gradient ascent and SCRUB lie about 5 or less above zero at ratio 0.5 and 17 to 24 above at 0.9. Fine-tuning, EU-k and L1-sparse lie near zero. For nine groups gradient ascent lies 5 points below zero at 0.5 and 14 at 0.9, SalUn 9 and 5 below, and fine-tuning and L1-sparse at zero. Open points of fine-tuning lie to the right of the filled ones."}, "figure": {"caption": "GA of the groups that asked minus the reference's, at two ratios: mean and 95% interval over twelve seeds. Filled: without REWEIGHT. Open: with it. Between the dashed lines the method is within 5 points.", "name": "fig-many-methods"}}
fig, axes = plots.figure(8, 5.5, columns=2, sharey=True)
for axis, name in zip(axes, records):
    for ratio, color, up in (("0.5", plots.RETRAIN, 0.2), ("0.9", plots.REWEIGHT, 0)):
        for sampling, fill, shift in (("none", color, 0), ("replacement", "white", -0.1)):
            keys = [key for key in order[1:] if key[1] == sampling]
            ga = [gru.mean_interval(minus(key, reference, "GA", f"{name}, {ratio}")) for key in keys]
            mean, half = np.array(ga).T
            place = [up + shift - ("retrain", "gradient_ascent", *approximate).index(key[0]) for key in keys]
            look = {"marker": "o" if ratio == "0.5" else "s", "color": color, "mfc": fill, "ls": "none"}
            label = f"ratio {ratio}" + (", REWEIGHT" if shift else "")
            axis.errorbar(mean, place, xerr=half, capsize=2, label=label, **look)
    for limit in (-5, 5):
        axis.axvline(limit, color=plots.INK, lw=1, ls="--")
    axis.set(title=name, xlabel="GA minus the reference's (points)")
names = [labels.name_of(method) for method in ("retrain", "gradient_ascent", *approximate)]
axes[0].set_yticks([-row for row in range(len(names))], names)
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
plots.show()


# %%
def says(values, level):
    """Whether a method breaks the groups: is the distance shown to be above 5 points, or excluded?"""
    mean, half = gru.mean_interval(values, level)
    if abs(mean) - half > 5:
        return "breaks"
    return "no" if abs(mean) + half < 5 else "undecided"


# %%
keys = [key for key in order if key[0] in ("gradient_ascent", *approximate)]
level = 1 - 0.05 / (len(keys) * len(conditions))  # Bonferroni: all verdicts together
verdicts = pd.DataFrame(
    {c: {labels.label(*key): says(minus(key, reference, "GA", c), level) for key in keys} for c in conditions}
)
tables.show(
    verdicts, f"Does the method break the groups? Bonferroni over {verdicts.size} verdicts.", file="breaks"
)

# %%
extra = {
    (method, condition): minus((method, "replacement"), (method, "none"), "avg_gap", condition)
    for method in approximate
    for condition in conditions
}
paired = gru.paired_tests(extra)
rows = {}
for (method, condition), test in paired.iterrows():
    row = rows.setdefault(labels.name_of(method), {})
    row[condition], row[f"{condition} ±"] = test["mean"], test["half"]
is_shown = paired["verdict"] == "shown"
print(f"Holm over {len(paired)}. Shown to lose:", *paired.index[is_shown & (paired["mean"] < 0)])
print("Shown to gain:", *paired.index[is_shown & (paired["mean"] > 0)])
print("Undecided:", *paired.index[~is_shown])
print(
    f"seen from {paired['smallest_holm'][~is_shown].min():.1f} to {paired['smallest_holm'][~is_shown].max():.1f}"
)
for condition in conditions:
    room = gru.mean_interval(minus(ceiling, nothing, "avg_gap", condition))
    print("{}: the ceiling is {:.1f} ± {:.1f} points above doing nothing".format(condition, *room))
caption = "Avg. Gap with REWEIGHT minus without: points, 95% interval."
tables.show(
    pd.DataFrame(rows).T, caption, 1, list(conditions), halves, file="with_and_without", one_scale=True
)

# %% [markdown]
# **The benchmark can tell methods apart.** The {term}`ceiling` is 8.3 ± 0.7 and 18.0 ± 1.4 points of {term}`Avg. Gap`
# above doing nothing for one group, at ratios 0.5 and 0.9. For nine groups it is 10.6 ± 0.7 and 22.5 ± 0.4.
#
# **Where each breaks, without REWEIGHT.**
#
# - Gradient ascent, at 0.9: one group ends 17 points too high, and nine end 14 too low. At 0.5 it is undecided.
# - SalUn, at 0.5: by 19 points for one group and by 9 for nine. At 0.9 it breaks one group by 19. Nine are undecided.
# - SCRUB, at 0.9 with one group only: by 24 points. For nine groups at 0.9 it is excluded. At 0.5 it is undecided.
# - MIU: excluded at 0.5. Undecided at 0.9, where it ends 8 and 6 points too high.
# - EU-k: excluded for nine groups at 0.5, else undecided. At 0.9 it ends nine groups 6 points too low.
# - Fine-tuning and L1-sparse: excluded for nine groups at both ratios, undecided for one.
#
# Fine-tuning and L1-sparse also come nearest in Avg. Gap. Still they end 2 to 3 points below the ceiling.
#
# **REWEIGHT often costs, and is never shown to help.** Of 24 differences 14 are shown, and in all of them the method is
# further from the reference with REWEIGHT. At ratio 0.9 fine-tuning loses 4.9 ± 1.1 points of Avg. Gap for one group and
# 3.6 ± 0.4 for nine. Ten are undecided. Depending on the row, a difference of 0.6 to 4.3 points would have been seen.
#
# **The number of steps decides.** A method begins with the original, which knows the groups well. If 150 steps forget only a
# part of that, REWEIGHT will help once there are more. So we gave fine-tuning more, for nine groups at 0.9, at the same
# learning rate (`results/inkdigits_steps.csv`, the same twelve seeds):

# %%
longer, _ = gru.read_record("inkdigits_steps")
rows, gained = {}, {}
for n, part in longer.groupby("steps"):
    of = {how: gru.select(part, "finetune", "0.9", how) for how in ("none", "replacement")}
    target = gru.select(part, reference[0], "0.9", reference[1])["GA"]
    row = rows[f"{n:,} steps"] = {}
    for name, how in (("GA, plain", "none"), ("GA, REWEIGHT", "replacement")):
        row[name], row[f"{name} ±"] = gru.mean_interval(of[how]["GA"] - target)
    gained[n] = of["replacement"]["avg_gap"] - of["none"]["avg_gap"]
    row["gain"], row["gain ±"] = gru.mean_interval(gained[n])
steps_table = pd.DataFrame(rows).T
caption = "Fine-tuning of nine groups at 0.9: GA minus the reference's, and what REWEIGHT gains in Avg. Gap, points, 95% "
caption += "interval over twelve seeds."
bounds = {name: f"{name} ±" for name in ("GA, plain", "GA, REWEIGHT", "gain")}
tables.show(steps_table, caption, 1, list(bounds), bounds, file="steps")

# %% [markdown]
# With 600 steps, where a retraining has 570, REWEIGHT *gains* 2.7 ± 0.6 points, and with 2,400 it gains 4.6 ± 0.4. The GA of
# plain fine-tuning sinks towards that of plain retraining, which lies 10.3 ± 1.0 below the reference's. With REWEIGHT it
# sinks from 9.0 above the reference's to 0.1 ± 0.8. So at 150 steps the plain GA is on its way down, and it happens to pass
# the reference's just there. The weights aim at where the model ends, and a short method doesn't get there.
#
# This is one method, one request and one learning rate, which was chosen for 150 steps.

# %% tags=["claim"]
for name in sizes:
    for ratio, least in (("0.5", 6), ("0.9", 14)):
        gap = minus(ceiling, nothing, "avg_gap", f"{name}, {ratio}")
        gru.check_claim(f"{name}, {ratio}: ceiling and doing nothing are {least} points apart", gap - least)
        for method in ("finetune", "l1_sparse"):
            gap = minus(ceiling, (method, "none"), "avg_gap", f"{name}, {ratio}")
            gru.check_claim(f"{method}, {name}, {ratio}: below the ceiling", gap)
    gru.check_claim(f"{name}, 0.9: REWEIGHT takes fine-tuning away", -extra["finetune", f"{name}, 0.9"])
assert is_shown.sum() == 14 and (paired["mean"][is_shown] < 0).all(), paired
gru.check_claim("150 steps: REWEIGHT takes fine-tuning away", -gained[150])
for n in (600, 2400):
    gru.check_claim(f"{n} steps: REWEIGHT brings fine-tuning nearer", gained[n])
assert steps_table.round(1).to_numpy().tolist() == [
    [-0.0, 0.8, 9.0, 0.6, -3.6, 0.4],
    [-4.8, 0.9, 3.2, 0.9, 2.7, 0.6],
    [-8.2, 0.6, 0.1, 0.8, 4.6, 0.4],
], steps_table
below = minus(("retrain", "none"), reference, "GA", "9 groups, 0.9")
assert np.round(gru.mean_interval(below), 1).tolist() == [-10.3, 1.0]
assert verdicts.loc[[name for name in verdicts.index if "REWEIGHT" not in name]].to_numpy().tolist() == [
    ["undecided", "breaks", "undecided", "breaks"],  # gradient ascent
    ["undecided", "undecided", "no", "no"],  # fine-tune
    ["undecided", "undecided", "no", "undecided"],  # EU-k
    ["undecided", "undecided", "no", "no"],  # L1-sparse
    ["breaks", "breaks", "breaks", "undecided"],  # SalUn
    ["undecided", "breaks", "undecided", "no"],  # SCRUB
    ["no", "undecided", "no", "undecided"],  # MIU
], verdicts

# %% [markdown]
# ## The rule: decide what a group may lose, and keep that share of it
#
# Turn the law around. A group with $n_D$ images that may lose $\delta$ points has to keep
#
# $$N = n_D\, e^{-\delta / k}.$$
#
# With $k = 7.6$, a loss of 5 points needs 52% of the group: 62 of 120, or 218 of 420. If a request leaves fewer than $N$,
# tell the group before you train, and collect images first. Is the promise kept on requests that no fit has seen?

# %%
rows = {}
for factor, kept in {2: "a half", 4: "a quarter", 10: "a tenth", 20: "a twentieth"}.items():
    part = held[np.isclose(held["n_D"] / held["n_R"], factor)]
    cells = rows.setdefault(f"keeps {kept}", {"promised": k * np.log(factor)})
    for n in (120, 420):
        of_seeds = part[part["n_D"] == n].groupby("seed")["rise"].mean()
        cells[f"groups of {n}"], cells[f"± {n}"] = gru.mean_interval(of_seeds)
    cells["single groups above twice the promise (%)"] = 100 * (part["rise"] > 2 * cells["promised"]).mean()
rule = pd.DataFrame(rows).T
k_large, k_large_half = gru.mean_interval(by_size[420])
for name, value in {"one slope": k, "slope of 420": k_large}.items():
    print(f"{name}: a loss of 5 points needs {np.exp(-5 / value):.0%} of the group")
caption = (
    "Held-out requests with REWEIGHT: promised and found rise in points, mean and 95% interval over seeds."
)
tables.show(rule, caption, 1, (), {f"groups of {n}": f"± {n}" for n in (120, 420)}, file="rule")

# %% [markdown]
# **For small groups the promise is about right, for large ones too low.** Groups of 120 that keep a half rise by 5.8 ± 0.9
# points, where 5.3 are promised. Groups of 420 rise by 7.1 ± 0.7, and by 24.9 ± 2.2 if they keep a tenth (17.6 promised).
# So take the slope of the size that falls furthest. With 10.4 for groups of 420, a loss of 5 points needs 62% of the group.
#
# **The promise is about means.** Of the single groups that keep a half, 14% rise by more than twice the promise.

# %% tags=["claim"]
gru.check_claim(
    "groups of 420 that keep a half rise above the promise",
    held[(held["n_D"] == 420) & (held["n_R"] == 210)].groupby("seed")["rise"].mean() - k * np.log(2),
)
assert rule["groups of 120"].round(1).iloc[0] == 5.8 and rule["groups of 420"].round(1).tolist()[::2] == [
    7.1,
    24.9,
]
assert rule.iloc[0, -1].round() == 14, rule
assert round(k, 1) == 7.6 and round(100 * np.exp(-5 / k)) == 52 and round(100 * np.exp(-5 / k_large)) == 62

# %% [markdown]
# ## Summary
#
# - **Predict before you train.** With REWEIGHT the error of a group rises by about $7.6 \log(n_D / n_R)$ points on
#   InkDigits, 5.3 for each halving. The law misses single held-out groups by 5 to 7 points, and by 12 at ratio 0.95.
# - **The law of few groups is a little low for many**, by 1.5 points for 9 and 15 groups. Larger groups fall further.
# - **REWEIGHT has two ends.** It gives back 10 points of 44 at 21 images of 420, and 4 of 25 at 6 of 120. Where 5%
#   leave, it costs a group of 120 a point.
# - **The rule.** Decide what a group may lose, and keep $N = n_D e^{-\delta/k}$. Measure $k$ on your own data, and take
#   that of the size that falls furthest.
# - **Methods.** With 150 steps, fine-tuning is 2 to 3 points below the ceiling. REWEIGHT takes 14 of 24 rows further from
#   the reference, and none is shown to come nearer. With as many steps as a retraining it brings fine-tuning nearer.
#
# The limits of this lesson: one benchmark, a small model, two sizes of groups, and groups in which the request is
# drawn at random.
#
# Remember from {numref}`fig-many-law`: each halving costs about the same.
#
# ## Questions
#
# :::{quiz}
# The law says that a group which shrinks from 400 to 200 images rises by 5.5 points. What does it say for 100 to 50?
#
# - [x] 5.5 points
#
#   Only the factor counts, and both are halved.
#
# - [ ] A quarter of that, as 50 images leave instead of 200
#
#   The law knows no numbers of images that leave. An image counts more where few are left.
#
# - [ ] More, as 50 images are few
#
#   The *error* of 50 images is higher. The rise from 100 is the same in this law. (Our groups of 420 even rose more.)
# :::
#
# :::{quiz}
# Why were the two slopes tested on seeds 10 to 15?
#
# - [ ] Six more seeds make the intervals narrower.
#
#   They would do so in the first ten, too. But a pattern that was found by looking isn't tested by the seeds that showed it.
#
# - [x] The difference was found by looking at seeds 0 to 9.
#
#   Of many patterns that one may see in ten seeds, some are chance. Fresh seeds tell.
#
# - [ ] The requests of 9 and 15 groups weren't in the fit.
#
#   They are held-out requests in all seeds. The question is about seeds.
# :::
#
# :::{quiz}
# You hold the law and the counts of a request. Which of these can you not predict with it?
#
# - [ ] The mean rise of fifteen groups that lose half of their images
#
#   That is what it predicts best: the errors of single groups average out.
#
# - [x] The error of a group that leaves as a whole
#
#   At $n_R = 0$ the logarithm is infinite. The package refuses such weights, too.
#
# - [ ] Which of two groups will rise more, one that keeps a half or one that keeps a tenth
#
#   The factors are 2 and 10, so the law names the second.
# :::
#
# ## Exercises
#
# :::{exercise} Keep at least
# :label: ex-keep-at-least
# A group of 300 may lose 8 points at most. How many images must it keep, by the law with one slope? How many with the
# slopes that single seeds give?
# :::
#
# :::{clue}
# `slopes` has the slope of each seed.
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
at_least = np.ceil(300 * np.exp(-8 / k))
of_seeds = np.ceil(300 * np.exp(-8 / slopes))
print(f"{at_least:.0f} of 300; single seeds say {of_seeds.min():.0f} to {of_seeds.max():.0f}")
assert of_seeds.min() < at_least < of_seeds.max()

# %% [markdown]
# A single seed can't fix $N$ well: its fit has three groups only. Take the larger numbers if a promise depends on it.
#
# :::{answer-end}
# :::
#
# :::{exercise} One group or three
# :label: ex-one-or-three
# 378 images leave. Either all leave one group of 420, or 126 leave each of three groups of 420. Compare the sum of the rises
# by the law. Which request harms the test accuracy of everyone more, if all groups are equally large in test?
# :::
#
# :::{clue}
# The rise is $k \log(n_D / n_R)$ for each group.
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
alone, spread = k * np.log(420 / 42), 3 * k * np.log(420 / 294)
print(f"one group: {alone:.1f} points; three groups: {spread:.1f} points together")
assert spread < 0.5 * alone

# %% [markdown]
# By the law the one group loses more than the three together, so the request of one group harms test accuracy more. The
# logarithm grows fastest where few images are left. {doc}`02_group_imbalance` found that in training: 162 removals do harm
# if they leave 18 of a group.
#
# :::{answer-end}
# :::
#
# ## Next
#
# With your own data, fit $k$ on a few retrainings of small requests, before the large request comes. `gru-lite plan`
# says what they cost ({doc}`13_what_it_costs`).
#
# {doc}`16_an_audit` asks whether one can trust an attack that finds nothing.
