"""Assignment 2: what a program gives points for, and what typical mistakes get. See `test_assignments.py`."""

POINTS = {"q1": 2, "q2": 1, "q3": 3, "q4": 2, "q5": 2, "q6": 1, "q7": 1, "q8": 2, "q9": 2}  # and 4 of q10

# In place of four trained models, where a submission is about something else.
UNTRAINED = """
chance = np.random.default_rng(5)
right_on = {"original": (0.9, 0.9), "reference": (0.4, 0.7), "finetune": (0.8, 0.4), "miu": (0.1, 0.95)}


def made_up(target, share):
    return np.where(chance.random(len(target)) < share, target, 1 - target)


on_F = {name: made_up(bench.train.target[split.forget], shares[0]) for name, shares in right_on.items()}
on_test = {name: made_up(bench.test.target, shares[1]) for name, shares in right_on.items()}
own_test = bench.test.group == forgotten


def two_accuracies(name):
    right_on_F = on_F[name] == bench.train.target[split.forget]
    right_on_test = (on_test[name] == bench.test.target)[own_test]
    return 100 * np.array([right_on_F.mean(), right_on_test.mean()])


judged = ("original", "finetune", "miu")
of_reference = two_accuracies("reference")
off = {name: abs(two_accuracies(name) - of_reference).mean() for name in judged}
"""

QUICK = [("gru.unlearn(", UNTRAINED)]

