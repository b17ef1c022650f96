"""What an attack by shadow models finds after unlearning: writes results/audit.csv and five more.

    python results/audit.py --search          # audit_search.csv, then
    python results/audit.py                   # audit.csv, audit_models.csv, audit_gaussians.csv
    python results/audit.py --stayers         # audit_stayers.csv
    python results/audit.py --probe           # audit_probe.csv

The population is 2,300 pictures of waterdigits as 131 numbers each, 300 of them in group (1, 0). A shadow
model is an `mlp` that was trained on a random half of each group. Models 2k and 2k + 1 have complementary
halves, so every sample is in half of the 136 models. In group (1, 0) a fixed list of samples asks to be
forgotten, 150 of them at ratio 0.5 and 270 at 0.9, and the others stay. The request to a model is its
members on that list.

U-LiRA, samples "asks": a member is a sample that was in the training set, so the model forgot it. Two kinds
of non-members are recorded, both of them samples that asked:

    against "same"     models that never had the sample, after the same method forgot the others
    against "retrain"  models retrained on R, with REWEIGHT if the method has it; none of them had the sample

LiRA, samples "stays": a member was in the training set and stayed; non-members as "same". The original
forgot nothing. Every model is attacked with the Gaussians of the 134 others: its pair is left out. Rates are
in percent, with 95% bootstrap intervals over pairs of models and over scanned digits; `se` is the standard
error.

audit.csv has these rates, and their paired differences from the rows named in `than`. audit_models.csv has
each model's scores (of the first 32) and its part in the rates: its AUC, and the shares that it has above
the threshold at 1% FPR. audit_gaussians.csv has the Gaussians of the samples that ask, ratio 0.5, of four
rows and all models but the first eight, which lesson 16 trains again. audit_stayers.csv has six
populations, for retraining alone. audit_probe.csv has I(Z; G) in nats, as a fresh classifier and as MIU's
own critic read it, of six models a row. At ratio 0.9 two methods are recorded. `finetune_miu_lr` is
fine-tuning at MIU's learning rate, a control. Finished parts are kept in --work.
"""

import argparse
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import gru_lite as gru
from gru_lite.data.waterdigits import as_edges, waterdigits
from gru_lite.experiment.store import record
from gru_lite.groups import ForgetSplit
from gru_lite.recipes.search import first_points
from gru_lite.scores.likelihood import attack_rates
from gru_lite.scores.scores import losses
from gru_lite.seeding import further_seed, stream
from gru_lite.train.ensemble import fit_many

HERE, WITH = Path(__file__).parent, "replacement"
COUNTS = ((1050, 180), (300, 770))  # (target, sensitive), of the population
GROUP, PAIRS = 2, 68
ASKS = {"0.5": 150, "0.9": 270}  # of the 300 of the group
FPRS = (0.001, 0.01, 0.05)
CONFIG = gru.TrainConfig(shift=0)
METHODS = ("gradient_ascent", "finetune", "l1_sparse", "eu_k", "salun", "scrub", "miu")
CONTROL = ("finetune_miu_lr", WITH)  # fine-tuning at the learning rate that the search found for MIU
SCORED = 32  # models whose six scores are recorded
ROWS = [(m, s) for m in METHODS for s in (WITH, "none") if m != "gradient_ascent" or s == "none"]
ROWS_AT = {"0.5": [*ROWS, CONTROL], "0.9": [("finetune", WITH), ("salun", WITH)]}
EXACT = [("original", "none"), ("retrain", "none"), ("retrain", WITH)]
POPULATIONS = 6  # of --stayers
TRIALS, TUNED_ON = 6, 100  # trials a row; the seed of the population that they see
SCORES = ("RA", "UA", "TA", "MIA", "EO", "GA")


