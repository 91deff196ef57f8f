# SPDX-License-Identifier: Apache-2.0
$(eval $(call program,pinfold,$(sort $(wildcard user/cli/*.c)),ctl policy base,-ljansson -lyaml -lcrypto))
