# %% [markdown]
# # Implementing MIU
#
# **Result.** MIU comes nearer to the references because of its forget pass and its cross-entropy. Its calibration
# could not be shown to help. Of seven corrections to the released code, none could be shown to bring it nearer, and
# two took it away.
#
# **Question.** Three lines of an algorithm leave many decisions to the code. Which are they, and what is each worth?
#
# **After this lesson you can**
#
# - write MIU from its algorithm in six short functions, and show that the package computes the same;
# - watch a method over its epochs, and say why the critic that was trained along is no evidence;
# - name seven places where released code and published algorithm can part;
# - read a table of ablations, and say what it could not have shown.
#
# **You need** {doc}`05_deriving_miu`. **Time:** 25 minutes to read, five to run on two CPU cores. Six seeds of every
# variant were recorded beforehand.

# %% tags=["parameters"]
profile = "full"  # or "smoke": few images, one epoch; numbers mean nothing
seed = 0

# %%
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gru_lite as gru
from gru_lite import plots
from gru_lite.information import MovingAverage, exact_terms
from gru_lite.methods.finetune import retain_sampler
from gru_lite.methods.miu import MIUConfig, miu
from gru_lite.train import Batch, Sampler, Training

torch.set_num_threads(1)  # small tensors: more threads only cost time
full = profile == "full"
config = gru.TrainConfig(epochs=15 if full else 1)

# %% [markdown]
# ## What it starts from
#
# This lesson uses *WaterDigits, large*: the same images, with 600 of the group in training, of which 540 are
# forgotten, and 1,500 test images for each group. One forgotten image is then 0.2 points of UA and not 0.6, and
# scores vary less from seed to seed. The configuration is the one that was tuned for MIU, on validation scores of
# other seeds.

# %%
bench = gru.load("waterdigits_large" if full else "waterdigits_small", seed=seed)
split = gru.forget_split(bench.train, groups=[(1, 0)], ratio=0.9, seed=seed)
weights = gru.reweight(split)
start = gru.build_model("small_resnet", n_classes=2, seed=seed)
common = {"config": config, "seed": seed, "progress": "original"}
original = gru.fit(start, bench.train, **common)

tuned = gru.tuned("miu", "waterdigits_large")
if not full:
    tuned = replace(tuned, epochs=1, first_steps=4)
effort = {"n_groups": 4} if full else {"n_groups": 4, "steps": 10}  # of probes
names = "epochs lr shift forget_epochs forget_batch_size lambda_mi clip critic_lr"
for name in names.split():
    print(f"{name:18} {getattr(tuned, name)}")

# %% [markdown]
# ## Line by line
#
# First a short version without clipping: two epochs, of which the first forgets. Everything is in place twice: the
# critics, their optimisers, their moving averages.

# %%
short = replace(tuned, epochs=min(2, tuned.epochs), forget_epochs=1, lambda_mi=1.0)
short = replace(short, clip=False, first_steps=20 if full else 2, later_steps=4)

device = next(original.parameters()).device
group = torch.from_numpy(bench.train.group).to(device)
law = torch.from_numpy(split.n_train / split.n_train.sum())  # p(g) of D
log_prior = law.log().float().to(device)
z_0 = gru.extract_features(original, bench.train)  # once: theta_0 never moves
z_0 = torch.from_numpy(z_0).to(device)


def new_critic(stream):
    critic = gru.Critic(z_0.shape[1], len(law), seed=stream).to(device)
    optimizer = torch.optim.SGD(critic.parameters(), short.critic_lr, momentum=0.9)
    return critic.requires_grad_(False), optimizer, MovingAverage()


def information(critic, z, g):
    return gru.donsker_varadhan(critic.table(z), g, log_prior)


# %% [markdown]
# **Line 1, tune the critics.** One step of one critic, as in {doc}`04_mutual_information`, with MINE's moving average
# in the denominator of the gradient. Outside its own step a critic is frozen. Lines 2 and 3 send gradients *through*
# it to the features, and what they left in it would be added to its next step by whoever forgets to clear it: an
# early version of this code came to NaN that way.