class Population:
    """The samples of one seed, who asks, and which half each shadow model was trained on."""

    def __init__(self, seed, pairs=PAIRS):
        self.seed, self.bench = seed, as_edges(waterdigits(seed, COUNTS))
        self.pool = pool = self.bench.train
        rng = stream(seed, "who asks")
        self.order = rng.permutation(np.flatnonzero(pool.group == GROUP))  # the first ask first
        strata = [np.flatnonzero(pool.group == g) for g in range(4) if g != GROUP]
        strata += np.split(self.order, [ASKS["0.5"], ASKS["0.9"]])  # each half has its half of each
        self.member = np.zeros((2 * pairs, len(pool)), dtype=bool)
        for k in range(pairs):
            for stratum in strata:
                self.member[2 * k, stream(seed, "half", k).permutation(stratum)[: len(stratum) // 2]] = True
            self.member[2 * k + 1] = ~self.member[2 * k]
        self.starts = [gru.build_model("mlp", 2, k, n_features=131) for k in range(2 * pairs)]

    def asks(self, ratio):
        """(N,) who asks to be forgotten."""
        return np.isin(np.arange(len(self.pool)), self.order[: ASKS[ratio]])

    def data_of(self, k, ratio):
        """Return (benchmark whose train set is the half of model k, the request to it)."""
        kept, pool = np.flatnonzero(self.member[k]), self.pool
        parts = {what: getattr(pool, what)[kept] for what in ("features", "target", "sensitive", "source")}
        half = replace(pool, **parts)
        request = gru.forget_split(half, indices=np.flatnonzero(self.asks(ratio)[kept]))
        return replace(self.bench, train=half), request

    def exact(self, method, sampling, ratio, number=0):
        """Train the original of every model, or retrain every model, all at once."""
        if method == "retrain":
            return self.trained_on_retained(self.starts, sampling, ratio, CONFIG, number)
        lists = [np.flatnonzero(row) for row in self.member]
        return fit_many(self.starts, self.pool, indices=lists, seeds=range(len(lists)), config=CONFIG)

    def trained_on_retained(self, starts, sampling, ratio, config, number=0):
        """Train every model on its R, from its start or from its original, all at once."""
        splits = [self.split_of(k, ratio) for k in range(len(starts))]
        lists = [split.retain for split in splits]
        weights = [gru.reweight(split) for split in splits] if sampling == WITH else None
        seeds = [further_seed(k, number) for k in range(len(starts))]
        return fit_many(starts, self.pool, indices=lists, weights=weights, seeds=seeds, config=config)

    def split_of(self, k, ratio):
        """The request to model k, as indices of the population."""
        inside, asks = self.member[k], self.asks(ratio)
        retain, forget = np.flatnonzero(inside & ~asks), np.flatnonzero(inside & asks)
        train, group = np.flatnonzero(inside), self.pool.group
        counts = [np.bincount(group[rows], minlength=4) for rows in (train, retain)]
        return ForgetSplit(train, forget, retain, ((1, 0),), group, *counts, self.pool.group_names)

    def confidence(self, models):
        """(M, 300) log p / (1 - p) of the samples of the group, in the order in which they ask."""
        target = self.pool.target[self.order]
        return np.array([gru.logit_confidence(gru.predict(m, self.pool, self.order), target) for m in models])


def unlearned(method, sampling, config, original, bench, request, seed):
    """Run a method on one shadow model."""
    return gru.unlearn(method, original, bench.train, request, config, reweight=sampling == WITH, seed=seed)


def scores_of(model, bench, request, seed):
    """The scores of one model, with the attacks of the paper and of `balanced_attack`, in percent."""
    logits = gru.predictions(model, bench)
    loss = losses(logits, bench)
    inside, out = loss["train"][request.forget], loss["val"]
    found = gru.accuracies(logits, bench, request)
    found["MIA"] = gru.paper_attack(loss["train"][request.retain], out, inside, seed)
    groups = bench.train.group[request.forget], bench.val.group
    return found | {"AUC": gru.balanced_attack(inside, out, *groups, n_bootstrap=1)[0]}


def trial_configs(method):
    """The trials of a search: the defaults, and points of the method's space.

    EU-k resets the head alone: resetting the one hidden layer, too, would be a retraining.
    """
    config = type(gru.METHODS[method][1]())
    points = first_points(method, 2 * TRIALS, images=False)
    if method == "eu_k":
        points = [point | {"blocks": 0} for point in points]
    return [config(**point) for point in points[:TRIALS]]


def search(work):
    """Give each row the same trials on another population, and keep the nearest to two references."""
    lines = []
    people, n = Population(TUNED_ON, pairs=1), 2
    originals = people.exact("original", "none", "0.5")
    yardstick = {}
    for ratio in ASKS:
        references = [people.exact("retrain", WITH, ratio, number) for number in (1, 2)]
        for k in range(n):
            both = [scores_of(models[k], *people.data_of(k, ratio), k) for models in references]
            yardstick[ratio, k] = {s: np.mean([one[s] for one in both]) for s in SCORES}
    for method, sampling in ROWS:
        for number, config in enumerate(trial_configs(method)):
            gaps = []
            for ratio in ASKS:
                for k in range(n):
                    bench, request = people.data_of(k, ratio)
                    try:
                        model = unlearned(method, sampling, config, originals[k], bench, request, k)
                        found = scores_of(model, bench, request, k)
                    except gru.DivergedError:
                        gaps.append(np.nan)
                        continue
                    gaps.append(100 - np.mean([abs(found[s] - yardstick[ratio, k][s]) for s in SCORES]))
            values = {f: getattr(config, f) for f in gru.METHODS[method][1].SPACE if hasattr(config, f)}
            values = json.dumps({f: v for f, v in values.items() if f != "shift"})
            gap = np.mean(gaps)
            lines.append({"method": method, "sampling": sampling, "trial": number, "config": values,
                          "avg_gap": gap, "seed": TUNED_ON})  # fmt: skip
            print(method, sampling, values, round(gap, 2), flush=True)
    table = pd.DataFrame(lines)
    table["chosen"] = table.groupby(["method", "sampling"])["avg_gap"].transform("idxmax") == table.index
    record(table, HERE / "audit_search.csv", "python results/audit.py --search")


@cache
def chosen():
    """{(method, sampling): config} that the search found."""
    table, _ = gru.read_record("audit_search")
    rows = table[table["chosen"]].set_index(["method", "sampling"])["trial"]
    found = {key: trial_configs(key[0])[rows[key]] for key in ROWS}
    return found | {CONTROL: gru.METHODS["finetune"][1](lr=found["miu", WITH].lr)}


@cache
def population(seed, pairs=PAIRS):
    return Population(seed, pairs)


def confidences(work, seed, method, sampling, ratio, pairs=PAIRS):
    """Return (M, 300) confidences of a row's models in the samples of the group; the models are kept, too."""
    file = file_of(work, seed, method, sampling, ratio)
    if not file.is_file():
        people = population(seed, pairs)
        if (method, sampling) in EXACT:
            models = people.exact(method, sampling, ratio)
        else:
            originals = kept_models(work, seed, "original", "none", ratio, pairs)
            models = unlearned_models(people, method, sampling, ratio, originals)
        torch.save([m.state_dict() for m in models], file.with_suffix(".pt"))
        np.save(file, people.confidence(models))
        print(file.stem, flush=True)
    return np.load(file)


def unlearned_models(people, method, sampling, ratio, originals):
    """Run a method with what the search chose on every shadow model."""
    config = chosen()[method, sampling]
    if method.startswith("finetune"):  # which is a training on R: all at once
        return people.trained_on_retained(originals, sampling, ratio, config)
    return [
        unlearned(method, sampling, config, original, *people.data_of(k, ratio), k)
        for k, original in enumerate(originals)
    ]


def file_of(work, seed, method, sampling, ratio):
    """Where the confidences of a row are kept. An original knows of no ratio."""
    return work / (f"{method}-{sampling}-s{seed}" + ("" if method == "original" else f"-r{ratio}") + ".npy")


def kept_models(work, seed, method, sampling, ratio, pairs=PAIRS):
    """The models of a row."""
    confidences(work, seed, method, sampling, ratio, pairs)
    models = []
    for state in torch.load(file_of(work, seed, method, sampling, ratio).with_suffix(".pt")):
        model = gru.build_model("mlp", 2, 0, n_features=131)
        model.load_state_dict(state)
        models.append(model.eval())
    return models


def attacked(people, ratio, samples, own, never=None):
    """Return (score, the arguments of `attack_rates`) of an attack on a row.

    Args:
        people: Population.
        ratio: of the request.
        samples: "asks" or "stays".
        own: (M, 300) confidences of the row.
        never: (M, 300) those of retrained models, for the kind of non-members "retrain".
    """
    columns = np.arange(len(people.order)) < ASKS[ratio]
    columns = columns if samples == "asks" else ~columns
    member, pair = people.member[:, people.order][:, columns], np.arange(len(own)) // 2
    given = {"member": member, "cluster": pair, "used": None}
    values = own[:, columns]
    if never is not None:
        values = np.concatenate([values, never[:, columns]])
        used = np.concatenate([member, np.ones_like(member)])
        member = np.concatenate([member, np.zeros_like(member)])
        given = {"member": member, "cluster": np.concatenate([pair, pair]), "used": used}
    score = gru.likelihood_ratio_attack(values, **given)
    return score, given | {"source": people.pool.source[people.order][columns]}


NAMES = [*(f"TPR at {100 * fpr:g}%" for fpr in FPRS), "AUC"]


def audited(work, seed, rows, ratio, pairs=PAIRS):
    """Return the lines of audit.csv of one population and ratio, and each model's part in them."""
    people, found, lines, of_models = population(seed, pairs), {}, [], []
    for samples in ("asks", "stays"):
        for method, sampling in rows:
            own = confidences(work, seed, method, sampling, ratio, pairs)
            kinds = ["same"] if samples == "stays" or method == "retrain" else ["same", "retrain"]
            for against in kinds:
                with_weights = WITH if sampling == WITH else "none"
                never = None
                if against == "retrain":
                    never = confidences(work, seed, "retrain", with_weights, ratio, pairs)
                score, given = attacked(people, ratio, samples, own, never)
                few = samples == "stays" and ratio == "0.9"  # too few non-members for the first rate
                kept = file_of(work, seed, method, sampling, ratio).stem
                file = work / f"rates-{samples}-{against}-{kept}-r{ratio}.npy"
                if not file.is_file():
                    np.save(file, attack_rates(score, fprs=FPRS[few:], n_bootstrap=500, **given))
                draws = np.load(file)
                found[samples, against, method, sampling] = dict(zip(NAMES[few:], draws.T, strict=True))
                if against == "same":
                    parts = by_model(score, given["member"])
                    about = {"samples": samples, "method": method, "sampling": sampling, "ratio": ratio}
                    of_models += [about | {"seed": seed, "model": k} | part for k, part in enumerate(parts)]
    for (samples, against, method, sampling), rates in found.items():
        about = {"seed": seed, "ratio": ratio, "samples": samples, "against": against, "method": method,
                 "sampling": sampling}  # fmt: skip
        for than in ("", *EXACT):
            other = found[samples, "same", *than] if than else {}
            for rate, draws in rates.items():
                values = draws - other[rate] if than else draws
                low, high = np.percentile(values[1:], [2.5, 97.5])
                line = about | {"rate": rate, "than": " ".join(than), "value": values[0]}
                lines.append(line | {"low": low, "high": high, "se": values[1:].std()})
    return lines, of_models


def by_model(score, member):
    """Each model's AUC and its shares above the threshold of all at 1% FPR, in percent."""
    threshold = np.sort(score[~member])[::-1][int(0.01 * (~member).sum())]
    for row, inside in zip(score, member, strict=True):
        higher = (row[inside][:, None] > row[~inside]).mean()
        yield {
            "lira_auc": 100 * higher,
            "found": 100 * (row[inside] > threshold).mean(),
            "false": 100 * (row[~inside] > threshold).mean(),
        }


def scored(work, seed, method, sampling, ratio):
    """Return the scores of each model of a row, computed once."""
    file = work / f"scores-{method}-{sampling}-s{seed}-r{ratio}.csv"
    if not file.is_file():
        people, lines = population(seed), []
        for k, model in enumerate(kept_models(work, seed, method, sampling, ratio)[:SCORED]):
            bench, request = people.data_of(k, ratio)
            lines.append({"model": k} | scores_of(model, bench, request, k))
        pd.DataFrame(lines).to_csv(file, index=False)
        print(file.stem, flush=True)
    return pd.read_csv(file).head(SCORED)


def gaussians(work, seed, rows, ratio, live=8):
    """Return the Gaussians of the samples that asked, of all models but the first `live`."""
    people, lines = population(seed), []
    n = ASKS[ratio]
    member = people.member[live:, people.order[:n]]
    for method, sampling in rows:
        values = confidences(work, seed, method, sampling, ratio)[live:, :n]
        for sample in range(n):
            line = {"method": method, "sampling": sampling, "ratio": ratio, "seed": seed, "sample": sample}
            for kind, inside in (("in", member[:, sample]), ("out", ~member[:, sample])):
                of_kind = values[inside, sample]
                line |= {f"{kind}_mean": of_kind.mean(), f"{kind}_sd": of_kind.std(ddof=1)}
            lines.append(line)
    return lines


def probed(work, seed, method, sampling, ratio, n=6):
    """Return what a fresh classifier and MIU's own critic read of I(Z; G) in the first models of a row."""
    file = work / f"probe-{method}-{sampling}-s{seed}-r{ratio}.csv"
    if not file.is_file():
        people, lines = population(seed), []
        for k, model in enumerate(kept_models(work, seed, method, sampling, ratio)[:n]):
            bench, request = people.data_of(k, ratio)
            z, group = gru.extract_features(model, bench.val), bench.val.group
            fresh = gru.mutual_information(z, group, 4, estimator="classifier", seed=k)
            line = {"method": method, "sampling": sampling, "ratio": ratio, "seed": seed, "model": k}
            own = own_critic(work, seed, sampling, ratio, k, bench, request) if method == "miu" else {}
            lines.append(line | {"fresh": fresh} | own)
        pd.DataFrame(lines).to_csv(file, index=False)
        print(file.stem, flush=True)
    return pd.read_csv(file, dtype={"ratio": str})


def own_critic(work, seed, sampling, ratio, k, bench, request):
    """What MIU's critic phi says after the last epoch, of the train and of the validation set.

    Each has its own shares of the groups, so the second can be compared with the fresh classifier.
    """
    original = kept_models(work, seed, "original", "none", ratio)[k]
    said = {}

    def look(epoch, model, phi, phi_0):
        for part in ("train", "val"):
            data = getattr(bench, part)
            shares = torch.from_numpy(data.group_counts / len(data)).float()
            with torch.no_grad():
                table = phi.net.table(model.features(torch.from_numpy(data.features)))
                bound = gru.donsker_varadhan(table, torch.from_numpy(data.group), shares.log())
            said[f"own_{part}"] = float(bound)

    miu, config = gru.METHODS["miu"][0], chosen()["miu", sampling]
    weights = gru.reweight(request) if sampling == WITH else None
    miu(original, bench.train, request, config, weights=weights, sampling=sampling, seed=k, watch=look)
    return said


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--search", action="store_true", help="search the hyperparameters first")
    parser.add_argument("--stayers", action="store_true", help="six populations, retraining alone")
    parser.add_argument("--probe", action="store_true", help="I(Z; G) of the features of six models a row")
    parser.add_argument("--work", type=Path, default=Path("runs") / "audit", help="keeps finished parts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    work, command = options.work, "python results/audit.py"
    work.mkdir(parents=True, exist_ok=True)
    if options.search:
        search(work)
    elif options.stayers:
        lines = []
        for seed in range(POPULATIONS):
            lines += audited(work, seed, EXACT, "0.9")[0]
            print("population", seed, flush=True)
        table = pd.DataFrame(lines)
        record(rounded(table[table["than"] == ""].drop(columns="than")), HERE / "audit_stayers.csv",
               f"{command} --stayers")  # fmt: skip
    elif options.probe:
        parts = [probed(work, 0, *row, "0.5") for row in [*EXACT, *ROWS]]
        record(rounded(pd.concat(parts), 4), HERE / "audit_probe.csv", f"{command} --probe")
    else:
        lines, of_models, scores = [], [], []
        for ratio in ASKS:
            rows = [*EXACT, *ROWS_AT[ratio]]
            some = audited(work, 0, rows, ratio)
            lines, of_models = lines + some[0], of_models + some[1]
            for method, sampling in rows:
                about = {"method": method, "sampling": sampling, "ratio": ratio, "seed": 0}
                scores.append(scored(work, 0, method, sampling, ratio).assign(**about))
        record(rounded(pd.DataFrame(lines)), HERE / "audit.csv", command)
        keys = ["method", "sampling", "ratio", "seed", "model"]
        parts = pd.DataFrame(of_models).pivot(index=keys, columns="samples").sort_index(axis=1)
        parts.columns = [f"{samples}_{name}" for name, samples in parts.columns]
        together = pd.concat(scores).merge(parts.reset_index(), on=keys, how="right")
        record(rounded(together[[*keys, *together.columns.difference(keys, sort=False)]], 2),
               HERE / "audit_models.csv", command)  # fmt: skip
        live = gaussians(work, 0, [*EXACT, ("salun", WITH)], "0.5")
        record(rounded(pd.DataFrame(live), 4), HERE / "audit_gaussians.csv", command)


def rounded(table, digits=3):
    """The table with its floats rounded: more digits are noise."""
    return table.round(dict.fromkeys(table.select_dtypes("float").columns, digits))


if __name__ == "__main__":
    main()
