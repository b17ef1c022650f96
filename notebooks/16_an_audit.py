# %% [markdown]
# # An audit one can trust
#
# **Result.** At ratio 0.5 the paper's attack and the balanced one don't tell SalUn with {term}`REWEIGHT` from
# retraining. An attack that judges each sample by itself does: it finds 5.9% of the forgotten samples at 1% false
# alarms, against 1.0% after retraining. Those who *stay* pay for a request. At ratio 0.9 the attack finds 31% of them
# in the original, 82% after retraining, and 92% after retraining with REWEIGHT (six populations).
#
# **Question.** Can you trust a report that says "the attack finds nothing"?
#
# **After this lesson you can**
#
# - run an attack that judges each sample by itself, and say whether you have enough models for a rate;
# - test the audit before you believe it;
# - tell which comparison an attack makes, and what it can't see;
# - say what a request does to the privacy of those who stay.
#
# **You need** {doc}`01_what_unlearning_means` for the attacks on the loss, and {doc}`07_rivals` for the methods.

# %% tags=["parameters"]
profile = "full"  # or "smoke": few models, few epochs; numbers mean nothing
seed = 0

# %%
import time

import numpy as np
import pandas as pd
from scipy import stats

import gru_lite as gru
from gru_lite import labels, plots, tables
from gru_lite.data.waterdigits import as_edges, waterdigits
from gru_lite.seeding import stream
from gru_lite.train.ensemble import fit_many

full, WITH, REFERENCE = profile == "full", "replacement", "retrain replacement"
audit, about = gru.read_record("audit")
audit["than"] = audit["than"].fillna("")


def rate(method, sampling="none", what="TPR at 1%", than="", ratio="0.5", samples="asks", against="same"):
    """A recorded rate, or its difference from that of another row: value, low and high, in percent."""
    asked = {"method": method, "sampling": sampling, "rate": what, "than": than, "ratio": ratio}
    asked |= {"samples": samples, "against": against}
    (row,) = audit[(audit[list(asked)] == pd.Series(asked)).all(axis=1)].itertuples()
    return np.array([row.value, row.low, row.high])


# %% [markdown]
# ## One threshold for all samples misses what one sample gives away
#
# The attacks of {doc}`01_what_unlearning_means` read the loss of a sample, and have one threshold for all samples. But
# some pictures are easy: every model is sure of them, trained on them or not. A loss of 0.3 says little unless you know
# the picture.
#
# {term}`LiRA` {cite:p}`carlini2022lira` judges each sample by itself. Train many {term}`shadow models <shadow model>`,
# each on a random half of the data. Then every sample $x$ has models that were trained on it, and models that were not.
# Let $p$ be the probability that a model gives to the right target of $x$. The number
#
# $$\phi = \log \frac{p}{1 - p}$$
#
# is roughly Gaussian over models. So fit two Gaussians for each sample, and score a new model by the log of their
# ratio:
#
# $$\Lambda(x) = \log \frac{N(\phi;\, \mu_\text{in}, \sigma_\text{in}^2)}{N(\phi;\, \mu_\text{out}, \sigma_\text{out}^2)}.$$
#
# A high $\Lambda$ says "member". The attack needs the model's outputs, and not its weights.
#
# {term}`U-LiRA` {cite:p}`hayes2024inexact` asks the same after unlearning. A member is now a sample that was trained on
# and then *forgotten by the method*. If the method has forgotten, the two Gaussians are one.
#
# **The models.** Our population is 2,300 pictures of WaterDigits as 131 numbers each, as in {doc}`11_group_labels`. 300
# of them are holes on land, the group that asks. A shadow model has one hidden layer, and is trained on a random half
# of each group. There are 136, in pairs with complementary halves. So each sample is in 68 models, and not in the 68
# others.
#
# **The request.** A fixed list of 150 of the 300 asks to be forgotten (ratio 0.5), or 270 of them (ratio 0.9). Each
# model forgets those on the list that it was trained on. Each model is attacked with the Gaussians of the 134 models
# outside its pair: 67 with the sample and 67 without.
#
# :::{predict}
# Before any forgetting, how far apart are the two Gaussians of a sample? Is it the same for all 150 that ask?
# :::

# %%
gaussians, _ = gru.read_record("audit_gaussians")
laws = gaussians.set_index(["method", "sampling"]).sort_index()


def spread(method, sampling):
    """How far the two Gaussians of each sample are apart, in standard deviations."""
    law = laws.loc[(method, sampling)]
    pooled = np.sqrt((law["in_sd"] ** 2 + law["out_sd"] ** 2) / 2)
    return ((law["in_mean"] - law["out_mean"]) / pooled).to_numpy()


apart = {row: spread(*row) for row in (("original", "none"), ("salun", WITH), ("retrain", WITH))}

