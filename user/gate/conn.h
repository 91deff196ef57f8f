/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of the session to an endpoint: its state, what it is owed, and how the files
 * conn*.c share the work. Nothing outside of them includes this.
 *
 *   conn.c	  life and death, the pump between two streams
 *   conn_start.c first packets, TLS, login
 *   conn_query.c messages of the client
 *   conn_tx.c	  transactions, which are the gate's
 *   conn_reply.c messages of the server
 *
 * A batch is a simple query, or extended messages up to Sync. One batch is in flight at a time, so
 * when the next begins its predecessor's outcome is known. Everything that the client is owed
 * within a batch is an op in a queue: replies of the server consume ops in order, and what the gate
 * answers itself waits in the same queue for its turn.
 */
#ifndef GATE_CONN_H
#define GATE_CONN_H

#include "gate/gate.h"
#include "gate/names.h"
#include "gate/parser.h"
#include "gate/pgwire.h"
#include "gate/stream.h"
#include "gate/upstream.h"

enum conn_state {
	CONN_START, /* first packets */
	CONN_TLS,   /* handshake with the client */
	CONN_LOGIN, /* waiting for an upstream connection */
	CONN_SETUP, /* the client's start-up settings are on their way */
	CONN_IDLE,  /* between batches */
	CONN_BATCH, /* extended messages, no Sync yet */
	CONN_SKIP,  /* refused something: swallowing up to Sync */
	CONN_ASK, /* the message at the front waits for a verdict; resume says where it came from */
	CONN_DRAIN,   /* batch complete, replies outstanding */
	CONN_CLOSING, /* last words on their way out */
	CONN_DEAD,
};

enum op_type {
	OP_LOCAL,    /* bytes of the gate's own */
	OP_READY,    /* ReadyForQuery of the gate's own: nothing went upstream in this batch */
	OP_INTERNAL, /* a statement of the gate's: swallowed up to CommandComplete */
	OP_PARSE,
	OP_BIND,
	OP_DESCRIBE,	  /* RowDescription or NoData */
	OP_DESCRIBE_STMT, /* ParameterDescription before it */
	OP_EXECUTE,
	OP_CLOSE,
	OP_SYNC,
};

/* What the completion of an op does to the client's transaction. */
enum tx_effect {
	TX_NO_EFFECT,
	TX_BEGINS,
	TX_ENDS,
};

struct op {
	enum op_type type;
	enum tx_effect effect;
	bool hidden;		 /* the client does not see the reply */
	bool quiet;		 /* OP_DESCRIBE: NoData is not told (simple query) */
	bool snapshot;		 /* OP_INTERNAL: its row must say "on" */
	bool copying;		 /* OP_EXECUTE: COPY data is on its way */
	bool parsing;		 /* OP_INTERNAL: a ParseComplete is due first */
	bool bound;		 /* OP_INTERNAL: BindComplete has come */
	uint32_t repeat;	 /* OP_CLOSE: further replies like this one */
	const char *tag;	 /* answered instead of the server's, static; NULL = the server's */
	struct name *name;	 /* statement or portal concerned, one reference */
	struct verdict *verdict; /* OP_PARSE, OP_BIND, OP_EXECUTE: for the record, one reference */
	uint64_t started_ns, rows, bytes;
	uint8_t *data; /* OP_LOCAL: owned */
	size_t len;
};

/* A ring that grows up to GATE_OPS_MAX and what one message adds to it. */
struct ops {
	struct op *ring;
	size_t head, n, size;
};

/*
 * The transaction twice: as it will be when everything sent has been done, and (client_open) as it
 * is known to be. They meet when a batch ends.
 */
struct tx {
	bool client;	   /* the client is in a transaction of its own */
	bool up_open;	   /* BEGIN READ ONLY was sent */
	bool snapshot;	   /* and the snapshot fixed */
	bool keep;	   /* a SET in it is to last: end it with COMMIT */
	bool failed;	   /* the server is left in a failed one of the gate's */
	bool used;	   /* code of the database's may have run in it: it cannot be committed */
	bool client_open;  /* confirmed */
	uint8_t isolation; /* enum sql_isolation of this transaction */
	bool deferrable;
	uint8_t default_isolation; /* SET SESSION CHARACTERISTICS */
};

/*
 * Settings that are to outlive the client's transaction, in their order, with the savepoints
 * between them: one reference each.
 */
struct kept {
	struct verdict **list;
	size_t n, size;
	size_t settled; /* of them, those before this batch */
};

struct conn {
	struct list link; /* in gate.conns */
	struct gate *gate;
	struct endpoint *ep;
	uint64_t id;
	enum conn_state state, resume;
	struct stream client;
	uv_timer_t timer; /* deadline of the first packets */
	int handles;	  /* of the loop, still open */
	struct upstream_user user;
	struct upstream *up; /* ours from login to release; NULL = none */
	uint32_t pid, key;   /* what the client was told */

