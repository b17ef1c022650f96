# %% [markdown]
# # Text
#
# **Result.** 90% of a rare group of sentence pairs ask to be forgotten. Plain retraining then costs the group 10.4 ± 0.8 points of
# accuracy with a linear head on frozen features, and 44 ± 21 with a small BERT. REWEIGHT gives back 3.9 ± 1.2 and 26 ± 14.
#
# That carries over from images. One thing doesn't: inside fine-tuning of the linear head REWEIGHT leads *away* from the reference,
# by 2.1 ± 0.6 points of {term}`Avg. Gap`. All this is on sentences that we generated.
#
# **Question.** All other lessons are about images or records. What of them carries over to text, and what doesn't?
#
# **After this lesson you can**
#
# - write sentence pairs in the format of MultiNLI, and run an unlearning experiment on them;
# - do the same with features of a frozen sentence encoder, where a retraining takes a second or two;
# - say why a method that changes features can do nothing with a linear head;
# - list what holds for images and for text, with intervals.
#
# **You need** {doc}`03_exact_unlearning_by_reweighting`, and {doc}`08_a_fair_table` for the last table.

# %% tags=["parameters"]
profile = "full"  # or "smoke": few sentences, one epoch; numbers mean nothing
seed = 0

# %%
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import gru_lite as gru
from gru_lite import labels, plots, tables
from gru_lite.data import multinli

full, WITH = profile == "full", "replacement"
RATIOS, ASKED = ("0.5", "0.9"), [(2, 1)]  # neutral, with a negation
NAMES = {"linear": "linear head", "mlp": "MLP head", "small_bert": "small BERT"}

# %% [markdown]
# ## A negation isn't a contradiction, but most of them are
#
# *MultiNLI* {cite:p}`williams2018multinli` asks whether a second sentence, the *hypothesis*, follows from a first one, the
# *premise*. The answer is *entailment*, *contradiction* or *neutral*. People wrote the hypotheses, and those who had to
# contradict often took a short way: they wrote *no*, *never*, *nobody* or *nothing*
# {cite:p}`gururangan2018artifacts`. In the training set of the paper, 76% of the hypotheses with such a word are
# contradictions. A model can learn *negation means contradiction* and be right most of the time.
#
# So the sensitive attribute $s$ is whether the hypothesis has a negation, and the target $y$ is the answer. The paper
# forgets *neutral with a negation*. Here that means sentences, and nobody's sex or skin.
#
# MultiNLI can't be shipped with this book, and no small package with real sentence pairs is known to us. So we
# write our own, in MultiNLI's files. **The sentences below are generated from lists of words.** The shares of the six
# groups are those of the real training set.

# %%
root = Path(tempfile.mkdtemp())
sizes = {} if full else {"train_count": 900, "val_count": 10, "test_count": 20}
multinli.write_example_tree(root, **sizes)
raw = [json.loads(line) for line in (root / multinli.FILES[0]).read_text().splitlines()[:400]]
is_denied = [bool({"no", "never", "nobody"} & {*pair["sentence2"].lower().split()}) for pair in raw]
shown = {}
for pair, denied in zip(raw, is_denied):
    kind = f"{pair['gold_label']}, {multinli.NEGATION[denied]}"
    shown.setdefault(kind, {"premise": pair["sentence1"], "hypothesis": pair["sentence2"]})
tables.show(pd.DataFrame(shown).T.sort_index(), "One pair of each group.", file="pairs")

# %% [markdown]
# The rule of this small world: who did something to a thing didn't do the opposite to it. Of other deeds nothing is known.
# So each label can be decided from its pair. With a negation the same deed is a contradiction, and the opposite deed
# is an entailment. A reader who skips the negation gets both wrong.

# %%
bench = gru.load("multinli", root, length=10)
split = gru.forget_split(bench.train, groups=ASKED, ratio="0.9", seed=seed + 4)
real = np.array(multinli.ABOUT.counts["multinli"]["train"])
counts = {
    "real": real,
    "ours": bench.train.group_counts,
    "share (%)": 100 * real / real.sum(),
    "left at 0.9": split.n_retain,
    "test, ours": bench.test.group_counts,
}
counts = pd.DataFrame(counts, index=bench.group_names)
tables.show(counts, "Training pairs of each group, and our test pairs.", file="counts")

