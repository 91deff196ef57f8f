/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate as a whole: start-up, listeners, the loop.
 */
#include "gate/gate.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"

/* Connections accepted in one turn, so that a flood does not hold up those that are served. */
#define ACCEPT_TURN 16

static void turn(uv_idle_t *idle)
{
	struct gate *g = idle->data;

	if (!conn_turn(g))
		(void)uv_idle_stop(idle);
}

void gate_again(struct gate *g)
{
	/* Cannot fail on an initialised handle. */
	(void)uv_idle_start(&g->turn, turn);
}

static void refuse(struct gate *g, struct endpoint *ep, int fd)
{
	static const struct pg_error e = {
		.severity = "FATAL",
		.sqlstate = "53300",
		.message = "pinfold: too many connections from this session",
	};
	struct record_conn rec = {
		.db = ep->config->name, .event = "refused", .reason = "too many connections"};
	__cleanup_buf struct buf b = BUF_INIT(0);

	/* One attempt: it fits an empty socket buffer, and nobody waits for this client. */
	if (pg_put_error(&b, 'E', &e) == 0)
		(void)!send(fd, buf_ptr(&b), buf_len(&b), MSG_NOSIGNAL | MSG_DONTWAIT);
	record_conn(&g->recorder, &rec);
	close(fd);
}

static size_t lingering(const struct gate *g)
{
	size_t n = 0;

	for (size_t i = 0; g->endpoints && i < g->config.n_endpoints; i++)
		n += g->endpoints[i].n_lingering;
	return n;
}

/* One more client can mean one more connection to a server. */
static bool full(const struct gate *g)
{
	return g->n_conns + lingering(g) >= g->config.clients_max;
}

static void accepted(uv_poll_t *poll, int status, int events)
{
	struct listener *l = poll->data;

	(void)events;
	if (status < 0)
		return;
	for (int i = 0; i < ACCEPT_TURN; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		if (full(l->gate))
			refuse(l->gate, l->ep, fd);
		else
			conn_open(l->gate, l->ep, fd);
	}
}

static int open_listener(struct gate *g, size_t i, int *fds)
{
	struct listener *l = &g->listeners[i];
	size_t n = g->config.endpoints[i].listener;

	if (fds[n] < 0)
		return -EINVAL; /* two endpoints name one listener */
	l->fd = TAKE_FD(fds[n]);
	l->gate = g;
	l->ep = &g->endpoints[i];
	int r = fd_set_nonblock(l->fd);

	if (r == 0)
		r = uv_poll_init(&g->loop, &l->poll, l->fd);
	l->poll.data = l;
	return r == 0 ? uv_poll_start(&l->poll, UV_READABLE, accepted) : r;
}

