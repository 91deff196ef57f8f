/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control protocol between pinfold and pinfoldd: one JSON object per SOCK_SEQPACKET message,
 * descriptors attached, and the table of commands with the privilege that each needs. It encodes,
 * decodes and checks shapes and bounds; what a command does is the daemon's.
 *
 *   request  {"v":1,"cmd":"ps","args":{...}}
 *   reply    {"ok":true,...}  or  {"ok":false,"error":{"code":"EPERM","message":"...",
 *            "file":"...","line":n,"column":n}}; "more":true on every reply but the last
 *
 * Arguments -> replies of each command (? = may be missing or null):
 *
 * - run: struct ctl_run below with 4 or 5 descriptors -> session
 * - summary: session -> denied, by_class {file, net, exec, ipc, guard}, statements {allow, deny},
 *   lost, reason ("exited 0", "killed by SIGKILL", "time limit", ...)
 * - ps: all? -> sessions [{id, name?, policy, policy_file, policy_installed, policy_trusted,
 *   policy_sha256, user, uid, pid, started (RFC 3339), state ("running",
 *   "ending", "ended", "quarantined"), command [..], denied, statements {allow, deny}, reason?}]
 * - kill: session, signal? -> nothing; without a signal the whole session ends
 * - logs: session, lines?, follow? -> records [audit objects], more
 * - audit-tail: lines?, follow? -> records [audit objects], more
 * - why: session?, lines? -> session, denials [{seq, time, what, object, reason, rule?, advice,
 *   count?}]; without a session: the caller's newest
 * - policy-load: session, policy | policy_file with its descriptor -> session, changed, policy,
 *   policy_file, policy_installed, policy_trusted, policy_sha256, old_sha256
 * - unlock: command -> nothing, once it is on record that the caller runs this as admin
 * - doctor: -> checks [{name, ok, value, advice?}], sessions, version
 * - version: -> version, abi
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define CTL_VERSION 1
#define CTL_SOCKET "/run/pinfold/ctl.sock"
#define CTL_GROUP "pinfold"
/* Inside a session: the denials so far in the form of a reply to "why"; read-only. */
#define CTL_WHY_FILE "/run/pinfold/why.json"

/* Bytes of one message, and descriptors with it. */
#define CTL_MSG_MAX 65536u
#define CTL_FDS_MAX 5u
/* Nested lists and objects in a message. */
#define CTL_DEPTH_MAX 16u

enum ctl_cmd {
	CTL_RUN,
	CTL_SUMMARY,
	CTL_PS,
	CTL_KILL,
	CTL_LOGS,
	CTL_AUDIT_TAIL,
	CTL_WHY,
	CTL_POLICY_LOAD,
	CTL_UNLOCK,
	CTL_DOCTOR,
	CTL_VERSION_CMD,
	CTL_CMD_MAX,
};

enum ctl_privilege {
	CTL_ANY,   /* whoever may connect to the socket */
	CTL_OWNER, /* the session's owner, or root */
	CTL_ROOT,  /* root */
};

struct ctl_command {
	const char *name;
	enum ctl_privilege privilege;
	size_t min_fds, max_fds; /* descriptors that belong to the request */
	const char *help;	 /* one line */
};

/* Indexed by enum ctl_cmd. */
extern const struct ctl_command ctl_commands[CTL_CMD_MAX];

/* The command called name (whole, case matters), or -ENOENT. */
int ctl_command_find(const char *name) __must_check;

struct ctl_request {
	enum ctl_cmd cmd;
	json_t *args;	     /* an object; owned */
	int fds[FD_MSG_MAX]; /* more than CTL_FDS_MAX may come, and must be closed */
	size_t nfds;	     /* owned: closed by ctl_request_free unless taken with TAKE_FD */
};
#define CTL_REQUEST_INIT ((struct ctl_request){.nfds = 0})

void ctl_request_free(struct ctl_request *req);
#define __cleanup_ctl_request __cleanup(ctl_request_free)

/* Says what is wrong with a message, in words for the one who sent it. */
#define CTL_ERR_TEXT 256
struct ctl_err {
	char text[CTL_ERR_TEXT];
};

