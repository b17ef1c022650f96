"""What the tests share: data and models that are small enough for a fraction of a second, and no GPU."""

import contextlib
import functools
import http.server
import os
import re
import shlex
import threading

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import numpy as np
import pytest
import torch
from built_site import BROWSER, FLAGS, PAGES, SITE
from hypothesis import settings
from PIL import Image
from refusals import accepted

import gru_lite as gru
from gru_lite import cli

# No time limit for an example: the machine may be busy. No database: a run leaves nothing behind. Same
# examples each time.
settings.register_profile("house", deadline=None, database=None, derandomize=True, max_examples=60)
settings.load_profile("house")

# A machine with a GPU hides it from the tests, because they compare numbers bit by bit. Those marked `gpu`
# see it, and so does what lies in tests/gpu. CUDA keeps what it saw when it was first asked: that is here.
HAS_GPU = torch.cuda.is_available()


@contextlib.contextmanager
def _hidden_gpu():
    """No GPU inside, neither here nor in the processes that are started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    seen = item.get_closest_marker("gpu") or item.path.parent.name == "gpu"
    with contextlib.nullcontext() if seen else _hidden_gpu():
        return (yield)


class SharedWithoutGpu:
    """What several tests share is made without a GPU, even if a test that sees one is the first to ask.

    A plugin, because pytest asks no conftest.py below its root about fixtures of a whole run.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        shared = fixturedef.scope != "function" and "gpu" not in fixturedef.baseid.split("/")
        with _hidden_gpu() if shared else contextlib.nullcontext():
            return (yield)


def pytest_configure(config):
    config.pluginmanager.register(SharedWithoutGpu())


def pytest_collection_modifyitems(items):
    """What takes minutes first: then no core waits at the end for the other."""
    items.sort(key=lambda item: [not item.get_closest_marker(name) for name in ("lessons", "site", "slow")])


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and not HAS_GPU:
        pytest.skip("no GPU")


@pytest.fixture(scope="session")
def bench():
    """WaterDigits with 200 train, 80 validation and 120 test images."""
    return gru.waterdigits(0, train_counts=((70, 30), (30, 70)), val_count=20, test_count=30)


@pytest.fixture(scope="session")
def manifest(bench, tmp_path_factory):
    """The same images as PNG files, with the CSV that lists them."""
    root = tmp_path_factory.mktemp("manifest")
    lines = ["path,target,sensitive,split"]
    for split in ("train", "val", "test"):
        part = getattr(bench, split)
        for i, (image, y, s) in enumerate(zip(part.images, part.target, part.sensitive)):
            lines.append(f"{split}{i}.png,{y},{s},{split}")
            Image.fromarray(image.transpose(1, 2, 0)).save(root / f"{split}{i}.png")
    (root / "tiny.csv").write_text("\n".join(lines) + "\n")
    return root / "tiny.csv"


@pytest.fixture(scope="session")
def split(bench):
    return gru.forget_split(bench.train, groups=[(1, 0)], ratio=0.5, seed=0)


@pytest.fixture(scope="session")
def config():
    return gru.TrainConfig(epochs=2, warmup_epochs=1)


@pytest.fixture(scope="session")
def model():
    """Untrained; no test may change it."""
    return gru.build_model("small_resnet", n_classes=2, seed=0)


@pytest.fixture(scope="session")
def trained(model, bench, config):
    return gru.fit(model, bench.train, config=config, seed=0)


@pytest.fixture
def few_critic_steps(monkeypatch):
    """MIU's critics begin with three steps in the place of a hundred, which are most of its time."""
    from gru_lite.methods.miu import MIUConfig

    for values in (MIUConfig.CORRECTED, MIUConfig.RELEASED):
        monkeypatch.setitem(values, "first_steps", 3)


@pytest.fixture
def dataset():
    """Makes a dataset of features with `counts` (Y, S) samples in each group, in the order of group ids."""

    def make(counts):
        counts = np.asarray(counts)
        target, sensitive = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices(counts.shape))
        names = ([f"{what}{i}" for i in range(n)] for what, n in zip("ts", counts.shape))
        return gru.GroupedDataset(target, sensitive, *names, features=np.zeros((counts.sum(), 1), np.float32))

    return make


@pytest.fixture
def refused(capsys, tmp_path):
    """Goes through a table of (words of a command, what is said of them), and names every row that differs.

    A refusal is exit code 2, one line that says what is wrong, and no results folder.
    """
    out = tmp_path / "refused"

    def call(words):
        code, said = cli.main([*shlex.split(words), "--out", str(out)]), capsys.readouterr()
        assert code == 2 and said.out == "" and not out.exists()
        assert said.err.startswith("gru-lite: error: ") and said.err.endswith("\n")
        raise gru.InputError(said.err.removesuffix("\n"))

    def check(cases):
        wrong = accepted(call, [(words, re.escape(said)) for words, said in cases])
        assert not wrong, "\n".join(wrong)

    return check


@pytest.fixture(scope="module")
def browser():
    if not PAGES:
        pytest.skip("skipped: no site, run make site")
    if BROWSER is None:
        pytest.skip("skipped: no Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server():
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(SITE))
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}/"
    httpd.shutdown()


def pytest_generate_tests(metafunc):
    if "base" in metafunc.fixturenames and getattr(metafunc.module, "BOTH_WAYS", False):
        metafunc.parametrize("base", ["file", "http"], indirect=True)


@pytest.fixture
def base(request):
    """The site's address: from disk, and where a module says `BOTH_WAYS`, once more from a server."""
    is_served = getattr(request, "param", "file") == "http"
    return request.getfixturevalue("server") if is_served else SITE.as_uri() + "/"


@pytest.fixture
def page(browser, base):
    """A page that notes every request that leaves the site and everything that goes wrong."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.troubles = []
    page.on(
        "request",
        lambda r: r.url.startswith((base, "data:", "blob:")) or page.troubles.append(f"outside: {r.url}"),
    )
    page.on("requestfailed", lambda r: page.troubles.append(f"failed: {r.url} {r.failure}"))
    page.on("response", lambda r: page.troubles.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
    page.on(
        "console",
        lambda m: page.troubles.append(f"{m.type}: {m.text}") if m.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda e: page.troubles.append(f"error: {e}"))
    yield page
    context.close()
