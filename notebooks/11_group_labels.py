# %% [markdown]
# # Group labels that are missing or wrong
#
# **Result.** RESULT
#
# **Question.** {term}`REWEIGHT` counts the groups, so it needs to know who belongs to which. How good must these labels
# be, and what can you do when they aren't?
#
# **After this lesson you can**
#
# - compute what a flip rate or a confusion matrix leaves of a weight;
# - correct the weights for known flips, and say when no weights can;
# - fill in missing labels from a few known ones, and judge the result by one number;
# - say how good your own labels must be.
#
# **You need** {doc}`03_exact_unlearning_by_reweighting`.

# %% tags=["parameters"]
profile = "full"  # or "smoke": few images, one epoch; numbers mean nothing

# %%
import numpy as np
import pandas as pd

import gru_lite as gru
from gru_lite import checks, observed, plots, tables
from gru_lite.data.waterdigits import as_edges
from gru_lite.observed import flips

# %% [markdown]
# ## Two wrong labels in a hundred turn a weight of 10 into 4.3
#
# WaterDigits has 180 digits with a hole on land. When 90% of them ask to be forgotten, 18 stay, and {term}`REWEIGHT` gives
# each of the 18 the weight 180 / 18 = 10. Now suppose that the background of each picture was labelled by someone who
# errs at the {term}`flip rate` $\varepsilon$, in both directions. The targets are right, and so is the list of those
# who ask. The training sees only the labels, those of $D$ and of $R$.
#
# Both counts get $0.98$ of the true group at $\varepsilon = 0.02$, and $0.02$ of the 1,540 holes on water:
#
# $$\frac{0.98 \cdot 180 + 0.02 \cdot 1540}{0.98 \cdot 18 + 0.02 \cdot 1540} = \frac{207.2}{48.4} = 4.28.$$
#
# The 31 strangers are in both counts. They hardly matter among 180, and they are most of what is left.
#
# :::{predict}
# With 2% of flips the weight is 4.3. What is it with 10%, and with 30%?
# :::

# %%
before = np.array([[2100, 180], [180, 1540]])  # rows: no hole, hole; columns: land, water
after = np.array([[2100, 180], [18, 1540]])


def seen_weights(rate, before=before, after=after):
    """REWEIGHT's weights of the seen groups, in expectation over the flips."""
    return (before @ flips(rate)) / (after @ flips(rate))


rows = {}
for rate in (0, 0.02, 0.05, 0.1, 0.2, 0.3):
    on_land, on_water = seen_weights(rate)[1]
    gets = (1 - rate) * on_land + rate * on_water  # a true member is seen on land or on water
    rows[f"{rate:.0%} flipped"] = {
        "seen in the group": (after @ flips(rate))[1, 0],
        "members among them (%)": 100 * (1 - rate) * 18 / (after @ flips(rate))[1, 0],
        "weight": on_land,
        "a true member gets": gets,
    }
weights = pd.DataFrame(rows).T
caption = "Hole on land after 90% of it was forgotten, in expectation: who is seen in the group, and weights."
tables.show(weights, caption, {"weight": 2, "a true member gets": 2}, file="weights")

# %% [markdown]
# At 30% the weight is 1.24. That number needs three assumptions: the flips go both ways, they hit those who ask as
# often as those who stay, and the group is a tenth as large as the one it is confused with. If the labels of those who
# ask were right, it would be $(474.6 + 162) / 474.6 = 1.34$. In `waterdigits_large` the group has 600 images instead of 180,
# and 30% leaves 1.75.
#
# The column *members among them* is the {term}`precision of a group label`: of the retained samples that are seen in the
# group, how many belong to it. It explains the weights, and we will need it again.

# %% tags=["claim"]
assert np.allclose(weights["weight"], [10, 4.28, 2.64, 1.86, 1.40, 1.24], atol=0.005)
assert np.isclose((after @ flips(0.3))[1, 0], 474.6) and round((474.6 + 162) / 474.6, 2) == 1.34
larger = [np.array([[2100, 180], [n, 1540]]) for n in (600, 60)]
assert round(seen_weights(0.3, *larger)[1, 0], 2) == 1.75

