/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gates that outlived a daemon find the next one here. Who connects is known by the label that the
 * kernel keeps, not by what it says.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "daemon/session.h"

static struct session *session_of(struct daemon *d, int pidfd)
{
	struct pf_label label;

	if (kern_task_label(d->kern, pidfd, &label) < 0 || label.kind != PF_KIND_GATE)
		return NULL;
	return session_by_cgroup(d, label.session);
}

static void take_gate(struct daemon *d, int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
		close_aside(d, d->gate_uid, &sock, 1);
		return;
	}
	__cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	struct session *s = pidfd < 0 ? NULL : session_of(d, pidfd);

	if (!s || !session_live(s)) {
		log_warn("pid %d is not the gate of a session", (int)cred.pid);
		close_aside(d, cred.uid, &sock, 1);
		return;
	}
	s->gate.pid = cred.pid;
	gate_reconnected(s, sock, TAKE_FD(pidfd));
}

int gate_server_start(struct daemon *d)
{
	/* The label is what counts; the mode keeps those away who have no business here. */
	return listener_start(d, GATE_SOCKET, 0660, d->gate_gid, take_gate);
}
