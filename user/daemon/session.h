/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session as the daemon sees it: a state machine that is driven by messages of pinfold-init, of
 * the gate and of the resolver, and by the ends of processes. The container is daemon.sessions.
 */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include "ctl/ctl.h"
#include "daemon/channel.h"
#include "daemon/daemon.h"
#include "policy/policy.h"
#include "session/cgroup.h"

#define SESSION_ID_LEN 8
/* Ended sessions that are kept for `ps`, `why` and the closing line of `run`. */
#define SESSIONS_KEPT 64
/* Denials that are kept for `why`, per session, and how many bytes of them an answer has. */
#define DENIALS_KEPT 64
#define DENIALS_BYTES (CTL_MSG_MAX - 4096)
/* From the request to the command's first instruction; emulated machines are slow. */
#define START_DEADLINE_MS 60000
#define OWN_FS_MAX PF_MAX_OWN_FS

enum session_state {
	SESSION_RESOLVING, /* names of the policy are looked up */
	SESSION_BUILDING,  /* pinfold-init makes what the session sees */
	SESSION_MARKING,   /* ... opens the rule paths */
	SESSION_GATE,	   /* published; the gate starts */
	SESSION_STARTING,  /* pinfold-init was told to go; the probe runs */
	SESSION_EXEC,	   /* the probe was refused everything; the command is being executed */
	SESSION_RUNNING,
	SESSION_ENDING, /* killed or dying; waiting until its cgroup is empty */
	SESSION_ENDED,
};

/* The gate of a session; without databases there is none. */
struct gate {
	struct channel *channel; /* NULL: not connected */
	int pidfd;
	pid_t pid;
	struct watch *death;
	struct alarm *again; /* a new one is due */
	char *ca_pem;	     /* of the session's certificate authority, owned */
	unsigned deaths;     /* within the last minute */
	uint64_t first_death_ms;
	uint64_t grace_end_ms; /* it was asked to end, and is not killed before; 0: it was not */
	bool ready;
};

/* Who asked for the session, and as whom it runs. */
struct owner {
	uid_t uid; /* runs as, and may look at it */
	gid_t gid;
	gid_t *groups; /* owned */
	size_t n_groups;
	uid_t caller;	   /* who asked */
	pid_t caller_pid;  /* the CLI */
	char *user, *home; /* owned */
};

/* What only the daemon counts: kept in a file, so that the next one goes on. */
struct counts {
	uint64_t version;	  /* COUNTS_VERSION */
	uint64_t allowed, denied; /* statements */
	uint64_t gate_sent;	  /* number of the last record that the gate sent */
	uint64_t gate_lost;	  /* records that the gate could not hold, as far as it told */
	uint64_t log_seq;	  /* of the last record in the log that is in these */
};

struct session {
	struct list node;
	struct daemon *d;
	enum session_state state;
	char id[SESSION_ID_LEN + 1];
	char *name;	    /* owned, NULL: none */
	char *policy_name;  /* owned: what the policy is called in errors and lists */
	char *policy_file;  /* owned, NULL: unknown; for errors with a place */
	char *policy_text;  /* owned: to make the gate anew after a restart */
	bool trusted;	    /* root owns the policy, or brought it */
	bool installed;	    /* it is one of POLICIES_DIR: nobody else's can call itself so */
	uid_t policy_by;    /* who asked for it */
	unsigned hold_slot; /* where pid 1 holds what it was loaded with (base/hold.h) */
	char policy_hash[2 * POLICY_HASH_LEN + 1]; /* of the text, in hexadecimal */
	struct owner owner;
	struct policy *policy;
	struct policy_rules rules;
	struct policy_found *found;    /* owned, rules.n of them */
	struct policy_rules old_rules; /* of the policy before: their denials may be under way */
	json_t *request;	       /* args of `run`, for the start only */
	json_t *command;	       /* argv */
	char *started;		       /* owned: RFC 3339 */
	struct cgroup cg;

	struct load *load; /* NULL: no other policy is being loaded */
	bool thaw;	   /* it stands still for that alone */
	uid_t load_uid;	   /* who asked for the last one, and when */
	uint64_t load_ms;
	const struct session *live; /* of a draft (load.c): whose policy this is to become */
	json_t *next; /* of a record: the policy that was being loaded when a daemon died */

