# The verbs of this project; see CONTRIBUTING.md. ARGS are handed to the command: make demo ARGS="--workers 4"
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
# Newer than pyproject.toml and constraints.txt: then there is nothing to install.
INSTALLED := .venv/.installed
PYTEST_FLAGS ?= $(if $(CI),-p no:cacheprovider --durations=20)

# Made-up requests for each operation of the API in `make operations`.
EXAMPLES ?= 100

# In containers: the files that say how, and the name of all that belongs together. A setting is a variable, or a line of
# compose/.env, which compose reads too.
setting = $(or $($(1)),$(shell sed -n 's/^$(1)=//p' compose/.env 2>/dev/null))
TLS ?= $(call setting,LOSSLINE_TLS)
COMPOSE_FILES ?= compose/compose.yaml $(if $(TLS),compose/tls.yaml)
COMPOSE = docker compose $(addprefix --file ,$(COMPOSE_FILES))
PROJECT = $(or $(COMPOSE_PROJECT_NAME),lossline)
# On many hosts: what is laid over these files.
SWARM_FILES ?= compose/swarm.yaml

.PHONY: help demo test test-containers container-images check operations chaos images up down logs swarm-up swarm-down install clean constraints broker-package test-packages container-packages

help:
	@echo "make demo    run the example model from end to end and show its losses"
	@echo "make test    run all tests but those of containers"
	@echo "make test-containers  those, on a Docker Engine"
	@echo "make chaos   play random schedules of faults: SEED=1 RUNS=10"
	@echo "make images  build the images that make up starts"
	@echo "make check   ruff, mypy, import rules, generated documents"
	@echo "make operations  many more made-up requests to the API than make test sends"
	@echo "make up      build and start everything in containers (make down, make logs); TLS=1 encrypts"
	@echo "make swarm-up  start everything on the hosts of a Docker Swarm (make swarm-down)"
	@echo "make install install what the others need (they do it themselves)"
	@echo "make clean   remove what the others made in this folder"

demo: install
	$(BIN)/lossline demo $(ARGS)

images: NAMES = --name '$(call setting,LOSSLINE_LISTEN)' --name '$(call setting,LOSSLINE_TLS_NAMES)'
images:
	python3 compose/make_secrets.py $(LOSSLINE_SECRETS)
	$(if $(TLS),python3 compose/make_certificates.py $(LOSSLINE_SECRETS) $(NAMES))
	$(COMPOSE) --profile models build

up: images
	$(COMPOSE) up --detach --wait $(ARGS)
	@echo "Lossline is up: http$(if $(TLS),s)://$(or $(call setting,LOSSLINE_LISTEN),127.0.0.1):$(or $(call setting,LOSSLINE_PORT),8000)/"

# Workers are not compose's. Who started them goes first, or it would start them again. Data stay: volumes with names are kept.
down:
	$(COMPOSE) stop worker_controller
	docker ps --all --quiet --filter label=lossline.fleet=$(PROJECT) \
	  | xargs --no-run-if-empty docker stop -t 45 | xargs --no-run-if-empty docker rm --volumes
	nameless=$$(docker ps --all --no-trunc --filter label=com.docker.compose.project=$(PROJECT) --format '{{.Mounts}}' \
	    | tr , '\n' | grep --line-regexp --extended-regexp '[0-9a-f]{64}' || true) \
	  && $(COMPOSE) down --remove-orphans $(ARGS) \
	  && xargs --no-run-if-empty docker volume rm --force <<<"$$nameless" >/dev/null

# Images come from LOSSLINE_REGISTRY, or are on the hosts already.
swarm-up: export ALL_RUN = {split($$1, count, "/")} count[1] != count[2] && !/1\/1 completed/ {exit 1}
swarm-up:
	python3 compose/make_secrets.py $(LOSSLINE_SECRETS)
	docker compose $(addprefix --file ,$(COMPOSE_FILES) $(SWARM_FILES)) config --format json \
	  | python3 compose/stack.py \
	  | docker stack deploy --compose-file - $(if $(LOSSLINE_REGISTRY),,--resolve-image never) $(ARGS) $(PROJECT)
	@echo "Waiting until everything runs; meanwhile docker stack ps $(PROJECT) says what does not, and why"
	@until docker stack services --format '{{.Replicas}}' $(PROJECT) | awk "$$ALL_RUN"; do sleep 1; done
	@echo "Lossline is up: port $(or $(LOSSLINE_PORT),8000) of the hosts that docker service ps $(PROJECT)_api lists"

# Workers are not the stack's. Data stay, in volumes of their hosts.
swarm-down:
	docker service scale $(PROJECT)_worker_controller=0
	docker service ls --quiet --filter label=lossline.fleet=$(PROJECT) | xargs --no-run-if-empty docker service rm
	docker stack rm --detach=false $(ARGS) $(PROJECT)

logs:
	$(COMPOSE) logs --follow $(ARGS)

# Compiling the loss kernels takes minutes the first time; kept outside of the checkout, it is done once.
test: export NUMBA_CACHE_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/lossline/numba
test: $(INSTALLED) test-packages
	mkdir -p "$$NUMBA_CACHE_DIR"
	scripts/run-tests.sh $(BIN)/python $(PYTEST_FLAGS) -- $(ARGS)

# What make test-containers needs, before it and beside others, at the lowest priority; LOSSLINE_TEST_ENGINE names a folder for it.
container-images: $(INSTALLED) container-packages
	$(BIN)/python -m tests.compose.prepare $(ARGS)

# On a Docker Engine; where none answers and packages for one can be had, one is started for the tests.
test-containers: $(INSTALLED) test-packages container-packages
	$(BIN)/python -m pytest $(PYTEST_FLAGS) -m docker $(ARGS)

SEED ?= 1
RUNS ?= 10

chaos: $(INSTALLED) test-packages
	$(BIN)/python -m tests.faults.chaos --seed $(SEED) --runs $(RUNS) $(ARGS)

operations: $(INSTALLED)
	SCHEMATHESIS_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest $(PYTEST_FLAGS) tests/openapi $(ARGS)

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m docs.generate --check

install: broker-package $(INSTALLED)

# Without it Lossline looks for Docker, and says what to do where that does not answer either.
broker-package:
	@scripts/system-packages.sh rabbitmq-server || echo "Going on without an installed rabbitmq-server."

# The S3 server of the storage tests is a Ceph of their own.
test-packages:
	@scripts/system-packages.sh rabbitmq-server ceph-mon ceph-osd radosgw

# A second host is a network namespace; certificates are made by openssl.
container-packages:
	@scripts/system-packages.sh iproute2 openssl

$(INSTALLED): pyproject.toml constraints.txt scripts/make-venv.sh
	scripts/make-venv.sh .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev]'
	touch $@

# Freezes what is installed, after upgrading in .venv by hand and running the gates.
constraints:
	$(BIN)/python -m pip freeze --exclude-editable --exclude uv > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf .venv build dist ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
