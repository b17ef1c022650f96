# %% [markdown]
# # At full scale
#
# **Result.** One command runs the paper's experiment, from the downloaded files to its table beside the reported one.
# Six tenths of the work are the four models that the methods are compared with. On one CPU core three seeds of
# Waterbirds take days, and CelebA months.
#
# **Question.** What does it take to run the paper's own experiments, from the download to its table?
#
# **After this lesson you can**
#
# - put Waterbirds, CelebA, FairFace or MultiNLI where the package finds it, and check what you downloaded;
# - start the paper's experiment with one command, stop it, and go on;
# - say beforehand how long it will take on your machine;
# - read your table beside the reported one, without reading too much into it.
#
# **You need** {doc}`08_a_fair_table`, and to repeat the paper a GPU. **Time:** a minute and a half on two CPU cores
# with the stand-in that is used where there is no data. With the data, minutes of decoding come first.

# %% tags=["parameters"]
profile = "full"  # or "smoke": smaller images still
seed = 0

# %%
import sys
import tempfile
import textwrap
import time
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision.transforms.functional import resized_crop

import gru_lite as gru
from gru_lite import plots
from gru_lite.data.downloads import group_table
from gru_lite.data.registry import source
from gru_lite.data.waterbirds import FOLDER, write_example_tree
from gru_lite.experiment.report import beside_reported
from gru_lite.recipes.configs import paper_config
from gru_lite.train.device import device_data

root = Path("data")  # the folder of your downloads, best as a full path
size = 64 if profile == "full" else 32  # pixels; the paper's is 224

# %% [markdown]
# ## What to download
#
# We don't hand the data on; of CelebA its licence forbids it. Fetch it yourself, unpack it into one folder, and leave
# everything there as it is. *Kept* is what `prepare` puts beside it.
#
# | | from | kept | in your folder |
# |---|---|---|---|
# | Waterbirds {cite:p}`sagawa2020groupdro` | [nlp.stanford.edu](https://nlp.stanford.edu/data/dro/waterbird_complete95_forest2water2.tar.gz) | 2.3 GB | `waterbird_complete95_forest2water2/` |
# | CelebA {cite:p}`liu2015celeba` | [mmlab.ie.cuhk.edu.hk](https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html): Align&Cropped Images, Anno, Eval | 24 GB | `celeba/img_align_celeba/`, `celeba/list_attr_celeba.txt`, `celeba/list_eval_partition.txt` |
# | FairFace {cite:p}`karkkainen2021fairface` | [github.com/joojs/fairface](https://github.com/joojs/fairface): margin 0.25, both label files | up to 15 GB | `fairface/train/`, `fairface/val/`, `fairface/fairface_label_*.csv` |
# | MultiNLI {cite:p}`williams2018multinli` | [cims.nyu.edu](https://cims.nyu.edu/~sbowman/multinli/multinli_1.0.zip), and `metadata_random.csv` of [group_DRO](https://github.com/kohpangwei/group_DRO) | 0.6 GB | `multinli_1.0/`, with the second file in it |
#
# (MultiNLI also needs the package's extra `text`.)
#
# You needn't check the list by hand. If a data set isn't whole, the package says what is missing:

# %%
try:
    bench = gru.load("waterbirds", root=root, image_size=size)
    stand_in = False
except gru.InputError as error:
    print(textwrap.fill(str(error), 79, break_long_words=False))
    stand_in = True

# %% [markdown]
# If that is what you see, this lesson goes on with a **stand-in**: a few of our handwritten digits, written to disk as
# JPEGs of many sizes, in exactly the format of Waterbirds. Everything below then runs as it would, but **no number of
# it is about birds, or about anything.** With the data in place, the same cells are about Waterbirds.

# %%
if stand_in:
    root = Path(tempfile.mkdtemp())
    write_example_tree(root, seed=seed)
    bench = gru.load("waterbirds", root=root, image_size=size)
print("STAND-IN: generated digits, not Waterbirds" if stand_in else "Waterbirds")
print(group_table(bench))

# %% [markdown]
# Look at this table first. Where your count differs from *published*, the download is incomplete or another version.
# The package warns and goes on. (The stand-in differs everywhere, of course.)
#
# The published counts tell what kind of experiment this is. Training has 56 *waterbirds on land*, and a request at
# ratio 0.5 is 28 of them. So one image is 3.6 points of UA.
#
# All of this takes the group labels as they are. REWEIGHT's weights and GA are counted by them. If labels are wrong,
# the weights restore the counts of the *labels*, and GA is about a mixed group. We haven't measured how much that
# costs; to find out, swap some labels of WaterDigits and repeat lesson {doc}`03_exact_unlearning_by_reweighting`.
#
# On the command line both steps, check and table, are
#
# ```
# gru-lite prepare --dataset waterbirds --root data
# ```

