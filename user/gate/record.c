/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gate tells pinfoldd. Denials go out at once, allowed statements in batches.
 */
#include "gate/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/stamp.h"
#include "base/text.h"
#include "gate/limits.h"

#define DAEMON_SOCKET "/run/pinfold/gate.sock"
/* The fixed part of an object: names, numbers of 20 digits, and a rule's words. */
#define OBJECT_ROOM 1024

static void recorder_arm(struct recorder *r);

/* The character c of len bytes at p; len 0: a byte that is none. */
static int put_char(struct buf *b, const uint8_t *p, size_t len, uint32_t c)
{
	if (len == 0)
		return buf_printf(b, "\\\\x%02x", p[0]);
	if (c == '"' || c == '\\')
		return buf_printf(b, "\\%c", p[0]);
	if (utf8_is_control(c))
		return buf_printf(b, "\\u%04x", c);
	return buf_put(b, p, len);
}

static bool plain(uint8_t c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

int json_put_text(struct buf *b, const char *text, size_t len, size_t max)
{
	const uint8_t *p = (const uint8_t *)text;
	int r = 0;

	for (size_t i = 0; i < len && i < max && r == 0;) {
		size_t run = 0;

		while (i + run < len && i + run < max && plain(p[i + run]))
			run++;
		if (run > 0) {
			r = buf_put(b, p + i, run);
			i += run;
			continue;
		}
		uint32_t c = 0;
		size_t n = utf8_char(p + i, len - i, &c);

		if (n > 1 && i + n > max)
			break;
		r = put_char(b, p + i, n, c);
		i += n ? n : 1;
	}
	return r;
}

/* The bytes of whole objects at the front that fit one message. */
static size_t message_len(const struct recorder *r)
{
	size_t len = buf_len(&r->held);
	const uint8_t *p = buf_ptr(&r->held);

	if (len <= GATE_AUDIT_MSG_MAX)
		return len;
	const uint8_t *last = memrchr(p, '\n', GATE_AUDIT_MSG_MAX);

	return last ? (size_t)(last - p) + 1 : len;
}

static void poll_freed(uv_handle_t *h)
{
	free(h);
}

static void listener_lost(struct recorder *r)
{
	if (r->poll)
		uv_close((uv_handle_t *)r->poll, poll_freed);
	r->poll = NULL;
	fd_close(&r->fd);
}

static void put_lost(struct recorder *r)
{
	if (r->lost == 0)
		return;
	if (buf_printf(&r->held,
		       "{\"type\":\"lost\",\"count\":%" PRIu64 ",\"total\":%" PRIu64
		       ",\"gseq\":%" PRIu64 "}\n",
		       r->lost, r->told + r->lost, r->number + 1) < 0)
		return;
	r->number++;
	r->told += r->lost;
	r->lost = 0;
}

static uint64_t count_lines(const uint8_t *p, size_t len)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += p[i] == '\n';
	return n;
}

static void flush(struct recorder *r)
{
	put_lost(r);
	while (r->fd >= 0 && buf_len(&r->held) > 0) {
		size_t len = message_len(r);
		ssize_t n = send(r->fd, buf_ptr(&r->held), len - 1, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			listener_lost(r);
		if (n < 0)
			break;
		r->sent += count_lines(buf_ptr(&r->held), len);
		buf_consume(&r->held, len);
	}
	recorder_arm(r);
}

static void listener_event(uv_poll_t *poll, int status, int events)
{
	struct recorder *r = poll->data;
	char byte[64];

	if (status < 0 || events & UV_READABLE) {
		/* pinfoldd has nothing to say after the start: this is its end. */
		ssize_t n = recv(r->fd, byte, sizeof(byte), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			listener_lost(r);
	}
	flush(r);
}

static int watch(struct recorder *r)
{
	r->poll = malloc(sizeof(*r->poll));
	if (!r->poll)
		return -ENOMEM;
	int ret = uv_poll_init(r->loop, r->poll, r->fd);

	if (ret < 0) {
		free(TAKE_PTR(r->poll));
		return ret;
	}
	r->poll->data = r;
	return 0;
}

/* What was sent to a daemon that is gone may not have been read: with the numbers the next one can
 * tell. */
static int hello(int fd, const struct recorder *r)
{
	__cleanup_free char *text = NULL;

	if (asprintf(&text, "{\"hello\":\"%s\",\"sent\":%" PRIu64 ",\"lost\":%" PRIu64 "}",
		     r->session, r->sent, r->told) < 0)
		return -ENOMEM;
	return fd_send_msg(fd, text, strlen(text), NULL, 0);
}

static int reconnect(struct recorder *r)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = DAEMON_SOCKET};
	__cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	int ret = hello(fd, r);

	if (ret < 0)
		return ret;
	r->fd = TAKE_FD(fd);
	return watch(r);
}

static void timer_event(uv_timer_t *timer)
{
	struct recorder *r = timer->data;

	if (r->fd < 0 && reconnect(r) < 0)
		listener_lost(r);
	flush(r);
}

/* Wait for what comes next: room in the socket, its end, or time to try again. */
static void recorder_arm(struct recorder *r)
{
	if (r->fd >= 0) {
		(void)uv_poll_start(r->poll,
				    UV_READABLE | (buf_len(&r->held) > 0 ? UV_WRITABLE : 0),
				    listener_event);
		return;
	}
	if (!uv_is_active((uv_handle_t *)&r->timer))
		(void)uv_timer_start(&r->timer, timer_event, GATE_AUDIT_RETRY_MS, 0);
}

