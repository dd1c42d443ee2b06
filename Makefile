# SyncRollout. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# uv resolves and locks the Python side; where it is missing it is put into a folder of the project's own.
UV := $(shell command -v uv 2>/dev/null || echo .cache/uv/bin/uv)
RUN := $(UV) run --frozen
FAULT ?=
CLUSTER ?=
PYTEST_ARGS ?=
export CLUSTER
# CPython 3.11 sometimes dies in pytest's rewriting of assertions where it may not write bytecode.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

.cache/uv/bin/uv:
	@echo "uv is not on PATH: putting it into .cache/uv"
	@python3 -m venv .cache/uv && .cache/uv/bin/pip install --quiet --disable-pip-version-check uv

.PHONY: setup
setup: $(filter .cache/uv/bin/uv,$(UV)) ## Python environment from the lock file
	@$(UV) sync --frozen --quiet

.PHONY: testbed
testbed: setup ## Build the real parts for tests and demo (first time: some minutes)
	@PYTHONPATH=tests $(RUN) python -m testbed.build --all

.PHONY: demo
demo: setup ## A five-phase migration of requests and work items on real parts, live; FAULT=errors|slow|crash|dataloss|nodata to break it
	@$(RUN) python -m demo $(if $(FAULT),--fault $(FAULT)) \
	  $(if $(filter command line,$(origin KUBECONFIG)),--kubeconfig $(KUBECONFIG))

.PHONY: lint
lint: setup ## Format, lint, types, import contracts
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy
	@$(RUN) lint-imports --no-cache

.PHONY: generated
generated: setup ## Check that generated files are what their sources say
	@$(RUN) python -m syncrollout.api.crd --check
	@$(RUN) python -m syncrollout.runtime.settings --markdown --check
	@$(RUN) python -m syncrollout.act.routers.page --check
	@$(RUN) python -m syncrollout.runtime.metrics_page --check
	@$(RUN) python -m syncrollout.monitoring.fleet --check
	@for file in drills operator; do cmp manifests/prometheus/$$file.yaml charts/syncrollout/rules/$$file.yaml || exit 1; done
	@$(RUN) python -m syncrollout.cli.reference_page --check
	@$(RUN) python -m syncrollout.argocd --check
	@$(RUN) python -m install --check

.PHONY: generate
generate: setup ## Write generated files anew
	@$(RUN) python -m syncrollout.api.crd
	@$(RUN) python -m syncrollout.runtime.settings --markdown --write
	@$(RUN) python -m syncrollout.act.routers.page --write
	@$(RUN) python -m syncrollout.runtime.metrics_page --write
	@$(RUN) python -m syncrollout.monitoring.fleet --write
	@cp manifests/prometheus/drills.yaml manifests/prometheus/operator.yaml charts/syncrollout/rules/
	@$(RUN) python -m syncrollout.cli.reference_page --write
	@$(RUN) python -m syncrollout.argocd --write
	@$(RUN) python -m install --write

.PHONY: unit
unit: setup ## Tests that need no real part
	@$(RUN) pytest -m "not cluster and not dataplane" $(PYTEST_ARGS)

.PHONY: audit
audit: setup ## What is installed and built is what was locked, asked for, used and licensed; ADVISORIES=FILE (OSV, JSON or zip) to look versions up
	@UV=$(UV) $(RUN) python -m release.audit $(if $(ADVISORIES),--advisories $(ADVISORIES))

.PHONY: licences
licences: setup ## The licence of every dependency, by extra; MATERIALS=FILE for those of an image, by its bill of materials
	@$(RUN) --group dist python -m release.licences $(if $(MATERIALS),--materials $(MATERIALS))

.PHONY: release
release: setup ## VERSION=X.Y.Z: write it wherever it stands, and close the changelog's Unreleased
	@$(RUN) python -m release.version $(if $(VERSION),--set $(VERSION))
	@$(UV) sync --frozen --quiet

.PHONY: test
test: lint generated audit testbed ## Everything, on real parts; CLUSTER=kind to use kind
	@PYTHONPATH=tests $(RUN) python -m testbed.suite $(PYTEST_ARGS)

.PHONY: fuzz
fuzz: setup ## Look for input that breaks something, SECONDS=60 at each target; TARGET=name for one, KEEP=1 to keep inputs
	@PYTHONPATH=tests:. $(RUN) python -m fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(if $(KEEP),--keep) $(TARGET)

.PHONY: bench
bench: testbed ## Figures beside the recorded peers'; writes docs/benchmarks.md
	@PYTHONPATH=tests:. $(RUN) python -m bench

.PHONY: soak
soak: testbed ## Five weeks in compressed time with faults, judged at the end; MINUTES=45 SEED=1; writes docs/endurance.md
	@PYTHONPATH=tests:.:operator $(RUN) python -m soak --minutes $(or $(MINUTES),45) --seed $(or $(SEED),1)

.PHONY: realnode
realnode: testbed ## The operator in its own pods on a real kubelet: tests, the image's figures, the flagship; needs root
	@$(RUN) pytest tests/realnode $(PYTEST_ARGS)
	@PYTHONPATH=tests:. $(RUN) python -m bench image flagship

.PHONY: image
image: setup ## The operator's image without a container engine: dist/*.tar (OCI) and its bill of materials
	@UV=$(UV) $(RUN) python -m image

.PHONY: dist
dist: setup ## sdist and wheel in dist/, the same bytes whoever builds them, checked; what each extra weighs
	@UV=$(UV) $(RUN) --group dist python -m release.distributions

.PHONY: screenshots
screenshots: setup ## The pictures of docs/ui.md, taken anew; needs Chromium
	@PYTHONPATH=operator:tests:. $(RUN) python -m ui.screenshots

.PHONY: clean
clean: ## Remove what was built, the testbed's cache included
	@rm -rf .venv .cache dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
