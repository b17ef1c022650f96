# %% [raw]
# # ASSIGNMENT CONFIG
# name: hw1
# export_cell: false
# requirements: ["gru-lite @ git+REPOSITORY"]
# tests:
#   ok_format: false

# %% [markdown]
# # Assignment 1: Measuring and REWEIGHT
#
# You measure what a model knows, judge a difference by its interval, and train a model with REWEIGHT. There are 20
# points: 16 for seven questions that are checked by a program, and 4 for a short text.
#
# **You need** lessons 0 to 3 of the book. **Expected hours:** about three for the questions, and about two and a half to
# read the lessons first. (This is an estimate: one trial reader's minutes for words, code and thinking, without
# the exercises of the lessons.) The training in question 7 takes 1.4 minutes of computing, more on a busy machine.
# Run this notebook in the environment of the book's repository (`make venv`), or as your instructor says.
#
# **How to work**
#
# 1. Put your number in place of the 0 in the next cell. Your number decides your data, so your right answers differ
#    from those of others. Run the cells from the top.
# 2. Put your answers in place of the three dots. Keep the names: the grader looks for them.
# 3. Run the cell `grader.check(...)` below each question. It looks at the form of your answer, such as its length. A
#    passed check doesn't mean that the answer is right. The grader runs more tests when you hand in.
# 4. To hand in, set `size` back to "full" if you changed it, restart the kernel, run everything from the top, save, and
#    give in this notebook file.
#
# You may use the package, NumPy, pandas and SciPy. A percentage is a number from 0 to 100, and a difference of two
# percentages is in points. Don't round.

# %% tags=["parameters"]
student = 0  # your number
size = "full"  # "trial" makes everything small and meaningless, in seconds; the grader always uses "full"

# %% [markdown]
# ## Your data
#
# Run the next two cells, and don't change them. The grader makes the same data from your number.

# %% tags=["given"]
import numpy as np

import gru_lite as gru

rng = np.random.default_rng([1, student])
bench = gru.load("waterdigits" if size == "full" else "waterdigits_small", seed=student)
asked = [(1, 0), (0, 1)][rng.integers(2)]  # (target, sensitive) of the group that asks to be forgotten
ratio = [0.5, 0.6, 0.7, 0.8, 0.9][rng.integers(5)]  # the share of it that asks
split = gru.forget_split(bench.train, groups=[asked], ratio=ratio, seed=student)

# A made-up model. It errs at another rate in each group, more rarely on what it was trained on, and never on the images of
# the group that stay.
error_rate = rng.permutation(rng.permuted([[0.10, 0.18], [0.30, 0.50]], axis=1)).ravel()
error_rate += rng.uniform(-0.03, 0.03, size=4)


def made_up(part, factor):
    wrong = rng.random(len(part)) < factor * error_rate[part.group]
    return np.where(wrong, 1 - part.target, part.target)


answer_train, answer_test = made_up(bench.train, 0.5), made_up(bench.test, 1)
stay = split.retain[bench.train.group[split.retain] == 2 * asked[0] + asked[1]]
answer_train[stay] = bench.train.target[stay]

# %% tags=["given"]
# From the record of ten seeds that lesson 3 uses. The group (1, 0) asked, whichever group asks in your own data.
METRICS = ["RA", "UA", "TA", "MIA", "EO", "GA"]
MODELS = {
    "original": ("original", "none"),
    "retrain": ("retrain", "none"),
    "reference": ("retrain", "replacement"),
    "ceiling": ("ceiling", "replacement"),
}
rng = np.random.default_rng([2, student])  # the same in both sizes
record, _ = gru.read_record("waterdigits_requests")
recorded_ratio = [0.1, 0.5, 0.9][rng.integers(3)]
recorded = {name: gru.select(record, method, recorded_ratio, way) for name, (method, way) in MODELS.items()}

one_seed = int(rng.integers(10))  # for question 4
scores = {name: rows.loc[one_seed, METRICS].to_numpy(dtype=float) for name, rows in recorded.items()}

eight_seeds = np.sort(rng.choice(10, size=8, replace=False))  # for question 5
GA_retrain = recorded["retrain"].loc[eight_seeds, "GA"].to_numpy()
GA_reweight = recorded["reference"].loc[eight_seeds, "GA"].to_numpy()
claimed = [1.0, 3.0, 8.0, 20.0][rng.integers(4)]  # points