# %%
def tune(critic, optimizer, average, z, g):
    critic.requires_grad_(True)
    loss = average.loss(*exact_terms(critic.table(z), g, log_prior))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    critic.requires_grad_(False)


@torch.no_grad()
def features_now(training, index):
    batch = Batch(*training.data.take(index), index)
    training.model.eval()  # the model's BatchNorm statistics do not move
    z, _ = training.forward(batch)
    training.model.train()
    return z


# %% [markdown]
# The batches come from all of $D$. In the first epoch $\theta$ is still $\theta_0$, so both critics read the stored
# features. In later epochs only $\phi$ has anything to learn.


# %%
def tune_critics(training, epoch, phi, phi_0):
    steps = short.later_steps if epoch else short.first_steps
    longest = max(short.first_steps, short.later_steps)
    size = short.batch_size
    sampler = Sampler(bench.train, None, size, steps=longest, name="critic")
    order = torch.from_numpy(sampler.draw(epoch, seed)).to(device)
    for index in order.split(size)[:steps]:
        if epoch == 0:
            tune(*phi, z_0[index], group[index])
            tune(*phi_0, z_0[index], group[index])
        else:
            tune(*phi, features_now(training, index), group[index])


# %% [markdown]
# **Line 2, forget**, and **line 3, retain.** `training.forward` gives features and logits of one pass. Calibration
# compares the same images under two models; $\theta_0$'s features are looked up by the numbers of the samples.

# %%
forget = Sampler(bench.train, split.forget, short.forget_batch_size, name="forget")
retain = retain_sampler(bench.train, split, short, weights, "replacement")


def forget_pass(training, epoch, phi):
    for batch in training.batches(epoch, forget, main=False):
        z, _ = training.forward(batch)
        training.step(information(phi, z, group[batch.index]))


def retain_pass(training, epoch, phi, phi_0):
    for batch in training.batches(epoch, retain):
        z, logits = training.forward(batch)
        g = group[batch.index]
        target = information(phi_0, z_0[batch.index], g).detach()
        drift = information(phi, z, g) - target
        ce = F.cross_entropy(logits, batch.y)
        training.step(short.ce_weight * ce + short.lambda_mi * drift**2)


# %% [markdown]
# The whole algorithm, and beside it the package's, with the same configuration and seed. Two implementations that
# draw the same random numbers must agree to rounding; "similar results" would hide a mistake.

# %%
with Training(original, bench.train, short, seed) as training:
    phi, phi_0 = new_critic(seed), new_critic(gru.further_seed(seed))
    for epoch in range(short.epochs):
        tune_critics(training, epoch, phi, phi_0)
        if epoch < short.forget_epochs:
            forget_pass(training, epoch, phi[0])
        retain_pass(training, epoch, phi[0], phi_0[0])
        training.end_epoch(epoch)
ours = training.finish()

theirs = gru.unlearn("miu", original, bench.train, split, config=short, seed=seed)
ours, theirs = (gru.predict(model, bench.test) for model in (ours, theirs))
near = 1e-4 if device.type == "cpu" else 0.1  # a GPU may add in any order
same = np.abs(ours - theirs).max() < near
print(f"largest difference of a logit below {near}: {same}")

# %% tags=["claim"]
moved = np.abs(theirs - gru.predict(original, bench.test)).mean()
assert same, "the lesson's MIU is not the package's"
assert moved > 1e-2, "agreement means nothing: neither model has moved"

# %% [markdown]
# From here on we use the package's. It checks after every epoch that losses, critics and weights are finite, and
# hands back the last good model if they are not. It can also clip.
#
# ### Clipping
#
# Lesson 5 found that the exact forget score pushes hardest when it has long succeeded. The brake: compare lengths *at the
# features*, where cross-entropy and information meet, and scale the latter down to the former,
#
# $$\min\!\left(1, \frac{\lVert \nabla_z \mathrm{CE} \rVert}{\lVert \nabla_z \hat I \rVert}\right) \hat I.$$
#
# It costs little, as the gradient stops at $z$ and does not pass through the network. *How long will the two be for a
# model that has been trained to the end?* We tune critics as the tuned method does in its first epoch:


