# SPDX-License-Identifier: Apache-2.0
# pinfold-classify, which `pinfold classify` executes.
$(eval $(call library,classify,user/classify))
$(eval $(call program,pinfold-classify,user/classify/main.c,classify gate sql base,-l:libpg_query.a -luv -ljansson -lseccomp -lpthread -lm))
