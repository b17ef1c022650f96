# %% [raw]
# # ASSIGNMENT CONFIG
# name: hw2
# export_cell: false
# requirements: ["gru-lite @ git+REPOSITORY"]
# tests:
#   ok_format: false

# %% [markdown]
# # Assignment 2: Mutual information and MIU
#
# You compute mutual information by hand and from a critic, follow MIU's forget score down, and judge unlearned models.
# There are 20 points: 16 for nine questions that are checked by a program, and 4 for a short text.
#
# **You need** lessons 4 to 7 of the book, and from lessons 1 to 3 and the glossary REWEIGHT, Avg. Gap, UA, GA and
# paired intervals. *Expected hours:* three and a half, and about three more to read lessons 4 to 7 (estimated from
# one trial reader; no student was timed). The training in question 8 computes for about 80 seconds on one core of a
# server, and for up to ten minutes on a machine that is busy. All other cells take seconds.
#
# **How to work**
#
# 1. Put your number in place of the 0 in the next cell. Your number decides your data, so your right answers differ
#    from those of others. Run the cells from the top.
# 2. Put your answers in place of the three dots. Keep the names: the grader looks for them.
# 3. Run the cell `grader.check(...)` below each question. It looks at the form of your answer, such as its length. A
#    passed check doesn't mean that the answer is right. The grader runs more tests when you hand in.
# 4. To hand in, restart the kernel, run everything from the top, save, and give in this notebook file.
#
# You may use the package, NumPy, pandas, SciPy and PyTorch. Information is in nats unless a question says bits. A
# percentage is a number from 0 to 100, and a difference of two percentages is in points. Don't round.

# %% tags=["parameters"]
student = 0  # your number
size = "full"  # "trial" makes question 8 small and meaningless, in seconds; the grader always uses "full"

# %% [markdown]
# Most questions begin with a cell that makes your data. Run these cells, and don't change them. The grader makes the
# same data from your number.

# %% tags=["given"]
from dataclasses import replace

import numpy as np

import gru_lite as gru

rng = np.random.default_rng([1, student])
asked = [(1, 0), (0, 1)][rng.integers(2)]  # (target, sensitive) of the group that asks
forgotten = 2 * asked[0] + asked[1]  # the number of this group
print(f"group {asked} asks: its number is {forgotten}")

# %% [markdown]
# ## Question 1: what one feature tells about the group (2 points)
#
# A made-up feature has five values. `counts[v, g]` says how many images of group $g$ have the value $v$. Treat the shares
# in this table as the true probabilities.
#
# - `information`: the mutual information of feature and group, in nats.
# - `bits`: the same information in bits.
# - `most`: the largest information, in nats, that *any* features could have about the group, with as many images in each
#   group as here.

# %% tags=["given"]
rng = np.random.default_rng([2, student])
shares = np.array([[0.52, 0.05, 0.04, 0.39], [0.39, 0.04, 0.05, 0.52]][rng.integers(2)])
favourite = rng.permutation(5)[:4]  # the value that each group has most often
likely = np.ones((5, 4))
likely[favourite, range(4)] = rng.uniform([3, 7, 7, 3], [4, 9, 9, 4])
counts = rng.poisson(4000 * shares * likely / likely.sum(axis=0))
counts[favourite[3], 1] = 0  # no image of group 1 has the favourite of group 3
print(counts)

# %% [raw]
# # BEGIN QUESTION
# name: q1

# %% [raw]
# # BEGIN SOLUTION

