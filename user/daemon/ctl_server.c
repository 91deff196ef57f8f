/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: who calls, whether that one may, and the queue of answers. What a command
 * does is in cmd_*.c.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/log.h"
#include "daemon/conn.h"

/* Clients at one time; and of one user, besides one for each session. */
#define CONNS_MAX 4096
#define CONNS_MORE 64
#define GROUPS_MAX 65536
/* Whose a connection is that was not looked at. */
#define NOBODY ((uid_t)-1)

static void conn_free(struct conn *c)
{
	list_for_each (pos, &c->d->sessions) {
		struct session *s = list_entry(pos, struct session, node);

		load_forget_client(s, c);
		if (s->reply != c)
			continue;
		s->reply = NULL;
		session_kill(s, "the client went away");
	}
	list_del(&c->node);
	list_del(&c->waiting);
	watch_free(&c->watch);
	close_aside(c->d, c->uid, &c->fd, 1); /* what was not read of it goes as well */
	json_decref(c->queue);
	free(c->follow_session);
	free(c->groups);
	free(c);
}

/* -EAGAIN: the client does not read, come back when it does. */
static int send_first(struct conn *c)
{
	json_t *first = json_array_get(c->queue, 0);
	int r = ctl_reply_send(c->fd, json_object_get(first, "body"),
			       json_is_true(json_object_get(first, "more")));

	if (r != -EAGAIN)
		(void)json_array_remove(c->queue, 0);
	return r;
}

/* False when the client is gone; c lives on until the loop finds that out as well. */
static void send_queue(struct conn *c)
{
	while (json_array_size(c->queue) > 0) {
		int r = send_first(c);

		if (r == -EAGAIN) {
			watch_set(c->watch, WATCH_READ | WATCH_WRITE);
			return;
		}
		if (r < 0) {
			(void)shutdown(c->fd, SHUT_RDWR);
			return;
		}
	}
	watch_set(c->watch, WATCH_READ);
}

void conn_reply(struct conn *c, json_t *body, bool more)
{
	if (!body) {
		conn_error(c, ENOMEM, "pinfoldd is out of memory");
		return;
	}
	if (json_array_size(c->queue) >= CONN_QUEUE_MAX ||
	    json_array_append_new(c->queue, json_pack("{s:o, s:b}", "body", body, "more", more)) <
		    0) {
		(void)shutdown(c->fd, SHUT_RDWR);
		return;
	}
	if (json_array_size(c->queue) == 1)
		send_queue(c);
}

/* An error does not wait behind what a slow client has not read: the request has failed. */
void conn_error_at(struct conn *c, const struct ctl_error_reply *e)
{
	if (ctl_error_send(c->fd, e) < 0)
		(void)shutdown(c->fd, SHUT_RDWR);
}

void conn_error(struct conn *c, int error, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	conn_error_at(c, &(struct ctl_error_reply){.error = error, .message = text});
}

/* The session that a command is about; NULL after an answer was given. */
static struct session *find_session(struct conn *c, const struct ctl_request *req)
{
	const char *id = json_string_value(json_object_get(req->args, "session"));
	struct session *s = id ? session_find(c->d, id) : NULL;

	if (!id && req->cmd == CTL_WHY)
		s = session_newest(c->d, c->uid);
	/* Whether there is such a session of another one is not the caller's to know. */
	if (s && c->uid != 0 && s->owner.uid != c->uid && s->owner.caller != c->uid)
		s = NULL;
	if (!s)
		conn_error(c, ESRCH, id ? "no session %s (see: pinfold ps)" : "no session yet%s",
			   id ? id : "");
	return s;
}

static void run_on_session(struct conn *c, struct ctl_request *req)
{
	struct session *s = find_session(c, req);

	if (!s)
		return;
	if (req->cmd == CTL_SUMMARY)
		cmd_summary(c, s, req->args);
	else if (req->cmd == CTL_KILL)
		cmd_kill(c, s, req->args);
	else if (req->cmd == CTL_LOGS)
		cmd_records(c, s, req->args);
	else if (req->cmd == CTL_POLICY_LOAD)
		cmd_policy_load(c, s, req);
	else
		cmd_why(c, s);
}

static void run_plain(struct conn *c, struct ctl_request *req)
{
	switch (req->cmd) {
	case CTL_RUN:
		cmd_run(c, req);
		break;
	case CTL_PS:
		cmd_ps(c, req->args);
		break;
	case CTL_UNLOCK:
		cmd_unlock(c, req->args);
		break;
	case CTL_DOCTOR:
		cmd_doctor(c);
		break;
	case CTL_VERSION_CMD:
		cmd_version(c);
		break;
	case CTL_AUDIT_TAIL:
		cmd_records(c, NULL, req->args);
		break;
	case CTL_SUMMARY:
	case CTL_KILL:
	case CTL_LOGS:
	case CTL_WHY:
	case CTL_POLICY_LOAD:
	case CTL_CMD_MAX:
		conn_error(c, ENOSYS, "not a command of its own");
		break;
	}
}