# %% tags=["claim"]
contradicts = real[1] / real[1::2].sum()
assert round(100 * contradicts) == 76
if full:
    assert split.n_train[5] == 116 and split.n_retain[5] == 12 and len(bench.train) == 12000

# %% [markdown]
# Neutral with a negation is one pair in a hundred. Of our 116, 12 are left when 90% have left. Our test set has as many
# pairs of each group, so TA is a mean of group accuracies here, and not the accuracy on sentences as they come.
#
# ## A small BERT learns the group late
#
# `small_bert` is BERT {cite:p}`devlin2019bert` with two layers of 64 instead of twelve of 768. It starts from random
# weights, as it has a vocabulary of 41 words and no text to be pretrained on. A training took 13 s of a busy core in the
# record. Three of them run here. They are of seed 4, with which the original learnt the group in the record. With other
# seeds it often doesn't, as you'll see.
#
# :::{predict}
# With 90% of the group gone, what will plain retraining make of the accuracy on *neutral with a negation*? To which of the
# other two answers will these pairs go?
# :::

# %%
config = gru.TrainConfig(
    epochs=5 if full else 1, warmup_epochs=1 if full else 0,
    batch_size=128, lr=3e-3, optimizer="adamw", weight_decay=0.1, shift=0,
)  # fmt: skip
words = (root / "bert-base-uncased" / "vocab.txt").read_text().splitlines()
start = gru.build_model("small_bert", n_classes=3, seed=seed + 4, vocabulary=len(words))
training = {"dataset": bench.train, "config": config, "seed": seed + 4}
weights = gru.reweight(split)
models = {
    "original (no-op)": gru.fit(start, **training, progress="original"),
    "retrain": gru.fit(start, **training, indices=split.retain, progress="retrain"),
    "retrain + REWEIGHT": gru.fit(
        start, **training, indices=split.retain, weights=weights, progress="REWEIGHT"
    ),
}

# %%
live = {name: gru.score(model, bench, split).group_accuracy.ravel() for name, model in models.items()}
shown = pd.DataFrame(live, index=bench.group_names)
tables.show(shown, "Small BERT, test accuracy of each group (%), ratio 0.9, seed 4.", 0, file="one_seed")
asked = bench.test.group == 5
said = gru.predict(models["retrain"], bench.test)[asked].argmax(1)
answers = dict(zip(bench.target_names, np.bincount(said, minlength=3).tolist()))
print(f"retrain's answers to the {asked.sum()} test pairs of the group: {answers}")

# %% [markdown]
# Plain retraining takes nearly all of these pairs that it gets wrong for contradictions. That is the shortcut: a negation, so a
# contradiction. The groups without a negation stay as they were. So do contradictions with a negation, which the shortcut gets
# right.

# %% tags=["claim"]
if full:
    assert answers["contradiction"] > answers["entailment"], answers
    assert shown.loc["neutral, negation", "retrain"] < 70 < shown.loc["contradiction, negation", "retrain"]
    assert len(words) == 41

# %% [markdown]
# ## Frozen features make a retraining cheap
#
# Most who work with text today start from a pretrained encoder, and many use its {term}`frozen features`.
# all-MiniLM-L6-v2 is a sentence encoder {cite:p}`reimers2019sentencebert`. It makes 384 numbers of a sentence. Of
# a premise $u$ and a hypothesis $v$ the features are $u$, $v$, $|u - v|$ and $u \cdot v$, entry by entry
# {cite:p}`conneau2017infersent`. The encoder stays as it is. On its features we train a *linear head*, or an *MLP head*
# with one hidden layer of 64.
#
# The encoder was trained on MultiNLI among other texts, as its authors say. So it has seen such tasks, and not our sentences.