	int fds[CTL_FDS_MAX]; /* of the request, until pinfold-init has them */
	struct channel *init;
	int init_pidfd;
	pid_t init_pid;
	struct watch *init_death;
	int end_fd;    /* the file that takes the end of the command */
	json_t *own;   /* filesystems as pinfold-init told them */
	json_t *homes; /* what it found in /home */
	struct pf_own_fs own_fs[OWN_FS_MAX];
	size_t n_own_fs;
	size_t marks; /* the kernel may have some with numbers below it (policy.h, pf_marks) */

	struct channel *resolver;
	int resolver_pidfd;
	json_t *addresses; /* per database: array of {"ip","port"} */
	struct gate gate;

	struct alarm *deadline, *time_limit, *empty;
	struct conn *reply;	 /* waits for the start */
	struct list summaries;	 /* conns that wait for the end */
	char *reason;		 /* owned: why it ended, once known */
	bool quarantined;	 /* frozen for good */
	json_t *denials;	 /* for `why`: at most DENIALS_KEPT, oldest first */
	struct alarm *why_again; /* the session's copy is due */
	uint64_t why_written_ms;
	struct pf_stats stats;	     /* last read, less what the probe did; final once ENDED */
	struct pf_stats probe_stats; /* what its probe was refused */
	struct counts counts;
	int counts_fd; /* the file that keeps them */
};

/* sessions.c: the objects. */
struct session *session_new(struct daemon *d); /* with a new id; NULL: no memory */
void session_free(struct session *s);
/* Forget its policy, and what was made of it. */
void session_free_policy(struct session *s);
struct session *session_find(struct daemon *d, const char *id_or_name);
struct session *session_by_cgroup(struct daemon *d, uint64_t id);
/* The caller's newest, ended ones included. */
struct session *session_newest(struct daemon *d, uid_t uid);
void session_set_state(struct session *s, enum session_state state);
const char *session_state_name(const struct session *s);
bool session_live(const struct session *s);
void session_read_stats(struct session *s);
/* {"type":"session","session":id,"event":event}; the caller adds what it knows. */
json_t *session_record(const struct session *s, const char *event);

/* start.c: from a request to a running command. */
struct start_error {
	int error; /* positive errno */
	char text[TEXT_MAX];
	char *file; /* owned; NULL: none */
	unsigned line, column;
};
/* Begin; the reply is sent when the command has started or failed. Takes over s->fds etc. */
void session_start(struct session *s);
/* Give up a session that has not started, tell why, and clean up. */
void session_fail(struct session *s, int error, const char *fmt, ...) __printf_like(3, 4);
void session_fail_policy(struct session *s, const struct policy_err *err);
/* The names were looked up: go on. */
void session_resolved(struct session *s);
/* The gate listens, has its credentials and says so: go on. */
void session_gate_ready(struct session *s);

/* setup.c: the texts and lists that pinfold-init is told. */
json_t *setup_message(const struct session *s);
json_t *setup_mark(struct session *s, struct policy_err *err);

/* publish.c: from marks to the kernel's maps. */
int publish_take_marks(struct session *s, const json_t *results, char why[TEXT_MAX]) __must_check;
/* Delete what the kernel has of them, when whoever opens the paths is dead. */
void publish_drop_marks(struct session *s);
int publish(struct session *s, struct policy_err *err) __must_check;
/* The rules of s as the kernel wants them; the caller frees *ret. */
int publish_rules(const struct session *s, struct kern_rule **ret, size_t *ret_n,
		  struct policy_err *err) __must_check;
/* What its policy says about a lease that is over, as the kernel wants it. */
uint32_t publish_unattended(const struct session *s);

/* end.c: from whatever ends it to nothing left. */
void session_kill(struct session *s, const char *reason);
/* pinfold-init is gone, or the start failed: kill what is left and clean up when it is empty. */
void session_end(struct session *s);
/* Watch pid 1; the session ends with it. */
int session_watch_init(struct session *s) __must_check;
int session_arm_time_limit(struct session *s, uint64_t ms) __must_check;

