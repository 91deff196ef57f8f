# SPDX-License-Identifier: Apache-2.0
# The one generated file that does not depend on the compiler: every kernel type, for the BPF sources.

build/gen/vmlinux.h: tools/vmlinux-h.sh vmtest/kernel.sh
	tools/vmlinux-h.sh $@

# For the demonstration, and for tests in virtual machines.
build/pgdata.tar: tools/pgdata.sh
	@mkdir -p $(@D)
	tools/pgdata.sh /usr/lib/postgresql/15/bin $@
TEST_PROGRAMS += build/pgdata.tar