# %% [markdown]
# ## What is prepared
#
# Every picture is decoded once and kept as bytes in `data/.gru_lite`, so that no training decodes it again. CelebA and
# FairFace are kept as they are. Waterbirds' pictures have many shapes, and are squashed to a square: of 256 pixels, for
# a model that sees 224. On the device, a whole batch of such squares is turned into what the model sees. *What does the
# square lose?*

# %% mystnb={"image": {"alt": "Two rows of six pictures of handwritten digits on textures. In each row: the file, higher than wide in the first row and wider than high in the second; the square that is kept; the central part that is seen in evaluation; and three random crops, some of them mirrored."}, "figure": {"caption": "Two training pictures: the file, what is kept of it, what a model sees in evaluation, and three random crops as it sees them in training. What the model sees has the shapes of the file again.", "name": "fig-prepared"}}
rows = pd.read_csv(root / FOLDER / "metadata.csv").query("split == 0")
data = device_data(bench.train, "cpu")
rng = np.random.default_rng(seed)
order = np.argsort(bench.train.aspect)  # width / height
fig, grid = plots.figure(8, 3.0, columns=6, rows=2)
for k, i in enumerate(order[[3, -4]]):  # a tall picture, and a wide one
    index = torch.full((3,), i)
    file = Image.open(root / FOLDER / rows["img_filename"].iloc[i])
    evaluation, _ = data.take(index[:1])
    crops = torch.from_numpy(data.windows(index.numpy(), rng))
    seen = torch.cat([evaluation, data.take(index, crops)[0]])
    pictures = [((x + 1).permute(1, 2, 0) / 2).clip(0, 1) for x in seen]
    kept = bench.train.images[i].transpose(1, 2, 0)
    for axis, picture in zip(grid[k], [file, kept, *pictures]):
        axis.imshow(picture)
        axis.axis("off")
titles = ["file", "kept", "evaluation", "crop", "crop", "crop"]
for axis, title in zip(grid[0], titles):
    axis.set_title(title, fontsize=10)
plots.show()

# %% [markdown]
# **The shape comes back, and some sharpness along the longer side doesn't.** On photographs of 500 by 350 pixels, what
# the model sees in evaluation differs by 3.2 of 255 levels on average, and by 74 at most. The logits of an untrained
# ResNet-18 {cite:p}`he2016resnet` move by half a standard deviation; one pixel of shift moves them by 0.2
# (`benchmarks/cache.py`). Nobody has measured yet what that does to the table.
#
# The crop itself adds no further error. A row of the resized picture is a weighted mean of rows of the original. So
# resizing is two products with a matrix for each picture, and gives what torchvision gives:

# %%
image = torch.from_numpy(np.array(bench.train.images[0]))
top, left, height, width = 3, 5, 2 * size // 3, size // 2
box = torch.tensor([[top, left, height, width]], dtype=torch.float32)
ours, _ = data.take(torch.tensor([0]), box)
ours = (ours[0] + 1) * 127.5
crop = (top, left, height, width, [size, size])
theirs = resized_crop(image.float(), *crop, antialias=True)
difference = (ours - theirs).abs().max().item()
print(f"largest difference to torchvision: {difference:.4f} of 255 levels")

# %% tags=["claim"]
assert difference < 0.01, "our crop is not torchvision's"

# %% [markdown]
# ## One command
#
# ```
# gru-lite run --dataset waterbirds --root data --ratio 0.5 --preset paper --methods all --seeds 3
# ```
#
# For each of three seeds, this trains the original, the retrained models, and the paper's methods with and without
# REWEIGHT. It takes the hyperparameters that the paper publishes, and ImageNet weights that are downloaded once. Of the
# original and the retrained models it keeps the epoch that is best on validation. Then it prints the table, and the
# table beside the reported one. The results are in `runs/waterbirds`, or where `--out` says.
#
# With `--preset corrected` it unlearns with this book's corrections ({doc}`06_implementing_miu`), and takes any
# request.
#
# Before hours of work, make a trial: one epoch, small images, no published weights, and a folder of its own.
#
# ```
# gru-lite run --dataset waterbirds --root data --preset paper --methods l1_sparse --seeds 1 \
#     --epochs 1 --image-size 64 --weights none --precision float32 --out runs/trial
# ```
#
# The preset computes in bfloat16, as the release does. That is slow on a CPU, so the trial asks for float32.
#
# The trial shows that files, rows and methods are in order. It skips full-size pictures, the larger cache and the
# download of the weights. To try those, too, drop `--epochs 1 --image-size 64 --weights none`.
#
# In a lesson we call what the command calls. Every flag is a field of `RunOptions`:

