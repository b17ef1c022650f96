# %% [raw]
# # ASSIGNMENT CONFIG
# name: hw3
# export_cell: false
# requirements: ["gru-lite @ git+REPOSITORY"]
# tests:
#   ok_format: false

# %% [markdown]
# # Assignment 3: Design a method, test it fairly, audit it
#
# You write an unlearning method of your own. You compare it with two methods of the package by a protocol that you
# declare first. Then you attack it, and report what you found. There are 20 points: 11 for five questions that are checked
# by a program, and 9 for two texts that a person reads. **No point depends on whether your method wins.**
#
# **You need** lessons 0 to 3, 7 and 8 of the book. In lesson 8, read MIU as one more method. *Expected hours:* six
# and a half, and four and a half to read (estimated from one trial reader; no student was timed). The training takes
# about a quarter of an hour of one idle core. `request` trains its models once and keeps them. Keep those of your
# method yourself: question 6 needs one of question 5.
#
# **How to work**
#
# 1. Put your number in place of the 0 in the next cell. Your number decides your data, your request, your seeds and
#    one of the two rivals. Run the cells from the top.
# 2. Put your answers in place of the three dots. Keep the names: the grader looks for them.
# 3. Run the cell `grader.check(...)` below a question. It looks at the form of your answers. A passed check doesn't
#    mean that an answer is right. The grader runs more tests when you hand in.
# 4. Use `size = "trial"` until everything runs, and then `"full"`. Numbers of a trial mean nothing: its models have
#    learnt nothing, and every search may fail.
# 5. To hand in, restart the kernel, run everything from the top in full size, save, and give in this notebook file.
#
# You may use the package, NumPy, pandas, SciPy and PyTorch. Scores are in percent, and differences in points. Don't round.

# %% tags=["parameters"]
student = 0  # your number
size = "full"  # "trial" makes everything small and meaningless, in a minute; the grader always uses "full"

# %% [markdown]
# ## Your data
#
# Run the next three cells, and don't change them. The grader makes the same data from your number.
#
# - `request(seed)` has the data and the request of a seed: `.bench`, `.split` and the REWEIGHT `.weights`. Its models
#   `.original`, `.reference` and `.ceiling` are trained when you first ask for them.
# - `search_seed` is for the search. `seeds` are fresh, for the table alone.

# %% tags=["given"]
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import ClassVar

import numpy as np
from scipy.stats import qmc
from torch.nn.functional import cross_entropy, relu

import gru_lite as gru
from gru_lite.methods.finetune import retain_sampler
from gru_lite.train import Sampler, Training

SCORES = ["RA", "UA", "TA", "MIA", "EO", "GA"]
FULL = size == "full"

rng = np.random.default_rng([3, student])
asked = [(1, 0), (0, 1)][rng.integers(2)]  # (target, sensitive) of the group that asks to be forgotten
ratio = [0.5, 0.7, 0.9][rng.integers(3)]  # the share of it that asks
rival = ["l1_sparse", "eu_k"][rng.integers(2)]  # beside fine-tuning
names = ["mine", "finetune", rival]
budget = int(rng.integers(4, 7))  # trials of each method
search_seed, *seeds = (int(seed) for seed in rng.choice(10**6, size=5, replace=False))
if not FULL:
    budget, seeds = 2, seeds[:2]
passes = 5 if FULL else 1  # epochs of each method
config = gru.TrainConfig(epochs=15 if FULL else 1)  # of the three models that the methods are compared with


class Request:
    """Data, request and models of one seed."""

    def __init__(self, seed):
        self.seed = seed
        self.bench = gru.load("waterdigits" if FULL else "waterdigits_small", seed=seed)
        self.split = gru.forget_split(self.bench.train, groups=[asked], ratio=ratio, seed=seed)
        self.weights = gru.reweight(self.split)

    def _fit(self, seed, **on):
        start = gru.build_model("small_resnet", n_classes=2, seed=self.seed)
        return gru.fit(start, self.bench.train, config=config, seed=seed, **on)

    @cached_property
    def original(self):
        return self._fit(self.seed)

    @cached_property
    def reference(self):
        return self._fit(self.seed, indices=self.split.retain, weights=self.weights)

    @cached_property
    def ceiling(self):
        other = gru.further_seed(self.seed)
        return self._fit(other, indices=self.split.retain, weights=self.weights)


@cache
def request(seed):
    return Request(seed)


n_forget = len(request(search_seed).split.forget)
print(f"group {asked} asks, ratio {ratio}: {n_forget} images are forgotten")
print(f"rivals: finetune and {rival}, {budget} trials each; search seed {search_seed}, fresh seeds {seeds}")

# %% tags=["given"]
# From the record of lesson 8: Avg. Gaps of five rows of its table, on the same seeds. Their names are removed.
WITH, WITHOUT = "replacement", "none"
SIDES = [
    [("miu", WITH), ("miu", WITHOUT), ("l1_sparse", WITH), ("miu:released", WITHOUT)],
    [("salun", WITH), ("salun", WITHOUT), ("l1_sparse", WITHOUT), ("eu_k", WITH)],
]
draw = np.random.default_rng([4, student])  # the same in both sizes
record, _ = gru.read_record("waterdigits_large_methods")
recorded_seeds = np.sort(draw.choice(30, size=draw.integers(10, 16), replace=False))
same, other = (draw.permutation(SIDES[side]) for side in draw.permutation(2))
drawn_rows = [same[0], same[1], *draw.permutation([same[2], *other[:2]])]
gaps_A, *gaps_of = (
    gru.select(record, method, 0.9, sampling)["avg_gap_refs"].to_numpy()[recorded_seeds]
    for method, sampling in drawn_rows
)
gaps_of = dict(zip("BCDE", gaps_of))

# %% tags=["given"]
percent = [2, 5, 10][draw.integers(3)]  # for question 6


def trials(name, space):
    """`budget` settings from the space of a method, spread evenly over each field.

    `space` is {field: range}, and a range is ("log", low, high), ("linear", low, high) or ("choice", (a, b, ...)).
    """
    rng = np.random.default_rng([student, *name.encode()])
    draws = qmc.LatinHypercube(len(space), seed=rng).random(budget)
    return [
        {field: _value(share, *what) for (field, what), share in zip(space.items(), row)} for row in draws
    ]


def _value(share, kind, *bounds):
    if kind == "choice":
        return bounds[0][int(share * len(bounds[0]))]
    low, high = bounds
    value = low * (high / low) ** share if kind == "log" else low + share * (high - low)
    return float(f"{value:.1e}")  # two digits


def method_of(name):
    """The function and the configuration class of a method."""
    return (mine, MineConfig) if name == "mine" else gru.METHODS[name]