	struct ask ask;		 /* ask.verdict is ours while asking */
	struct verdict *verdict; /* answered, for the message at the front */
	struct verdict *seen;	 /* parsed or bound by the server last in this batch, and neither
				  * executed nor recorded yet; one reference */

	struct names statements, portals;
	struct ops ops;
	struct tx tx;
	struct kept kept;
	bool batch_up;	   /* this batch has sent something upstream */
	bool batch_failed; /* the server has refused something in it */
	bool flush_asked;  /* a Flush of ours is out */
	uint32_t row_left; /* bytes of the current row or COPY message still to come */
	uint32_t stray_copy;
	bool pumping, again;
	bool ssl_asked, gss_asked, direct_tls;

	char *setup[16]; /* names and values in turn, owned */
	size_t n_setup;
	struct buf negotiate; /* names of refused protocol options */
	uint32_t n_negotiate;
	bool minor_refused; /* a newer 3.x was asked for */
};

/* conn.c */
void conn_set_state(struct conn *c, enum conn_state state);
/* Do whatever can be done now. May free nothing; the connection may be dead afterwards. */
void conn_pump(struct conn *c);
/* Close both legs because a rule of the catalogue says so: recorded, told, closed. Returns -EPERM.
 */
int conn_kill(struct conn *c, const char *rule, const char *reason);
/* Say why (may be NULL) and close when it has been said. */
void conn_end(struct conn *c, const char *sqlstate, const char *message);
/* Close at once. */
void conn_abort(struct conn *c, const char *reason);
/* From now on the client's start may take GATE_LOGIN_MS. */
void conn_hurry(struct conn *c);
/* The upstream connection, if any, goes back. */
void conn_release(struct conn *c);

int op_push(struct conn *c, struct op op) __must_check;
struct op *op_head(struct conn *c);
void op_pop(struct conn *c);
void ops_clear(struct conn *c);
/* Answer with the bytes in b (emptied), in turn. */
int op_push_local(struct conn *c, struct buf *b, enum tx_effect effect) __must_check;
/* Emit what stands at the head of the queue and needs no reply of the server. */
int ops_run_local(struct conn *c) __must_check;

/* conn_start.c */
int start_read(struct conn *c) __must_check;
int start_handshake(struct conn *c) __must_check;
int start_finish(struct conn *c) __must_check;
void start_user_init(struct conn *c);

/*
 * conn_query.c: one whole message of the client. 0 = done with it; -EAGAIN = it waits for a
 * verdict and stays; another error closes the connection.
 */
int query_message(struct conn *c, const struct pg_msg *m) __must_check;
void query_answered(struct ask *a);
/* Refuse: ErrorResponse of this result, in turn. */
int query_refuse(struct conn *c, const struct sql_result *r) __must_check;
int query_error(struct conn *c, const char *sqlstate, const char *message) __must_check;

/* conn_tx.c */
/* Statements that the gate carries out itself, in the simple and in the extended protocol. */
bool tx_is_local(const struct verdict *v);
/* Do what such a statement asks for: its answer is queued. */
int tx_local(struct conn *c, struct verdict *v) __must_check;
/* Statements that are sent on, inside the gate's transaction. */
bool tx_is_forward(const struct verdict *v);
/* The text to send for it: its own, or one rebuilt from the verdict into b. */
int tx_text(const struct verdict *v, struct buf *b, struct pg_text *ret) __must_check;
/* Why it cannot run here and now, although it is allowed; NULL = it can. */
const struct pg_error *tx_refuses(const struct conn *c, const struct verdict *v);
/* Make sure that the upstream transaction is open for v, and cannot be made READ WRITE by it. */
int tx_ensure(struct conn *c, const struct verdict *v) __must_check;
/* v is about to run in it. */
int tx_note(struct conn *c, struct verdict *v) __must_check;
/* Forget all that is to outlive the transaction. */
void tx_forget(struct conn *c);
/* The batch is complete: close what is the gate's, ask for ReadyForQuery. */
int tx_sync(struct conn *c) __must_check;
/*
 * The batch is over: *status is the server's word (0: it was not asked), and becomes the one to
 * tell the client. -EPROTO when the server's transaction is not where it must be.
 */
int tx_settle(struct conn *c, uint8_t *status) __must_check;
/* Between batches: end the failed transaction that the last one may have left. */
int tx_recover(struct conn *c) __must_check;
/* A request to cancel what this connection did is still on its way to the server. */
bool tx_cancelling(const struct conn *c);

/* conn_reply.c */
/* Handle what is in the server's buffer as far as the client's has room. -errno. */
int reply_process(struct conn *c) __must_check;
/* Record what was sent and will not be answered any more: it may have run. */
void reply_unfinished(struct conn *c);
/* The client is told ReadyForQuery, the batch is over. */
int reply_ready(struct conn *c, uint8_t status) __must_check;

#endif
