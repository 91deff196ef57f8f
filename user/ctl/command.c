/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of commands: name, who may, how many descriptors. The daemon asks it before any handler
 * runs, so no handler can forget.
 */
#include <errno.h>
#include <string.h>

#include "ctl/ctl.h"

const struct ctl_command ctl_commands[CTL_CMD_MAX] = {
	[CTL_RUN] = {"run", CTL_ANY, 4, 5, "run a command in a new session"},
	[CTL_SUMMARY] = {"summary", CTL_OWNER, 0, 0, "what a session was denied, and why it ended"},
	[CTL_PS] = {"ps", CTL_ANY, 0, 0, "list sessions: the caller's own, for root all"},
	[CTL_KILL] = {"kill", CTL_OWNER, 0, 0, "end or signal a session"},
	[CTL_LOGS] = {"logs", CTL_OWNER, 0, 0, "the audit records of a session"},
	[CTL_AUDIT_TAIL] = {"audit-tail", CTL_ROOT, 0, 0,
			    "the newest audit records of all sessions"},
	[CTL_WHY] = {"why", CTL_OWNER, 0, 0, "what was denied, the rule, the alternative"},
	[CTL_POLICY_LOAD] = {"policy-load", CTL_OWNER, 0, 1, "give a live session another policy"},
	[CTL_UNLOCK] = {"unlock", CTL_ROOT, 0, 0, "record what is run as admin"},
	[CTL_DOCTOR] = {"doctor", CTL_ANY, 0, 0, "whether this machine can enforce"},
	[CTL_VERSION_CMD] = {"version", CTL_ANY, 0, 0, "the daemon's version"},
};

int ctl_command_find(const char *name)
{
	for (int i = 0; i < CTL_CMD_MAX; i++)
		if (!strcmp(ctl_commands[i].name, name))
			return i;
	return -ENOENT;
}
