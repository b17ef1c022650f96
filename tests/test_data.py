"""WaterDigits, grouped datasets, and image folders with a CSV."""

import hashlib
import inspect
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import accepted
from sklearn.datasets import load_digits

import gru_lite as gru
from gru_lite.data.inkdigits import render
from gru_lite.data.manifest import train_positions
from gru_lite.seeding import further_seed, stream
from gru_lite.train import device_data

SMALL = "train_counts=((70, 30), (30, 70)), val_count=20, test_count=30"


def digest(bench):
    parts = (bench.train, bench.val, bench.test)
    return hashlib.sha256(
        b"".join(a.tobytes() for p in parts for a in (p.images, p.target, p.sensitive, p.source))
    ).hexdigest()


def test_waterdigits_shapes_and_counts(bench):
    for part, n in ((bench.train, 200), (bench.val, 80), (bench.test, 120)):
        assert part.images.shape == (n, 3, 32, 32) and part.images.dtype == np.uint8
        assert part.target.dtype == part.sensitive.dtype == part.group.dtype == np.int64
        assert np.array_equal(part.group, part.target * 2 + part.sensitive)
    assert bench.train.group_counts.tolist() == [70, 30, 30, 70]
    assert bench.val.group_counts.tolist() == [20] * 4 and bench.test.group_counts.tolist() == [30] * 4
    assert bench.group_names == ("no hole on land", "no hole on water", "hole on land", "hole on water")
    assert bench.default_groups == ((1, 0),)


def test_waterdigits_by_default():
    bench = gru.load("waterdigits")
    assert bench.train.group_counts.tolist() == [2100, 180, 180, 1540]
    assert bench.val.group_counts.tolist() == [200] * 4 and bench.test.group_counts.tolist() == [600] * 4
    assert 0.6 < np.mean(np.ptp(bench.train.images, axis=(1, 2, 3)) > 40)  # there is something to see


def test_targets_are_holes(bench):
    for part in (bench.train, bench.val, bench.test):
        assert np.array_equal(part.target == 1, np.isin(load_digits().target[part.source], [0, 6, 8, 9]))


def test_no_glyph_is_in_two_splits():
    """Of each digit's scans 60, 15 and 25 % are drawn from."""
    digit = load_digits().target
    for seed in (0, 1):
        bench = gru.waterdigits(seed, ((650, 1), (450, 1)), val_count=170, test_count=280)  # every glyph
        sources = [set(part.source) for part in (bench.train, bench.val, bench.test)]
        assert sum(map(len, sources)) == len(set().union(*sources))
        for d in range(10):
            share = [np.sum(digit[list(source)] == d) / (digit == d).sum() for source in sources]
            assert share == pytest.approx([0.60, 0.15, 0.25], abs=0.01)


