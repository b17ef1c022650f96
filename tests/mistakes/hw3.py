"""Assignment 3: its points, cells that are replaced where training doesn't matter, and typical mistakes."""

# Question -> automatic points. The written questions 3 and 7 have 9 more.
POINTS = {"q1": 3, "q2": 2, "q4": 2, "q5": 2, "q6": 2}

# (text in a cell, what stands in its place): made-up answers of the right form, without a training.
QUICK = [
    (
        "observed = observe(",
        """
@dataclass(frozen=True)
class MineConfig(gru.TrainConfig):
    warmup_epochs: int = 0
    SPACE: ClassVar = {"lr": ("log", 1e-4, 0.2), "shift": ("choice", (0, 2))}


def mine(original, data, split, config, *, weights, sampling, seed):
    return gru.fit(
        original, data, indices=split.retain, weights=weights, sampling=sampling, config=config, seed=seed
    )


chance = np.random.default_rng(6)
calls = ("original", "first", "other seed", "without weights")
observed = {call: chance.normal(size=(240, 2)) for call in calls}
observed |= {"again": observed["first"], "original afterwards": observed["original"], "uses": ["fit"]}
""",
    ),
    (
        "nothing = scored(",
        """
space = {name: method_of(name)[1].SPACE for name in names}
chance = np.random.default_rng(7)


def made_up(level, n_test):
    # Scores near a level. GA could be of validation or of test images, TA of `n_test` images alone.
    near = {"UA": n_forget, "TA": n_test, "GA": 20}
    for name, n in near.items():
        near[name] = 100 * chance.integers(int(level * n), int((level + 0.05) * n) + 1) / n
    return {"RA": 99.0, "MIA": 40.0, "EO": 100 * (1 - level)} | near


nothing, yardstick = (made_up(level, 160) for level in (0.9, 0.7))
""",
    ),
    (
        "log = {",
        """
log = {
    name: [{"values": v, "scores": made_up(l, 160)} for v, l in zip(trials(name, space[name]), (0.6, 0.75))]
    for name in names
}
""",
    ),
    ("request(seed).original, ", ""),
    (
        "results = {",
        """
levels = {"original": 0.9, "reference": 0.7, "ceiling": 0.71, "mine": 0.74, "finetune": 0.6, rival: 0.65}
results = {row: {seed: made_up(level, 240) for seed in seeds} for row, level in levels.items()}
""",
    ),
    (
        "losses = {",
        """
audit, losses, answered = request(seeds[0]), {}, {}
unseen = np.flatnonzero(audit.bench.val.group == 2 * asked[0] + asked[1])
target, group = audit.bench.test.target, audit.bench.test.group
for row in ("original", "reference", "mine"):
    scores = results[row][seeds[0]]
    forget = chance.uniform(0.7, 2, n_forget)
    forget[: round(scores["UA"] * n_forget / 100)] /= 4
    losses[row] = {"forget": forget, "unseen": chance.uniform(0, 2, len(unseen))}
    answers = np.where(chance.random(len(target)) < 0.2, 1 - target, target)
    own_group = np.flatnonzero(group == 2 * asked[0] + asked[1])
    right = np.arange(len(own_group)) < round(scores["GA"] * len(own_group) / 100)
    answers[own_group] = np.where(right, target[own_group], 1 - target[own_group])
    answered[row] = answers
""",
    ),
]

# Question 2 observes a method that is wrong in one way.
METHOD = """
def wrong(original, data, split, config, *, weights, sampling, seed):
    {}


observed = observe(wrong, MineConfig)
"""
RIGHT = "mine(original, data, split, config, weights=weights, sampling=sampling, seed=seed)"

