# SPDX-License-Identifier: Apache-2.0
# Who links it adds -ljansson.
$(eval $(call library,ctl,user/ctl))