# %% mystnb={"image": {"alt": "Left: pairs of bell curves of three samples over log p/(1-p). For one sample the solid and the dashed curve nearly coincide, for another they are several standard deviations apart. Right: cumulative curves over the 150 samples that ask. After retraining nearly all distances lie within half a standard deviation of 0. After SalUn they reach from -1.4 to 1.7, about half of them on each side of 0. In the original they reach from -0.1 to 6.4."}, "figure": {"caption": "Left: the Gaussians of three samples in the original; solid: models trained on the sample, dashed: models that were not. Right: the distance of the two Gaussians, for the 150 samples that ask (ratio 0.5).", "name": "fig-audit-gaussians"}}
fig, axes = plots.figure(9, 3.4, columns=2)
law, order_of = laws.loc[("original", "none")].reset_index(), np.argsort(apart["original", "none"])
grid = np.linspace(-8, 10, 300)
for sample, color in zip(order_of[[5, 75, 145]], (plots.INK, plots.RETRAIN, plots.TOP_UP)):
    for kind, line in (("in", "-"), ("out", "--")):
        density = stats.norm(law[f"{kind}_mean"][sample], law[f"{kind}_sd"][sample]).pdf(grid)
        axes[0].plot(grid, density, line, color=color)
axes[0].set(xlabel="log p / (1 - p)", ylabel="density over models")
for (row, values), color in zip(apart.items(), (plots.ORIGINAL, plots.ORANGE, plots.REWEIGHT)):
    axes[1].plot(np.sort(values), (np.arange(150) + 0.5) / 1.5, color=color, label=labels.label(*row))
axes[1].set(xlabel="distance of the two Gaussians (sd)", ylabel="samples below (%)")
axes[1].legend(fontsize=9)
plots.show()

# %% [markdown]
# In the original the two Gaussians are 1.8 standard deviations apart in the median, and more than 3 apart for 41 of the
# 150. They nearly coincide for others. After retraining the distances are estimates of 0, and scatter around it by
# 0.24.
#
# SalUn with REWEIGHT has the median 0.0, too. But its distances scatter three times as far, from -1.4 to 1.7. Samples
# on the right are forgotten too little: the model is surer of them than if it had never seen them. Samples on the left
# are forgotten too much: the model is *less* sure of them. Both tell that the sample was there.
#
# We chose a setting with much memory: the original is right on 99.9% of the training samples that stay. An attack can
# only compare methods where there is a memory to erase.

# %% tags=["claim"]
middle = {row[0]: np.median(values) for row, values in apart.items()}
scatter = {row[0]: values.std() for row, values in apart.items()}
assert middle["original"] > 1.5 and (apart["original", "none"] > 3).sum() >= 30
assert max(abs(middle["salun"]), abs(middle["retrain"])) < 0.1 and scatter["salun"] > 2 * scatter["retrain"]
assert apart["salun", WITH].min() < -1 and apart["salun", WITH].max() > 1.5
print(
    "median:",
    {k: f"{v:.2f}" for k, v in middle.items()},
    " more than 3:",
    (apart["original", "none"] > 3).sum(),
)
print("scatter:", {k: f"{v:.2f}" for k, v in scatter.items()})

# %% [markdown]
# ## The audit passes its own test: retraining reads as guessing
#
# An audit needs a test, too. The attack must find members where a model remembers them, and nothing where a model
# can't. A retrained model never saw the forgotten samples. So there the attack must do as well as guessing.
#
# We look at the {term}`TPR at 1% FPR`: the share of members that the attack finds while it wrongly accuses 1% of the
# non-members. Guessing finds 1%. This rate says whether the attack is *sure* of some samples. An average over all
# samples can hide them.

# %%
EXACT = [("original", "none"), ("retrain", "none"), ("retrain", WITH)]
RATES = {"TPR at 0.1%": 0.1, "TPR at 1%": 1, "TPR at 5%": 5, "AUC": 50}  # and what guessing finds
rows = {}
for row in EXACT:
    for ratio in ("0.5", "0.9"):
        cells = {what: rate(*row, what, ratio=ratio) for what in RATES}
        digits = {what: 2 if what == "TPR at 0.1%" else 1 for what in RATES}
        shown = {
            w: f"{v:.{digits[w]}f} ({low:.{digits[w]}f} to {high:.{digits[w]}f})"
            for w, (v, low, high) in cells.items()
        }
        rows[f"{labels.label(*row)}, ratio {ratio}"] = shown
caption = "The attack on those who ask (%): 136 models, 95% bootstrap intervals over pairs of models and "
caption += "over scanned digits."
tables.show(pd.DataFrame(rows).T, caption, file="self-test")

# %% [markdown]
# The attack finds 34% of the members in the original at 1% FPR, and about 1% after retraining. With REWEIGHT it is
# about 1%, too: REWEIGHT never shows a forgotten sample. All sixteen intervals of retraining hold the value of
# guessing.

# %% tags=["claim"]
for row in EXACT[1:]:
    for ratio in ("0.5", "0.9"):
        for what, guess in RATES.items():
            value, low, high = rate(*row, what, ratio=ratio)
            assert low <= guess <= high, (row, ratio, what, value, low, high)
for ratio in ("0.5", "0.9"):
    assert rate("original", ratio=ratio)[1] > 20