# %%
config_of_heads = gru.TrainConfig(epochs=4 if full else 1, warmup_epochs=0, batch_size=128, lr=0.03, shift=0)
try:
    embedded = gru.load("multinli", root, embedded=True)
except gru.InputError as missing:
    embedded = None
    print(f"The record has to do: {missing}")
else:
    heads = {}
    for name in ("linear", "mlp"):
        model = gru.build_model(name, 3, seed, n_features=embedded.train.features.shape[1])
        head = gru.fit(model, embedded.train, config=config_of_heads, seed=seed)
        heads[NAMES[name]] = gru.score(head, embedded, split).group_accuracy.ravel()
    shown = pd.DataFrame(heads, index=bench.group_names)
    tables.show(shown, "Original heads, test accuracy of each group (%), seed 0.", 0, file="heads")

# %% [markdown]
# Both heads get *neutral with a negation* right nearly always, and *entailment with a negation* never. The first needs one look:
# the two deeds have nothing to do with each other. The second needs two facts at once, an opposite deed and a negation.
# {numref}`ex-sum-cannot-say` shows that a sum of the two facts can't say it.
#
# ## The harm carries over, and so does a part of the repair
#
# The record has 20 seeds of each head at two ratios, and 10 of the small BERT at ratio 0.9. A seed decides who leaves, the
# initial weights and the order of training. The sentences are the same in each seed.
#
# :::{predict}
# With which model does the group lose most, and with which does the result depend most on the seed?
# :::

# %%
table, _ = gru.read_record("text_methods")


def rows(model, method, sampling="none", ratio="0.9"):
    """The recorded scores of one row, a line for each seed."""
    return gru.select(table[table["model"] == model], method, ratio, sampling)


ORIGINAL, RETRAIN = ("original", "none"), ("retrain", "none")
REFERENCE, CEILING = ("retrain", WITH), ("ceiling", WITH)
PARTS = [(model, ratio) for model in NAMES for ratio in RATIOS if len(rows(model, *ORIGINAL, ratio))]
SEEDS = {model: len(rows(model, *ORIGINAL)) for model in NAMES}
IMAGES = "network, digits"
images, _ = gru.read_record("waterdigits_requests")

# %%
questions = {}
for model, ratio in PARTS:
    group = {key: rows(model, *key, ratio)["GA"] for key in (ORIGINAL, RETRAIN, REFERENCE)}
    questions["retraining changes", model, ratio] = group[RETRAIN] - group[ORIGINAL]
    questions["REWEIGHT gives back", model, ratio] = group[REFERENCE] - group[RETRAIN]
    questions["both together", model, ratio] = group[REFERENCE] - group[ORIGINAL]
harm = gru.paired_tests(questions)
kinds = [*dict.fromkeys(what for what, *_ in questions)]
old = {key: gru.select(images, key[0], "0.9", key[1])["GA"] for key in (ORIGINAL, RETRAIN, REFERENCE)}
lines = {}
for (what, model, ratio), test in harm.iterrows():
    line = lines.setdefault(
        f"{NAMES[model]}, {ratio}", {"original": rows(model, *ORIGINAL, ratio)["GA"].mean()}
    )
    line.update({what: test["mean"], f"{what} ±": test["half"]})
pairs = ((RETRAIN, ORIGINAL), (REFERENCE, RETRAIN), (REFERENCE, ORIGINAL))
line = lines[f"{IMAGES}, 0.9"] = {"original": old[ORIGINAL].mean()}
for what, (first, second) in zip(kinds, pairs):
    line[what], line[f"{what} ±"] = gru.mean_interval(old[first] - old[second])
caption = "GA of the original (%), and changes of GA (points), means and 95% intervals. Last row: lesson 3."
options = {"signed": kinds, "intervals": {what: f"{what} ±" for what in kinds}, "one_scale": True}
tables.show(pd.DataFrame(lines).T, caption, **options, file="harm")

