/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "pinfold-init marks": for a policy that is loaded into a live session. Pid 1 has given up the
 * rights that opening its paths needs, so pinfoldd starts this beside it: outside the session's pid
 * namespace, in a cgroup of its own, in its mount namespace. It opens the paths, hands what it
 * opened to pid 1, and ends. It runs no code of the session's and executes nothing.
 */
#include "init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/core.h"

/* Of the host, since that of the session does not show this process. */
static int enter(int *ret_proc, struct failure *f)
{
	if (core_never() < 0)
		return fail(f, errno, "cannot harden the process: %s", strerror(errno));
	for (int fd = INIT_FD_DAEMON; fd <= MARKER_FD_HOLD; fd++)
		if (ioctl(fd, FIOCLEX) < 0)
			return fail(f, errno, "descriptor %d is missing", fd);
	*ret_proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_proc < 0)
		return fail(f, errno, "cannot open /proc: %s", strerror(errno));
	if (setns(MARKER_FD_MNT, CLONE_NEWNS) < 0)
		return fail(f, errno, "cannot enter the session: %s", strerror(errno));
	return 0;
}

/* {"ready":{"own":..,"homes":..}} -> {"caller":..,"slot":n,"mark":..} */
static int ask(json_t **ret, struct failure *f)
{
	json_t *homes = homes_list(f);

	if (!homes)
		return -ENOMEM;
	int r = msg_send(INIT_FD_DAEMON,
			 json_pack("{s:{s:o, s:o}}", "ready", "own", mounts_own(), "homes", homes));

	return r < 0 ? r : msg_recv(INIT_FD_DAEMON, INIT_MSG_MAX, ret);
}

static int hand_over(const struct held *held, json_t *msg, struct failure *f)
{
	unsigned slot = (unsigned)json_integer_value(json_object_get(msg, "slot"));
	int r = hold_send(MARKER_FD_HOLD, slot, held->v, held->n);

	if (r == -EAGAIN)
		return fail(f, EAGAIN,
			    "pid 1 of the session takes nothing more: it is frozen, or has no "
			    "time");
	return r < 0 ? fail(f, -r, "pid 1 of the session does not take its rules: %s", strerror(-r))
		     : 0;
}

static int work(struct failure *f)
{
	__cleanup_setup struct setup s = {0};
	struct held held = {0}; /* until the end of the process */
	json_t *msg = NULL, *results = NULL;
	__cleanup_fd int proc = -1;
	int r = enter(&proc, f);

	if (r == 0)
		r = ask(&msg, f);
	if (r == 0)
		r = setup_parse_caller(msg, &s);
	if (r == 0)
		r = marks_make(json_object_get(msg, "mark"), &s, proc, &held, &results, f);
	if (r == 0)
		r = hand_over(&held, msg, f);
	json_decref(msg);
	if (r == 0)
		return msg_send(INIT_FD_DAEMON, json_pack("{s:o}", "marked", results));
	json_decref(results);
	return fail(f, -r, "the paths of the policy cannot be opened: %s", strerror(-r));
}

int marker_main(void)
{
	struct failure f = {.code = RUN_EXIT_PINFOLD};
	int r = work(&f);

	if (r < 0)
		msg_tell(INIT_FD_DAEMON, json_pack("{s:s}", "failed", f.text));
	return r < 0 ? f.code : 0;
}
