# SPDX-License-Identifier: Apache-2.0
# Programs that classify link -l:libpg_query.a -lpthread -lm behind libpf_sql.a.
PG_SERVER_INCLUDE ?= /usr/include/postgresql/15/server
$(eval $(call library,sql,user/sql,-isystem $(PG_SERVER_INCLUDE)))
