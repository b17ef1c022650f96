"""Batches are made on the device: the data set lies there once, as uint8, and a batch is a gather from it.

No worker processes, no per-image Python: cropping a shifted window out of each image of a batch is one indexing
operation on a strided view.
"""

import numpy as np
import torch

from .errors import InputError


class DeviceData:
    """A grouped dataset on a device, with optional random shifts.

    Args:
        dataset: GroupedDataset of N samples.
        device: torch device that will hold it.
        shift: largest shift of an image in pixels, in both directions; the border is mirrored. 0: no augmentation.
    """

    def __init__(self, dataset, device, shift=0):
        self.is_image = dataset.images is not None
        self.shift = shift if self.is_image else 0
        inputs = torch.from_numpy(np.ascontiguousarray(dataset.inputs)).to(device)
        if self.is_image:
            height, width = inputs.shape[2:]
            if self.shift >= min(height, width):
                raise InputError(f"images of {width}x{height} pixels cannot be shifted by {self.shift}: lower shift")
            padded = torch.nn.functional.pad(inputs, (self.shift,) * 4, mode="reflect") if self.shift else inputs
            padded = padded.permute(0, 2, 3, 1).contiguous()  # N x H x W x C: a batch is then channels_last for free
            # N x rows x columns x C x H x W: every window of every image, without copying one
            inputs = padded.unfold(1, height, 1).unfold(2, width, 1)
        self.inputs = inputs
        self.target = torch.from_numpy(dataset.target).to(device)

    def take(self, index, offsets=None):
        """Return (x, y) for int64 indices (B,): images as float32 (B, C, H, W) in [-1, 1], channels_last.

        Args:
            offsets: int64 (B, 2), row and column of each window in 0..2*shift; None takes the image unshifted.
        """
        if not self.is_image:
            return self.inputs[index], self.target[index]
        rows, columns = offsets.unbind(1) if offsets is not None else (self.shift, self.shift)
        images = self.inputs[index, rows, columns]
        return images.float().div_(127.5).sub_(1), self.target[index]
