# SPDX-License-Identifier: Apache-2.0
# libFuzzer targets, with sanitizers: build/fuzz/NAME, run by hand or by make soak as
#   build/fuzz/NAME -max_total_time=120 DIR selftests/fuzz/corpus/NAME
# New findings go to DIR (the first folder), so it should not be the one in git.
FUZZ_FLAGS := -fsanitize=fuzzer$(comma)address$(comma)undefined -fno-sanitize-recover=all
FUZZ_TARGETS += build/fuzz/sql_postgres

build/fuzz/sql_postgres: selftests/fuzz/sql_postgres_fuzz.c $(wildcard user/sql/*.[ch]) user/base/text.c
	@mkdir -p $(@D)
	$(CLANG) $(CPPFLAGS) -isystem $(PG_SERVER_INCLUDE) -std=gnu11 -O1 -g $(WARN) $(FUZZ_FLAGS) \
		-o $@ $(filter %.c,$^) -l:libpg_query.a -lpthread -lm

FUZZ_TARGETS += build/fuzz/policy

build/fuzz/policy: selftests/fuzz/policy_fuzz.c $(wildcard user/policy/*.[ch] user/base/*.[ch])
	@mkdir -p $(@D)
	$(CLANG) $(CPPFLAGS) -std=gnu11 -O1 -g $(WARN) $(FUZZ_FLAGS) -o $@ $(filter %.c,$^) -lyaml -lcrypto

FUZZ_TARGETS += build/fuzz/gate_wire
build/fuzz/gate_wire: selftests/fuzz/gate_wire_fuzz.c user/gate/pgread.c user/gate/pgwrite.c user/base/buf.c
	@mkdir -p $(@D)
	$(CLANG) $(CPPFLAGS) -std=gnu11 -O1 -g $(WARN) $(FUZZ_FLAGS) -o $@ $^

fuzz: $(FUZZ_TARGETS)
.PHONY: fuzz
