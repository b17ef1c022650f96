# One entry for everything; `make help` lists it. Needs Python 3.11+, make and git.
SHELL := /bin/sh
PYTHON ?= python3
PY := .venv/bin/python
LESSONS := $(PY) book/_tools/lessons.py
# Two processes on two cores; a free one takes the next test.
PARALLEL := -n auto --dist worksteal
LOCK := --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url
START := $(shell date +%s)
elapsed = @echo "make $@: done in $$(( $$(date +%s) - $(START) )) s"
# What the built site depends on. The notebooks are written by `make book` before this list is read again.
SITE := $(shell find _config.yml _toc.yml CITATION.cff CONTRIBUTING.md book gru_lite notebooks results -type f ! -name '*.pyc' ! -name '*.partial' 2>/dev/null)

.PHONY: help venv twins lessons book figure site test lint units smoke claims oldest newest lock pdf release assignments grade test-colab fork clean

help: ## list the targets (at once)
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

venv: .venv/.stamp ## install everything into .venv (1-4 min, 6 GB; TORCH=cpu: a smaller CPU build of torch)
	$(elapsed)

# The stamp is the last step: an interrupted install is taken up again. README.md and LICENSE are in the package's metadata.
.venv/.stamp: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: make venv PYTHON=python3.11"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv .venv || { echo "python3 cannot make virtual environments (on Debian: apt-get install python3-venv)"; rm -rf .venv; exit 1; }
	@test -x .venv/bin/uv || $(PY) -m pip install --quiet "$$(grep '^uv==' requirements.txt)"
ifeq ($(TORCH),cpu)
	grep -v -E '^(nvidia|cuda|triton)' requirements.txt > .venv/requirements-cpu.txt
	.venv/bin/uv pip sync --quiet --python $(PY) --torch-backend cpu .venv/requirements-cpu.txt
else
	.venv/bin/uv pip sync --quiet --python $(PY) requirements.txt
endif
	.venv/bin/uv pip install --quiet --python $(PY) --no-deps -e .
	@touch $@

twins: .venv/.stamp ## write notebooks/*.ipynb from notebooks/*.py (seconds)
	@$(LESSONS) twins
	$(elapsed)

lessons: .venv/.stamp ## execute every lesson, profile full (10 min at most for each)
	@$(LESSONS) twins
	@$(LESSONS) execute --all
	$(elapsed)

book: .venv/.stamp ## execute the lessons that changed, build the site (30 s, and 10 min at most for each changed lesson)
	@$(LESSONS) twins
	@$(LESSONS) execute
	@$(MAKE) --no-print-directory _build/.site
	@echo "open $(CURDIR)/_build/html/index.html"
	$(elapsed)

figure: .venv/.stamp ## draw the first page's figure again, from the recorded table in results/ (10 s)
	@$(PY) book/_tools/hero.py
	$(elapsed)

site: .venv/.stamp ## build the site from what has been executed (30 s)
	@$(MAKE) --no-print-directory _build/.site
	$(elapsed)

# From nothing each time: a page that is gone from the source is gone from the site. Without --all, -W passes over broken references.
_build/.site: .venv/.stamp $(SITE)
	@rm -rf _build/html _build/.doctrees $@
	@mkdir -p _build
	@NO_COLOR=1 .venv/bin/jupyter-book build . --all -W --keep-going > _build/site.log 2>&1 || { grep -E 'WARNING|ERROR|Error' _build/site.log || tail -20 _build/site.log; echo "the site was not built; all of it: _build/site.log"; exit 1; }
	@$(PY) book/_tools/site_check.py
	@touch $@

test: .venv/.stamp ## everything that CI runs: lint, units, lessons in profile smoke, the site in a browser (25 min on two cores)
	@$(MAKE) --no-print-directory lint
	@$(LESSONS) check
	@$(MAKE) --no-print-directory site
	$(PY) -m pytest tests $(PARALLEL)
	$(elapsed)