# %%
def length(value, z):
    return torch.autograd.grad(value, z, retain_graph=True)[0].norm().item()


short = replace(short, first_steps=tuned.first_steps)
phi, phi_0 = new_critic(seed), new_critic(gru.further_seed(seed))
critic = phi[0]
with Training(original, bench.train, short, seed) as training:
    tune_critics(training, 0, phi, phi_0)
    lengths = {"forget score": [], "calibration": [], "cross-entropy": []}
    for batch in training.batches(0, forget, main=False):
        z, _ = training.forward(batch)
        score = information(critic, z, group[batch.index])
        lengths["forget score"].append(length(score, z))
    for batch in training.batches(0, retain):
        z, logits = training.forward(batch)
        g = group[batch.index]
        target = information(phi_0[0], z_0[batch.index], g).detach()
        drift = information(critic, z, g) - target
        lengths["calibration"].append(length(drift**2, z))
        lengths["cross-entropy"].append(length(F.cross_entropy(logits, batch.y), z))

for name, values in lengths.items():
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    print(f"{name:13} median {middle:.4f}, middle 80% {low:.4f} to {high:.4f}")

# %% [markdown]
# The score's gradient is several times as long as the cross-entropy's, so clipping takes most of each forget
# step away. A factor of 1.4 is only the batch: a mean over 32 samples has a gradient $\sqrt 2$ times as long as a
# mean over 64. Calibration starts at almost nothing, because $\theta$ is still $\theta_0$. Whether to clip was left
# to the tuning: the start of this lesson prints its choice, and the record below has both.
#
# ## Watching it
#
# `watch` is called after every epoch with the model and both critics. We look at three things:
#
# - the accuracy on $F$ and of the group;
# - $I(Z; G)$ of the training images, by $\phi$, which was *tuned along*, and by *fresh* critics on held-out samples;
# - the forget score of $F$, equation (2) of lesson 5, by $\phi$ and by a fresh classifier of the test features.
#
# *Will $\phi$ and the fresh probes agree? If not, which would you put into a paper?*

# %%
rows = []


def score_of_F(model):
    fit = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    fit.fit(gru.extract_features(model, bench.test), bench.test.group)
    z = gru.extract_features(model, bench.train, split.forget)
    return fit.predict_log_proba(z)[:, 2].mean() + math.log(4)  # p(g_f) is 1/4 on test


def look(epoch, model):
    z = gru.extract_features(model, bench.train)
    half = z[::2], bench.train.group[::2]  # the order of samples is random
    fresh = gru.mutual_information(*half, seed=0, **effort)
    of_group = bench.test.group == 2
    train = gru.predict(model, bench.train).argmax(axis=1) == bench.train.target
    test = gru.predict(model, bench.test).argmax(axis=1) == bench.test.target
    UA, GA = 100 * train[split.forget].mean(), 100 * test[of_group].mean()
    rows.append({"epoch": epoch, "UA": UA, "GA": GA, "fresh": fresh, "F fresh": score_of_F(model)})
    return torch.from_numpy(z).to(device)


def watch(epoch, model, phi, phi_0):
    z = look(epoch + 1, model)
    with torch.no_grad():
        rows[-1]["along"] = information(phi.net, z, group).item()
        rows[-1]["target"] = information(phi_0.net, z_0, group).item()
        rows[-1]["F along"] = information(phi.net, z[split.forget], group[split.forget]).item()


look(0, original)
request = {"original": original, "data": bench.train, "split": split, "seed": seed}
request |= {"weights": weights, "sampling": "replacement"}
unlearned = miu(**request, config=tuned, watch=watch)
curves = pd.DataFrame(rows).set_index("epoch")
print(curves.round(2).to_string())

