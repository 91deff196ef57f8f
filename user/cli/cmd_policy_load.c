/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold policy load: give a live session another policy.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

const struct cli_option cli_policy_load_options[] = {
	{"policy", 'p', "NAME|FILE", "what is to be allowed; FILE has a slash in it"},
	CLI_JSON_OPTION,
	{NULL, 0, NULL, NULL},
};

static int report(const json_t *reply, bool json)
{
	if (json) {
		int r = cli_print_json(reply);

		return r ? r : cli_finish();
	}
	printf("session %s: policy \"", ctl_str(reply, "session"));
	cli_print_text(ctl_str(reply, "policy"), 64);
	printf("\" is in force\n");
	return cli_finish();
}

static int load(const char *session, const char *policy, bool json)
{
	bool ok;
	__cleanup_fd int text = cli_open_policy(policy, &ok);

	if (!ok)
		return CLI_FAILURE;
	json_t *args = json_pack("{s:s, s:s}", "session", session,
				 text >= 0 ? "policy_file" : "policy", policy);

	if (!args)
		return cli_fail("\"%s\" names no session, or \"%s\" no policy", session, policy);
	json_t *reply = cli_request_with(CTL_POLICY_LOAD, args, text);
	int r = reply ? report(reply, json) : CLI_FAILURE;

	json_decref(reply);
	return r;
}

int cmd_policy_load(struct cli_args *args)
{
	const char *policy = NULL;
	bool json = false;
	int r;

	while ((r = cli_next(args)) > 0) {
		if (r == CLI_OPT_JSON)
			json = true;
		else
			policy = args->value;
	}
	if (r < 0)
		return cli_next_exit(r);
	const char *session = cli_operand(args, "session");

	if (!session)
		return CLI_USAGE;
	return policy ? load(session, policy, json) : cli_usage(args, "which policy?");
}
