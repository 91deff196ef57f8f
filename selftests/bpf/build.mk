# SPDX-License-Identifier: Apache-2.0
# A session made by hand on the programs alone, without pinfoldd. Runs in the VM (run.sh).
$(eval $(call test_program,bpf_slice,$(wildcard selftests/bpf/*.c),kern base,-lbpf -lelf -lz))