# %% mystnb={"image": {"alt": "Two panels against epochs of unlearning. Left, the accuracies of the forgotten images and of the group on test fall towards two dashed lines, those of the references, and move by points from epoch to epoch. Right, the mutual information by fresh critics is almost flat and far above that by the critic tuned along, which stays near its dotted target."}, "figure": {"caption": "Left: accuracy on the forgotten images (UA) and of the group on test (GA); dashed: the mean of four references. Right: mutual information of features and group on the training set, by the critic that was tuned along, beside the value that calibration aims at (the critic of the original), and by fresh critics on held-out samples.", "name": "fig-miu-epochs"}}
record, about = gru.read_record("waterdigits_miu_traps")
reference = record[record["variant"] == "reference"].set_index("seed").loc[seed]
fig, axes = plots.figure(8, 3.4, columns=2)
looks = ("UA", plots.RETRAIN, "v"), ("GA", plots.REWEIGHT, "o")
for name, colour, marker in looks:
    axes[0].plot(curves[name], color=colour, marker=marker, label=name)
    axes[0].axhline(reference[name], color=colour, ls="--", lw=1)
axes[0].set(xlabel="epoch", ylabel="accuracy (%)")
axes[1].plot(curves["along"], color=plots.TOP_UP, marker="D", label="tuned along")
axes[1].plot(curves["target"], color=plots.TOP_UP, ls=":", label="its target")
axes[1].plot(curves["fresh"], color=plots.INK, marker="s", label="fresh probe")
axes[1].set(xlabel="epoch", ylabel="I(Z; G) (nats)", ylim=(0, None))
for axis in axes:
    axis.legend(fontsize=9, frameon=False)
    axis.set_xticks(curves.index)
plots.plt.show()

# %% [markdown]
# Left: UA falls from 99% towards the references, and GA with it. How it gets there differs from seed to seed, and on
# one seed from computer to computer, so do not read much into the course of one run. In the mean of six recorded
# seeds UA ends 14 points below the original's and 4 above the references'.
#
# Right: fresh critics read over a nat where the critic that was tuned along reads about 0.6. Calibration does what it
# says: the critic's value stays near its target, and the fresh one near where it began.
#
# Don't report the critic $\phi$, for two reasons. A hundred steps of SGD are enough for a direction to push in, and
# not for an estimate. And the model was moved to change its value, which is a training loss. A retrained model keeps
# most of the information as well (lesson 5), so a high fresh value is no failure, and a fall of the critic alone is
# no success.

# %% tags=["claim"]
if full:
    last = curves.iloc[-1]
    less = last["fresh"] - last["along"]
    gru.check_claim("the critic tuned along reads less (tenths of a nat)", [10 * less])
    drift = abs(curves["fresh"].iloc[0] - last["fresh"])
    gru.check_claim("the fresh one moves by less than 0.2 nats, margin (tenths)", [2 - 10 * drift])
    gru.check_claim("UA falls, to its lowest epoch", [curves["UA"].iloc[0] - curves["UA"].min()])

UA = record.pivot(index="seed", columns="variant", values="UA")
gru.check_claim("recorded: UA ends below the original's", UA["no-op"] - UA["corrected"])
gru.check_claim("recorded: and above the references'", UA["corrected"] - UA["reference"])

# %% [markdown]
# ### The accuracy on $F$ falls, the features of $F$ still tell their group
#
# The forget pass is to make features of $F$ deny their group. Do they? The fresh score of $F$ is what to compare with
# that of a reference, which never saw $F$:

# %%
common |= {"indices": split.retain, "weights": weights, "progress": "reference"}
judged = {"original": original, "MIU": unlearned, "reference": gru.fit(start, bench.train, **common)}
judged = {name: score_of_F(model) for name, model in judged.items()}
for name, value in judged.items():
    print(f"{name:9} score of F, fresh: {value:.2f} nats of at most {math.log(4):.2f}")

# %% tags=["claim"]
if full:
    assert abs(judged["MIU"] - judged["original"]) < 0.3, "the fresh score moves"
    assert min(judged.values()) > 0.7, "the features do not tell the group"

