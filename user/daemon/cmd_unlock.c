/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "unlock": that somebody becomes admin goes on record. He does so without us.
 */
#include <errno.h>
#include <string.h>

#include "daemon/conn.h"

void cmd_unlock(struct conn *c, const json_t *args)
{
	const char *command = json_string_value(json_object_get(args, "command"));

	if (!command) {
		conn_error(c, EBADMSG, "unlock: \"command\" is missing");
		return;
	}
	daemon_event(c->d, "unlock", "pid %d: %s", (int)c->pid, command);
	int r = audit_error(c->d->audit);

	if (r < 0)
		conn_error(c, -r, "the audit log cannot be written: %s", strerror(-r));
	else
		conn_reply(c, json_object(), false);
}