# %% [markdown]
# **The attack in a few lines.** Here are made-up models: members are more confident by one standard deviation, and each
# sample has a level of its own. The package's function gives the same numbers.

# %%
rng = np.random.default_rng(seed)
first = rng.random((40, 30)) < 0.5
member, pair = np.stack([first, ~first], 1).reshape(80, 30), np.arange(80) // 2
phi = rng.normal(0, 1, (80, 30)) + member + rng.normal(0, 5, 30)
by_hand = np.empty_like(phi)
for k, j in np.ndindex(phi.shape):
    others = pair != pair[k]
    inside, outside = (phi[others & (member[:, j] == kind), j] for kind in (True, False))
    densities = [stats.norm(v.mean(), v.std(ddof=1)).logpdf(phi[k, j]) for v in (inside, outside)]
    by_hand[k, j] = densities[0] - densities[1]
score = gru.likelihood_ratio_attack(phi, member, cluster=pair)
assert np.allclose(score, by_hand)
print("TPR at 1% FPR, and its interval:", np.round(gru.tpr_at_fpr(score, member, 0.01, cluster=pair), 1))

# %% [markdown]
# An interval needs enough models, because the samples of one model aren't independent. With too few the function
# refuses, and says how many would do. Eight models are four pairs, too few for any interval. The 80 models have too few
# non-members for a rate at 0.1%:

# %%
for n, fpr in ((8, 0.01), (80, 0.001)):
    try:
        gru.tpr_at_fpr(score[:n], member[:n], fpr, cluster=pair[:n])
    except gru.InputError as refused:
        print(refused)

# %% [markdown]
# ## SalUn passes two attacks and fails the third, and MIU the other way round
#
# Now seven methods forget the request at ratio 0.5. Six of them do it with REWEIGHT and without. Gradient ascent has no
# pass over $R$, so it has one row. Each row had six trials of hyperparameters on another population. The one nearest to
# two references was kept (`audit_search.csv`). Six trials are few, and a longer search may find better ones.
#
# We compare three attacks on the same models:
#
# - the paper's {term}`MIA`, minus that of retraining with REWEIGHT for the same half of the data (a lower MIA gives
#   more away);
# - the {term}`balanced attack`, an AUC, minus the same reference's;
# - U-LiRA's TPR at 1% FPR.
#
# A method *passes* an attack if it isn't shown to give away more than the reference. To pass is no proof: the
# difference may be undecided.
#
# :::{predict}
# Which methods pass the first two attacks? Which of those pass U-LiRA?
# :::

# %%
models, _ = gru.read_record("audit_models")
METHODS = ["finetune", "l1_sparse", "eu_k", "salun", "scrub", "miu"]
ROWS = [EXACT[0], EXACT[1], ("gradient_ascent", "none"), *((m, s) for m in METHODS for s in (WITH, "none"))]
ROWS += [("finetune_miu_lr", WITH)]


def of_models(method, sampling, column, ratio="0.5"):
    """A recorded column of a row, a number for each model."""
    rows = models[
        (models["method"] == method) & (models["sampling"] == sampling) & (models["ratio"] == ratio)
    ]
    return rows.set_index("model")[column].dropna()


def row_name(method, sampling):
    """The name of a row. One is a control: fine-tuning at the learning rate of MIU's trial."""
    return labels.label(method, sampling).replace("finetune miu lr", "fine-tune, MIU's rate")


def passes(attack, row):
    """Whether an attack isn't shown to find more in a row than in retraining with REWEIGHT."""
    if attack == "U-LiRA":
        return rate(*row, than=REFERENCE)[1] <= 0
    more = of_models(*row, attack) - of_models("retrain", WITH, attack)
    mean, half = gru.mean_interval(more if attack == "AUC" else -more)  # a low MIA gives away
    return mean - half <= 0


found = {}
for row in ROWS:
    cells = {}
    for attack in ("MIA", "AUC"):
        more = of_models(*row, attack) - of_models("retrain", WITH, attack)
        cells[attack], cells[f"{attack} ±"] = gru.mean_interval(more)
    cells["U-LiRA"], cells["low"], cells["high"] = rate(*row)
    cells["passes"] = ", ".join(a for a in ("MIA", "AUC", "U-LiRA") if passes(a, row)) or "none"
    found[row_name(*row)] = cells
found = pd.DataFrame(found).T