static int open_endpoints(struct gate *g, int *fds, const char **why)
{
	size_t n = g->config.n_endpoints;

	g->endpoints = calloc(n + 1, sizeof(*g->endpoints));
	g->listeners = calloc(n + 1, sizeof(*g->listeners));
	if (!g->endpoints || !g->listeners)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		g->listeners[i].fd = -1;
		list_init(&g->endpoints[i].all);
	}
	for (size_t i = 0; i < n; i++) {
		int r = endpoint_open(&g->endpoints[i], &g->loop, &g->config.endpoints[i],
				      &g->recorder, why);

		if (r < 0)
			return r;
	}
	*why = "listener missing or given twice";
	for (size_t i = 0; i < n; i++) {
		int r = open_listener(g, i, fds);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The first asks for an orderly end, another one for the end at once. */
static void terminated(uv_signal_t *signal, int number)
{
	struct gate *g = signal->data;

	(void)number;
	g->hurry = g->stopping;
	g->stopping = true;
	uv_stop(&g->loop);
}

static void time_is_up(uv_timer_t *timer)
{
	struct gate *g = timer->data;

	g->hurry = true;
}

static int open_loop(struct gate *g)
{
	int r = uv_loop_init(&g->loop);

	if (r < 0)
		return r;
	g->turn.data = g;
	g->term.data = g;
	g->limit.data = g;
	r = uv_idle_init(&g->loop, &g->turn);
	if (r == 0)
		r = uv_timer_init(&g->loop, &g->limit);
	if (r == 0)
		r = uv_signal_init(&g->loop, &g->term);
	if (r == 0)
		r = uv_signal_start(&g->term, terminated, SIGTERM);
	return r;
}

static int open_all(struct gate *g, int *fds, int *zygote, const char **why)
{
	*why = "no memory";
	g->cache = vcache_new(GATE_CACHE_BYTES);
	if (!g->cache || getrandom(&g->pid_salt, sizeof(g->pid_salt), 0) != sizeof(g->pid_salt))
		return -ENOMEM;
	*why = "the session's certificate cannot be made";
	int r = tls_server_make(&g->tls, &g->config);

	if (r < 0)
		return r;
	*why = "the parser cannot be started";
	r = parser_open(&g->parser, &g->loop, TAKE_FD(*zygote));
	return r < 0 ? r : open_endpoints(g, fds, why);
}

/* Answer the start-up message. */
static int say(struct gate *g, const char *key, const char *inner_key, const char *text)
{
	json_t *o = inner_key ? json_pack("{s:{s:s}}", key, inner_key, text)
			      : json_pack("{s:s}", key, text);
	__cleanup_free char *line = o ? json_dumps(o, JSON_COMPACT) : NULL;
	int r = line ? record_send(&g->recorder, line) : -ENOMEM;

	json_decref(o);
	return r;
}

static int receive_config(struct gate *g, int control, int *fds, size_t *n_fds, const char **why)
{
	char *text = malloc(GATE_CONFIG_MAX);

	*why = "no memory";
	if (!text)
		return -ENOMEM;
	*why = "no start-up message";
	ssize_t len = fd_recv_msg(control, text, GATE_CONFIG_MAX, fds, n_fds);
	int r = len > 0 ? config_parse(text, (size_t)len, *n_fds, &g->config, why)
			: (len < 0 ? (int)len : -EPIPE);

	explicit_bzero(text, GATE_CONFIG_MAX);
	free(text);
	return r;
}

static void close_listeners(struct gate *g)
{
	for (size_t i = 0; g->listeners && i < g->config.n_endpoints; i++) {
		struct listener *l = &g->listeners[i];

		if (uv_is_active((uv_handle_t *)&l->poll))
			(void)uv_poll_stop(&l->poll);
		fd_close(&l->fd);
	}
}

/*
 * No statement is to run on for nobody (I9): the loop goes on until the servers have ended what
 * their clients have just left, or the time for that is up.
 */
static void drain(struct gate *g)
{
	uv_update_time(&g->loop);
	(void)uv_timer_start(&g->limit, time_is_up, GATE_END_MS, 0);
	while (!g->hurry && lingering(g) > 0)
		(void)uv_run(&g->loop, UV_RUN_ONCE);
}

static void close_gate(struct gate *g)
{
	close_listeners(g);
	conn_close_all(g);
	for (size_t i = 0; g->endpoints && i < g->config.n_endpoints; i++)
		endpoint_retire(&g->endpoints[i]);
	drain(g);
	for (size_t i = 0; g->endpoints && i < g->config.n_endpoints; i++)
		endpoint_close(&g->endpoints[i]);
	recorder_close(&g->recorder);
	vcache_free(g->cache);
	tls_server_free(&g->tls);
	config_free(&g->config);
}

static int serve(struct gate *g, int *fds, int *zygote)
{
	const char *why = "";
	int r = open_all(g, fds, zygote, &why);

	if (r < 0) {
		log_err("session=%s %s: %s", g->config.session, why, strerror(-r));
		(void)!say(g, "failed", NULL, why); /* nobody else to tell */
		return r;
	}
	r = say(g, "ready", "ca_pem", g->tls.ca_pem);
	if (r < 0)
		return r;
	for (size_t i = 0; i < g->config.n_endpoints; i++)
		endpoint_warm(&g->endpoints[i]);
	(void)uv_run(&g->loop, UV_RUN_DEFAULT);
	return 0;
}

int gate_run(int control, int zygote)
{
	struct gate *g = calloc(1, sizeof(*g));
	int fds[FD_MSG_MAX];
	size_t n_fds = FD_MSG_MAX;
	const char *why;

	if (!g)
		return -ENOMEM;
	list_init(&g->conns);
	for (size_t i = 0; i < FD_MSG_MAX; i++)
		fds[i] = -1;
	int r = receive_config(g, control, fds, &n_fds, &why);

	if (r == 0)
		r = open_loop(g);
	if (r == 0)
		r = recorder_open(&g->recorder, &g->loop, control, g->config.session);
	if (r < 0) {
		log_err("start-up message: %s", why);
		__cleanup_free char *line = NULL;

		if (asprintf(&line, "{\"failed\":\"%s\"}", why) > 0)
			(void)!fd_send_msg(control, line, strlen(line), NULL, 0);
	} else {
		r = serve(g, fds, &zygote);
		close_gate(g);
	}
	/* What is left belongs to the loop's handles, and ends with the process. */
	fd_close(&zygote);
	return r;
}