# %%
out = Path(tempfile.mkdtemp()) / "trial"
trial = {"epochs": 1, "image_size": size, "weights": "none"}
options = gru.RunOptions(
    dataset="waterbirds",
    root=root,
    ratio=("0.5",),
    methods=("l1_sparse",),
    preset="paper",
    precision="float32",
    seeds=1,
    first_seed=seed,
    out=out,
    **trial,
)


def run(options):
    """gru.run; what it warns of is shown here."""
    with redirect_stderr(sys.stdout):
        return gru.run(options, progress=False)


table = run(options).table
columns = ["method", "reweight", "RA", "UA", "TA", "GA", "avg_gap", "status"]
print(table[columns].round(1).to_string(index=False))

# %% [markdown]
# After one epoch from scratch nothing has been learnt, so don't read the numbers. Read the *rows*. Is the original
# there, and retrain twice, and the ceiling? Is every status `ok`?
#
# A method that diverges is a row that says so, and the rest goes on. At the published learning rate of 0.1, MIU and
# SalUn can diverge when they start from a model that has learnt nothing. So the trial leaves them out.
#
# ### Stop it, ask for more
#
# A run is hours of work, and something will interrupt it. The same command goes on from where it was:
#
# - each finished row is a folder in `out/runs` (the original has two: its training, and its scores);
# - a model in training has a checkpoint of its last epoch;
# - only a method starts again, from the original.
#
# You can ask for more in the same way. Here is one more method, and only that is computed:

# %%
runs = {file: file.stat().st_mtime_ns for file in out.glob("runs/*/run.json")}
more = replace(options, methods=("l1_sparse", "scrub"))
results = run(more)
later = {file: file.stat().st_mtime_ns for file in out.glob("runs/*/run.json")}
new = sorted(file.parent.name for file in set(later) - set(runs))
print(f"{len(runs)} folders were there; new: {', '.join(new)}")

# %% tags=["claim"]
assert new == [f"scrub-r0.5-s{seed}", f"scrub-replacement-r0.5-s{seed}"]
assert all(later[file] == when for file, when in runs.items()), "computed twice"
assert (results.table["status"] == "ok").all()

# %% [markdown]
# ## What it costs
#
# The unit is a picture that is trained on: one forward and one backward pass through ResNet-18 at 224 pixels. *How many
# of them does the command above ask for, and how much of that goes into the methods?*

# %%
counts = {"waterbirds": "waterbirds", "celeba": "celeba-blond_hair"}
models = {"original": ("original", False), "retrain": ("retrain", False)}
models |= {"retrain + REWEIGHT": ("retrain", True), "ceiling": ("ceiling", True)}
for name in ("l1_sparse", "salun", "scrub", "miu"):
    models |= {name: (name, False), f"{name} + REWEIGHT": (name, True)}
pictures = {}
for dataset, published in counts.items():
    n = sum(source(dataset).counts[published]["train"])
    for row, (name, reweight) in models.items():
        ratio = None if name == "original" else "0.5"
        config = paper_config(dataset, "resnet18", (), ratio, name, reweight)
        pictures.setdefault(dataset, {})[row] = config.epochs * n
pictures = pd.DataFrame(pictures)
print("pictures trained on, one seed, thousands")
print((pictures / 1000).round().astype(int).to_string())
compared = pictures.loc[["original", "retrain", "retrain + REWEIGHT", "ceiling"]]
share = compared.sum() / pictures.sum()
print("\nwhat the methods are compared with, share of all:")
print(share.round(2).to_string())

# %% [markdown]
# **Six tenths are the four models that the methods are compared with.** They have thirty epochs, and a method has ten.
#
# The numbers are epochs times training set. They leave out four things: a validation pass after each epoch of those
# four, scoring, the original's outputs that MIU and SCRUB compare with, and MIU's critics. A forward pass is a third of
# a picture. With these, MIU's rows on Waterbirds cost about 70% more than they look, and those of the four about a
# tenth.
#
# Now measure a number of your machine. The rest is a product:

# %% tags=["nbval-ignore-output"]
on_gpu = torch.cuda.is_available()
device, n = ("cuda", 20) if on_gpu else ("cpu", 3 if profile == "full" else 1)
torch.set_num_threads(1)  # a run trains as many models at a time as there are cores
start = gru.build_model("resnet18", n_classes=2, weights="none")
model = start.to(device).train()
batch = torch.randn(32, 3, 224, 224, device=device)
batch = batch.contiguous(memory_format=torch.channels_last)
target = torch.zeros(32, dtype=torch.int64, device=device)
optimizer = torch.optim.SGD(model.parameters(), 0.01)
for step in range(n + 2):
    if step == 2:  # after two steps to get warm
        if on_gpu:
            torch.cuda.synchronize()
        begin = time.perf_counter()
    F.cross_entropy(model(batch), target).backward()
    optimizer.step()
    optimizer.zero_grad()
