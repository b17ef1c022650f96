"""Fine-tune: go on training the original model on the retain set alone, and let it forget by itself."""

from dataclasses import dataclass

from ..train import TrainConfig, fit


@dataclass(frozen=True)
class FinetuneConfig(TrainConfig):
    """Five epochs at the learning rate of training, without warm-up: a third of what retraining costs."""

    epochs: int = 5
    warmup_epochs: int = 0


def finetune(original, data, split, config, *, weights, sampling, seed, val=None):
    # the same number of steps with and without REWEIGHT, however it samples
    steps = -(-len(split.retain) // config.batch_size)
    return fit(original, data, indices=split.retain, weights=weights, sampling=sampling, steps_per_epoch=steps,
               config=config, seed=seed)
