/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every bound of the gate in one place: what a session or a server may make it hold, and how long
 * it waits. Each is tested at the limit and one past it where that is cheap.
 */
#ifndef GATE_LIMITS_H
#define GATE_LIMITS_H

/*
 * Connections of the session at one time, over all endpoints; those to a server that are only
 * waited for, because their client left in the middle of a statement, count.
 */
#define GATE_CLIENTS_MAX 1024
/* Prepared statements and portals of one connection. */
#define GATE_STATEMENTS_MAX 1024
#define GATE_PORTALS_MAX 256
/* Bytes of a statement's or portal's name in the protocol. */
#define GATE_NAME_MAX 1024

/* Message bodies of a client. PostgreSQL's own limit for the startup packet is 10000. */
#define GATE_STARTUP_MAX 10000
#define GATE_QUERY_MAX (1024 * 1024)
#define GATE_BIND_MAX (16 * 1024 * 1024)
#define GATE_SMALL_MAX 8192
/* Settings and savepoints of one transaction that may have to be set again when it ends. */
#define GATE_KEPT_MAX 256
/* CopyData, CopyDone and CopyFail outside of a COPY: swallowed up to this many (P18). */
#define GATE_STRAY_COPY_MAX 1000
/* Replies that one batch may wait for before the client is made to wait. */
#define GATE_OPS_MAX 1024

/*
 * Messages of a server that are read whole; rows and COPY data are streamed and have no bound but
 * the protocol's own (1 GiB - 1).
 */
#define GATE_SERVER_MSG_MAX (2 * 1024 * 1024)
#define GATE_SERVER_ROW_MAX 0x3fffffff
#define GATE_SERVER_PARAMS_MAX 64
#define GATE_SERVER_PARAM_SIZE 256
/* A challenge that asks for more work than this is hostile; less is a downgrade. */
#define GATE_SCRAM_ITERATIONS_MIN 4096
#define GATE_SCRAM_ITERATIONS_MAX 600000

/* Bytes waiting for a slow reader above which the other side is not read; one read's room. */
#define GATE_OUT_HIGH (256 * 1024)
#define GATE_READ_SIZE (32 * 1024)
/* Bytes that one connection may move in one turn of the loop. */
#define GATE_TURN_BYTES (1024 * 1024)

/* Upstream connections kept logged in without a client, per endpoint, and for how long. */
#define GATE_POOL_IDLE_MAX 4
#define GATE_POOL_IDLE_MS (5 * 60 * 1000)
/* A login, upstream or downstream, from the first packet to the last. */
#define GATE_LOGIN_MS (15 * 1000)
/*
 * A request to cancel is sent again after a pause, and after twice that each time until the pause
 * would be the longest: 25 s in all. And what a connection that is only waited for may still send.
 */
#define GATE_CANCEL_PAUSE_MS 100
#define GATE_CANCEL_PAUSE_MAX_MS (128 * GATE_CANCEL_PAUSE_MS)
#define GATE_LINGER_BYTES (64 * 1024 * 1024)
/* At the gate's end such connections have this long, all together. */
#define GATE_END_MS 1000

/*
 * The boxed parser: processor time for one text, after which the kernel ends the worker; time on
 * the clock, which only a stopped worker reaches (a busy machine is no reason to deny); texts in
 * flight; and when a worker is replaced.
 */
#define GATE_PARSE_CPU_MS 200
#define GATE_PARSE_MS 3000
#define GATE_PARSE_WINDOW 16
#define GATE_PARSER_LIFE_TEXTS 1000000
#define GATE_PARSER_CPU_SEC 120
#define GATE_PARSER_LIFE_BUSY_MS (60 * 1000)
#define GATE_PARSER_AS_BYTES (1024UL * 1024 * 1024)
#define GATE_PARSER_STACK_BYTES (64UL * 1024 * 1024)

/* Verdict cache: bytes in all, and the longest text worth keeping. */
#define GATE_CACHE_BYTES (16 * 1024 * 1024)
#define GATE_CACHE_TEXT_MAX (16 * 1024)

/* Audit: one message, what is held while nobody reads, and how long an allowed one may wait. */
#define GATE_AUDIT_MSG_MAX (32 * 1024)
#define GATE_AUDIT_HELD_MAX (4 * 1024 * 1024)
#define GATE_AUDIT_TEXT_MAX 256
#define GATE_AUDIT_DELAY_MS 10
#define GATE_AUDIT_RETRY_MS 1000

/* The start-up message, and endpoints in it. */
#define GATE_CONFIG_MAX (256 * 1024)
#define GATE_ENDPOINTS_MAX 64
#define GATE_ADDRESSES_MAX 16

#endif
