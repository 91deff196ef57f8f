# SPDX-License-Identifier: Apache-2.0
$(eval $(call unit_test,audit_log,selftests/unit/audit_log.c,audit base,-ljansson))
$(eval $(call unit_test,sql_postgres,selftests/unit/sql_postgres.c,sql base,-l:libpg_query.a -lpthread -lm))
$(eval $(call unit_test,sql_postgres_clients,selftests/unit/sql_postgres_clients.c,sql base,-l:libpg_query.a -lpthread -lm))
$(eval $(call unit_test,sql_lexer,selftests/unit/sql_lexer.c,sql base,-lm))
$(eval $(call unit_test,base_lib,selftests/unit/base_lib.c,base))
$(eval $(call unit_test,ctl_message,selftests/unit/ctl_message.c,ctl base,-ljansson))
$(eval $(call unit_test,policy_parse,selftests/unit/policy_parse.c,policy base,-lyaml -lcrypto))
$(eval $(call unit_test,policy_rules,selftests/unit/policy_rules.c,policy base,-lyaml -lcrypto))
