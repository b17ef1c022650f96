"""What the cache changes against decoding full pictures: python benchmarks/cache.py

A picture of Waterbirds is squashed once to 256 x 256, and views of 224 x 224 are cut from that; ordinarily
each view is cut from the picture itself. Both are compared on photographs of several shapes: pixels, in
levels of 255, and the logits of a ResNet-18 with random weights, in standard deviations over the pictures. A
yardstick: the ordinary view, moved by a pixel.
"""

import argparse
import io

import numpy as np
import torch
from gru_lite.batches import DeviceData
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision import transforms
from torchvision.transforms import functional as TF

import gru_lite as gru
from gru_lite.data.images import Decoder
from gru_lite.experiment import provenance
from gru_lite.seeding import stream

SIZE, RESIZE = 224, 256  # of the paper's evaluation
SHAPES = ((500, 350), (350, 500), (400, 400), (600, 300), (250, 180))  # width, height


def photographs(n, low, high=None, seed=0):
    """Yield n JPEGs as bytes.

    Windows of scikit-learn's two photographs, (width, height) between `low` and `high`.
    """
    rng, sources = (
        stream(seed, "photographs"),
        [Image.fromarray(pixels) for pixels in load_sample_images().images],
    )
    for i in range(n):
        width, height = rng.integers(low, np.array(high or low) + 1).tolist()
        picture = sources[i % 2]
        if height > picture.height:
            picture = picture.transpose(Image.Transpose.ROTATE_90)
        left, top = (
            int(rng.integers(0, room + 1)) for room in (picture.width - width, picture.height - height)
        )
        file = io.BytesIO()
        picture.crop((left, top, left + width, top + height)).save(file, "JPEG", quality=90)
        yield file.getvalue()


def levels(pictures):
    """PIL pictures of one size as float32 (n, 3, height, width), 0 to 255."""
    return torch.stack([TF.pil_to_tensor(picture) for picture in pictures]).float()


def views(files, side):
    """Return {what: (ordinary, from the cache)} of pictures, float32 (n, 3, 224, 224) each.

    The last is the yardstick.
    """
    full = [Image.open(io.BytesIO(file)).convert("RGB") for file in files]
    rows = [Decoder(side, squash=True)(io.BytesIO(file), "") for file in files]
    images, aspect = np.stack([row[0] for row in rows]), np.array([row[1] for row in rows], np.float32)
    zeros = np.zeros(len(files), np.int64)
    data = DeviceData(
        gru.GroupedDataset(
            zeros, zeros, ("y",), ("s",), images=images, view=gru.data.View(SIZE, RESIZE), aspect=aspect
        ),
        "cpu",
    )

    def cached(windows=None):
        return (data.take(torch.arange(len(files)), windows)[0] + 1) * 127.5

    resized = [TF.resize(picture, RESIZE) for picture in full]
    seen = levels([TF.center_crop(picture, SIZE) for picture in resized])
    boxes = [
        transforms.RandomResizedCrop.get_params(picture, [0.08, 1.0], [3 / 4, 4 / 3]) for picture in full
    ]
    crops = levels([TF.resized_crop(picture, *box, [SIZE, SIZE]) for picture, box in zip(full, boxes)])
    scale = [np.tile((side / picture.height, side / picture.width), 2) for picture in full]
    windows = torch.from_numpy((np.array(boxes) * np.array(scale)).astype(np.float32))
    moved = levels(
        [
            TF.crop(
                picture, round((picture.height - SIZE) / 2), round((picture.width - SIZE) / 2) + 1, SIZE, SIZE
            )
            for picture in resized
        ]
    )
    return {
        "evaluation view": (seen, cached()),
        "random crop": (crops, cached(windows)),
        "moved by a pixel": (seen, moved),
    }


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=12, help="of each shape, at least 2")
    parser.add_argument("--side", type=int, default=RESIZE, help="of the cache, in pixels")
    pictures, side = vars(parser.parse_args()).values()
    torch.manual_seed(0)
    model = gru.build_model("resnet18", 2, weights="none").eval()
    print("; ".join(f"{key}: {value}" for key, value in provenance().items()))
    print(
        f"\n{pictures} pictures of each shape, {SIZE} x {SIZE} views, cache {side} x {side}\n"
        f"{'picture':>10}  {'view':17} {'levels: mean':>12} {'99.9%':>6} {'max':>6}   {'logits: mean':>12} "
        f"{'max':>6}"
    )
    for width, height in SHAPES:
        for what, pair in views(list(photographs(pictures, (width, height))), side).items():
            off = (pair[0] - pair[1]).abs()
            logits = [model((x / 127.5 - 1).contiguous(memory_format=torch.channels_last)) for x in pair]
            moved = (logits[0] - logits[1]).abs() / logits[0].std(0)
            tail = np.quantile(off.numpy(), 0.999)
            print(
                f"{f'{width} x {height}':>10}  {what:17} {off.mean():12.2f} {tail:6.1f} {off.max():6.1f}   "
                f"{moved.mean():12.3f} "
                f"{moved.max():6.3f}"
            )


if __name__ == "__main__":
    main()
