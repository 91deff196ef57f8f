# SPDX-License-Identifier: Apache-2.0
$(eval $(call test_program,sql_bench,selftests/bench/sql_bench.c,sql base,-l:libpg_query.a -lpthread -lm))