# %% mystnb={"image": {"alt": "Three panels with a row for each method. In the MIA panel retraining and SalUn, with REWEIGHT and without, are within 2 points of 0. MIU is at -3 to -8, and the others lie between -6 and -33. In the AUC panel retraining, SalUn with REWEIGHT and both rows of MIU are within 1 point of 0, fine-tuning at MIU's rate is at 8, and the others lie between 10 and 22. In the U-LiRA panel retraining is at the dotted line of 1 percent, MIU at 1.5 with REWEIGHT and at 1.9 without, SalUn with REWEIGHT at 6, and the original, gradient ascent and SCRUB near 30."}, "figure": {"caption": "Three attacks on the same models, ratio 0.5, 95% intervals. Left and middle: minus retraining with REWEIGHT, 32 models, paired; dotted: no difference. Right: 136 models; dotted: guessing. Filled: with REWEIGHT; hollow: without.", "name": "fig-audit-methods"}}
fig, axes = plots.figure(10, 4.2, columns=3, sharey=True)
places = {method: -place for place, method in enumerate(dict.fromkeys(method for method, _ in ROWS))}
for (method, sampling), (_, cells) in zip(ROWS, found.iterrows()):
    y = places[method] + (0.15 if sampling == WITH else -0.15)
    look = {"color": plots.REWEIGHT if sampling == WITH else plots.RETRAIN, "marker": "o", "capsize": 3}
    look |= {} if sampling == WITH else {"mfc": "white"}
    for axis, attack in zip(axes, ("MIA", "AUC")):
        axis.errorbar(cells[attack], y, xerr=cells[f"{attack} ±"], **look)
    ends = [[cells["U-LiRA"] - cells["low"]], [cells["high"] - cells["U-LiRA"]]]
    axes[2].errorbar(cells["U-LiRA"], y, xerr=ends, **look)
for axis, level in zip(axes, (0, 0, 1)):
    axis.axvline(level, color=plots.INK, ls=":", lw=1)
axes[0].set_yticks([*places.values()], [row_name(method, "none") for method in places])
axes[0].set_xlabel("MIA − reference (points)")
axes[1].set_xlabel("balanced AUC − reference (points)")
axes[2].set(xlabel="U-LiRA: TPR at 1% FPR (%)", xscale="log")
axes[2].set_xticks([1, 3, 10, 30], ["1", "3", "10", "30"])
plots.show()

# %%
caption = "The numbers of the figure. MIA and AUC: minus retraining with REWEIGHT, in points. U-LiRA: TPR at 1% FPR (%). "
caption += "Last: which attacks the row passes."
shown = found.assign(
    **{"U-LiRA": [f"{v:.1f} ({a:.1f} to {b:.1f})" for v, a, b in found[["U-LiRA", "low", "high"]].to_numpy()]}
)
shown = shown[["MIA", "MIA ±", "AUC", "AUC ±", "U-LiRA", "passes"]]
tables.show(shown, caption, 1, ["MIA", "AUC"], {"MIA": "MIA ±", "AUC": "AUC ±"}, file="methods")

# %% [markdown]
# **SalUn with REWEIGHT passes the two attacks on the loss, and fails U-LiRA.** Its MIA is +0.2 ± 2.4 points from the
# reference's, and its AUC +0.2 ± 0.8. U-LiRA finds 5.9% (4.3 to 7.7) of its forgotten samples, 4.9 points more than
# after retraining (3.3 to 6.7). That fits the first figure: samples forgotten too much and too little cancel in the
# median. SalUn without REWEIGHT passes the MIA alone, and U-LiRA finds 16.2%.
#
# **At ratio 0.9 SalUn with REWEIGHT fails all three.** Its MIA is -8.0 ± 2.1 points from the reference's, its AUC +8.5
# ± 0.8, and U-LiRA finds 9.3% (7.6 to 11.2). So "passes" holds for one ratio.
#
# **MIU with REWEIGHT disagrees the other way.** It fails the MIA, by -7.5 ± 2.6 points. U-LiRA finds 1.5% (1.0 to 2.3).
# Compared with retraining that is undecided: +0.5 (-0.4 to +1.3). The AUC of U-LiRA shows a small trace: 52.6, or 2.3
# above retraining's (0.3 to 4.3). The MIA compares the losses on $F$ with those on $R$ and on new pictures. U-LiRA
# compares them with the losses of MIU's models that never had the sample.
#
# **Part of MIU's lead over fine-tuning is the rate.** MIU's best trial has the rate 0.14, and no trial of fine-tuning went
# above 0.095. At 0.14 fine-tuning with REWEIGHT leaves 4.8% (3.2 to 6.8) instead of 10.9%. With MIU it is 1.5% (1.0 to
# 2.3), so the rate isn't all. Compare methods at equal rates as well.
#
# MIU without REWEIGHT passes U-LiRA alone, with 1.9% (1.3 to 2.6). **All other rows but retraining fail all three
# attacks.** In SCRUB and after gradient ascent U-LiRA finds 28% to 32%, and 34% in the original.

