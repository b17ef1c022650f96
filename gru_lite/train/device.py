"""Batches are made on the device: the data set lies there once, as bytes, and a batch is a gather from it.

One small class for each kind of data; all of them share `take` and `stream`. No worker processes, no
per-image Python. A set that does not fit into a GPU's memory is streamed from the host, a block ahead of what
is being computed.
"""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from ..data.dataset import GroupedDataset
from ..errors import InputError
from .crops import evaluation_windows, picture_sizes, random_crops, resample

BLOCK = 2**27  # bytes that are copied or streamed at a time
# Data set -> {(device, border): its inputs there}: every training and every prediction shares them.
UPLOADED = weakref.WeakKeyDictionary()


def default_device(device: torch.device | str | None = None) -> torch.device:
    """Return the torch device with its number; None takes the GPU when there is one."""
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    return device


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a host's tensor on the device; a GPU gets it without the host waiting."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@functools.cache
def side_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream of all copies to this GPU: the allocator keeps its blocks for each stream apart."""
    return torch.cuda.Stream(device)


def device_data(
    dataset: GroupedDataset, device: torch.device | str, shift: int = 0, resident: bool | None = None
) -> DeviceData:
    """Return a data set on a device, as the class of its kind.

    Args:
        dataset: GroupedDataset of N samples.
        device: torch device that will hold it, or the batches of it.
        shift: largest shift of an image without a view in pixels, in both directions; the border is mirrored.
            0: none.
        resident: whether all of it lies on the device; None: on a GPU when it takes less than what is free
            beyond half of the memory. On the CPU, images with a view stay in their array or memory map, and
            are not copied.
    """
    kind = Rows if dataset.images is None else Images if dataset.view is None else Views
    return kind(dataset, default_device(device), shift, resident)


class DeviceData:
    """What all kinds share. A kind says what its rows are on the device, and what a model sees of them.

    Attributes:
        target: int64 (N,) on the device.
        inputs: all samples on the device, or None where they are streamed.
        host: the array of all samples.
        pass_size: samples of a pass that keeps nothing for a gradient.
    """

    pass_size = 1024
    pass_name = "shift"  # of the stream that `windows` draws from
    augments = False  # whether training shows crops where evaluation shows the whole

    def __init__(
        self, dataset: GroupedDataset, device: torch.device, shift: int = 0, resident: bool | None = None
    ):
        self.device, self.shift = device, shift
        self.host = np.ascontiguousarray(dataset.inputs)  # of a memory map this is no copy
        self._dtype = torch.from_numpy(np.empty(0, self.host.dtype)).dtype
        self.target = torch.from_numpy(dataset.target).to(device)
        self.inputs = self._lay(dataset, resident)

    def _lay(self, dataset, resident):
        """All inputs on the device, shared with whoever laid them there before; or None."""
        on_gpu = self.device.type == "cuda"
        kept, key = UPLOADED.setdefault(dataset, {}), (self.device, self.shift)
        if resident is not False and key in kept:
            return kept[key]
        if resident is None:
            resident = fits(self._bytes(), self.device) if on_gpu else self._resident_on_cpu
        if not resident:
            return None
        inputs = self._copy()
        if on_gpu or not self._resident_on_cpu:  # elsewhere an array of the host serves, which is no copy
            kept[key] = inputs
        return inputs

    _resident_on_cpu = True

    def _bytes(self):
        return self.host.nbytes

    def _blocks(self):
        """Slices of rows, each of about BLOCK bytes."""
        n = max(1, BLOCK // max(1, self.host[0].nbytes))
        return [slice(start, start + n) for start in range(0, len(self.host), n)]

    def _copy(self):
        inputs = torch.empty(self.host.shape, dtype=self._dtype, device=self.device)
        for rows in self._blocks():
            inputs[rows] = torch.from_numpy(_writeable(self.host[rows]))
        return inputs

    def take(
        self, index: torch.Tensor, windows: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (x, y) of some samples, as a model sees them.

        Args:
            index: int64 (B,) on the device.
            windows: (B, .) rows of what `windows` drew; None shows the samples as in evaluation.

        Returns:
            x, features float32 (B, D), tokens int32 (B, 3, L), or images float32 (B, C, H, W) in [-1, 1],
            channels_last; and y, int64 (B,).
        """
        if self.inputs is None:
            raw = to_device(torch.from_numpy(self.host[index.cpu().numpy()]), self.device)
            return self._seen(raw, index, windows), self.target[index]
        return self._taken(index, windows), self.target[index]

    def stream(
        self, draws: np.ndarray, sizes: int | list[int], windows: np.ndarray | None = None
    ) -> Iterator[torch.Tensor]:
        """Yield the inputs x of consecutive batches, ready on the device, without a wait per step.

        Args:
            draws: int64 (n,) samples.
            sizes: samples of each batch, n in all; or one size, and the last batch has what is left.
            windows: (n, .) as `windows` drew them, or None, see `take`.
        """
        if isinstance(sizes, int):
            sizes = [min(sizes, len(draws) - i) for i in range(0, len(draws), sizes)] or [0]
        ends = list(itertools.accumulate(sizes))
        cuts = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        index = to_device(torch.from_numpy(draws), self.device)
        windows = to_device(torch.from_numpy(windows), self.device) if windows is not None else None

        def of(cut):
            return index[cut], windows[cut] if windows is not None else None

        if self.inputs is not None:
            for cut in cuts:
                yield self._taken(*of(cut))
            return
        together = max(1, BLOCK // max(1, max(sizes) * self.host[0].nbytes))
        blocks = [cuts[i : i + together] for i in range(0, len(cuts), together)]
        on_gpu = self.device.type == "cuda"
        # A thread begins on GPU 0, whichever this process has.
        begin = {"initializer": torch.cuda.set_device, "initargs": (self.device,)} if on_gpu else {}
        with ThreadPoolExecutor(1, **begin) as pool:
            ahead = [pool.submit(self._load, draws[block[0].start : block[-1].stop]) for block in blocks[:1]]
            for block, later in zip(blocks, [*blocks[1:], None], strict=True):
                rows, copied = ahead.pop().result()
                if later:
                    ahead.append(pool.submit(self._load, draws[later[0].start : later[-1].stop]))
                if copied is not None:
                    torch.cuda.current_stream(self.device).wait_event(copied)
                    rows.record_stream(torch.cuda.current_stream(self.device))
                first = block[0].start
                for cut in block:
                    yield self._seen(rows[cut.start - first : cut.stop - first], *of(cut))

    def _load(self, rows):
        """Gather rows on the host; return them on the device and, of a GPU, the event of their copy, which is
        on another stream.
        """
        on_gpu = self.device.type == "cuda"
        block = torch.empty((len(rows), *self.host.shape[1:]), dtype=self._dtype, pin_memory=on_gpu)
        np.take(self.host, rows, axis=0, out=block.numpy(), mode="clip")  # other modes copy once more
        if not on_gpu:
            return block, None
        stream = side_stream(self.device)
        with torch.cuda.stream(stream):  # torch's allocator keeps the pinned block until it is copied
            return block.to(self.device, non_blocking=True), stream.record_event()

    def windows(self, draws: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """Return a random window of each of `draws`, int64 (n,) samples, for `take`; None: there are none."""
        return None

    def _taken(self, index, windows):
        """Samples that lie on the device, as a model sees them."""
        return self._seen(self.inputs[index], index, windows)

    def _seen(self, raw, index, windows):
        """Rows of the data set on the device, as a model sees them."""
        return raw


class Rows(DeviceData):
    """Features and tokens: a model sees them as they are."""

    def __init__(self, dataset, device, shift=0, resident=None):
        super().__init__(dataset, device, 0, resident)
        if dataset.tokens is not None:
            self.pass_size = 128

    def _copy(self):
        if self.device.type == "cpu":
            return torch.from_numpy(_writeable(self.host))
        return super()._copy()


class Images(DeviceData):
    """Images of the size that a model sees, with random shifts.

    Where they lie on the device they have a mirrored border, and a shifted image is a window of it: taking
    all windows of a batch is one indexing operation on a strided view, and none is copied before.
    """

    def __init__(self, dataset, device, shift=0, resident=None):
        height, width = dataset.images.shape[2:]
        if shift >= min(height, width):
            raise InputError(f"images of {width}x{height} pixels cannot be shifted by {shift}: lower shift")
        super().__init__(dataset, device, shift, resident)
        if height * width > 64 * 64:
            self.pass_size = 128

    def _bytes(self):
        n, channels, height, width = self.host.shape
        return n * channels * (height + 2 * self.shift) * (width + 2 * self.shift)

    def _copy(self):
        n, channels, height, width = self.host.shape
        border = ((0, 0), (0, 0), (self.shift,) * 2, (self.shift,) * 2)
        # N x H x W x C: a batch is then channels_last for free. Block by block: there are never two copies.
        shape = (n, height + 2 * self.shift, width + 2 * self.shift, channels)
        padded = torch.empty(shape, dtype=torch.uint8, device=self.device)
        for rows in self._blocks():
            block = np.pad(self.host[rows], border, mode="reflect") if self.shift else self.host[rows]
            padded[rows] = torch.from_numpy(_writeable(np.ascontiguousarray(block.transpose(0, 2, 3, 1))))
        # N x rows x columns x C x H x W: every window of every image
        return padded.unfold(1, height, 1).unfold(2, width, 1)

    def windows(self, draws, rng):
        """int64 (n, 2): row and column of each window, 0 to 2 * shift."""
        return rng.integers(0, 2 * self.shift + 1, (len(draws), 2))

    def _taken(self, index, windows):
        rows, columns = windows.unbind(1) if windows is not None else (self.shift, self.shift)
        return _normalised(self.inputs[index, rows, columns].float())

    def _seen(self, raw, index, windows):
        """The same of rows without a border: mirrored pixels are looked up where they come from."""
        if windows is not None:
            image = torch.arange(len(raw), device=raw.device)
            rows, columns = (
                _mirrored(windows[:, i, None] - self.shift + torch.arange(n, device=raw.device), n)
                for i, n in enumerate(raw.shape[2:])
            )
            shown = raw.permute(0, 2, 3, 1)[image[:, None, None], rows[:, :, None], columns[:, None]]
            raw = shown.permute(0, 3, 1, 2)
        return _normalised(raw.contiguous(memory_format=torch.channels_last).float())


class Views(DeviceData):
    """Pictures of which a model sees a window, cropped at random or as in evaluation (see `crops`)."""

    pass_size = 128
    pass_name = "crop"
    augments = True
    _resident_on_cpu = False

    def __init__(self, dataset, device, shift=0, resident=None):
        super().__init__(dataset, device, 0, resident)
        self.view, shape = dataset.view, self.host.shape[2:]
        self.sizes = picture_sizes(shape, dataset.aspect, min(shape))
        windows = torch.from_numpy(evaluation_windows(shape, dataset.aspect, self.view))
        self.evaluation = to_device(windows, device)

    def windows(self, draws, rng):
        """float32 (n, 4), see `resample`: the distribution of torchvision's RandomResizedCrop and a flip."""
        sizes = np.broadcast_to(self.sizes, (len(self.target), 2))[draws]
        windows = random_crops(sizes, rng) * np.tile(np.array(self.host.shape[2:]) / sizes, 2)
        flip = rng.random(len(draws)) < 0.5
        windows[flip, 1] += windows[flip, 3]
        windows[flip, 3] *= -1
        return windows.astype(np.float32)

    def _seen(self, raw, index, windows):
        if windows is not None:
            return _normalised(resample(raw, windows, self.view.size, cropped=True))
        of_evaluation = self.evaluation[index] if len(self.evaluation) > 1 else self.evaluation
        return _normalised(resample(raw, of_evaluation, self.view.size))


def fits(n_bytes: int, device: torch.device) -> bool:
    """Whether so many bytes leave half of a GPU's memory to the model and what it computes."""
    free, total = torch.cuda.mem_get_info(device)
    # What torch keeps for reuse is free, too.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return n_bytes <= free - total / 2


def _normalised(levels):
    """Levels of 0 to 255 as numbers in [-1, 1], in place."""
    return levels.div_(127.5).sub_(1)


def _mirrored(position, n):
    """Pixel positions outside of 0..n-1 as those inside that they mirror; the border is not repeated."""
    return (n - 1) - ((n - 1) - position.abs()).abs()


def _writeable(array):
    """torch warns of arrays that cannot be written to."""
    return array if array.flags.writeable else array.copy()