print(f"group {asked} asks, ratio {ratio}: {len(split.forget)} of {len(bench.train)} images are forgotten")
print(f"recorded: ratio {recorded_ratio}, seed {one_seed} in question 4, seeds {eight_seeds} in question 5")
print("The record is of another request than your own data: don't compare their numbers.")

# %% [markdown]
# ## Question 1: who asks, and what the others weigh (2 points)
#
# `bench.train.group` holds the group of each training image, a number from 0 to 3: target times 2, plus sensitive.
# `split.retain` holds the positions of the images that stay. How many images has each group in $D$ (`n_train`) and in $R$
# (`n_retain`)? What is the REWEIGHT weight of a retained image of each group (`weights`)? Each answer has four numbers,
# in the order of the groups.

# %% [raw]
# # BEGIN QUESTION
# name: q1

# %% [raw]
# # BEGIN SOLUTION

# %%
n_train = np.bincount(bench.train.group, minlength=4)  # SOLUTION
n_retain = np.bincount(bench.train.group[split.retain], minlength=4)  # SOLUTION
weights = n_train / n_retain  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q1_form(env):
    import numpy as np

    for name in ("n_train", "n_retain", "weights"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
        assert np.shape(env[name]) == (4,), f"{name} isn't four numbers"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q1_counts(n_train, n_retain, bench, split):
    import numpy as np

    before = np.bincount(bench.train.group, minlength=4)
    gone = np.bincount(bench.train.group[split.forget], minlength=4)
    kept = np.asarray(n_retain, dtype=float)
    assert np.array_equal(n_train, before), "n_train doesn't count all of the training images"
    assert not np.array_equal(kept, gone), "n_retain counts the images of F, which are gone"
    assert np.array_equal(kept, before - gone), "n_retain isn't the number of images that stay in each group"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q1_weights(weights, bench, split):
    import numpy as np

    before = np.bincount(bench.train.group, minlength=4)
    right = before / (before - np.bincount(bench.train.group[split.forget], minlength=4))
    given = np.asarray(weights, dtype=float)
    assert not np.allclose(given, 1 / right, rtol=1e-3), (
        "weights are upside down: an image of a group that lost images must count more, not less"
    )
    assert not np.allclose(given, right / right.sum(), rtol=1e-3), (
        "weights are scaled to add up to 1; REWEIGHT is n_D / n_R itself"
    )
    assert np.allclose(given, right, rtol=1e-3), "weights aren't n_D(g) / n_R(g)"


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 2: accuracies from one array of answers (3 points)
#
# A made-up model answered `answer_train` on the training images and `answer_test` on the test images. The right answers
# are `bench.train.target` and `bench.test.target`. Compute in percent: `RA`, `UA`, `GA` of the group `asked`, and `worst`,
# the lowest test accuracy of the four groups (lesson 1 calls another number so: the larger distance in EO). UA is an accuracy, as in the book.

# %% [raw]
# # BEGIN QUESTION
# name: q2

# %% [raw]
# # BEGIN SOLUTION

# %%
right_train = answer_train == bench.train.target  # SOLUTION NO PROMPT
right_test = answer_test == bench.test.target  # SOLUTION NO PROMPT
of_group = [100 * right_test[bench.test.group == g].mean() for g in range(4)]  # SOLUTION NO PROMPT
RA = 100 * right_train[split.retain].mean()  # SOLUTION
UA = 100 * right_train[split.forget].mean()  # SOLUTION
GA = of_group[2 * asked[0] + asked[1]]  # SOLUTION
worst = min(of_group)  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q2_form(env):
    for name in ("RA", "UA", "GA", "worst"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
        assert 0 <= float(env[name]) <= 100, f"{name} isn't a percentage"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q2_train(RA, UA, answer_train, bench, split, asked):
    import numpy as np

    right = answer_train == bench.train.target
    ra, ua = 100 * right[split.retain].mean(), 100 * right[split.forget].mean()
    group = 100 * right[bench.train.group == 2 * asked[0] + asked[1]].mean()
    if not np.isclose(RA, ra, rtol=1e-4):
        assert not np.isclose(RA, ra / 100, rtol=1e-4), "RA is a share; accuracies are in percent"
        assert not np.isclose(RA, 100 * right.mean(), rtol=1e-4), "RA is over all of D; only R counts"
        raise AssertionError("RA isn't the accuracy on the retain set")
    if not np.isclose(UA, ua, rtol=1e-4):
        assert not np.isclose(UA, 100 - ua, rtol=1e-4), (
            "UA is the error on F here; the book's UA is the accuracy"
        )
        assert not np.isclose(UA, group, rtol=1e-4), "UA is over the whole group; only F counts"
        raise AssertionError("UA isn't the accuracy on the forget set")


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q2_group(GA, answer_train, answer_test, bench, asked):
    import numpy as np

    g = 2 * asked[0] + asked[1]
    right = 100 * (answer_test == bench.test.target)[bench.test.group == g].mean()
    train = 100 * (answer_train == bench.train.target)[bench.train.group == g].mean()
    if not np.isclose(GA, right, rtol=1e-4):
        assert not np.isclose(GA, right / 100, rtol=1e-4), "GA is a share; accuracies are in percent"
        assert not np.isclose(GA, train, rtol=1e-4), (
            "GA is from training images; it is an accuracy on test images"
        )
        raise AssertionError("GA isn't the test accuracy of the group that asked")


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q2_worst(worst, answer_train, answer_test, bench):
    import numpy as np

    test, train = (
        [100 * (answer == part.target)[part.group == g].mean() for g in range(4)]
        for answer, part in ((answer_test, bench.test), (answer_train, bench.train))
    )
    if not np.isclose(worst, min(test), rtol=1e-4):
        assert not np.isclose(worst, min(train), rtol=1e-4), (
            "worst is from training images, not from test images"
        )
        assert worst != np.argmin(test), "worst is the number of the group; give its accuracy"
        assert not np.isclose(worst, 100 - min(test), rtol=1e-4), "worst is an error; give an accuracy"
        raise AssertionError("worst isn't the lowest test accuracy of a group")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 3: equalized odds (1 point)
#
# Compute `EO` of the same made-up model on the test images, in points. Take the mean over the two targets, as in lesson 1.

# %% [raw]
# # BEGIN QUESTION
# name: q3

# %% [raw]
# # BEGIN SOLUTION

# %%
table = np.reshape(of_group, (2, 2))  # SOLUTION NO PROMPT
EO = np.abs(table[:, 0] - table[:, 1]).mean()  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q3_form(env):
    answer = env.get("EO")
    assert answer is not None and answer is not ..., "EO has no answer yet"
    assert 0 <= float(answer) <= 100, "EO is a distance in points, from 0 to 100"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q3_eo(EO, answer_test, bench):
    import numpy as np

    right = answer_test == bench.test.target
    table = np.reshape([100 * right[bench.test.group == g].mean() for g in range(4)], (2, 2))
    distances = np.abs(table[:, 0] - table[:, 1])
    if not np.isclose(EO, distances.mean(), rtol=1e-3):
        assert not np.isclose(EO, distances.max(), rtol=1e-3), (
            "EO is the larger of the two distances; take the mean"
        )
        assert not np.isclose(EO, distances.sum(), rtol=1e-3), (
            "EO is the sum of the two distances; take the mean"
        )
        between = np.abs(table[0] - table[1]).mean()
        assert not np.isclose(EO, between, rtol=1e-3), (
            "EO is between targets; compare the two backgrounds of a target"
        )
        signed = abs((table[:, 0] - table[:, 1]).mean())
        assert not np.isclose(EO, signed, rtol=1e-3), (
            "EO lets distances of opposite sign cancel; take them absolutely"
        )
        raise AssertionError("EO isn't the mean distance between the two backgrounds")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 4: does the reference decide who is ahead? (2 points)
#
# `scores` holds the six scores (`METRICS`) of four recorded models of one seed. Compute Avg. Gap of the original and of
# retrain, as dictionaries with the keys "original" and "retrain":
#
# - `to_reference`, measured against "reference";
# - `to_ceiling`, measured against "ceiling", as if that were the reference.
#
# Then `ahead` says which of "original" and "retrain" is nearer. Its keys are "reference" and "ceiling". Both may name the
# same model.

# %% [raw]
# # BEGIN QUESTION
# name: q4

# %% [raw]
# # BEGIN SOLUTION


# %%
# BEGIN SOLUTION NO PROMPT
def gaps_to(yardstick):
    return {name: 100 - np.abs(scores[name] - scores[yardstick]).mean() for name in ("original", "retrain")}


# END SOLUTION
to_reference = gaps_to("reference")  # SOLUTION
to_ceiling = gaps_to("ceiling")  # SOLUTION
ahead = {of: max(gaps_to(of), key=gaps_to(of).get) for of in ("reference", "ceiling")}  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q4_form(env):
    keys = {name: {"original", "retrain"} for name in ("to_reference", "to_ceiling")}
    keys["ahead"] = {"reference", "ceiling"}
    for name, wanted in keys.items():
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
        assert set(env[name]) == wanted, f"{name} doesn't have the keys {sorted(wanted)}"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q4_gaps(to_reference, to_ceiling, scores):
    import numpy as np

    for name, answer, of in (
        ("to_reference", to_reference, "reference"),
        ("to_ceiling", to_ceiling, "ceiling"),
    ):
        for model in ("original", "retrain"):
            distance = np.abs(scores[model] - scores[of])
            signed = abs((scores[model] - scores[of]).mean())
            value = float(answer[model])
            if np.isclose(value, 100 - distance.mean(), rtol=1e-4):
                continue
            assert not np.isclose(value, distance.mean(), rtol=1e-3), (
                f"{name} is the distance; Avg. Gap is 100 minus it, so that higher is better"
            )
            assert not np.isclose(value, 100 - distance.sum(), rtol=1e-4), (
                f"{name} adds the six distances up; take their mean"
            )
            assert not np.isclose(value, 100 - signed, rtol=1e-4), (
                f"{name} lets differences of opposite sign cancel; take them absolutely"
            )
            raise AssertionError(f"{name} isn't Avg. Gap of {model}")


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q4_ahead(ahead, scores):
    import numpy as np

    for of in ("reference", "ceiling"):
        far = {name: np.abs(scores[name] - scores[of]).mean() for name in ("original", "retrain")}
        assert ahead[of] != max(far, key=far.get), (
            f"ahead['{of}'] names the model that is further away; a higher Avg. Gap is nearer"
        )
        assert ahead[of] == min(far, key=far.get), f"ahead['{of}'] is neither 'original' nor 'retrain'"


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 5: what eight seeds show (3 points)
#
# `GA_retrain` and `GA_reweight` hold the group accuracies of retraining without and with REWEIGHT. They have the same
# eight seeds in the same order. Compute what REWEIGHT gives back: the `mean` of the differences, and `half`, half the
# width of its 95% interval. The differences are paired by seed, and the interval uses Student's t.
#
# Then judge two claims. `verdicts` holds two words, in this order:
#
# 1. "REWEIGHT gives accuracy back." (The true mean is above 0.)
# 2. "It gives at least `claimed` points back."
#
# Each is "shown" if the whole interval agrees with the claim, "excluded" if no part of it does, and else "undecided".

# %% [raw]
# # BEGIN QUESTION
# name: q5

# %% [raw]
# # BEGIN SOLUTION

# %%
# BEGIN SOLUTION NO PROMPT
from scipy import stats

difference = GA_reweight - GA_retrain
n = len(difference)


def verdict(least):
    if mean - half > least:
        return "shown"
    return "excluded" if mean + half < least else "undecided"


# END SOLUTION
mean = difference.mean()  # SOLUTION
half = stats.t.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n)  # SOLUTION
verdicts = [verdict(0), verdict(claimed)]  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q5_form(env):
    for name in ("mean", "half", "verdicts"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
    assert float(env["half"]) >= 0, "half the width of an interval isn't negative"
    assert len(env["verdicts"]) == 2, "verdicts isn't two words"
    for word in env["verdicts"]:
        assert word in ("shown", "excluded", "undecided"), (
            f"verdicts: {word!r} is none of shown, excluded, undecided"
        )


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q5_mean(mean, GA_retrain, GA_reweight):
    import numpy as np

    right = (GA_reweight - GA_retrain).mean()
    if not np.isclose(mean, right, rtol=1e-3):
        assert not np.isclose(mean, -right, rtol=1e-3), (
            "mean has the wrong sign: what REWEIGHT gives back is its gain"
        )
        raise AssertionError("mean isn't the mean difference")


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q5_half(half, GA_retrain, GA_reweight):
    import numpy as np
    from scipy import stats

    difference = GA_reweight - GA_retrain
    n = len(difference)
    t, error = stats.t.ppf(0.975, n - 1), difference.std(ddof=1) / np.sqrt(n)
    if not np.isclose(half, t * error, rtol=1e-4):
        unpaired = np.sqrt((GA_retrain.var(ddof=1) + GA_reweight.var(ddof=1)) / n)
        for factor in (t, stats.t.ppf(0.975, 2 * n - 2), 1.96):
            assert not np.isclose(half, factor * unpaired, rtol=1e-4), (
                "half ignores that the seeds are paired; take the differences of the same seed first"
            )
        assert not np.isclose(half, 2 * t * error, rtol=1e-4), "half is the whole width of the interval"
        for factor in (1.96, stats.norm.ppf(0.975)):
            assert not np.isclose(half, factor * error, rtol=1e-4), (
                "half uses 1.96, the factor of very many seeds; take Student's t of n - 1"
            )
        assert not np.isclose(half, t * difference.std(ddof=1), rtol=1e-4), (
            "half is about single seeds; the mean of n seeds varies less, by the square root of n"
        )
        assert not np.isclose(half, t * difference.std() / np.sqrt(n), rtol=1e-4), (
            "half divides by n in the variance; take n - 1 (ddof=1)"
        )
        raise AssertionError("half isn't half the width of the paired 95% interval")


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q5_verdicts(verdicts, GA_retrain, GA_reweight, claimed):
    import numpy as np
    from scipy import stats

    difference = GA_reweight - GA_retrain
    n = len(difference)
    half = stats.t.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n)
    low, high = difference.mean() - half, difference.mean() + half
    for number, (word, least) in enumerate(zip(verdicts, (0, claimed)), start=1):
        right = "shown" if low > least else "excluded" if high < least else "undecided"
        if word != right:
            assert right != "undecided", (
                f"claim {number} is called {word}, but the interval holds values on both sides of {least:g}"
            )
            raise AssertionError(
                f"claim {number} is called {word}, but the whole interval is on one side of {least:g}"
            )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 6: the sampler, and what is left of the group (3 points)
#
# Write `draw`. It returns `n` positions in `weights`, drawn with replacement, each in proportion to its weight. Position 0
# is the first *retained* image. Use the random numbers of `rng`, and not `gru.draw_pass`. We then call it with your data.
#
# Also give Kish's effective sample size of all retained images (`ess`), and that of the group that asked alone
# (`ess_group`).

# %% tags=["given"]
sample_weights = gru.reweight(split)  # one for each image of split.retain

# %% [raw]
# # BEGIN QUESTION
# name: q6

# %% [raw]
# # BEGIN SOLUTION


# %%
def draw(rng, weights, n):
    return rng.choice(len(weights), size=n, p=weights / weights.sum())  # SOLUTION


draws = draw(np.random.default_rng(student), sample_weights, 5 * len(sample_weights))

ess = sample_weights.sum() ** 2 / (sample_weights**2).sum()  # SOLUTION
ess_group = int(split.n_retain[2 * asked[0] + asked[1]])  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q6_form(env):
    import numpy as np

    for name in ("draws", "ess", "ess_group"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
    n = len(env["sample_weights"])
    assert np.shape(env["draws"]) == (5 * n,), "draw doesn't return n positions"
    assert np.asarray(env["draws"]).dtype.kind in "iu", "draw doesn't return whole numbers"
    assert 0 < float(env["ess"]) <= n + 1e-6, "ess is more than there are images"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q6_draws(draws, sample_weights, bench, split, asked):
    import numpy as np

    draws, n = np.asarray(draws), 5 * len(sample_weights)
    assert draws.shape == (n,), "draw doesn't return n positions"
    assert draws.min() >= 0 and draws.max() < len(sample_weights), (
        "draw returns numbers that are no positions in weights, such as positions in D"
    )

    def far(share):  # from this share of each group, in standard errors
        return (np.abs(drawn - n * share) / np.sqrt(n * share * (1 - share))).max()

    group = bench.train.group[split.retain]
    drawn = np.bincount(group[draws], minlength=4)
    before = np.bincount(bench.train.group, minlength=4)
    if far(before / before.sum()) > 5:
        assert far(np.bincount(group, minlength=4) / len(group)) > 5, (
            "draw ignores the weights: each image is as likely"
        )
        assert far(np.full(4, 0.25)) > 5, "draw takes each group equally often, not as often as in D"
        raise AssertionError("the groups aren't drawn as often as they are in D")
    mine = np.flatnonzero(group == 2 * asked[0] + asked[1])
    assert len(np.intersect1d(draws, mine)) > 0.9 * len(mine), (
        "draw repeats a few images of the group, not all of them"
    )


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q6_ess(ess, sample_weights):
    import numpy as np

    w = np.asarray(sample_weights)
    right = w.sum() ** 2 / (w**2).sum()
    if not np.isclose(ess, right, rtol=1e-3):
        assert not np.isclose(ess, len(w), rtol=1e-3), (
            "ess is the number of images; equal weights alone give that"
        )
        assert not np.isclose(ess, right / len(w), rtol=1e-3), "ess is a share; give a number of images"
        raise AssertionError("ess isn't (sum of w)^2 / sum of w^2")


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q6_group(ess_group, sample_weights, bench, split, asked):
    import numpy as np

    g = 2 * asked[0] + asked[1]
    right = (bench.train.group[split.retain] == g).sum()
    w = np.asarray(sample_weights)
    if not np.isclose(ess_group, right, rtol=1e-3):
        assert not np.isclose(ess_group, (bench.train.group == g).sum(), rtol=1e-3), (
            "ess_group is the size before the request: weights don't bring images back"
        )
        assert not np.isclose(ess_group, w.sum() ** 2 / (w**2).sum(), rtol=1e-3), (
            "ess_group is that of all images; take the group alone"
        )
        raise AssertionError("ess_group isn't the effective sample size of the group that asked")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 7: harm and gain of your own models (2 points)
#
# Train three models from `start` with `config` and `seed=student`:
#
# - "original" on all of $D$;
# - "retrain" on $R$, without weights;
# - "reweight" on $R$, with REWEIGHT.
#
# `predicted` holds their answers on the test images (0 or 1), under these three keys. Then give the `harm` and the `gain`
# in points of group accuracy (GA). The harm is GA of the original minus GA of retrain, and the gain is GA of reweight
# minus GA of retrain. One of them may be negative. `progress="original"` shows how far `gru.fit` is.

# %% tags=["given"]
config = gru.TrainConfig(epochs=15 if size == "full" else 1)
start = gru.build_model("small_resnet", n_classes=2, seed=student)

# %% [raw]
# # BEGIN QUESTION
# name: q7

# %% [raw]
# # BEGIN SOLUTION

# %%
# BEGIN SOLUTION NO PROMPT
common = {"dataset": bench.train, "config": config, "seed": student}
retained = common | {"indices": split.retain}
models = {
    "original": gru.fit(start, **common),
    "retrain": gru.fit(start, **retained),
    "reweight": gru.fit(start, **retained, weights=sample_weights),
}
own = bench.test.group == 2 * asked[0] + asked[1]
answered = {name: gru.predict(model, bench.test).argmax(axis=1) for name, model in models.items()}


def group_accuracy(name):
    return 100 * (answered[name] == bench.test.target)[own].mean()


# END SOLUTION
predicted = answered  # SOLUTION
harm = group_accuracy("original") - group_accuracy("retrain")  # SOLUTION
gain = group_accuracy("reweight") - group_accuracy("retrain")  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q7_form(env):
    import numpy as np

    for name in ("predicted", "harm", "gain"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
    for name in ("original", "retrain", "reweight"):
        assert name in env["predicted"], f"predicted lacks {name}"
        answers = np.asarray(env["predicted"][name])
        assert answers.shape == env["bench"].test.target.shape, f"predicted: {name} isn't one answer an image"
        assert np.isin(answers, (0, 1)).all(), f"predicted: {name} holds other answers than 0 and 1"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q7_predicted(predicted, bench, size):
    import numpy as np

    target = bench.test.target
    right = {
        name: 100 * (np.asarray(predicted[name]) == target).mean()
        for name in ("original", "retrain", "reweight")
    }
    for name in right if size == "full" else ():  # a trial trains too little to tell
        assert right[name] < 99.9, f"{name} is right on every test image, which no such model is"
        assert right[name] > 60, (
            f"{name} is right on only {right[name]:.0f}% of the test images: is it trained?"
        )
    if size == "full":
        assert not np.array_equal(predicted["retrain"], predicted["reweight"]), (
            "retrain and reweight answer alike: were the weights passed to fit?"
        )
        assert not np.array_equal(predicted["original"], predicted["retrain"]), (
            "original and retrain answer alike: was the original trained on all of D?"
        )
    assert all(np.shape(predicted[name]) == target.shape for name in right), (
        "predicted isn't one answer an image"
    )


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q7_harm_and_gain(predicted, harm, gain, bench, asked):
    import numpy as np

    right = {
        name: np.asarray(predicted[name]) == bench.test.target for name in ("original", "retrain", "reweight")
    }
    own = bench.test.group == 2 * asked[0] + asked[1]
    for name, answer, of in (("harm", harm, "original"), ("gain", gain, "reweight")):
        points = 100 * (right[of][own].mean() - right["retrain"][own].mean())
        overall = 100 * (right[of].mean() - right["retrain"].mean())
        if not np.isclose(answer, points, rtol=1e-3, atol=0.01):
            assert not np.isclose(answer, -points, rtol=1e-3), (
                f"{name} has the wrong sign: it is {of} minus retrain"
            )
            assert not np.isclose(answer, points / 100, rtol=1e-3), f"{name} is a share; give it in points"
            assert not np.isclose(answer, overall, rtol=1e-3), (
                f"{name} is over all test images; GA is over the group that asked"
            )
            raise AssertionError(f"{name} doesn't follow from predicted")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 8: advice to a hospital (4 points, read by a person)
#
# A hospital has a model that reads X-rays. Patients ask to be forgotten, and most who ask are from one small group. The
# hospital wants to retrain without their images. What do you tell it? Write 150 to 250 words for readers who know no
# statistics. Say what happens to whom, with a number of your own from question 7, and why the average over all patients
# doesn't show it. Say what REWEIGHT can and can't do about it. Say what the hospital should measure and report, and how
# it can tell how sure its numbers are.

# %% [raw]
# # BEGIN QUESTION
# name: q8
# manual: true
# points: 4

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# **Rubric, one point each**
#
# 1. *Harm.* Retraining hurts the small group that asked (half a point), with a number of the student's own from
#    question 7, its unit, and the remark that it comes from one training (half a point).
# 2. *REWEIGHT.* It shows the images that are left more often, as if the whole group were there (half a point). It needs
#    only how many left each group, and gives a part of the loss back (half a point for one of the two).
# 3. *Limits.* Two of these, half a point each: it brings no images back, so few images stay few (question 6); a group that is
#    forgotten whole can't be weighted; wrong group labels make wrong weights; requests that aren't random within the
#    group change what is left of it; other small groups may lose, too.
# 4. *What to report.* A quarter of a point for each of four: accuracy of each group; beside it the overall accuracy,
#    which hides the harm; the images left of each group; several trainings, with how much they differ or an interval.
#
# **An answer that gets 4 points.** "If you retrain without these images, the model gets worse for the very group whose
# members asked. In my trial its accuracy on this group fell from ... to ... percent. That was one training, so the next
# one may give another number. You won't see it in the accuracy over all patients, because the group is small. You can
# show the images that are left more often during training, as often as the whole group was shown before. For that you
# only need to remember how many images left, and none of the images themselves. In my trial this gave back ... points,
# a part of the loss. It can't replace what is gone: if six images are left, the model knows the group from six images.
# If everybody in the group leaves, it doesn't work at all. It also needs to be right about who belongs to the group.
# Before you use the new model, measure its accuracy for each group on patients that it hasn't seen, beside the accuracy
# over all. Train it several times, and report how much the results vary. Report how many images of each group are left,
# and decide beforehand how low the accuracy of a group may be before you stop using the model."

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION
