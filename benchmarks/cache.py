"""What the cache changes against decoding full pictures.

    python benchmarks/cache.py

A picture of Waterbirds is squashed once to 256 x 256, and views of 224 x 224 are cut from that; ordinarily
each view is cut from the picture itself. Both are compared on photographs of several shapes: pixels, in
levels of 255, and the logits of a ResNet-18 with random weights, in standard deviations over the pictures. A
yardstick: the ordinary view, moved by a pixel.
"""

import argparse
import io

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision import transforms
from torchvision.transforms import functional as TF

import gru_lite as gru
from gru_lite.data.images import Decoder
from gru_lite.experiment.store import provenance
from gru_lite.seeding import stream
from gru_lite.train import device_data
from gru_lite.train.crops import RATIO, SCALE

SHAPES = ((500, 350), (350, 500), (400, 400), (600, 300), (250, 180))  # width, height


def photographs(n, low, high=None, seed=0):
    """Yield n JPEGs as bytes: windows of scikit-learn's two photographs.

    Their (width, height) lies between `low` and `high`.
    """
    rng = stream(seed, "photographs")
    sources = [Image.fromarray(pixels) for pixels in load_sample_images().images]
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


def views(files, size, resize, side):
    """Return {what: (ordinary, from the cache)} of pictures, float32 (n, 3, size, size) each.

    The last is the yardstick.
    """
    full = [Image.open(io.BytesIO(file)).convert("RGB") for file in files]
    images, aspect = zip(*(Decoder(side, squash=True)(io.BytesIO(file), "") for file in files))
    zeros, view = np.zeros(len(files), np.int64), gru.View(size, resize)
    kept = {"images": np.stack(images), "aspect": np.float32(aspect), "view": view}
    data = device_data(gru.GroupedDataset(zeros, zeros, ("y",), ("s",), **kept), "cpu")

    def cached(windows=None):
        return (data.take(torch.arange(len(files)), windows)[0] + 1) * 127.5

    resized = [TF.resize(picture, resize) for picture in full]
    seen = levels([TF.center_crop(picture, size) for picture in resized])
    boxes = [transforms.RandomResizedCrop.get_params(picture, SCALE, RATIO) for picture in full]
    crops = levels([TF.resized_crop(picture, *box, [size, size]) for picture, box in zip(full, boxes)])
    scale = [np.tile((side / picture.height, side / picture.width), 2) for picture in full]
    windows = torch.from_numpy((np.array(boxes) * np.array(scale)).astype(np.float32))

    def moved(picture):
        top, left = (round((length - size) / 2) for length in (picture.height, picture.width))
        return TF.crop(picture, top, left + 1, size, size)

    return {
        "evaluation view": (seen, cached()),
        "random crop": (crops, cached(windows)),
        "moved by a pixel": (seen, levels(map(moved, resized))),
    }


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=12, help="of each shape, at least 2")
    parser.add_argument("--size", type=int, default=224, help="of the views, in pixels; the paper: 224")
    parser.add_argument("--side", type=int, help="of the cache, in pixels; default: size * 256 / 224")
    pictures, size, side = vars(parser.parse_args()).values()
    resize = round(size * 256 / 224)  # of the short side, as in the paper's evaluation
    side = side or resize
    torch.manual_seed(0)
    model = gru.build_model("resnet18", 2, weights="none").eval()
    print("; ".join(f"{key}: {value}" for key, value in provenance().items()))
    print(
        f"\n{pictures} pictures of each shape, {size} x {size} views, cache {side} x {side}\n"
        f"{'picture':>10}  {'view':17} {'levels: mean':>12} {'99.9%':>6} {'max':>6}   "
        f"{'logits: mean':>12} {'max':>6}"
    )
    for width, height in SHAPES:
        shape, files = f"{width} x {height}", list(photographs(pictures, (width, height)))
        for what, pair in views(files, size, resize, side).items():
            off = (pair[0] - pair[1]).abs()
            logits = [model((x / 127.5 - 1).contiguous(memory_format=torch.channels_last)) for x in pair]
            moved = (logits[0] - logits[1]).abs() / logits[0].std(0)
            tail = np.quantile(off.numpy(), 0.999)
            print(
                f"{shape:>10}  {what:17} {off.mean():12.2f} {tail:6.1f} {off.max():6.1f}   "
                f"{moved.mean():12.3f} {moved.max():6.3f}"
            )


if __name__ == "__main__":
    main()
