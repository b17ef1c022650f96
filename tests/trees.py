"""Small trees in the formats of the downloads of CelebA, FairFace, MultiNLI and Adult."""

import json

import numpy as np
from PIL import Image

from gru_lite.data import adult
from gru_lite.data.fairface import AGES, RACES

ATTRIBUTES = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose "
    "Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee "
    "Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard "
    "Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair "
    "Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young "
).split()


def face(path, width, height, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    noise.resize((width, height), Image.Resampling.BICUBIC).save(path, quality=85)


def write_celeba(root, n=24):
    """A line with the number of pictures, one with the 40 attributes, then -1 and 1 in columns.

    0, 1 and 2 for the splits.
    """
    rng, folder = np.random.default_rng(0), root / "celeba"
    signs = np.where(rng.random((n, 40)) < 0.5, -1, 1)
    names = [f"{i + 1:06}.jpg" for i in range(n)]
    for name in names:
        face(folder / "img_align_celeba" / name, 178, 218, rng)
    lines = [
        str(n),
        " ".join(ATTRIBUTES) + " ",
        *(name + "".join(f" {s:2}" for s in row) for name, row in zip(names, signs)),
    ]
    (folder / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    splits = [0 if i < n // 2 else 1 if i < 3 * n // 4 else 2 for i in range(n)]
    (folder / "list_eval_partition.txt").write_text(
        "".join(f"{name} {split}\n" for name, split in zip(names, splits))
    )
    return signs, splits


def write_fairface(root, n=60, n_val=20):
    rng, folder = np.random.default_rng(0), root / "fairface"
    tables = {}
    for part, count in (("train", n), ("val", n_val)):
        tables[part] = [
            [
                f"{part}/{i + 1}.jpg",
                rng.choice(AGES),
                rng.choice(["Male", "Female"]),
                rng.choice(RACES),
                str(bool(rng.random() < 0.6)),
            ]
            for i in range(count)
        ]
        for row in tables[part]:
            face(folder / row[0], 224, 224, rng)
        text = "\n".join(["file,age,gender,race,service_test", *map(",".join, tables[part])])
        (folder / f"fairface_label_{part}.csv").write_text(text + "\n")
    return tables


WORDS = "the a cat dog sat ran on under mat rug no never nobody nothing is was , .".split()


def write_multinli(root, counts=(40, 12, 12)):
    """The three raw files, one label in six "-".

    The list names the rows of the others, as group DRO's script does.
    """
    rng, folder = np.random.default_rng(0), root / "multinli_1.0"
    folder.mkdir(parents=True)
    labels, row, listed = ("contradiction", "entailment", "neutral"), 0, []
    for part, count in zip(("train", "dev_matched", "dev_mismatched"), counts):
        lines = []
        for _ in range(count):
            gold = "-" if rng.random() < 1 / 6 else str(rng.choice(labels))
            first, second = (" ".join(rng.choice(WORDS, rng.integers(2, 90))) for _ in range(2))
            lines.append(
                json.dumps(
                    {
                        "annotator_labels": [gold],
                        "genre": "fiction",
                        "gold_label": gold,
                        "pairID": f"{row}n",
                        "promptID": str(row),
                        "sentence1": first.capitalize(),
                        "sentence1_binary_parse": "( )",
                        "sentence1_parse": "(ROOT )",
                        "sentence2": second,
                        "sentence2_binary_parse": "( )",
                        "sentence2_parse": "(ROOT )",
                    }
                )
            )
            if gold != "-":
                negation = int(any(word in second.split() for word in ("nobody", "no", "never", "nothing")))
                listed.append(f"{row},{labels.index(gold)},{negation},{rng.integers(3)}")
            row += 1
        (folder / f"multinli_1.0_{part}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "metadata_random.csv").write_text(
        "\n".join([",gold_label,sentence2_has_negation,split", *listed]) + "\n"
    )
    (root / "bert-base-uncased").mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (root / "bert-base-uncased" / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    return vocabulary


def write_adult(root, n=60, n_test=30):
    """The two files of UCI: a blank after each comma; the second has a first line, and full stops."""
    rng = np.random.default_rng(0)
    for name, count, stop in (("adult.data", n, ""), ("adult.test", n_test, ".")):
        lines = ["|1x3 Cross validator"] if stop else []
        for i in range(count):
            sex, race = adult.SEXES[i % 2], adult.RACES[i // 2 % 5]
            income = adult.INCOMES[int(rng.random() < 0.4)]
            numbers = rng.integers(17, 90), rng.integers(1, 10**6), rng.integers(1, 17), rng.integers(1, 99)
            age, weight, years, hours = map(str, numbers)
            work = rng.choice(["Private", "?"], p=[0.9, 0.1])
            person = [age, work, weight, "Bachelors", years, "Divorced", "Sales", "Unmarried", race, sex]
            lines.append(", ".join([*person, "0", "0", hours, "United-States", income + stop]))
        (root / name).write_text("\n".join(lines) + "\n\n")


def write_encoder(root):
    """A frozen encoder of 8 numbers in the place of the packaged one, with the words of `root`'s BERT."""
    import transformers

    folder = root / "encoder"
    words = (root / "bert-base-uncased" / "vocab.txt").read_text()
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.BertConfig(**sizes, vocab_size=len(words.split()))
    transformers.BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text(words)
    return folder