# %% tags=["claim"]
salun, miu = ("salun", WITH), ("miu", WITH)
verdicts = {row: {a for a in ("MIA", "AUC", "U-LiRA") if passes(a, row)} for row in ROWS}
assert verdicts[salun] == {"MIA", "AUC"} and verdicts["salun", "none"] == {"MIA"}
assert (
    verdicts[miu] == {"AUC", "U-LiRA"}
    and verdicts["miu", "none"] == {"U-LiRA"}
    and "U-LiRA" in verdicts["retrain", "none"]
)
assert abs(found.loc[row_name(*salun), "MIA"]) < 3 and abs(found.loc[row_name(*salun), "AUC"]) < 1.5
value, low, high = rate(*salun, than=REFERENCE)
assert low > 2 and rate(*miu, what="AUC", than=REFERENCE)[1] > 0
less = of_models("retrain", WITH, "MIA") - of_models(*miu, "MIA")
gru.check_claim("MIU: the MIA finds more than in the reference", less)
assert (
    rate(*miu)[2]
    < rate("finetune_miu_lr", WITH)[1]
    < rate("finetune_miu_lr", WITH)[2]
    < rate("finetune", WITH)[1]
)
worse = [of_models(*salun, c, "0.9") - of_models("retrain", WITH, c, "0.9") for c in ("MIA", "AUC")]
gru.check_claim("SalUn at ratio 0.9: the MIA finds more than in the reference", -worse[0])
gru.check_claim("SalUn at ratio 0.9: the balanced attack finds more", worse[1])
assert rate(*salun, than=REFERENCE, ratio="0.9")[1] > 2
assert of_models("original", "none", "RA").mean() > 99.5
print("SalUn at ratio 0.9, U-LiRA:", rate(*salun, ratio="0.9").round(1))
for row in ROWS[2:9] + ROWS[11:13] + ROWS[15:]:
    assert not verdicts[row], row

# %% [markdown]
# ## Compared with retraining, the attack finds more
#
# U-LiRA compares a method's own models: those that forgot $x$, and those that never had $x$ and forgot the others. Only
# $x$ differs, so this comparison sees nothing but $x$. You can also compare with *retrained* models. Then whatever the
# method does to the whole group counts as a trace, even where it says nothing about $x$.

# %%
two = {}
for row in (("finetune", WITH), ("eu_k", WITH), ("salun", WITH), ("miu", WITH)):
    cells = {}
    for name, against in (("own models", "same"), ("retrained", "retrain")):
        value, low, high = rate(*row, against=against)
        cells[f"against {name}"] = f"{value:.1f} ({low:.1f} to {high:.1f})"
    two[labels.label(*row)] = cells
caption = "U-LiRA, TPR at 1% FPR (%), ratio 0.5, against two kinds of models that never had the sample, 95% intervals."
tables.show(pd.DataFrame(two).T, caption, file="two-kinds")

# %% [markdown]
# Against retrained models U-LiRA finds 10.6% in MIU and 46.1% in EU-k. Which comparison is right depends on your
# question. "Can someone tell that *this sample* was there?" needs a method's own models. "Is this model like a
# *retrained* one?" needs retrained ones. The first is our audit.

# %% tags=["claim"]
for row in (("finetune", WITH), ("eu_k", WITH), ("salun", WITH), ("miu", WITH)):
    assert rate(*row, against="retrain")[1] > rate(*row)[2], f"{row}: the two comparisons overlap"

# %% [markdown]
# ## Those who stay pay: retraining exposes them, and REWEIGHT a little more
#
# Retraining forgets. But what does it do to the members of the group who *stay*? At ratio 0.9 a model keeps 15 of the
# group's 150 members. REWEIGHT gives each of them the weight 10, so an epoch draws each about ten times.
# {cite:t}`hayes2024inexact` report that unlearning can expose the samples that remain.
#
# This attack is plain LiRA. The targets are the 30 samples of the group that aren't on the list. A member was trained
# on and stays. 30 samples are few, so the record has six populations, with 136 models each.
#
# :::{predict}
# The original has 150 members of the group, a retrained model 15. Are the 15 who stay easier to find than before? Does
# REWEIGHT make it worse?
# :::

# %%
stayers, _ = gru.read_record("audit_stayers")
exposed = stayers[(stayers["samples"] == "stays") & (stayers["rate"] == "TPR at 1%")]
exposed = exposed.pivot_table(index="seed", columns=["method", "sampling"], values="value")[EXACT]
more = {
    "retrain − original": exposed[EXACT[1]] - exposed[EXACT[0]],
    "REWEIGHT − retrain": exposed[EXACT[2]] - exposed[EXACT[1]],
}

# %% mystnb={"image": {"alt": "Six lines, one for each population, over three places: original, retrain, retrain with REWEIGHT. All lines rise steeply from 23 to 49 percent at the original to 68 to 95 percent at retrain, and all rise a little further to 78 to 100 percent with REWEIGHT."}, "figure": {"caption": "LiRA on the members of the group who stay, ratio 0.9: TPR at 1% FPR, a line for each population. Dotted: guessing.", "name": "fig-audit-stayers"}}
fig, axis = plots.figure(6, 3.4)
for _, values in exposed.iterrows():
    axis.plot(range(3), values, "o-", color=plots.REWEIGHT, lw=1, ms=5, alpha=0.7)
axis.axhline(1, color=plots.INK, ls=":", lw=1)
axis.set_xticks(range(3), [labels.label(*row) for row in EXACT])
axis.set(ylabel="members found at 1% FPR (%)", ylim=(0, 104))
plots.show()

