"""Our pipeline against an ordinary one, and both against what the model alone takes.

    python benchmarks/pipeline.py

A tree of JPEGs of about 500 x 350 pixels is written in the format and with the proportions of Waterbirds. The
ordinary pipeline is written in the usual style: workers of a DataLoader open and transform one picture at a
time, the loss of each step is read back, and retain, forget, validation and test set have a pass each after
every epoch. It is given what one word buys: persistent workers, pinned memory, our layout, precision and
compilation. The ceiling takes the same steps on one batch of random numbers that lies on the device.
ResNet-18, as many optimiser steps of as many samples each, in one process; every alternative in turn, and the
median round. On the CPU the model has as many threads as there are cores; workers come on top.

A GPU: --images 11788 --image-size 224 --precision bfloat16 --compile
"""

import argparse
import copy
import math
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from cache import photographs
from PIL import Image
from torch.utils.data import DataLoader, Dataset, RandomSampler, Subset, WeightedRandomSampler
from torchvision import transforms

import gru_lite as gru
from gru_lite.data.waterbirds import ABOUT, COLUMNS, FOLDER
from gru_lite.experiment.store import provenance
from gru_lite.information import Critic, MovingAverage, sampled_terms
from gru_lite.models import ARCHITECTURES, DEFAULTS
from gru_lite.recipes.configs import corrected_config
from gru_lite.train import Sampler, Training

PUBLISHED = ABOUT.counts["waterbirds"]  # {split: samples of each group}
SCORED_AT_ONCE = 128  # samples, as `gru.predict` takes them


def write_tree(root, n):
    """Write about n photographs as Waterbirds, each group with its share of the 11,788, but 4 at least."""
    labels = [
        (split, *divmod(g, 2))
        for split, counts in enumerate(PUBLISHED.values())
        for g, count in enumerate(counts)
        for _ in range(max(4, round(count * n / 11788)))
    ]
    (root / FOLDER).mkdir()
    lines = [",".join(COLUMNS)]
    files = photographs(len(labels), (440, 310), (560, 390))
    for i, ((split, y, place), file) in enumerate(zip(labels, files)):
        (root / FOLDER / f"{i}.jpg").write_bytes(file)
        lines.append(f"{i},{i}.jpg,{y},{split},{place},{i}.jpg")
    (root / FOLDER / "metadata.csv").write_text("\n".join(lines) + "\n")
    return sum(file.stat().st_size for file in (root / FOLDER).glob("*.jpg")) / len(labels)


class Pictures(Dataset):
    """One split: a file is opened and transformed when it is asked for."""

    def __init__(self, root, split, transform):
        rows = pd.read_csv(root / FOLDER / "metadata.csv").query("split == @split")
        self.files = [root / FOLDER / file for file in rows["img_filename"]]
        self.target, self.group = rows["y"].to_numpy(), (2 * rows["y"] + rows["place"]).to_numpy()
        self.transform = transform

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        with Image.open(self.files[i]) as opened:
            return self.transform(opened.convert("RGB")), self.target[i], self.group[i]


