# SPDX-License-Identifier: Apache-2.0
# pinfold-gate. Everything of it is a library as well, for tests and the benchmark.
gate_LDLIBS := -l:libpg_query.a -luv -ljansson -lssl -lcrypto -lseccomp -lpthread -lm
$(eval $(call library,gate,user/gate))
$(eval $(call program,pinfold-gate,user/gate/main.c,gate sql base,$(gate_LDLIBS)))
