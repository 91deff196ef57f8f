# SPDX-License-Identifier: Apache-2.0
$(eval $(call program,pinfold,$(sort $(wildcard user/cli/*.c)),session kern ctl policy base,-ljansson -lyaml -lcrypto -lbpf))
