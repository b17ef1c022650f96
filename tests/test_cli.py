"""The command line: what it says, what it returns, and that bad input leaves nothing behind."""

import contextlib
import io
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest

import gru_lite as gru
from gru_lite import cli, options
from gru_lite.data.waterbirds import write_example_tree

BENCHMARK = ["--benchmark", "waterdigits", "--epochs", "1", "--seeds", "1", "--jobs", "1"]


def python(*arguments, **options):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, **options)


def refused(arguments, culprit, capsys, out):
    """Exit code 2, one line that names the culprit, nothing written."""
    assert cli.main([*arguments, "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1, said.err
    assert said.err.startswith("gru-lite: error: ") and culprit in said.err
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments, culprit",
    [
        (["--benchmark", "waterdigit"], "unknown benchmark 'waterdigit': did you mean 'waterdigits'?"),
        ([], "--benchmark waterdigits or --manifest FILE"),
        ([*BENCHMARK, "--manifest", "x.csv"], "either --benchmark"),
        ([*BENCHMARK, "--methods", "fintune"], "unknown method 'fintune': did you mean 'finetune'?"),
        *(([*BENCHMARK, "--ratio", ratio], f"--ratio {ratio}") for ratio in ("0", "1.5", "-0.5")),
        *(
            ([*BENCHMARK, "--ratio", "0.5", ratio], f"--ratio '{ratio}' is not a number")
            for ratio in ("abc", "nan", "inf", "1/2")
        ),
        (
            [*BENCHMARK, "--ratio", "0.005"],
            "group (1, 0) (hole on land) comes to no sample: it has 180",
        ),  # .005 * 180 = .9
        ([*BENCHMARK, "--ratio", "1.0"], "group (1, 0) hole on land is forgotten whole"),
        ([*BENCHMARK, "--groups", "2,0"], "there is no target '2'; choose from 0 (no hole), 1 (hole)"),
        ([*BENCHMARK, "--groups", "-1,0"], "there is no target '-1'"),
        (
            [*BENCHMARK, "--groups", "hole,sea"],
            "there is no sensitive 'sea'; choose from 0 (land), 1 (water)",
        ),
        ([*BENCHMARK, "--groups", "1"], "group '1' is not a pair"),
        ([*BENCHMARK, "--groups", "1,0", "hole,land"], "(1, 0) is named twice"),
        ([*BENCHMARK, "--groups", "0,0", "0,1", "1,0", "1,1", "--ratio", "1"], "forgets every train sample"),
        ([*BENCHMARK, "--bogus", "3"], "--bogus"),
        ([*BENCHMARK, "stray"], "stray"),
        ([*BENCHMARK, "--epochs", "many"], "--epochs"),
        ([*BENCHMARK, "--epochs"], "--epochs"),
        ([*BENCHMARK, "--epochs", "0"], "--epochs 0"),
        ([*BENCHMARK, "--seeds", "0"], "--seeds 0"),
        ([*BENCHMARK, "--first-seed", "-1"], "--first-seed -1"),
        ([*BENCHMARK, "--jobs", "0"], "--jobs 0"),
        ([*BENCHMARK, "--image-size", "16"], "--image-size is for a manifest"),
        ([*BENCHMARK, "--reweight", "topup"], "did you mean 'top_up'"),
        ([*BENCHMARK, "--missing-group", "ignore"], "--missing-group 'ignore'"),
        ([*BENCHMARK, "--precision", "float64"], "--precision 'float64'"),
        (["--manifest", "none.csv"], "--manifest needs --groups"),
        (["--manifest", "none.csv", "--groups", "1,0"], "none.csv does not exist"),
    ],
)
def test_bad_input(arguments, culprit, capsys, tmp_path):
    refused(["run", *arguments], culprit, capsys, tmp_path / "out")


@pytest.mark.parametrize(
    "content, culprit",
    [
        (None, "does not exist"),
        ("", "is empty"),
        ("3\nx\n", "line 2: 'x' is not the number of a train sample, 0 to 3999"),
        ("3\n-1\n", "line 2: '-1'"),
        ("1.0\n", "line 1: '1.0'"),
        ("²\n", "line 1: '²'"),
        ("4000\n", "sample 4000 "),
        ("7\n8\n7\n", "sample 7 is listed 2 times"),
        (b"\xff\xfe\x00", "not a text file"),
        ("9" * 40, "list.txt"),
        ("\n".join(map(str, range(4000))), "forgets every train sample"),
    ],
)
def test_bad_lists(content, culprit, capsys, tmp_path):
    file = tmp_path / "list.txt"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(["run", *BENCHMARK, "--forget", str(file)], culprit, capsys, tmp_path / "out")
    assert cli.main(["run", *BENCHMARK, "--forget", str(file), "--out", str(tmp_path / "out")]) == 2
    assert str(file) in capsys.readouterr().err


@pytest.mark.parametrize(
    "content, culprit",
    [
        (None, "cannot be read"),
        ("{", "is not JSON of the form"),
        ('{"finetune": 3}', "is not JSON of the form"),
        (b"\xff", "is not JSON"),
        ('{"fintune": {}}', "unknown method 'fintune': did you mean 'finetune'?"),
        ('{"finetune": {"lt": 1}}', "unknown field of finetune 'lt': did you mean 'lr'?"),
        ('{"salun": {"lr": "high"}}', "salun: lr 'high' is not of the type float"),
        ('{"salun": {"shift": 1.5}}', "salun: shift 1.5 is not"),
        ('{"eu_k": {"epochs": true}}', "eu_k: epochs True is not of the type int"),
        ('{"eu_k": {"lr": -1}}', "eu_k: lr -1 is not a finite number"),
    ],
)
def test_bad_configs(content, culprit, capsys, tmp_path):
    file = tmp_path / "mine.json"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(
        ["run", *BENCHMARK, "--methods", "finetune", "--configs", str(file)],
        f"--configs {file}",
        capsys,
        tmp_path / "out",
    )
    cli.main(["run", *BENCHMARK, "--methods", "finetune", "--configs", str(file)])
    assert culprit in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, culprit",
    [
        ([], "--methods needs what to tune"),
        (["--methods", "miou"], "did you mean 'miu'"),
        (["--methods", "all", "--trials", "0"], "--trials 0"),
        (["--methods", "all", "--references", "0"], "--references 0"),
        (["--methods", "all", "--ratio", "2"], "--ratio 2"),
        (["--methods", "all", "--reweight", "replacement", "top_up"], "a tuning samples in one way"),
        (["--configs", "x.json"], "--configs"),
    ],
)
def test_bad_tunings(arguments, culprit, capsys, tmp_path):
    refused(["tune", "--benchmark", "waterdigits", *arguments], culprit, capsys, tmp_path / "out")