def unlearned(name, values, seed):
    """The model that a method with these settings makes on a seed, with REWEIGHT; None if it diverged."""
    function, make = method_of(name)
    of, chosen_config = request(seed), make(**values, epochs=passes)
    drawn = {"weights": of.weights, "sampling": "replacement", "seed": seed}
    try:
        return function(of.original, of.bench.train, of.split, chosen_config, **drawn)
    except gru.DivergedError:
        return None


def scored(model, seed, part):
    """The six scores of a model on a seed, with the images of part "val" or "test"; None if it diverged."""
    bench = request(seed).bench
    bench = bench if part == "test" else replace(bench, test=bench.val)
    try:
        found = model and gru.score(model, bench, request(seed).split)
    except gru.DivergedError:
        found = None
    return found and {name: getattr(found, name) for name in SCORES}


def observe(function, make):
    """What a method does to a few small images: logits of test images after several calls, and names it uses."""
    parts = gru.load("waterdigits_small", seed=student)
    small = gru.forget_split(parts.train, groups=[asked], ratio=0.5, seed=student)
    start = gru.build_model("small_resnet", n_classes=2, seed=student)
    model = gru.fit(start, parts.train, config=gru.TrainConfig(epochs=2), seed=student)
    seen = {"original": gru.predict(model, parts.test).tolist()}
    weighted = {"weights": gru.reweight(small), "sampling": "replacement", "seed": student}
    calls = {"first": {}, "again": {}, "other seed": {"seed": student + 1}}
    calls["without weights"] = {"weights": None, "sampling": "none"}
    for call, changes in calls.items():
        try:
            made = function(model, parts.train, small, make(epochs=1), **(weighted | changes))
            seen[call] = gru.predict(made, parts.test).tolist()
        except Exception as error:
            seen[call] = f"{type(error).__name__}: {error}"
    seen["original afterwards"] = gru.predict(model, parts.test).tolist()
    seen["uses"] = sorted(_names_in(function.__code__, function.__globals__, set()))
    return seen


def _names_in(code, known, done):
    """Names that a piece of code uses, with those of the notebook's own functions that it calls."""
    used = set(code.co_names)
    inner = [part for part in code.co_consts if hasattr(part, "co_names")]
    for name in used - done:
        if getattr(known.get(name), "__globals__", None) is known:
            inner.append(known[name].__code__)
    for part in inner:
        used |= _names_in(part, known, done | used)
    return used


# %% [markdown]
# ## Question 1: judge a recorded table (3 points)
#
# `gaps_A` holds the Avg. Gap of a method A over several seeds. `gaps_of` holds those of its four rivals B, C, D and E, of
# the same seeds in the same order. Write `judged(ours, others)`. It returns a dictionary with an entry for each rival,
# which is a dictionary again:
#
# - `"mean"`: the mean of the paired differences, ours minus the rival's;
# - `"half"`: half the width of its 95% Student interval;
# - `"p_holm"`: p of the two-sided paired t-test, after Holm's correction over all rivals;
# - `"visible"`: the smallest true difference that the strictest of the corrected tests, at level 0.05 divided by the
#   number of rivals, would have found four times out of five;
# - `"verdict"` on the claim "ours is nearer to the references than this rival is". It is "undecided" if the corrected
#   p is 0.05 or more. Otherwise it is "shown" if the mean is above 0, and "excluded" if it is below.
#   (`gru.paired_tests` has a verdict, too, which doesn't look at the sign.)
#
# You need the function again in question 5, with three rivals.

# %% [raw]
# # BEGIN QUESTION
# name: q1

# %% [raw]
# # BEGIN SOLUTION


# %%
def judged(ours, others):
    # BEGIN SOLUTION
    differences = {name: np.asarray(ours) - np.asarray(values) for name, values in others.items()}
    found = {}
    for name, test in gru.paired_tests(differences).rename(columns={"smallest_holm": "visible"}).iterrows():
        found[name] = test[["mean", "half", "p_holm", "visible", "verdict"]].to_dict()
        if test["verdict"] == "shown" and test["mean"] < 0:
            found[name]["verdict"] = "excluded"
    return found
    # END SOLUTION


