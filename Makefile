# Each target sets up what it needs: a virtual environment in .venv, then the pinned packages.
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m

.PHONY: figures figures-full bench test soak recipes check format images clean

figures: .venv/.installed
	$(RUN) figures

figures-full: .venv/.installed
	$(RUN) figures --profile full

bench: .venv/.installed-bench
	$(RUN) sim bench

test: .venv/.installed-dev
	$(RUN) pytest -n auto --dist loadfile

# The full counts: hundreds of random models, fuzzing, kills; the page is written anew.
soak: .venv/.installed-dev
	$(RUN) pytest -n auto --dist worksteal -m soak --soak-page=paper_notes/soak.md

# The README's training code and micro_batch_clipping.py with PyTorch, JAX and optax, in an environment
# of their own: on Linux the registry's PyTorch is the CUDA build, gigabytes, and brings CUDA libraries
# of other versions than ours. Where pip is set up to find a CPU build it takes that: 200 MB.
recipes: .venv/recipes/.installed
	.venv/recipes/bin/python -m pytest tests/micro_batch_clipping -m 'soak or not soak'

check: .venv/.installed-dev
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

format: .venv/.installed-dev
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

# The pictures shown by the README, refreshed on purpose only.
images: .venv/.installed
	$(RUN) figures sweet_spot --profile full
	cp figures/out/sweet_spot.png paper_notes/images/

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info < (3, 11) and sys.exit("Python 3.11 or newer is needed, found " + sys.version)'
	@echo "Setting up .venv with $$($(PYTHON) --version): about 650 MB, with the tools for tests 900 MB"
	$(PYTHON) -m venv .venv

INSTALL = @echo "Installing the versions of constraints.txt with $$($(RUN) pip --version | cut -d' ' -f1-2): a minute or two"; \
	$(RUN) pip install --quiet --disable-pip-version-check -c constraints.txt -e

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) .
	touch $@

.venv/.installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) '.[dev]'
	touch $@ .venv/.installed

.venv/.installed-bench: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) '.[bench]'
	touch $@ .venv/.installed

.venv/recipes/.installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing PyTorch, JAX and optax in .venv/recipes: minutes"
	$(PYTHON) -m venv .venv/recipes
	grep -v '^nvidia' constraints.txt > .venv/recipes/constraints.txt
	.venv/recipes/bin/python -m pip install --quiet --disable-pip-version-check \
		-c .venv/recipes/constraints.txt -e '.[recipes]'
	touch $@
