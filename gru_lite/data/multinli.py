"""MultiNLI (Williams et al., 2018): does one sentence follow from another? Sensitive attribute: does the
second negate?

Read from ROOT/multinli_1.0/: the raw multinli_1.0_train.jsonl, _dev_matched.jsonl and _dev_mismatched.jsonl,
and metadata_random.csv of group DRO (Sagawa et al., 2020), which redraws the splits: a column without a name
(the row in the three files, one after the other), gold_label, sentence2_has_negation, split. Raw rows with
the label "-" are not in it. Tokenised for BERT with ROOT/bert-base-uncased/vocab.txt, which is downloaded
when it is not there.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..errors import InputError
from .cache import cached, source
from .dataset import DatasetParts
from .downloads import check_download, in_parts
from .registry import Source
from .rows import by_split, numbers_of, read_table

LABELS = ("contradiction", "entailment", "neutral")
NEGATION = ("no negation", "negation")
ROW = "Unnamed: 0"  # pandas' name of the column without one
LENGTH, BLOCK = 128, 1024
FILES = tuple(
    f"multinli_1.0/multinli_1.0_{part}.jsonl" for part in ("train", "dev_matched", "dev_mismatched")
)
ABOUT = Source(
    "multinli",
    files=(*FILES, "multinli_1.0/metadata_random.csv"),
    origin="unpack https://cims.nyu.edu/~sbowman/multinli/multinli_1.0.zip "
    "there, and put dataset_metadata/multinli/metadata_random.csv "
    "of https://github.com/kohpangwei/group_DRO beside its files",
    default_groups=((2, 1),),
    models=("bert",),
    counts={  # Sagawa et al. (2020)
        "multinli": {
            "train": (57498, 11158, 67376, 1521, 66630, 1992),
            "val": (22814, 4634, 26949, 613, 26655, 797),
            "test": (34597, 6655, 40496, 886, 39930, 1148),
        }
    },
    published="multinli",
)


def load(root: str | Path) -> DatasetParts:
    """Return train, val and test, of tokens; see `gru_lite.load`. Making the cache needs the extra `text`."""
    root = check_download(ABOUT, root)
    folder, vocabulary = root / "multinli_1.0", root / "bert-base-uncased" / "vocab.txt"
    _fetch(vocabulary)
    files = [root / file for file in FILES]
    rows = read_table(folder / "metadata_random.csv", (ROW, "gold_label", "sentence2_has_negation", "split"))
    rows = rows.assign(
        target=numbers_of(rows, "gold_label", {"0": 0, "1": 1, "2": 2}),
        place=np.arange(len(rows)),
        sensitive=numbers_of(rows, "sentence2_has_negation", {"0": 0, "1": 1}),
        split=numbers_of(rows, "split", {"0": 0, "1": 1, "2": 2}),
    )
    ordered = by_split(rows, "multinli")
    sources = [source(path, path.name) for path in (*files, folder / "metadata_random.csv", vocabulary)]
    arrays = cached(
        root, "multinli", {"length": LENGTH}, sources, len(rows),
        lambda: _tokens(_pairs(files, rows), ordered["place"].to_numpy(), vocabulary),
    )  # fmt: skip
    return in_parts(
        ordered, (LABELS, NEGATION), arrays, name="multinli", default_groups=ABOUT.default_groups, joint=", "
    )


def _pairs(files, rows):
    """The sentence pairs of the labelled samples, checked row by row against the list."""
    pairs, row = [], -1
    listed = list(zip(rows[ROW], rows["target"], rows["where"]))
    for file in files:
        with open(file, "rb") as lines:
            for number, line in enumerate(lines, 1):
                row, at = row + 1, f"{file} line {number}"
                try:
                    sample = json.loads(line)
                    label, pair = sample["gold_label"], (str(sample["sentence1"]), str(sample["sentence2"]))
                except (ValueError, KeyError, TypeError):
                    raise InputError(
                        f"{at} is no sample: JSON with gold_label, sentence1 and sentence2 is needed"
                    ) from None
                if label == "-":
                    continue
                if label not in LABELS:
                    raise InputError(f"{at}: gold_label {label!r} is none of {', '.join(LABELS)}, -")
                end = ("none", -1, "the end of metadata_random.csv")
                expected = listed[len(pairs)] if len(pairs) < len(listed) else end
                if expected[:2] != (str(row), LABELS.index(label)):
                    raise InputError(
                        f"{at} is row {row}, {label}, but {expected[2]} says row {expected[0]}, "
                        f"label {expected[1]}: the list was not made from these files"
                    )
                pairs.append(pair)
    if len(pairs) < len(listed):
        raise InputError(
            f"{listed[len(pairs)][2]}: the files have only {len(pairs)} labelled samples: are they complete?"
        )
    return pairs


def _tokens(pairs, order, vocabulary):
    """Yield {"tokens": int32 (B, 3, 128)} of the pairs in the given order."""
    try:
        from transformers import BertTokenizerFast
    except ImportError:
        raise InputError("multinli needs transformers: pip install gru-lite[text]") from None
    tokenizer = BertTokenizerFast.from_pretrained(str(vocabulary.parent))
    with tqdm(total=len(pairs), desc="tokenising multinli", unit="pair") as progress:
        for part in np.split(order, range(BLOCK, len(order), BLOCK)):
            first, second = zip(*(pairs[i] for i in part))
            whole = {"truncation": "longest_first", "max_length": LENGTH, "padding": "max_length"}
            found = tokenizer(list(first), list(second), **whole)
            parts = [found[name] for name in ("input_ids", "token_type_ids", "attention_mask")]
            progress.update(len(part))
            yield {"tokens": np.array(parts, np.int32).transpose(1, 0, 2)}


def _fetch(vocabulary):
    """Download the vocabulary of BERT where it is not there."""
    if vocabulary.is_file():
        return
    try:
        from huggingface_hub import hf_hub_download

        hf_hub_download("google-bert/bert-base-uncased", "vocab.txt", local_dir=vocabulary.parent)
    except Exception as error:  # whatever the network, the library or the disk say
        raise InputError(
            "multinli needs the vocabulary of bert-base-uncased, which cannot be downloaded "
            f"({type(error).__name__}): put its vocab.txt at {vocabulary}"
        ) from None