recorded = judged(gaps_A, gaps_of)

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q1_form(env):
    answer = env.get("recorded")
    assert answer is not None and answer is not ..., "recorded has no answer yet"
    assert set(answer) == set("BCDE"), "recorded doesn't have the keys B, C, D and E"
    for name in "BCDE":
        for key in ("mean", "half", "p_holm", "visible", "verdict"):
            assert key in answer[name], f"recorded['{name}'] lacks '{key}'"
        word = answer[name]["verdict"]
        assert word in ("shown", "excluded", "undecided"), (
            f"recorded['{name}']: {word!r} is none of shown, excluded, undecided"
        )


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q1_intervals(recorded, gaps_A, gaps_of):
    import numpy as np
    from scipy import stats

    n = len(gaps_A)
    t = stats.t.ppf(0.975, n - 1)
    for name, rival in gaps_of.items():
        difference = gaps_A - rival
        mean, half = float(recorded[name]["mean"]), float(recorded[name]["half"])
        error = difference.std(ddof=1) / np.sqrt(n)
        if not np.isclose(mean, difference.mean(), rtol=1e-4):
            assert not np.isclose(mean, -difference.mean(), rtol=1e-4), (
                f"mean of {name} has the wrong sign: it is A minus {name}, and a higher Avg. Gap is nearer"
            )
            raise AssertionError(f"mean of {name} isn't the mean of the paired differences")
        if not np.isclose(half, t * error, rtol=1e-4):
            unpaired = np.sqrt((gaps_A.var(ddof=1) + rival.var(ddof=1)) / n)
            for factor in (t, stats.t.ppf(0.975, 2 * n - 2), 1.96):
                assert not np.isclose(half, factor * unpaired, rtol=1e-4), (
                    f"half of {name} ignores that the seeds are paired"
                )
            assert not np.isclose(half, 2 * t * error, rtol=1e-4), f"half of {name} is the whole width"
            for factor in (1.96, stats.norm.ppf(0.975)):
                assert not np.isclose(half, factor * error, rtol=1e-4), (
                    f"half of {name} uses 1.96, the factor of very many seeds; take Student's t of n - 1"
                )
            assert not np.isclose(half, t * difference.std(ddof=1), rtol=1e-4), (
                f"half of {name} is about single seeds; the mean of n seeds varies less, by the square root of n"
            )
            raise AssertionError(f"half of {name} isn't half the width of the paired 95% interval")


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q1_holm(recorded, gaps_A, gaps_of):
    import gru_lite as gru
    import numpy as np
    from scipy import stats

    raw = np.array([stats.ttest_rel(gaps_A, rival).pvalue for rival in gaps_of.values()])
    given = np.array([float(recorded[name]["p_holm"]) for name in gaps_of])

    def same(p):
        return np.allclose(given, p, rtol=1e-3, atol=1e-12)

    if not same(gru.holm(raw)):
        unpaired = [stats.ttest_ind(gaps_A, rival).pvalue for rival in gaps_of.values()]
        ordered = np.sort(raw) * (len(raw) - np.arange(len(raw)))
        assert not same(raw), "p_holm isn't corrected: four tests give four chances of a false finding"
        assert not same(np.minimum(len(raw) * raw, 1)), (
            "p_holm multiplies every p by 4, which is Bonferroni; Holm's factor falls from 4 to 1"
        )
        assert not same(gru.holm(raw / 2)), "p_holm is of a one-sided test; take the two-sided one"
        assert not same(gru.holm(unpaired)), "p_holm is of an unpaired test; the seeds are paired"
        assert not same(np.minimum(ordered, 1)[np.argsort(np.argsort(raw))]), (
            "p_holm falls where p rises; after Holm, a larger p keeps at least the corrected value of a smaller one"
        )
        assert not same(np.sort(gru.holm(raw))), "p_holm is sorted; put each value back to its rival"
        raise AssertionError("p_holm isn't Holm's correction over the four rivals")


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q1_verdicts(recorded, gaps_A, gaps_of):
    import gru_lite as gru
    import numpy as np
    from scipy import stats

    raw = [stats.ttest_rel(gaps_A, rival).pvalue for rival in gaps_of.values()]
    for (name, rival), p, corrected in zip(gaps_of.items(), raw, gru.holm(raw)):
        difference, word = gaps_A - rival, recorded[name]["verdict"]
        right = "undecided" if corrected >= 0.05 else "shown" if difference.mean() > 0 else "excluded"
        if word != right:
            assert right != "undecided" or p >= 0.05, (
                f"{name} is called {word}, but its p isn't below 0.05 after the correction"
            )
            assert right != "undecided", (
                f"{name} is called {word}, but these seeds don't decide: a large p is no evidence for a claim or against it"
            )
            assert word != "undecided", f"{name} is called undecided, but its corrected p is {corrected:.2g}"
            raise AssertionError(f"{name} is called {word}, but the difference is on the other side")
        visible, m = float(recorded[name]["visible"]), len(gaps_of)
        if not np.isclose(visible, gru.smallest_difference(difference, level=0.05 / m), rtol=1e-3):
            assert not np.isclose(visible, gru.smallest_difference(difference), rtol=1e-3), (
                f"visible of {name} is that of a single test; the strictest of four has level 0.05 / 4"
            )
            n = len(difference)
            for part in (0.05, 0.05 / m):
                half = stats.t.ppf(1 - part / 2, n - 1) * difference.std(ddof=1) / np.sqrt(n)
                assert not np.isclose(visible, half, rtol=1e-3), (
                    f"visible of {name} is half an interval, which is found only every other time; "
                    "to be found four times out of five, a difference must be larger"
                )
            raise AssertionError(
                f"visible of {name} isn't the smallest difference at level 0.05 / 4 with power 0.8"
            )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 2: your method (2 points)
#
# Write a method of your own: the function `mine`, and its configuration `MineConfig`. Section *A method* of the
# book's page *Contributing* explains both with an example. You may begin with a method of the package or of lesson 7.
# But yours must do something that none of them does, NegGrad+ included. The code below takes a batch of $R$ and one
# of $F$ in each step, and holds BatchNorm's statistics at the original's. Change what you don't need. If you let $F$
# move the statistics, then even a learning rate of 0 changes the model.
#
# - `mine` returns a new model, and leaves `original` as it is.
# - It takes `config.epochs` passes over $R$, drawn by `weights`. Without REWEIGHT `weights` is `None`. Then `mine` must work
#   as well.
# - Its randomness comes from `seed` alone: the same seed gives the same model, and another seed another one.
# - It uses no data but its arguments. So it never sees a validation or a test image.
# - Each field of `MineConfig` has a type and a default. `SPACE` says what is searched. It has `lr`, and values that hardly
#   change the original. For whole numbers take `"choice"`. `epochs` is the same for all methods, so leave it out.
#
# `observe` then calls `mine` on a few small images, and keeps what comes out. If it says that `mine` can't be called,
# `unlearned("mine", {}, search_seed)` shows you the line. The tests look at that, and a person reads your code for
# questions 3 and 7.

# %% [raw]
# # BEGIN QUESTION
# name: q2

# %% [raw]
# # BEGIN SOLUTION


# %%
@dataclass(frozen=True)
class MineConfig(gru.TrainConfig):
    warmup_epochs: int = 0
    strength: float = 0.1  # SOLUTION NO PROMPT
    level: float = 0.8  # nats  # SOLUTION NO PROMPT

    SPACE: ClassVar = {
        "lr": ("log", 1e-4, 0.2),
        "shift": ("choice", (0, 2)),
        "strength": ("log", 0.01, 1.0),  # SOLUTION NO PROMPT
        "level": ("linear", 0.3, 1.5),  # SOLUTION NO PROMPT
    }


def mine(original, data, split, config, *, weights, sampling, seed):
    retain = retain_sampler(data, split, config, weights, sampling)
    forget = Sampler(data, split.forget, 32, steps=retain.steps, name="forget")
    # Held: else the batches of F move BatchNorm's running means, even at a learning rate of 0.
    with Training(original, data, config, seed, hold_statistics=True) as training:
        for epoch in range(config.epochs):
            for kept, left in training.batches(epoch, retain, forget):
                on_R = cross_entropy(training.logits(kept), kept.y)
                on_F = cross_entropy(training.logits(left), left.y, reduction="none")  # SOLUTION NO PROMPT
                missing = relu(config.level - on_F).mean()  # up to the level  # SOLUTION NO PROMPT
                loss = on_R + config.strength * missing  # SOLUTION
                training.step(loss)
            training.end_epoch(epoch)
    return training.finish()