# %%
# BEGIN SOLUTION NO PROMPT
joint = counts / counts.sum()
of_group, of_value = joint.sum(axis=0), joint.sum(axis=1)
seen = joint > 0  # 0 log 0 is 0
# END SOLUTION
information = (joint[seen] * np.log(joint[seen] / np.outer(of_value, of_group)[seen])).sum()  # SOLUTION
bits = information / np.log(2)  # SOLUTION
most = -(of_group * np.log(of_group)).sum()  # SOLUTION

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

    for name in ("information", "bits", "most"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
        assert np.isfinite(float(answer)), (
            f"{name} isn't a finite number: an empty cell counts 0, not 0 · log 0"
        )
        assert float(answer) >= 0, f"{name} is negative"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q1_information(information, counts):
    import numpy as np

    def entropy(numbers):
        share = numbers[numbers > 0] / numbers.sum()
        return -(share * np.log(share)).sum()

    def of_table(table):
        return entropy(table.sum(axis=0)) + entropy(table.sum(axis=1)) - entropy(table)

    right, doubt = of_table(counts), entropy(counts.sum(axis=0))
    if not np.isclose(information, right, rtol=1e-3):
        for wrong, said in (
            (right / np.log(2), "information is in bits; nats have the natural logarithm"),
            (doubt - right, "information is the doubt that is left, H(G | Z); subtract it from H(G)"),
            (doubt, "information is H(G), the doubt before anybody sees the feature"),
            (entropy(counts), "information is the entropy of the pair, H(Z, G)"),
            (
                of_table(counts / counts.sum(axis=0)),
                "information counts each group equally; take its share of the images",
            ),
            (
                of_table(counts + 1),
                "information is from counts plus one; an empty cell has the probability 0",
            ),
        ):
            assert not np.isclose(information, wrong, rtol=1e-3), said
        raise AssertionError("information isn't the mutual information of the table")


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q1_bits_and_most(information, bits, most, counts):
    import numpy as np

    def entropy(numbers):
        share = numbers[numbers > 0] / numbers.sum()
        return -(share * np.log(share)).sum()

    groups, values = counts.sum(axis=0), counts.sum(axis=1)
    nats, doubt = entropy(groups) + entropy(values) - entropy(counts), entropy(groups)
    rights = [nats / np.log(2)]
    if isinstance(information, int | float):  # a wrong one costs its own point alone
        rights.append(information / np.log(2))
    if not any(np.isclose(bits, right, rtol=1e-3) for right in rights):
        assert not any(np.isclose(bits, right * np.log(2) ** 2, rtol=1e-3) for right in rights), (
            "bits is multiplied by log 2; a nat is 1.44 bits, so there are more bits than nats"
        )
        assert not any(np.isclose(bits, right * np.log(2), rtol=1e-3) for right in rights), (
            "bits is still in nats"
        )
        raise AssertionError("bits isn't the information in bits")
    if not np.isclose(most, doubt, rtol=1e-3):
        for wrong, said in (
            (np.log(4), "most is log 4; that is for four equal groups, and yours aren't equal"),
            (
                np.log(5),
                "most is log 5; the number of values of this feature doesn't matter for any features",
            ),
            (entropy(values), "most is the entropy of the feature; it is the groups that limit any features"),
            (doubt / np.log(2), "most is in bits"),
        ):
            assert not np.isclose(most, wrong, rtol=1e-3), said
        raise AssertionError("most isn't the largest possible information about these groups")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 2: how much a sampled estimate can say (1 point)
#
# Now both variables are continuous. $z$ and $w$ have `pairs` numbers each. Every $z_i$ is jointly Gaussian with its $w_i$,
# with correlation `rho`. Different pairs are independent, so their information adds up. One such pair has
# $-\frac{1}{2} \log(1 - \rho^2)$ nats.
#
# - `of_all`: the mutual information of $z$ and $w$, in nats.
# - `infonce_most`: the largest value, in nats, that InfoNCE can read from batches of `batch` samples.
# - `needed`: about how many samples a batch must hold, by the rule of lesson 4, before a sampled estimate of `of_all` works.

# %% tags=["given"]
rng = np.random.default_rng([3, student])
pairs, rho = int(rng.integers(7, 11)), round(rng.uniform(0.93, 0.97), 3)
batch = [16, 32, 48, 64][rng.integers(4)]
print(f"{pairs} pairs with correlation {rho}, batches of {batch}")

# %% [raw]
# # BEGIN QUESTION
# name: q2

# %% [raw]
# # BEGIN SOLUTION

# %%
of_all = -pairs / 2 * np.log(1 - rho**2)  # SOLUTION
infonce_most = np.log(batch)  # SOLUTION
needed = np.exp(of_all)  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q2_form(env):
    import numpy as np

    for name in ("of_all", "infonce_most", "needed"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
        assert np.isfinite(float(answer)), f"{name} isn't a finite number"
        assert float(answer) > 0, f"{name} isn't above 0"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q2_limits(of_all, infonce_most, needed, pairs, rho, batch):
    import numpy as np

    one = -np.log(1 - rho**2) / 2
    right = pairs * one
    if not np.isclose(of_all, right, rtol=1e-3):
        for wrong, said in (
            (one, "of_all is one pair alone; the information of independent pairs adds up"),
            (2 * right, "of_all lacks the factor 1/2"),
            (-pairs / 2 * np.log(1 - rho), "of_all has 1 - rho; the formula has rho squared"),
            (one**pairs, "of_all multiplies the pairs; information adds up"),
            (right / np.log(2), "of_all is in bits"),
        ):
            assert not np.isclose(of_all, wrong, rtol=1e-3), said
        raise AssertionError("of_all isn't the information of all pairs")
    if not np.isclose(infonce_most, np.log(batch), rtol=1e-3):
        for wrong, said in (
            (np.log2(batch), "infonce_most is in bits"),
            (right, "infonce_most is the true information; InfoNCE can't read more than its batch allows"),
            (batch, "infonce_most is the number of samples; take its logarithm"),
            (np.log(batch - 1), "infonce_most is log(n - 1); the own group is among the n of the batch"),
        ):
            assert not np.isclose(infonce_most, wrong, rtol=1e-3), said
        raise AssertionError("infonce_most isn't the largest reading of InfoNCE")
    if not (np.isclose(needed, np.exp(right), rtol=0.02) or abs(needed - np.exp(right)) <= 1):
        for wrong, said in (
            (2**right, "needed is a power of 2; with nats the base is e"),
            (
                np.exp(one),
                "needed is for one pair; a batch must hold enough samples for all of them together",
            ),
            (pairs * np.exp(one), "needed adds the pairs up; the exponent grows with every pair"),
            (right, "needed is the information itself; the number of samples grows exponentially in it"),
        ):
            assert not np.isclose(needed, wrong, rtol=0.02), said
        raise AssertionError("needed isn't about e to the power of the information")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 3: three bounds from one critic (3 points)
#
# `T[i, g]` is the value of a critic for sample $i$ and group $g$. `own[i]` is the group that sample $i$ has, and `other[i]`
# is the $g'$ that was drawn for it. `p[g]` is the share of group $g$. Compute the Donsker-Varadhan bound, in nats:
#
# - `sampled`: with the second mean over the pairs of sample $i$ and group `other[i]`;
# - `exact`: with the exact marginal, that is, with the sum over all groups in the second mean;
# - `tight`: as `exact`, but after you have normalised each row of `T`, as in lesson 4.
#
# The values of this critic are large, as a critic may add any constant.

# %% tags=["given"]
rng = np.random.default_rng([4, student])
in_group = np.array([[20, 3, 5, 12], [12, 5, 3, 20], [15, 4, 3, 18]][rng.integers(3)])
own = rng.permutation(np.repeat(np.arange(4), in_group))
p = in_group / 40
other = rng.permutation(own)
while (other == own).sum() != round(40 * (p**2).sum()):  # as many agree as on average
    other = rng.permutation(own)
easy = np.zeros(40)  # how much the critic likes a sample, whatever the group
for some in (other == own, other != own):
    easy[some] = np.linspace(-1.2, 1.2, some.sum())
T = rng.normal(0, 0.1, (40, 4)) + easy[:, None]
T[np.arange(40), own] += rng.uniform(3.2, 3.6)
drawn_by_chance = rng.choice(np.flatnonzero((other != own) & (p[other] < 0.2)))
T[drawn_by_chance, other[drawn_by_chance]] = 5  # the critic takes this pair for a real one
T += rng.uniform(800, 900)
print(np.round(T[:3], 1), own[:3], other[:3], p, sep="\n")

# %% [raw]
# # BEGIN QUESTION
# name: q3

# %% [raw]
# # BEGIN SOLUTION

# %%
# BEGIN SOLUTION NO PROMPT
from scipy.special import logsumexp

at = np.arange(len(T))
first_mean = T[at, own].mean()
of_row = logsumexp(T, axis=1, b=p)  # log of the mean over p(g), for each sample
# END SOLUTION
sampled = first_mean - (logsumexp(T[at, other]) - np.log(len(T)))  # SOLUTION
exact = first_mean - (logsumexp(of_row) - np.log(len(T)))  # SOLUTION
tight = (T[at, own] - of_row).mean()  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q3_form(env):
    import numpy as np

    for name in ("sampled", "exact", "tight"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
        assert np.isfinite(float(answer)), (
            f"{name} isn't a finite number: exp of a large T overflows; subtract the largest T first (logsumexp)"
        )


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q3_sampled(sampled, T, own, other):
    import numpy as np
    from scipy.special import logsumexp

    assert np.isfinite(sampled), (
        "sampled isn't finite: exp overflows; subtract the largest T first (logsumexp)"
    )
    row, n = np.arange(len(T)), len(T)
    mine, drawn = T[row, own], T[row, other]
    right = mine.mean() - logsumexp(drawn) + np.log(n)
    if not np.isclose(sampled, right, rtol=1e-3, atol=2e-3):
        for wrong, said in (
            (right - np.log(n), "sampled takes the sum of exp T; the second term is the log of a mean"),
            (
                mine.mean() - drawn.mean(),
                "sampled takes the mean of T in the second term, not the log of the mean of exp T",
            ),
            (-right, "sampled has the wrong sign: the pairs of sample and own group come first"),
            (
                mine.mean() - logsumexp(mine) + np.log(n),
                "sampled has the own groups in both terms; the second has other[i]",
            ),
            (
                mine.mean() - logsumexp(T) + np.log(4 * n),
                "sampled has all groups in the second mean; take other[i] alone",
            ),
            (right / np.log(2), "sampled is in bits"),
        ):
            assert not np.isclose(sampled, wrong, rtol=1e-4, atol=1e-4), said
        raise AssertionError("sampled isn't the Donsker-Varadhan bound with the groups that were drawn")


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q3_exact(exact, T, own, other, p):
    import numpy as np
    from scipy.special import logsumexp

    assert np.isfinite(exact), "exact isn't finite: exp overflows; subtract the largest T first (logsumexp)"
    row, n = np.arange(len(T)), len(T)
    mine, of_row = T[row, own], logsumexp(T, axis=1, b=p)
    right = mine.mean() - logsumexp(of_row) + np.log(n)
    if not np.isclose(exact, right, rtol=1e-3, atol=2e-3):
        for wrong, said in (
            (right - np.log(n), "exact takes the sum over the samples; the second term is the log of a mean"),
            (
                mine.mean() - logsumexp(T) + np.log(4 * n),
                "exact weights all groups equally, a uniform marginal; weight them by p",
            ),
            (
                mine.mean() - logsumexp(T) + np.log(n),
                "exact adds exp T of the groups up without the weights p",
            ),
            (mine.mean() - of_row.mean(), "exact takes the log in each row first; that is `tight`"),
            (
                mine.mean() - (T @ p).mean(),
                "exact takes means of T in the second term, not the log of the mean of exp T",
            ),
            (
                mine.mean() - logsumexp(T[row, other]) + np.log(n),
                "exact has the groups that were drawn; sum over all groups",
            ),
            (-right, "exact has the wrong sign: the pairs of sample and own group come first"),
        ):
            assert not np.isclose(exact, wrong, rtol=1e-4, atol=1e-4), said
        raise AssertionError("exact isn't the Donsker-Varadhan bound with the exact marginal")


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q3_tight(tight, T, own, p):
    import numpy as np
    from scipy.special import logsumexp

    assert np.isfinite(tight), "tight isn't finite: exp overflows; subtract the largest T first (logsumexp)"
    row = np.arange(len(T))
    mine, of_row = T[row, own], logsumexp(T, axis=1, b=p)
    right = (mine - of_row).mean()
    even = (mine - logsumexp(T, axis=1)).mean()
    entropy = -(p * np.log(p)).sum()
    if not np.isclose(tight, right, rtol=1e-3, atol=2e-3):
        for wrong, said in (
            (
                mine.mean() - logsumexp(of_row) + np.log(len(T)),
                "tight is the bound of the rows as they are; normalise them",
            ),
            (even, "tight normalises the rows without p: then q(g | z) ignores the shares of the groups"),
            (even + np.log(4), "tight normalises the rows with equal weights; weight the groups by p"),
            (right - entropy, "tight is minus the cross-entropy; add H(G)"),
            (entropy - right, "tight is the cross-entropy; the bound is H(G) minus it"),
            (np.exp(mine - of_row).mean(), "tight is a mean of ratios; take their logarithms"),
        ):
            assert not np.isclose(tight, wrong, rtol=1e-4, atol=1e-4), said
        raise AssertionError("tight isn't the bound with normalised rows")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 4: which samples may speak (2 points)
#
# Samples were cut into three parts, A, B and C. A made-up critic was trained on part A for 120 steps. Every ten steps its
# bound was read on each part: `on_A`, `on_B` and `on_C`. `steps` has the numbers of these steps. Part B is there to say when
# to stop: you keep the critic as it was after one of the steps.
#
# - `stop_at`: the number of this step.
# - `estimate`: what you then report as the estimate of $I(Z; G)$, in nats.
#
# Somebody else read `uniform_reading` nats on held-out samples, from another critic and other features. This person trained
# and read the critic with $g'$ drawn *uniformly* from the four groups, although these have the shares `group_shares`.
#
# - `corrected`: what `uniform_reading` says about $I(Z; G)$, in nats, once you have taken off what the uniform marginal adds.

# %% tags=["given"]
rng = np.random.default_rng([5, student])
steps = 10 * np.arange(1, 13)
k, shift = rng.integers(3, 8), rng.choice([-2, -1, 1, 2])
top, lower = rng.uniform(0.45, 0.60), rng.uniform(0.06, 0.12)
wobble = rng.uniform(-0.004, 0.004, size=(3, 12))
on_A = top + 0.4 - 0.8 * np.exp(-np.arange(12) / 4) + wobble[0]
on_B = top - 0.02 * (np.arange(12) - k) ** 2 + wobble[1]
on_C = top - lower - 0.02 * (np.arange(12) - k - shift) ** 2 + wobble[2]
rare = rng.uniform(0.03, 0.06, size=2)
group_shares = np.array([0.6 - rare[0], *rare, 0.4 - rare[1]])
uniform_reading = round(rng.uniform(0.8, 1.2), 3)
print(steps, on_A, on_B, on_C, sep="\n")
print(f"shares {group_shares}, read with a uniform marginal: {uniform_reading} nats")

# %% [raw]
# # BEGIN QUESTION
# name: q4

# %% [raw]
# # BEGIN SOLUTION

# %%
best = np.argmax(on_B)  # SOLUTION NO PROMPT
stop_at = steps[best]  # SOLUTION
estimate = on_C[best]  # SOLUTION
corrected = uniform_reading - np.log(4) - (group_shares * np.log(group_shares)).sum()  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q4_form(env):
    import numpy as np

    for name in ("stop_at", "estimate", "corrected"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
        assert np.isfinite(float(answer)), f"{name} isn't a finite number"
    assert float(env["stop_at"]) in env["steps"], "stop_at is none of the numbers in steps"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q4_held_out(stop_at, estimate, steps, on_A, on_B, on_C):
    import numpy as np

    best = int(np.argmax(on_B))
    if stop_at != steps[best]:
        assert stop_at != best, "stop_at counts the readings; give the number of the step"
        assert stop_at != steps[np.argmax(on_C)], (
            "stop_at is chosen on part C; then no part is left to evaluate on"
        )
        assert stop_at != steps[np.argmax(on_A)], (
            "stop_at is the best step on part A, the training samples; there the bound goes on rising while the critic learns by heart"
        )
        raise AssertionError("stop_at isn't the step with the highest bound on part B")
    if not np.isclose(estimate, on_C[best], rtol=1e-4):
        for wrong, said in (
            (on_B[best], "estimate is read on the samples that chose the step, so it is too high on average"),
            (on_C.max(), "estimate is the highest value on part C, so these samples chose the step, too"),
            (on_A[best], "estimate is read on training samples, which the critic may know by heart"),
            (on_A.max(), "estimate is read on training samples, which the critic may know by heart"),
            (on_C[-1], "estimate is read after the last step; you stopped before"),
        ):
            assert not np.isclose(estimate, wrong, rtol=1e-4), said
        raise AssertionError(
            "estimate isn't the bound on samples that neither trained nor stopped the critic"
        )


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q4_uniform(corrected, uniform_reading, group_shares):
    import numpy as np

    entropy = -(group_shares * np.log(group_shares)).sum()
    offset = np.log(4) - entropy
    if not np.isclose(corrected, uniform_reading - offset, rtol=1e-3):
        for wrong, said in (
            (uniform_reading, "corrected isn't corrected: pure noise would read about log K - H(G) here"),
            (
                uniform_reading + offset,
                "corrected adds the offset; the uniform marginal reads too much, so take it off",
            ),
            (offset, "corrected is what the uniform marginal adds; take it off the reading"),
            (uniform_reading - entropy, "corrected takes off H(G); the offset is log K - H(G)"),
            (uniform_reading - np.log(4), "corrected takes off log K; the offset is log K - H(G)"),
            (uniform_reading - offset / np.log(2), "corrected takes off an offset in bits"),
        ):
            assert not np.isclose(corrected, wrong, rtol=1e-3), said
        raise AssertionError("corrected isn't the reading without log K - H(G)")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 5: a step down the forget score (2 points)
#
# Five images of $F$ have the features `z`, three numbers each. All are of the group `forgotten`. The critic is
# linear: `T(z, g) = A[g] @ z + b[g]`. `share[g]` is $p(g)$ in $D$. With normalised rows (lesson 4), the critic gives
# each image the probabilities $q_g$ of the groups.
#
# - `scores`: the forget score of each image by itself, $\log q_f / p(f)$, five numbers in nats.
# - `gradients`: the gradient of each image's own score with respect to its own features, five times three numbers.
# - `moved`: the five scores after one step of *descent*, in which each image moves by `rate` times its own gradient. The
#   critic stays as it is.

# %% tags=["given"]
rng = np.random.default_rng([6, student])
share = np.array([0.525, 0.045, 0.045, 0.385])
turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
A = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) @ turn + rng.normal(0, 0.3, (4, 3))
b = rng.normal(0, 0.4, 4)
z = rng.permutation(np.linspace(0, 2, 5))[:, None] * A[forgotten] / 2 + rng.normal(0, 0.3, (5, 3))
rate = 0.5
print(z.round(2), f"T of the first image: {(A @ z[0] + b).round(2)}", sep="\n")

# %% [raw]
# # BEGIN QUESTION
# name: q5

# %% [raw]
# # BEGIN SOLUTION


# %%
# BEGIN SOLUTION NO PROMPT
def chances(z):
    values = share * np.exp(z @ A.T + b)
    return values / values.sum(axis=1, keepdims=True)  # q_g of each image


def score_of(z):
    return np.log(chances(z)[:, forgotten] / share[forgotten])


# END SOLUTION
scores = score_of(z)  # SOLUTION
gradients = A[forgotten] - chances(z) @ A  # SOLUTION
moved = score_of(z - rate * gradients)  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q5_form(env):
    import numpy as np

    for name, shape in (("scores", (5,)), ("gradients", (5, 3)), ("moved", (5,))):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
        assert np.shape(answer) == shape, f"{name} has the shape {np.shape(answer)}, not {shape}"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q5_scores(scores, z, A, b, share, forgotten):
    import numpy as np

    T = z @ A.T + b
    of_row = np.log(np.exp(T) @ share)
    right = T[:, forgotten] - of_row
    given = np.asarray(scores, dtype=float)
    assert given.shape == (5,), "scores isn't one number for each image"
    if not np.allclose(given, right, rtol=1e-3, atol=1e-3):
        even = T[:, forgotten] - np.log(np.exp(T).mean(axis=1))
        for wrong, said in (
            (right + np.log(share[forgotten]), "scores is log q_f; divide q_f by p(f), its chance before"),
            (even, "scores weights the groups equally; q has the weights p(g)"),
            (even - np.log(4), "scores leaves the shares p(g) out of q"),
            (even - np.log(4) - np.log(share[forgotten]), "scores leaves the shares p(g) out of q"),
            (T[:, forgotten], "scores is T itself; normalise each row first"),
            (-right, "scores has the wrong sign; a sure image has the highest score"),
            (right / np.log(2), "scores is in bits"),
            (np.exp(right), "scores is the ratio; take its logarithm"),
            (
                T[:, forgotten] - np.log(np.exp(T) @ share).mean(),
                "scores normalises with a mean over the images; take each row by itself",
            ),
        ):
            assert not np.allclose(given, wrong, rtol=1e-3, atol=1e-3), said
        raise AssertionError("scores isn't log q_f / p(f) of each image")


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q5_step(gradients, moved, z, A, b, share, forgotten, rate):
    import numpy as np

    def chances(z, p=share):
        values = p * np.exp(z @ A.T + b)
        return values / values.sum(axis=1, keepdims=True)

    def score(z):
        return np.log(chances(z)[:, forgotten] / share[forgotten])

    right = A[forgotten] - chances(z) @ A
    given, after = (np.asarray(answer, dtype=float) for answer in (gradients, moved))
    assert given.shape == (5, 3) and after.shape == (5,), "gradients isn't 5 x 3 numbers, or moved not five"
    if not np.allclose(given, right, rtol=1e-2, atol=2e-3):
        even = A[forgotten] - chances(z, np.full(4, 0.25)) @ A
        for wrong, said in (
            (
                np.tile(A[forgotten], (5, 1)),
                "gradients is that of T alone; what a row is normalised by depends on z, too",
            ),
            (-right, "gradients points down; the gradient points up, and descent subtracts it"),
            (right / 5, "gradients is that of the mean of the five; give each image its own"),
            (even, "gradients weights the groups by q without the shares p(g)"),
            (
                A[forgotten] - np.tile(A.mean(axis=0), (5, 1)),
                "gradients subtracts the plain mean of the groups; weight them by q",
            ),
            (
                A[forgotten] - np.tile(share @ A, (5, 1)),
                "gradients weights the groups by p; weight them by q, which depends on the image",
            ),
        ):
            assert not np.allclose(given, wrong, rtol=1e-2, atol=2e-3), said
        raise AssertionError("gradients isn't the gradient (3) of lesson 5")
    if not np.allclose(after, score(z - rate * right), rtol=1e-2, atol=2e-3):
        for wrong, said in (
            (score(z + rate * right), "moved climbs: a step of descent goes against the gradient"),
            (score(z), "moved is before the step"),
            (score(z - right), "moved leaves out the rate"),
            (
                score(z - rate * right / 5),
                "moved takes a fifth of the step; each image moves by its own gradient",
            ),
            (
                score(z) - rate * (right**2).sum(axis=1),
                "moved takes the score for a straight line; compute it anew at the new place",
            ),
        ):
            assert not np.allclose(after, wrong, rtol=1e-2, atol=2e-3), said
        raise AssertionError("moved isn't the score after the step")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 6: what calibration pulls at (1 point)
#
# On three batches of $R$, the critics read `now` of the model that unlearns and `before` of the original, in nats.
# Calibration has the weight `weight`, which is $\lambda$. Give three numbers or words for each answer:
#
# - `penalty`: the value of the calibration term;
# - `slope`: its derivative with respect to `now`;
# - `pull`: "raises" if a small step of descent on this term alone raises what the critic reads of the model, or
#   "lowers" if it lowers it.

# %% tags=["given"]
rng = np.random.default_rng([7, student])
before = rng.uniform(0.8, 1.1, size=3)
now = before + rng.permutation([-1, 1, rng.choice([-1, 1])]) * rng.uniform(
    [0.08, 0.16, 0.24], [0.12, 0.2, 0.28]
)
weight = [0.1, 0.3, 2.0, 3.0][rng.integers(4)]
print(f"now {now}, before {before}, weight {weight}")

# %% [raw]
# # BEGIN QUESTION
# name: q6

# %% [raw]
# # BEGIN SOLUTION

# %%
penalty = weight * (now - before) ** 2  # SOLUTION
slope = 2 * weight * (now - before)  # SOLUTION
pull = ["lowers" if above > 0 else "raises" for above in slope]  # SOLUTION

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

    for name in ("penalty", "slope", "pull"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
        assert np.shape(answer) == (3,), f"{name} hasn't three entries"
    for word in env["pull"]:
        assert word in ("raises", "lowers"), f"pull: {word!r} is neither 'raises' nor 'lowers'"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q6_calibration(penalty, slope, pull, now, before, weight):
    import numpy as np

    above = now - before
    value, first, words = np.asarray(penalty, dtype=float), np.asarray(slope, dtype=float), list(pull)
    assert value.shape == first.shape == (3,) and len(words) == 3, "an answer hasn't three entries"
    if not np.allclose(value, weight * above**2, rtol=1e-3):
        for wrong, said in (
            (weight * above, "penalty isn't squared, so it could reward a fall without end"),
            (weight * abs(above), "penalty is the distance; MIU takes its square"),
            (above**2, "penalty lacks the weight lambda"),
            ((weight * above) ** 2, "penalty squares the weight, too"),
            (weight * now**2, "penalty pulls to zero; calibration pulls to what the original had"),
        ):
            assert not np.allclose(value, wrong, rtol=1e-3), said
        raise AssertionError("penalty isn't lambda times the square of the difference")
    if not np.allclose(first, 2 * weight * above, rtol=1e-3):
        for wrong, said in (
            (
                -2 * weight * above,
                "slope has the wrong sign: it is positive where the model is above the original",
            ),
            (weight * above, "slope lacks the factor 2 of the square"),
            (2 * above, "slope lacks the weight lambda"),
            (2 * weight * abs(above), "slope has no sign; calibration pulls from both sides"),
        ):
            assert not np.allclose(first, wrong, rtol=1e-3), said
        raise AssertionError("slope isn't the derivative of the term")
    right = ["lowers" if distance > 0 else "raises" for distance in above]
    if words != right:
        assert words != ["raises" if word == "lowers" else "lowers" for word in right], (
            "pull is upside down: descent goes against the slope, towards the original"
        )
        assert len(set(words)) > 1, "pull is the same for all batches; calibration pulls from both sides"
        raise AssertionError("pull has the wrong direction in a batch: compare now with before")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 7: which model is nearest to the reference? (1 point)
#
# `candidates` holds the six scores (`METRICS`) of six recorded models of one seed: the original, "retrain" (retrained
# without REWEIGHT), and four unlearned ones. All methods but gradient ascent have REWEIGHT. `reference` holds the
# scores of the reference, and `second` those of the ceiling, a second reference.
#
# - `gap_of`: the Avg. Gap of each candidate to the reference, computed from its definition, as a dictionary with the
#   names of the candidates as keys.
# - `nearest`: the name of the candidate that comes nearest to the reference.

# %% tags=["given"]
METRICS = ["RA", "UA", "TA", "MIA", "EO", "GA"]
# Seeds and methods of the record, in which one candidate is nearest by 0.3 points or more.
CASES = """10 l1_sparse salun miu, 12 eu_k salun miu, 12 finetune eu_k salun, 17 eu_k salun miu, 17 finetune l1_sparse salun,
    20 finetune eu_k salun, 21 l1_sparse eu_k scrub, 22 salun scrub miu, 23 eu_k salun scrub, 24 eu_k salun scrub,
    25 l1_sparse salun miu, 27 eu_k salun scrub, 28 finetune salun scrub, 29 eu_k salun scrub, 29 finetune eu_k salun,
    31 finetune scrub miu, 33 l1_sparse salun scrub, 34 finetune eu_k scrub, 35 finetune eu_k scrub, 36 eu_k salun miu,
    38 l1_sparse salun miu, 39 eu_k salun miu"""
one_seed, *methods = np.random.default_rng([8, student]).choice(CASES.split(",")).split()
record, _ = gru.read_record("waterdigits_large_methods")


def recorded(method, sampling="replacement"):
    return gru.select(record, method, 0.9, sampling).loc[int(one_seed), METRICS].astype(float).to_dict()


reference, second = recorded("retrain"), recorded("ceiling")
candidates = {name: recorded(name, "none") for name in ("original", "retrain", "gradient_ascent")}
candidates |= {name: recorded(name) for name in methods}
for name, row in {**candidates, "reference": reference, "second": second}.items():
    print(f"{name:16}", {metric: round(value, 1) for metric, value in row.items()})

# %% [raw]
# # BEGIN QUESTION
# name: q7

# %% [raw]
# # BEGIN SOLUTION


# %%
# BEGIN SOLUTION NO PROMPT
def distance(row):
    return np.mean([abs(row[metric] - reference[metric]) for metric in METRICS])


# END SOLUTION
gap_of = {name: 100 - distance(row) for name, row in candidates.items()}  # SOLUTION
nearest = max(gap_of, key=gap_of.get)  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q7_form(env):
    for name in ("gap_of", "nearest"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
    assert set(env["gap_of"]) == set(env["candidates"]), (
        "gap_of doesn't have the names of the candidates as keys"
    )
    assert env["nearest"] in env["candidates"], "nearest isn't the name of a candidate"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q7_nearest(gap_of, nearest, candidates, reference, second, METRICS):
    import numpy as np

    def difference(row, other):
        return np.array([row[m] - other[m] for m in METRICS])

    of = {name: difference(row, reference) for name, row in candidates.items()}
    right = {name: 100 - abs(d).mean() for name, d in of.items()}
    given = np.array([float(gap_of[name]) for name in candidates])
    if not np.allclose(given, list(right.values()), atol=0.02):
        for wrong, said in (
            ([abs(d).mean() for d in of.values()], "gap_of is the distance; Avg. Gap is 100 minus it"),
            (
                [100 - abs(d.mean()) for d in of.values()],
                "gap_of lets differences of opposite sign cancel; take them absolutely",
            ),
            ([100 - abs(d).sum() for d in of.values()], "gap_of adds the six distances up; take their mean"),
            (
                [100 - abs(difference(row, candidates["original"])).mean() for row in candidates.values()],
                "gap_of compares with the original, so doing nothing would be best; compare with the reference",
            ),
            (
                [100 - abs(difference(row, candidates["retrain"])).mean() for row in candidates.values()],
                "gap_of compares with retraining without REWEIGHT, which harms the group; compare with the reference",
            ),
            (
                [100 - abs(difference(row, second)).mean() for row in candidates.values()],
                "gap_of compares with the ceiling; compare with the reference",
            ),
        ):
            assert not np.allclose(given, wrong, atol=0.02), said
        raise AssertionError("gap_of isn't 100 minus the mean of the six distances to the reference")
    if nearest != max(right, key=right.get):
        by = {m: {name: row[m] for name, row in candidates.items()} for m in METRICS}
        assert nearest != min(by["UA"], key=by["UA"].get), (
            "nearest has the lowest UA: less than the reference's is over-forgetting, not better forgetting"
        )
        assert nearest != max(by["GA"], key=by["GA"].get), (
            "nearest has the highest GA, because it forgot nothing; the reference has seen no image of F"
        )
        assert nearest != min(right, key=right.get), "nearest is the furthest; a higher Avg. Gap is nearer"
        off = {name: abs(value - reference["UA"]) for name, value in by["UA"].items()}
        assert nearest != min(off, key=off.get), (
            "nearest is nearest in UA alone; it is further off in other scores"
        )
        raise AssertionError("nearest isn't the candidate with the highest Avg. Gap")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 8: unlearn yourself (2 points)
#
# Train four models, all with `seed=student`, and with REWEIGHT wherever it applies (`gru.unlearn` has it by default,
# `gru.fit` takes weights). The grader allows for the rounding of another processor:
#
# - "original": from `start` with `config` on all of $D$;
# - "reference": from `start` with `config` on $R$;
# - "finetune" and "miu": unlearned from the original with `gru.unlearn` and `tuned["finetune"]` or `tuned["miu"]`.
#
# `on_F` holds their answers (0 or 1) on the images of $F$, in the order of `split.forget`, and `on_test` those on the
# test images. Both are dictionaries with these four keys. Then `off`, a dictionary with the keys "original",
# "finetune" and "miu", says how far each of them is from the reference. That is the mean of two distances, that in UA
# and that in GA, in points, without signs.

# %% tags=["given"]
bench = gru.load("waterdigits" if size == "full" else "waterdigits_small", seed=student)
split = gru.forget_split(bench.train, groups=[asked], ratio=0.9, seed=student)
start = gru.build_model("small_resnet", n_classes=2, seed=student)
config = gru.TrainConfig(epochs=15 if size == "full" else 1)
tuned = {name: gru.tuned(name, "waterdigits") for name in ("finetune", "miu")}
if size != "full":
    tuned = {name: replace(values, epochs=1) for name, values in tuned.items()}
print(f"{len(split.forget)} of {len(bench.train)} images are forgotten")

# %% [raw]
# # BEGIN QUESTION
# name: q8

# %% [raw]
# # BEGIN SOLUTION

# %%
# BEGIN SOLUTION NO PROMPT
common = {"dataset": bench.train, "config": config, "seed": student}
original = gru.fit(start, **common)
models = {
    "original": original,
    "reference": gru.fit(start, **common, indices=split.retain, weights=gru.reweight(split)),
}
for method in ("finetune", "miu"):
    models[method] = gru.unlearn(method, original, bench.train, split, tuned[method], seed=student)


def two_accuracies(name):
    of_test = bench.test.group == forgotten
    right_on_F = on_F[name] == bench.train.target[split.forget]
    right_on_test = (on_test[name] == bench.test.target)[of_test]
    return 100 * np.array([right_on_F.mean(), right_on_test.mean()])


def answers(part, indices=None):
    return {name: gru.predict(model, part, indices).argmax(axis=1) for name, model in models.items()}


# END SOLUTION
on_F = answers(bench.train, split.forget)  # SOLUTION
on_test = answers(bench.test)  # SOLUTION
of_reference = two_accuracies("reference")  # SOLUTION NO PROMPT
judged = ("original", "finetune", "miu")  # SOLUTION NO PROMPT
off = {name: abs(two_accuracies(name) - of_reference).mean() for name in judged}  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q8_form(env):
    import numpy as np

    for name in ("on_F", "on_test", "off"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
    for answer, length in (("on_F", len(env["split"].forget)), ("on_test", len(env["bench"].test))):
        for name in ("original", "reference", "finetune", "miu"):
            assert name in env[answer], f"{answer} lacks {name}"
            values = np.asarray(env[answer][name])
            assert values.shape == (length,), f"{answer}: {name} isn't one answer an image"
            assert np.isin(values, (0, 1)).all(), f"{answer}: {name} holds other answers than 0 and 1"
    off = env["off"]
    assert isinstance(off, dict) and set(off) == {"original", "finetune", "miu"}, (
        "off isn't a dictionary with the keys original, finetune, miu"
    )


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q8_models(on_F, on_test, bench, split, size):
    import numpy as np

    target, of_F = bench.test.target, bench.train.target[split.forget]
    names = ("original", "reference", "finetune", "miu")
    assert all(np.shape(on_F[name]) == of_F.shape for name in names), "on_F isn't one answer an image of F"
    assert all(np.shape(on_test[name]) == target.shape for name in names), (
        "on_test isn't one answer a test image"
    )
    UA = {name: 100 * (np.asarray(on_F[name]) == of_F).mean() for name in names}
    TA = {name: 100 * (np.asarray(on_test[name]) == target).mean() for name in names}
    for name in names if size == "full" else ():  # a trial trains too little to tell
        assert TA[name] < 99.9, f"{name} is right on every test image, which no such model is"
    for name in names[:2] if size == "full" else ():
        assert TA[name] > 60, f"{name} is right on only {TA[name]:.0f}% of the test images: is it trained?"
    if size == "full":
        assert UA["reference"] < UA["original"] - 5, (
            "the reference is as right on F as the original: was it trained on R alone?"
        )
        for name in ("finetune", "miu"):
            assert not np.array_equal(on_test[name], on_test["original"]), (
                f"{name} answers as the original does: gru.unlearn returns a new model"
            )
        assert not np.array_equal(on_test["finetune"], on_test["miu"]), "finetune and miu answer alike"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q8_off(off, on_F, on_test, bench, split, forgotten):
    import numpy as np

    of_F, own = bench.train.target[split.forget], bench.test.group == forgotten
    right = {name: np.asarray(on_test[name]) == bench.test.target for name in on_test}
    UA = {name: 100 * (np.asarray(on_F[name]) == of_F).mean() for name in on_F}
    GA = {name: 100 * values[own].mean() for name, values in right.items()}
    TA = {name: 100 * values.mean() for name, values in right.items()}
    names = ("original", "finetune", "miu")

    def distances(first, second, to):
        pairs = {name: np.array([first[name] - first[to], second[name] - second[to]]) for name in names}
        return [pairs[name] for name in names]

    ours = distances(UA, GA, "reference")
    given = np.array([float(off[name]) for name in names])
    if not np.allclose(given, [abs(d).mean() for d in ours], rtol=1e-3, atol=0.01):
        for wrong, said in (
            ([-d.mean() for d in ours], "off is reference minus model, with its sign; a distance has none"),
            ([d.mean() for d in ours], "off has signs: take both distances absolutely"),
            ([abs(d).sum() for d in ours], "off is the sum of the two distances; take the mean"),
            ([abs(d).mean() / 100 for d in ours], "off is a share; give it in points"),
            (
                [abs(d).mean() for d in distances(UA, GA, "original")],
                "off compares with the original; compare with the reference",
            ),
            (
                [abs(d).mean() for d in distances(UA, TA, "reference")],
                "off takes all test images; GA is over the group that asked",
            ),
            ([abs(d[0]) for d in ours], "off is the distance in UA alone; it is the mean of UA's and GA's"),
        ):
            assert not np.allclose(given, wrong, rtol=1e-3, atol=0.01), said
        raise AssertionError("off doesn't follow from on_F and on_test")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 9: what twelve seeds say of MIU (2 points)
#
# `miu_gap` holds the Avg. Gap of MIU with REWEIGHT on twelve recorded seeds. `rival_gaps` has a row for each of three
# rivals, with the same seeds in the same order. A higher value is nearer to the references: here Avg. Gap is to the
# mean of four references of a seed. For each rival compute MIU minus the rival:
#
# - `means`: the mean difference, in points;
# - `halves`: half the width of its 95% interval, paired by seed, with Student's t;
# - `verdicts`: for rival `i`, the verdict on the claim "MIU is at least `least[i]` points nearer." It is "shown" if the whole
#   interval is above `least[i]`, "excluded" if the whole interval is below, and else "undecided".

# %% tags=["given"]
# Draws in which no interval ends near its claim.
DRAWS = [13, 16, 21, 37, 43, 51, 61, 76, 82, 85, 92, 103, 109, 110, 112, 117, 118, 124, 134, 136]
DRAWS += [139, 144, 147, 149, 158, 159, 168, 171, 181, 184]
rng = np.random.default_rng([9, int(np.random.default_rng([9, student]).choice(DRAWS))])
rivals = [
    (method, sampling)
    for method in ("finetune", "l1_sparse", "eu_k", "salun", "scrub")
    for sampling in ("replacement", "none")
]
gaps = {
    row: gru.select(record, row[0], 0.9, row[1])["avg_gap_refs"] for row in [("miu", "replacement"), *rivals]
}
twelve_seeds = np.sort(rng.choice(gaps["miu", "replacement"].index, size=12, replace=False))
rivals = [rivals[n] for n in rng.choice(len(rivals), size=3, replace=False)]
least = rng.permutation([0.0, 1.0, 2.0])
miu_gap = gaps["miu", "replacement"].loc[twelve_seeds].to_numpy()
rival_gaps = np.array([gaps[row].loc[twelve_seeds] for row in rivals])
for (method, sampling), claimed in zip(rivals, least):
    print(f"{method} {'without' if sampling == 'none' else 'with'} REWEIGHT: at least {claimed:g} points")

# %% [raw]
# # BEGIN QUESTION
# name: q9

# %% [raw]
# # BEGIN SOLUTION

# %%
# BEGIN SOLUTION NO PROMPT
from scipy import stats

lead = miu_gap - rival_gaps
n_seeds = len(miu_gap)


def verdict(mean, half, claimed):
    if mean - half > claimed:
        return "shown"
    return "excluded" if mean + half < claimed else "undecided"


# END SOLUTION
means = lead.mean(axis=1)  # SOLUTION
halves = stats.t.ppf(0.975, n_seeds - 1) * lead.std(axis=1, ddof=1) / np.sqrt(n_seeds)  # SOLUTION
verdicts = [verdict(*three) for three in zip(means, halves, least)]  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q9_form(env):
    import numpy as np

    for name in ("means", "halves", "verdicts"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
        assert np.shape(answer) == (3,), f"{name} hasn't three entries"
    assert min(env["halves"]) >= 0, "half the width of an interval isn't negative"
    for word in env["verdicts"]:
        assert word in ("shown", "excluded", "undecided"), (
            f"verdicts: {word!r} is none of shown, excluded, undecided"
        )


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q9_intervals(means, halves, miu_gap, rival_gaps):
    import numpy as np
    from scipy import stats

    lead, n = miu_gap - rival_gaps, len(miu_gap)
    mean, half = np.asarray(means, dtype=float), np.asarray(halves, dtype=float)
    assert mean.shape == half.shape == (3,), "means or halves hasn't three entries"
    if not np.allclose(mean, lead.mean(axis=1), rtol=1e-3, atol=1e-3):
        assert not np.allclose(mean, -lead.mean(axis=1), rtol=1e-3, atol=1e-3), (
            "means has the wrong sign: it is MIU minus the rival"
        )
        assert not np.allclose(mean, np.median(lead, axis=1), rtol=1e-3, atol=1e-3), "means holds medians"
        raise AssertionError("means isn't the mean of MIU minus each rival")
    spread, t = lead.std(axis=1, ddof=1), stats.t.ppf(0.975, n - 1)
    if not np.allclose(half, t * spread / np.sqrt(n), rtol=1e-3):
        unpaired = np.sqrt((miu_gap.var(ddof=1) + rival_gaps.var(axis=1, ddof=1)) / n)
        for wrong, said in (
            (
                t * unpaired,
                "halves ignores that the seeds are paired; take the differences of the same seed first",
            ),
            (
                stats.t.ppf(0.975, 2 * n - 2) * unpaired,
                "halves ignores that the seeds are paired; take the differences of the same seed first",
            ),
            (
                1.96 * unpaired,
                "halves ignores that the seeds are paired; take the differences of the same seed first",
            ),
            (2 * t * spread / np.sqrt(n), "halves is the whole width of the interval"),
            (
                1.96 * spread / np.sqrt(n),
                "halves uses 1.96, the factor of very many seeds; take Student's t of n - 1",
            ),
            (
                t * spread,
                "halves is about single seeds; the mean of n seeds varies less, by the square root of n",
            ),
            (spread / np.sqrt(n), "halves is the standard error; multiply it by Student's t"),
            (spread, "halves is the standard deviation of the seeds, not the interval of their mean"),
            (t * lead.std(axis=1) / np.sqrt(n), "halves divides by n in the variance; take n - 1 (ddof=1)"),
        ):
            assert not np.allclose(half, wrong, rtol=1e-3), said
        raise AssertionError("halves isn't half the width of the paired 95% interval")


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q9_verdicts(verdicts, miu_gap, rival_gaps, least):
    import numpy as np
    from scipy import stats

    lead, n = miu_gap - rival_gaps, len(miu_gap)
    mean = lead.mean(axis=1)
    half = stats.t.ppf(0.975, n - 1) * lead.std(axis=1, ddof=1) / np.sqrt(n)
    low, high = mean - half, mean + half
    right = np.where(low > least, "shown", np.where(high < least, "excluded", "undecided"))
    wrong = [i for i in range(3) if verdicts[i] != right[i]]
    if wrong:
        by_mean = np.where(mean > least, "shown", "excluded")
        assert list(verdicts) != list(by_mean), "verdicts looks at the means alone; the interval decides"
        of_zero = np.where(low > 0, "shown", np.where(high < 0, "excluded", "undecided"))
        assert list(verdicts) != list(of_zero), "verdicts compares with 0; compare with least[i]"
        i = wrong[0]
        assert right[i] != "undecided", (
            f"verdicts: claim {i + 1} is called {verdicts[i]}, but the interval holds values on both sides of {least[i]:g}"
        )
        raise AssertionError(
            f"verdicts: claim {i + 1} is called {verdicts[i]}, but the whole interval is on one side of {least[i]:g}"
        )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 10: answer a report (4 points, read by a person)
#
# A company had to forget some of its users, all from one small group. Its report says: "We ran MIU. On the images of
# these users, the mutual information of features and group, by the critic that was trained along, fell from 1.2 nats
# to 0. So the images are forgotten as well as if we had trained again." Write 150 to 250 words to the company, whose
# engineers know what a neural network is, and have not read the book. Say what this number is and what it isn't, what
# they should have measured instead, and how (they can afford a few retrainings). Use at least one number that you
# computed in this assignment. You may quote the lessons as well.

# %% [raw]
# # BEGIN QUESTION
# name: q10
# manual: true
# points: 4

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# **Rubric, one point each**
#
# 1. *What the number is.* On images of a single group there is no mutual information to lower: it is 0 for every model. The
#    critic's number is a score, which says how sure the critic is of the group. It has no end at 0, so pushing on is
#    possible (question 5).
# 2. *Who measured it.* The critic that was trained along supplied the gradient, so its value is a training loss. Evidence is a
#    fresh critic, read on samples that neither trained nor stopped it (question 4). Its value is a lower bound, so a low value
#    alone excludes nothing. Half a point if only one of the two parts is there.
# 3. *What retraining does.* The goal isn't zero. A retrained model that never saw the images still tells the group, almost as
#    well as the original. So the yardstick is a retrained model with REWEIGHT, and a lower score or a lower UA than its is
#    over-forgetting. No point without the reference.
# 4. *What to report.* The distance to the reference in several scores, among them the accuracy of the group (GA), beside the
#    no-op and a second reference, on several seeds with a paired interval. A number of the student's own, with its unit
#    (question 7, 8 or 9). Half a point without a number, and if a single seed is presented as certain.
#
# **An answer that gets 4 points.** "On images of one group, the mutual information of features and group is zero for every
# model, because there is only one group to tell. Your 1.2 nats are something else: how sure your critic was of the group. A value
# of 0 means that it finds the group as likely as before it looked, and you could push it below 0. Your critic was also the one
# that pushed the model, so its value is a training loss. Train a new critic, and read it on images that it didn't learn from.
# Even then a low value proves little, because it is only a lower bound. Nor is zero the goal: a model that never saw these
# images still recognises the group, about as well as your old model. So train again without these images, drawing the images
# of the small group more often, and compare. How often is each model right on the forgotten images and on new images of the
# group? In my run the original was ... points away from this reference, and MIU ... points. That was one run. On twelve recorded
# seeds, MIU was ... points nearer than fine-tuning, with an interval from ... to .... Report such intervals. Put two rows
# beside them: your old model unchanged, and a second retrained model. If the second retrained model is as far away as yours,
# the score can't tell them apart."

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION
