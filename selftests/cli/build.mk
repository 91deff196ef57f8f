# SPDX-License-Identifier: Apache-2.0
$(eval $(call test_program,relay_peer,selftests/cli/relay_peer.c,ctl base,-ljansson))