/* The privilege of each command is looked at here and nowhere else. */
static void dispatch(struct conn *c, struct ctl_request *req)
{
	const struct ctl_command *cmd = &ctl_commands[req->cmd];

	if (cmd->privilege == CTL_ROOT && c->uid != 0)
		conn_error(c, EPERM, "%s: only root may do that", cmd->name);
	else if (cmd->privilege == CTL_OWNER)
		run_on_session(c, req);
	else
		run_plain(c, req);
}

static void answer(struct conn *c, struct ctl_request *req, int r, const struct ctl_err *err)
{
	if (json_array_size(c->queue) > 0)
		send_queue(c);
	if (r == -EAGAIN)
		return;
	if (r == 1 && c->too_many) {
		conn_error(c, EDQUOT, "this user has too many connections to pinfoldd");
		conn_free(c);
		return;
	}
	if (r == 1)
		dispatch(c, req);
	else if (r == -EBADMSG || r == -EMSGSIZE)
		conn_error(c, -r, "%s", err->text);
	else
		conn_free(c);
}

static void ready(void *arg)
{
	struct conn *c = arg;
	__cleanup_ctl_request struct ctl_request req = CTL_REQUEST_INIT;
	struct ctl_err err = {""};
	struct daemon *d = c->d;
	uid_t uid = c->uid;
	int r = ctl_request_recv(c->fd, &req, &err);

	answer(c, &req, r, &err);
	close_aside(d, uid, req.fds, req.nfds);
}

static int read_groups(struct conn *c)
{
	socklen_t len = GROUPS_MAX * sizeof(gid_t);

	c->groups = malloc(len);
	if (!c->groups)
		return -ENOMEM;
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERGROUPS, c->groups, &len) < 0)
		return -errno;
	c->n_groups = len / sizeof(gid_t);
	return 0;
}

/* No process of a session may command the daemon, whatever its uid. */
static int check_label(struct daemon *d, pid_t pid)
{
	struct pf_label label;
	__cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0)
		return -errno;
	int r = kern_task_label(d->kern, pidfd, &label);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	return label.kind == PF_KIND_ADMIN ? 0 : -EPERM;
}

static int identify(struct conn *c)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	c->pid = cred.pid;
	c->uid = cred.uid;
	c->gid = cred.gid;
	int r = read_groups(c);

	return r < 0 ? r : check_label(c->d, cred.pid);
}

static struct conn *conn_new(struct daemon *d, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return NULL;
	}
	c->d = d;
	c->fd = fd;
	list_init(&c->waiting);
	list_add_tail(&d->conns, &c->node);
	c->queue = json_array();
	if (c->queue)
		c->watch = watch_new(d->loop, fd, WATCH_READ, ready, c);
	if (!c->watch) {
		conn_free(c);
		return NULL;
	}
	return c;
}

/* All of them, or those of one user. */
static size_t count_conns(const struct daemon *d, const uid_t *uid)
{
	size_t n = 0;

	list_for_each (pos, &d->conns)
		n += !uid || list_entry(pos, struct conn, node)->uid == *uid;
	return n;
}

/* Connections of this user beyond its share; root is bounded by the whole only. */
static size_t over_share(const struct conn *c)
{
	size_t n = count_conns(c->d, &c->uid) + closings_of(c->d, c->uid);
	size_t share = c->d->sessions_per_user + CONNS_MORE;

	return c->uid == 0 || n <= share ? 0 : n - share;
}

static void take_client(struct daemon *d, int fd)
{
	if (count_conns(d, NULL) >= CONNS_MAX) {
		close_aside(d, NOBODY, &fd, 1);
		return;
	}
	struct conn *c = conn_new(d, fd);
	int r = c ? identify(c) : 0;

	if (r < 0)
		conn_error(c, -r, "pinfoldd does not talk to this process: %s", strerror(-r));
	if (c && r == 0)
		c->too_many = over_share(c) > 0;
	if (r < 0 || (c && over_share(c) > CONNS_MORE))
		conn_free(c);
}

int ctl_server_start(struct daemon *d)
{
	return listener_start(d, CTL_SOCKET, 0660, d->ctl_gid, take_client);
}

static bool wants(const struct conn *c, const json_t *record)
{
	const char *session = json_string_value(json_object_get(record, "session"));

	if (!c->following)
		return false;
	return !c->follow_session || (session && strcmp(c->follow_session, session) == 0);
}

void conns_follow(struct daemon *d, json_t *record)
{
	list_for_each (pos, &d->conns) {
		struct conn *c = list_entry(pos, struct conn, node);

		if (wants(c, record))
			conn_reply(c, json_pack("{s:[O]}", "records", record), true);
	}
}

size_t conns_queued(const struct daemon *d, uid_t uid)
{
	size_t n = 0;

	list_for_each (pos, &d->conns) {
		const struct conn *c = list_entry(pos, struct conn, node);

		n += c->uid == uid ? json_array_size(c->queue) : 0;
	}
	return n;
}

void conns_summaries(struct session *s)
{
	list_for_each_safe (pos, tmp, &s->summaries) {
		struct conn *c = list_entry(pos, struct conn, waiting);

		list_del(&c->waiting);
		conn_reply(c, summary_body(s), false);
	}
}
