/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands of pinfold share: the table of verbs, arguments, requests, output. A command
 * returns its exit status; messages for people are made here and in the commands, nowhere below.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "policy/policy.h"

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILURE = 1,
	CLI_USAGE = 2,
	CLI_RUN_FAILED = 125, /* of "run" and "unlock": Pinfold failed, not the command */
	CLI_CANNOT_EXECUTE = 126,
	CLI_NOT_FOUND = 127,
};

/* An option of one command. The table of a command ends with a NULL name. */
struct cli_option {
	const char *name; /* without the dashes */
	int letter;	  /* its short form and its identity; above 255: has no short form */
	const char *arg;  /* what its value is called in the help; NULL: it has none */
	const char *help;
};
#define CLI_LONG_ONLY 256

/* --json and --help; every command has --help, reading ones have --json too. */
#define CLI_OPT_JSON (CLI_LONG_ONLY + 'j')
#define CLI_OPT_HELP (CLI_LONG_ONLY + 'h')
#define CLI_JSON_OPTION                                                                            \
	{                                                                                          \
		"json", CLI_OPT_JSON, NULL, "one JSON object (or one a line) for programs"         \
	}

struct cli_args;

struct cli_command {
	const char *name;     /* one word, or two: "policy check" */
	const char *operands; /* for the usage line: "SESSION" */
	const char *help;     /* one line */
	const struct cli_option *options;
	int (*run)(struct cli_args *args);
	bool command_follows; /* options end at the first operand: the rest are another program's */
};

/* Ends with a NULL name. */
extern const struct cli_command cli_commands[];

/* The words behind the verb. Read options with cli_next() until it returns 0, then operands. */
struct cli_args {
	const struct cli_command *command;
	char **argv;	 /* what is left; after the options: the operands, ends with NULL */
	char **operands; /* those met between options, moved to the front of the words */
	size_t n_operands;
	const char *bundle; /* rest of a word of short options, or NULL */
	const char *value;  /* of the option that cli_next() returned */
};

/*
 * The letter of the next option, or 0: the operands are in args->argv. -1: usage error, told; -2:
 * the help was asked for and printed. Behind "--" there are only operands.
 */
int cli_next(struct cli_args *args) __must_check;
/* For commands whose only option is --json: 0, or as cli_next(). */
int cli_json_only(struct cli_args *args, bool *json) __must_check;
/* Exit status for a negative return of cli_next(). */
int cli_next_exit(int r);
/* One line on stderr; returns CLI_USAGE. */
int cli_usage(const struct cli_args *args, const char *fmt, ...) __printf_like(2, 3);
/* The only operand, or NULL after telling that there is none or more than one. */
const char *cli_operand(const struct cli_args *args, const char *what) __must_check;
/* Tell, and return CLI_USAGE, when there are operands; else 0. */
int cli_no_operands(const struct cli_args *args) __must_check;
/* For commands that take --json and nothing else; false: end with *status. */
bool cli_only_json(struct cli_args *args, bool *json, int *status) __must_check;
/* A number from 1 to max; false after telling. */
bool cli_number(const struct cli_args *args, long max, long *ret) __must_check;
void cli_print_help(const struct cli_command *c);

/* One line on stderr, "pinfold: ..."; returns CLI_FAILURE. */
int cli_fail(const char *fmt, ...) __printf_like(1, 2);
/* The same for a reply that says "ok":false; file and line first when there are some. */
int cli_fail_reply(const struct ctl_reply_error *e);

/* A connection to the daemon, or -1 after telling. PINFOLD_SOCKET names another one than the usual.
 */
int cli_connect(void) __must_check;
const char *cli_socket_path(void);

/*
 * Send a request (args owned here, NULL: none) and call on_reply for each reply until the last.
 * 0, or the exit status after telling. on_reply returns false to stop early.
 */
int cli_request(enum ctl_cmd cmd, json_t *args, bool (*on_reply)(const json_t *reply, void *arg),
		void *arg) __must_check;
/* For commands with one reply: it, or NULL after telling. */
json_t *cli_request_one(enum ctl_cmd cmd, json_t *args) __must_check;

/* The same with one descriptor; -1: none. */
json_t *cli_request_with(enum ctl_cmd cmd, json_t *args, int fd) __must_check;
/*
 * A sealed copy of a policy that is a file, read with the caller's rights; -1 when it is a name,
 * and then *ok, or after telling.
 */
int cli_open_policy(const char *policy, bool *ok) __must_check;

/* Colours of stdout; all empty unless it is a terminal and NO_COLOR is unset or empty. */
struct cli_colours {
	const char *red, *green, *yellow, *bold, *dim, *off;
};
const struct cli_colours *cli_colours(void);

/* Text from outside to stdout, made safe for a terminal, at most max bytes of it. */
void cli_print_text(const char *text, size_t max);
/* Whole object without "ok" and "more" to stdout, in one line. CLI_OK or CLI_FAILURE. */
int cli_print_json(const json_t *object);
/* Flush stdout: CLI_OK, or CLI_FAILURE after telling (a full disk, a closed pipe is silent). */
int cli_finish(void);

/* A number of an object from the daemon; 0 when it is missing or of another type. */
long long cli_int(const json_t *object, const char *key);

/* One audit record as a line for people. */
void cli_print_record(const json_t *record);
/* What "logs" and "audit tail" do: options -n, -f, --json. session NULL: all. */
int cli_show_records(enum ctl_cmd cmd, const char *session, long lines, bool follow, bool json);

int cmd_run(struct cli_args *args);
int cmd_ps(struct cli_args *args);
int cmd_logs(struct cli_args *args);
int cmd_kill(struct cli_args *args);
int cmd_panic(struct cli_args *args);
int cmd_unlock(struct cli_args *args);
int cmd_why(struct cli_args *args);
int cmd_doctor(struct cli_args *args);
int cmd_classify(struct cli_args *args);
int cmd_policy_check(struct cli_args *args);
int cmd_policy_load(struct cli_args *args);
int cmd_audit_tail(struct cli_args *args);
int cmd_version(struct cli_args *args);
int cmd_help(struct cli_args *args);

extern const struct cli_option cli_run_options[];
extern const struct cli_option cli_ps_options[];
extern const struct cli_option cli_kill_options[];
extern const struct cli_option cli_why_options[];
extern const struct cli_option cli_classify_options[];
extern const struct cli_option cli_policy_load_options[];
extern const struct cli_option cli_tail_options[];
extern const struct cli_option cli_json_options[];
extern const struct cli_option cli_no_options[];

#endif
