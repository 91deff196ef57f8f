/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `run`: the request is checked, the caller's identity taken, and a session begun.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "daemon/conn.h"

#define GROUPS_MAX 65536

static int problem(struct start_error *e, int error, const char *text)
{
	e->error = error;
	(void)snprintf(e->text, sizeof(e->text), "%s", text);
	return -error;
}

/* A terminal is replaced by one of the session's; of other devices only null, zero, full, random
 * and urandom: those of memory and of the kernel's log have the same major number. */
static bool device_ok(int fd, const struct stat *st)
{
	unsigned n = minor(st->st_rdev);

	if (isatty(fd))
		return true;
	return major(st->st_rdev) == 1 && (n == 3 || n == 5 || (n >= 7 && n <= 9));
}

/* Type and number, which do not change: a file system that does not answer is not asked. */
static int stat_at_once(int fd, struct stat *ret)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) < 0)
		return -errno;
	*ret = (struct stat){.st_mode = stx.stx_mode,
			     .st_rdev = makedev(stx.stx_rdev_major, stx.stx_rdev_minor)};
	return 0;
}

/*
 * What may become a session's stdin, stdout or stderr. A directory, a socket, or a thing without a
 * type of its own (a ring, a map, another process) would be a way out.
 */
static int check_stdio(int fd, struct start_error *e)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || stat_at_once(fd, &st) < 0)
		return problem(e, EBADF, "standard input, output and error must be open");
	if (flags & O_PATH)
		return problem(e, EINVAL, "a descriptor was opened with O_PATH");
	if (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) ||
	    (S_ISCHR(st.st_mode) && device_ok(fd, &st)))
		return 0;
	return problem(e, EINVAL,
		       "standard input, output and error must be files, pipes, /dev/null or a "
		       "terminal: anything else would lead out of the session");
}

static int check_channel(int fd, struct start_error *e)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET)
		return problem(e, EINVAL, "the run channel is not a SOCK_SEQPACKET socket");
	return 0;
}

static int check_descriptors(const struct session *s, struct start_error *e)
{
	for (size_t i = CTL_RUN_STDIN; i <= CTL_RUN_STDERR; i++) {
		int r = check_stdio(s->fds[i], e);

		if (r < 0)
			return r;
	}
	return check_channel(s->fds[CTL_RUN_CHANNEL], e);
}

static int take_user(struct owner *o, const struct passwd *pw)
{
	o->user = strdup(pw ? pw->pw_name : "nobody");
	o->home = strdup(pw ? pw->pw_dir : "/");
	return o->user && o->home ? 0 : -ENOMEM;
}

int owner_take_ids(struct owner *o, const struct conn *c)
{
	o->uid = c->uid;
	o->gid = c->gid;
	o->groups = malloc((c->n_groups + 1) * sizeof(gid_t));
	if (!o->groups)
		return -ENOMEM;
	memcpy(o->groups, c->groups, c->n_groups * sizeof(gid_t));
	o->n_groups = c->n_groups;
	return 0;
}

static int be_caller(struct owner *o, const struct conn *c)
{
	int r = owner_take_ids(o, c);

	return r < 0 ? r : take_user(o, getpwuid(c->uid));
}

static int be_user(struct owner *o, const char *user)
{
	const struct passwd *pw = getpwnam(user);
	int n = GROUPS_MAX;

	if (!pw)
		return -ESRCH;
	o->uid = pw->pw_uid;
	o->gid = pw->pw_gid;
	o->groups = malloc((size_t)n * sizeof(gid_t));
	if (!o->groups)
		return -ENOMEM;
	int r = take_user(o, pw);

	if (r == 0 && getgrouplist(o->user, o->gid, o->groups, &n) < 0)
		return -E2BIG;
	o->n_groups = (size_t)n;
	return r;
}

static int take_owner(struct session *s, const struct conn *c, const char *user,
		      struct start_error *e)
{
	const struct passwd *pw = user ? getpwnam(user) : NULL;

	s->owner.caller = s->policy_by = c->uid;
	s->owner.caller_pid = c->pid;
	if (user && !pw)
		return problem(e, ESRCH, "no such user");
	if (pw && pw->pw_uid != c->uid && c->uid != 0)
		return problem(e, EPERM, "only root may run a session as another user");
	int r = user && pw->pw_uid != c->uid ? be_user(&s->owner, user) : be_caller(&s->owner, c);

	return r < 0 ? problem(e, -r, strerror(-r)) : 0;
}

static int take_request(struct session *s, struct ctl_request *req, const struct ctl_run *run)
{
	char now[32]; /* RFC 3339 with seconds: 20 bytes */
	time_t t = time(NULL);
	struct tm tm;

	for (size_t i = 0; i < req->nfds; i++)
		s->fds[i] = TAKE_FD(req->fds[i]);
	gmtime_r(&t, &tm);
	(void)strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &tm);
	s->started = strdup(now);
	s->request = json_incref(req->args);
	s->command = json_incref((json_t *)run->argv);
	s->name = run->name ? strdup(run->name) : NULL;
	return s->started && (!run->name || s->name) ? 0 : -ENOMEM;
}

static bool name_taken(struct daemon *d, const char *name)
{
	const struct session *s = name ? session_find(d, name) : NULL;

	return s && s->state != SESSION_ENDED;
}

static int prepare(struct session *s, struct conn *c, struct ctl_request *req,
		   struct start_error *e)
{
	struct ctl_run run = {0};
	struct ctl_err err = {""};
	int r = ctl_run_decode(req, &run, &err);

	if (r < 0)
		return problem(e, -r, err.text);
	if (name_taken(c->d, run.name))
		return problem(e, EEXIST, "a session of this name is running");
	r = take_request(s, req, &run);
	if (r < 0)
		return problem(e, -r, strerror(-r));
	r = check_descriptors(s, e);
	if (r == 0)
		r = take_owner(s, c, run.user, e);
	return r < 0 ? r : policy_load(s, &run, e);
}

/* What is not on record did not happen: without a log there are no sessions. */
static bool log_works(struct conn *c)
{
	int r = audit_retry(c->d->audit);

	if (r < 0)
		conn_error(c, -r,
			   "the audit log " AUDIT_FILE " cannot be written (%s), so no session is "
			   "started; sessions that run go on",
			   strerror(-r));
	return r == 0;
}

/* One user's sessions leave room for those of others; root's are bounded by the kernel's maps. */
static bool has_room(struct conn *c)
{
	size_t n = 0;

	list_for_each (pos, &c->d->sessions) {
		const struct session *s = list_entry(pos, struct session, node);

		n += s->owner.caller == c->uid && s->state != SESSION_ENDED;
	}
	if (c->uid == 0 || n < c->d->sessions_per_user)
		return true;
	conn_error(c, EDQUOT,
		   "uid %u has %zu sessions already, as many as one user may have: end one with "
		   "\"pinfold kill\", or have pinfoldd started with more --sessions-per-user",
		   (unsigned)c->uid, n);
	return false;
}

void cmd_run(struct conn *c, struct ctl_request *req)
{
	struct start_error e = {0};

	if (!log_works(c) || !has_room(c))
		return;
	struct session *s = session_new(c->d);

	if (!s) {
		conn_error(c, ENOMEM, "pinfoldd is out of memory");
		return;
	}
	if (prepare(s, c, req, &e) < 0) {
		conn_error_at(c, &(struct ctl_error_reply){.error = e.error,
							   .message = e.text,
							   .file = e.file,
							   .line = e.line,
							   .column = e.column});
		free(e.file);
		session_free(s);
		return;
	}
	s->reply = c;
	session_start(s);
}
