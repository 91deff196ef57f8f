# SPDX-License-Identifier: Apache-2.0
$(eval $(call library,kern,user/kern))

# The skeleton is generated, so it has to be there before the first compilation; -MMD does the rest.
$(call objects,user/kern/open.c): | $(B)/gen/pinfold.skel.h