# %% mystnb={"image": {"alt": "Three panels of dots, a dot a seed, joined by grey lines: original, retrain and REWEIGHT. Linear head: from 96 down to 85, and up to 89, narrow. MLP head: from 99 to 91 to 94, narrow. Small BERT: the original's dots spread from 0 to 93, retrain's lie between 0 and 38 with most at 0, REWEIGHT's between 6 and 60."}, "figure": {"caption": "Accuracy on test pairs that are neutral with a negation (GA) at ratio 0.9: a dot a seed, lines join the seeds. Diamonds: means with 95% intervals.", "name": "fig-text-harm"}}
fig, axes = plots.figure(8, 3.4, columns=3, sharey=True)
looks = (("original", ORIGINAL), ("retrain", RETRAIN), ("REWEIGHT", REFERENCE))
colors = (plots.INK, plots.RETRAIN, plots.REWEIGHT)
for axis, (model, name) in zip(axes, NAMES.items()):
    found = np.array([rows(model, *key)["GA"] for _, key in looks])
    axis.plot(found, color="0.85", lw=0.8)
    for x, (values, color) in enumerate(zip(found, colors)):
        mean, half = gru.mean_interval(values)
        axis.plot([x] * len(values), values, "o", ms=3, color=color, alpha=0.5)
        axis.errorbar(x, mean, half, fmt="D", ms=6, capsize=4, color=color)
    axis.set(title=name, xlim=(-0.5, 2.5), ylim=(-3, 103))
    axis.set_xticks(range(3), [label for label, _ in looks], rotation=20)
axes[0].set_ylabel("GA (%)")
plots.show()

# %% [markdown]
# - **Plain retraining harms the group: shown for all three models.** At 0.9 it costs 10.4 ± 0.8 points (linear head), 7.5 ± 1.1
#   (MLP head) and 44 ± 21 (small BERT). The heads lose less than the digits' network, whose features learn with it. Whether the
#   frozen encoder is the reason, we haven't tested: that takes training the encoder, too.
# - **REWEIGHT gives a part back: shown for all three.** 3.9 ± 1.2, 2.9 ± 1.0 and 26 ± 14 points.
# - **The group stays below the original: shown for all three.** By 6.5 ± 1.0, 4.5 ± 1.0 and 18 ± 12 points. On digits more than half
#   was missing, too. On records of people nothing was shown to be missing ({doc}`10_records_of_people`).
# - **Others may pay, too.** *Entailment with a negation* didn't ask. With the small BERT its change is -14 ± 32 points: undecided.
# - **With the small BERT much hangs on the seed.** Its original gets between 0 and 93% of the group right, on the same
#   sentences. So look at each seed, and don't trust one.

# %% tags=["claim"]
for model, ratio in PARTS:
    gru.check_claim(f"{model}, {ratio}: retraining harms", -questions["retraining changes", model, ratio])
    gru.check_claim(f"{model}, {ratio}: REWEIGHT gives back", questions["REWEIGHT gives back", model, ratio])
    gru.check_claim(f"{model}, {ratio}: not all of it", -questions["both together", model, ratio])
assert SEEDS == {"linear": 20, "mlp": 20, "small_bert": 10} and (harm["verdict"] == "shown").all(), harm
states = {
    "retraining changes": ([-10.4, 0.8], [-7.5, 1.1], [-44, 21]),
    "REWEIGHT gives back": ([3.9, 1.2], [2.9, 1.0], [26, 14]),
    "both together": ([-6.5, 1.0], [-4.5, 1.0], [-18, 12]),
}
for what, numbers in states.items():
    for (model, close), said in zip((("linear", 0.06), ("mlp", 0.06), ("small_bert", 0.6)), numbers):
        assert np.allclose(harm.loc[(what, model, "0.9"), ["mean", "half"]].astype(float), said, atol=close)
others = rows("small_bert", *RETRAIN)["acc_1_1"] - rows("small_bert", *ORIGINAL)["acc_1_1"]
assert np.round(gru.mean_interval(others)).tolist() == [-14, 32], others
group = rows("small_bert", *ORIGINAL)["GA"]
assert (group.min(), group.max()) == (0, 93), group
assert (rows("linear", *ORIGINAL)["acc_1_1"] == 0).all() and (rows("mlp", *ORIGINAL)["acc_1_1"] == 0).all()