# %% [markdown]
# ## Known flips can be undone below one in eleven
#
# Suppose that you know the {term}`confusion matrix` of your labels, $C_{sh} = P(\text{seen as } h \mid \text{true } s)$, because
# some samples were labelled twice with care. Take one target. Let $n(s)$ be its true counts and $m(h)$ the seen ones.
# Two linear systems give the weights.
#
# 1. **Count.** On average $m = C^\top n$. Solve it for $D$ and for $R$. The ratio $w(s) = n_D(s) / n_R(s)$ is what a
#    member of the true group $s$ should weigh.
# 2. **Weigh.** A sample that is seen as $h$ gets the weight $v(h)$. So a member of $s$ gets $\sum_h C_{sh}\, v(h)$ on
#    average. Solve $C v = w$.
#
# *Proof that this restores the groups.* The expected draws of the true group $s$ are in proportion to
# $n_R(s) \sum_h C_{sh} v(h) = n_R(s)\, w(s) = n_D(s)$. $\square$
#
# This needs flips that depend on the true group alone. The same two systems correct losses for label noise
# {cite:p}`patrini2017making`. By hand, for 5% of flips:

# %%
rate = 0.05
C = flips(rate)
seen_D, seen_R = before[1] @ C, after[1] @ C  # digits with a hole
true_D, true_R = np.linalg.solve(C.T, seen_D), np.linalg.solve(C.T, seen_R)
w = true_D / true_R
v = np.linalg.solve(C, w)
print("true counts:", true_D.round(6), true_R.round(6))
print("weights of true groups:", w.round(3), " of seen groups:", v.round(3))
package = observed.corrected_group_weights((before @ C).ravel(), (after @ C).ravel(), C)
assert np.allclose(package[2:], v)

# %% [markdown]
# Those who are seen on land weigh 10.5, and the others only half. Now let the flips grow. For two groups and $w = (w, 1)$
# the second weight is
#
# $$v(\text{water}) = \frac{(1 - \varepsilon) - \varepsilon w}{1 - 2 \varepsilon},$$
#
# and it is negative from $\varepsilon = 1 / (1 + w)$ on. For $w = 10$ that is one in eleven, 9.1%. **Beyond it no
# weights restore the group**, because nobody can be drawn less than never. The package then takes the weights $v \ge 0$
# for which $C v$ is nearest to $w$. For flips at different rates the limit is
#
# $$\frac{P(\text{seen in the group} \mid \text{not of it})}{P(\text{seen in the group} \mid \text{of it})} < \frac{1}{w}.$$
#
# So it is the strangers that count. A label that misses half of the group does less damage than one that lets 5% of a
# large group in.
#
# :::{predict}
# At 10% of flips, just beyond the limit, how many of the 1,558 retained digits with a hole will ever be drawn?
# :::

# %%
rows = {}
for rate in (0, 0.02, 0.05, 0.08, 0.1, 0.2, 0.3):
    C = flips(rate)
    v = observed.corrected_group_weights((before @ C).ravel(), (after @ C).ravel(), C)[2:]
    m = after[1] @ C
    rows[f"{rate:.0%} flipped"] = {
        "seen on land": v[0],
        "seen on water": v[1],
        "a true member gets": (C @ v)[0],
        "without correction": (C @ seen_weights(rate)[1])[0],
        "ESS of 1,558": round((m @ v) ** 2 / (m @ v**2)),
    }
corrected = pd.DataFrame(rows).T.astype({"ESS of 1,558": int})
caption = "Corrected weights of digits with a hole, what a true member gets with them, and the effective sample size."
tables.show(corrected, caption, 2, file="corrected")

# %% [markdown]
# At 10% only the 170 that are seen on land are drawn, 16 of them members. The correction gives a member the weight 9.1,
# and it throws 1,388 images away. That is its price: the {term}`effective sample size` of the digits with a hole falls
# from 886 to 170, and without a correction it would be 1,474. At 30% a member gets 2.5 at best.
#
# The second price is in the counts. Here they are expected counts. Real ones vary, and 18 is a small number.

