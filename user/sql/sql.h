/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statement classifiers: bytes in, verdict out. Pure: no I/O, no clock, no state that outlives a
 * call. What is not fully understood is denied; every switch inside is an allow-list.
 *
 * A verdict says that nothing in the text asks for a write. It cannot say what a view, an operator,
 * a cast or an overload in the database will run: the server has to be held read-only as well.
 */
#ifndef SQL_SQL_H
#define SQL_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* Bytes of one text; PostgreSQL tokens, parse tree nodes and nesting in one. */
#define SQL_TEXT_MAX (256 * 1024)
#define SQL_TOKENS_MAX 20000
#define SQL_NODES_MAX 50000
#define SQL_DEPTH_MAX 500

/* An identifier and its NUL: PostgreSQL cuts names at 63 bytes, longer ones are denied. */
#define SQL_NAME_SIZE 64
/* The value of a SET and its NUL; a longer one is denied. */
#define SQL_VALUE_SIZE 512
/* Room for "<construct> ... name" with two names of 63 bytes, and for the longest fixed hint. */
#define SQL_REASON_SIZE 224
#define SQL_HINT_SIZE 160
#define SQL_RULE_SIZE 8
#define SQL_STATE_SIZE 6

enum sql_dialect {
	SQL_POSTGRES,
};

enum sql_verdict {
	/*
	 * Refuse this statement in the protocol's own words, stay connected. With sqlstate 42601 it
	 * is a plain syntax error, no offence.
	 */
	SQL_DENY = 0,
	SQL_ALLOW, /* do what kind says */
	SQL_KILL,  /* close both legs */
};

/*
 * What an allowed statement is, and what the gate owes it. "Forward" means: send this very text to
 * the server, inside the read-only transaction that the gate owns. In the extended protocol a text
 * is classified at Parse, and what its kind asks for is done at Execute.
 */
enum sql_kind {
	SQL_KIND_NONE = 0, /* not allowed */
	SQL_KIND_EMPTY,	   /* no statement at all: answer EmptyQueryResponse */
	SQL_KIND_SELECT,   /* SELECT, VALUES, TABLE: forward */
	SQL_KIND_EXPLAIN,  /* of something allowed: forward */
	SQL_KIND_SHOW,	   /* name: forward */
	SQL_KIND_COPY_OUT, /* COPY ... TO STDOUT: forward */
	/* Cursors: forward. They live in the client's transaction, under name ("" = CLOSE ALL). */
	SQL_KIND_DECLARE,
	SQL_KIND_FETCH, /* FETCH and MOVE */
	SQL_KIND_CLOSE,
	/*
	 * SQL-level prepared statements. They share one name space with the protocol's: when the
	 * gate renames those, it has to take name into the same map, per client, and forget it with
	 * the server connection. The inner statement of PREPARE was classified, so all that EXECUTE
	 * can reach has been allowed; a name not in the map is answered 26000. Forward.
	 */
	SQL_KIND_PREPARE,
	SQL_KIND_EXECUTE,
	SQL_KIND_DEALLOCATE, /* name "" = ALL: only this client's */
	/*
	 * One setting: name (lower case), value (checked), local. The value is in the syntax of
	 * set_config(): for search_path a list of quoted names. When returns_row is set the text
	 * was SELECT set_config(...) and the client expects its row. Forward.
	 */
	SQL_KIND_SET,
	SQL_KIND_RESET,	      /* as SET ... TO DEFAULT */
	SQL_KIND_RESET_ALL,   /* never forward: RESET ALL would drop the gate's own settings */
	SQL_KIND_DISCARD_ALL, /* never forward: likewise, and it drops prepared statements */
	/* Transaction control: never forward, the gate owns the transaction. See tx. */
	SQL_KIND_BEGIN,
	SQL_KIND_COMMIT, /* COMMIT and END; nothing was written, so a ROLLBACK serves */
	SQL_KIND_ROLLBACK,
	SQL_KIND_SAVEPOINT,	      /* name */
	SQL_KIND_RELEASE,	      /* name */
	SQL_KIND_ROLLBACK_TO,	      /* name */
	SQL_KIND_SET_TRANSACTION,     /* for this transaction */
	SQL_KIND_SET_CHARACTERISTICS, /* for the session's later transactions */
	SQL_KIND_LOCK_NOOP,	      /* ... IN ACCESS SHARE MODE: answer LOCK TABLE, do nothing */
	SQL_KIND_COUNT
};