int recorder_open(struct recorder *r, uv_loop_t *loop, int fd, const char *session)
{
	memset(r, 0, sizeof(*r));
	r->loop = loop;
	r->fd = fd;
	r->session = session;
	r->held = BUF_INIT(GATE_AUDIT_HELD_MAX);
	r->timer.data = r;
	int ret = uv_timer_init(loop, &r->timer);

	if (ret == 0)
		ret = watch(r);
	if (ret == 0)
		recorder_arm(r);
	return ret;
}

void recorder_close(struct recorder *r)
{
	flush(r);
	listener_lost(r);
	buf_free(&r->held);
	buf_free(&r->object);
	uv_close((uv_handle_t *)&r->timer, NULL);
}

int record_send(struct recorder *r, const char *json)
{
	return fd_send_msg(r->fd, json, strlen(json), NULL, 0);
}

/* End the object in b and hold it, or count it as lost. */
static void hold(struct recorder *r, struct buf *b, int ret, bool urgent)
{
	if (ret == 0)
		ret = buf_printf(b, ",\"gseq\":%" PRIu64 "}\n", r->number + 1);
	if (ret == 0)
		ret = buf_put(&r->held, buf_ptr(b), buf_len(b));
	if (ret < 0)
		r->lost++;
	else
		r->number++;
	if (urgent || buf_len(&r->held) >= GATE_AUDIT_MSG_MAX / 2) {
		if (r->fd >= 0)
			flush(r);
		else
			recorder_arm(r);
		return;
	}
	if (!uv_is_active((uv_handle_t *)&r->timer))
		(void)uv_timer_start(&r->timer, timer_event, GATE_AUDIT_DELAY_MS, 0);
}

static int put_string(struct buf *b, const char *name, const char *value, size_t len, size_t max)
{
	int ret = buf_put(b, ",\"", 2);

	if (ret == 0)
		ret = buf_put(b, name, strlen(name));
	if (ret == 0)
		ret = buf_put(b, "\":\"", 3);
	if (ret == 0)
		ret = json_put_text(b, value, len, max);
	return ret < 0 ? ret : buf_put(b, "\"", 1);
}

/* The members that every statement has; all of them numbers and words of the gate's own. */
static int put_statement(struct buf *b, const struct record_statement *s)
{
	const struct sql_result *q = &s->verdict->result;
	int r = buf_reserve(b, OBJECT_ROOM);

	if (r < 0)
		return r;
	int n = snprintf((char *)b->data + b->tail, OBJECT_ROOM,
			 "{\"type\":\"statement\",\"at\":\"%s\",\"db\":\"%s\",\"conn\":%" PRIu64
			 ",\"verdict\":\"%s\",\"kind\":\"%s\",\"fingerprint\":\"%016" PRIx64
			 "\",\"bytes\":%" PRIu64 ",\"rows\":%" PRIu64 ",\"us\":%" PRIu64,
			 stamp_now().text, s->db, s->conn, sql_verdict_name(q->verdict),
			 sql_kind_name(q->kind), q->fingerprint, s->bytes, s->rows, s->us);

	if (n < 0 || n >= OBJECT_ROOM)
		return -EMSGSIZE;
	buf_commit(b, (size_t)n);
	return 0;
}

void record_statement(struct recorder *r, const struct record_statement *s)
{
	const struct sql_result *q = &s->verdict->result;
	bool denied = q->verdict != SQL_ALLOW;
	struct buf *b = &r->object;

	buf_clear(b);
	int ret = put_statement(b, s);

	if (ret == 0 && denied)
		ret = put_string(b, "rule", q->rule, strlen(q->rule), SQL_RULE_SIZE);
	if (ret == 0 && denied)
		ret = put_string(b, "reason", q->reason, strlen(q->reason), SQL_REASON_SIZE);
	if (ret == 0 && s->not_run)
		ret = buf_printf(b, ",\"executed\":false");
	if (ret == 0 && s->error)
		ret = put_string(b, "error", s->error, strlen(s->error), SQL_STATE_SIZE);
	if (ret == 0)
		ret = put_string(b, "text", s->verdict->text, s->verdict->len, GATE_AUDIT_TEXT_MAX);
	if (ret == 0 && s->verdict->len > GATE_AUDIT_TEXT_MAX)
		ret = buf_printf(b, ",\"truncated\":{\"text\":%zu}", s->verdict->len);
	hold(r, b, ret, denied);
}

void record_conn(struct recorder *r, const struct record_conn *c)
{
	__cleanup_buf struct buf b = BUF_INIT(0);
	int ret = buf_printf(
		&b, "{\"type\":\"conn\",\"db\":\"%s\",\"conn\":%" PRIu64 ",\"event\":\"%s\"", c->db,
		c->conn, c->event);

	if (ret == 0 && strcmp(c->event, "kill") == 0)
		ret = buf_printf(&b, ",\"verdict\":\"kill\"");
	if (ret == 0 && c->auth)
		ret = buf_printf(&b, ",\"tls\":\"%s\",\"auth\":\"%s\"", c->tls, c->auth);
	if (ret == 0 && c->rule)
		ret = buf_printf(&b, ",\"rule\":\"%s\"", c->rule);
	if (ret == 0 && c->reason)
		ret = put_string(&b, "reason", c->reason, strlen(c->reason), SQL_REASON_SIZE);
	hold(r, &b, ret, c->rule != NULL);
}
