/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate's side of the boxed parser: questions go out in order, answers come back in order, up to
 * GATE_PARSE_WINDOW in flight.
 */
#include "gate/parser.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"

/* The rule that denies a text on which the worker had nothing to say. */
#define RULE_NO_VERDICT "BOX"

static void parser_pump(struct parser *p);

static void poll_freed(uv_handle_t *h)
{
	free(h);
}

static void worker_drop(struct parser *p)
{
	if (p->poll)
		uv_close((uv_handle_t *)p->poll, poll_freed);
	p->poll = NULL;
	fd_close(&p->fd);
	buf_clear(&p->in);
	buf_clear(&p->out);
	p->texts = 0;
	p->busy_ms = 0;
}

static void ask_done(struct ask *a)
{
	a->waiting = false;
	if (!a->verdict->decided)
		verdict_deny(&a->verdict->result, RULE_NO_VERDICT, "54001",
			     "the statement could not be classified");
	a->answered(a);
}

/*
 * The worker is lost. The oldest question was being worked on: it stays without an answer, which
 * is a denial. The others go to the next worker, in their order.
 */
static void worker_lost(struct parser *p, const char *why)
{
	struct ask *guilty = p->n_sent > 0 ? p->sent[0] : NULL;

	log_warn("parser: worker %s", why);
	while (p->n_sent > 1) {
		struct ask *a = p->sent[--p->n_sent];

		if (a)
			list_add_tail(p->queue.next, &a->link);
	}
	p->n_sent = 0;
	p->restarts++;
	worker_drop(p);
	if (guilty)
		ask_done(guilty);
	parser_pump(p);
}

/* The zygote is gone: nobody can parse any more, so everything waiting is denied. */
static void deny_all(struct parser *p)
{
	while (!list_empty(&p->queue)) {
		struct ask *a = list_entry(p->queue.next, struct ask, link);

		list_del(&a->link);
		ask_done(a);
	}
}

static void take_answer(struct parser *p, const struct sql_result *result)
{
	struct ask *a = p->sent[0];
	struct sql_result r = *result;

	p->n_sent--;
	memmove(p->sent, p->sent + 1, p->n_sent * sizeof(p->sent[0]));
	p->texts++;
	p->busy_ms += uv_now(p->loop) - p->oldest_since;
	p->oldest_since = uv_now(p->loop);
	if (!a)
		return;
	/* An all-zero result has no rule: the classifier gave up, which decides nothing. */
	if (r.rule[0] != '\0' || r.verdict != SQL_DENY) {
		if (sql_result_check(&r) == 0) {
			a->verdict->result = r;
			a->verdict->decided = true;
		}
	}
	ask_done(a);
}

static int read_answers(struct parser *p)
{
	for (;;) {
		int r = buf_reserve(&p->in, GATE_READ_SIZE);

		if (r < 0)
			return r;
		ssize_t n = recv(p->fd, p->in.data + p->in.tail, GATE_READ_SIZE, 0);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n == 0)
			return -EPIPE;
		buf_commit(&p->in, (size_t)n);
		while (buf_len(&p->in) >= sizeof(struct sql_result)) {
			struct sql_result result;

			if (p->n_sent == 0)
				return -EBADMSG;
			memcpy(&result, buf_ptr(&p->in), sizeof(result));
			buf_consume(&p->in, sizeof(result));
			take_answer(p, &result);
		}
		if (n < GATE_READ_SIZE)
			return 0;
	}
}

static void worker_event(uv_poll_t *poll, int status, int events)
{
	struct parser *p = poll->data;

	(void)events; /* reading and writing are both tried: neither blocks */
	int r = status < 0 ? status : read_answers(p);

	if (r < 0)
		worker_lost(p, "ended");
	else
		parser_pump(p);
}

static int worker_start(struct parser *p)
{
	int pair[2];

	if (p->zygote < 0)
		return -EPIPE;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	__cleanup_fd int theirs = pair[1];
	__cleanup_fd int ours = pair[0];
	int r = fd_set_nonblock(ours);

	if (r == 0)
		r = fd_send_msg(p->zygote, "w", 1, &theirs, 1);
	if (r < 0) {
		fd_close(&p->zygote);
		return r;
	}
	p->poll = malloc(sizeof(*p->poll));
	if (!p->poll)
		return -ENOMEM;
	r = uv_poll_init(p->loop, p->poll, ours);
	if (r < 0) {
		free(TAKE_PTR(p->poll));
		return r;
	}
	p->poll->data = p;
	p->fd = TAKE_FD(ours);
	p->writing = false;
	return uv_poll_start(p->poll, UV_READABLE, worker_event);
}

