"""One training on several GPUs: `torchrun` starts a process for each, and the result is that of one process.

Every process draws the same batches and makes features of its own part of each. The features are gathered, so
that each computes the same loss of the whole batch; the average of the gradients is then the gradient of one
process.
"""

import os
import warnings

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def world() -> tuple[int, int]:
    """Return (number of this process, how many there are); the first call joins torchrun's group."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1 or "RANK" not in os.environ:
        return 0, 1
    if not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return dist.get_rank(), dist.get_world_size()


def barrier() -> None:
    """Wait until all processes are here."""
    if world()[1] > 1:
        dist.barrier()


def broadcast(value):
    """Return the value of the first process, in all of them: anything that can be pickled."""
    if world()[1] == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def is_main() -> bool:
    """Whether this process writes files and shows progress."""
    return world()[0] == 0


def part(n: int) -> slice:
    """The slice of n samples that is this process's."""
    rank, size = world()
    return slice(n * rank // size, n * (rank + 1) // size)


def gather(z: torch.Tensor, n: int) -> torch.Tensor:
    """Return all n rows from each process's part; their gradient is right for a loss that is alike in all."""
    if world()[1] == 1:
        return z
    whole = z.new_zeros(n, *z.shape[1:])  # a sum with zeros: parts may differ in length
    whole[part(n)] = z
    return _Sum.apply(whole)


class _Sum(torch.autograd.Function):
    """The sum over the processes; torch.distributed.nn, which has it too, is deprecated."""

    @staticmethod
    def forward(ctx, x):
        x = x.contiguous().clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx, gradient):
        return _Sum.apply(gradient)


def averaged(module: nn.Module) -> nn.Module:
    """Return `module`, alike in all processes, as one whose gradients are averaged over them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch 2.15 has another name for broadcast_buffers
        return nn.parallel.DistributedDataParallel(module, broadcast_buffers=False, init_sync=False)


class SyncedBatchNorm(_BatchNorm):
    """BatchNorm with the statistics of the whole batch, on CPUs: torch.nn.SyncBatchNorm is for GPUs alone."""

    def forward(self, x):
        if not self.training:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        axes, shape = [0, *range(2, x.dim())], [1, -1, *[1] * (x.dim() - 2)]
        count = x.new_full((1,), x.numel() / x.shape[1], dtype=torch.float32)
        *sums, count = _Sum.apply(torch.cat([x.float().sum(axes), count])).split([x.shape[1], 1])
        mean = sums[0] / count
        centred = x.float() - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(axes)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            rate = self.momentum if self.momentum is not None else 1 / self.num_batches_tracked
            self.running_mean.lerp_(mean, rate)
            self.running_var.lerp_(variance * count / (count - 1), rate)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype)


def synchronise(model: nn.Module, device: torch.device) -> None:
    """Let every BatchNorm of `model` take statistics from all processes, in place, until `desynchronise`."""
    if world()[1] > 1:
        for module in model.modules():
            if isinstance(module, _BatchNorm):  # another class, not another module: names and parameters stay
                module.before, module.process_group = type(module), None
                module.__class__ = nn.SyncBatchNorm if device.type == "cuda" else SyncedBatchNorm


def desynchronise(model: nn.Module) -> None:
    """Give every BatchNorm the class that it had before."""
    for module in model.modules():
        if isinstance(module, (nn.SyncBatchNorm, SyncedBatchNorm)) and hasattr(module, "before"):
            module.__class__ = module.__dict__.pop("before")