lint: .venv/.stamp ## format, lint and spelling (seconds; to mend: .venv/bin/ruff format, .venv/bin/ruff check --fix)
	@.venv/bin/ruff format --check --quiet . || { .venv/bin/ruff format --check .; exit 1; }
	@.venv/bin/ruff check --quiet .
	@.venv/bin/codespell
	$(elapsed)

units: .venv/.stamp ## the unit tests alone, on all cores (4 min on two; without the slow ones: .venv/bin/python -m pytest -m "not slow")
	$(PY) -m pytest tests -m "not lessons and not site" $(PARALLEL)
	$(elapsed)

smoke: .venv/.stamp ## execute every lesson twice in profile smoke; both must print the same (5 min on two cores)
	$(PY) -m pytest tests -m twice $(PARALLEL)
	$(elapsed)

claims: .venv/.stamp ## every checked claim under other arithmetics and seeds (hours; continues where it was stopped)
	$(PY) book/_tools/claims.py
	$(elapsed)

# Other versions than the lock's, in an environment of their own.
OTHER = _build/$@
oldest: RESOLUTION := lowest-direct
newest: RESOLUTION := highest

oldest: .venv/.stamp ## the units with the lowest versions that pyproject.toml allows (5 min, 6 GB)
	$(other-versions)

newest: .venv/.stamp ## the units with the newest versions that pyproject.toml allows (5 min, 6 GB)
	$(other-versions)

define other-versions
	@test -x $(OTHER)/bin/python || .venv/bin/uv venv --quiet --python $(PY) $(OTHER)
	.venv/bin/uv pip compile --quiet --upgrade --resolution $(RESOLUTION) --python $(OTHER)/bin/python --extra test --extra text --extra cluster pyproject.toml -o $(OTHER)/requirements.txt
	.venv/bin/uv pip sync --quiet --python $(OTHER)/bin/python $(OTHER)/requirements.txt
	.venv/bin/uv pip install --quiet --python $(OTHER)/bin/python --no-deps -e .
	$(OTHER)/bin/python -m pytest tests -m "not lessons and not site and not book" $(PARALLEL)
	$(elapsed)
endef

lock: .venv/.stamp ## write requirements.txt from pyproject.toml, keeping pins that still fit (10 s; newest: rm requirements.txt first)
	@echo uv | .venv/bin/uv pip compile --quiet $(LOCK) --all-extras pyproject.toml - -o requirements.txt
	$(elapsed)

pdf: .venv/.stamp ## the site, with the book and each lesson as PDF in it (2 min; needs Chromium)
	@$(MAKE) --no-print-directory _build/.site
	@$(PY) book/_tools/pdf.py
	$(elapsed)

release: pdf ## wheel, source, PDF and notebooks into dist/ (3 min; TAG=v0.1.0: checks the version, too)
	@$(PY) book/_tools/release.py $(TAG)
	$(elapsed)

assignments: .venv/.stamp ## student notebooks, solutions and Gradescope packages into build/assignments (20 s)
	@$(PY) assignments/course.py build
	$(elapsed)

grade: .venv/.stamp ## grade a folder of submissions: make grade FROM=DIR [OUT=grades.csv] (minutes for each; HW=hw1: all are graded as hw1)
	@test -n "$(FROM)" || { echo "say which folder: make grade FROM=DIR"; exit 1; }
	@$(PY) assignments/course.py grade "$(FROM)" $(if $(HW),--assignment $(HW)) --out "$(or $(OUT),grades.csv)"
	$(elapsed)

test-colab: .venv/.stamp ## every lesson and assignment in a fresh environment like Colab's (COLAB_PYTHON=python3.12: another Python)
	@$(PY) book/_tools/colab.py $(if $(COLAB_PYTHON),--python $(COLAB_PYTHON)) $(if $(TORCH),--torch $(TORCH)) $(ONLY)
	$(elapsed)

fork: .venv/.stamp ## give the book another address: make fork URL=https://github.com/me/course (seconds)
	@$(PY) book/_tools/fork.py "$(URL)"
	$(elapsed)

clean: ## remove what was built, except .venv (at once)
	rm -rf _build build dist
	$(elapsed)