# %% [markdown]
# On the seed shown, the fresh score moves little and stays far above zero, while UA falls by many points: the *head*
# answers differently, and the features still tell the group. Do they come nearer to the reference's? In our runs the
# score went a part of the way on seed 0, and slightly away on seed 1. There is no record over seeds yet, so this is
# undecided. In both runs `F along` ended higher than after the first epoch.
#
# ## Seven traps
#
# The authors' release is the only evidence of how the published numbers came about, and in places it does something
# else than the algorithm says. Most code of this kind has such places, and these can be found because it was
# published. `MIUConfig.released()` has the middle column, and 101 and 11 critic steps for 100 and 10. It also has
# smaller points, which are not measured here: the network in bfloat16, a learning rate that changes once an epoch,
# smaller last batches, critics tuned on random crops, and a moving average that can overflow.
#
# | field of `MIUConfig` | as released | corrected (default) | what could go wrong |
# |---|---|---|---|
# | `phi0_features` | both critics are tuned on the features of $\theta$ | $\phi_0$ is fitted once, on those of $\theta_0$ | $\phi_0$ reads features it was not trained for; the target of (4) moves along with $\theta$ |
# | `original_mode` | $\theta_0$ in train mode | eval mode, features stored | its features depend on who else is in the batch |
# | `statistics` | tuning critics moves BatchNorm's statistics, on all of $D$ | they are held | held: the critic is tuned on features in eval mode and used in train mode; moving: $F$ enters the running means, but 61 retain steps leave 0.2% of it |
# | `marginal` | uniform over the groups, one draw for both critics (in this record one each) | $p(g)$ of $D$, exact sum | estimates $I + \mathrm{KL}(p \,\Vert\, \text{uniform})$, with noise |
# | `clip` | rescales gradients of the critic, which makes no step there: no effect | the gradient at the features is limited | over-forgetting |
# | `average` | one moving average for tuning, forgetting and retaining | in critic steps only | gradients of the model are scaled by what other batches left |
# | `loss_precision` | cross-entropy in bfloat16, from the first version on (BERT: float32) | float32 | small losses are rounded: eight bits of mantissa |
#
# Is any of it worth a point? Every variant was run on six seeds, on the same originals, with Avg. Gap against the
# mean of four references of its seed. *Which of the seven do you expect to matter most?*

# %%
for key, value in about.items():
    print(f"{key:9} {value}")


def gap(variant):
    return record[record["variant"] == variant].set_index("seed")["avg_gap"]


def minus(variant, base):
    """Paired by seed, without seeds in which one of the two diverged."""
    return (gap(variant) - gap(base)).dropna()


fields = ["phi0_features", "original_mode", "statistics", "marginal", "clip"]
fields += ["average", "loss_precision"]
print("\nAvg. Gap to four references, mean and 95% interval over seeds")
for variant in ("no-op", "as released", "corrected", "ceiling"):
    values = gap(variant).dropna()
    mean, half = gru.mean_interval(values)
    print(f"{variant:12} {mean:5.1f} ± {half:3.1f}   ({len(values)} seeds)")

# %% mystnb={"image": {"alt": "Rows of dots, a dot a seed, of the change in Avg. Gap when one released behaviour is corrected, for seven corrections and for all of them together, around the zero line."}, "figure": {"caption": "As released with one field corrected, and with all of them and the tuned clipping, minus as released: a dot for each seed, mean and 95% interval.", "name": "fig-traps"}}
released = "as released"
corrections = {field: minus(f"released but {field}", released) for field in fields}
corrections["all of them"] = minus("corrected", released)
shown = {name: values for name, values in corrections.items() if len(values) > 1}
plots.paired_dots(shown, "change of Avg. Gap (points)")
plots.plt.show()


# %%
def tested(differences):
    """Paired tests, corrected for how many there are."""
    tests = {name: gru.paired_test(d, 0 * d) for name, d in differences.items()}
    p_values = gru.holm([p for _, _, p in tests.values()])
    for (name, (mean, half, _)), p in zip(tests.items(), p_values):
        least = gru.smallest_difference(differences[name])
        line = f"{name:16} {mean:+5.1f} ± {half:3.1f}   p {p:.3f}"
        print(f"{line}   visible from {least:.1f}")
    return dict(zip(tests, p_values))


