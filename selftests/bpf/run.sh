#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tests of the BPF programs alone, as root in the VM. Closes with "N passed, N failed, N skipped".
cd "$(dirname "$0")/../.." || exit 1
exec build/gcc/test/bpf_slice
