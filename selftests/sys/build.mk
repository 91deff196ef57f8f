# SPDX-License-Identifier: Apache-2.0
# The attacker of the system tests, and the launcher that puts a session's label on a process that
# keeps its capabilities. `make install` leaves both out.
$(eval $(call test_program,attempt,$(filter-out selftests/sys/labelled.c selftests/sys/preload.c,$(wildcard selftests/sys/*.c)),,-lpthread))
$(eval $(call test_program,labelled,selftests/sys/labelled.c selftests/sys/beside.c))
# Loaded into other programs, so neither a program nor sanitized.
$(B)/test/preload.so: selftests/sys/preload.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -std=gnu11 -O2 $(WARN) -fPIC -shared -o $@ $<
TEST_PROGRAMS += $(B)/test/preload.so
