# SPDX-License-Identifier: Apache-2.0
INIT_SRC := $(addprefix user/init/,main.c setup.c msg.c mounts.c files.c marks.c bounded.c homes.c priv.c pty.c child.c serve.c hold.c marker.c \
	filter.c filter_table.c)
$(eval $(call program,pinfold-init,$(INIT_SRC),base,-ljansson -lseccomp -lcap))
$(eval $(call program,pinfold-probe,user/init/probe.c user/init/probe_acts.c,base,))
# What builds a session and judges it loads no code at run time: no preloads, no library path. The sanitizers
# cannot be linked so.
$(if $(SAN),,$(eval $(B)/bin/pinfold-init $(B)/bin/pinfold-probe: LDFLAGS := $(filter-out -pie,$(LDFLAGS)) -static-pie))