# %%
means = {labels.label(*row): gru.mean_interval(exposed[row]) for row in EXACT}
means |= {name: gru.mean_interval(values) for name, values in more.items()}
shown = pd.DataFrame(means, index=["TPR at 1% FPR", "±"]).T
tables.show(shown, "Those who stay: mean of six populations, 95% Student interval. Below: paired differences, in points.",
            intervals={"TPR at 1% FPR": "±"}, file="stayers")  # fmt: skip

# %% [markdown]
# **Shown: retraining exposes those who stay.** The attack finds 50.8 ± 8.9 points more of them than in the original. We
# didn't test why. One guess: each is now one of 15 instead of one of 150, so the model depends more on each. To test
# it, retrain with the same 15 and other pictures of their group that didn't ask.
#
# **Shown: REWEIGHT adds to it,** by 9.8 ± 4.8 points. REWEIGHT shows the last members of the group ten times as often.
# At ratio 0.5, where the weight is 2, the difference is +2.2 points (-2.4 to +5.1), from one population. That is
# undecided.
#
# So here forgetting some people costs the privacy of others, even if it's done exactly. A report on a request should
# state both.

# %% tags=["claim"]
gru.check_claim("retraining exposes those who stay", more["retrain − original"])
gru.check_claim("REWEIGHT exposes them more", more["REWEIGHT − retrain"])
assert (more["retrain − original"] > 0).all() and (more["REWEIGHT − retrain"] > 0).all()
at_half = rate("retrain", WITH, than="retrain none", samples="stays")
assert at_half[1] < 0 < at_half[2], at_half
print("ratio 0.5, REWEIGHT - retrain:", at_half.round(1))

# %% [markdown]
# ## A fresh probe finds 0.87 nats where MIU's critic reads 0.30
#
# {term}`MIU` lowers what its own {term}`critic` reads of the {term}`mutual information` of features and group.
# {doc}`06_implementing_miu` warned that this critic is no evidence, because it supplied the gradient. So let a fresh
# classifier look. It learns the group from the features of pictures that no model was trained on, and is judged on
# other such pictures.
#
# :::{predict}
# MIU trains the model until its critic reads less. Does a fresh classifier find less than in the original, too?
# :::

# %%
probe, _ = gru.read_record("audit_probe")


def read(method, sampling, column="fresh"):
    """What was read of I(Z; G) in the first six models of a row, in nats."""
    return probe[(probe["method"] == method) & (probe["sampling"] == sampling)].set_index("model")[column]


rows = {}
for row in [*EXACT, *(row for row in ROWS if row[1] == WITH and row[0] in METHODS)]:
    less = read(*row) - read("retrain", WITH)
    cells = {"fresh": read(*row).mean(), "fresh − reference": less.mean(), "±": gru.mean_interval(less)[1]}
    rows[row_name(*row)] = cells | {"own critic": read(*row, "own_val").mean()}
caption = "I(Z; G) in nats, on pictures that no model was trained on: mean of six models, ratio 0.5. "
caption += "Own critic: MIU's alone."
tables.show(pd.DataFrame(rows).T, caption, 2, ["fresh − reference"], {"fresh − reference": "±"}, file="probe")

# %% [markdown]
# **MIU's own critic reads 0.30 nats, and a fresh classifier 0.87,** on the same pictures. So the critic's value is no
# evidence that the features tell less about the group. Compared with the reference MIU has +0.02 ± 0.03 nats more, which is undecided.
#
# For every row a difference of 0.06 nats or more from the reference is excluded, and for the original, too. So on new
# pictures $I(Z; G)$ doesn't tell the original from a retrained model here, and the attack on single samples does.
# $I(Z; G)$ measures what features tell of a *group*. The attack measures what a model tells of *one sample*.

# %% tags=["claim"]
for row in [*EXACT[:2], *((method, WITH) for method in METHODS)]:
    mean, half = gru.mean_interval(read(*row) - read("retrain", WITH))
    assert abs(mean) + half < 0.06, row
gru.check_claim(
    "a fresh probe finds over 0.4 nats more than MIU's critic", read(*miu) - read(*miu, "own_val") - 0.4
)
mean, half = gru.mean_interval(read(*miu) - read("retrain", WITH))
assert mean - half < 0 < mean + half

# %% [markdown]
# ## Eight models again, live
#
# The first eight models of the record are trained again here, and attacked with the recorded Gaussians of the 128
# others. `fit_many` trains them all at once. It stacks their weights with `torch.func`, and each learns what `fit`
# would have taught it. Does that pay? The third cell times it.