enum sql_isolation {
	SQL_ISOLATION_UNSET = 0,
	SQL_READ_UNCOMMITTED,
	SQL_READ_COMMITTED,
	SQL_REPEATABLE_READ,
	SQL_SERIALIZABLE,
	SQL_ISOLATION_COUNT
};

/* What a transaction statement asked for. READ WRITE is never among it: that is denied (P32). */
struct sql_tx {
	uint8_t isolation; /* enum sql_isolation */
	bool read_only;	   /* asked for in so many words */
	bool deferrable;
	bool chain; /* COMMIT/ROLLBACK AND CHAIN */
};

/*
 * The answer. Flat, without pointers, so that it can cross from the process that parses to the one
 * that decides; there sql_result_check() makes it safe to read.
 */
struct sql_result {
	uint8_t verdict;	  /* enum sql_verdict */
	uint8_t kind;		  /* enum sql_kind */
	bool literal_independent; /* the same verdict and kind hold for any literals in this text */
	bool local;		  /* SET LOCAL */
	bool is_default;	  /* SET ... TO DEFAULT */
	bool returns_row;	  /* SELECT set_config(...) */
	struct sql_tx tx;
	uint32_t statements;  /* in the text; 0 when it was not parsed */
	uint32_t position;    /* of the offence: characters from 1, as PostgreSQL's; 0 = unknown */
	uint64_t fingerprint; /* of the tokens with literals folded. Not keyed, 64 bits: to group
			       * and to name, never to look up a verdict by (P70) */
	char rule[SQL_RULE_SIZE];      /* catalogue row that decided, as "P24" */
	char sqlstate[SQL_STATE_SIZE]; /* of the refusal */
	char reason[SQL_REASON_SIZE];  /* of the refusal, one line: "UPDATE is a write" */
	char hint[SQL_HINT_SIZE];      /* the legal alternative, or "" */
	char name[SQL_NAME_SIZE];      /* see enum sql_kind; any bytes: quote it to send it on */
	char value[SQL_VALUE_SIZE];
};

/*
 * Refuse what must not reach a parser: too long, a NUL inside, not UTF-8 (P11, P21, P67). Cheap
 * (one pass), safe on any bytes, meant for the gate's own process. 0, or -EINVAL with *ret filled
 * in as a refusal; *ret untouched on 0. Thread-safe.
 */
int sql_precheck(const char *text, size_t len, struct sql_result *ret) __must_check;

/*
 * Classify text[len] (no NUL needed behind it). Does sql_precheck() itself. 0 with *ret filled in,
 * also for refusals; -ENOMEM, -ENOTSUP (dialect): *ret untouched, to be treated as a refusal.
 *
 * It runs a parser written in C on hostile text: call it in the boxed process only, and treat a
 * crash or silence as a refusal. Bounded: at most SQL_TEXT_MAX bytes, SQL_TOKENS_MAX tokens,
 * SQL_NODES_MAX nodes; some tens of MiB; no recursion of its own. The parser keeps its state per
 * thread, so threads may call it at the same time.
 */
int sql_classify(enum sql_dialect dialect, const char *text, size_t len,
		 struct sql_result *ret) __must_check;

/*
 * Make a result from an untrusted process safe to use: numbers in range, texts ended and printable.
 * -EBADMSG when it cannot have come from sql_classify(); treat as a refusal. Thread-safe.
 */
int sql_result_check(struct sql_result *r) __must_check;

/* "allow", "deny", "kill"; "deny" for unknown numbers. Static. Thread-safe. */
const char *sql_verdict_name(unsigned int verdict);

/* "select", "set", ...: a word for logs; "none" for unknown numbers. Static. Thread-safe. */
const char *sql_kind_name(unsigned int kind);

#endif
