/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to the real database: transport, login, the statements that the gate itself needs,
 * and a small pool of logged-in connections per endpoint. Between login and release a connection
 * belongs to one user; what that user sends and reads is no business of this module. One thread.
 */
#ifndef GATE_UPSTREAM_H
#define GATE_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"
#include "gate/config.h"
#include "gate/pgwire.h"
#include "gate/scram.h"
#include "gate/stream.h"

struct recorder;

/*
 * The gate's own statements on every connection. Their names, and those that the gate gives to a
 * client's, begin with UP_NAME_PREFIX; a client cannot name such a statement in SQL.
 */
#define UP_NAME_PREFIX "pf:"
enum up_statement {
	UP_BEGIN, /* default isolation; the next four follow enum sql_isolation */
	UP_BEGIN_DEFERRABLE = UP_BEGIN + 5, /* serializable */
	UP_ROLLBACK,
	UP_COMMIT,
	UP_SNAPSHOT, /* fixes the snapshot, and answers whether the transaction is read-only */
	UP_STATEMENTS,
};
const char *up_statement_name(enum up_statement which);

enum upstream_state {
	UP_CONNECTING,
	UP_TLS_ASKED,
	UP_TLS,
	UP_LOGIN,  /* StartupMessage sent, authentication */
	UP_SETTLE, /* authenticated, parameters and key on their way */
	UP_ARMING, /* preparing the gate's statements, or resetting between users */
	UP_READY,
	UP_CANCEL, /* a CancelRequest was sent, the server will hang up */
	UP_LINGER, /* given up while it was busy: muted and cancelled until the server hangs up */
	UP_DEAD,
};

/* Who uses a connection. Embedded in the user; ready or failed is called once, from the loop. */
struct upstream;
struct upstream_user {
	void (*ready)(struct upstream_user *u, struct upstream *up);
	/* The connection is gone already. Borrowed texts. */
	void (*failed)(struct upstream_user *u, const char *sqlstate, const char *why);
	/* While it is ready: something to read, room to write, or the end. */
	void (*event)(struct upstream_user *u);
};

struct param {
	char *name, *value;
};

struct params {
	struct param list[GATE_SERVER_PARAMS_MAX];
	size_t n;
};

struct endpoint {
	const struct endpoint_config *config;
	struct recorder *recorder;
	uv_loop_t *loop;
	SSL_CTX *tls;	  /* NULL when off */
	struct list idle; /* ready, nobody's; the most recently used last */
	size_t n_idle, n_lingering;
	struct list all; /* every upstream, for closing */
	bool closing;
	bool warned; /* that its server proves nothing */
};

struct upstream {
	struct stream s;
	struct list link; /* in endpoint.idle, or alone */
	struct list all;
	struct endpoint *ep;
	struct upstream_user *user; /* NULL = nobody waits */
	enum upstream_state state;
	uv_timer_t timer;   /* login or idle deadline */
	size_t address;	    /* index of the one in use */
	int auth;	    /* enum auth_step of login.c */
	const char *method; /* of the authentication, static */
	struct scram scram;
	const char *expect; /* message types still to come while arming */
	struct params params, baseline;
	uint32_t pid, key;
	uint8_t status;		     /* of the last ReadyForQuery */
	char refused[PG_STATE_SIZE]; /* SQLSTATE with which the server refused the login, or "" */
	bool cancel;		     /* a connection for a CancelRequest only */
	uint32_t cancel_pid, cancel_key;
	bool cancelled;		      /* a CancelRequest for this one may be on its way */
	unsigned int cancel_pause_ms; /* before it is sent again */
	size_t lingered;	      /* bytes thrown away in UP_LINGER */
	int handles;		      /* of the loop, still open */
};

int endpoint_open(struct endpoint *ep, uv_loop_t *loop, const struct endpoint_config *config,
		  struct recorder *recorder, const char **why) __must_check;
/* It takes no user any more: only what lingers, and requests to cancel, are left. */
void endpoint_retire(struct endpoint *ep);
void endpoint_close(struct endpoint *ep);
/* Log one connection in ahead of the first client. */
void endpoint_warm(struct endpoint *ep);

/* A ready connection for u at once (returned, user set), or NULL: u->ready or u->failed follows. */
struct upstream *upstream_get(struct endpoint *ep, struct upstream_user *u, int *ret_error);
/* u does not want to wait any longer. Logins that nobody waits for are no more than may be idle. */
void upstream_forget(struct endpoint *ep, struct upstream_user *u);
/*
 * Give a connection back. Quiet: no reply is outstanding, so it can be reset and used again; else
 * what it is doing is cancelled, and it lingers until the server has ended it.
 */
void upstream_release(struct upstream *up, bool quiet);
/*
 * Ask the server to cancel what up is doing, at once and then with growing pauses until
 * upstream_settled() or the last of them: a request that comes while the server is between two
 * messages has no effect.
 */
void upstream_cancel(struct upstream *up);
/* What was to be cancelled is over. */
void upstream_settled(struct upstream *up);
/* A request to cancel is on its way to it; when that has ended its user gets an event. */
bool upstream_cancelling(const struct upstream *up);
void upstream_close(struct upstream *up);

/*
 * Take a ParameterStatus. -EPROTO when it changes what must not change: the encoding, how strings
 * are read, read-only by default (P20, P22, P35). -ENOMEM, -E2BIG.
 */
int upstream_param(struct upstream *up, struct pg_text name, struct pg_text value) __must_check;
const char *upstream_get_param(const struct upstream *up, const char *name);

/* login.c: what follows on an established transport. */
int login_start(struct upstream *up) __must_check;
/* One whole message while in UP_LOGIN, UP_SETTLE or UP_ARMING. *why and *sqlstate name a failure.
 */
int login_message(struct upstream *up, const struct pg_msg *m, const char **sqlstate,
		  const char **why) __must_check;
int login_reset(struct upstream *up) __must_check;
/* Log the text of an ErrorResponse that must not reach the session. */
void login_log_error(const struct upstream *up, const struct pg_msg *m);
void params_free(struct params *p);

#endif
