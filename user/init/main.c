/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold-init: pid 1 of a session. Builds what the session sees, opens the rule paths for the
 * kernel to note, starts the command, reaps. It decides nothing: the kernel side does.
 */
#include "init/init.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/core.h"

/* Descriptors that pid 1 holds at most: one per rule, of the start, of the policy that was loaded
 * and of the one that is being loaded, and a few. */
#define INIT_FILES_MAX (3 * 8192)

int fail(struct failure *f, int err, const char *fmt, ...)
{
	va_list ap;

	if (f->text[0])
		return -err;
	va_start(ap, fmt);
	(void)vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return -err;
}

static int loopback_up(void)
{
	struct ifreq req = {.ifr_name = "lo"};
	__cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &req) < 0)
		return -errno;
	req.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &req) < 0 ? -errno : 0;
}

/* What pid 1 itself is, before it reads a byte. */
static int harden(struct failure *f)
{
	const struct rlimit files = {INIT_FILES_MAX, INIT_FILES_MAX};
	sigset_t all;

	sigfillset(&all);
	if (getpid() != 1)
		return fail(f, EINVAL, "pinfold-init is started by pinfoldd only");
	if (core_never() < 0 || sigprocmask(SIG_SETMASK, &all, NULL) < 0 ||
	    setrlimit(RLIMIT_NOFILE, &files) < 0 || setsid() < 0)
		return fail(f, errno, "cannot harden pid 1: %s", strerror(errno));
	for (int fd = INIT_FD_DAEMON; fd <= INIT_FD_END; fd++)
		if (ioctl(fd, FIOCLEX) < 0)
			return fail(f, errno, "descriptor %d is missing", fd);
	int r = hold_open();

	return r < 0 ? fail(f, -r, "cannot make a socket: %s", strerror(-r)) : 0;
}

static int build(const struct setup *s, struct failure *f)
{
	static const char host[] = "pinfold";

	if (unshare(CLONE_NEWCGROUP) < 0 || sethostname(host, sizeof(host) - 1) < 0)
		return fail(f, errno, "cannot make the session's namespaces: %s", strerror(errno));
	int r = loopback_up();

	if (r < 0)
		return fail(f, -r, "cannot bring the session's loopback up: %s", strerror(-r));
	r = mounts_make(s, f);
	return r < 0 ? r : files_make(s, f);
}

/* {"mark":..} -> {"marked":[0,errno,..]}, then wait for {"go":..}. */
static int answer_marks(const struct setup *s, json_t **ret_go, struct failure *f)
{
	json_t *msg = NULL, *results = NULL;
	__cleanup_fd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = proc < 0 ? -errno : msg_recv(INIT_FD_DAEMON, INIT_MSG_MAX, &msg);

	if (r < 0)
		return r;
	r = marks_make(json_object_get(msg, "mark"), s, proc, NULL, &results, f);
	json_decref(msg);
	if (r == 0)
		r = msg_send(INIT_FD_DAEMON, json_pack("{s:o}", "marked", results));
	return r < 0 ? r : msg_recv(INIT_FD_DAEMON, INIT_MSG_MAX, ret_go);
}

static int prepare(struct setup *s, json_t **ret_go, struct failure *f)
{
	json_t *msg = NULL;
	int r = msg_recv(INIT_FD_DAEMON, INIT_MSG_MAX, &msg);

	if (r == 0) {
		r = setup_parse(msg, s);
		json_decref(msg);
	}
	if (r < 0)
		return fail(f, -r, "the set-up message was not understood: %s", strerror(-r));
	r = build(s, f);
	if (r < 0)
		return r;
	json_t *homes = homes_list(f);

	if (!homes)
		return -ENOMEM;
	r = msg_send(INIT_FD_DAEMON,
		     json_pack("{s:{s:o, s:o}}", "ready", "own", mounts_own(), "homes", homes));
	if (r == 0)
		r = answer_marks(s, ret_go, f);
	return r < 0 ? fail(f, -r, "the daemon went away during the start") : 0;
}

/* All is proven; the daemon counts from here on, and says when it does. */
static int await_exec(struct failure *f)
{
	json_t *msg = NULL;
	int r = msg_send(INIT_FD_DAEMON, json_pack("{s:{}}", "probed"));

	if (r == 0)
		r = msg_recv(INIT_FD_DAEMON, INIT_MSG_MAX, &msg);
	json_decref(msg);
	return r < 0 ? fail(f, -r, "the daemon went away during the start") : 0;
}

static int start(const struct setup *s, json_t *go, struct pty *pty, pid_t *ret_pid,
		 struct failure *f)
{
	struct child child = CHILD_INIT;
	const char *pem = json_string_value(json_object_get(json_object_get(go, "go"), "ca_pem"));
	int r = pem ? files_write_ca(pem, f) : 0;

	if (r < 0)
		return r;
	r = pty_open(s, pty);
	if (r == 0 && pty->master >= 0)
		r = msg_send_fd(INIT_FD_RUN, json_pack("{s:b}", "pty", 1), pty->master);
	if (r < 0)
		return fail(f, -r, "cannot make the session's terminal: %s", strerror(-r));
	/* From here on the terminal is the CLI's alone; the end of it must be seen there. */
	fd_cleanup(&pty->master);
	pty->master = -1;
	r = child_probe(s, pty, &child, f);
	if (r == 0)
		r = await_exec(f);
	if (r < 0)
		return r;
	/* Before its first instruction, so that a signal that answers its output is for the
	 * command. */
	msg_tell(INIT_FD_RUN, json_pack("{s:{}}", "started"));
	r = child_exec(s, &child, f);
	if (r < 0)
		return r;
	*ret_pid = child.pid;
	r = priv_keep_kill();
	return r < 0 ? fail(f, -r, "cannot drop capabilities: %s", strerror(-r)) : 0;
}

/* The CLI first: what it hears from the daemon then is not news. */
static void tell_failure(const struct failure *f)
{
	msg_tell(INIT_FD_RUN, json_pack("{s:s, s:i}", "failed", f->text, "code", f->code));
	msg_tell(INIT_FD_DAEMON, json_pack("{s:s}", "failed", f->text));
}

/* The command has begun: from here on the session is its own. */
static void tell_started(void)
{
	msg_tell(INIT_FD_DAEMON, json_pack("{s:{}}", "started"));
	for (int fd = INIT_FD_STDIO; fd <= INIT_FD_PROBE; fd++)
		close(fd);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "marks") == 0)
		return marker_main();
	struct failure f = {.code = RUN_EXIT_PINFOLD};
	__cleanup_setup struct setup s = {0};
	struct pty pty = {-1, -1};
	json_t *go = NULL;
	pid_t pid = -1;
	int r = harden(&f);

	if (r == 0)
		r = prepare(&s, &go, &f);
	if (r == 0)
		r = start(&s, go, &pty, &pid, &f);
	json_decref(go);
	if (r < 0) {
		tell_failure(&f);
		return f.code;
	}
	tell_started();
	serve(&s, &pty, pid);
	return 0;
}