observed = observe(mine, MineConfig)

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q2_form(env):
    answer = env.get("observed")
    assert answer is not None and answer is not ..., "observed has no answer yet"
    for call in ("first", "again", "other seed"):
        assert not isinstance(answer[call], str), f"mine can't be called: {answer[call]}"
    assert not isinstance(answer["without weights"], str), (
        f"mine can't be called with weights=None: {answer['without weights']}"
    )


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q2_method(observed):
    import numpy as np

    for call in ("first", "again", "other seed"):
        assert not isinstance(observed[call], str), f"mine can't be called: {observed[call]}"

    def logits(call):
        return np.asarray(observed[call], dtype=float)

    assert logits("original").shape == logits("first").shape == (240, 2), (
        "observed isn't what observe returns"
    )
    assert np.isfinite(logits("first")).all(), "mine returns a model whose outputs aren't finite"
    assert np.allclose(logits("original"), logits("original afterwards")), (
        "mine changes the original; train a copy, as Training does"
    )
    assert not np.allclose(logits("original"), logits("first"), atol=1e-6), (
        "mine returns a model that answers like the original: it changes nothing"
    )
    assert np.allclose(logits("first"), logits("again"), rtol=1e-3, atol=1e-4), (
        "mine returns another model when it is called again: its randomness must come from seed alone"
    )
    assert not np.allclose(logits("first"), logits("other seed"), rtol=1e-4, atol=1e-6), (
        "mine returns the same model for another seed: does it pass seed on?"
    )
    taken = {"request", "load", "val", "test", "seeds", "search_seed"} & set(observed["uses"])
    assert not taken, (
        f"mine uses {sorted(taken)[0]}, by which it can reach images that a method must not see; "
        "take the arguments alone"
    )


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q2_weights(observed):
    import numpy as np

    assert not isinstance(observed["first"], str), f"mine can't be called: {observed['first']}"
    assert not isinstance(observed["without weights"], str), (
        f"mine can't be called with weights=None: {observed['without weights']}"
    )
    first, plain = (np.asarray(observed[call], dtype=float) for call in ("first", "without weights"))
    assert first.shape == plain.shape == (240, 2), "observed isn't what observe returns"
    assert not np.allclose(first, np.asarray(observed["original"], dtype=float), atol=1e-6), (
        "weights can't be seen in a model that answers like the original"
    )
    assert not np.allclose(first, plain, rtol=1e-4, atol=1e-6), (
        "mine returns the same model with weights and without: does it pass its argument weights on?"
    )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 3: declare your protocol (2 points, read by a person)
#
# Write this **before** you run question 4, and don't change it afterwards. If you depart from it later, say so in your
# report. Write 100 to 250 words:
#
# - your idea in a sentence or two: what does a step do, and why should that bring the model nearer to the reference?
# - the one claim that you test, against which rival, in which score, and which result would speak against your idea;
# - what is searched, on which images and seeds, with how many trials, and which values in your space hardly change
#   the original;
# - what you will do if a search fails, and which tests share a correction.

# %% [raw]
# # BEGIN QUESTION
# name: q3
# manual: true
# points: 2

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# **Rubric, one point each**
#
# 1. *Idea and claim.* The idea names the loss or the pass that is new, and gives a reason why a model should come nearer to
#    the reference by it. One claim is singled out, with rival and score, and a result that would speak against it. Half a
#    point if the claim can't fail ("my method forgets well"), or if no result against it is named.
# 2. *Protocol.* All four are stated, and agree with the code: the space with its values that hardly change the original;
#    search on validation images of `search_seed`, and the table on `seeds`; the same number of trials for all three
#    methods; what follows from a failed search, and that the tests against the no-op and both rivals are corrected together.
#    Half a point if one of the four is missing. No point if two are, or if test images or `seeds` are used in the search.
#
# Nobody can see when the text was written. A declaration that quotes results of question 4 or 5 gets no points.
#
# **An answer that gets 2 points.** "Gradient ascent has no maximum at which to stop. My method raises the loss of an image
# of F only until it reaches a level, and trains on R with REWEIGHT in the same step. The reference never saw F and has a
# loss of some tenths of a nat there, so a level in that range should bring UA and MIA nearer to it than fine-tuning, which
# never looks at F. I claim that my method has a higher Avg. Gap than fine-tuning on the fresh seeds. A corrected p of 0.05
# or more leaves the claim open. A difference below 0 that survives the correction speaks against my idea. Each of the three
# methods gets five trials, drawn evenly from its space, on validation images of the search seed. Mine searches lr, shift,
# strength and level; lr 0.0001 hardly changes the original. The best Avg. Gap wins. If the best trial of a method is below
# the no-op, its search has failed. I then report that, and conclude nothing about this method. The tests against the no-op
# and both rivals are corrected together by Holm's method."

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 4: the same search for all three (2 points)
#
# Search each of `names` on `search_seed`, on **validation** images, all with the same number of trials. (More fields
# are searched more thinly, and nothing is extended here as it is in lesson 8.) Three functions do the work:
# `trials(name, space)` gives `budget` settings, `unlearned(name, values, seed)` makes the model of one setting, and
# `scored(model, seed, part)` gives its six scores. Give:
#
# - `nothing` and `yardstick`: the scores of the original and of the reference;
# - `log`: for each of `names` a list, with a dictionary for each trial that has its `"values"` and its `"scores"`;
# - `chosen`: for each of `names` the values of the trial with the highest Avg. Gap to `yardstick`;
# - `failed`: a list of those of `names` whose search has failed, because its best trial isn't above doing nothing. It may be
#   empty.
#
# A trial that diverged has the scores `None`, and is never chosen. If all trials of a method diverge, choose the
# first one: its search has failed.

# %% [raw]
# # BEGIN QUESTION
# name: q4

# %% [raw]
# # BEGIN SOLUTION

# %%
space = {name: method_of(name)[1].SPACE for name in names}

nothing = scored(request(search_seed).original, search_seed, "val")  # SOLUTION
yardstick = scored(request(search_seed).reference, search_seed, "val")  # SOLUTION


# %%
# BEGIN SOLUTION NO PROMPT
def tried(name, values):
    return {"values": values, "scores": scored(unlearned(name, values, search_seed), search_seed, "val")}


# END SOLUTION
log = {name: [tried(name, values) for values in trials(name, space[name])] for name in names}  # SOLUTION


# %%
# BEGIN SOLUTION NO PROMPT
def gap_to(reference, scores):
    if scores is None or reference is None:
        return None
    return 100 - np.mean([abs(scores[name] - reference[name]) for name in SCORES])


def best_of(name):
    complete = [trial for trial in log[name] if trial["scores"]]
    return max(complete, key=lambda trial: gap_to(yardstick, trial["scores"]))


def is_above(name):
    return gap_to(yardstick, best_of(name)["scores"]) > gap_to(yardstick, nothing)


