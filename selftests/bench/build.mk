# SPDX-License-Identifier: Apache-2.0
$(eval $(call test_program,sql_bench,selftests/bench/sql_bench.c,sql base,-l:libpg_query.a -lpthread -lm))
$(eval $(call test_program,relay,selftests/bench/relay.c,base,))
$(eval $(call test_program,syscost,selftests/bench/syscost.c,,))
$(eval $(call test_program,emptylsm,selftests/bench/emptylsm.c,,-lbpf))

build/bpf/emptylsm.o: selftests/bench/emptylsm.bpf.c | $(VMLINUX_H)
	@mkdir -p $(@D)
	@echo "BPF $<"; $(BPF_CLANG) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/gen/emptylsm.skel.h: build/bpf/emptylsm.o
	@mkdir -p $(@D)
	$(BPFTOOL) gen skeleton $< name emptylsm_bpf >$@.new
	mv $@.new $@

$(call objects,selftests/bench/emptylsm.c): | $(B)/gen/emptylsm.skel.h