class Ordinary:
    """Loaders of the ordinary pipeline: `pass_over(name)` yields the batches of "train", "first critic",
    "critic", "retain", "forget"; `scored()` those of each of the four parts that are scored.
    """

    def __init__(self, root, split, samplers, args):
        normal = [transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
        side = round(args.image_size * 256 / 224)
        seen = transforms.Compose([transforms.Resize(side), transforms.CenterCrop(args.image_size), *normal])
        varied = transforms.Compose(
            [transforms.RandomResizedCrop(args.image_size), transforms.RandomHorizontalFlip(), *normal]
        )
        train, still = (
            Pictures(root, 0, transform) for transform in (varied if args.augment else seen, seen)
        )
        workers = {
            "num_workers": args.workers,
            "persistent_workers": args.workers > 0,
            "pin_memory": args.device == "cuda",
        }
        self.args, self.passes = args, {}
        for name, sampler in samplers.items():
            part, count = Subset(train, sampler.index), sampler.steps * sampler.batch_size
            order = (
                RandomSampler(part, num_samples=count)
                if sampler.weights is None
                else WeightedRandomSampler(sampler.weights, count)
            )
            self.passes[name] = DataLoader(part, sampler.batch_size, sampler=order, **workers)
        parts = {
            "retain": Subset(still, split.retain),
            "forget": Subset(still, split.forget),
            "val": Pictures(root, 1, seen),
            "test": Pictures(root, 2, seen),
        }
        self.parts = {name: DataLoader(part, SCORED_AT_ONCE, **workers) for name, part in parts.items()}

    def pass_over(self, name):
        return self._batches(self.passes[name])

    def scored(self):
        return {name: self._batches(loader) for name, loader in self.parts.items()}

    def _batches(self, loader):
        for batch in loader:
            x, y, g = (tensor.to(self.args.device, non_blocking=True) for tensor in batch)
            yield x.contiguous(memory_format=self.args.layout), y, g


class Resident:
    """The same, of random numbers that lie on the device: what the model alone takes."""

    def __init__(self, bench, samplers, args):
        size = max(SCORED_AT_ONCE, *(sampler.batch_size for sampler in samplers.values()))
        x = torch.randn(size, 3, args.image_size, args.image_size, device=args.device).contiguous(
            memory_format=args.layout
        )
        self.batch = (x, *(torch.randint(0, n, (size,), device=args.device) for n in (2, 4)))
        self.samplers, self.lengths = samplers, [len(part) for part in (bench.train, bench.val, bench.test)]

    def pass_over(self, name):
        sampler = self.samplers[name]
        return (self._first(sampler.batch_size) for _ in range(sampler.steps))

    def scored(self):
        return {
            i: (
                self._first(min(SCORED_AT_ONCE, length - start)) for start in range(0, length, SCORED_AT_ONCE)
            )
            for i, length in enumerate(self.lengths)
        }

    def _first(self, n):
        return [tensor[:n] for tensor in self.batch]


class Plain:
    """A plain training of a copy of a model on the batches of `source`.

    `logged`: the loss of each step is read back.
    """

    def __init__(self, model, config, source, args):
        self.model = copy.deepcopy(model).to(args.device).train()
        self.features = torch.compile(self.model.features) if config.compile else self.model.features
        self.source, self.config, self.args, self.logged = source, config, args, isinstance(source, Ordinary)
        fused = args.device == "cuda" and not self.logged  # the ceiling has the fastest optimiser
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            config.lr,
            config.momentum,
            weight_decay=config.weight_decay,
            fused=fused or None,
        )
        for weight in self.model.parameters():  # fused: of all or of none, but F's loss leaves out the head
            self.optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        self.scaler = torch.amp.GradScaler(args.device, enabled=config.precision == "float16")

    def forward(self, x, features=None):
        kind = self.config.precision
        with torch.autocast(
            self.args.device, torch.bfloat16 if kind == "float32" else getattr(torch, kind), kind != "float32"
        ):
            return (features or self.features)(x).float()

    def step(self, loss):
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.logged:
            loss.item()

    def epoch(self):
        for x, y, _ in self.source.pass_over("train"):
            self.step(F.cross_entropy(self.model.head(self.forward(x)), y))

    @torch.no_grad()
    def score(self, names=None):
        """Return the logits of the scored parts, or of those named, float32 numpy, from a pass for each."""
        self.model.eval()
        logits = {
            name: torch.cat([self.model(x) for x, _, _ in part]).cpu().numpy()
            for name, part in self.source.scored().items()
            if name in (names or (name,))
        }
        self.model.train()
        return logits

    def miu(self):
        """MIU with the original in train mode on every batch, and the scored parts after each epoch.

        Returns their logits.
        """
        original, config, logits = copy.deepcopy(self.model).requires_grad_(False), self.config, None
        width = self.model.head.in_features
        critics = [Critic(width, 4, seed=seed).to(self.args.device) for seed in (0, 1)]
        optimizers = [
            torch.optim.SGD(critic.parameters(), config.critic_lr, momentum=0.9) for critic in critics
        ]
        averages = [MovingAverage() for _ in critics]

        def information(i, z, g):
            return -averages[i].loss(
                *sampled_terms(critics[i](z, g), critics[i](z, torch.randint_like(g, 4)))
            )

        for epoch in range(config.epochs):
            for x, _, g in self.source.pass_over("critic" if epoch else "first critic"):
                with torch.no_grad():
                    z = self.forward(x)
                for i, optimizer in enumerate(optimizers):
                    optimizer.zero_grad()
                    (-information(i, z, g)).backward()
                    optimizer.step()
            if epoch < config.forget_epochs:
                for x, _, g in self.source.pass_over("forget"):
                    self.step(information(0, self.forward(x), g))
            for x, y, g in self.source.pass_over("retain"):
                z = self.forward(x)
                with torch.no_grad():
                    z_0 = self.forward(x, original.features)
                drift = information(0, z, g) - information(1, z_0, g)
                self.step(F.cross_entropy(self.model.head(z), y) + config.lambda_mi * drift**2)
            if self.logged or epoch == config.epochs - 1:
                logits = self.score()
        return logits


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default, what in (
        ("images", 480, "of train, validation and test together; Waterbirds: 11788"),
        ("image-size", 64, "side of what the model sees, in pixels; the paper: 224"),
        ("epochs", 10, "of MIU; the paper: 10"),
        ("workers", joblib.cpu_count(), "of each DataLoader"),
        ("threads", joblib.cpu_count(), "of the model, on the CPU"),
        ("rounds", 3, "of which the median counts"),
        ("warm-up", 2, "rounds before them: memory and kernels settle no sooner"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=what)
    parser.add_argument("--model", choices=sorted(ARCHITECTURES), default="resnet18")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: the GPU when there is one")
    parser.add_argument("--precision", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--layout", choices=("channels_last", "contiguous_format"), default="channels_last")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument(
        "--augment", action=argparse.BooleanOptionalAction, default=True, help="random crops and flips"
    )
    args = parser.parse_args()
    if args.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the methods take the GPU when there is one
    args.device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    args.layout = getattr(torch, args.layout)
    return args


def main():
    args = options()
    torch.set_num_threads(args.threads)
    print("; ".join(f"{key}: {value}" for key, value in provenance().items()))
    print("; ".join(f"{key} {value}" for key, value in vars(args).items()), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), args)