p_traps = tested({field: shown[field] for field in fields if field in shown})

# %% [markdown]
# Each interval is for one comparison alone. The p-values are corrected for all seven (Holm), and we go by them. The
# last column is the smallest true difference that so many pairs with this spread would have found four times in five.
#
# **No correction could be shown to bring MIU nearer to the references.** Two take it away: clipping, by five points,
# and the loss in float32, by one. The other five are undecided after the correction, although the intervals of two of
# them exclude zero. All together, without clipping as the tuning chose, the difference is -0.8 ± 1.8: undecided.
#
# With clipping MIU hardly forgets: UA stays above 95%, next to the original's. For the loss we have no explanation
# that we could show.
#
# Then why correct anything? Because a score does not say whether a method does what its text says. With a $\phi_0$
# that reads features it was not trained for, the calibration term is a number without a meaning. Where the text and
# the code differ and the code is better, the text should change.
#
# ## What each part is worth
#
# The same record takes the corrected method apart: without the forget pass, without calibration, without REWEIGHT,
# without cross-entropy, and with clipping on and off. *Which part would you drop first?*

# %% mystnb={"image": {"alt": "Rows of dots, a dot a seed, of the change in Avg. Gap when one part of MIU is left out: forgetting, calibration, REWEIGHT and cross-entropy, and when clipping is switched, around the zero line."}, "figure": {"caption": "MIU without one of its parts, and with clipping on and off, minus MIU as tuned: a dot for each seed, mean and 95% interval.", "name": "fig-miu-parts"}}
parts = ["no forgetting", "no calibration", "no REWEIGHT", "no CE"]
parts += ["no clipping" if tuned.clip else "clipping"]
ablations = {part: minus(part, "corrected") for part in parts}
ablations = {name: values for name, values in ablations.items() if len(values) > 1}
plots.paired_dots(ablations, "change of Avg. Gap (points)")
plots.plt.show()

# %%
p_parts = tested(ablations)

variants = ["no-op", "corrected", *parts, "reference"]
means = record.groupby("variant")[["UA", "GA", "EO", "information"]].mean()
print("\n" + means.loc[variants].round(2).to_string())

# %% [markdown]
# Two parts carry the result. Without the forget pass MIU is 0.7 ± 0.6 points above the no-op. Without cross-entropy
# the model breaks. REWEIGHT is worth 5.9 ± 6.5 points on these six seeds, and 5.8 ± 4.0 on the ten of lesson 8, where
# eight of ten have this sign.
#
# **Calibration could not be shown to help**: without it MIU is 1.5 ± 1.9 points nearer. Nor does it hold something
# that would drift here: with the forget pass on, leaving calibration out changes the fresh `information` by 0.008 ±
# 0.012 nats. There are drifts elsewhere. Without the forget pass, and with calibration, the information falls by
# 0.053 ± 0.026. No row of the record leaves out both, so it can't say what calibration does there. And where training
# on $R$ drifts far, a term that holds something may earn its place.

# %% tags=["claim"]
room = minus("ceiling", "no-op")
gru.check_claim("there is room between no-op and ceiling", room)
survive = {name for name, p in p_traps.items() if p < 0.05}
assert survive == {"clip", "loss_precision"}, survive
assert all(corrections[name].mean() < 0 for name in fields), "one correction helps"
difference, half = gru.mean_interval(corrections["all of them"])
assert abs(difference) < half, "all together can be told from as released"
assert means.loc["clipping", "UA"] > 95

assert {n for n, p in p_parts.items() if p < 0.05} == {"no forgetting", "no CE", "clipping"}
gru.check_claim("the forget pass is worth something", -ablations["no forgetting"])
gru.check_claim("and so is cross-entropy", -ablations["no CE"])
assert abs(means.loc["no calibration", "information"] - means.loc["corrected", "information"]) < 0.03

# %% [markdown]
# ### SalUn has traps of its own
#
# SalUn masks gradients so that only some weights move. As released, weight decay and carried momentum move the others
# as well, and so do BatchNorm's statistics; the corrected version restores the weights (`masked`) and holds the
# statistics (`statistics`). The same comparison:

