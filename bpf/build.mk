# SPDX-License-Identifier: Apache-2.0
# The BPF objects, linked into one, and its skeleton. The objects do not depend on the compiler of the
# user side, so they are made once, in build/bpf, from build/gen/vmlinux.h.

BPF_CLANG ?= clang-14
BPF_NAMES := maps session file net exec ipc guard steer
# maps first: libbpf's linker resolves extern maps against definitions that it has already seen
BPF_OBJS := $(patsubst %,build/bpf/%.bpf.o,$(BPF_NAMES))
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -Wall -Werror -D__TARGET_ARCH_x86 -Ibuild/gen -Iinclude -Ibpf
BPF_SKEL := $(B)/gen/pinfold.skel.h
VMLINUX_H := build/gen/vmlinux.h

DEPS += $(BPF_OBJS:.o=.d)

build/bpf/%.bpf.o: bpf/%.bpf.c bpf/build.mk Makefile | $(VMLINUX_H)
	@mkdir -p $(@D)
	@echo "BPF $<"; $(BPF_CLANG) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

build/bpf/pinfold.o: $(BPF_OBJS)
	$(BPFTOOL) gen object $@ $(BPF_OBJS)

$(BPF_SKEL): build/bpf/pinfold.o
	@mkdir -p $(@D)
	$(BPFTOOL) gen skeleton $< name pinfold_bpf >$@.new
	mv $@.new $@

bpf: $(BPF_SKEL)
.PHONY: bpf