def compare(root, args):
    size = write_tree(root, args.images)
    start = time.perf_counter()
    bench = gru.load("waterbirds", root=root, image_size=args.image_size)
    print(
        f"{len(bench.train)} + {len(bench.val)} + {len(bench.test)} pictures of {size / 1000:.0f} kB, "
        f"decoded once by all cores in {time.perf_counter() - start:.1f} s (not in what follows)"
    )
    split = gru.forget_split(bench.train, bench.default_groups, ratio=0.5)
    weights = gru.reweight(split)

    common = {name: getattr(args, name) for name in ("threads", "precision", "compile", "augment")}
    config = corrected_config("waterbirds", args.model, "original")
    config = replace(config, epochs=args.rounds + args.warm_up, warmup_epochs=0, **common)
    miu = corrected_config("waterbirds", args.model, "miu")
    share = len(bench.train) / sum(PUBLISHED["train"])  # the critics have their share of steps, too
    first, later = (max(1, round(steps * share)) for steps in (miu.first_steps, miu.later_steps))
    miu = replace(miu, epochs=args.epochs, first_steps=first, later_steps=later, **common)
    retain_steps = math.ceil(len(split.retain) / miu.batch_size)
    samplers = {
        "train": Sampler(bench.train, None, config.batch_size),
        "first critic": Sampler(bench.train, None, miu.batch_size, steps=first),
        "critic": Sampler(bench.train, None, miu.batch_size, steps=later),
        "forget": Sampler(bench.train, split.forget, miu.forget_batch_size),
        "retain": Sampler(bench.train, split.retain, miu.batch_size, weights, steps=retain_steps),
    }
    untrained = {"weights": "none"} if args.model in DEFAULTS else {}
    model = gru.build_model(args.model, 2, **untrained).to(memory_format=args.layout).to(args.device)
    ordinary, resident = Ordinary(root, split, samplers, args), Resident(bench, samplers, args)
    for part, loader in (
        (bench.train, ordinary.passes["train"].dataset.dataset),
        (bench.test, ordinary.parts["test"].dataset),
    ):
        assert np.array_equal(part.group, loader.group)

    def scores_of_ours(trained):
        return gru.score(gru.predictions(trained, bench, threads=args.threads), bench, split)

    def scores_of(logits):
        train = np.empty((len(bench.train), 2), np.float32)
        train[split.retain], train[split.forget] = logits["retain"], logits["forget"]
        return gru.score(gru.Predictions(train, logits["val"], logits["test"]), bench, split)

    usual, ceiling = (Plain(model, config, source, args) for source in (ordinary, resident))
    steps, batch = samplers["train"].steps, samplers["train"].batch_size
    with Training(model, bench.train, config, device=args.device) as training:
        epochs = iter(range(args.rounds + args.warm_up))

        def ours():
            epoch = next(epochs)
            for batch in training.batches(epoch, samplers["train"]):
                training.step(F.cross_entropy(training.logits(batch), batch.y))
            training.end_epoch(epoch)

        table(
            f"one epoch of training, {steps} steps of {batch}",
            args,
            {
                "ours": ours,
                "ordinary": usual.epoch,
                "ordinary, with its passes over four parts": lambda: (usual.epoch(), usual.score()),
                "ceiling": ceiling.epoch,
            },
        )
    steps = f"{retain_steps} + {samplers['forget'].steps} + {first} steps of {samplers['retain'].batch_size}"
    table(
        f"MIU, {args.epochs} epochs of up to {steps}, and its scores",
        args,
        {
            "ours": lambda: scores_of_ours(gru.unlearn("miu", model, bench.train, split, miu)),
            "ordinary": lambda: scores_of(Plain(model, miu, ordinary, args).miu()),
            "ceiling": Plain(model, miu, resident, args).miu,
        },
    )
    table(
        "all scores of one model",
        args,
        {
            "ours": lambda: scores_of_ours(model),
            "ordinary": lambda: scores_of(usual.score()),
            "ordinary, and three passes for the attack": lambda: (
                scores_of(usual.score()),
                usual.score(("retain", "forget", "val")),
            ),
            "ceiling": ceiling.score,
        },
    )


def table(title, args, alternatives):
    """Run each alternative in turn; print its median time, and its ratio to the first and to the ceiling."""
    seconds = {name: [] for name in alternatives}
    for _ in range(args.rounds + args.warm_up):
        for name, run in alternatives.items():
            start = time.perf_counter()
            run()
            if args.device == "cuda":
                torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values[args.warm_up :]) for name, values in seconds.items()}
    print(f"\n{title}\n  {'':42} {'seconds':>9} {'ratio':>7} {'of ceiling':>11}")
    for name, value in median.items():
        print(
            f"  {name:42} {value:9.3f} {value / median['ours']:7.2f} {median['ceiling'] / value:11.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
