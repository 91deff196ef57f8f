# SPDX-License-Identifier: Apache-2.0
# The one generated file that does not depend on the compiler: every kernel type, for the BPF sources.

build/gen/vmlinux.h: tools/vmlinux-h.sh vmtest/kernel.sh
	tools/vmlinux-h.sh $@