def test_a_list_and_a_ratio(capsys, tmp_path):
    refused(
        ["run", *BENCHMARK, "--forget", "list.txt", "--ratio", "0.5"],
        "--forget lists the samples itself",
        capsys,
        tmp_path / "out",
    )


def test_bad_manifests(manifest, capsys, tmp_path):
    """One of them all the way through; every other is in test_data.py."""
    copied = shutil.copytree(manifest.parent, tmp_path / "images") / manifest.name
    run = ["run", "--manifest", str(copied), "--groups", "1,0"]
    copied.write_text(copied.read_text().replace("train7.png,", "../train7.png,", 1))
    refused(run, f"{copied} row 9: path '../train7.png' leaves the folder", capsys, tmp_path / "out")
    copied.write_text(
        "\n".join(line for line in manifest.read_text().splitlines() if not line.endswith(",1,0,test"))
    )
    refused(run, "group (1, 0) has no sample in test", capsys, tmp_path / "out")
    list_file = tmp_path / "list.txt"
    list_file.write_text("test0.png\n")
    refused(
        [*run[:3], "--forget", str(list_file)],
        "line 1: 'test0.png' is not a path of a train row",
        capsys,
        tmp_path / "out",
    )


def test_out_that_is_not_ours(capsys, tmp_path):
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("mine")
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    for out, culprit in (
        (file, f"--out {file} is a file"),
        (folder, f"--out {folder} holds other files"),
        (file / "below", f"--out {file / 'below'} cannot be"),
    ):
        assert cli.main(["run", *BENCHMARK, "--out", str(out)]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and culprit in said
    assert file.read_text() == "mine" and [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_commands(capsys):
    for words, code in (([], 2), (["--help"], 0), (["-h"], 0)):
        assert cli.main(words) == code
        assert "usage: gru-lite COMMAND" in capsys.readouterr().out
    assert cli.main(["rnu"]) == 2
    assert (
        capsys.readouterr().err
        == "gru-lite: error: unknown command 'rnu': did you mean 'run'? choose from prepare, run, tune\n"
    )
    assert cli.main(["run", "--help"]) == 0
    shown = capsys.readouterr().out
    for flag in (
        "--benchmark",
        "--manifest",
        "--groups",
        "--forget",
        "--ratio",
        "--methods",
        "--seeds",
        "--first-seed",
        "--reweight",
        "--missing-group",
        "--references",
        "--configs",
        "--epochs",
        "--image-size",
        "--jobs",
        "--save-models",
        "--out",
    ):
        assert flag in shown


def test_a_ratio_is_one_however_it_is_written():
    assert gru.RunOptions(benchmark="waterdigits", ratio=("0.5", ".50", "5e-1", "1.0")).ratio == ("0.5", "1")
    assert gru.RunOptions(benchmark="waterdigits").ratio == ("0.5",)
    assert gru.RunOptions(benchmark="waterdigits", methods=("all",)).methods == tuple(gru.METHODS)


def test_the_names_are_those_of_the_registries():
    assert options.METHOD_NAMES == tuple(gru.METHODS) and options.BENCHMARK_NAMES == tuple(gru.BENCHMARKS)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        cli.main(["run", "--help"])
    assert all(name in said.getvalue() for name in (*options.METHOD_NAMES, *options.BENCHMARK_NAMES))


def test_run(manifest, capsys, tmp_path):
    words = [
        "run",
        "--manifest",
        str(manifest),
        "--groups",
        "1,0",
        "--epochs",
        "1",
        "--seeds",
        "1",
        "--jobs",
        "1",
    ]
    assert cli.main([*words, "--out", str(tmp_path / "out"), "--record", str(tmp_path / "kept.csv")]) == 0
    said = capsys.readouterr()
    assert (
        said.out.startswith("Forgetting 50% of")
        and "REWEIGHT gives back" in said.out
        and "gru-lite:" not in said.err
    )
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert table["method"].tolist() == ["original", "retrain", "retrain", "ceiling"]
    kept = (tmp_path / "kept.csv").read_text()
    assert (
        kept.startswith(f"# command: gru-lite run --manifest {manifest.name} --groups 1,0")
        and str(tmp_path) not in kept
    )


@pytest.mark.slow
def test_a_data_set_from_its_download(capsys, tmp_path):
    """Prepared and run as the paper does it, on a tiny tree in the format of Waterbirds."""
    write_example_tree(tmp_path, counts=((12, 4), (6, 8)), val_count=3, test_count=4)
    data = ["--dataset", "waterbirds", "--root", str(tmp_path), "--image-size", "16"]
    words = [
        "run",
        *data,
        "--ratio",
        "0.5",
        "--preset",
        "paper",
        "--methods",
        "all",
        "--seeds",
        "1",
        "--epochs",
        "1",
        "--weights",
        "none",
        "--jobs",
        "1",
        "--out",
        str(tmp_path / "out"),
    ]
    warning = "gru-lite: warning: the groups of waterbirds differ from the published counts in train, val, test: is the download complete?"
    assert cli.main(["prepare", *data]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("waterbirds: 58 samples, kept in ") and said.err.count(warning) == 1
    assert re.search(r"\(1, 0\) waterbird on land +6 +56 +3 +133 +4 +642\n", said.out)
    cache = {path: path.stat().st_mtime_ns for path in tmp_path.glob(".gru_lite/*/*")}
    assert cli.main(words) == 0
    said = capsys.readouterr()
    assert said.err.count(warning) == 1 and "decoding" not in said.err
    assert said.out.startswith("Forgetting 50% of group (1, 0) waterbird on land (3 train samples), 1 seed")
    assert "Ratio 0.5, means: ours, (reported in the paper's first version, difference)" in said.out
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert table["method"].tolist() == [
        "original",
        "retrain",
        "retrain",
        "ceiling",
        *(method for method in ("l1_sparse", "salun", "scrub", "miu") for _ in range(2)),
    ]
    assert set(table["status"]) == {"ok"} and table["avg_gap"].between(0, 100).all()
    # once more: nothing is decoded and nothing is computed
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/runs/*/*")}
    assert cli.main(words) == 0 and capsys.readouterr().out == said.out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/runs/*/*")} == made
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob(".gru_lite/*/*")} == cache


def test_weights_that_cannot_be_downloaded(capsys, tmp_path, monkeypatch):
    """Refused in one line, before anything is written."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(
        "torch.hub.download_url_to_file", lambda *_, **__: (_ for _ in ()).throw(OSError("no network"))
    )
    write_example_tree(tmp_path, counts=((4, 4), (4, 4)), val_count=2, test_count=2)
    words = [
        "run",
        "--dataset",
        "waterbirds",
        "--root",
        str(tmp_path),
        "--image-size",
        "16",
        "--out",
        str(tmp_path / "out"),
    ]
    assert cli.main(words) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("gru-lite: error: ")]
    assert (
        len(said) == 1
        and "resnet18-f37072fd.pth cannot be downloaded" in said[0]
        and str(tmp_path / "torch") in said[0]
    )
    assert "or use --weights none" in said[0] and not (tmp_path / "out").exists()


def test_the_module_is_the_command():
    done = python("-m", "gru_lite", "run", "--benchmark", "waterdigits", "--ratio", "2")
    assert done.returncode == 2 and done.stdout == ""
    assert (
        done.stderr
        == "gru-lite: error: --ratio 2 is outside (0, 1]: give the share of each group to forget, such as 0.5\n"
    )


def test_help_and_slips_do_not_wait_for_torch():
    code = (
        "import sys, gru_lite.cli as c; c.main(['--help']); c.main(['run', '--help']); c.main(['run', '--benchmark', 'x']); "
        "sys.exit('torch' in sys.modules)"
    )
    assert python("-c", code).returncode == 0


def test_everything_but_the_command_line_works_without_tyro():
    code = (
        "import sys; sys.modules['tyro'] = None\n"
        "import gru_lite as gru; [getattr(gru, name) for name in gru.__all__]; assert set(gru.__all__) <= set(dir(gru))"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr


def test_names_that_do_not_exist():
    with pytest.raises(AttributeError, match="no attribute 'reweigh'"):
        gru.reweigh