# %%
released = "salun as released"
salun = {
    "masked": minus("salun released but masked", released),
    "statistics": minus("salun released but statistics", released),
    "both": minus("salun corrected", released),
}
p_salun = tested(salun)
assert p_salun["masked"] > 0.05 > p_salun["statistics"] and salun["statistics"].mean() < -10

# %% [markdown]
# Restoring the weights outside of the mask changes nothing that six seeds could see. Holding BatchNorm's statistics
# breaks the model. Lesson 7 watches it happen.
#
# ## One seed again, live
#
# Two of the recorded rows, computed now. On other hardware sums are rounded differently, and you get another run of
# the same seed. A record of four runs on each of ten seeds says how far apart two of them are:

# %%
seven = {field: MIUConfig.RELEASED[field] for field in (*fields, "first_steps", "later_steps")}
settings = {"corrected": tuned, "as released": replace(tuned, **seven)}
comparison = {}
of_group = bench.test.group == 2
for variant, setting in settings.items():
    model = unlearned if variant == "corrected" else miu(**request, config=setting)
    right = gru.predict(model, bench.test).argmax(axis=1) == bench.test.target
    live = {"TA": 100 * right.mean(), "GA": 100 * right[of_group].mean()}
    row = record[(record["variant"] == variant) & (record["seed"] == seed)].iloc[0]
    comparison[variant, "live"] = live
    comparison[variant, "recorded"] = row[["TA", "GA"]].astype(float).to_dict()
comparison = pd.DataFrame(comparison).T
print(comparison.round(1).to_string())

repeats, _ = gru.read_record("waterdigits_large_repeats")
runs = repeats[repeats["method"] == "miu"].groupby("seed")["GA"]
usual = (2 * runs.var().mean()) ** 0.5
print(f"two runs of a seed differ by {usual:.1f} points of GA (root mean square)")

# %% tags=["claim"]
if full:
    for variant in settings:
        distance = comparison.loc[variant].diff().abs().loc["recorded", "GA"]
        statement = f"{variant}: live and recorded GA differ by less than three times that, margin"
        gru.check_claim(statement, [3 * usual - distance])

# %% [markdown]
# ## Summary
#
# - MIU is a loop over batches with three kinds of steps. Written twice, from the same random streams, both versions
#   agree to rounding. That test does not depend on the results you hope for.
# - What is not in the algorithm decides, too: which features, in which mode, with which marginal.
# - The critic that was trained along is not evidence. Audit with a fresh probe on held-out samples.
# - Of seven corrections none could be shown to bring MIU nearer to the references, and two took it away. A correct
#   implementation is worth having because you know what it computes.
# - Forget pass and cross-entropy carry MIU's result. Calibration could not be shown to help.
# - On the seed shown, the features of $F$ still tell their group after MIU. It is the accuracy that falls.
# - A table of variants needs a no-op, a ceiling, corrected paired tests, and the smallest difference it could show.
#
# ## Exercises
#
# 1. Remove `optimizer.zero_grad()` from `tune`, and freeze no critic. After how many steps does it show, and where
#    first: in the critic's bound, in UA, or in the losses? Would you have noticed it from the final scores?
# 2. Run the *corrected* method with one field set to its released value, for each field. Must the results mirror those
#    above with the sign turned?
# 3. Watch `gru.tuned("miu", "waterdigits")`, with a higher learning rate and smaller forget batches. How far down does
#    UA go on the way? Which brake of lesson 5 would you try first?
# 4. Compare `F along` and `F fresh` over the epochs, for four seeds. Does the fresh score end nearer to the reference's
#    than the original's was? Give the mean and its interval.
# 5. In `retain_pass`, with `shift=2`, compute the calibration on unshifted images, like the stored features. Does the
#    drift at the first step become zero? Should it?
# 6. From the record, how many seeds would a difference of half a point need, for `marginal` and for `no REWEIGHT`?
#
# ## Next
#
# {doc}`07_rivals` opens the methods that MIU is compared with.
