# make demo          set-up, then one run: a GRU learns to count, its count is aligned by DAS and by LAF
# make test          set-up, then style, types and tests (this is what continuous integration runs)
# make replication   runs, or goes on with, every run of docs/replication.md (hours; it may be stopped), then writes the page
# make docs          set-up, then the site, in site/: open site/index.html (its pictures: python -m website.figures; its
#                    notebooks: python -m website.notebooks --write)
# make faults        what is done to numsym on purpose: kills, damage, wrong values (hours; its table: docs/reliability.md)
# make bench         the benchmarks, whose tables stand in docs/performance.md
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.numsym-installed

.PHONY: demo test docs bench replication faults setup clean
setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

demo: setup
	$(BIN)/numsym

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

bench: setup
	$(BIN)/python -m benchmarks

faults: setup
	OMP_NUM_THREADS=1 $(BIN)/python tests/faults/campaign.py

# A run that fails is a row of the table, and the next start tries it again; so the sweep's own exit status is no matter.
replication: setup
	-OMP_NUM_THREADS=1 $(BIN)/numsym experiment=replicate
	-OMP_NUM_THREADS=1 $(BIN)/numsym experiment=replicate_transformers
	-OMP_NUM_THREADS=1 $(BIN)/numsym -m experiment=over_training tasks=multi_object,single_object seed=0,1,2 \
	  interventions=[laf] variable=[count,phase] tasks.model.hidden_size=20 hydra.sweep.dir=runs/analyses \
	  'hydra.sweep.subdir=over_training/$${tasks.name}/seed_$${seed}'
	$(BIN)/numsym experiment=replication "experiment.runs=[runs/replication,runs/analyses]" experiment.document=docs/replication.md

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
