/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client of the control socket. A connection answers one request after the other; a reply may
 * come later (the start of a session) or in pieces (records that are followed).
 */
#ifndef DAEMON_CONN_H
#define DAEMON_CONN_H

#include "ctl/ctl.h"
#include "daemon/daemon.h"
#include "daemon/session.h"

/* Replies that may wait for a client that does not read; one more and it is dropped. */
#define CONN_QUEUE_MAX 4096
/* Over all clients of one user: with so many waiting, no more records are read for it. */
#define USER_QUEUE_MAX 256

struct conn {
	struct list node;    /* daemon.conns */
	struct list waiting; /* session.summaries, while it waits for an end */
	struct daemon *d;
	int fd;
	struct watch *watch;
	pid_t pid;
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* owned */
	size_t n_groups;
	json_t *queue; /* replies not yet sent: array of {"body":..,"more":bool} */
	bool too_many; /* beyond its user's share: its first request is refused, then it goes */
	bool following;
	char *follow_session; /* owned; NULL: all */
};

/* Answer. Takes over body (NULL: the client is told that memory is short). */
void conn_reply(struct conn *c, json_t *body, bool more);
void conn_error(struct conn *c, int error, const char *fmt, ...) __printf_like(3, 4);
void conn_error_at(struct conn *c, const struct ctl_error_reply *e);
/* Hand a record to all that follow it. */
void conns_follow(struct daemon *d, json_t *record);
/* Replies that wait for clients of this user. */
size_t conns_queued(const struct daemon *d, uid_t uid);
/* The end of s is known: answer those who wait for its summary. */
void conns_summaries(struct session *s);

/* cmd_run.c: the identity of the client itself, as it connected. */
int owner_take_ids(struct owner *o, const struct conn *c) __must_check;

/* cmd_run.c, cmd_read.c, cmd_kill.c, cmd_load.c: the handlers. The privilege has been checked. */
void cmd_run(struct conn *c, struct ctl_request *req);
void cmd_kill(struct conn *c, struct session *s, const json_t *args);
void cmd_policy_load(struct conn *c, struct session *s, struct ctl_request *req);
void cmd_summary(struct conn *c, struct session *s, const json_t *args);
void cmd_ps(struct conn *c, const json_t *args);
void cmd_why(struct conn *c, struct session *s);
void cmd_unlock(struct conn *c, const json_t *args);
void cmd_doctor(struct conn *c);
void cmd_version(struct conn *c);
/* s NULL: the records of all. */
void cmd_records(struct conn *c, struct session *s, const json_t *args);
json_t *summary_body(struct session *s);

#endif
