# The two main commands are make demo and make test; they install what they need. make test-hardware
# tests firmware, camera, pins and drawings in a Debian 13 chroot.

PYTHON ?= /usr/bin/python3
VENV ?= .venv
BIN = $(VENV)/bin
SECONDS ?=
MUTANTS ?= 1000000
MINUTES ?= 10
HOURS ?= 1
FRAMES ?= 100000
DEMOS ?= 20
CAMERA ?=
PHOTOS ?=
PUBLISH ?=
VERSION ?=
# One more than the cores: tests wait half of their time, for a relay, a broker, a cable.
WORKERS ?= $(shell expr $$(nproc) + 1)

# The tests of a file stay in one process, because some depend on the one before; tests/conftest.py
# puts the longest files first.
SHARED_OUT = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
QUICK = not system and not slow and not hardware

.PHONY: always demo test test-quick coverage test-hardware check hooks firmware bench bench-sight drawings circuit enclosure fuzz soak soak-osdp pictures lock release clean

demo: $(VENV)/ready .cache/apt-demo
	$(BIN)/python -m tests.demo $(if $(SECONDS),--seconds='$(SECONDS)') $(if $(CAMERA),--camera='$(CAMERA)')

test: $(VENV)/ready .cache/apt-demo .cache/apt-test .cache/apt-drawings .cache/micropython
	$(BIN)/python -m pytest $(SHARED_OUT) -m "not hardware"

# Tests without real processes, each faster than a second: run them after every change.
test-quick: $(VENV)/ready .cache/apt-demo
	$(BIN)/python -m pytest $(SHARED_OUT) -q -m "$(QUICK)"

# The lines that the quick tests run, by folder; fails below the floor in pyproject.toml.
coverage: $(VENV)/ready .cache/apt-demo
	$(BIN)/python -m pytest $(SHARED_OUT) -q -m "$(QUICK)" --cov --cov-report= --cov-fail-under=0
	$(BIN)/python .ci/coverage_rooms.py

test-hardware: .cache/hardware-possible $(VENV)/ready .cache/hardware
	$(BIN)/python -m pytest -m hardware

# What test-hardware needs, one line for each part.
.cache/hardware: .cache/trixie-micropython
.cache/hardware: .cache/camera/preload.so
.cache/hardware: .cache/trixie-firmware
.cache/hardware: .cache/trixie-kicad .cache/apt-circuit .cache/apt-enclosure
.cache/hardware: .cache/raspi3b
.cache/hardware: always
	@touch $@

