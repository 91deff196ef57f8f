#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every header of the user side compiles alone, and the contract compiles alone with both compilers.
# usage: check-headers.sh GEN_DIR  (the folder with generated headers)
set -u
cd "$(dirname "$0")/.." || exit 1
gen=$1
bad=0
pg=/usr/include/postgresql/15/server
for h in $(git ls-files -co --exclude-standard -- 'user/*.h'); do
	[ -f "$h" ] || continue
	gcc -std=gnu11 -D_GNU_SOURCE -Iinclude -Iuser -I"$gen" -isystem "$pg" -Wall -Wextra -Werror \
		-Wno-unused -fsyntax-only -include "$h" -x c /dev/null || bad=1
done
for h in include/pinfold/*.h; do
	name=pinfold/$(basename "$h")
	printf '#include <linux/types.h>\n#include <%s>\n' "$name" |
		gcc -std=gnu11 -Iinclude -Wall -Wextra -Werror -fsyntax-only -x c - || bad=1
	printf '#include <linux/types.h>\n#include <%s>\n' "$name" |
		clang -target bpf -I/usr/include/x86_64-linux-gnu -Iinclude -Wall -Wextra -Werror -fsyntax-only -x c - || bad=1
done
exit $bad
