/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's terminal while a session runs.
 */
#include "cli/term.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

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

void term_adopt(const struct term *t, int master)
{
	struct termios s;

	if (t->mode == TERM_RAW)
		s = t->saved;
	else if (tcgetattr(master, &s) < 0)
		return;
	if (t->mode != TERM_RAW) {
		/* this terminal goes on doing both: neither may happen twice */
		s.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
		s.c_oflag &= ~(tcflag_t)OPOST;
	}
	(void)tcsetattr(master, TCSANOW, &s); /* a master that is gone shows up when it is read */
	term_copy_size(t, master);
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

void term_update(struct term *t)
{
	if (t->mode == TERM_NONE)
		return;
	pid_t group = tcgetpgrp(STDIN_FILENO);
	bool foreground = group < 0 || group == getpgrp(); /* < 0: not the controlling terminal */
	struct termios now;

	if (t->mode == TERM_RAW && foreground && !t->raw && tcgetattr(STDIN_FILENO, &now) == 0) {
		t->saved = now;
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
