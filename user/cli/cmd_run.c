/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold run: a command in a new session, as if it were run here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/env.h"
#include "cli/relay.h"

#define DEFAULT_POLICY "default"

const struct cli_option cli_run_options[] = {
	{"policy", 'p', "NAME|FILE", "what is allowed; FILE has a slash in it (default: default)"},
	{"name", 'n', "NAME", "another name for the session"},
	{"user", 'u', "USER", "run as USER (root only)"},
	{"env", 'e', "NAME=VALUE", "set a variable; may be repeated"},
	{NULL, 0, NULL, NULL},
};

struct run_options {
	const char *policy;
	const char *name;
	const char *user;
	json_t *env; /* owned */
};

static void options_free(struct run_options *o)
{
	json_decref(o->env);
}

static int add_variable(const struct cli_args *args, struct run_options *o)
{
	const char *eq = strchr(args->value, '=');

	if (!eq || eq == args->value)
		return cli_usage(args, "\"%s\" is not NAME=VALUE", args->value);
	if (json_array_append_new(o->env, json_string(args->value)) < 0)
		return cli_usage(args, "-e %.*s: the value is not UTF-8", (int)(eq - args->value),
				 args->value);
	return 0;
}

static int take_option(const struct cli_args *args, int letter, struct run_options *o)
{
	switch (letter) {
	case 'p':
		o->policy = args->value;
		return 0;
	case 'n':
		o->name = args->value;
		if (!text_name_ok(o->name, CTL_NAME_MAX))
			return cli_usage(args, "bad name \"%s\": 1 to %u of a-z 0-9 . _ -", o->name,
					 CTL_NAME_MAX);
		return 0;
	case 'u':
		o->user = args->value;
		return 0;
	default:
		return add_variable(args, o);
	}
}

/* 0; else the exit status is *status. */
static int parse(struct cli_args *args, struct run_options *o, int *status)
{
	int letter;

	while ((letter = cli_next(args)) > 0) {
		*status = take_option(args, letter, o);
		if (*status != 0)
			return -1;
	}
	if (letter < 0) {
		*status = cli_next_exit(letter);
		return -1;
	}
	if (!args->argv[0] || !args->argv[0][0]) {
		*status = cli_usage(args, "which command?");
		return -1;
	}
	return 0;
}

static json_t *command_list(char **argv)
{
	json_t *list = json_array();

	for (size_t i = 0; list && argv[i]; i++)
		if (json_array_append_new(list, json_string(argv[i])) < 0) {
			(void)cli_fail("argument %zu is not UTF-8", i);
			json_decref(list);
			return NULL;
		}
	return list;
}

static mode_t current_umask(void)
{
	mode_t m = umask(0);

	umask(m);
	return m;
}

struct request {
	const struct run_options *options;
	const struct relay *relay;
	char **argv;
	bool policy_is_file;
	const char *cwd;
};

static json_t *encode(const struct request *q)
{
	json_t *argv = command_list(q->argv);
	json_t *env = env_list(environ, q->options->env, q->options->user != NULL);
	struct ctl_run run = {
		.policy = q->policy_is_file ? NULL : q->options->policy,
		.policy_file = q->policy_is_file ? q->options->policy : NULL,
		.name = q->options->name,
		.user = q->options->user,
		.cwd = q->cwd,
		.argv = argv,
		.env = env,
		.umask = current_umask(),
	};
	json_t *args = NULL;

	run.has_tty = term_request(&q->relay->term, &run.tty);
	if (argv && env) {
		args = ctl_run_encode(&run);
		if (!args)
			(void)cli_fail("the working directory or an option is not UTF-8");
	}
	json_decref(argv);
	json_decref(env);
	return args;
}

/* Ask for the session and hand its ends over; our end of the run channel, or -1 after telling. */
static int send_request(int ctl, const struct request *q, int policy)
{
	__cleanup_fd int theirs = -1, ours = -1;
	int pair[2];
	json_t *args = encode(q);

	if (!args)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		json_decref(args);
		(void)cli_fail("cannot make a socket: %s", strerrordesc_np(errno));
		return -1;
	}
	ours = pair[0];
	theirs = pair[1];
	const int *std = q->relay->session_fds;
	const int fds[] = {std[0], std[1], std[2], theirs, policy};
	int r = ctl_request_send(ctl, CTL_RUN, args, fds, policy >= 0 ? 5 : 4);

	json_decref(args);
	if (r == 0)
		return TAKE_FD(ours);
	if (r == -EMSGSIZE)
		(void)cli_fail("the command and its environment are too long: at most %u bytes",
			       CTL_MSG_MAX);
	else
		(void)cli_fail("cannot talk to pinfoldd: %s", strerrordesc_np(-r));
	return -1;
}

