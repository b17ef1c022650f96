"""The command line: what it says, what it returns, and that bad input leaves nothing behind."""

import functools
import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields

import pandas as pd
import pytest
from commands import words_of

import gru_lite as gru
from gru_lite import cli, models
from gru_lite.data.registry import BENCHMARKS, DATASETS
from gru_lite.data.waterbirds import write_example_tree
from gru_lite.experiment import plan

BENCHMARK = "run --benchmark waterdigits --epochs 1 --seeds 1 --jobs 1"


@pytest.fixture(scope="module")
def generated_once():
    """The benchmark is generated once for all commands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "load", functools.cache(plan.load))
        yield


@pytest.fixture(scope="module")
def few(manifest, tmp_path_factory):
    """A manifest of a few images: six of each group in train, three in val, four in test."""
    folder = tmp_path_factory.mktemp("few")
    rows, counts = pd.read_csv(manifest), {"train": 6, "val": 3, "test": 4}
    parts = rows.groupby(["split", "target", "sensitive"])
    rows = pd.concat(part.head(counts[split]) for (split, _, _), part in parts)
    rows.to_csv(folder / "few.csv", index=False)
    for path in rows["path"]:
        shutil.copy(manifest.parent / path, folder)
    return folder / "few.csv"


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True)


def stamps(folder, pattern):
    return {path: path.stat().st_mtime_ns for path in folder.glob(pattern)}


def test_bad_input(refused, generated_once):
    refused(
        [
            ("run --benchmark waterdigit", "unknown benchmark 'waterdigit': did you mean 'waterdigits'?"),
            ("run", "--benchmark waterdigits, or --manifest FILE"),
            (f"{BENCHMARK} --manifest x.csv", "name the data once: --benchmark"),
            (f"{BENCHMARK} --methods fintune", "unknown method 'fintune': did you mean 'finetune'?"),
            *((f"{BENCHMARK} --ratio {ratio}", f"--ratio {ratio}") for ratio in ("0", "1.5", "-0.5")),
            *(
                (f"{BENCHMARK} --ratio 0.5 {ratio}", f"--ratio '{ratio}' is not a number")
                for ratio in ("abc", "nan", "inf", "1/2")
            ),
            # .005 * 180 = .9
            (f"{BENCHMARK} --ratio 0.005", "group (1, 0) (hole on land) comes to no sample: it has 180"),
            (f"{BENCHMARK} --ratio 1.0", "group (1, 0) hole on land is forgotten whole"),
            (f"{BENCHMARK} --groups 2,0", "there is no target '2'; choose from 0 (no hole), 1 (hole)"),
            (f"{BENCHMARK} --groups -1,0", "there is no target '-1'"),
            (f"{BENCHMARK} --groups 1,-1 --seeds 1", "there is no sensitive '-1'"),
            (
                f"{BENCHMARK} --groups hole,sea",
                "there is no sensitive 'sea'; choose from 0 (land), 1 (water)",
            ),
            (f"{BENCHMARK} --groups 1", "group '1' is not a pair"),
            (f"{BENCHMARK} --groups 1,0 hole,land", "(1, 0) is named twice"),
            (f"{BENCHMARK} --groups 0,0 0,1 1,0 1,1 --ratio 1", "forgets every train sample"),
            (f"{BENCHMARK} --forget list.txt --ratio 0.5", "--forget lists the samples itself"),
            (f"{BENCHMARK} --bogus 3", "unknown option '--bogus': "),
            (f"{BENCHMARK} --seed 3", "unknown option '--seed': did you mean '--seeds'? choose from"),
            (f"{BENCHMARK} --ratios=0.5", "unknown option '--ratios': did you mean '--ratio'?"),
            (f"{BENCHMARK} stray", "unknown option 'stray'"),
            (f"{BENCHMARK} --epochs many", "--epochs"),
            (f"{BENCHMARK} --epochs", "--epochs"),
            (f"{BENCHMARK} --epochs 0", "--epochs 0"),
            (f"{BENCHMARK} --seeds 0", "--seeds 0"),
            (f"{BENCHMARK} --first-seed -1", "--first-seed -1"),
            (f"{BENCHMARK} --jobs 0", "--jobs 0"),
            (f"{BENCHMARK} --image-size 16", "--image-size is for images on a disk"),
            (f"{BENCHMARK} --model resnet18", "--model has no meaning for a benchmark"),
            (f"{BENCHMARK} --reweight topup", "did you mean 'top_up'"),
            (f"{BENCHMARK} --missing-group ignore", "--missing-group 'ignore'"),
            (f"{BENCHMARK} --precision float64", "--precision 'float64'"),
            (
                f"{BENCHMARK} --methods miu --compare-with mui",
                "unknown --compare-with 'mui': did you mean 'miu'?",
            ),
            (
                f"{BENCHMARK} --methods miu --compare-with salun",
                "--compare-with salun is not among --methods: add it there",
            ),
            ("run --manifest none.csv", "--manifest needs --groups"),
            ("run --manifest none.csv --groups 1,0", "none.csv does not exist"),
            (
                "run --manifest none.csv --groups 1,0 --model resnet",
                "--model 'resnet': did you mean 'resnet18'?",
            ),
            ("run --manifest none.csv --groups 1,0 --model bert", "--model 'bert'"),
            ("run --manifest none.csv --groups 1,0 --weights none", "name a --model"),
            ("tune --benchmark waterdigits", "--methods needs what to tune"),
            ("tune --benchmark waterdigits --methods miou", "did you mean 'miu'"),
            ("tune --benchmark waterdigits --methods all --trials 0", "--trials 0"),
            ("tune --benchmark waterdigits --methods all --references 0", "--references 0"),
            ("tune --benchmark waterdigits --methods all --ratio 2", "--ratio 2"),
            (
                "tune --benchmark waterdigits --methods all --reweight replacement top_up",
                "a tuning samples in one way",
            ),
            ("tune --benchmark waterdigits --configs x.json", "--configs"),
        ]
    )


def files(folder, contents):
    """Files of these contents, None for one that is not there."""
    for number, content in enumerate(contents):
        file = folder / f"given{number}"
        if content is not None:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        yield file


def test_bad_lists(refused, generated_once, tmp_path):
    cases = {
        None: "it does not exist",
        "": "the list of samples to forget is empty",
        "3\nx\n": "line 2: 'x' is not the number of a train sample, 0 to 3999",
        "3\n-1\n": "line 2: '-1'",
        "1.0\n": "line 1: '1.0'",
        "²\n": "line 1: '²'",
        "4000\n": "sample 4000 ",
        "7\n8\n7\n": "sample 7 is listed 2 times",
        b"\xff\xfe\x00": "it is not a text file",
        "9" * 40: "train samples are 0 to 3999",
        "\n".join(map(str, range(4000))): "the request forgets every train sample",
    }
    named = zip(files(tmp_path, cases), cases.values())
    refused([(f"{BENCHMARK} --forget {file}", f"--forget {file}: {said}") for file, said in named])


def test_bad_configs(refused, tmp_path):
    cases = {
        None: " cannot be read",
        "{": " is not JSON of the form",
        '{"finetune": 3}': " is not JSON of the form",
        b"\xff": " is not JSON",
        '{"fintune": {}}': ": unknown method 'fintune': did you mean 'finetune'?",
        '{"finetune": {"lt": 1}}': ": unknown field of finetune 'lt': did you mean 'lr'?",
        '{"salun": {"lr": "high"}}': ": salun: lr 'high' is not of the type float",
        '{"salun": {"shift": 1.5}}': ": salun: shift 1.5 is not",
        '{"eu_k": {"epochs": true}}': ": eu_k: epochs True is not of the type int",
        '{"eu_k": {"lr": -1}}': ": eu_k: lr -1 is not a finite number",
    }
    words, named = f"{BENCHMARK} --methods finetune --configs", zip(files(tmp_path, cases), cases.values())
    refused([(f"{words} {file}", f"--configs {file}{said}") for file, said in named])


def test_bad_manifests(manifest, refused, tmp_path):
    """One of them all the way through; every other is in test_data.py."""
    text, folder = manifest.read_text(), shutil.copytree(manifest.parent, tmp_path / "images")
    outside, lacking, listed = folder / "outside.csv", folder / "lacking.csv", tmp_path / "list.txt"
    outside.write_text(text.replace("train7.png,", "../train7.png,", 1))
    lacking.write_text("\n".join(line for line in text.splitlines() if not line.endswith(",1,0,test")))
    listed.write_text("test0.png\n")
    refused(
        [
            (
                f"run --manifest {outside} --groups 1,0",
                f"{outside} row 9: path '../train7.png' leaves the folder",
            ),
            (f"run --manifest {lacking} --groups 1,0", "group (1, 0) has no sample in test"),
            (
                f"run --manifest {manifest} --forget {listed}",
                "line 1: 'test0.png' is not the path of an image that",
            ),
        ]
    )


def test_out_that_is_not_ours(generated_once, capsys, tmp_path):
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("mine")
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    for out, culprit in (
        (file, f"--out {file} is a file"),
        (folder, f"--out {folder} holds other files"),
        (file / "below", f"--out {file / 'below'} cannot be"),
    ):
        assert cli.main([*BENCHMARK.split(), "--out", str(out)]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and culprit in said
    assert file.read_text() == "mine" and [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_commands(capsys):
    for words, code in (([], 2), (["--help"], 0), (["-h"], 0)):
        assert cli.main(words) == code
        assert "usage: gru-lite COMMAND" in capsys.readouterr().out
    assert cli.main(["--version"]) == 0 and capsys.readouterr().out == f"{gru.__version__}\n"
    assert cli.main(["rnu"]) == 2
    said = (
        "gru-lite: error: unknown command 'rnu': did you mean 'run'? choose from prepare, run, tune, plan\n"
    )
    assert capsys.readouterr().err == said


def test_help_lists_every_option_method_and_data_set(capsys):
    """By itself: an option is a field, a method a file, a data set a line of the registry."""
    options = {
        "run": cli.RunOptions,
        "tune": cli.TuneOptions,
        "plan": cli.PlanOptions,
        "prepare": cli.PrepareOptions,
    }
    for command, options_class in options.items():
        assert cli.main([command, "--help"]) == 0
        shown = capsys.readouterr().out
        flags = {f"--{option.name.replace('_', '-')}" for option in fields(options_class)}
        named = set(DATASETS) if command == "prepare" else {*gru.METHODS, *BENCHMARKS}
        named |= set(DATASETS) if command != "prepare" else set()
        missing = [word for word in flags | named if not re.search(rf"(?<![\w-]){word}(?![\w-])", shown)]
        assert not missing, f"{command}: {missing}"


def test_a_ratio_is_one_however_it_is_written():
    assert gru.RunOptions(benchmark="waterdigits", ratio=("0.5", ".50", "5e-1", "1.0")).ratio == ("0.5", "1")
    assert gru.RunOptions(benchmark="waterdigits").ratio == ("0.5",)
    assert gru.RunOptions(benchmark="waterdigits", methods=("all",)).methods == tuple(gru.METHODS)


def test_run(few, capsys, tmp_path):
    out, kept = tmp_path / "out", tmp_path / "kept.csv"
    options = gru.RunOptions(manifest=few, groups=("1,0",), epochs=1, seeds=1, jobs=1, out=out, record=kept)
    assert cli.main(words_of(options)) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Forgetting 50% of") and "REWEIGHT gives back" in said.out
    assert "gru-lite:" not in said.err
    methods = ["original", "retrain", "retrain", "ceiling"]
    assert pd.read_csv(out / "table.csv")["method"].tolist() == methods
    text = kept.read_text()
    assert text.startswith(f"# command: gru-lite run --manifest {few.name} --groups 1,0")
    assert str(tmp_path) not in text and str(few.parent) not in text


@pytest.mark.slow
def test_own_pictures_for_a_large_model(few, capsys, tmp_path):
    """Prepared once, kept whole, cropped at random, and trained like Waterbirds."""
    given = ["--manifest", str(few), "--model", "resnet18", "--image-size", "32"]
    words = ["run", *given, "--groups", "1,0", "--weights", "none", "--methods", "finetune", "--epochs", "1"]
    words += ["--seeds", "1", "--jobs", "1", "--out", str(tmp_path / "out")]
    assert cli.main(["prepare", *given]) == 0
    assert capsys.readouterr().out.startswith("few: 52 samples, kept in ")
    cache = stamps(few.parent, ".gru_lite/*/*")
    assert cli.main(words) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Forgetting 50% of group (1, 0) 1 on 0 (3 train samples), 1 seed")
    assert "decoding" not in said.err and stamps(few.parent, ".gru_lite/*/*") == cache
    table, recipe = pd.read_csv(tmp_path / "out" / "table.csv"), tmp_path / "out" / "recipe.json"
    assert len(table) == 6 and set(table["status"]) == {"ok"} and table["avg_gap"].between(0, 100).all()
    recipe = json.loads(recipe.read_text())
    assert (recipe["model"], recipe["weights"], recipe["image_size"]) == ("resnet18", "none", 32)
    training = {"epochs": 1, "batch_size": 32, "lr": 0.01, "augment": True, "shift": 0}
    assert training.items() <= recipe["train"].items()
    model = gru.load_model(tmp_path / "out" / "runs" / "original-s0" / "model.safetensors")
    assert model.architecture == {"name": "resnet18", "n_classes": 2, "weights": "none"}
    made = stamps(tmp_path, "out/runs/*/*")
    assert cli.main(words) == 0 and stamps(tmp_path, "out/runs/*/*") == made  # nothing is computed again
    words[words.index("--model") + 1] = "vit_b_16"
    assert cli.main(words) == 2
    assert "--image-size 32: vit_b_16 takes only 224" in capsys.readouterr().err


@pytest.mark.slow
def test_a_data_set_from_its_download(capsys, tmp_path, monkeypatch, few_critic_steps):
    """Prepared and run as the paper does it, on a tiny tree in Waterbirds' format and with a small model."""
    monkeypatch.setitem(models.ARCHITECTURES, "resnet18", lambda n, weights: models._small_resnet(n))
    write_example_tree(tmp_path, counts=((12, 4), (6, 8)), val_count=3, test_count=4)
    data = ["--dataset", "waterbirds", "--root", str(tmp_path), "--image-size", "16"]
    words = ["run", *data, "--preset", "paper", "--methods", "all", "--seeds", "1", "--epochs", "1"]
    words += ["--weights", "none", "--jobs", "1", "--out", str(tmp_path / "out")]
    warning = (
        "gru-lite: warning: the groups of waterbirds differ from the published counts in train, val, test: "
        "is the download complete?"
    )
    assert cli.main(["prepare", *data]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("waterbirds: 58 samples, kept in ") and said.err.count(warning) == 1
    assert re.search(r"\(1, 0\) waterbird on land +6 +56 +3 +133 +4 +642\n", said.out)
    cache = stamps(tmp_path, ".gru_lite/*/*")
    assert cli.main(words) == 0
    said = capsys.readouterr()
    assert said.err.count(warning) == 1 and "decoding" not in said.err
    assert said.out.startswith("Forgetting 50% of group (1, 0) waterbird on land (3 train samples), 1 seed")
    assert "Ratio 0.5, means: ours, (reported in the paper's first version, difference)" in said.out
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    twice = [method for method in ("l1_sparse", "miu", "salun", "scrub") for _ in range(2)]
    assert table["method"].tolist() == ["original", "retrain", "retrain", "ceiling", *twice]
    assert set(table["status"]) == {"ok"} and table["avg_gap"].between(0, 100).all()
    # once more: nothing is decoded and nothing is computed
    made = stamps(tmp_path, "out/runs/*/*")
    assert cli.main(words) == 0 and capsys.readouterr().out == said.out
    assert stamps(tmp_path, "out/runs/*/*") == made and stamps(tmp_path, ".gru_lite/*/*") == cache


def test_weights_that_cannot_be_downloaded(few, capsys, tmp_path, monkeypatch):
    """Refused in one line, before anything is written."""

    def no_network(*_, **__):
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub.download_url_to_file", no_network)
    write_example_tree(tmp_path, counts=((4, 4), (4, 4)), val_count=2, test_count=2)
    for given in (
        ["--dataset", "waterbirds", "--root", str(tmp_path)],
        ["--manifest", str(few), "--groups", "1,0", "--model", "resnet18"],
    ):
        words = ["run", *given, "--image-size", "16", "--out", str(tmp_path / "out")]
        assert cli.main(words) == 2
        lines = capsys.readouterr().err.splitlines()
        (said,) = [line for line in lines if line.startswith("gru-lite: error: ")]
        assert "resnet18-f37072fd.pth cannot be downloaded" in said and str(tmp_path / "torch") in said
        assert "or use --weights none" in said and not (tmp_path / "out").exists()


def test_the_module_is_the_command():
    done = python("-m", "gru_lite", "run", "--benchmark", "waterdigits", "--ratio", "2")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        "gru-lite: error: --ratio 2 is outside (0, 1]: give the share of each group to forget, such as 0.5\n"
    )


def test_help_and_slips_do_not_wait_for_torch():
    code = (
        "import sys, gru_lite.cli as c; c.main(['--help']); c.main(['run', '--help']); "
        "c.main(['run', '--benchmark', 'x']); sys.exit('torch' in sys.modules)"
    )
    assert python("-c", code).returncode == 0


def test_names_that_do_not_exist():
    with pytest.raises(AttributeError, match="no attribute 'reweigh'"):
        _ = gru.reweigh
    assert set(gru.__all__) <= set(dir(gru))
