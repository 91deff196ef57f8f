# SPDX-License-Identifier: Apache-2.0
# One make graph. Each folder has a build.mk that says what it makes; all output goes to build/.
#
#   make            everything that is installed
#   make check      every test, as CI runs it          make demo    the demonstration
#   make unit       tests that need no root            make lint    format, layers, lengths, headers
#   make SAN=1 ...  with address and undefined-behaviour sanitizers
#   make CC=clang ...

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.SECONDEXPANSION:
.DEFAULT_GOAL := all

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PREFIX ?= /usr/local
DESTDIR ?=
LIBEXECDIR := $(PREFIX)/libexec/pinfold

VERSION := 0.1.0

B := build/$(notdir $(CC))$(if $(SAN),-san)

comma := ,
SAN_FLAGS := $(if $(SAN),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla
CPPFLAGS := -D_GNU_SOURCE -Iinclude -Iuser -I$(B)/gen -DPF_VERSION='"$(VERSION)"' \
	-DPF_LIBEXECDIR='"$(LIBEXECDIR)"'
CFLAGS := -std=gnu11 -O2 -g -fPIE -fstack-protector-strong $(if $(SAN),,-D_FORTIFY_SOURCE=2) $(WARN) $(SAN_FLAGS)
LDFLAGS := -pie -Wl,-z,relro,-z,now $(SAN_FLAGS)

ALL :=
TEST_PROGRAMS :=
UNIT_TESTS :=
GENERATED :=
DEPS :=

# $(call objects,SOURCES): their objects
objects = $(patsubst %.c,$(B)/obj/%.o,$(1))

# $(eval $(call library,NAME,DIR[,CFLAGS])): build/.../libpf_NAME.a of every .c file in DIR
define library
$(1)_SRC := $$(sort $$(wildcard $(2)/*.c))
$$(call objects,$$($(1)_SRC)): EXTRA_CFLAGS := $(3)
DEPS += $$(patsubst %.o,%.d,$$(call objects,$$($(1)_SRC)))
$(B)/lib/libpf_$(1).a: $$(call objects,$$($(1)_SRC))
endef

# $(eval $(call program,NAME,SOURCES,LIBRARIES,LDLIBS[,CFLAGS])): build/.../bin/NAME; part of all.
define program
$(1)_SRC := $(2)
$$(call objects,$$($(1)_SRC)): EXTRA_CFLAGS := $(5)
DEPS += $$(patsubst %.o,%.d,$$(call objects,$$($(1)_SRC)))
$(B)/bin/$(1): EXTRA_LDLIBS := $(4)
$(B)/bin/$(1): $$(call objects,$$($(1)_SRC)) $$(patsubst %,$(B)/lib/libpf_%.a,$(3))
ALL += $(B)/bin/$(1)
endef

# $(eval $(call test_program,NAME,SOURCES,LIBRARIES,LDLIBS[,CFLAGS])): build/.../test/NAME
define test_program
$(1)_SRC := $(2)
$$(call objects,$$($(1)_SRC)): EXTRA_CFLAGS := $(5)
DEPS += $$(patsubst %.o,%.d,$$(call objects,$$($(1)_SRC)))
$(B)/test/$(1): EXTRA_LDLIBS := $(4)
$(B)/test/$(1): $$(call objects,$$($(1)_SRC)) $$(patsubst %,$(B)/lib/libpf_%.a,$(3))
TEST_PROGRAMS += $(B)/test/$(1)
endef

# $(eval $(call unit_test,NAME,SOURCES,LIBRARIES,LDLIBS[,CFLAGS])): a cmocka test run by make unit
define unit_test
$(call test_program,$(1),$(2),$(3),$(4) -lcmocka,$(5))
UNIT_TESTS += $(B)/test/$(1)
endef

include $(sort $(wildcard bpf/build.mk user/*/build.mk selftests/*/build.mk vmtest/build.mk tools/build.mk demo/build.mk))

all: $(ALL)

$(B)/obj/%.o: %.c $(filter-out %.d,$(MAKEFILE_LIST))
	@mkdir -p $(@D)
	@echo "CC $<"; $(CC) $(CPPFLAGS) $(CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/lib/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $^

$(B)/bin/% $(B)/test/%:
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(EXTRA_LDLIBS)

tests: $(TEST_PROGRAMS)

unit: $(UNIT_TESTS)
	tools/run-unit.sh $(UNIT_TESTS)

lint: $(GENERATED) $(B)/bin/pinfold
	tools/lint.sh $(B)/gen $(B)/bin/pinfold

install: all
	tools/install.sh install "$(DESTDIR)" "$(PREFIX)" $(B)/bin

uninstall:
	tools/install.sh uninstall "$(DESTDIR)" "$(PREFIX)" $(B)/bin

deps:
	tools/deps.sh

# The two commands of the README; each installs what it needs first.
check:
	tools/deps.sh
	tools/check.sh

demo:
	tools/deps.sh
	demo/run.sh

clean:
	rm -rf $(B)

.PHONY: all tests unit lint install uninstall deps check demo clean
-include $(sort $(DEPS))
