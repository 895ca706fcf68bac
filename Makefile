# SPDX-License-Identifier: MIT
# A thin front for Meson: each target does what it needs, from a fresh checkout on.
#
#   make demo      build, and run examples/p2p under `uiommufd run`
#   make check     build, and run all tests
#   make conformance  build, and run the kernel's own selftests
#   make asan      all but the slow tests under AddressSanitizer and UBSan
#   make tsan      the same under ThreadSanitizer
#   make fuzz      look for inputs that break something, FUZZ_SECONDS (60) a target
#   make bench     build for speed, and run the benchmarks
#   make install   build for speed, and install to $(DESTDIR)$(PREFIX)
#
# Build folders: build, build-asan, build-tsan, build-fuzz, build-release. MESON_FLAGS are added when
# one is made, TEST_FLAGS to `meson test`.

BUILD ?= build
PREFIX ?= /usr/local
MESON_FLAGS ?=
TEST_FLAGS ?= --print-errorlogs
NINJA_FLAGS ?=
# Too slow under a sanitizer, or with a program in it that has its own.
NOT_SANITIZED = --no-suite slow --no-suite qemu

# make a build folder (once) and build: $(call build,FOLDER,FLAGS)
define build
	@test -e $(1)/build.ninja || meson setup $(1) $(2) $(MESON_FLAGS)
	@ninja -C $(1) $(NINJA_FLAGS)
endef

release = $(call build,$(BUILD)-release,--buildtype=release -Dtests=false)

.PHONY: all setup demo check conformance asan tsan fuzz bench install clean

all: setup
	$(call build,$(BUILD))

setup:
	@scripts/setup

# As any user: in many containers one may lock 64 KiB only.
demo: all
	$(BUILD)/host/uiommufd run --extension unlimited-memlock -- $(BUILD)/examples/p2p

# The garbage clients go on for a minute here; by themselves, for some seconds.
check: all
	GARBAGE_SECONDS=$${GARBAGE_SECONDS:-60} \
	meson test -C $(BUILD) --no-rebuild $(TEST_FLAGS)

conformance: all
	meson test -C $(BUILD) --no-rebuild --suite conformance --verbose $(TEST_FLAGS)

asan: setup
	$(call build,$(BUILD)-asan,-Db_sanitize=address$(comma)undefined)
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	meson test -C $(BUILD)-asan --no-rebuild -t 3 $(NOT_SANITIZED) $(TEST_FLAGS)

# The sanitizer's shadow does not fit beside a highly randomised address space.
tsan: setup
	$(call build,$(BUILD)-tsan,-Db_sanitize=thread)
	TSAN_OPTIONS=halt_on_error=1 $$(setarch -R true 2>/dev/null && echo setarch -R) \
	meson test -C $(BUILD)-tsan --no-rebuild -t 3 $(NOT_SANITIZED) $(TEST_FLAGS)

fuzz:
	@scripts/setup --ci
	@test -e $(BUILD)-fuzz/build.ninja || CC=clang meson setup $(BUILD)-fuzz \
		-Dfuzz=true -Dtests=false -Db_sanitize=address$(comma)undefined $(MESON_FLAGS)
	@ninja -C $(BUILD)-fuzz $(NINJA_FLAGS)
	meson test -C $(BUILD)-fuzz --no-rebuild --suite fuzz $(TEST_FLAGS)

bench: setup
	$(call release)
	@for b in $(BUILD)-release/bench/bench_*; do \
		[ -d "$$b" ] || "$$b" $(BENCH_FLAGS) || exit 1; \
	done

# The folder may have been made for another prefix. Programs find a new library by
# ldconfig only, where it is not in the linker's own folders.
install: setup
	$(call release)
	@meson configure $(BUILD)-release --prefix=$(PREFIX) -Ddefault_library=both
	@ninja -C $(BUILD)-release $(NINJA_FLAGS)
	meson install -C $(BUILD)-release --no-rebuild $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))
	@$(if $(DESTDIR),,ldconfig || true)

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-fuzz $(BUILD)-release

comma := ,
