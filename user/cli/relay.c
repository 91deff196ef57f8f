/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of "pinfold run": bytes by pumps, signals by a signalfd, and init's messages.
 */
#include "cli/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

/* How often to look whether the shell put the job to the foreground: nothing tells. */
#define TERM_POLL_MS 250
/* Output may come this long after the last of it, when the session is gone but a pipe stays open.
 */
#define LINGER_MS 1000
/* The longest message of init, its failure text included. */
#define CHANNEL_MSG_MAX 4096

static const int caught[] = {SIGINT,  SIGQUIT, SIGTERM, SIGHUP,	 SIGTSTP,
			     SIGCONT, SIGUSR1, SIGUSR2, SIGWINCH};

static void caught_set(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_LEN(caught); i++)
		sigaddset(set, caught[i]);
}

/* A signal that the caller ignores (nohup) stays ignored: it is not for the session either. */
static int take_signals(struct relay *r)
{
	sigset_t set;

	caught_set(&set);
	for (size_t i = 0; i < ARRAY_LEN(caught); i++) {
		struct sigaction sa;

		if (sigaction(caught[i], NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
			sigdelset(&set, caught[i]);
	}
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return r->signals < 0 ? -errno : 0;
}

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* A pipe between the caller's socket fd and the session. */
static int pipe_for(struct relay *r, int fd)
{
	struct pump *p = &r->pumps[RELAY_STDIN + fd];
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	bool input = fd == STDIN_FILENO;
	int ours = ends[input];

	r->session_fds[fd] = ends[!input];
	*p = (struct pump){
		.from = input ? fd : ours,
		.to = input ? ours : fd,
		.own_from = !input,
		.own_to = input,
		.input = input,
	};
	return fd_set_nonblock(ours);
}

static int choose_fd(struct relay *r, int fd)
{
	if (is_socket(fd))
		return pipe_for(r, fd);
	/* the caller's terminal stays outside: the session gets one of its own in its place */
	if (r->term.is_tty[fd])
		r->session_fds[fd] = open("/dev/null", O_RDWR | O_CLOEXEC);
	else
		r->session_fds[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return r->session_fds[fd] < 0 ? -errno : 0;
}

int relay_init(struct relay *r)
{
	*r = (struct relay){
		.session_fds = {-1, -1, -1},
		.channel = -1,
		.ctl = -1,
		.signals = -1,
		.master = -1,
	};
	for (int i = 0; i < RELAY_PUMPS; i++)
		r->pumps[i] = PUMP_INIT;
	term_look(&r->term);
	int ret = take_signals(r);

	for (int fd = 0; ret == 0 && fd < 3; fd++)
		ret = choose_fd(r, fd);
	return ret;
}

void relay_free(struct relay *r)
{
	term_restore(&r->term);
	for (int i = 0; i < RELAY_PUMPS; i++)
		pump_close(&r->pumps[i]);
	for (int i = 0; i < 3; i++)
		fd_close(&r->session_fds[i]);
	fd_close(&r->channel);
	fd_close(&r->signals);
	fd_close(&r->master);
	free(r->failure);
	json_decref(r->reply);
}

/* Tell init; a channel that is closed shows up when it is read. */
static void tell(const struct relay *r, const char *key, json_t *value)
{
	json_t *body = json_pack("{s:o}", key, value);
	__cleanup_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	if (text && r->channel >= 0 && fd_send_msg(r->channel, text, strlen(text), NULL, 0) < 0)
		return;
}

static void adopt_master(struct relay *r, int fd)
{
	if (r->master >= 0 || r->term.out < 0 || fd_set_nonblock(fd) < 0) {
		close(fd);
		return;
	}
	r->master = fd;
	term_adopt(&r->term, fd);
	r->pumps[RELAY_PTY_OUT] = (struct pump){.from = fd, .to = r->term.out};
	if (r->term.mode != TERM_NONE)
		r->pumps[RELAY_PTY_IN] = (struct pump){
			.from = STDIN_FILENO,
			.to = fd,
			.lines = r->term.mode == TERM_COOKED,
			.input = true,
		};
}

static void flush_output(struct relay *r)
{
	while (pump_step(&r->pumps[RELAY_PTY_OUT]))
		;
}

/* The command stopped: so does this job, as the caller's shell expects of one. */
static void stop_self(struct relay *r)
{
	sigset_t tstp;

	if (r->master >= 0)
		flush_output(r);
	term_restore(&r->term);
	sigemptyset(&tstp);
	sigaddset(&tstp, SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &tstp, NULL);
	kill(0, SIGTSTP); /* goes on here after SIGCONT, at once where no shell could send one */
	sigprocmask(SIG_BLOCK, &tstp, NULL);
	term_update(&r->term, r->master);
	if (r->master >= 0)
		term_copy_size(&r->term, r->master);
	tell(r, "cont", json_true());
}

static void command_ended(struct relay *r, int status)
{
	if (r->ended)
		return;
	r->ended = true;
	r->status = status;
	for (int i = 0; i < RELAY_PUMPS; i++)
		if (r->pumps[i].input)
			pump_close(&r->pumps[i]);
}

static int bounded(const json_t *v, int max)
{
	json_int_t n = json_integer_value(v);

	return n >= 0 && n <= max ? (int)n : max;
}

static void take_message(struct relay *r, const json_t *m)
{
	const json_t *v = json_object_get(m, "failed");

	if (v) {
		const char *text = json_string_value(v);
		int code = (int)json_integer_value(json_object_get(m, "code"));

		free(r->failure);
		r->failure = strdup(text ? text : "no reason given");
		command_ended(r, code == 126 || code == 127 ? code : 125);
	}
	if (json_object_get(m, "started"))
		r->started = true;
	if (json_object_get(m, "stopped"))
		stop_self(r);
	v = json_object_get(m, "exited");
	if (v)
		command_ended(r, bounded(v, 255));
	v = json_object_get(m, "signaled");
	if (v)
		command_ended(r, 128 + bounded(v, SIGRTMAX));
}

static void channel_closed(struct relay *r)
{
	fd_close(&r->channel);
	if (!r->ended) {
		r->killed = true;
		command_ended(r, 128 + SIGKILL);
	}
}

static void read_channel(struct relay *r)
{
	char text[CHANNEL_MSG_MAX];
	int fd = -1;
	size_t nfds = 1;
	ssize_t n = fd_recv_msg(r->channel, text, sizeof(text), &fd, &nfds);

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		channel_closed(r);
		return;
	}
	json_t *m = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);

	if (nfds > 0 && json_is_true(json_object_get(m, "pty")))
		adopt_master(r, fd);
	else if (nfds > 0)
		close(fd);
	if (m)
		take_message(r, m);
	json_decref(m);
}

static void read_ctl(struct relay *r)
{
	struct ctl_reply_error e;

	if (ctl_reply_recv(r->ctl, &r->reply) <= 0)
		r->reply = NULL;
	r->ctl = -1;
	r->refused = r->reply && ctl_reply_error(r->reply, &e);
}

static void one_signal(struct relay *r, int sig)
{
	if (sig == SIGWINCH) {
		if (r->master >= 0)
			term_copy_size(&r->term, r->master);
	} else if (sig == SIGCONT) {
		tell(r, "cont", json_true());
	} else if (!r->started && sig != SIGTSTP) {
		r->interrupted = true;
		command_ended(r, 128 + sig);
	} else {
		tell(r, "signal", json_integer(sig));
	}
}

static void read_signals(struct relay *r)
{
	struct signalfd_siginfo info;

	while (read(r->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		one_signal(r, (int)info.ssi_signo);
}

/* All output is written, or nobody is left who could add to it. */
static bool output_done(const struct relay *r)
{
	for (int i = 0; i < RELAY_PUMPS; i++)
		if (!pump_done(&r->pumps[i]))
			return false;
	return true;
}

enum { POLL_CHANNEL, POLL_CTL, POLL_SIGNALS, POLL_FIXED };

struct round {
	struct pollfd fds[POLL_FIXED + RELAY_PUMPS];
	int pump[RELAY_PUMPS]; /* index of the pump behind each descriptor after POLL_FIXED */
	nfds_t n;
};

static void prepare(struct relay *r, struct round *round)
{
	round->fds[POLL_CHANNEL] = (struct pollfd){.fd = r->channel, .events = POLLIN};
	round->fds[POLL_CTL] = (struct pollfd){.fd = r->ctl, .events = POLLIN};
	round->fds[POLL_SIGNALS] = (struct pollfd){.fd = r->signals, .events = POLLIN};
	round->n = POLL_FIXED;
	for (int i = 0; i < RELAY_PUMPS; i++) {
		struct pump *p = &r->pumps[i];

		if (i == RELAY_PTY_IN && p->head == p->tail && !r->term.readable)
			continue;
		if (!pump_wants(p, &round->fds[round->n]))
			continue;
		round->pump[round->n - POLL_FIXED] = i;
		round->n++;
	}
}

static int timeout_of(const struct relay *r)
{
	if (r->refused || (r->ended && (r->channel < 0 || r->interrupted)))
		return LINGER_MS;
	if (!r->ended && r->master >= 0 && r->term.mode != TERM_NONE &&
	    (r->term.mode == TERM_COOKED || !r->term.readable))
		return TERM_POLL_MS;
	return -1;
}

/* The caller's terminal hung up: the session's does the same when its master is closed. */
static void follow_terminal(struct relay *r)
{
	if (r->master < 0 || r->ended)
		return;
	term_update(&r->term, r->master);
	if (r->term.mode != TERM_RAW || !pump_done(&r->pumps[RELAY_PTY_IN]))
		return;
	pump_close(&r->pumps[RELAY_PTY_OUT]);
	fd_close(&r->master);
}

/* False when the time-out passed after the end: what is left will not come. */
static bool one_round(struct relay *r)
{
	struct round round;

	follow_terminal(r);
	prepare(r, &round);
	int n = poll(round.fds, round.n, timeout_of(r));

	if (n < 0)
		return errno == EINTR;
	if (n == 0)
		return !r->ended && !r->refused;
	for (nfds_t i = POLL_FIXED; i < round.n; i++)
		if (round.fds[i].revents)
			(void)pump_step(&r->pumps[round.pump[i - POLL_FIXED]]);
	/* the channel before signals: "started" decides what a signal means */
	if (round.fds[POLL_CHANNEL].revents)
		read_channel(r);
	if (round.fds[POLL_SIGNALS].revents)
		read_signals(r);
	if (round.fds[POLL_CTL].revents)
		read_ctl(r);
	return true;
}

void relay_run(struct relay *r, int channel, int ctl)
{
	r->channel = channel;
	r->ctl = ctl;
	for (int i = 0; i < 3; i++)
		fd_close(&r->session_fds[i]);
	while (!r->ended || !output_done(r) || (r->channel >= 0 && !r->interrupted))
		if (!one_round(r))
			break;
	term_restore(&r->term);
	if (!r->ended)
		r->status = 125;
}