check: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy .ci/*.py
	VENV=$(VENV) .ci/firmware-types

# Check format, lint, types and the subject line at each commit: .pre-commit-config.yaml.
hooks: $(VENV)/ready
	$(BIN)/pre-commit install

# The images for a Pico and a Pico 2, in build/firmware.
firmware: $(VENV)/ready
	@VENV=$(VENV) .ci/firmware

bench: $(VENV)/ready .cache/apt-demo
	$(BIN)/python -m tests.bench

# PHOTOS is a folder with truth.json: tests/bench/sight/README.md. Fails if a limit is missed.
# PUBLISH=1 writes the measurements into tests/bench/README.md.
bench-sight: $(VENV)/ready .cache/apt-demo
	@mkdir -p .cache/bench-sight
	$(BIN)/python -m tests.bench.sight $(if $(PHOTOS),--photos $(PHOTOS)) --plots .cache/bench-sight \
	  --json .cache/bench-sight/figures.json $(if $(PUBLISH),--publish)

# The board's schematic, pages and simulation; the housing's parts and picture.
circuit: $(VENV)/ready .cache/trixie-kicad .cache/apt-circuit
	$(BIN)/python -m hardware.circuit

enclosure: $(VENV)/ready .cache/apt-enclosure
	$(BIN)/python -m hardware.enclosure

# MUTANTS mutations of valid codes, then MINUTES minutes of atheris; findings are in .cache/fuzz.
fuzz: $(VENV)/ready
	$(BIN)/python -m tests.fuzz --mutants $(MUTANTS) --minutes $(MINUTES)

# FRAMES frames through the decoder's process; fails if its memory grows by more than 5 MiB. Then the
# demo DEMOS times, next to two busy loops; fails if a run reports a wrong door.
soak: $(VENV)/ready .cache/apt-demo
	nice $(BIN)/python -m tests.soak --frames $(FRAMES)
	nice $(BIN)/python -m tests.demo.soak --runs $(DEMOS)

# HOURS hours of polling in real time, libosdp against the controller's firmware; fails if the session drops.
soak-osdp: $(VENV)/ready .cache/trixie-micropython
	$(BIN)/python -m tests.firmware.pty.soak --hours $(HOURS)

pictures: $(VENV)/ready .cache/apt-demo .cache/apt-test
	@mkdir -p .cache/pictures
	MENSHEN_PICTURES=.cache/pictures $(BIN)/python -m pytest -q tests/server_stub/operating/test_pages.py tests/server_stub/wallet/test_wallet.py \
	  tests/edge/look/test_page.py
	cp .cache/pictures/operators.png server_stub/operating/
	cp .cache/pictures/wallet.png server_stub/wallet/
	cp .cache/pictures/look.png edge/look/
	$(BIN)/python -m tests.demo.recording .cache/pictures/door.webp
	cp .cache/pictures/door.webp tests/demo/

# The files made from hardware/pins.toml and mounting.toml: wiring drawings, mounting, firmware/pins.py.
drawings: $(VENV)/ready .cache/apt-drawings
	$(BIN)/python -m hardware.drawings

lock: $(VENV)/ready
	$(BIN)/pip-compile --quiet --allow-unsafe --strip-extras --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --extra unit --extra provisioning --extra server --extra demo --extra osdp --extra webcam --extra dev \
	  --output-file requirements.lock pyproject.toml

# Set the version and BUILT_S, date the changes, commit, tag: CONTRIBUTING.md, Release.
release:
	@$(PYTHON) .ci/release.py $(VERSION)

clean:
	rm -rf $(VENV) .cache .demo build

# Debian packages, with apt as root or through sudo; one sentence if neither works.
.cache/apt-%: .ci/apt-%
	@mkdir -p .cache
	@.ci/apt $<
	@touch $@

# Print what test-hardware needs, before any download; exit 2 if this machine cannot run it.
.cache/hardware-possible: always
	@mkdir -p .cache
	@.ci/hardware-possible
	@touch $@

# Packages in the Debian 13 of ~/.cache/menshen. Checked each time, which is quick, because other clones
# share that folder. The target names the folder; its time is that of the last change.
.cache/trixie-%: .ci/trixie-% .cache/hardware-possible always
	@.ci/trixie $* >$@.new
	@if cmp -s $@.new $@ && [ $@ -nt $< ]; then rm $@.new; else mv $@.new $@; fi

.cache/camera/preload.so: .ci/camera requirements.lock tests/hardware/camera/wheels.lock \
    tests/hardware/camera/heap.c tests/hardware/camera/metadata.c pyproject.toml | .cache/trixie-camera $(VENV)/ready
	@.ci/step camera "Wheels for the camera's proof, and its preloaded library (a few seconds)" .ci/camera $(BIN)/python

# A Pi 3B for QEMU: a link to its folder. Checked each time, which is quick.
.cache/raspi3b: .cache/trixie-qemu $(VENV)/ready always
	@.ci/raspi3b >/dev/null

.cache/micropython: .ci/micropython .ci/micropython-version
	@command -v npm >/dev/null || .ci/apt .ci/apt-npm
	@.ci/step micropython "MicroPython's interpreter for Node (a few seconds)" .ci/micropython
	@touch $@

$(VENV)/ready: requirements.lock pyproject.toml .cache/apt-python
	@.ci/step python "Python packages into $(VENV) (half a minute)" .ci/python $(VENV) $(PYTHON)
	@touch $@