/*
 * Check one request as it came from the socket. -EBADMSG with *err: not JSON, not an object, a key
 * twice, too deep, another version, an unknown command or key, arguments that are no object;
 * -EMSGSIZE past CTL_MSG_MAX. req->fds and nfds are left alone.
 */
int ctl_request_decode(const char *text, size_t len, struct ctl_request *req,
		       struct ctl_err *err) __must_check;

/*
 * Receive and decode one request: 1, 0 at the end of the connection, -EAGAIN, or as above. The
 * descriptors that came are in *req in every case; their number is checked
 * against the table (-EBADMSG).
 */
int ctl_request_recv(int sock, struct ctl_request *req, struct ctl_err *err) __must_check;

/* Send a request; args is borrowed (NULL: no arguments), and so are the descriptors. */
int ctl_request_send(int sock, enum ctl_cmd cmd, json_t *args, const int *fds,
		     size_t nfds) __must_check;

/* What "run" asks for. Strings are borrowed from the request's args. */
#define CTL_ARGV_MAX 4096u
#define CTL_ENV_MAX 1024u
#define CTL_NAME_MAX 31u
#define CTL_PATH_MAX 4095u
#define CTL_TTY_SIZE_MAX 4096u

enum ctl_run_fd {
	CTL_RUN_STDIN,
	CTL_RUN_STDOUT,
	CTL_RUN_STDERR,
	CTL_RUN_CHANNEL,
	CTL_RUN_POLICY, /* only with policy_file: a memfd sealed against write, grow and shrink */
};

struct ctl_tty {
	bool in, out, err; /* which of the three descriptors are the terminal */
	unsigned rows, cols;
};

struct ctl_run {
	const char *policy;	 /* name in policies.d; NULL: the policy came as a descriptor */
	const char *policy_file; /* its path, for messages; NULL unless it came as a descriptor */
	const char *name;	 /* text_name_ok(); NULL: none */
	const char *user;	 /* NULL: the caller */
	const char *cwd;	 /* absolute */
	const json_t *argv;	 /* list of strings, at least one, the first not empty */
	const json_t *env;	 /* list of "NAME=value" */
	unsigned umask;
	bool has_tty;
	struct ctl_tty tty;
};

/* -EBADMSG with *err when a field is missing, of another type, unknown, or past its bound. */
int ctl_run_decode(const struct ctl_request *req, struct ctl_run *ret,
		   struct ctl_err *err) __must_check;
/* The args object of a request (owned by the caller), or NULL: no memory. */
json_t *ctl_run_encode(const struct ctl_run *run) __must_check;

/* What "policy-load" asks for: policy and policy_file of *ret, with CTL_LOAD_POLICY for the latter.
 */
#define CTL_LOAD_POLICY 0
int ctl_load_decode(const struct ctl_request *req, struct ctl_run *ret,
		    struct ctl_err *err) __must_check;

/* Send body, an object (borrowed), with "ok":true added; more: another reply follows. */
int ctl_reply_send(int sock, json_t *body, bool more) __must_check;

struct ctl_error_reply {
	int error;	     /* positive errno: becomes its name, "EPERM" */
	const char *message; /* what, where, what to do */
	const char *file;    /* NULL: none */
	unsigned line, column;
};

int ctl_error_send(int sock, const struct ctl_error_reply *e) __must_check;

/*
 * Receive one reply: 1 and *ret (owned: json_decref), 0 at the end of the connection, -EBADMSG for
 * what is no reply, -errno. Whether it is an error is for ctl_reply_error().
 */
int ctl_reply_recv(int sock, json_t **ret) __must_check;

struct ctl_reply_error {
	const char *code; /* all borrowed from the reply */
	const char *message;
	const char *file; /* NULL: none */
	unsigned line, column;
};

/* True and *ret filled when reply says "ok":false. */
bool ctl_reply_error(const json_t *reply, struct ctl_reply_error *ret);
bool ctl_reply_more(const json_t *reply);

/* A text of a reply, or of a record in one (borrowed); "" when it is missing or no text. */
const char *ctl_str(const json_t *object, const char *key);

/*
 * Connect to the daemon at path (CTL_SOCKET): a descriptor, or -errno with *err: the daemon does
 * not run, the caller is not in the group, ...
 */
int ctl_connect(const char *path, struct ctl_err *err) __must_check;

#endif
