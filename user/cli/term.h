/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's terminal while a session runs: when its keys go to the session, in which mode, and
 * back to what it was on every way out.
 */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include <stdbool.h>
#include <termios.h>

#include "ctl/ctl.h"

enum term_mode {
	TERM_NONE,   /* no terminal among the three descriptors, or none that is read from */
	TERM_RAW,    /* stdin and stdout: each key goes to the session as it is typed */
	TERM_COOKED, /* stdin, not stdout: lines, so that ^C still reaches a whole pipeline */
};

struct term {
	enum term_mode mode;
	bool is_tty[3];	      /* of stdin, stdout, stderr */
	int out;	      /* where the session's terminal output goes; -1: no terminal at all */
	bool raw;	      /* the terminal is in raw mode, set by us */
	bool readable;	      /* its keys are for the session now */
	bool due;	      /* the session's terminal has not got its settings yet */
	struct termios saved; /* settings before we came; valid unless mode is TERM_NONE */
};
#define TERM_INIT ((struct term){.out = -1})

void term_look(struct term *t);
/* What "run" tells the daemon; false: no terminal. */
bool term_request(const struct term *t, struct ctl_tty *ret);

/* Give the session's terminal the settings that fit this one, and its size. */
void term_adopt(struct term *t, int master);
void term_copy_size(const struct term *t, int master);

/*
 * Take the terminal when the caller's shell lets us: call it on every round, since nothing tells
 * when a job is moved to the foreground. master: the session's terminal.
 */
void term_update(struct term *t, int master);
/* Back to what it was. Harmless when nothing was changed. */
void term_restore(struct term *t);
#define __cleanup_term __cleanup(term_restore)

#endif
