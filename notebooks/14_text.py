# %% [markdown]
# # Text
#
# RESULT
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
split = gru.forget_split(bench.train, groups=ASKED, ratio="0.9", seed=seed)
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
# weights, as it has a vocabulary of NWORDS words and no text to be pretrained on. A training takes TRAINTIME.
# Three of them run here, on seed 0.
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
start = gru.build_model("small_bert", n_classes=3, seed=seed, vocabulary=len(words))
training = {"dataset": bench.train, "config": config, "seed": seed}
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
shown = pd.DataFrame(live, index=bench.group_names).T
tables.show(shown, "Small BERT, test accuracy of each group (%), ratio 0.9, seed 0.", 0, file="one_seed")
asked = bench.test.group == 5
said = gru.predict(models["retrain"], bench.test)[asked].argmax(1)
answers = dict(zip(bench.target_names, np.bincount(said, minlength=3).tolist()))
print(f"retrain's answers to the {asked.sum()} test pairs of the group: {answers}")

# %% [markdown]
# LIVE
#
# ## Frozen features make a retraining cheap
#
# Most who work with text today start from a pretrained encoder. If a package carries one, we can read our sentences with
# it. all-MiniLM-L6-v2 is a sentence encoder {cite:p}`reimers2019sentencebert`. It makes 384 numbers of a sentence. Of
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
    shown = pd.DataFrame(heads, index=bench.group_names).T
    tables.show(shown, "Original heads, test accuracy of each group (%), seed 0.", 0, file="heads")

# %% [markdown]
# HEADS
#
# ## The harm carries over
#
# The record has HEADSEEDS seeds of each head, and BERTSEEDS of the small BERT at ratio 0.9. A seed decides who leaves, the
# initial weights and the order of training. The sentences are the same in each seed.

# %%
table, _ = gru.read_record("text_methods")


def rows(model, method, sampling="none", ratio="0.9"):
    """The recorded scores of one row, a line for each seed."""
    return gru.select(table[table["model"] == model], method, ratio, sampling)


ORIGINAL, RETRAIN = ("original", "none"), ("retrain", "none")
REFERENCE, CEILING = ("retrain", WITH), ("ceiling", WITH)
PARTS = [(model, ratio) for model in NAMES for ratio in RATIOS if len(rows(model, *ORIGINAL, ratio))]
SEEDS = {model: len(rows(model, *ORIGINAL)) for model in NAMES}
digits, _ = gru.read_record("waterdigits_requests")

# %%
questions = {}
for model, ratio in PARTS:
    group = {key: rows(model, *key, ratio)["GA"] for key in (ORIGINAL, RETRAIN, REFERENCE)}
    questions["retraining changes", model, ratio] = group[RETRAIN] - group[ORIGINAL]
    questions["REWEIGHT gives back", model, ratio] = group[REFERENCE] - group[RETRAIN]
    questions["both together", model, ratio] = group[REFERENCE] - group[ORIGINAL]
harm = gru.paired_tests(questions)
kinds = [*dict.fromkeys(what for what, *_ in questions)]
lines = {}
for (what, model, ratio), test in harm.iterrows():
    line = lines.setdefault(f"{NAMES[model]}, {ratio}", {"original": rows(model, *ORIGINAL, ratio)["GA"].mean()})
    line.update({what: test["mean"], f"{what} ±": test["half"]})
caption = "GA of the original (%), and changes of GA (points), means and 95% intervals."
options = {"signed": kinds, "intervals": {what: f"{what} ±" for what in kinds}, "one_scale": True}
tables.show(pd.DataFrame(lines).T, caption, **options, file="harm")

# %% mystnb={"image": {"alt": "ALT."}, "figure": {"caption": "Accuracy on test pairs that are neutral with a negation (GA) at ratio 0.9: a dot a seed.", "name": "fig-text-harm"}}
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
# HARM
#
# ## What the original remembers
#
# A method must remove what the model learnt from $F$. The reference never saw $F$. So the difference between the original
# and the reference, on $F$, is what there is to forget.

# %%
images, _ = gru.read_record("waterdigits_methods")
parts = {f"{NAMES[model]}, {ratio}": (table[table["model"] == model], ratio) for model, ratio in PARTS}
parts |= {f"digits, {ratio}": (images, ratio) for ratio in RATIOS}
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
# MEMORY
#
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
tables.show(shown, caption, {"share of time": 2}, ["above doing nothing"], {"above doing nothing": "±"}, file="methods")

# %%
asked = {}
for model in NAMES:
    has = set(table.loc[table["model"] == model, "method"])
    for method in [m for m in ("finetune", "l1_sparse", "miu") if m in has]:
        gap = {how: rows(model, method, how)["avg_gap"] for how in (WITH, "none")}
        asked["REWEIGHT in it", model, method] = gap[WITH] - gap["none"]
        asked["nearer than doing nothing", model, method] = gap[WITH] - rows(model, *ORIGINAL)["avg_gap"]
    if "miu" in has:
        asked["MIU - fine-tune", model, "miu"] = rows(model, "miu", WITH)["avg_gap"] - rows(model, "finetune", WITH)["avg_gap"]
tests = gru.paired_tests(asked)
shown = tests[["mean", "half", "smallest_holm", "verdict"]].set_axis(["difference", "±", "visible from", "verdict"], axis=1)
shown.index = [f"{NAMES[model]}, {labels.name_of(method)}: {what}" for what, model, method in tests.index]
caption = "Differences in Avg. Gap at ratio 0.9 (points, 95% intervals). Verdicts: Holm over all rows. Visible from: a true difference of that size is found four times in five."
tables.show(shown, caption, 1, ["difference"], {"difference": "±"}, file="asked")
