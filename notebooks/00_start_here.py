# %% [markdown]
# # Start here: when one group asks to be forgotten
#
# **Result.** 90% of a small group asks to be forgotten, and the model is trained again without them. On new images of
# the group it is then right 53 points less often (mean of twenty seeds). REWEIGHT, which draws the few that are left more
# often, gives 23 of these points back.
#
# **Question.** A model is trained on everyone's data. Then people ask to be forgotten, and most of them belong to one
# group. We do the cleanest thing there is: throw their data away and train again. Who pays for that?
#
# **After this lesson you can**
#
# - say what a *group* and a *forget request* are, and make one with `gru_lite`;
# - show in one figure what retraining does to the group that asked;
# - show with a swap of backgrounds what the model reads;
# - show how much of the harm a change of sampling, REWEIGHT, gives back.
#
# **You need** Python, and to have trained a classifier in PyTorch before. There is nothing to download.

# %% tags=["parameters"]
profile = "full"  # or "smoke": few images, one epoch; numbers mean nothing
seed = 0

# %%
from dataclasses import replace

import numpy as np
import pandas as pd

import gru_lite as gru
from gru_lite import plots, tables
from gru_lite.data.waterdigits import drawn_again

config = gru.TrainConfig(epochs=15 if profile == "full" else 1)

# %% [markdown]
# ## The model is asked about the digit, and could answer by the background
#
# WaterDigits draws scikit-learn's scanned digits on two backgrounds, *land* (0) and *water* (1). The model is asked
# one thing: **does the digit have a hole** (1: it is a 0, 6, 8 or 9) **or not** (0)? (It goes by the digit alone, so
# a 4 that is written with a closed loop counts as *no hole*.) That is the *target* $y$. The background is the
# *sensitive attribute* $s$, and has nothing to do with the answer. A pair $(y, s)$ is a *group*. So there are four
# groups, and $(1, 0)$ is *hole on land*. Think of each image as one person.

# %%
bench = gru.load("waterdigits" if profile == "full" else "waterdigits_small", seed=seed)

# %% mystnb={"image": {"alt": "Four rows of small images of handwritten digits, one row for each group. Digits without a hole on land and digits with a hole on water have many training images; the two other combinations have 180 each."}, "figure": {"caption": "Twelve training images of each group. Two groups are common, and two are rare.", "name": "fig-groups"}}
plots.example_grid(bench.train, seed=seed)
plots.show()

# %% [markdown]
# In training, most digits with a hole are on water, and most others are on land. A lazy model could read the background
# alone. It would be right for more than nine training images in ten, and wrong for exactly the two rare groups. Validation
# and test have equally many images of each group, so there a lazy model is caught. Their images are drawn from other scans
# than those of training.

# %% [markdown]
# ## 162 of 180 images of one rare group are to be forgotten
#
# Now 90% of the images of *hole on land* are to be forgotten. What is removed from the training data $D$ is the *forget
# set* $F$. What stays is the *retain set* $R$.

# %%
split = gru.forget_split(bench.train, groups=[(1, 0)], ratio=0.9, seed=seed)
counts = {"in training, D": split.n_train, "retained, R": split.n_retain}
tables.show(
    pd.DataFrame(counts, index=bench.group_names), "Images of each group before and after the request."
)

# %% [markdown]
# ## Three models, and two of them never see the forgotten images
#
# 1. The **original** is trained on all of $D$.
# 2. **Retrain** starts from the same initial weights and sees only $R$. No image of $F$ is used. This is called *exact*
#    unlearning.
# 3. **Retrain + REWEIGHT** also sees only $R$, but draws some images more often. Each image of group $g$ gets the weight
#    $w = n_D(g) / n_R(g)$: the size of its group in $D$, divided by the size in $R$. So each of the 18 images that stay of
#    *hole on land* is drawn ten times as often.

# %%
start = gru.build_model("small_resnet", n_classes=2, seed=seed)
everyone = {"dataset": bench.train, "config": config, "seed": seed}
retained = everyone | {"indices": split.retain}
reweighted = retained | {"weights": gru.reweight(split)}