# %% [markdown]
# ## What the original remembers
#
# A method must remove what the model learnt from $F$. The reference never saw $F$. So the difference between the original
# and the reference, on $F$, is what there is to forget.

# %%
few, _ = gru.read_record("waterdigits_methods")
parts = {f"{NAMES[model]}, {ratio}": (table[table["model"] == model], ratio) for model, ratio in PARTS}
parts |= {f"digits, {ratio}": (few, ratio) for ratio in RATIOS}
memory = {}
for name, (record, ratio) in parts.items():
    original, reference = (gru.select(record, method, ratio, how) for method, how in (ORIGINAL, REFERENCE))
    line = memory[name] = {}
    for score, column in (("UA", "UA"), ("MIA_auc", "AUC")):
        line[column], line[f"{column} ±"] = gru.mean_interval(original[score] - reference[score])
memory = pd.DataFrame(memory).T
caption = "Original minus reference (points): accuracy on F (UA), and the balanced attack (AUC). Means, 95% intervals."
options = {"signed": ["UA", "AUC"], "intervals": {"UA": "UA ±", "AUC": "AUC ±"}}
tables.show(memory, caption, **options, file="memory")

# %% [markdown]
# **The original remembers something: shown for all three models.** At 0.9 it gets 13.1 ± 1.7 (linear head),
# 9.5 ± 1.6 (MLP head) and 20 ± 14 (small BERT) points more of $F$ right than a model that never saw it. On digits it is 42, on
# records of people it wasn't shown to be more than 0. Not all of that is memory of single pairs. The original is better
# on *new* pairs of the group as well, by the 6.5, 4.5 and 18 points of the last section. The attack compares $F$ with new pairs
# of the same group. It gains 2.4 ± 0.6, 1.9 ± 0.5 and 5.0 ± 2.7 points on the original, so something of single pairs is
# remembered: shown for all three.

# %% tags=["claim"]
for model in NAMES:
    for score in ("UA", "MIA_auc"):
        apart = rows(model, *ORIGINAL)[score] - rows(model, *REFERENCE)[score]
        gru.check_claim(f"{model}: the original remembers ({score})", apart)
of = {model: memory.loc[f"{NAMES[model]}, 0.9"].round(1).tolist() for model in NAMES}
assert of["linear"] == [13.1, 1.7, 2.4, 0.6] and of["mlp"] == [9.5, 1.6, 1.9, 0.5], of
assert np.round(of["small_bert"][:2]).tolist() == [20, 14] and of["small_bert"][2:] == [5.0, 2.7], of
assert round(memory.loc["digits, 0.9", "UA"]) == 42
people, _ = gru.read_record("adult_methods")
apart = gru.select(people, *ORIGINAL[:1], "0.9")["UA"] - gru.select(people, "retrain", "0.9", WITH)["UA"]
assert abs(np.subtract(*gru.mean_interval(apart))) < 1 and apart.mean() < 1

# %% [markdown]
# ## Methods, with a sixth of the steps
#
# Each method makes a sixth of retraining's steps. Its values come from a search of four configurations with REWEIGHT and four
# without, on another seed. That is a small search, so we don't rank the methods. We ask three things: is a method nearer to
# the reference than doing nothing, does REWEIGHT inside it help, and does MIU differ from fine-tuning?
#
# There is no row of MIU for the linear head. MIU changes *features* until a critic can't read the group from them. The features
# of a linear head are frozen, so nothing can change. The package refuses:

# %%
if embedded is not None:
    try:
        gru.unlearn("miu", gru.build_model("linear", 3, seed, n_features=1536), embedded.train, split)
    except gru.InputError as refused:
        print(refused)

# %%
methods = {}
for model in NAMES:
    part = table[(table["model"] == model) & (table["ratio"] == "0.9")]
    for method, how in dict.fromkeys(zip(part["method"], part["sampling"])):
        if (method, how) in (REFERENCE, ORIGINAL):
            continue
        found = rows(model, method, how)
        above = found["avg_gap"] - rows(model, *ORIGINAL)["avg_gap"]
        line = methods[f"{NAMES[model]}: {labels.label(method, how)}"] = {}
        line["above doing nothing"], line["±"] = gru.mean_interval(above)
        line["GA"], line["share of time"] = found["GA"].mean(), found["share"].median()