# Typical mistakes: what a right submission ends with, what is left of a question, and what is said of it.
MISTAKES = {
    "wrong sign": (
        "recorded = {name: of | {'mean': -of['mean']} for name, of in recorded.items()}",
        {"q1": 2},
        "mean of B has the wrong sign",
    ),
    "1.96": (
        "for name, of in recorded.items():\n"
        "    d = gaps_A - gaps_of[name]\n"
        "    of['half'] = 1.96 * d.std(ddof=1) / np.sqrt(len(d))",
        {"q1": 2},
        "half of B uses 1.96",
    ),
    "unpaired": (
        "for name, of in recorded.items():\n"
        "    both = gaps_A.var(ddof=1) + gaps_of[name].var(ddof=1)\n"
        "    of['half'] *= np.sqrt(both / (gaps_A - gaps_of[name]).var(ddof=1))",
        {"q1": 2},
        "half of B ignores that the seeds are paired",
    ),
    "not corrected": (
        "for name, of in recorded.items():\n    of['p_holm'] = gru.paired_test(gaps_A, gaps_of[name])[2]",
        {"q1": 2},
        "p_holm isn't corrected",
    ),
    "Bonferroni": (
        "for name, of in recorded.items():\n"
        "    of['p_holm'] = min(1, 4 * gru.paired_test(gaps_A, gaps_of[name])[2])",
        {"q1": 2},
        "which is Bonferroni",
    ),
    "sorted p": (
        "for of, p in zip(recorded.values(), sorted(of['p_holm'] for of in recorded.values())):\n"
        "    of['p_holm'] = p",
        {"q1": 2},
        "p_holm is sorted",
    ),
    "visible in one test": (
        "for name, of in recorded.items():\n"
        "    of['visible'] = gru.smallest_difference(gaps_A - gaps_of[name])",
        {"q1": 2},
        "visible of B is that of a single test",
    ),
    "a large p excludes": (
        "for of in recorded.values():\n"
        "    of['verdict'] = 'excluded' if of['verdict'] == 'undecided' else of['verdict']",
        {"q1": 2},
        "a large p is no evidence",
    ),
    "tie": (
        "for of in recorded.values():\n"
        "    of['verdict'] = 'tie' if of['verdict'] == 'undecided' else of['verdict']",
        {"q1": 2},
        "'tie' is none of shown, excluded, undecided",
    ),
    "changes nothing": (
        METHOD.format("import copy\n    return copy.deepcopy(original)"),
        {"q2": 0},
        "it changes nothing",
    ),
    "trains the original itself": (
        METHOD.format(f"original.load_state_dict({RIGHT}.state_dict())\n    return original"),
        {"q2": 1},
        "mine changes the original",
    ),
    "randomness of its own": (
        METHOD.format("seed = int(np.random.default_rng().integers(10**6))\n    return " + RIGHT),
        {"q2": 1},
        "mine returns another model when it is called again",
    ),
    "seed ignored": (
        METHOD.format("return " + RIGHT.replace("seed=seed", "seed=0")),
        {"q2": 1},
        "mine returns the same model for another seed",
    ),
    "looks at test images": (
        METHOD.format("other = request(seeds[0]).bench.test\n    return " + RIGHT),
        {"q2": 1},
        "images that a method must not see",
    ),
    "weights ignored": (
        METHOD.format("weights, sampling = None, 'none'\n    return " + RIGHT),
        {"q2": 1},
        "mine returns the same model with weights and without",
    ),
    "needs weights": (
        METHOD.format("weights = weights / weights.sum()\n    return " + RIGHT),
        {"q2": 1},
        "mine can't be called with weights=None",
    ),
    "fewer trials for the rivals": (
        "log = log | {'finetune': log['finetune'][1:]}",
        {"q4": 1},
        "finetune had 1 trials",
    ),
    "defaults for the rivals": (
        "chosen = chosen | {'finetune': {'lr': 0.05, 'shift': 2}}",
        {"q4": 1},
        "chosen['finetune'] was never tried",
    ),
    "searched on test images": (
        "every = [nothing, yardstick, *(trial['scores'] for trial in sum(log.values(), []))]\n"
        "for scores in every:\n"
        "    scores['TA'] = 100 * (2 * round(scores['TA'] * 1.2) + 1) / 240\n"
        "chosen = {name: best_of(name)['values'] for name in names}",
        {"q4": 1},
        "the search looked at test images",
    ),
    "furthest": (
        "chosen = {name: min(log[name], key=lambda t: gap_to(yardstick, t['scores']))['values']"
        " for name in names}",
        {"q4": 1},
        "is the trial that is furthest away",
    ),
    "failed search hidden": (
        "nothing = dict(yardstick, RA=yardstick['RA'] + 0.1)",
        {"q4": 1},
        "failed lacks mine",
    ),
    "distance": (
        "gaps = gaps | {'mine': {seed: 100 - gap for seed, gap in gaps['mine'].items()}}\n"
        "own = against(['original', 'finetune', rival])",
        {"q5": 1},
        "gaps['mine'] is the distance",
    ),
    "to the ceiling": (
        "gaps = {row: {s: gap_to(results['ceiling'][s], results[row][s]) for s in seeds} for row in gaps}\n"
        "own = against(['original', 'finetune', rival])",
        {"q5": 1},
        "is to the ceiling",
    ),
    "table on validation images": (
        "for scores in (scores for of in results.values() for scores in of.values()):\n"
        "    scores['TA'] = 100 * (2 * round(scores['TA'] * 0.8) + 1) / 160\n"
        "gaps = {row: gaps_of_row(row) for row in gaps}\n"
        "own = against(['original', 'finetune', rival])",
        {"q5": 1},
        "results are from validation images",
    ),
    "own p not corrected": (
        "for row in own:\n"
        "    pair = [[gaps[name][seed] for seed in seeds] for name in ('mine', row)]\n"
        "    own[row]['p_holm'] = gru.paired_test(*pair)[2]",
        {"q5": 1},
        "isn't corrected for 3 tests",
    ),
    "rival minus mine": (
        "own = {row: of | {'mean': -of['mean']} for row, of in own.items()}",
        {"q5": 1},
        "own: the mean against original has the wrong sign",
    ),
    "better by mean": (
        "own = {row: of | {'verdict': 'shown' if of['mean'] > 0 else 'excluded'} for row, of in own.items()}",
        {"q5": 1},
        "the claim is undecided",
    ),
    "AUC upside down": (
        "attack = {row: [100 - a, 100 - high, 100 - low] for row, (a, low, high) in attack.items()}",
        {"q6": 1},
        "the AUC of original is upside down",
    ),
    "independent images": (
        "for row, found in losses.items():\n"
        "    groups = [np.zeros(len(part), dtype=int) for part in found.values()]\n"
        "    attack[row] = gru.balanced_attack(*found.values(), *groups, seed=student)",
        {"q6": 1},
        "pass the sources",
    ),
    "R in the place of F": (
        "for found in losses.values():\n"
        "    found['forget'] = np.linspace(0, 1, len(request(seeds[0]).split.retain))\n"
        "caught = {row: found_by_rule(*found.values()) for row, found in losses.items()}",
        {"q6": 1},
        "'forget' has the images of R",
    ),
    "all of validation": (
        "for found in losses.values():\n"
        "    found['unseen'] = np.linspace(0.01, 2, len(request(seeds[0]).bench.val))\n"
        "caught = {row: found_by_rule(*found.values()) for row, found in losses.items()}",
        {"q6": 1},
        "'unseen' has all validation images",
    ),
    "high losses accused": (
        "losses['original']['forget'][-1] = 9\n"
        "attack = {row: attacked(*found.values()) for row, found in losses.items()}\n"
        "caught = {row: 100 * np.mean(found['forget'] > np.sort(found['unseen'])[-1 - allowed])"
        " for row, found in losses.items()}",
        {"q6": 1},
        "accuses images of high loss",
    ),
    "shares": ("served = {row: np.array(of) / 100 for row, of in served.items()}", {"q6": 1}, "are shares"),
    "groups in another order": (
        "served = {row: [of[0], of[2], of[1], of[3]] for row, of in served.items()}",
        {"q6": 1},
        "is in another order",
    ),
    "another model is audited": (
        "losses['mine']['forget'] = losses['mine']['forget'] / 10\n"
        "attack = {row: attacked(*found.values()) for row, found in losses.items()}\n"
        "caught = {row: found_by_rule(*found.values()) for row, found in losses.items()}",
        {"q6": 1},
        "belong to another model",
    ),
}
