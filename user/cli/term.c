/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's terminal while a session runs.
 */
#include "cli/term.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"

void term_look(struct term *t)
{
	*t = TERM_INIT;
	for (int fd = 0; fd < 3; fd++)
		t->is_tty[fd] = isatty(fd);
	for (int fd = 0; fd < 3; fd++)
		if (t->is_tty[fd] && (t->out < 0 || fd == STDOUT_FILENO))
			t->out = fd;
	if (t->out == STDIN_FILENO && t->is_tty[STDERR_FILENO])
		t->out = STDERR_FILENO;
	if (t->is_tty[STDIN_FILENO] && tcgetattr(STDIN_FILENO, &t->saved) == 0)
		t->mode = t->is_tty[STDOUT_FILENO] ? TERM_RAW : TERM_COOKED;
}

bool term_request(const struct term *t, struct ctl_tty *ret)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};

	if (t->out < 0)
		return false;
	(void)ioctl(t->out, TIOCGWINSZ, &size); /* the usual size will do */
	*ret = (struct ctl_tty){
		.in = t->is_tty[STDIN_FILENO],
		.out = t->is_tty[STDOUT_FILENO],
		.err = t->is_tty[STDERR_FILENO],
		.rows = size.ws_row < CTL_TTY_SIZE_MAX ? size.ws_row : CTL_TTY_SIZE_MAX,
		.cols = size.ws_col < CTL_TTY_SIZE_MAX ? size.ws_col : CTL_TTY_SIZE_MAX,
	};
	return true;
}

static bool in_foreground(void)
{
	pid_t group = tcgetpgrp(STDIN_FILENO);

	return group < 0 || group == getpgrp(); /* < 0: not the controlling terminal */
}

void term_adopt(struct term *t, int master)
{
	struct termios s = {0};

	if (tcgetattr(master, &s) < 0)
		return; /* a master that is gone shows up when it is read */
	if (t->mode == TERM_RAW) {
		/* In the background the settings are those with which a shell edits its line. */
		t->due = !in_foreground();
		if (!t->due && (t->raw || tcgetattr(STDIN_FILENO, &t->saved) == 0))
			s = t->saved;
	} else {
		/* this terminal goes on doing both: neither may happen twice */
		s.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
		s.c_oflag &= ~(tcflag_t)OPOST;
	}
	(void)tcsetattr(master, TCSANOW, &s); /* as above */
	term_copy_size(t, master);
}

/* Are these the settings of a new pseudo-terminal? */
static bool are_fresh(const struct termios *s)
{
	__cleanup_fd int other = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios fresh = {0};

	return other >= 0 && tcgetattr(other, &fresh) == 0 && memcmp(s, &fresh, sizeof(fresh)) == 0;
}

/* The settings that were due, unless the session has made its own meanwhile. */
static void adopt_due(struct term *t, int master)
{
	struct termios s = {0};

	t->due = false;
	if (tcgetattr(master, &s) == 0 && are_fresh(&s))
		(void)tcsetattr(master, TCSANOW, &t->saved); /* as above */
}

void term_copy_size(const struct term *t, int master)
{
	struct winsize size;

	if (t->out >= 0 && ioctl(t->out, TIOCGWINSZ, &size) == 0)
		(void)ioctl(master, TIOCSWINSZ, &size); /* as above */
}

/* tcsetattr(3) from the background stops a process by SIGTTOU unless it is blocked. */
static void set_attributes(const struct termios *s)
{
	sigset_t ttou, old;

	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	sigprocmask(SIG_BLOCK, &ttou, &old);
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, s); /* a terminal that hung up: nothing to set */
	sigprocmask(SIG_SETMASK, &old, NULL);
}

void term_update(struct term *t, int master)
{
	if (t->mode == TERM_NONE)
		return;
	bool foreground = in_foreground();
	struct termios now;

	if (t->mode == TERM_RAW && foreground && !t->raw && tcgetattr(STDIN_FILENO, &now) == 0) {
		t->saved = now;
		if (t->due)
			adopt_due(t, master);
		cfmakeraw(&now);
		set_attributes(&now);
		t->raw = true;
	}
	t->readable = foreground;
	/* Another program of the pipeline, a pager, turned line mode off: the keys are for it. */
	if (t->mode == TERM_COOKED && foreground && tcgetattr(STDIN_FILENO, &now) == 0)
		t->readable = now.c_lflag & ICANON;
}

void term_restore(struct term *t)
{
	if (t->raw)
		set_attributes(&t->saved);
	t->raw = false;
	t->readable = false;
}
