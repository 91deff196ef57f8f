# SPDX-License-Identifier: Apache-2.0
$(eval $(call unit_test,audit_log,selftests/unit/audit_log.c,audit base,-ljansson))
