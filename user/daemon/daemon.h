/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfoldd: what its parts share. Everything runs in one thread, on one loop, but the closing of
 * what others sent (closing.c); nothing here blocks on a session or a client.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "audit/audit.h"
#include "base/list.h"
#include "daemon/loop.h"
#include "kern/kern.h"

#define RUN_DIR "/run/pinfold"
#define SESSIONS_DIR RUN_DIR "/sessions"
#define GATE_SOCKET RUN_DIR "/gate.sock"
#define POLICIES_DIR "/etc/pinfold/policies.d"
#define GATE_USER "pinfold-gate"

/* Room for a sentence to an operator; longer ones are cut. */
#define TEXT_MAX 512

/* Two stamps, and words between. */
#define LAPSE_MAX 160

struct conn;
struct session;

struct daemon {
	uv_loop_t *loop;
	struct kern *kern;
	struct audit *audit;
	struct kern_report report; /* of the start, for doctor */
	char *slice;		   /* path of pinfold.slice, owned */
	uint64_t slice_id;	   /* its inode: programs are attached to it, not to its name */
	unsigned controllers;	   /* CGROUP_* that limits can use */
	uid_t gate_uid;
	gid_t gate_gid, ctl_gid;
	int null_fd;
	struct watch *ring_watch;
	size_t sessions_per_user;
	struct alarm *minute; /* housekeeping */
	struct alarm *lease;  /* its renewal */
	unsigned lease_s;
	char lapse[LAPSE_MAX]; /* when it was over last; "": never */
	struct list sessions;  /* live ones, and the last SESSIONS_KEPT that ended */
	struct list conns;
	struct list closings; /* descriptors that are being closed, by whom they came from */
	struct list hellos;   /* gates that have connected and not yet said whose they are */
	size_t n_ended;
	json_t *last_records; /* owned: the end of an earlier daemon's log, until the first event */
};

/* Append to the audit log, and hand to those who follow it. Takes over record. */
void daemon_audit(struct daemon *d, json_t *record);
/* An event of the daemon itself: {"type":"daemon","event":event,"text":...}. */
void daemon_event(struct daemon *d, const char *event, const char *fmt, ...) __printf_like(3, 4);

/* ring.c */
int ring_start(struct daemon *d) __must_check;
/* Take in all that waits now, so that what a session did is known before it is told of. */
void ring_drain(struct daemon *d);

/* ctl_server.c, gate_server.c: the sockets, made with the rights they need. */
int ctl_server_start(struct daemon *d) __must_check;
int gate_server_start(struct daemon *d) __must_check;
/* Takes over fd. */
typedef void accept_fn(struct daemon *d, int fd);
/*
 * Make a listening SOCK_SEQPACKET socket in place of what an earlier daemon left, and call fn with
 * each connection. It lives as long as the process.
 */
int listener_start(struct daemon *d, const char *path, mode_t mode, gid_t gid,
		   accept_fn *fn) __must_check;

/*
 * closing.c: close descriptors that others made, without waiting for it, and set them to -1; -1 is
 * left out. uid is who sent them.
 */
void close_aside(struct daemon *d, uid_t uid, int *fds, size_t n);
/* Batches of this user that are not closed yet. */
size_t closings_of(const struct daemon *d, uid_t uid);

/* adopt.c: take over what an earlier daemon left: live sessions, half-made ones, empty cgroups. */
int adopt_all(struct daemon *d) __must_check;

/* lease.c: sessions count as attended for as long as the loop turns. */
int lease_start(struct daemon *d) __must_check;

/* notify.c: tell systemd, if it started us, that sessions can be run. */
int notify_ready(void) __must_check;

#endif