# %% tags=["claim"]
assert np.isclose(corrected.loc["5% flipped", "a true member gets"], 10)
assert (corrected.loc[["8% flipped"], "seen on water"] > 0).all()
assert (corrected.loc[["10% flipped", "20% flipped", "30% flipped"], "seen on water"] == 0).all()
assert corrected["ESS of 1,558"].loc[["0% flipped", "10% flipped"]].tolist() == [886, 170]
m, v = after[1] @ flips(0.1), seen_weights(0.1)[1]
assert round((m @ v) ** 2 / (m @ v**2)) == 1474 and round(m[0]) == 170 and round(0.9 * 18) == 16
assert round(corrected.loc["30% flipped", "a true member gets"], 1) == 2.5

# %% [markdown]
# ## On average the correction hits the share, and one draw of labels can miss it
#
# We draw the labels 200 times, and compute from each draw which share of a pass comes from the true group. It should be
# 600 of 4,420, or 13.6%, on `waterdigits_large`.

# %%
bench = gru.load("waterdigits_large" if profile == "full" else "waterdigits_small", seed=seed)
bench = as_edges(bench)  # 131 numbers for each picture: we need that below
train, split = bench.train, gru.forget_split(bench.train, groups=[(1, 0)], ratio=0.9, seed=seed)
member = split.group[split.retain] == 2


def drawn(weights):
    """Share of draws that come from the true group, in percent."""
    return 100 * weights[member].sum() / weights.sum()


shares = {"as they come": {}, "corrected": {}}
for rate in (0.02, 0.05, 0.1, 0.2):
    pairs = []
    for k in range(200 if profile == "full" else 20):
        seen = observed.observe(train, flips(rate), seed=k)
        request = gru.forget_split(seen, indices=split.forget)
        given, better = gru.reweight(request), observed.corrected_reweight(request, flips(rate))
        pairs.append([drawn(given), drawn(better)])
    shares["as they come"][rate], shares["corrected"][rate] = np.array(pairs).T

# %% mystnb={"image": {"alt": "The share of draws from the true group against the flip rate. The dashed line is the share in the training set. With weights as they come the share falls steeply, well below the line at 2 percent already. Corrected, its mean stays near the line up to 10 percent and falls then; the bars are wide."}, "figure": {"caption": "Share of the draws that come from the true group: mean of 200 draws of labels, and the range of nine tenths of them. Dashed: its share in the training set. Dotted: the flip rate beyond which no weights restore it.", "name": "fig-labels-drawn"}}
fig, axis = plots.figure(6.5, 3.4)
looks = (("as they come", plots.RETRAIN, "v", -0.001), ("corrected", plots.REWEIGHT, "o", 0.001))
for name, color, marker, shift in looks:
    rates = np.array(list(shares[name]))
    mean = np.array([values.mean() for values in shares[name].values()])
    low, high = np.array([np.percentile(values, [5, 95]) for values in shares[name].values()]).T
    axis.errorbar(rates + shift, mean, [mean - low, high - mean], color=color, marker=marker, capsize=3, label=name)
axis.axhline(100 * split.n_train[2] / len(train), color=plots.INK, ls="--", lw=1)
axis.axvline(1 / 11, color=plots.INK, ls=":", lw=1)
axis.set(xlabel="flip rate", ylabel="draws from the true group (%)", ylim=(0, None))
axis.legend()
plots.show()

# %% [markdown]
# SIMTEXT

# %% tags=["claim"]
if profile == "full":
    true_share = 100 * split.n_train[2] / len(train)
    for rate in (0.02, 0.05):
        off = shares["corrected"][rate] - true_share
        assert abs(off.mean()) < 0.1 * true_share, f"the correction misses the share at {rate}"
        gru.check_claim(f"{rate:.0%}: as they come, points too few", true_share - shares["as they come"][rate])
    assert shares["corrected"][0.2].max() < true_share