# Typical mistakes: what a right submission ends with, what is left of the question, and what is said of it.
MISTAKES = {
    "bits for nats": ("information = bits", {"q1": 1}, "information is in bits"),
    "doubt that is left": ("information = most - information", {"q1": 1}, "the doubt that is left"),
    "entropy of the pair": (
        "information = -(joint[seen] * np.log(joint[seen])).sum()",
        {"q1": 1},
        "the entropy of the pair",
    ),
    "equal groups": (
        "even = joint / of_group / 4\n"
        "information = (even[seen] * np.log(even / even.sum(axis=1, keepdims=True) * 4)[seen]).sum()",
        {"q1": 1},
        "counts each group equally",
    ),
    "zero times log zero": (
        "information = (joint * np.log(joint / np.outer(of_value, of_group))).sum()",
        {"q1": 1},
        "an empty cell counts 0",
    ),
    "times log 2": ("bits = bits * np.log(2) ** 2", {"q1": 1}, "bits is multiplied by log 2"),
    "still nats": ("bits = bits * np.log(2)", {"q1": 1}, "bits is still in nats"),
    "log of four groups": ("most = np.log(4)", {"q1": 1}, "most is log 4"),
    "entropy of the feature": (
        "most = -(of_value * np.log(of_value)).sum()",
        {"q1": 1},
        "most is the entropy of the feature",
    ),
    "one pair": ("of_all = of_all / pairs", {"q2": 0}, "of_all is one pair alone"),
    "rho not squared": ("of_all = -pairs / 2 * np.log(1 - rho)", {"q2": 0}, "the formula has rho squared"),
    "without the half": ("of_all = 2 * of_all", {"q2": 0}, "of_all lacks the factor 1/2"),
    "base 2": ("infonce_most = np.log2(batch)", {"q2": 0}, "infonce_most is in bits"),
    "no ceiling": ("infonce_most = of_all", {"q2": 0}, "InfoNCE can't read more than its batch allows"),
    "as many as nats": ("needed = of_all", {"q2": 0}, "the number of samples grows exponentially"),
    "power of 2": ("needed = 2**of_all", {"q2": 0}, "needed is a power of 2"),
    "exp of one pair": ("needed = np.exp(of_all / pairs)", {"q2": 0}, "needed is for one pair"),
    "exp overflows": (
        "sampled = first_mean - np.log(np.exp(T[at, other]).mean())",
        {"q3": 2},
        "subtract the largest T first",
    ),
    "mean of T": ("sampled = first_mean - T[at, other].mean()", {"q3": 2}, "sampled takes the mean of T"),
    "own group twice": (
        "sampled = first_mean - logsumexp(T[at, own]) + np.log(len(T))",
        {"q3": 2},
        "sampled has the own groups in both terms",
    ),
    "sum for mean": ("sampled = sampled - np.log(len(T))", {"q3": 2}, "sampled takes the sum of exp T"),
    "sign of the bound": ("sampled = -sampled", {"q3": 2}, "sampled has the wrong sign"),
    "uniform marginal": (
        "exact = first_mean - logsumexp(T) + np.log(4 * len(T))",
        {"q3": 2},
        "exact weights all groups equally",
    ),
    "no weights": (
        "exact = first_mean - logsumexp(T) + np.log(len(T))",
        {"q3": 2},
        "exact adds exp T of the groups up without the weights",
    ),
    "exact is tight": ("exact = tight", {"q3": 2}, "exact takes the log in each row first"),
    "exact is sampled": ("exact = sampled", {"q3": 2}, "exact has the groups that were drawn"),
    "tight is exact": ("tight = exact", {"q3": 2}, "tight is the bound of the rows as they are"),
    "softmax without p": (
        "tight = (T[at, own] - logsumexp(T, axis=1)).mean() + np.log(4)",
        {"q3": 2},
        "tight normalises the rows with equal weights",
    ),
    "cross-entropy": ("tight = -(p * np.log(p)).sum() - tight", {"q3": 2}, "tight is the cross-entropy"),
    "stops on training samples": ("stop_at = steps[np.argmax(on_A)]", {"q4": 1}, "the best step on part A"),
    "stops where it evaluates": (
        "stop_at = steps[np.argmax(on_C)]",
        {"q4": 1},
        "no part is left to evaluate on",
    ),
    "reads where it stopped": (
        "estimate = on_B[best]",
        {"q4": 1},
        "estimate is read on the samples that chose the step",
    ),
    "reads the highest": ("estimate = on_C.max()", {"q4": 1}, "these samples chose the step, too"),
    "reads training samples": ("estimate = on_A[best]", {"q4": 1}, "estimate is read on training samples"),
    "uncorrected": ("corrected = uniform_reading", {"q4": 1}, "corrected isn't corrected"),
    "adds the offset": (
        "corrected = 2 * uniform_reading - corrected",
        {"q4": 1},
        "corrected adds the offset",
    ),
    "takes off the entropy": (
        "corrected = uniform_reading + (group_shares * np.log(group_shares)).sum()",
        {"q4": 1},
        "corrected takes off H(G)",
    ),
    "log q": ("scores = scores + np.log(share[forgotten])", {"q5": 1}, "scores is log q_f"),
    "T itself": ("scores = z @ A[forgotten] + b[forgotten]", {"q5": 1}, "scores is T itself"),
    "equal weights": (
        "T_of = z @ A.T + b\nscores = T_of[:, forgotten] - np.log(np.exp(T_of).mean(axis=1))",
        {"q5": 1},
        "scores weights the groups equally",
    ),
    "q without p": (
        "T_of = z @ A.T + b\n"
        "scores = T_of[:, forgotten] - np.log(np.exp(T_of).sum(axis=1) * share[forgotten])",
        {"q5": 1},
        "scores leaves the shares p(g) out",
    ),
    "gradient of T": ("gradients = np.tile(A[forgotten], (5, 1))", {"q5": 1}, "gradients is that of T alone"),
    "gradient of the mean": ("gradients = gradients / 5", {"q5": 1}, "gradients is that of the mean"),
    "gradient down": ("gradients = -gradients", {"q5": 1}, "gradients points down"),
    "weighted by p": (
        "gradients = A[forgotten] - np.tile(share @ A, (5, 1))",
        {"q5": 1},
        "gradients weights the groups by p",
    ),
    "climbs": ("moved = score_of(z + rate * gradients)", {"q5": 1}, "moved climbs"),
    "straight line": (
        "moved = scores - rate * (gradients**2).sum(axis=1)",
        {"q5": 1},
        "moved takes the score for a straight line",
    ),
    "not squared": ("penalty = weight * abs(now - before)", {"q6": 0}, "MIU takes its square"),
    "without lambda": ("penalty = penalty / weight", {"q6": 0}, "penalty lacks the weight"),
    "towards zero": ("penalty = weight * now**2", {"q6": 0}, "penalty pulls to zero"),
    "slope without 2": ("slope = slope / 2", {"q6": 0}, "slope lacks the factor 2"),
    "slope with the wrong sign": ("slope = -slope", {"q6": 0}, "slope has the wrong sign"),
    "upside down": (
        "pull = ['raises' if above > 0 else 'lowers' for above in slope]",
        {"q6": 0},
        "pull is upside down",
    ),
    "always lowers": ("pull = ['lowers'] * 3", {"q6": 0}, "calibration pulls from both sides"),
    "distance": (
        "gap_of = {name: 100 - gap for name, gap in gap_of.items()}",
        {"q7": 0},
        "gap_of is the distance",
    ),
    "signed mean": (
        "gap_of = {\n    name: 100 - abs(np.mean([row[m] - reference[m] for m in METRICS]))\n"
        "    for name, row in candidates.items()\n}",
        {"q7": 0},
        "gap_of lets differences of opposite sign cancel",
    ),
    "compared with the original": (
        "gap_of = {\n    name: 100 - np.mean([abs(row[m] - candidates['original'][m]) for m in METRICS])\n"
        "    for name, row in candidates.items()\n}",
        {"q7": 0},
        "gap_of compares with the original",
    ),
    "lowest UA": (
        "nearest = min(candidates, key=lambda name: candidates[name]['UA'])",
        {"q7": 0},
        "nearest has the lowest UA",
    ),
    "highest GA": (
        "nearest = max(candidates, key=lambda name: candidates[name]['GA'])",
        {"q7": 0},
        "nearest has the highest GA",
    ),
    "UA alone": (
        "nearest = min(candidates, key=lambda name: abs(candidates[name]['UA'] - reference['UA']))",
        {"q7": 0},
        "nearest is nearest in UA alone",
    ),
    "signed distances": (
        "off = {name: (two_accuracies(name) - of_reference).mean() for name in judged}",
        {"q8": 1},
        "off has signs",
    ),
    "off from the original": (
        "off = {name: abs(two_accuracies(name) - two_accuracies('original')).mean() for name in judged}",
        {"q8": 1},
        "off compares with the original",
    ),
    "sum of distances": (
        "off = {name: 2 * value for name, value in off.items()}",
        {"q8": 1},
        "off is the sum",
    ),
    "GA of all test images": (
        "own_test = np.full(len(bench.test), True)\nof_reference = two_accuracies('reference')\n"
        "off = {name: abs(two_accuracies(name) - of_reference).mean() for name in judged}",
        {"q8": 1},
        "off takes all test images",
    ),
    "UA's distance alone": (
        "off = {name: abs(two_accuracies(name) - of_reference)[0] for name in judged}",
        {"q8": 1},
        "off is the distance in UA alone",
    ),
    "outputs of the test set": ("on_F = on_test", {"q8": 0}, "on_F isn't one answer an image of F"),
    "rival minus MIU": ("means = -means", {"q9": 1}, "means has the wrong sign"),
    "unpaired": (
        "spread = np.sqrt(miu_gap.var(ddof=1) + rival_gaps.var(axis=1, ddof=1))\n"
        "halves = stats.t.ppf(0.975, 11) * spread / np.sqrt(12)",
        {"q9": 1},
        "halves ignores that the seeds are paired",
    ),
    "1.96": ("halves = 1.96 * halves / stats.t.ppf(0.975, 11)", {"q9": 1}, "halves uses 1.96"),
    "whole width": ("halves = 2 * halves", {"q9": 1}, "halves is the whole width"),
    "spread of seeds": ("halves = halves * np.sqrt(12)", {"q9": 1}, "halves is about single seeds"),
    "standard error": (
        "halves = lead.std(axis=1, ddof=1) / np.sqrt(12)",
        {"q9": 1},
        "halves is the standard error",
    ),
    "means alone": (
        "verdicts = ['shown' if m > c else 'excluded' for m, c in zip(means, least)]",
        {"q9": 1},
        "verdicts looks at the means alone",
    ),
    "compared with zero": (
        "verdicts = [verdict(m, h, 0) for m, h in zip(means, halves)]",
        {"q9": 1},
        "verdicts compares with 0",
    ),
    "always undecided": (
        "verdicts = ['undecided'] * 3",
        {"q9": 1},
        "is called undecided, but the whole interval",
    ),
}

