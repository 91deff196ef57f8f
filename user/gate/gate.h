/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate as a whole: listeners, endpoints, connections, parser, cache and recorder of one
 * session, in one loop and one thread.
 */
#ifndef GATE_GATE_H
#define GATE_GATE_H

#include <uv.h>

#include "base/list.h"
#include "gate/config.h"
#include "gate/parser.h"
#include "gate/record.h"
#include "gate/tls.h"
#include "gate/upstream.h"
#include "gate/verdict.h"

struct listener {
	uv_poll_t poll;
	int fd;
	struct gate *gate;
	struct endpoint *ep;
};

struct gate {
	uv_loop_t loop;
	struct gate_config config;
	struct tls_server tls;
	struct parser parser;
	struct vcache *cache;
	struct recorder recorder;
	struct endpoint *endpoints; /* config.n_endpoints, in that order */
	struct listener *listeners;
	struct list conns;
	size_t n_conns;
	uint64_t last_conn;
	uint32_t pid_salt; /* makes the process numbers that clients are told */
	uv_idle_t turn;	   /* runs while a connection has more to do than one turn allows */
	uv_signal_t term;
	uv_timer_t limit; /* of the orderly end */
	bool stopping;	  /* told to end */
	bool hurry;	  /* and to wait for no server any more */
};

/*
 * Read the start-up message from control, open everything, answer "ready" or "failed" there, and
 * serve until SIGTERM. What runs on a server then is cancelled, and waited for as long as
 * GATE_END_MS allows, or until a second SIGTERM. control and zygote (parser.h) are owned from now
 * on. -errno.
 */
int gate_run(int control, int zygote) __must_check;

/* For conn*.c: a connection has more to do; it is pumped again next turn. */
void gate_again(struct gate *g);
/* Start serving a connection that was accepted. fd is owned from now on. */
void conn_open(struct gate *g, struct endpoint *ep, int fd);
/* All connections with work left over from the last turn. */
bool conn_turn(struct gate *g);
/* CancelRequest: the connection of this gate that was told this pid and key, if it is busy. */
void conn_cancel(struct gate *g, struct endpoint *ep, uint32_t pid, uint32_t key);
void conn_close_all(struct gate *g);

#endif
