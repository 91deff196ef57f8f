/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal, pipes, signals and exit status of a session, between the caller and pinfold-init.
 * The daemon is not on this path: it may die without any of them noticing.
 *
 * The run channel, one JSON object a message:
 *   from init  {"pty":true} with the master's descriptor, {"started":{}}, {"stopped":signal},
 *              {"exited":code}, {"signaled":signal}, {"failed":"text","code":125|126|127}
 *   to init    {"signal":n}, {"cont":true}
 */
#ifndef CLI_RELAY_H
#define CLI_RELAY_H

#include <jansson.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "cli/pump.h"
#include "cli/term.h"

enum relay_pump {
	RELAY_PTY_IN,  /* keys to the session's terminal */
	RELAY_PTY_OUT, /* what it shows */
	RELAY_STDIN,   /* sockets, which do not enter a session: a pipe stands for each */
	RELAY_STDOUT,
	RELAY_STDERR,
	RELAY_PUMPS,
};

struct relay {
	struct term term;
	struct pump pumps[RELAY_PUMPS];
	int session_fds[3]; /* what stands for stdin, stdout, stderr in the session; owned */
	int channel;	    /* owned */
	int ctl;	    /* connection with the request for the session on it; borrowed */
	int signals;	    /* signalfd; owned */
	int master;	    /* of the session's terminal; owned */
	bool started;
	bool ended;	  /* the command has: status holds */
	bool refused;	  /* by the daemon: reply says why */
	bool killed;	  /* init ended without saying how the command did */
	bool interrupted; /* by a signal before the command started: status holds */
	int status;	  /* as a shell has it: 128 + signal */
	char *failure;	  /* init's text when the command could not be started; owned */
	json_t *reply;	  /* the daemon's; owned; NULL: it closed the connection */
};

/*
 * Look at the three descriptors, make pipes for sockets and take over signals. Pair with
 * relay_free(). 0 or -errno.
 */
int relay_init(struct relay *r) __must_check;
void relay_free(struct relay *r);
#define __cleanup_relay __cleanup(relay_free)

/*
 * Relay until the session has ended and all its output is written. channel is taken over; ctl is
 * where the daemon's answer comes.
 */
void relay_run(struct relay *r, int channel, int ctl);

#endif
