# SPDX-License-Identifier: Apache-2.0
# Who links it adds -lyaml -lcrypto.
$(eval $(call library,policy,user/policy))