if on_gpu:
    torch.cuda.synchronize()
per_second = 32 * n / (time.perf_counter() - begin)
days = 3 * pictures.sum() / per_second / 86400
print(f"{per_second:.1f} pictures a second", "on the GPU" if on_gpu else "on a core")
print("three seeds, days, at least:")
print(days.round(2).to_string())

# %% tags=["claim"]
assert (share.round(1) == 0.6).all()
assert (pictures.loc["miu + REWEIGHT"] == pictures.loc["retrain"] / 3).all()

# %% [markdown]
# Divide by your cores, or by your GPUs. On a laptop Waterbirds takes days and CelebA months, so you want a GPU. With
# one,
#
# - `--precision bfloat16` is faster where the hardware has it; `float16` is for a GPU without it, such as Colab's T4;
# - each part of the data (train, validation, test) stays in the GPU's memory as bytes if that leaves half of the memory
#   to the model, and is streamed in blocks if not: there is nothing to set;
# - several GPUs train each model together: `torchrun --nproc-per-node 2 -m gru_lite run ...`;
# - several machines share the models: `--scheduler tcp://HOST:8786`, the address of a Dask cluster.
#
# We tried all of it on CPUs (float16 and the copy in GPU memory excepted), and none of it on a GPU yet. So this book
# has no times of one.

# %% [markdown]
# ## The table beside the paper's
#
# The command ends with this comparison: our mean, in brackets the reported one and the difference. The reported numbers
# are those of the paper's first version. They are known for one ratio, 0.5, and three data sets: Waterbirds, FairFace,
# and CelebA with the target Attractive, which needs `--target Attractive`. For every other request, and for MultiNLI,
# one line says why there is nothing to compare.

# %%
print(beside_reported(results))

# %% [markdown]
# This one compares a trial with a paper, so its differences mean nothing. Read yours in this order:
#
# 1. **The original.** If *its* RA, TA and GA are points away, everything below starts elsewhere. It may be other
#    weights (the release takes timm's ImageNet weights, we torchvision's), the cache, or a library's version. Don't go
#    on to compare methods.
# 2. **The references.** Two retrained models of one seed differ as *retrain + REWEIGHT* and *ceiling* do. A difference
#    to the paper that isn't larger can't be told from nothing. `--references 3` measures it better. On Waterbirds UA
#    and MIA rest on 28 images ({doc}`08_a_fair_table`).
# 3. **MIA.** The release computes its scores in bfloat16, and ours are in float32. The attack compares losses, and
#    rounding them moves it by points when $F$ is small. So don't expect to repeat a published MIA, even with the same
#    model.
# 4. **Avg. Gap, between no-op and ceiling.** It is a distance to *our* reference, not to theirs. So it can agree when
#    all scores differ, and the reverse. Compare it with your own no-op and ceiling first. (Here, groups are collapsed
#    to two by two for EO, as the paper does; the run's own table has all groups.) Ours is always to Retrain + REWEIGHT.
#    The paper's numbers fit that, but the released code compares rows without REWEIGHT with plain Retrain by default.
# 5. **Only then the order of methods**, with the paired tests below your own table. Three seeds rarely support one.
#
# The reported table has no ceiling and no intervals. If your numbers differ, that alone says neither that the paper is
# wrong nor that you are.

# %% [markdown]
# ## Summary
#
# - Download, `prepare`, `run`. The group counts tell whether the download is whole.
# - Pictures are decoded once. The crops on the device are torchvision's; the square that is kept costs some sharpness.
# - A trial of one epoch comes first, in a folder of its own. Finished runs are never computed twice.
# - Six tenths of the work are the original and the retrained models. They make the table readable: no-op and ceiling
#   first, methods last.
#
# ## Exercises
#
# 1. Download Waterbirds, delete one JPEG, and run `gru-lite prepare`. What does it say? And when you cut one file to
#    half its length? Restore both.
# 2. Ask for `ratio=("0.5", "0.7")` with `preset="paper"`. Why is it refused, and which preset takes it?
# 3. Which learning rate does `gru_lite.recipes.configs.corrected_config` give MIU on CelebA? Why might the paper's with
#    REWEIGHT (0.001 at ratio 0.5, 0.1 at 0.9) differ so much between two ratios?
# 4. Measure `per_second` with a batch of 4 and of 128. Which would you choose on your device, and what else would then
#    change in training?
# 5. With a GPU and a night: repeat the paper's Waterbirds row with ten seeds. Which of its differences survive?