models = {
    "original": gru.fit(start, **everyone, progress="original"),
    "retrain": gru.fit(start, **retained, progress="retrain"),
    "retrain + REWEIGHT": gru.fit(start, **reweighted, progress="REWEIGHT"),
}
scores = {name: gru.score(model, bench, split) for name, model in models.items()}

# %% [markdown]
# ## The group that asked loses most, and an average can hide it
#
# :::{predict}
# Besides the group that asked there are three others, and nobody asked about them. Will one of them lose accuracy, too?
# And how far will the average over all test images fall?
# :::

# %% mystnb={"image": {"alt": "Bars of test accuracy for four groups and three models. For digits with a hole on land the retrained model falls far below the original, and the reweighted one lies between them. Digits without a hole on water lose accuracy, too; the two common groups hardly change."}, "figure": {"caption": "Test accuracy of each group (600 images each) before and after 90% of the images of one group, in bold, were removed from training. One seed.", "name": "fig-problem"}}
accuracy = {name: score.group_accuracy for name, score in scores.items()}  # (target, background)
plots.group_bars(accuracy, bench.group_names, highlight=[2])
plots.show()

# %% [markdown]
# *Hole on land*, the group that asked, loses most. The other rare group, *no hole on water*, loses accuracy, too. The two
# common groups hardly change. Here are two averages over the test images. The first counts the four groups equally. The
# second weights each group by its share of the training data, as a test set drawn like the training data would.

# %%
mix = split.n_train.reshape(2, 2) / split.n_train.sum()  # the groups' shares in training
averages = {
    "hole on land": {name: table[1, 0] for name, table in accuracy.items()},
    "all groups equally": {name: table.mean() for name, table in accuracy.items()},
    "in the mix of training": {name: (mix * table).sum() for name, table in accuracy.items()},
}
tables.show(pd.DataFrame(averages), "Test accuracy (%) of the group, and two averages.", file="averages")

# %% [markdown]
# With equal groups the average falls by 13 points. But in the mix of training the group is fewer than one image in twenty.
# There the average falls by 2 points, while the group loses 41.
#
# ## New people of the group pay, too
#
# The bars are about *new* images of the group. But 18 images of the group stayed in training, and 162 were forgotten.
#
# :::{predict}
# How often is the retrained model right about the 18 images that stayed, and how often about the 162 forgotten ones?
# :::

# %%
stayed = split.retain[split.group[split.retain] == 2]
known = {}
for name, model in models.items():
    right = gru.predict(model, bench.train).argmax(axis=1) == bench.train.target
    known[name] = {
        f"{len(stayed)} that stayed": 100 * right[stayed].mean(),
        f"{len(split.forget)} forgotten": 100 * right[split.forget].mean(),
        "new images": scores[name].GA,
    }
known = pd.DataFrame(known).T
tables.show(known, "Accuracy (%) on images of hole on land. One seed.", file="who_pays")

# %% [markdown]
# The retrained model has seen neither the forgotten images nor the new ones, and is right about fewer than half of both. It
# does better on the 18 that it was trained on. (These are few, so one image is 5.6 points.) With REWEIGHT the model has
# learnt the 18 by heart, and new images gain 11 points.
#
# So the harm reaches people who never asked for anything: those of the same group whom the model meets later.
#
# ## The retrained model answers by the background more often
#
# Does the retrained model read the background? A **swap** tests it directly. We draw each test digit twice, once on land
# and once on water. Digit, angle, size and contrast are the same, so any change of the answer comes from the background.
#
# :::{predict}
# For how many digits with a hole will the answer of the original change with the background? And of the other two models?
# :::

# %%
pairs = [drawn_again(bench.test, np.full(len(bench.test), s), seed) for s in (0, 1)]
answers, changed = {}, {}
for name, model in models.items():
    answers[name] = [gru.predict(model, replace(bench.test, images=x)).argmax(axis=1) for x in pairs]
    differ = answers[name][0] != answers[name][1]
    changed[name] = [100 * differ[bench.test.target == y].mean() for y in (0, 1)]
