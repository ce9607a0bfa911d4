# SPDX-License-Identifier: BSD-3-Clause
# A thin front for meson and ninja. `make help` lists what there is.
BUILD ?= build
JOBS ?= $(shell nproc)
MESON_FLAGS ?=

.PHONY: all demo demo-shell check check-quick check-long check-debug-kernel bench fuzz install \
	clean help

all: $(BUILD)/build.ninja
	$(if $(MESON_FLAGS),meson configure $(MESON_FLAGS) $(BUILD))
	ninja -C $(BUILD) -j $(JOBS)

$(BUILD)/build.ninja:
	scripts/deps.sh build
	meson setup $(MESON_FLAGS) $(BUILD)

help:
	@echo "make              build into build/, the programs into build/bin/"
	@echo "make demo         the main job: VMs with managed disks and networks, made on host and inside"
	@echo "make demo-shell   a prompt in a VM that makes its own devices"
	@echo "make check        all tests, under 40 minutes; check-quick: under 2; check-long: more"
	@echo "make check-debug-kernel   the driver's tests in a kernel with lockdep, KASAN, kmemleak"
	@echo "make bench        figures next to peers, into build/bench.json"
	@echo "make fuzz         fuzzers, FUZZ_SECONDS each (default 60)"
	@echo "make install      DESTDIR and MESON_FLAGS=--prefix=... as usual"

demo: all
	scripts/deps.sh guest
	scripts/demo.sh

demo-shell: all
	scripts/deps.sh guest
	scripts/demo.sh --shell

check:
	scripts/check.sh all

check-quick:
	scripts/check.sh quick

check-long:
	scripts/check.sh long

# The kernel is built once (a quarter of an hour), and kept.
check-debug-kernel: all
	scripts/deps.sh test guest
	scripts/check-debug-kernel.sh

bench: all
	scripts/deps.sh bench guest
	bench/run.py

fuzz:
	scripts/fuzz.sh $(or $(FUZZ_SECONDS),60)

install: all
	meson install -C $(BUILD) --no-rebuild
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || ldconfig

clean:
	rm -rf $(BUILD)
