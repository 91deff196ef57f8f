/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold policy check: parse a policy here, with nobody's help, and say where it is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "cli/cli.h"

static int read_policy(const char *path, char **ret, size_t *ret_len)
{
	if (!strcmp(path, "-"))
		return fd_read_file(STDIN_FILENO, POLICY_TEXT_MAX, ret, ret_len);
	return file_read(AT_FDCWD, path, POLICY_TEXT_MAX, ret, ret_len);
}

static int report_error(const char *path, const struct policy_err *e, bool json)
{
	struct ctl_reply_error told = {
		.message = e->text, .file = path, .line = e->line, .column = e->column};

	if (!json) {
		(void)cli_fail_reply(&told);
		return CLI_FAILURE;
	}
	json_t *all = json_pack("{s:b, s:s, s:i, s:i, s:s}", "valid", 0, "file", path, "line",
				(int)e->line, "column", (int)e->column, "message", e->text);

	if (!all)
		return cli_fail("out of memory");
	(void)cli_print_json(all); /* the status is a failure anyway */
	(void)cli_finish();
	json_decref(all);
	return CLI_FAILURE;
}

static int report_ok(const char *path, const struct policy *p, const char *hash, bool json)
{
	struct policy_err e;
	bool root_only = policy_check_untrusted(p, &e) < 0;

	if (!json) {
		printf("%s: policy \"%s\" is valid: %zu databases, %zu writable trees, "
		       "unattended: %s%s\n",
		       path, p->name.text, p->n_dbs, p->write.n,
		       policy_unattended_name(p->unattended),
		       root_only ? "; only a file in /etc/pinfold/policies.d may say this" : "");
		return cli_finish();
	}
	json_t *all =
		json_pack("{s:b, s:s, s:s, s:I, s:b, s:s, s:s}", "valid", 1, "file", path, "name",
			  p->name.text, "databases", (json_int_t)p->n_dbs, "root_only", root_only,
			  "sha256", hash, "unattended", policy_unattended_name(p->unattended));
	int r = all ? cli_print_json(all) : cli_fail("out of memory");

	json_decref(all);
	return r ? r : cli_finish();
}

static int check(const char *path, bool json)
{
	__cleanup_free char *text = NULL;
	__cleanup_policy struct policy *p = NULL;
	uint8_t hash[POLICY_HASH_LEN];
	char digits[2 * POLICY_HASH_LEN + 1];
	struct policy_err e;
	size_t len;
	int r = read_policy(path, &text, &len);

	if (r == 0)
		r = policy_hash(text, len, hash);
	if (r == -EFBIG)
		return cli_fail("%s: a policy has at most %u bytes", path, POLICY_TEXT_MAX);
	if (r < 0)
		return cli_fail("%s: %s", path, strerrordesc_np(-r));
	if (policy_parse(text, len, &p, &e) < 0)
		return report_error(path, &e, json);
	return report_ok(path, p, text_hex(digits, hash, sizeof(hash)), json);
}

int cmd_policy_check(struct cli_args *args)
{
	bool json;
	int r = cli_json_only(args, &json);

	if (r < 0)
		return cli_next_exit(r);
	const char *path = cli_operand(args, "file");

	return path ? check(path, json) : CLI_USAGE;
}