static int send_question(struct parser *p, struct ask *a)
{
	struct parser_question q = {
		.len = (uint32_t)a->verdict->len,
		.dialect = (uint32_t)a->dialect,
	};
	int r = buf_reserve(&p->out, sizeof(q) + a->verdict->len);

	if (r == 0)
		r = buf_put(&p->out, &q, sizeof(q));
	if (r == 0)
		r = buf_put(&p->out, a->verdict->text, a->verdict->len);
	return r;
}

static int flush_questions(struct parser *p)
{
	while (buf_len(&p->out) > 0) {
		ssize_t n = send(p->fd, buf_ptr(&p->out), buf_len(&p->out), MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n < 0)
			break;
		buf_consume(&p->out, (size_t)n);
	}
	bool writing = buf_len(&p->out) > 0;

	/* Each start is a system call: only on a change. */
	if (writing == p->writing)
		return 0;
	p->writing = writing;
	return uv_poll_start(p->poll, UV_READABLE | (writing ? UV_WRITABLE : 0), worker_event);
}

static void timed_out(uv_timer_t *timer)
{
	struct parser *p = timer->data;
	uint64_t waited = uv_now(p->loop) - p->oldest_since;

	if (p->n_sent == 0)
		return;
	if (waited >= GATE_PARSE_MS)
		worker_lost(p, "was silent");
	else
		(void)uv_timer_start(timer, timed_out, GATE_PARSE_MS - waited, 0);
}

/* Old enough to be replaced while nothing is out: its CPU limit must not hit an honest text. */
static bool worker_old(const struct parser *p)
{
	return p->n_sent == 0 &&
	       (p->texts >= GATE_PARSER_LIFE_TEXTS || p->busy_ms >= GATE_PARSER_LIFE_BUSY_MS);
}

static void fill_window(struct parser *p)
{
	while (!list_empty(&p->queue) && p->n_sent < GATE_PARSE_WINDOW) {
		struct ask *a = list_entry(p->queue.next, struct ask, link);

		list_del(&a->link);
		if (send_question(p, a) < 0) {
			ask_done(a);
			continue;
		}
		if (p->n_sent == 0)
			p->oldest_since = uv_now(p->loop);
		p->sent[p->n_sent++] = a;
	}
}

static void parser_pump(struct parser *p)
{
	if (list_empty(&p->queue) && buf_len(&p->out) == 0)
		return;
	if (p->fd >= 0 && worker_old(p))
		worker_drop(p);
	if (p->fd < 0 && worker_start(p) < 0) {
		worker_drop(p);
		deny_all(p);
		return;
	}
	fill_window(p);
	if (flush_questions(p) < 0) {
		worker_lost(p, "ended");
		return;
	}
	if (p->n_sent > 0 && !uv_is_active((uv_handle_t *)&p->timer))
		(void)uv_timer_start(&p->timer, timed_out, GATE_PARSE_MS, 0);
}

int parser_open(struct parser *p, uv_loop_t *loop, int zygote)
{
	memset(p, 0, sizeof(*p));
	p->loop = loop;
	p->zygote = zygote;
	p->fd = -1;
	list_init(&p->queue);
	int r = uv_timer_init(loop, &p->timer);

	p->timer.data = p;
	return r < 0 ? r : worker_start(p);
}

void parser_ask(struct parser *p, struct ask *a)
{
	a->waiting = true;
	list_add_tail(&p->queue, &a->link);
	parser_pump(p);
}

void parser_forget(struct parser *p, struct ask *a)
{
	if (!a->waiting)
		return;
	a->waiting = false;
	for (unsigned int i = 0; i < p->n_sent; i++) {
		if (p->sent[i] != a)
			continue;
		p->sent[i] = NULL;
		return;
	}
	list_del(&a->link);
}

void parser_close(struct parser *p)
{
	worker_drop(p);
	buf_free(&p->in);
	buf_free(&p->out);
	fd_close(&p->zygote);
	uv_close((uv_handle_t *)&p->timer, NULL);
}