# END SOLUTION
chosen = {name: best_of(name)["values"] for name in names}  # SOLUTION
failed = [name for name in names if not is_above(name)]  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q4_form(env):
    for name in ("nothing", "yardstick", "log", "chosen", "failed"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
    for name in ("log", "chosen"):
        assert set(env[name]) == set(env["names"]), f"{name} doesn't have the keys {env['names']}"
    for name in ("nothing", "yardstick"):
        assert set(env[name]) == set(env["SCORES"]), f"{name} isn't the six scores"
    for trial in (trial for trials in env["log"].values() for trial in trials):
        assert {"values", "scores"} <= set(trial), "log: a trial lacks its values or its scores"
    assert set(env["failed"]) <= set(env["names"]), f"failed names something else than {env['names']}"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q4_same_search(log, nothing, yardstick, space, names, budget, trials, n_forget, FULL):
    import gru_lite as gru
    import numpy as np

    for name in names:
        assert len(log[name]) == budget, (
            f"{name} had {len(log[name])} trials; the same search means {budget} for each method"
        )
        values = [trial["values"] for trial in log[name]]
        assert all(one not in values[:i] for i, one in enumerate(values)), f"{name} tried a setting twice"
        if name != "mine":
            wanted = trials(name, gru.METHODS[name][1].SPACE)
            assert values == wanted, f"{name} didn't try what trials draws from its own space"
    assert "lr" in space["mine"], "the space of mine leaves out lr"
    for trial in log["mine"]:
        assert set(trial["values"]) == set(space["mine"]), "mine tried other fields than its space has"
        for field, (kind, *bounds) in space["mine"].items():
            value = trial["values"][field]
            inside = value in bounds[0] if kind == "choice" else 0.94 * bounds[0] <= value <= 1.06 * bounds[1]
            assert inside, f"mine tried a {field} of {value}, outside of its space"

    every = [nothing, yardstick, *(t["scores"] for name in names for t in log[name] if t["scores"])]

    def counted(score, n):  # of n images: a whole number of them
        counts = np.array([float(scores[score]) for scores in every]) * n / 100
        return np.allclose(counts, counts.round(), atol=1e-4)

    val, test = (200, 600) if FULL else (40, 60)  # images of a group
    if not (counted("GA", val) and counted("TA", 4 * val)):
        assert not (counted("GA", test) and counted("TA", 4 * test)), (
            "the search looked at test images; they are for the table alone, so take part 'val' instead"
        )
        raise AssertionError("GA or TA of the search aren't shares of the validation images")
    assert counted("UA", n_forget), f"UA of the search isn't a share of the {n_forget} forgotten images"
    assert nothing != yardstick, "nothing and yardstick are the same model; the yardstick is the reference"
    assert any(t["scores"] and t["scores"] != nothing for t in log["mine"]), (
        "every trial of mine has the scores of the original"
    )


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q4_chosen(log, nothing, yardstick, chosen, failed, names, SCORES):
    import numpy as np

    def gap(scores):
        return 100 - np.mean([abs(scores[name] - yardstick[name]) for name in SCORES])

    for name in names:
        complete = [trial for trial in log[name] if trial["scores"]]
        if not complete:
            assert name in failed, f"failed lacks {name}: all of its trials diverged"
            continue
        gaps = np.array([gap(trial["scores"]) for trial in complete])
        assert isinstance(chosen[name], dict), f"chosen['{name}'] isn't the values of a trial"
        taken = [g for g, trial in zip(gaps, complete) if trial["values"] == chosen[name]]
        assert taken, f"chosen['{name}'] was never tried, or it diverged"
        if not np.isclose(taken[0], gaps.max()):
            assert not np.isclose(taken[0], gaps.min()), (
                f"chosen['{name}'] is the trial that is furthest away; a higher Avg. Gap is nearer"
            )
            for score in ("GA", "TA"):
                best = max(trial["scores"][score] for trial in complete)
                mine = max(t["scores"][score] for t in complete if t["values"] == chosen[name])
                assert mine != best, f"chosen['{name}'] has the highest {score}; take the highest Avg. Gap"
            raise AssertionError(f"chosen['{name}'] isn't the trial with the highest Avg. Gap")
        below = gaps.max() < gap(nothing) - 1e-9
        assert not below or name in failed, (
            f"failed lacks {name}: its best trial has an Avg. Gap of {gaps.max():.1f}, and doing nothing {gap(nothing):.1f}"
        )
        assert below or np.isclose(gaps.max(), gap(nothing)) or name not in failed, (
            f"failed names {name}, but its best trial is above doing nothing"
        )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 5: the table on fresh seeds (2 points)
#
# Score six models on the **test** images of each of `seeds`: "original", "reference", "ceiling", and the three of `names` with
# their `chosen` values. Lesson 8 gives no score to a method whose search failed. Here you score it so that the table is
# complete, and you conclude nothing from its row. Give:
#
# - `results`: `results[row][seed]` is the dictionary of the six scores, or `None` if the method diverged;
# - `gaps`: `gaps[row][seed]` is the Avg. Gap to the reference of this seed, for all rows but "reference";
# - `own`: what `judged` returns for "mine" against "original" (the no-op), "finetune" and your other rival. Leave a
#   seed out if "mine" or one of the two rivals diverged on it. If the search of "mine" or of a rival has failed, the
#   verdict on this pair is "failed search", and the pair still counts in the correction. The other verdicts are those
#   of question 1. With so few seeds most will be "undecided", and that is a good answer.

# %% [raw]
# # BEGIN QUESTION
# name: q5

# %% [raw]
# # BEGIN SOLUTION

# %%
for seed in seeds:  # a cell of its own: this takes the longest
    request(seed).original, request(seed).reference, request(seed).ceiling

# %%
# BEGIN SOLUTION NO PROMPT
trained = ("original", "reference", "ceiling")


def model_of(row, seed):
    return getattr(request(seed), row) if row in trained else unlearned(row, chosen[row], seed)


def row_of(row):
    return {seed: scored(model_of(row, seed), seed, "test") for seed in seeds}


# END SOLUTION
results = {row: row_of(row) for row in ("original", "reference", "ceiling", *names)}  # SOLUTION


# %%
# BEGIN SOLUTION NO PROMPT
def gaps_of_row(row):
    return {seed: gap_to(results["reference"][seed], results[row][seed]) for seed in seeds}


def against(rows):
    whole = [seed for seed in seeds if all(gaps[row][seed] is not None for row in ("mine", *rows))]
    ours, *others = (np.array([gaps[row][seed] for seed in whole]) for row in ("mine", *rows))
    found = judged(ours, dict(zip(rows, others)))
    for row in rows:
        if "mine" in failed or row in failed:
            found[row]["verdict"] = "failed search"
    return found


# END SOLUTION
gaps = {row: gaps_of_row(row) for row in ("original", "ceiling", *names)}  # SOLUTION
own = against(["original", "finetune", rival])  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 0
"""  # END TEST CONFIG


def test_q5_form(env):
    for name in ("results", "gaps", "own"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
    rows = {"original", "ceiling", *env["names"]}
    for name, wanted in (("results", rows | {"reference"}), ("gaps", rows)):
        assert wanted <= set(env[name]), f"{name} lacks the row {sorted(wanted - set(env[name]))[0]}"
        for row in wanted:
            lacks = {str(seed) for seed in env["seeds"]} - {str(seed) for seed in env[name][row]}
            assert not lacks, f"{name}['{row}'] lacks the seed {sorted(lacks)[0]}"
    rivals = {"original", *env["names"]} - {"mine"}
    assert set(env["own"]) == rivals, f"own doesn't have the keys {sorted(rivals)}"
    for row in rivals:
        word = env["own"][row]["verdict"]
        assert word in ("shown", "excluded", "undecided", "failed search"), (
            f"own['{row}']: {word!r} is none of shown, excluded, undecided, failed search"
        )


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q5_gaps(results, gaps, names, seeds, n_forget, FULL, SCORES):
    import numpy as np

    scores = {row: {int(seed): found for seed, found in of.items()} for row, of in results.items()}
    rows = ("original", "ceiling", *names)
    flat = [scores[row][seed] for row in (*rows, "reference") for seed in seeds]
    flat = [found for found in flat if found]

    def counted(score, n):  # of n images: a whole number of them
        counts = np.array([float(found[score]) for found in flat]) * n / 100
        return np.allclose(counts, counts.round(), atol=1e-4)

    val, test = (200, 600) if FULL else (40, 60)  # images of a group
    if not (counted("GA", test) and counted("TA", 4 * test)):
        assert not (counted("GA", val) and counted("TA", 4 * val)), (
            "results are from validation images, on which the settings were chosen; take part 'test' instead"
        )
        raise AssertionError("GA or TA in results aren't shares of the test images")
    assert counted("UA", n_forget), f"UA in results isn't a share of the {n_forget} forgotten images"
    for one, other in (
        ("reference", "ceiling"),
        ("reference", "original"),
        ("mine", "original"),
        ("mine", "finetune"),
    ):
        same = all(scores[one][seed] == scores[other][seed] for seed in seeds)
        assert not (same and FULL), f"{one} and {other} have the same scores on every seed: is it one model?"

    for row in rows:
        for seed in seeds:
            value = {int(key): gap for key, gap in gaps[row].items()}[seed]
            if scores[row][seed] is None or scores["reference"][seed] is None:
                assert value is None, f"gaps['{row}'] has a value on a seed where it diverged"
                continue
            away = {
                of: np.array(
                    [scores[row][seed][name] - (scores[of][seed] or {}).get(name, np.nan) for name in SCORES]
                )
                for of in ("reference", "ceiling", "original")
            }
            far = np.abs(away["reference"])
            if np.isclose(float(value), 100 - far.mean(), rtol=1e-6, atol=1e-4):
                continue
            assert not np.isclose(value, far.mean(), rtol=1e-4), (
                f"gaps['{row}'] is the distance; Avg. Gap is 100 minus it"
            )
            assert not np.isclose(value, 100 - far.sum(), rtol=1e-5), (
                f"gaps['{row}'] adds the six distances up"
            )
            assert not np.isclose(value, 100 - abs(away["reference"].mean()), rtol=1e-6), (
                f"gaps['{row}'] lets differences of opposite sign cancel"
            )
            assert not np.isclose(value, 100 - np.abs(away["ceiling"]).mean(), rtol=1e-6), (
                f"gaps['{row}'] is to the ceiling; the yardstick is the reference"
            )
            assert not np.isclose(value, 100 - np.abs(away["original"]).mean(), rtol=1e-6), (
                f"gaps['{row}'] is to the original; the yardstick is the reference"
            )
            raise AssertionError(f"gaps['{row}'] doesn't follow from results on seed {seed}")


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q5_own(own, gaps, failed, names, seeds):
    import gru_lite as gru
    import numpy as np

    rivals = ["original", *(name for name in names if name != "mine")]
    values = {row: {int(seed): gap for seed, gap in gaps[row].items()} for row in ("mine", *rivals)}
    whole = [seed for seed in seeds if all(of[seed] is not None for of in values.values())]
    values = {row: np.array([float(of[seed]) for seed in whole]) for row, of in values.items()}
    tests = {row: gru.paired_test(values["mine"], values[row]) for row in rivals}
    raw = [p for _, _, p in tests.values()]
    corrected = gru.holm(raw)
    for row, p in zip(rivals, corrected):
        mean, half, alone = tests[row]
        visible = gru.smallest_difference(values["mine"] - values[row], level=0.05 / len(rivals))
        right = {"mean": mean, "half": half, "p_holm": p, "visible": visible}
        for key, value in right.items():
            given = float(own[row][key])
            if np.isclose(given, value, rtol=1e-3, atol=1e-9, equal_nan=True):
                continue
            assert key != "mean" or not np.isclose(given, -value, rtol=1e-3), (
                f"own: the mean against {row} has the wrong sign"
            )
            assert key != "p_holm" or not np.isclose(given, alone, rtol=1e-3), (
                f"own: p_holm against {row} isn't corrected for {len(rivals)} tests"
            )
            raise AssertionError(f"own: {key} against {row} doesn't follow from gaps")
        word = "undecided" if not p < 0.05 else "shown" if mean > 0 else "excluded"
        if "mine" in failed or row in failed:
            assert own[row]["verdict"] == "failed search", (
                f"own: the verdict against {row} is {own[row]['verdict']}, but a search of this pair has failed"
            )
            continue
        assert own[row]["verdict"] == word, (
            f"own: the verdict against {row} is {own[row]['verdict']}, but with a corrected p of {p:.2g} "
            f"and a mean of {mean:+.2g} the claim is {word}"
        )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 6: audit your method (2 points)
#
# Attack three models of the first fresh seed, `seeds[0]`: "original", "reference", and "mine" with its chosen values. An
# attacker sees the loss of an image, and says whether the model was trained on this image. Members are the images of $F$.
# Non-members are the *validation* images of the group that asked. Each answer is a dictionary with the three models as keys:
#
# - `losses`: a dictionary with `"forget"` and `"unseen"`, the cross-entropy of each image of $F$ and of each non-member, in
#   nats;
# - `attack`: AUC, low and high of `gru.balanced_attack`. Several images are drawn from one scanned digit, so pass the
#   `.source` of the images, too, and `seed=student`;
# - `caught`: the percentage of $F$ that a careful attacker finds. This attacker says "member" if the loss is below a
#   threshold. It is the largest threshold by which at most `allowed` non-members are called members;
# - `predicted`: the answers on all test images (0 or 1), in their order;
# - `served`: the test accuracy of the four groups. The number of a group is target times 2, plus sensitive.

# %% tags=["given"]
allowed = percent * (200 if FULL else 40) // 100  # of the validation images of the group
print(f"The attacker may accuse {allowed} unseen images of the group at most ({percent}%).")

# %% [raw]
# # BEGIN QUESTION
# name: q6

# %% [raw]
# # BEGIN SOLUTION


# %%
# BEGIN SOLUTION NO PROMPT
audit = request(seeds[0])
unseen = np.flatnonzero(audit.bench.val.group == 2 * asked[0] + asked[1])


def losses_of(model):
    found = {}
    for part, data, indices in (
        ("forget", audit.bench.train, audit.split.forget),
        ("unseen", audit.bench.val, unseen),
    ):
        logits, target = gru.predict(model, data).astype(float)[indices], data.target[indices]
        every = np.arange(len(indices))
        found[part] = np.logaddexp(0, logits[every, 1 - target] - logits[every, target])
    return found


models = {row: model_of(row, seeds[0]) for row in ("original", "reference", "mine")}
answered = {row: gru.predict(model, audit.bench.test).argmax(axis=1) for row, model in models.items()}
# END SOLUTION
losses = {row: losses_of(model) for row, model in models.items()}  # SOLUTION


# %%
# BEGIN SOLUTION NO PROMPT
def attacked(forget, unseen_losses):
    groups = np.zeros(len(forget), dtype=int), np.zeros(len(unseen_losses), dtype=int)
    sources = audit.bench.train.source[audit.split.forget], audit.bench.val.source[unseen]
    return gru.balanced_attack(forget, unseen_losses, *groups, *sources, seed=student)


def found_by_rule(forget, unseen_losses):
    return 100 * np.mean(forget < np.sort(unseen_losses)[allowed])


def by_group(answers):
    test = audit.bench.test
    return [100 * (answers == test.target)[test.group == g].mean() for g in range(4)]


# END SOLUTION
attack = {row: attacked(*found.values()) for row, found in losses.items()}  # SOLUTION
caught = {row: found_by_rule(*found.values()) for row, found in losses.items()}  # SOLUTION
predicted = answered  # SOLUTION
served = {row: by_group(answers) for row, answers in predicted.items()}  # SOLUTION

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

    rows = ("original", "reference", "mine")
    for name in ("losses", "attack", "caught", "predicted", "served"):
        answer = env.get(name)
        assert answer is not None and answer is not ..., f"{name} has no answer yet"
        assert set(answer) == set(rows), f"{name} doesn't have the keys original, reference and mine"
    n_test = 4 * (600 if env["FULL"] else 60)
    for row in rows:
        assert {"forget", "unseen"} <= set(env["losses"][row]), f"losses['{row}'] lacks 'forget' or 'unseen'"
        assert np.shape(env["attack"][row]) == (3,), f"attack['{row}'] isn't AUC, low and high"
        assert np.shape(env["predicted"][row]) == (n_test,), (
            f"predicted['{row}'] isn't one answer a test image"
        )
        assert np.shape(env["served"][row]) == (4,), f"served['{row}'] isn't four numbers"
        assert 0 <= float(env["caught"][row]) <= 100, f"caught['{row}'] isn't a percentage"


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q6_attack(losses, attack, results, request, seeds, asked, student, n_forget):
    import gru_lite as gru
    import numpy as np

    of = request(seeds[0])
    g = 2 * asked[0] + asked[1]
    unseen = np.flatnonzero(of.bench.val.group == g)
    sources = of.bench.train.source[of.split.forget], of.bench.val.source[unseen]
    tables = results if isinstance(results, dict) else {}
    for row in ("original", "reference", "mine"):
        inside, outside = (np.asarray(losses[row][part], dtype=float) for part in ("forget", "unseen"))
        assert len(inside) != len(of.split.retain), (
            f"losses['{row}']: 'forget' has the images of R; the question is about F"
        )
        assert len(inside) == n_forget, (
            f"losses['{row}']: 'forget' isn't one loss for each of {n_forget} images"
        )
        assert len(outside) != len(of.bench.val), (
            f"losses['{row}']: 'unseen' has all validation images; take those of the group that asked"
        )
        assert len(outside) == len(unseen), (
            f"losses['{row}']: 'unseen' isn't one loss for each of the {len(unseen)} validation images of the group"
        )
        for part in (inside, outside):
            assert np.isfinite(part).all() and (part >= 0).all(), (
                f"losses['{row}']: a loss is finite and at least 0"
            )
        # With two classes an answer is right when its loss is below log 2. So losses and results can be compared.
        scores = {int(seed): found for seed, found in tables.get(row, {}).items()}.get(seeds[0])
        if scores:
            UA = 100 * np.mean(inside < np.log(2))
            assert abs(UA - scores["UA"]) < 150 / n_forget, (
                f"losses['{row}'] belong to another model than results['{row}']: they give a UA of {UA:.1f}, and results {scores['UA']:.1f}"
            )
        groups = np.zeros(len(inside), dtype=int), np.zeros(len(outside), dtype=int)
        right = gru.balanced_attack(inside, outside, *groups, *sources, seed=student)
        given = np.asarray(attack[row], dtype=float)
        if np.allclose(given, right, rtol=1e-4):
            continue
        if not np.isclose(given[0], right[0], rtol=1e-4):
            assert not np.isclose(given[0], 100 - right[0], rtol=1e-4), (
                f"the AUC of {row} is upside down: members are the images of F, and they have the lower losses"
            )
            assert not np.isclose(given[0], right[0] / 100, rtol=1e-4), (
                f"the AUC of {row} is a share; give it in percent"
            )
            raise AssertionError(f"the AUC of {row} doesn't follow from its losses")
        single = gru.balanced_attack(inside, outside, *groups, seed=student)
        assert not np.allclose(given, single, rtol=1e-4), (
            f"the interval of {row} takes images as independent; several come from one scanned digit, so pass the sources"
        )
        raise AssertionError(
            f"the interval of {row} isn't that of gru.balanced_attack with sources and seed=student"
        )


# %%
""" # BEGIN TEST CONFIG
points: 1
hidden: true
"""  # END TEST CONFIG


def test_q6_caught_and_served(losses, caught, predicted, served, results, request, seeds, asked, allowed):
    import numpy as np

    test, g = request(seeds[0]).bench.test, 2 * asked[0] + asked[1]
    tables = results if isinstance(results, dict) else {}
    for row in ("original", "reference", "mine"):
        inside, outside = (np.asarray(losses[row][part], dtype=float) for part in ("forget", "unseen"))
        ordered, given = np.sort(outside), float(caught[row])
        share = 100 * np.mean(inside < ordered[allowed])
        # Both ends of the last interval without a further false accusation are right.
        least = 100 * np.mean(inside <= ordered[allowed - 1]) if allowed else 0.0
        if not least - 1e-6 <= given <= share + 1e-6:
            assert not np.isclose(given, share / 100, rtol=1e-4) or share == 0, (
                f"caught['{row}'] is a share; give it in percent"
            )
            high = 100 * np.mean(inside > ordered[-1 - allowed])
            assert not np.isclose(given, high, rtol=1e-4), (
                f"caught['{row}'] accuses images of high loss; a model has a low loss on what it was trained on"
            )
            of_F = np.sort(inside)[min(len(inside) - 1, len(inside) * allowed // len(outside))]
            assert not np.isclose(given, 100 * np.mean(outside < of_F), rtol=1e-4), (
                f"caught['{row}'] is the share of unseen images; the threshold comes from these, and the share from F"
            )
            raise AssertionError(
                f"caught['{row}'] isn't the share of F below the largest threshold with {allowed} false accusations"
            )
        answers = np.asarray(predicted[row])
        assert answers.shape == test.target.shape, f"predicted['{row}'] isn't one answer a test image"
        right = answers == test.target
        accuracy = [100 * right[test.group == group].mean() for group in range(4)]
        scores = {int(seed): found for seed, found in tables.get(row, {}).items()}.get(seeds[0])
        if scores:
            assert abs(accuracy[g] - scores["GA"]) < 0.5, (
                f"predicted['{row}'] is of another model than results['{row}']: it has a GA of {accuracy[g]:.1f}, and results {scores['GA']:.1f}"
            )
        if not np.allclose(served[row], accuracy, rtol=1e-4):
            assert not np.allclose(served[row], np.array(accuracy) / 100, rtol=1e-4), (
                f"served['{row}'] are shares; give percent"
            )
            assert not np.allclose(served[row], 100 - np.array(accuracy), rtol=1e-4), (
                f"served['{row}'] are errors; give accuracies"
            )
            assert not np.allclose(np.reshape(served[row], (2, 2)).T.ravel(), accuracy, rtol=1e-4), (
                f"served['{row}'] is in another order: group 1 is target 0 with sensitive 1"
            )
            raise AssertionError(f"served['{row}'] doesn't follow from predicted")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Question 7: your report (7 points, read by a person)
#
# Write 400 to 600 words for a reader who knows the book, and hasn't seen your notebook. Use your own numbers, with their
# units and intervals. Report:
#
# 1. the method, so that your reader could write it: what happens in a step, to which batch, and what is new in it;
# 2. the protocol: what was the same for all, what you had declared, and every departure from that, failed searches
#    included;
# 3. the no-op and the ceiling: is there room between them, and where in it is your method?
# 4. your method against each rival: shown, excluded or undecided, and which difference you could have seen;
# 5. the audit: what the balanced attack and the careful attacker find before and after, and what they can't tell;
# 6. the people: what the group that asked, and the group that is worst off, get before and after, on the seed of
#    question 6;
# 7. the limits, and one experiment that would decide the most important open question.

# %% [raw]
# # BEGIN QUESTION
# name: q7
# manual: true
# points: 7

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# **Rubric, one point for each of the seven items, in halves.** An item is worth half at most if a number in it has no unit,
# or disagrees with the notebook. A result that is bad for the method costs nothing. Hiding it costs the item.
#
# 1. *Method.* Loss on a batch of R, loss on a batch of F, and when each is used; it agrees with the code of `mine`. It says
#    which method of the book comes closest, and what differs. Half: one of these is missing. None: `mine` is a method of the
#    book.
# 2. *Protocol.* Trials, passes, validation for the search, fresh seeds for the table; departures from question 3 or a plain
#    "none"; failed searches, or that there were none. Half: one of these is missing. None: a departure that the code shows
#    isn't named.
# 3. *Room.* Avg. Gap of no-op, ceiling and own method, averaged over the fresh seeds, with an interval or the values of the
#    seeds. It says that a lead over the ceiling would mean nothing, or that there is no room if no-op and ceiling can't be
#    told apart. Half: no spread, or no reading.
# 4. *Rivals.* Mean difference, interval and corrected p for both rivals, and the verdict of `own` in its word. If undecided,
#    the smallest visible difference. Half: one rival, or no visible difference. None: "better", "equal" or "a tie" without a
#    corrected test that shows it, or a conclusion about a method whose search failed.
# 5. *Audit.* AUC with interval for all three models and the share that is caught, compared with the reference and not with 0
#    or 50 alone. It says one thing that the attacks can't tell: one seed, few images, an attacker who sees only the loss.
#    Half: no interval, or no comparison with the reference. None: "private" or "forgotten" as a fact.
# 6. *People.* Accuracy of the group that asked and of the worst group, of original, reference and own model, beside the
#    overall accuracy. It says who pays, and that the reference itself may serve the group worse. Half: the worst group or the
#    comparison is missing.
# 7. *Limits and next.* Two of: few seeds, one benchmark, one search with few trials, one reference a seed, hyperparameters on
#    one seed, labels of groups. One experiment with what is varied, what is measured, and which result would decide. Half:
#    only one of the two parts.
#
# **An answer that gets 7 points** (with the author's numbers in place of the dots). "*Method.* Each step takes a batch of
# R, drawn with REWEIGHT, and 32 images of F. The loss is the cross-entropy on R plus ... times the mean of max(0, ... -
# cross-entropy) on F. So an image of F is pushed up to a loss of ... nats and no further. NegGrad+ comes closest; its ascent
# has no such end. *Protocol.* As declared: ... trials of each method on validation images of one seed, five passes over R,
# then ... fresh seeds with no change. No search failed. *Room.* The no-op has an Avg. Gap of ... (values ...), the ceiling
# ... (...), mine ... (...). So there is room, and mine is at ... of it. A lead over the ceiling would mean nothing.
# *Rivals.* Mine minus fine-tuning is ... points (95% interval ... to ..., corrected p ...): undecided. Four seeds would have
# shown ... points or more, four times out of five. Mine minus ... is ... (... to ..., p ...): undecided as well, visible
# from .... *Audit.* On one seed the AUC falls from ... (... to ...) to ... (... to ...); the reference has ... (... to ...).
# With ...% false accusations an attacker finds ...% of F before, ...% after and ...% in the reference. The intervals
# overlap, and the attacker only sees the loss of one model. So this doesn't show that nothing is left. *People.* The group
# that asked falls from ...% to ...%, where the reference has ...%. It is the worst group, too. The accuracy over all falls by
# ... points only, which hides who pays. *Limits.* Four seeds and one benchmark; the settings come from ... trials on one
# seed. I can't say that the level is what matters. To decide that, I would run the same search with a level of 0 nats, which
# never looks at F, on 20 fresh seeds. If the difference in Avg. Gap isn't shown to be above 0 there, and 1 point is excluded,
# the level does nothing that matters."

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION
