# SPDX-License-Identifier: Apache-2.0
DAEMON_SRC := $(sort $(wildcard user/daemon/*.c))
$(eval $(call program,pinfoldd,$(DAEMON_SRC),audit session ctl policy kern base,-luv -ljansson -lyaml -lcrypto -lbpf))