changed = pd.DataFrame(changed, index=bench.test.target_names).T
tables.show(changed, "Answers that change with the background (%). One seed.", file="swap")

# %% [markdown]
# For the original, about one answer in seven changes. After retraining it is more than half for digits with a hole. For
# digits without a hole the share doubles, which fits the loss of *no hole on water*. With REWEIGHT the background still
# counts more than in the original.

# %% mystnb={"image": {"alt": "Two rows of five digits with a hole, the same digits on land above and on water below. Under each stands the answer of the retrained model: on water it is mostly hole, on land it is often no hole."}, "figure": {"caption": "The first five test digits with a hole on both backgrounds, with the answers of the retrained model.", "name": "fig-swap"}}
shown = np.flatnonzero(bench.test.target == 1)[:5]
fig, axes = plots.figure(7.5, 3.6, columns=len(shown), rows=2)
for s, row in enumerate(axes):
    for i, axis in zip(shown, row):
        axis.imshow(pairs[s][i].transpose(1, 2, 0))
        axis.set(xticks=[], yticks=[], xlabel=bench.test.target_names[answers["retrain"][s][i]])
    row[0].set_ylabel(bench.test.sensitive_names[s])
plots.show()

# %% [markdown]
# ## Twenty seeds agree on the direction
#
# A seed draws the images, the request, the initial weights and the order of training. One seed can be luck, so we recorded
# the accuracies for twenty. (The swap and the images that stayed were not recorded.) The interval is that of the mean, and
# *least* and *most* are the lowest and the highest change.

# %%
names = ("waterdigits_requests", "waterdigits_fresh_seeds")
recorded = pd.concat(gru.read_record(name)[0] for name in names)
rows = [("original", "none"), ("retrain", "none"), ("retrain", "replacement")]
before, plain, weighted = (gru.select(recorded, method, 0.9, sampling) for method, sampling in rows)
differences = {
    "retraining, the group": plain["GA"] - before["GA"],
    "REWEIGHT gives back": weighted["GA"] - plain["GA"],
    "retraining, the other rare group": plain["acc_0_1"] - before["acc_0_1"],
}
summary = {}
for name, values in differences.items():
    mean, half = gru.mean_interval(values)
    summary[name] = {
        "mean": mean,
        "half": half,
        "seed 0": values[0],
        "least": values.min(),
        "most": values.max(),
    }
signed = ["mean", "seed 0", "least", "most"]
caption = "Change of test accuracy (points), mean and 95% interval of twenty seeds."
tables.show(pd.DataFrame(summary).T, caption, signed=signed, intervals={"mean": "half"}, file="twenty_seeds")

# %% [markdown]
# Seed 0, which you see on this page, is a mild one. Both its harm and what REWEIGHT gives back are among the three smallest
# of the twenty. The directions are the same in every seed.

# %% tags=["claim"]
if profile == "full":
    GA = {name: score.GA for name, score in scores.items()}
    lost = GA["original"] - GA["retrain"]
    gru.check_claim("in the figure retraining costs the group accuracy", [lost])
    left = GA["original"] - GA["retrain + REWEIGHT"]
    gru.check_claim("in the figure REWEIGHT does not give back all of it", [left])
    change = accuracy["retrain"] - accuracy["original"]
    gru.check_claim("in the figure the other rare group loses, too", [-change[0, 1]])
    largest = abs(change.diagonal()).max()
    gru.check_claim("in the figure a common group moves by less than 5 points, margin", [5 - largest])
    kept, forgotten, new = known.T.to_numpy()  # each: original, retrain, REWEIGHT
    gru.check_claim("after retraining, images that stayed fare better than new ones", [kept[1] - new[1]])
    gru.check_claim("with REWEIGHT, too", [kept[2] - new[2]])
    gru.check_claim("and it knows nearly all of them, margin", [kept[2] - 94])
    apart = abs(forgotten[1] - new[1])
    gru.check_claim("after retraining, forgotten and new images are within 12 points, margin", [12 - apart])
    for name in changed:
        more = changed[name]["retrain"] - changed[name]["original"]
        gru.check_claim(f"more answers change after retraining, {name}", [more])
    gru.check_claim("more than half of the holes", [changed["hole"]["retrain"] - 50])
    back = changed["hole"]["retrain + REWEIGHT"] - changed["hole"]["original"]
    gru.check_claim("with REWEIGHT still more than in the original, hole", [back])
    again = drawn_again(bench.test, bench.test.sensitive, seed)
    assert (again == bench.test.images).all(), "the swap draws other images than the benchmark's"