# %%
n_models = 8 if full else 2
bench = as_edges(waterdigits(seed, ((1050, 180), (300, 770)) if full else ((60, 30), (300, 60))))
pool = bench.train
order = stream(seed, "who asks").permutation(np.flatnonzero(pool.group == 2))  # the first 150 ask
strata = [*(np.flatnonzero(pool.group == g) for g in (0, 1, 3)), *np.split(order, [150, 270])]
inside = np.zeros((n_models, len(pool)), dtype=bool)
for k in range(n_models // 2):
    for stratum in strata:
        inside[2 * k, stream(seed, "half", k).permutation(stratum)[: len(stratum) // 2]] = True
    inside[2 * k + 1] = ~inside[2 * k]
kept = [np.flatnonzero(row & ~np.isin(np.arange(len(pool)), order[:150])) for row in inside]

# %%
starts = [gru.build_model("mlp", 2, k, n_features=131) for k in range(n_models)]
config = gru.TrainConfig(shift=0, epochs=15 if full else 3)
shared = {"seeds": range(n_models), "config": config}
weights = []
for row, index in zip(inside, kept):
    before, after = (np.bincount(pool.group[part], minlength=4) for part in (row, index))
    weights.append(gru.group_weights(before, after)[pool.group[index]])
live = {
    EXACT[0]: fit_many(starts, pool, indices=[np.flatnonzero(row) for row in inside], **shared),
    EXACT[1]: fit_many(starts, pool, indices=kept, **shared),
    EXACT[2]: fit_many(starts, pool, indices=kept, weights=weights, **shared),
}

# %%
many, brief = [starts[k % n_models] for k in range(64 if full else 4)], gru.TrainConfig(shift=0, epochs=3)
begun = time.process_time()
fit_many(many, pool, indices=[kept[0]] * len(many), seeds=range(len(many)), config=brief)
between = time.process_time()
for model in many[:8]:
    gru.fit(model, pool, indices=kept[0], config=brief)
alone, together = (time.process_time() - between) / 8, (between - begun) / len(many)
print(f"{len(many)} models at once: each takes {together / alone:.0%} of the time of fit")

# %%
rows, off, target = {}, [], pool.target[order[:150]]
for row, trained in live.items():
    law = laws.loc[row]
    phi = np.array([gru.logit_confidence(gru.predict(m, pool, order[:150]), target) for m in trained])
    densities = [stats.norm(law[f"{kind}_mean"], law[f"{kind}_sd"]).logpdf(phi) for kind in ("in", "out")]
    ratios, is_member = densities[0] - densities[1], inside[:, order[:150]]
    auc = [100 * (r[m][:, None] > r[~m]).mean() for r, m in zip(ratios, is_member)]
    recorded = of_models(*row, "asks_lira_auc")[:n_models]
    off.append(np.mean(auc) - recorded.mean())
    rows[labels.label(*row)] = {"live": np.mean(auc), "record": recorded.mean()}
caption = (
    "The attack on those who ask in the first eight models, ratio 0.5: mean AUC (%), here and in the record."
)
tables.show(pd.DataFrame(rows).T, caption, file="live")

# %% tags=["claim"]
if full and seed == 0:
    assert max(map(abs, off)) < 3, "these models are far from the record"
    assert rows["original (no-op)"]["live"] > 80 and abs(rows["retrain"]["live"] - 50) < 8

# %% [markdown]
# The record left out one pair for each model, and here all eight are left out. So the numbers differ a little.
#
# ## How to audit a method
#
# 1. **Choose a setting with memory.** If the attack finds little in the original, it can't tell methods apart.
# 2. **Train many models with a sample and as many without it** (here 68 each), and let the method forget the request in
#    all. `tpr_at_fpr` says how many a rate needs.
# 3. **Test the audit.** Retraining must read as guessing, and the original far from it.
# 4. **Report the TPR at a low FPR,** with an interval that resamples models.
# 5. **Attack those who stay as well,** and at more than one ratio: SalUn with REWEIGHT passes two attacks at 0.5, and none
#    at 0.9.
#
# The limits of this lesson: the network is small, and we chose a setting with much memory. There is one group, two
# ratios and one list. Each method had six trials. A stronger attack can find more: passing U-LiRA isn't a proof.
# {doc}`12_what_can_be_proved` has what can be proved.
#
# ## Summary
#
# - An attack with one threshold for all samples can miss what a {term}`LiRA` attack finds. At ratio 0.5 SalUn with
#   REWEIGHT passes the MIA and the balanced attack, and U-LiRA finds 5.9% at 1% FPR. At ratio 0.9 it
#   fails all three. MIU with REWEIGHT fails the MIA, and U-LiRA finds 1.5%.
# - Test the audit: here it finds 34% in the original and 1% after retraining, at 1% FPR.
# - Those who stay are easier to find at ratio 0.9: 31% in the original, 82% after retraining, 92% with REWEIGHT.
# - MIU's own critic reads 0.30 nats where a fresh classifier finds 0.87.
#
# ## Questions
#
# :::{quiz}
# An attack has an AUC of 52% on the forgotten samples. Is nobody at risk?
#
# - [ ] Nobody, since 50% is guessing.
#
#   The AUC is a mean over all samples. A few samples that are found for sure hardly move it.
#
# - [x] You can't tell. Look at the TPR at a low FPR.
#
#   If the attack is sure of 3% of the members and guesses the rest, the AUC is near 51.5%, and the TPR at 0.1% FPR is
#   above 3%.
#
# - [ ] Everybody, since 52% is more than 50%.
#
#   It may be within the interval. And it says nothing about who is at risk.
# :::
#
# :::{quiz}
# After retraining without them, an attack finds 8% (95% interval 6 to 10) of the forgotten samples at 1% FPR. What do
# you conclude?
#
# - [ ] Retraining doesn't forget.
#
#   A retrained model never saw the samples, so nothing in it can come from them.
#
# - [x] The audit is wrong, or its members and non-members differ in something else.
#
#   For instance, members are from training and non-members from validation, and one of the two is easier. Random halves
#   of one population remove that.
#
# - [ ] The attack needs more shadow models.
#
#   More models make the interval narrower. This one excludes 1% already.
# :::
#
# :::{quiz}
# A group loses 90% of its members, and REWEIGHT is used. Whose privacy changes in this lesson's record?
#
# - [ ] Only that of those who asked.
#
#   In both retrained models the attack on them does as well as guessing. Those who stay are found more often.
#
# - [x] Those who stay are found more often, mostly through the retraining itself.
#
#   50.8 points come with the retraining, and 9.8 more with REWEIGHT.
#
# - [ ] Those who stay are found more often, only through REWEIGHT.
#
#   REWEIGHT adds the smaller part.
# :::
#
# ## Exercises
#
# :::{exercise} What an AUC hides
# :label: ex-auc-and-tpr
# All members are more confident by $d$ standard deviations: N(d, 1) against N(0, 1). Derive the TPR at an FPR $f$ and
# the AUC. Which TPR at 1% FPR belongs to an AUC of 70%?
# :::
#
# :::{clue}
# The threshold is the $1 - f$ quantile of the non-members. For the AUC, the difference of a member and a non-member is
# Gaussian.
# :::
#
# :::{answer}
# :::
#
# The threshold is $z = \Phi^{-1}(1 - f)$, so the TPR is $\Phi(d - z)$. The difference has mean $d$ and variance 2, so
# the AUC is $\Phi(d / \sqrt 2)$.

# %% tags=["solution"]
d = np.sqrt(2) * stats.norm.ppf(0.70)
tpr = stats.norm.cdf(d - stats.norm.ppf(0.99))
print(f"d = {d:.2f}, TPR at 1% FPR = {tpr:.1%}")
assert round(100 * tpr, 1) == 5.7

# %% [markdown]
# With an AUC of 70% the attack finds 5.7% of the members. Real samples differ, and those with a large $d$ are found
# first.
#
# :::{answer-end}
# :::
#
# :::{exercise} How many models does a rate need?
# :label: ex-models-for-a-rate
# `tpr_at_fpr` wants at least ten false alarms: $10 / f$ non-members. You attack 150 samples, each in half of the
# models. How many models do you need for an FPR of 1%, and of 0.1%? And if you attack 30 samples?
# :::
#
# :::{clue}
# One model has half of the samples as non-members.
# :::
#
# :::{answer}
# :::

# %% tags=["solution"]
for n_samples in (150, 30):
    for fpr in (0.01, 0.001):
        needed = int(np.ceil(10 / fpr / (n_samples / 2)))
        print(f"{n_samples} samples, FPR {fpr:.1%}: {needed} models")
assert needed == 667

# %% [markdown]
# For an FPR of 1%, 150 samples need 14 models and 30 samples 67. For 0.1% they need 134 and 667. The function also
# wants 20 clusters of models for its interval: 40 models in pairs. So 14 aren't enough. The record has 136 models, and
# no rate at 0.1% for the 30 who stay.
#
# :::{answer-end}
# :::
#
# :::{exercise} Equal spreads
# :label: ex-equal-spreads
# Suppose that both Gaussians of a sample have the same variance. Show that $\Lambda$ is then a straight line in $\phi$.
# What does its slope say about the sample?
# :::
#
# :::{clue}
# Write out the difference of the two squares.
# :::
#
# :::{answer}
# :::
#
# $$\Lambda = \frac{(\phi - \mu_\text{out})^2 - (\phi - \mu_\text{in})^2}{2 \sigma^2}
# = \frac{\mu_\text{in} - \mu_\text{out}}{\sigma^2} \left(\phi - \frac{\mu_\text{in} + \mu_\text{out}}{2}\right).$$
#
# The slope is large for samples that models remember. A sample whose Gaussians are one has the slope 0: its $\Lambda$
# is always 0, so it raises no alarm at a positive threshold.

# %% tags=["solution"]
grid = np.linspace(-3, 3, 7)
line = (2.0 - 0.5) / 0.8**2 * (grid - (2.0 + 0.5) / 2)
assert np.allclose(stats.norm(2.0, 0.8).logpdf(grid) - stats.norm(0.5, 0.8).logpdf(grid), line)

# %% [markdown]
# :::{answer-end}
# :::
#
# ## Next
#
# This is the last lesson. Take a method of your own, and audit it before you publish it: {doc}`../contributing` shows
# how to add one.
