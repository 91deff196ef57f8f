/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of bytes between two descriptors.
 */
#include "cli/pump.h"

#include <errno.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"

bool pump_done(const struct pump *p)
{
	return p->from < 0 && p->head == p->tail;
}

void pump_close(struct pump *p)
{
	if (p->own_from)
		fd_close(&p->from);
	if (p->own_to)
		fd_close(&p->to);
	p->from = -1;
	p->to = -1;
	p->head = p->tail = 0;
}

bool pump_wants(const struct pump *p, struct pollfd *ret)
{
	if (pump_done(p))
		return false;
	bool full = p->head < p->tail;

	*ret = (struct pollfd){.fd = full ? p->to : p->from, .events = full ? POLLOUT : POLLIN};
	return true;
}

static void end_of_input(struct pump *p)
{
	struct termios t;

	if (p->lines && tcgetattr(p->to, &t) == 0) {
		p->data[0] = t.c_cc[VEOF];
		p->head = 0;
		p->tail = 1;
		return; /* a terminal may be read on after ^D */
	}
	pump_close(p);
}

static bool fill(struct pump *p)
{
	ssize_t n = read(p->from, p->data, sizeof(p->data));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) { /* EIO: nobody has the session's terminal open any more */
		end_of_input(p);
		return n == 0;
	}
	p->head = 0;
	p->tail = (size_t)n;
	return true;
}

static ssize_t write_some(int fd, const void *data, size_t len)
{
	ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n < 0 && errno == ENOTSOCK ? write(fd, data, len) : n;
}

static bool drain(struct pump *p)
{
	ssize_t n = p->deaf ? (ssize_t)(p->tail - p->head)
			    : write_some(p->to, p->data + p->head, p->tail - p->head);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0 && (p->input || (p->own_from && errno == EPIPE))) {
		pump_close(p); /* the writer shall see that nobody reads */
		return false;
	}
	if (n < 0) {
		p->deaf = true;
		return false;
	}
	p->head += (size_t)n;
	return true;
}

bool pump_step(struct pump *p)
{
	return p->head < p->tail ? drain(p) : fill(p);
}