shown = pd.DataFrame(methods).T
caption = "Avg. Gap minus that of doing nothing, in points, with 95% intervals; GA (%); time as a share of retraining's. Ratio 0.9."
tables.show(
    shown,
    caption,
    {"share of time": 2},
    ["above doing nothing"],
    {"above doing nothing": "±"},
    file="methods",
)

# %%
asked = {}
for model in NAMES:
    has = set(table.loc[table["model"] == model, "method"])
    for method in [m for m in ("finetune", "l1_sparse", "miu") if m in has]:
        gap = {how: rows(model, method, how)["avg_gap"] for how in (WITH, "none")}
        asked["REWEIGHT in it", model, method] = gap[WITH] - gap["none"]
        asked["nearer than doing nothing", model, method] = gap[WITH] - rows(model, *ORIGINAL)["avg_gap"]
    if "miu" in has:
        asked["MIU - fine-tune", model, "miu"] = (
            rows(model, "miu", WITH)["avg_gap"] - rows(model, "finetune", WITH)["avg_gap"]
        )
tests = gru.paired_tests(asked)
shown = tests[["mean", "half", "smallest_holm", "verdict"]].set_axis(
    ["difference", "±", "visible from", "verdict"], axis=1
)
shown.index = [f"{NAMES[model]}, {labels.name_of(method)}: {what}" for what, model, method in tests.index]
caption = "Differences in Avg. Gap at ratio 0.9 (points, 95% intervals). Verdicts: Holm over all rows. Visible from: a true difference of that size is found four times in five."
tables.show(shown, caption, 1, ["difference"], {"difference": "±"}, file="asked")

# %% [markdown]
# - **Is a method with REWEIGHT nearer than doing nothing? Undecided in all eight cases.** For the small BERT only 8 to 12 points
#   would have been seen.
# - **REWEIGHT inside a method leads away from the reference: shown in three cases.** These are fine-tuning of both heads, by
#   2.1 ± 0.6 and 0.6 ± 0.3 points, and L1-sparse on the linear head, by 1.1 ± 0.4. The other five are undecided. GA shows what
#   happens: with REWEIGHT the group stays where the original has it, at 95%. Without it, fine-tuning ends at 88.5%, and the
#   reference has 89.2%. The reference itself *lost* some of the group. A method that keeps the original's accuracy is too good for
#   this yardstick, and Avg. Gap counts that as distance. The two ways have searched learning rates of their own. On the
#   seed of the search fine-tuning of the linear head tried one rate, 0.04, in both ways, and the order was the same: 96.7 and 98.2.
# - **MIU isn't shown to differ from fine-tuning.** It takes 2.8 retrainings with the MLP head, and half of one with the small BERT.
#   Its critics cost the same for every model, and a retraining of a head takes a second.
# - **The yardstick can tell for the heads, and hardly for the small BERT.** The ceiling is 3.1 ± 0.6 and 2.1 ± 0.9 points above doing
#   nothing for the heads. For the small BERT it is 4.8 ± 7.7: undecided.

# %% tags=["claim"]
is_shown = tests["verdict"] == "shown"
assert {key for key, found in is_shown.items() if found} == {
    ("REWEIGHT in it", "linear", "finetune"),
    ("REWEIGHT in it", "linear", "l1_sparse"),
    ("REWEIGHT in it", "mlp", "finetune"),
}, tests
for (model, method), said in {
    ("linear", "finetune"): [-2.1, 0.6], ("linear", "l1_sparse"): [-1.1, 0.4], ("mlp", "finetune"): [-0.6, 0.3],
}.items():  # fmt: skip
    found = tests.loc[("REWEIGHT in it", model, method), ["mean", "half"]].astype(float)
    assert np.allclose(found, said, atol=0.06), found
    gru.check_claim(f"{model}, {method}: REWEIGHT leads away", -asked["REWEIGHT in it", model, method])