# %% tags=["claim"]
harm, gain, other = differences.values()
gru.check_claim("retraining costs the group accuracy", -harm)
gru.check_claim("REWEIGHT gives part of it back", gain)
gru.check_claim("but not all", before["GA"] - weighted["GA"])
gru.check_claim("the other rare group loses, too", -other)
for difference in (-harm, gain, before["GA"] - weighted["GA"], -other):
    assert (difference > 0).all(), "not in each of the recorded seeds"
assert (-harm).rank()[0] <= 3 and gain.rank()[0] <= 3, "seed 0 is not a mild one"

# %% [markdown]
# ## Summary
#
# - A group is a pair of target and sensitive attribute. Forget requests need not be spread evenly over groups.
# - Retraining on what is left is exact unlearning, and it can harm the group that asked: people like those who left, whom
#   the model meets later.
# - On the seed shown, the model then answers by the background more often: swap it, and many more answers change.
# - REWEIGHT samples the retain set so that each group is drawn as often as before the request. It gives back a part.
#
# ## Questions
#
# :::{quiz}
# Half a year after the retraining, whom of *hole on land* does the model fail more often than before?
#
# - [ ] Those whose data was removed, and nobody else
#
#   It fails them more often, but new people of the group as well.
#
# - [x] Those whose data was removed, and new people of the group
#
#   The model has seen neither. It is right about fewer than half of both.
#
# - [ ] New people of the group, but not those whose data was removed
#
#   The model was trained again without the removed data. It doesn't know these people any better than new ones.
#
# - [ ] Nobody, because exact unlearning only removes what $F$ had added
#
#   What $F$ had added helped the model to answer by the digit. Without it the whole group is harmed.
# :::
#
# :::{quiz}
# A group had 180 images, and 18 are left. Which weight does REWEIGHT give to each of the 18?
#
# - [ ] 0.1
#
#   That is the other way round: with 0.1 the group would be drawn even less often.
#
# - [x] 10
#
#   The size before over the size after: 180 / 18. The 18 are then drawn as often as the 180 were.
#
# - [ ] 162, one for each image that left
#
#   The weight is a ratio of group sizes, not a count of what was removed.
# :::
#
# :::{quiz}
# Why is the average accuracy on the training mix a poor alarm?
#
# - [x] The group is a small part of the mix.
#
#   It is fewer than one image in twenty there, so even a fall of fifty points moves the average by two or three.
#
# - [ ] It is measured on training images.
#
#   It is computed from test accuracies. Only the shares of the groups are those of training.
#
# - [ ] The common groups gain what the rare ones lose.
#
#   The common groups hardly change. Their share is so large that even this keeps the average up.
# :::
#
# :::{quiz}
# The bars already show that the retrained model fails on digits with a hole on land. What does the swap add?
#
# - [ ] That the failure is real, and not an accident of this seed
#
#   The swap was done on the same seed. Twenty recorded seeds say more about accidents.
#
# - [x] That the same digit would have been answered otherwise on water
#
#   The bars compare different digits. The swap changes one thing, so the change of the answer comes from it.
#
# - [ ] That the digits on land are harder to read
#
#   If they were, the original would fail on them, too. For the original few answers change.
# :::
#
# ## Exercises
#
# :::{exercise} A smaller request
# :label: ex-smaller-request
# Forget half of the group instead of 90%. Is the harm smaller? Is the share of it that comes back larger?
# :::
#
# :::{clue}
# Only `ratio` changes in `forget_split`. The original stays as it is, so you need two trainings: `fit` with
# `indices=half.retain`, once without weights and once with `gru.reweight(half)`.
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
half = gru.forget_split(bench.train, groups=[(1, 0)], ratio=0.5, seed=seed)
on_half = everyone | {"indices": half.retain}
lost = {}
for name, options in {"retrain": {}, "retrain + REWEIGHT": {"weights": gru.reweight(half)}}.items():
    model = gru.fit(start, **on_half, **options, progress=name)
    now = scores["original"].GA - gru.score(model, bench, half).GA
    lost[name] = {"at 0.5": now, "at 0.9": scores["original"].GA - scores[name].GA}
