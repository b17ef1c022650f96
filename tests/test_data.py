"""WaterDigits, grouped datasets, and image folders with a CSV."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import gru_lite as gru
from gru_lite.data.manifest import train_positions

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


@pytest.mark.parametrize("seed", [0, 1])
def test_no_glyph_is_in_two_splits(seed):
    bench = gru.waterdigits(seed, val_count=300)
    sources = [set(part.source) for part in (bench.train, bench.val, bench.test)]
    assert not sources[0] & sources[1] and not sources[0] & sources[2] and not sources[1] & sources[2]
    # 60/15/25 % of each digit's scans
    digit = load_digits().target
    for d in range(10):
        n = (digit == d).sum()
        share = [np.sum(digit[list(s)] == d) / n for s in sources]
        assert share == pytest.approx([0.60, 0.15, 0.25], abs=0.01)


def test_the_background_is_the_sensitive_attribute(bench):
    """Streaks run along the height on land and along the width on water.

    Neighbours are alike in that direction.
    """
    images = bench.train.images.astype(float).mean(axis=1)
    along_height, along_width = (np.abs(np.diff(images, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2))
    assert np.mean((along_height > along_width) == bench.train.sensitive) > 0.9


def test_the_seed_decides(bench):
    other = gru.waterdigits(1, train_counts=((70, 30), (30, 70)), val_count=20, test_count=30)
    assert not np.array_equal(bench.train.images, other.train.images)
    assert set(bench.train.source) != set(other.train.source)


def test_the_same_bytes_in_another_process(bench):
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"import gru_lite as gru; from test_data import digest; print(digest(gru.waterdigits(0, {SMALL})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(bench)


def test_a_group_may_be_empty():
    bench = gru.waterdigits(0, train_counts=((5, 0), (3, 2)), val_count=1, test_count=1)
    assert bench.train.group_counts.tolist() == [5, 0, 3, 2]


def test_load_refuses():
    with pytest.raises(gru.InputError, match="unknown benchmark 'waterdigit': did you mean 'waterdigits'"):
        gru.load("waterdigit")
    with pytest.raises(gru.InputError, match="no root"):
        gru.load("waterdigits", root="data")
    with pytest.raises(gru.InputError, match="seed -1"):
        gru.load("waterdigits", seed=-1)


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


@pytest.mark.parametrize(
    "changes, culprit",
    [
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
    ],
)
def test_grouped_dataset_refuses(changes, culprit):
    with pytest.raises(gru.InputError, match=culprit):
        make(**changes)


# Manifests


@pytest.fixture
def folder(tmp_path):
    """A real tree: twelve images of 9x9, four in each split, every group in each.

    And the rows that list them.
    """
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
    for size in (0, 7, 10.0, True, "10"):
        with pytest.raises(gru.InputError, match="image size"):
            gru.load_manifest(root / "list.csv", image_size=size)


@pytest.mark.parametrize(
    "column, value, culprit",
    [
        (0, "train/none.png", "row 4: there is no file 'train/none.png'"),
        (0, "train", "row 4: there is no file 'train'"),
        (0, "", "row 4: path '' leaves"),
        (0, "../outside.png", r"row 4: path '../outside.png' leaves the folder"),
        (0, "train/../../outside.png", "row 4: .* leaves the folder"),
        (0, "train/link.png", "row 4: path 'train/link.png' leaves the folder"),
        (0, "loop.png", "row 4: path 'loop.png' cannot be read"),
        (0, "x" * 300, "row 4: path 'xxx.* cannot be read"),
        *(
            (1, bad, f"row 4: target {bad!r} is not a whole number")
            for bad in ("-1", "1.5", "", "a", "²", "١", " 1", "1e0", "9" * 30)
        ),
        (2, "-1", "row 4: sensitive '-1' is not a whole number"),
        (3, "dev", "row 4: unknown split 'dev': write train, val or test"),
        (3, "", "row 4: unknown split ''"),
        (1, "7", "target 2 never occurs in train, though 7 is used"),
        (1, "999999999", "target 2 never occurs in train"),
    ],
)
def test_manifest_names_the_row(column, value, culprit, folder):
    root, rows = folder
    Image.new("RGB", (9, 9)).save(root.parent / "outside.png")
    os.symlink(root.parent / "outside.png", root / "train/link.png")
    os.symlink("loop.png", root / "loop.png")
    rows[2][column] = value
    file = write(root, rows)
    with pytest.raises(gru.InputError, match=culprit) as caught:
        gru.load_manifest(file)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_an_absolute_path_leaves_the_folder(folder):
    root, rows = folder
    rows[0][0] = str(root / rows[0][0])  # even when it points inside
    with pytest.raises(gru.InputError, match="row 2: path .* leaves the folder"):
        gru.load_manifest(write(root, rows))


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


@pytest.mark.parametrize(
    "change, culprit",
    [
        ([0, 1, 0, "train"], "row 14: 'train/0.png' is already in row 2, so it is listed as target 0 and 1"),
        ([0, 0, 1, "train"], "as sensitive 0 and 1"),
        ([0, 0, 0, "test"], "as split train and test"),
        ([0, 0, 0, "train"], "so it is listed twice"),
    ],
)
def test_one_file_listed_again(change, culprit, folder):
    root, rows = folder
    with pytest.raises(gru.InputError, match=culprit):
        gru.load_manifest(write(root, [*rows, ["train/0.png", *map(str, change[1:])]]))
    with pytest.raises(gru.InputError, match="is already in row 2"):  # written in another way
        gru.load_manifest(write(root, [*rows, ["./val/../train/0.png", *map(str, change[1:])]]))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_rows(split, folder):
    root, rows = folder
    with pytest.raises(gru.InputError, match=f"no row with split {split}"):
        gru.load_manifest(write(root, [row for row in rows if row[3] != split]))


@pytest.mark.parametrize(
    "content, culprit",
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("path,target,sensitive,split\n", "no rows"),
        ("path,target,sensitive,split\n\n,,,\n", "no rows"),
        ("path,target,split\na.png,0,train\n", "no column 'sensitive': its columns are path, target, split"),
        ("a.png,0,0,train\n", "no column 'path'"),
        ("path,target,sensitive,split\na,b.png,0,0,train\n", "more fields than its header"),
        ("path,target,sensitive,split\na.png,0,0,train\nb,c.png,0,0,train\n", "not a readable CSV"),
        (b"path,target,sensitive,split\n\xe9.png,0,0,train\n", "not a readable CSV"),
        ('path,target,sensitive,split\n"a.png,0,0,train\n', "not a readable CSV"),
        ("path,target,sensitive,split\n\n\na.png\n", "row 4: there is no file 'a.png'"),  # blank rows count
    ],
)
def test_files_that_are_no_manifest(content, culprit, tmp_path):
    file = tmp_path / "list.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(gru.InputError, match=culprit) as caught:
        gru.load_manifest(file)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_a_manifest_that_is_not_there(tmp_path):
    for file, said in (
        (tmp_path, "is a folder: name the CSV in it"),
        (tmp_path / "none.csv", "does not exist"),
    ):
        with pytest.raises(gru.InputError, match=said):
            gru.load_manifest(file)
