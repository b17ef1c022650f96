"""Batches are made on the device: the data set lies there once, as uint8, and a batch is a gather from it.

No worker processes, no per-image Python. Without a view, cropping a shifted window out of each image of a batch is one
indexing operation on a strided view. With a view, crops of a whole batch are resampled by two matrix products (`resample`);
a set that does not fit into the GPU's memory is streamed from the host, a block ahead of what is being computed.
"""

import math
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from .errors import InputError

BLOCK = 2**27  # bytes that are streamed at a time
UPLOADED = weakref.WeakKeyDictionary()  # data set -> {device: its images}: every training and prediction shares them
SCALE, RATIO, TRIES = (0.08, 1.0), (3 / 4, 4 / 3), 10  # of torchvision's RandomResizedCrop


class DeviceData:
    """A grouped dataset on a device, with optional random shifts.

    Args:
        dataset: GroupedDataset of N samples.
        device: torch device that will hold it, or the batches of it.
        shift: largest shift of an image in pixels, in both directions; the border is mirrored. 0: no augmentation. Images
            with a view are never shifted: they are cropped.
        resident: of images with a view, whether all lie on the device; None: when they take less than what is free beyond
            half of a GPU's memory. On the CPU they stay where they are, in the array or the memory map, and are not copied.
    """

    def __init__(self, dataset, device, shift=0, resident=None):
        self.device, self.view = torch.device(device), dataset.view
        self.is_image = dataset.images is not None
        self.shift = shift if self.is_image and self.view is None else 0
        self.target = torch.from_numpy(dataset.target).to(self.device)
        array = np.ascontiguousarray(dataset.inputs)  # of a memory map this is no copy
        self.is_small = self.view is None and dataset.tokens is None  # a sample, as a model sees it
        self.pass_size = 1024 if self.is_small else 128  # samples of a pass that keeps nothing for a gradient
        self.inputs, self.host = None, None
        if self.view is not None:
            self.host, self.sizes = array, picture_sizes(array.shape[2:], dataset.aspect, min(array.shape[2:]))
            self.evaluation = torch.from_numpy(evaluation_windows(array.shape[2:], dataset.aspect, self.view)).to(self.device)
            kept = UPLOADED.setdefault(dataset, {})
            if resident is not False and self.device in kept:
                self.inputs = kept[self.device]
            elif resident or (resident is None and _fits(array.nbytes, self.device)):
                self.inputs = torch.empty(array.shape, dtype=torch.uint8, device=self.device)
                for rows in np.array_split(np.arange(len(array)), math.ceil(array.nbytes / BLOCK)):
                    self.inputs[rows[0] : rows[-1] + 1] = torch.from_numpy(array[rows])
                kept[self.device] = self.inputs
            elif self.device.type == "cuda":
                self.side = torch.cuda.Stream(self.device)
            return
        inputs = torch.from_numpy(array if array.flags.writeable else array.copy()).to(self.device)
        if self.is_image:
            height, width = inputs.shape[2:]
            if self.shift >= min(height, width):
                raise InputError(f"images of {width}x{height} pixels cannot be shifted by {self.shift}: lower shift")
            padded = torch.nn.functional.pad(inputs, (self.shift,) * 4, mode="reflect") if self.shift else inputs
            padded = padded.permute(0, 2, 3, 1).contiguous()  # N x H x W x C: a batch is then channels_last for free
            # N x rows x columns x C x H x W: every window of every image, without copying one
            inputs = padded.unfold(1, height, 1).unfold(2, width, 1)
        self.inputs = inputs

    def take(self, index, windows=None):
        """Return (x, y) for int64 indices (B,): images as float32 (B, C, H, W) in [-1, 1], channels_last.

        Args:
            windows: int64 (B, 2), row and column of each shifted window in 0..2*shift; None takes the image unshifted. Of
                images with a view, float32 (B, 4) as `draw` makes them; None takes the evaluation view.
        """
        if self.view is not None:
            raw = self.inputs[index] if self.inputs is not None else torch.from_numpy(self.host[index.cpu().numpy()])
            return self._seen(raw.to(self.device), index, windows), self.target[index]
        if not self.is_image:
            return self.inputs[index], self.target[index]
        rows, columns = windows.unbind(1) if windows is not None else (self.shift, self.shift)
        images = self.inputs[index, rows, columns]
        return images.float().div_(127.5).sub_(1), self.target[index]

    def stream(self, draws, size, windows=None, steps=None):
        """Yield the inputs x of consecutive batches of `draws`, int64 numpy (n,), ready on the device.

        Args:
            size: samples of a batch; the last of ceil(n / size) may be smaller. steps: how many, where size may be 0.
            windows: numpy (n, 2) or (n, 4), see `take`, or None. They go to the device at once: no wait per step.
        """
        steps = max(1, math.ceil(len(draws) / size)) if steps is None else steps
        cuts = [slice(i * size, (i + 1) * size) for i in range(steps)]
        index = torch.from_numpy(draws).to(self.device)
        windows = torch.from_numpy(windows).to(self.device) if windows is not None else None

        def of(cut):
            return index[cut], windows[cut] if windows is not None else None

        if self.inputs is not None:
            for cut in cuts:
                yield self.take(*of(cut))[0]
            return
        together = max(1, BLOCK // max(1, size * self.host[0].nbytes))
        blocks = [cuts[i : i + together] for i in range(0, len(cuts), together)]
        with ThreadPoolExecutor(1) as pool:
            ahead = [pool.submit(self._load, draws[block[0].start : block[-1].stop]) for block in blocks[:1]]
            for block, later in zip(blocks, [*blocks[1:], None]):
                images, copied = ahead.pop().result()
                if later:
                    ahead.append(pool.submit(self._load, draws[later[0].start : later[-1].stop]))
                if copied is not None:
                    torch.cuda.current_stream(self.device).wait_event(copied)
                    images.record_stream(torch.cuda.current_stream(self.device))
                for cut in block:
                    first = block[0].start
                    yield self._seen(images[cut.start - first : cut.stop - first], *of(cut))

    def draw(self, draws, rng):
        """Return random windows of the images `draws`, int64 numpy (n,): float32 (n, 4), see `resample`.

        The law is torchvision's RandomResizedCrop and a flip, for pictures whose short side is the array's.
        """
        sizes = np.broadcast_to(self.sizes, (len(self.target), 2))[draws]
        windows = random_crops(sizes, rng) * np.tile(np.array(self.host.shape[2:]) / sizes, 2)
        flip = rng.random(len(draws)) < 0.5
        windows[flip, 1] += windows[flip, 3]
        windows[flip, 3] *= -1
        return windows.astype(np.float32)

    def _seen(self, raw, index, windows):
        """Images with a view as the model sees them, from their uint8 rows."""
        if windows is None:
            x = resample(raw, self.evaluation[index] if len(self.evaluation) > 1 else self.evaluation, self.view.size)
        else:
            x = resample(raw, windows, self.view.size, cropped=True)
        return x.div_(127.5).sub_(1)

    def _load(self, rows):
        """Gather rows on the host; return them on the device and, of a GPU, the event of their copy, on another stream."""
        block = torch.empty((len(rows), *self.host.shape[1:]), dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        np.take(self.host, rows, axis=0, out=block.numpy(), mode="clip")  # other modes copy once more
        if self.device.type != "cuda":
            return block, None
        with torch.cuda.stream(self.side):  # torch's allocator keeps the pinned block until it is copied
            return block.to(self.device, non_blocking=True), self.side.record_event()


def resample(images, windows, size, cropped=False):
    """Resize a window of each image to size x size: bilinear with antialiasing, as Pillow and torchvision do it.

    A row of the result is a weighted mean of a few rows of the image, so that resizing is a product with a matrix for each
    image. Measured on photographs in arrays of 256 pixels, against torchvision's antialiased crops to 224, in levels of 255:
    0.001 at most; `grid_sample` is off by up to 22 (whole images: 0.5 on average) and `torchvision.ops.roi_align` by up to
    26 (0.35), which changes logits. On one core this takes 6% of the forward pass of ResNet-18, those 2 and 5%.

    Args:
        images: uint8 (B, C, H, W); windows: float32 (B, 4) or (1, 4), top, left, height and width in pixels of the array; a
            negative width, with left at the right edge, flips the image.
        cropped: the filter sees nothing outside of the window (crop, then resize); else it does (resize, then crop).

    Returns:
        float32 (B, C, size, size) in [0, 255], channels_last.
    """
    (batch, channels, height, width), (top, left, high, wide) = images.shape, windows.unbind(1)
    across = _weights(left, wide, width, size, cropped).expand(batch, -1, -1)
    images = torch.bmm(images.reshape(batch, channels * height, width).float(), across.mT).view(batch, channels, height, size)
    down = _weights(top, high, height, size, cropped).expand(batch, -1, -1)
    return torch.stack([torch.bmm(down, images[:, c]) for c in range(channels)], -1).permute(0, 3, 1, 2)


def _weights(start, length, n_in, n_out, cropped):
    """(B, n_out, n_in): the share of each input pixel in each output pixel, a triangle around its centre."""
    scale = (length / n_out)[:, None]
    centre = start[:, None] + (torch.arange(n_out, device=start.device) + 0.5) * scale
    pixel = torch.arange(n_in, device=start.device) + 0.5
    weights = (1 - (pixel - centre[..., None]).abs() / scale.abs().clamp_min(1)[..., None]).clamp_min_(0)
    if cropped:
        ends = torch.stack([start, start + length], 1)
        weights *= ((pixel > ends.amin(1, True).floor()) & (pixel < ends.amax(1, True).ceil()))[:, None]
    return weights / weights.sum(-1, keepdim=True)


def picture_sizes(shape, aspect, short, whole=np.round):
    """(N, 2) or, without aspect, (1, 2): height and width of the pictures in whole pixels when their short side is `short`."""
    height, width = shape
    aspect = np.array([width / height]) if aspect is None else aspect.astype(np.float64)
    # float32 must not turn 400 pixels into 399.99998
    return whole(short * np.stack([np.maximum(1, 1 / aspect), np.maximum(1, aspect)], 1) + 1e-3)


def evaluation_windows(shape, aspect, view):
    """float32 (N, 4) or (1, 4): what `view` shows of the pictures, in pixels of the array; as Resize and CenterCrop round."""
    if view.resize is None:
        return np.array([[0, 0, *shape]], dtype=np.float32)
    sizes = picture_sizes(shape, aspect, view.resize, np.floor)
    corner = np.round((sizes - view.size) / 2)
    return (np.hstack([corner, np.full_like(corner, view.size)]) * np.tile(np.array(shape) / sizes, 2)).astype(np.float32)


def random_crops(sizes, rng):
    """Draw torchvision's RandomResizedCrop for pictures of `sizes` (n, 2): float64 (n, 4), top, left, height and width.

    Ten tries of an area and a ratio; where no box fits, the largest central one with a ratio that is allowed.
    """
    height, width = sizes.T
    area = rng.uniform(*SCALE, (len(sizes), TRIES)) * (height * width)[:, None]
    ratio = np.exp(rng.uniform(*np.log(RATIO), (len(sizes), TRIES)))
    wide, high = np.round(np.sqrt(area * ratio)), np.round(np.sqrt(area / ratio))
    fits = (0 < wide) & (wide <= width[:, None]) & (0 < high) & (high <= height[:, None])
    first, found = (np.arange(len(sizes)), fits.argmax(1)), fits.any(1)
    high = np.where(found, high[first], np.minimum(height, np.round(width / RATIO[0])))
    wide = np.where(found, wide[first], np.minimum(width, np.round(height * RATIO[1])))
    box = np.stack([high, wide], 1)
    corner = np.where(found[:, None], np.floor(rng.random(sizes.shape) * (sizes - box + 1)), (sizes - box) // 2)
    return np.hstack([corner, box])


def _fits(n_bytes, device):
    """Whether n_bytes leave half of a GPU's memory to the model and what it computes."""
    if device.type != "cuda":
        return False
    free, total = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # kept by torch for reuse
    return n_bytes <= free - total / 2