def test_the_background_is_the_sensitive_attribute(bench):
    """Streaks run along the height on land and along the width on water: neighbours there are alike."""
    images = bench.train.images.astype(float).mean(axis=1)
    along_height, along_width = (np.abs(np.diff(images, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2))
    assert np.mean((along_height > along_width) == bench.train.sensitive) > 0.9


def test_the_seed_decides(bench):
    other = gru.waterdigits(1, train_counts=((70, 30), (30, 70)), val_count=20, test_count=30)
    assert not np.array_equal(bench.train.images, other.train.images)
    assert set(bench.train.source) != set(other.train.source)


def test_further_seeds():
    """For the ceiling and further references of a run: their draws are no other run's, either."""
    assert gru.further_seed(5) == further_seed(5, 1) == 5 + 2**32 and further_seed(5, 0) == 5
    seeds = [further_seed(seed, number) for seed in range(20) for number in range(5)]
    assert len({stream(seed, "order", 0).integers(2**62) for seed in seeds}) == 100


def test_the_same_bytes_in_another_process(bench):
    code = (
        f"import hashlib\nimport gru_lite as gru\n{inspect.getsource(digest)}"
        f"print(digest(gru.waterdigits(0, {SMALL})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(bench)


def test_inkdigits():
    """Twenty groups; the target is the digit modulo 5; no glyph in two splits; the ink can be seen."""
    bench = gru.inkdigits(3, val_count=40, test_count=60)
    common = [[120 + 300 * (s == y % 4) for s in range(4)] for y in range(5)]
    assert bench.train.group_counts.reshape(5, 4).tolist() == common
    assert (bench.group_names[0], bench.group_names[-1]) == ("0 or 5 in pen", "4 or 9 in hatching")
    digit, parts = load_digits().target, (bench.train, bench.val, bench.test)
    assert [len(part) for part in parts] == [3900, 800, 1200]
    assert all(np.array_equal(part.target, digit[part.source] % 5) for part in parts)
    sources = [set(part.source) for part in parts]
    assert sum(map(len, sources)) == len(set().union(*sources))
    # An outline and broken strokes have more edges than a stroke of a pen, for as much ink or less.
    picture = bench.train.images.astype(float).mean(axis=1)
    edges = sum(np.abs(np.diff(picture, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2))
    roughness = edges / picture.std(axis=(1, 2))
    means = [roughness[bench.train.sensitive == ink].mean() for ink in range(4)]
    assert min(means[1:]) > 1.2 * means[0], means


def test_the_same_strokes_in_another_ink():
    """The same draws give the same paper, sign and place: hatching and chalk lie where the pen is."""
    glyphs = torch.from_numpy(load_digits().images[:20]).float() / 16
    pen, outline, chalk, hatching = (
        render(glyphs, torch.full((20,), ink), torch.Generator().manual_seed(1)).astype(int)
        for ink in range(4)
    )
    paper = render(torch.zeros_like(glyphs), torch.zeros(20, dtype=int), torch.Generator().manual_seed(1))
    for other in (chalk, hatching):
        inked, drawn = (np.abs(picture - paper.astype(int)).max(axis=1) for picture in (pen, other))
        assert (drawn <= inked + 2).all() and drawn.sum() < 0.8 * inked.sum()
    assert not np.array_equal(pen, outline)


def test_inkdigits_as_edges():
    bench, same = gru.load("inkdigits_edges", seed=2), gru.load("inkdigits", seed=2)
    assert bench.name == "inkdigits_edges" and bench.train.features.shape == (3900, 131)
    assert np.array_equal(bench.test.group, same.test.group) and bench.default_groups == same.default_groups


def test_a_group_may_be_empty():
    bench = gru.waterdigits(0, train_counts=((5, 0), (3, 2)), val_count=1, test_count=1)
    assert bench.train.group_counts.tolist() == [5, 0, 3, 2]


def test_load_refuses():
    cases = [
        ("waterdigit", None, 0, "unknown benchmark 'waterdigit': did you mean 'waterdigits'"),
        ("waterdigits", "data", 0, "no root"),
        ("waterdigits", None, -1, "seed -1"),
    ]
    assert not accepted(gru.load, cases)


# GroupedDataset


def make(**changes):
    values = {
        "target": [0, 1, 1],
        "sensitive": [0, 2, 0],
        "target_names": ("a", "b"),
        "sensitive_names": ("c", "d", "e"),
        "images": np.zeros((3, 3, 8, 8), np.uint8),
    }
    return gru.GroupedDataset(**values | changes)


def test_grouped_dataset():
    data = make()
    assert (
        len(data) == 3
        and data.group.tolist() == [0, 5, 3]
        and data.group_counts.tolist() == [1, 0, 0, 1, 0, 1]
    )
    assert data.target.dtype == data.group.dtype == np.int64 and data.source.tolist() == [0, 1, 2]
    assert data.group_names[5] == "b on e" and data.inputs is data.images
    features = make(images=None, features=np.ones((3, 4), np.float32))
    assert len(features) == 3 and features.inputs is features.features


def test_grouped_dataset_refuses():
    cases = [
        ({"images": None}, "either images or features"),
        ({"features": np.zeros((3, 1), np.float32)}, "either images or features"),
        ({"images": np.zeros((3, 3, 8, 8), np.float32)}, "uint8"),
        ({"images": np.zeros((3, 8, 8), np.uint8)}, r"\(N, C, H, W\)"),
        ({"images": None, "features": np.zeros((3, 1))}, "float32"),
        (
            {"images": None, "features": np.float32([[0], [np.nan], [0]])},
            "features of sample 1 are not finite",
        ),
        ({"target": [0, 1]}, "target must be 3"),
        ({"target": [0.0, 1.0, 1.0]}, "target must be 3 whole numbers"),
        ({"target": [0, 1, 2]}, "target of sample 2 is 2: it must be 0 to 1"),
        ({"sensitive": [0, -1, 0]}, "sensitive of sample 1 is -1"),
        ({"source": [1, 2]}, "source must be 3"),
    ]
    assert not accepted(lambda changes: make(**changes), cases)


# Manifests


@pytest.fixture
def folder(tmp_path):
    """A real tree: twelve images of 9x9, every group in each split; and the rows that list them."""
    rng = np.random.default_rng(0)
    root, rows = tmp_path / "data", []
    for i in range(12):
        split = ("train", "val", "test")[i // 4]
        name = f"{split}/{i}.png"
        (root / split).mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(root / name)
        rows.append([name, str(i % 2), str(i // 2 % 2), split])
    return root, rows


def write(folder, rows, header="path,target,sensitive,split"):
    file = folder / "list.csv"
    file.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return file


def test_manifest_keeps_every_pixel(folder):
    root, rows = folder
    bench = gru.load_manifest(write(root, rows[::-1]))
    assert bench.name == "list" and len(bench.train) == len(bench.val) == len(bench.test) == 4
    for part, of_part in ((bench.train, rows[3::-1]), (bench.val, rows[7:3:-1]), (bench.test, rows[:7:-1])):
        for image, y, s, row in zip(part.images, part.target, part.sensitive, of_part):
            assert np.array_equal(image.transpose(1, 2, 0), np.asarray(Image.open(root / row[0])))
            assert [str(y), str(s)] == row[1:3]
    assert bench.target_names == bench.sensitive_names == ("0", "1")
    assert train_positions(root / "list.csv") == {
        "train/3.png": 0,
        "train/2.png": 1,
        "train/1.png": 2,
        "train/0.png": 3,
    }


def test_manifest_reads_other_kinds_of_image(folder):
    root, rows = folder
    Image.new("L", (9, 9), 77).save(root / "grey.png")
    Image.new("RGBA", (9, 9), (1, 2, 3, 128)).save(root / "alpha.png")
    Image.new("RGB", (9, 9), (200, 100, 50)).save(root / "photo.jpg", quality=95)
    for row, name in zip(rows, ("grey.png", "alpha.png", "photo.jpg")):
        row[0] = name
    images = gru.load_manifest(write(root, rows)).train.images
    assert (images[0] == 77).all() and images[1, :, 0, 0].tolist() == [1, 2, 3]
    assert np.abs(images[2, :, 4, 4].astype(int) - [200, 100, 50]).max() < 6  # JPEG is lossy


def test_manifest_tolerates_what_spreadsheets_write(folder):
    root, rows = folder
    plain = gru.load_manifest(write(root, rows))
    text = (root / "list.csv").read_text().splitlines()
    text = [
        text[0] + ",note",
        *(line + ',"a, b"' for line in text[1:4]),
        "",
        ",,,,",
        *(line + "," for line in text[4:]),
        "",
    ]
    (root / "list.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(text).encode())
    assert np.array_equal(gru.load_manifest(root / "list.csv").train.images, plain.train.images)


def test_image_size(folder):
    root, rows = folder
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255  # the middle, which is what is kept
    Image.fromarray(wide).save(root / rows[0][0])
    with pytest.raises(
        gru.InputError, match="list.csv row 3: the image is 9x9, the first is 30x10: .*--image-size"
    ):
        gru.load_manifest(write(root, rows))
    images = gru.load_manifest(root / "list.csv", image_size=10).train.images
    assert images.shape == (4, 3, 10, 10) and (images[0] == 255).all()
    assert gru.load_manifest(root / "list.csv", image_size=20).train.images.shape == (4, 3, 20, 20)
    sizes = [(root / "list.csv", size, "image size") for size in (0, 7, 10.0, True, "10")]
    assert not accepted(gru.load_manifest, sizes)


@pytest.mark.parametrize("image_size", [None, 28])
def test_own_pictures_with_a_view(image_size, folder):
    """As the paper's data sets: squashed to 8/7 of the view, kept, and cropped at random in training."""
    root, rows = folder
    for i, row in enumerate(rows):  # of any size: 14 x 9 to 25 x 9
        Image.open(root / row[0]).resize((14 + i, 9)).save(root / row[0])
    bench = gru.load_manifest(write(root, rows), image_size, view=True)
    size = image_size or 224
    side, wide = size * 8 // 7, np.float32(np.arange(14, 26) / 9)
    for number, part in enumerate((bench.train, bench.val, bench.test)):
        mine = slice(4 * number, 4 * number + 4)
        assert part.view == gru.View(size, side) and part.images.shape == (4, 3, side, side)
        assert part.aspect.tolist() == wide[mine].tolist() and isinstance(part.images, np.memmap)
        for image, row in zip(part.images, rows[mine]):
            squashed = Image.open(root / row[0]).resize((side, side), Image.Resampling.BILINEAR)
            assert np.array_equal(image.transpose(1, 2, 0), np.asarray(squashed))
    data = device_data(bench.train, "cpu")
    windows = data.windows(np.repeat(np.arange(4), 50), stream(0, "crops"))
    x, _ = data.take(torch.arange(4).repeat_interleave(50), torch.from_numpy(windows))
    assert x.shape == (200, 3, size, size) and len(np.unique(windows, axis=0)) > 150
    # on average a crop is as wide in the picture as it is high, so narrower in the array
    ratio = np.log(np.abs(windows[:, 3]) / windows[:, 2]).reshape(4, 50).mean(1)
    np.testing.assert_allclose(ratio, -np.log(wide[:4]), atol=0.15)  # standard error .025
    assert gru.load_manifest(root / "list.csv", 9).train.view is None


def test_manifest_names_the_row(folder):
    root, rows = folder
    Image.new("RGB", (9, 9)).save(root.parent / "outside.png")
    os.symlink(root.parent / "outside.png", root / "train/link.png")
    os.symlink("loop.png", root / "loop.png")

    def load(column, value):
        changed = [list(row) for row in rows]
        changed[2][column] = value
        return gru.load_manifest(write(root, changed))

    no_numbers = ("-1", "1.5", "", "a", "²", "١", " 1", "1e0", "9" * 30)
    inside = str(root / rows[0][0])  # an absolute path is refused even when it points inside
    cases = [
        (0, "train/none.png", "row 4: there is no file 'train/none.png'"),
        (0, "train", "row 4: there is no file 'train'"),
        (0, "", "row 4: path '' leaves"),
        (0, "../outside.png", "row 4: path '../outside.png' leaves the folder"),
        (0, "train/../../outside.png", "row 4: .* leaves the folder"),
        (0, "train/link.png", "row 4: path 'train/link.png' leaves the folder"),
        (0, inside, "row 4: path .* leaves the folder"),
        # a link to itself; Python 3.13 says only that it leads nowhere
        (0, "loop.png", "row 4: (path 'loop.png' cannot be read|there is no file 'loop.png')"),
        (0, "x" * 300, "row 4: path 'xxx.* cannot be read"),
        *((1, bad, f"row 4: target {bad!r} is not a whole number") for bad in no_numbers),
        (2, "-1", "row 4: sensitive '-1' is not a whole number"),
        (3, "dev", "row 4: unknown split 'dev': write train, val or test"),
        (3, "", "row 4: unknown split ''"),
        (1, "7", "target 2 never occurs in train, though 7 is used"),
        (1, "999999999", "target 2 never occurs in train"),
    ]
    assert not accepted(
        load, [(*case, f"{re.escape(str(root))}/list.csv.*{words}") for *case, words in cases]
    )


def test_images_that_cannot_be_read(folder):
    root, rows = folder
    file = write(root, rows)
    good = (root / "val/5.png").read_bytes()
    for bad in (good[: len(good) // 2], b"", b"not an image"):
        (root / "val/5.png").write_bytes(bad)
        with pytest.raises(gru.InputError, match="list.csv row 7: '5.png' is not a readable image"):
            gru.load_manifest(file)
    Image.new("RGB", (40, 40)).save(root / "whole.jpg")
    (root / "val/5.png").write_bytes((root / "whole.jpg").read_bytes()[:-60])
    with pytest.raises(gru.InputError, match="row 7: '5.png' is not a readable image"):
        gru.load_manifest(file)
    Image.new("RGB", (2, 2)).save(root / "val/5.png")
    with pytest.raises(gru.InputError, match="row 7: the image is 2x2"):
        gru.load_manifest(file)


def test_one_file_listed_again(folder):
    root, rows = folder
    cases = [
        ("0,0,train", "row 14: 'train/0.png' is already in row 2, so it is listed twice"),
        ("1,0,train", "is already in row 2, so it is listed as target 0 and 1"),
        ("0,1,train", "as sensitive 0 and 1"),
        ("0,0,test", "as split train and test"),
    ]

    def load(path, labels):
        return gru.load_manifest(write(root, [*rows, [path, labels]]))

    assert not accepted(load, [("train/0.png", *case) for case in cases])
    other_way = "./val/../train/0.png"  # written in another way
    assert not accepted(load, [(other_way, labels, "is already in row 2") for labels, _ in cases])


def test_a_split_without_rows(folder):
    root, rows = folder
    cases = [(split, f"no row with split {split}") for split in ("train", "val", "test")]
    assert not accepted(
        lambda split: gru.load_manifest(write(root, [row for row in rows if row[3] != split])), cases
    )


def test_files_that_are_no_manifest(tmp_path):
    file = tmp_path / "list.csv"
    header = "path,target,sensitive,split\n"
    cases = [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (header, "no rows"),
        (header + "\n,,,\n", "no rows"),
        ("path,target,split\na.png,0,train\n", "no column 'sensitive': its columns are path, target, split"),
        ("a.png,0,0,train\n", "no column 'path'"),
        (header + "a,b.png,0,0,train\n", "more fields than its header"),
        (header + "a.png,0,0,train\nb,c.png,0,0,train\n", "not a readable CSV"),
        (header.encode() + b"\xe9.png,0,0,train\n", "not a readable CSV"),
        (header + '"a.png,0,0,train\n', "not a readable CSV"),
        (header + "\n\na.png\n", "row 4: there is no file 'a.png'"),  # blank rows count
    ]

    def load(content):
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return gru.load_manifest(file)

    assert not accepted(load, [(content, f"{re.escape(str(file))}.*{words}") for content, words in cases])


def test_a_manifest_that_is_not_there(tmp_path):
    cases = [(tmp_path, "is a folder: name the CSV in it"), (tmp_path / "none.csv", "does not exist")]
    assert not accepted(gru.load_manifest, cases)