lost = pd.DataFrame(lost).T
tables.show(lost, "Points of accuracy that the group loses. One seed.", file="half")
if profile == "full":
    assert lost.loc["retrain", "at 0.5"] < lost.loc["retrain", "at 0.9"] / 2

# %% [markdown]
# At 0.5 ninety images of the group are left, and the harm is several times smaller. On this seed 41% of it comes back, and
# 27% at 0.9. A share of 11 points changes much with a point or two, so read it over seeds, in lesson 3.
#
# :::{answer-end}
# :::
#
# :::{exercise} A common group asks
# :label: ex-common-group
# Forget 90% of the *common* group $(0, 0)$ instead. What happens to it, and to whom else? Compare $n_D(g)$ and $n_R(g)$.
# :::
#
# :::{clue}
# A tenth of a common group is still about as much as a whole rare one. Then look at what the backgrounds tell: how many
# images on land have a hole now, and how many have none?
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
common = gru.forget_split(bench.train, groups=[(0, 0)], ratio=0.9, seed=seed)
retrained = gru.fit(start, **everyone, indices=common.retain, progress="retrain")
table = gru.score(retrained, bench, common).group_accuracy.ravel()
rows = {
    "in D": common.n_train,
    "in R": common.n_retain,
    "original": accuracy["original"].ravel(),
    "retrained": table,
}
caption = "Images of each group, and its test accuracy (%), if 90% of a common group are forgotten. One seed."
tables.show(pd.DataFrame(rows, index=bench.group_names), caption, file="common")
fell = accuracy["original"].ravel() - table
if profile == "full":
    assert fell[0] < scores["original"].GA - scores["retrain"].GA, "the common group loses as much"
    assert fell[1] > fell[3], "the other group without a hole does not lose"

# %% [markdown]
# *No hole on land* keeps more images than a rare group ever had, and loses far fewer points than the rare group did. So
# the removal of 90% is not what harms by itself. Now *land* has about as many images with a hole as without, and of all
# digits without a hole 390 are left of 2,280. *No hole on water*, which nobody asked about, loses the most, and *hole on
# land* gains. Lesson 2 sets this beside other requests.
#
# :::{answer-end}
# :::
#
# :::{exercise} Other seeds
# :label: ex-other-seeds
# The table over twenty seeds has three rows. For which of them would you have written the same sentence, and the same number,
# from seeds 0, 1 and 2 alone?
# :::
#
# :::{clue}
# The code of the table over twenty seeds makes `differences`, a series for each row, indexed by seed.
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
three = pd.DataFrame(differences).loc[[0, 1, 2]].T.add_prefix("seed ")
tables.show(three, "The same differences on three seeds (points).", signed=list(three), file="three_seeds")
assert all((values.loc[[0, 1, 2]] < 0).nunique() == 1 for values in differences.values())

# %% [markdown]
# The directions hold on all three: the group loses, REWEIGHT gives a part back, the other rare group loses. The numbers do
# not: what the group loses differs by 22 points between these seeds, and what comes back by 11. So a sentence with a number
# needs the mean and interval over seeds.
#
# :::{answer-end}
# :::
#
# ## Next
#
# {doc}`01_what_unlearning_means` asks what it means that a model has forgotten, and how one would know.