/* gates.c */
int gate_start(struct session *s) __must_check;
void gate_stop(struct session *s);
/* Ask it for an orderly end, in which it cancels what it runs on servers. False: there is none. */
bool gate_ask_end(struct session *s) __must_check;
/* A gate found its way back to a new daemon. Takes over sock and pidfd. */
void gate_reconnected(struct session *s, int sock, int pidfd);
int gate_watch(struct session *s, int pidfd) __must_check;
/* Count a record of the gate that is in the log. */
void gate_count(struct session *s, const json_t *record);

/* resolve.c: look up the host names of a policy in a child; ends in session_resolved(). */
int resolve_start(struct session *s) __must_check;
void resolve_stop(struct session *s);

/* policy_load.c */
/* Put into o, a record or a reply, which policy it is: what it calls itself is its own word. */
int policy_identify(const struct session *s, json_t *o);
int policy_load(struct session *s, const struct ctl_run *run, struct start_error *e) __must_check;
int policy_parse_text(struct session *s, struct policy_err *err) __must_check;

/*
 * cmd_load.c, load.c: another policy for a live session. The request is cmd_policy_load() of
 * conn.h.
 *
 * Tell why there is no other policy: the log, and c (NULL: nobody).
 */
void load_refuse(struct session *s, struct conn *c, uid_t uid, const struct start_error *e);
/* *e gets the error and its place in the draft's policy; returns the negative errno. */
int load_policy_error(const struct session *draft, const struct policy_err *err,
		      struct start_error *e);
/* Give s the policy of draft, and c the answer. Takes over draft. */
void load_begin(struct conn *c, struct session *s, struct session *draft);
/* The session ends, and so does what is being loaded into it. */
void load_abort(struct session *s);
void load_free(struct session *s);
void load_forget_client(struct session *s, const struct conn *c);
/* For the record: the policy that will be in force should pf_session.policy say so; NULL: none. */
json_t *load_describe(const struct session *s);
/* After a restart: take what an earlier daemon was loading, if it came as far as the kernel. */
int load_settle(struct session *s, uint32_t policy_in_force) __must_check;

/* secrets.c: the password of a database: owned by the caller, to be wiped. */
int secret_read(const struct policy_secret *secret, char **ret, char why[TEXT_MAX]) __must_check;
void secret_free(char *secret);
int trusted_file_read(const char *path, mode_t forbidden, size_t max, char **ret,
		      char why[TEXT_MAX]) __must_check;

/* records.c: /run/pinfold/sessions/<id>.json, what a new daemon needs to take a session over. */
int record_write(const struct session *s) __must_check;
/* The same after what is decided already: whatever fails is logged, no more. */
void record_update(const struct session *s);
void record_remove(const struct session *s);
int record_open_end(struct session *s, bool make) __must_check;
int record_read(struct daemon *d, const char *id, struct session **ret) __must_check;
/* Only the policy of s, as a part of its record, and back into an s that has none. */
json_t *record_policy(const struct session *s);
int record_take_policy(struct session *s, const json_t *o) __must_check;
/* The file of s->counts: read, or made. */
int counts_open(struct session *s) __must_check;
void counts_write(const struct session *s);
/* Call fn with each id that has a record. */
int record_each(struct daemon *d, void (*fn)(struct daemon *d, const char *id)) __must_check;

/* denials.c: what the kernel refused, in words. */
json_t *denial_record(const struct session *s, const struct pf_event *ev);
/* Whether a record of the log tells of something that was refused, by the kernel or by a gate. */
bool denial_is(const json_t *record);
/* Keep it for `why`. */
void denials_add(struct session *s, const json_t *record);
/* The reply to `why`. */
json_t *denials_body(const struct session *s);

/* inside.c: files in the session's own read-only /run/pinfold. */
/* Replace the file called name. */
int inside_replace(const struct session *s, const char *name, const char *text) __must_check;
/* Write CTL_WHY_FILE now, or soon. */
int why_write(struct session *s) __must_check;
void why_changed(struct session *s);

#endif