static void tell_denials(const json_t *reply, const char *session, bool unusual)
{
	const json_t *statements = json_object_get(reply, "statements");
	long long denied = cli_int(reply, "denied"), refused = cli_int(statements, "deny");
	char reason[256];
	const char *why = ctl_str(reply, "reason");

	if (denied == 0 && refused == 0 && !unusual)
		return;
	fprintf(stderr, "pinfold: session %s: %lld denied, %lld of %lld statements refused",
		session, denied, refused, refused + cli_int(statements, "allow"));
	if (unusual && why[0])
		fprintf(stderr, "; it ended: %s",
			text_escape(reason, sizeof(reason), why, strlen(why), 60));
	fprintf(stderr, "; more: pinfold why %s\n", session);
}

/* The line at the end. The command is over, so nothing here changes the exit status. */
static void summary(const struct relay *r)
{
	const char *session = ctl_str(r->reply, "session");
	struct ctl_reply_error e;
	struct ctl_err err;
	json_t *reply = NULL;

	if (!session[0] || !text_name_ok(session, CTL_NAME_MAX))
		return;
	__cleanup_fd int sock = ctl_connect(cli_socket_path(), &err);
	json_t *args = json_pack("{s:s, s:b}", "session", session, "ended", r->killed);
	int ret = sock < 0 ? sock : ctl_request_send(sock, CTL_SUMMARY, args, NULL, 0);

	json_decref(args);
	if (ret == 0)
		ret = ctl_reply_recv(sock, &reply);
	if (ret <= 0)
		(void)cli_fail("session %s: pinfoldd does not answer; later: pinfold why %s",
			       session, session);
	else if (!ctl_reply_error(reply, &e))
		tell_denials(reply, session, r->killed);
	json_decref(reply);
}

static int finish(const struct relay *r)
{
	struct ctl_reply_error e;

	if (r->interrupted)
		return r->status;
	if (r->reply && ctl_reply_error(r->reply, &e)) {
		(void)cli_fail_reply(&e);
		return r->failure ? r->status : CLI_RUN_FAILED;
	}
	if (r->failure) {
		char text[1200];

		(void)cli_fail(
			"%s", text_escape(text, sizeof(text), r->failure, strlen(r->failure), 290));
		return r->status;
	}
	if (!r->started && r->killed) {
		(void)cli_fail(
			"the session ended before the command began; see \"pinfold doctor\"");
		return CLI_RUN_FAILED;
	}
	summary(r);
	return r->status;
}

static int run_session(char **argv, const struct run_options *o)
{
	__cleanup_free char *cwd = getcwd(NULL, 0);
	bool ok;
	__cleanup_fd int policy = cli_open_policy(o->policy, &ok);

	if (!ok)
		return CLI_RUN_FAILED;
	if (!cwd) {
		(void)cli_fail("no working directory: %s", strerrordesc_np(errno));
		return CLI_RUN_FAILED;
	}
	__cleanup_fd int ctl = cli_connect();

	if (ctl < 0)
		return CLI_RUN_FAILED;
	__cleanup_relay struct relay relay;
	int r = relay_init(&relay);

	if (r < 0) {
		(void)cli_fail("cannot prepare the descriptors: %s", strerrordesc_np(-r));
		return CLI_RUN_FAILED;
	}
	const struct request q = {o, &relay, argv, policy >= 0, cwd};
	int channel = send_request(ctl, &q, policy);

	if (channel < 0)
		return CLI_RUN_FAILED;
	relay_run(&relay, channel, ctl);
	return finish(&relay);
}

int cmd_run(struct cli_args *args)
{
	__attribute__((cleanup(options_free))) struct run_options o = {
		.policy = DEFAULT_POLICY,
		.env = json_array(),
	};
	int status;

	if (parse(args, &o, &status) < 0)
		return status;
	return run_session(args->argv, &o);
}