nearer = tests.loc["nearer than doing nothing"]
assert len(nearer) == 8 and nearer.loc["small_bert", "smallest_holm"].between(7.5, 12.5).all()

# %% tags=["claim"]
ends = {key: rows("linear", "finetune", key)["GA"].mean() for key in (WITH, "none")}
assert round(ends[WITH]) == 95 and ends["none"] == 88.5, ends
assert round(rows("linear", *REFERENCE)["GA"].mean(), 1) == 89.2
for model, said in {"linear": [3.1, 0.6], "mlp": [2.1, 0.9], "small_bert": [4.8, 7.7]}.items():
    above = rows(model, *CEILING)["avg_gap"] - rows(model, *ORIGINAL)["avg_gap"]
    assert np.allclose(gru.mean_interval(above), said, atol=0.06), (model, above)
trials, _ = gru.read_record("text_search")
trials = trials[(trials["model"] == "linear") & (trials["config"] == '{"lr": 0.04}')].set_index("sampling")
assert trials["avg_gap"].round(1).to_dict() == {WITH: 96.7, "none": 98.2}, trials
given = harm["mean"]["REWEIGHT gives back"] / -harm["mean"]["retraining changes"]
assert given.xs("0.9", level=1).round(1).tolist() == [0.4, 0.4, 0.6], given
share = {model: rows(model, "miu", WITH)["share"].median() for model in ("mlp", "small_bert")}
assert round(share["mlp"], 1) == 2.8 and abs(share["small_bert"] - 0.5) < 0.06, share

# %% [markdown]
# ## What carries over, and what doesn't
#
# **It carries over:**
#
# - plain retraining harms the group that asked, with all three models;
# - REWEIGHT gives a part back, and not all of it;
# - the original remembers something of $F$, and the attack sees it.
#
# **It doesn't, or isn't shown to:**
#
# - *The size of the harm.* With frozen features it is 7 to 10 points at 0.9, on digits 56.
# - *REWEIGHT inside a method.* On digits it wasn't shown to matter ({doc}`08_a_fair_table`). For the heads it leads away from the reference in
#   three of five cases.
# - *MIU.* It can't be run on a linear head. With an MLP head it costs more than a retraining.
# - *The point of an approximate method.* A head retrains in about a second, and exactly. Then nothing is left to save.
# - *A stable original.* The small BERT's accuracy on the group depends on the initial weights, from 0 to 93%.
#
# ## What these sentences can't say
#
# - They are generated. 16 verbs, 8 names and 8 things make a small world, without the variety and the errors of real text.
#   Each label follows from a rule. Real labels are what most of five people said.
# - The small BERT has two layers and no pretraining. The paper fine-tunes BERT base on 206,175 pairs. We haven't run that.
# - All seeds share one set of sentences, and the frozen encoder.
# - We chose this world by looking. About seven versions of the sentences and of the BERT's settings were tried, and we kept
#   one in which seed 0's original learns the group. So seed 0 of the small BERT isn't fresh.
# - The search of the methods is small, so their order says little.
#
# ## Summary
#
# - The harm of a request that comes from one group isn't about images. A retrained text model falls back on its shortcut.
# - REWEIGHT in retraining gives back a part, here about two fifths for the heads and three fifths for the small BERT.
# - Frozen features make exact retraining so cheap that approximate methods have no time to save.
# - Look at GA beside Avg. Gap. A method can be far from the reference because it kept what the reference lost.
#
# ## Questions
#
# :::{quiz}
# Of the hypotheses with a negation 76% are contradictions. A model learns *negation means contradiction*. Which groups does it
# get wrong?
#
# - [ ] Contradictions without a negation
#
#   The shortcut says nothing about hypotheses without a negation.
#
# - [x] Entailment and neutral with a negation
#
#   They are 24% of the hypotheses with a negation, and less than 2% of all.
#
# - [ ] All groups with a negation
#
#   Contradictions with a negation are the ones that it gets right.
# :::
#
# :::{quiz}
# You run MIU on a linear head over frozen features. What can happen?
#
# - [ ] It forgets less, as the head is small.
#
#   The size isn't the point. MIU's first term has no weight that it could change.
#
# - [x] Nothing can: the features that it would change are frozen.
#
#   The package refuses. Fine-tuning and L1-sparse change the head itself.
#
# - [ ] It works, because the head is part of the model.
#
#   The mutual information is that of the features and the group. The head isn't in it.
# :::
#
# :::{quiz}
# A team uses a pretrained encoder. Someone asks to be forgotten, and their sentences are in the data of the *head* alone. The team
# retrains the head without them. Is that exact?
#
# - [x] Yes, for these data: the encoder never saw them.
#
#   What the head learnt starts anew. It takes seconds here.
#
# - [ ] No, the encoder has to be retrained as well.
#
#   Only if the sentences were in the encoder's own training data.
#
# - [ ] Only if MIU is run on the encoder first.
#
#   Retraining is exact without any method. MIU is approximate.
# :::
#
# ## Exercises
#
# :::{exercise} What a sum can't say
# :label: ex-sum-cannot-say
# Suppose that a linear head reads two things of a pair: whether the deed is the *same* or the *opposite*, and whether there is
# a *negation*. Its score for entailment minus that for contradiction is a sum $a(\text{deed}) + b(\text{negation})$. Show that
# no such sum gets all four kinds of pairs right. Which kind will training give up?
# :::
#
# :::{clue}
# Write down the four inequalities, and add them in pairs.
# :::
#
# :::{answer}
# :::
#
# Without a negation $a(\text{same}) + b(0) > 0$ and $a(\text{opp}) + b(0) < 0$. With one it is the reverse:
# $a(\text{same}) + b(1) < 0$ and $a(\text{opp}) + b(1) > 0$. The first and the fourth add up to the same sum as the second and
# the third, and that sum would have to be above 0 and below 0. So one kind must be wrong. Training gives up the rarest,
# *entailment with a negation*. The record agrees:

# %% tags=["solution"]
for model, name in NAMES.items():
    mean, half = gru.mean_interval(rows(model, *ORIGINAL)["acc_1_1"])
    print(f"{name}: {mean:.1f} ± {half:.1f}% of entailment with a negation")
    assert mean == 0 or model == "small_bert"

# %% [markdown]
# The features $|u - v|$ and $u \cdot v$ aren't a sum of the two facts. They could help, and for this head they don't.
#
# :::{answer-end}
# :::
#
# :::{exercise} The weights of the real data
# :label: ex-real-weights
# Take the real counts. 90% of *neutral with a negation* ask to be forgotten. How many stay, and what do they weigh? How many equally
# weighted pairs is the whole retain set worth?
# :::
#
# :::{clue}
# `gru.group_weights` takes the counts before and after. `np.repeat` makes a weight for each pair.
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
left = real - np.array([0, 0, 0, 0, 0, int(0.9 * real[5])])
group_weights = gru.group_weights(real, left)
size = gru.effective_sample_size(np.repeat(group_weights, left))
print(f"{left[5]} of {real[5]:,} stay and weigh {group_weights[5]:.2f}; {size:,.0f} of {left.sum():,} pairs")
assert left[5] == 200 and round(group_weights[5], 2) == 9.96 and 0.9 < size / left.sum() < 0.93

# %% [markdown]
# 200 stay, where we have 12. The effective sample size of all pairs hardly falls, and it hides that the group has 200.
#
# :::{answer-end}
# :::
#
# ## Next
#
# If you have MultiNLI, `gru-lite run --dataset multinli --root DATA` runs it with BERT base, see {doc}`09_at_full_scale`. With
# `--model small_bert`, `--model mlp` or `--model linear` it runs the models of this lesson, and `gru-lite plan` says what they
# cost. For your own sentences, embed them once, and use the features as records: {doc}`../your_own_images` says how.
#
# {doc}`15_many_groups` asks what happens when many groups ask at once.