# Other ways to a right answer, which must get all points.
OTHER_WAYS = {
    "entropies": """
from scipy.stats import entropy
information = entropy(of_group) + entropy(of_value) - entropy(joint.ravel())
bits = round(entropy(of_group, base=2) + entropy(of_value, base=2) - entropy(joint.ravel(), base=2), 4)
most = entropy(counts.sum(axis=0))
""",
    "rounded up": "needed = int(np.ceil(needed))",
    "float32, by the package": """
import torch
from gru_lite.information import normalised, sampled_bound
table, log_p = torch.tensor(T).float(), torch.tensor(p).log().float()
groups = torch.tensor(own)
sampled = sampled_bound(table[at, own], table[at, other])
exact = gru.donsker_varadhan(table, groups, log_p)
tight = gru.donsker_varadhan(normalised(table, log_p), groups, log_p)
""",
    "entropy minus cross-entropy": """
import torch
from torch.nn.functional import cross_entropy
tight = -(p * np.log(p)).sum() - cross_entropy(torch.tensor(T + np.log(p)), torch.tensor(own)).item()
largest = T.max()
exact = T[at, own].mean() - largest - np.log((np.exp(T - largest) @ p).mean())
""",
    "lists and Python's numbers": """
stop_at, estimate = int(stop_at), float(estimate)
offset = sum(float(share_of) * float(np.log(share_of * 4)) for share_of in group_shares)
corrected = uniform_reading - offset
penalty, slope, verdicts = list(penalty), list(slope), np.array(verdicts)
""",
    "automatic gradients": """
import torch
place = torch.tensor(z).float().requires_grad_()
critic = place @ torch.tensor(A).float().T + torch.tensor(b).float()
log_q = (critic + torch.tensor(share).float().log()).log_softmax(dim=1)
value = log_q[:, forgotten] - np.log(share[forgotten])
(gradients,) = torch.autograd.grad(value.sum(), place)
scores = value.detach()
""",
    "finite differences": """
wiggle = 1e-5 * np.eye(3)
gradients = np.stack([(score_of(z + d) - score_of(z - d)) / 2e-5 for d in wiggle], axis=1)
moved = score_of(z - rate * gradients).tolist()
""",
    "the record's own gaps": """
of_seed = record[record["seed"] == int(one_seed)].set_index(["method", "sampling"])
plain = ("original", "retrain", "gradient_ascent")
gap_of = {n: of_seed.loc[(n, "none" if n in plain else "replacement"), "avg_gap"] for n in candidates}
""",
    "the package's intervals": """
means, halves = np.transpose([gru.paired_test(miu_gap, rival)[:2] for rival in rival_gaps])
means = means.round(3)
""",
}
