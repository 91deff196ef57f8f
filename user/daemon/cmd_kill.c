/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `kill`: end a session, or signal all its processes but pid 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "daemon/conn.h"

#define PROCS_MAX (1024 * 1024)

/* Signal pid if it is the session's agent: the number may have become another's meanwhile. */
static int signal_one(const struct session *s, pid_t pid, int sig)
{
	struct pf_label label;
	__cleanup_fd int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return errno == ESRCH || errno == EINVAL ? 0 : -errno;
	if (kern_task_label(s->d->kern, fd, &label) < 0 || label.kind != PF_KIND_AGENT ||
	    label.session != s->cg.id)
		return 0;
	if (syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0) < 0 && errno != ESRCH)
		return -errno;
	return 0;
}

static int signal_all(const struct session *s, int sig)
{
	__cleanup_free char *text = NULL;
	int r = file_read(s->cg.agent, "cgroup.procs", PROCS_MAX, &text, NULL);

	if (r < 0)
		return r;
	for (char *rest = text, *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		long pid = strtol(line, NULL, 10);

		r = pid > 0 ? signal_one(s, (pid_t)pid, sig) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

void cmd_kill(struct conn *c, struct session *s, const json_t *args)
{
	json_int_t sig = json_integer_value(json_object_get(args, "signal"));
	char reason[64]; /* "killed by uid " and a number */

	if (!session_live(s)) {
		conn_error(c, ESRCH, "session %s has ended: %s", s->id,
			   s->reason ? s->reason : "just now");
		return;
	}
	if (sig > 0 && sig < NSIG && s->state == SESSION_RUNNING) {
		int r = signal_all(s, (int)sig);

		if (r < 0)
			conn_error(c, -r, "session %s: %s", s->id, strerror(-r));
		else
			conn_reply(c, json_object(), false);
		return;
	}
	(void)snprintf(reason, sizeof(reason), "killed by uid %u (pinfold kill)", c->uid);
	session_kill(s, reason);
	conn_reply(c, json_object(), false);
}
