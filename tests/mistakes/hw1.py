"""Assignment 1: what a program gives points for, and what typical mistakes get. See `test_assignments.py`."""

POINTS = {"q1": 2, "q2": 3, "q3": 1, "q4": 2, "q5": 3, "q6": 3, "q7": 2}  # and 4 of the written question

# In place of three trained models, where a submission is about something else.
UNTRAINED = """
chance, target = np.random.default_rng(5), bench.test.target
right_on = {"original": 0.9, "retrain": 0.6, "reweight": 0.8}
own = bench.test.group == 2 * asked[0] + asked[1]
harmed = {"original": 0, "retrain": 0.4 * own, "reweight": 0}
errs = {name: chance.random(len(target)) > share - harmed[name] for name, share in right_on.items()}
predicted = {name: np.where(wrong, 1 - target, target) for name, wrong in errs.items()}
right = {name: predicted[name] == target for name in predicted}
harm = 100 * (right["original"][own].mean() - right["retrain"][own].mean())
gain = 100 * (right["reweight"][own].mean() - right["retrain"][own].mean())
"""

QUICK = [("gru.fit(", UNTRAINED)]

# Typical mistakes: what a right submission ends with, what is left of the question, and what is said of it.
MISTAKES = {
    "inverted weights": ("weights = n_retain / n_train", {"q1": 1}, "upside down"),
    "scaled weights": ("weights = weights / weights.sum()", {"q1": 1}, "add up to 1"),
    "counts of F": ("n_retain = n_train - n_retain", {"q1": 1}, "counts the images of F"),
    "shares": ("RA, GA = RA / 100, GA / 100", {"q2": 1}, "RA is a share"),
    "UA as an error": ("UA = 100 - UA", {"q2": 2}, "the book's UA is the accuracy"),
    "UA of the group": (
        "UA = 100 * right_train[bench.train.group == 2 * asked[0] + asked[1]].mean()",
        {"q2": 2},
        "UA is over the whole group",
    ),
    "worst group by name": ("worst = np.argmin(of_group)", {"q2": 2}, "worst is the number of the group"),
    "larger distance": ("EO = np.abs(table[:, 0] - table[:, 1]).max()", {"q3": 0}, "EO is the larger"),
    "wrong axis": ("EO = np.abs(table[0] - table[1]).mean()", {"q3": 0}, "EO is between targets"),
    "distance": (
        "to_reference = {name: 100 - gap for name, gap in to_reference.items()}",
        {"q4": 1},
        "to_reference is the distance",
    ),
    "signed mean": (
        "to_ceiling = {name: 100 - abs((scores[name] - scores['ceiling']).mean()) for name in to_ceiling}",
        {"q4": 1},
        "to_ceiling lets differences of opposite sign cancel",
    ),
    "the further one": (
        "ahead = {of: {'original': 'retrain', 'retrain': 'original'}[name] for of, name in ahead.items()}",
        {"q4": 1},
        "names the model that is further away",
    ),
    "unpaired": (
        "half = stats.t.ppf(0.975, n - 1) * np.sqrt((GA_retrain.var(ddof=1) + GA_reweight.var(ddof=1)) / n)",
        {"q5": 2},
        "half ignores that the seeds are paired",
    ),
    "1.96": ("half = 1.96 * difference.std(ddof=1) / np.sqrt(n)", {"q5": 2}, "half uses 1.96"),
    "spread of seeds": (
        "half = stats.t.ppf(0.975, n - 1) * difference.std(ddof=1)",
        {"q5": 2},
        "half is about single seeds",
    ),
    "wrong sign": ("mean = -mean", {"q5": 2}, "mean has the wrong sign"),
    "tie": ("verdicts = ['tie', 'tie']", {"q5": 2}, "'tie' is none of shown"),
    "no weights": (
        "draws = np.random.default_rng(0).integers(0, len(sample_weights), 5 * len(sample_weights))",
        {"q6": 2},
        "draw ignores the weights",
    ),
    "balanced groups": (
        "g = bench.train.group[split.retain]\nw = 1 / np.bincount(g)[g]\n"
        "draws = draw(np.random.default_rng(0), w, 5 * len(w))",
        {"q6": 2},
        "draw takes each group equally often",
    ),
    "positions in D": ("draws = split.retain[draws]", {"q6": 2}, "no positions in weights"),
    "global ess": ("ess_group = ess", {"q6": 2}, "ess_group is that of all images"),
    "size before": ("ess_group = n_train[2 * asked[0] + asked[1]]", {"q6": 2}, "the size before the request"),
    "harm as a change": ("harm = -harm", {"q7": 1}, "harm has the wrong sign"),
    "all test images": (
        "gain = 100 * (right['reweight'].mean() - right['retrain'].mean())",
        {"q7": 1},
        "gain is over all test images",
    ),
}
