"""What MIU does to the features of F, epoch by epoch: writes results/waterdigits_large_mechanism.csv.

    gru-lite run --benchmark waterdigits_large --ratio 0.9 --methods all --first-seed 10 --seeds 30 \\
        --references 4 --save-models
    python results/miu_mechanism.py --seeds 10

A row for each variant, seed and epoch; epoch 0 is the original, and `reference` (the mean over the
references of the first command) has its last epoch alone. The scores are pointwise: log p(g | z) / p(g) in
nats, by a critic that is fresh in every row, a logistic regression of the group on test features. It is
fitted on half of the test images and read on everything else, then on the other half; both readings are
averaged. Neither F nor R was seen by it.

    score_F       mean score of the forgotten images for their group
    score_unseen  of test images of the same group, of the half that the critic was not fitted on
    score_R       of R: mean over the groups of the mean in each
    information   mean over the groups of the score of test images: I(Z; G) at equal groups
    along_F       what phi, the critic that was tuned along, reads on F (MIU alone)
"""

from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from miu_traps import BENCHMARK, RATIO, command_line, shortened, start
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gru_lite as gru
from gru_lite.experiment.store import record
from gru_lite.groups import of_forgotten_groups
from gru_lite.methods.miu import MIUConfig, miu
from gru_lite.seeding import stream
from gru_lite.train import watching

OUT = Path(__file__).with_name("waterdigits_large_mechanism.csv")
SCORES = ["score_F", "score_unseen", "score_R", "information", "along_F", "RA", "UA", "TA", "EO", "GA"]


def variants():
    """Return {variant: (config, aimed)} of MIU, all with the values that were tuned for corrected MIU."""
    tuned = gru.tuned("miu", BENCHMARK)
    changes = {name: MIUConfig.VARIANTS[name] for name in ("released", "no_forgetting", "no_calibration")}
    found = {"corrected": (tuned, False)}
    found |= {name: (replace(tuned, **values), False) for name, values in changes.items()}
    return found | {"aimed": (tuned, True)}


class Judge:
    """Reads the features of one model after another, on the data of one seed."""

    def __init__(self, bench, split, seed):
        self.bench, self.split = bench, split
        self.of_forgotten = of_forgotten_groups(split, bench.test)
        order = stream(seed, "halves of test").permutation(len(bench.test))
        self.halves = np.array_split(order, 2)

    def __call__(self, model):
        train, test = (gru.extract_features(model, data) for data in (self.bench.train, self.bench.test))
        group, of_train = self.bench.test.group, self.bench.train.group
        readings = []
        for half, other in (self.halves, self.halves[::-1]):
            critic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
            critic.fit(test[half], group[half])
            log_prior = np.log(np.bincount(group[half]) / len(half))

            def score(z, g, critic=critic, log_prior=log_prior):
                return (critic.predict_log_proba(z) - log_prior)[np.arange(len(g)), g]

            of_test = score(test[other], group[other])
            retained = score(train[self.split.retain], of_train[self.split.retain])
            readings.append(
                {
                    "score_F": score(train[self.split.forget], of_train[self.split.forget]).mean(),
                    "score_unseen": of_test[self.of_forgotten[other]].mean(),
                    "score_R": _over_groups(retained, of_train[self.split.retain]),
                    "information": _over_groups(of_test, group[other]),
                }
            )
        found = pd.DataFrame(readings).mean().to_dict()
        return found | gru.accuracies(model, self.bench, self.split)


def _over_groups(values, group):
    return np.mean([values[group == g].mean() for g in np.unique(group)])


def one_seed(seed, runs, epochs):
    """Return the rows of one seed; `epochs` shortens the unlearning, for a trial run."""
    bench, split, original, references = start(seed, runs)
    judge = Judge(bench, split, seed)
    rows, first = [], judge(original)
    last = pd.DataFrame([judge(model) for _, model in references]).mean().to_dict()
    whole = shortened(gru.tuned("finetune", BENCHMARK), epochs).epochs
    rows.append({"variant": "reference", "epoch": whole, **last})
    request = {"original": original, "data": bench.train, "split": split, "seed": seed}
    weights = {"weights": gru.reweight(split), "sampling": "replacement"}
    group = torch.from_numpy(bench.train.group)
    for name, (config, aimed) in variants().items():
        found = [first | {"epoch": 0}]

        def watch(epoch, model, phi, phi_0, found=found):
            row = judge(model) | {"epoch": epoch + 1}
            z = torch.from_numpy(gru.extract_features(model, bench.train, split.forget))
            table = phi.net.table(z.to(phi.log_prior.device)).cpu()
            along = gru.donsker_varadhan(table, group[split.forget], phi.log_prior.cpu())
            found.append(row | {"along_F": along.item()})

        unseen = bench.val if aimed else None
        try:
            miu(**request, **weights, config=shortened(config, epochs), watch=watch, unseen=unseen)
        except gru.DivergedError as error:
            print(f"seed {seed}: {name}: {error}", flush=True)
        rows += [{"variant": name, **row} for row in found]
        print(f"seed {seed}: {name}", flush=True)

    found = [first | {"epoch": 0}]
    with watching(lambda epoch, model: found.append(judge(model) | {"epoch": epoch})):
        gru.unlearn("finetune", config=shortened(gru.tuned("finetune", BENCHMARK), epochs), **request)
    rows += [{"variant": "fine-tune", **row} for row in found]
    return [{"ratio": RATIO, "seed": seed, **row} for row in rows]


def main():
    options, seeds, runs = command_line(__doc__, OUT, seeds=10)
    parts = joblib.Parallel(options.jobs)(
        joblib.delayed(one_seed)(seed, runs, options.epochs) for seed in seeds
    )
    table = pd.DataFrame([row for rows in parts for row in rows])
    table = table[["variant", "ratio", "seed", "epoch", *SCORES]]
    record(table, options.out, f"python results/miu_mechanism.py --seeds {options.seeds}")
    last = table.groupby(["variant", "seed"], sort=False).last().groupby("variant", sort=False)
    print(last[SCORES[:5] + ["UA", "GA"]].mean().round(3).to_string())


if __name__ == "__main__":
    main()
