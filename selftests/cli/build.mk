# SPDX-License-Identifier: Apache-2.0
$(eval $(call test_program,relay_peer,selftests/cli/relay_peer.c,ctl base,-ljansson))

# The program without a daemon, and the relay of "run" with a peer that confines nothing.
cli-tests: $(B)/bin/pinfold $(B)/bin/pinfold-classify $(B)/test/relay_peer
	python3 selftests/cli/run.py $(B)/bin/pinfold $(B)/test/relay_peer
.PHONY: cli-tests
