/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options by a table. Not getopt_long(3): it takes abbreviations, and a later option would change
 * what a script means.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

const struct cli_option cli_no_options[] = {{NULL, 0, NULL, NULL}};
const struct cli_option cli_json_options[] = {CLI_JSON_OPTION, {NULL, 0, NULL, NULL}};

int cli_usage(const struct cli_args *args, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "pinfold %s: ", args->command->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see \"pinfold %s --help\"\n", args->command->name);
	return CLI_USAGE;
}

int cli_next_exit(int r)
{
	return r == -2 ? cli_finish() : CLI_USAGE;
}

void cli_print_help(const struct cli_command *c)
{
	printf("usage: pinfold %s [OPTIONS]%s%s\n%s\n\n", c->name, c->operands[0] ? " " : "",
	       c->operands, c->help);
	for (const struct cli_option *o = c->options; o->name; o++) {
		char left[48]; /* the longest is "-p, --policy NAME|FILE" */

		(void)snprintf(left, sizeof(left), "    --%s%s%s", o->name, o->arg ? " " : "",
			       o->arg ? o->arg : "");
		if (o->letter < CLI_LONG_ONLY) {
			left[0] = '-';
			left[1] = (char)o->letter;
			left[2] = ',';
		}
		printf("  %-26s %s\n", left, o->help);
	}
	printf("  %-26s %s\n", "    --help", "print this");
}

static const struct cli_option *find_long(const struct cli_args *args, const char *name, size_t len)
{
	for (const struct cli_option *o = args->command->options; o->name; o++)
		if (strlen(o->name) == len && !strncmp(o->name, name, len))
			return o;
	return NULL;
}

static int next_long(struct cli_args *args, const char *word)
{
	size_t len = strcspn(word, "=");
	const struct cli_option *o = find_long(args, word, len);

	if (!strcmp(word, "help")) {
		cli_print_help(args->command);
		return -2;
	}
	if (!o) {
		(void)cli_usage(args, "unknown option --%s", word);
		return -1;
	}
	if (word[len] && !o->arg) {
		(void)cli_usage(args, "option --%s takes no value", o->name);
		return -1;
	}
	if (o->arg)
		args->value = word[len] ? word + len + 1 : *args->argv++;
	if (o->arg && !args->value) {
		args->argv--;
		(void)cli_usage(args, "option --%s needs a value", o->name);
		return -1;
	}
	return o->letter;
}

static int next_short(struct cli_args *args)
{
	int letter = (unsigned char)*args->bundle++;
	const struct cli_option *o = args->command->options;

	while (o->name && o->letter != letter)
		o++;
	if (!o->name) {
		(void)cli_usage(args, "unknown option -%c", letter);
		return -1;
	}
	if (!o->arg) {
		args->bundle = *args->bundle ? args->bundle : NULL;
		return letter;
	}
	args->value = *args->bundle ? args->bundle : *args->argv++;
	args->bundle = NULL;
	if (!args->value) {
		args->argv--;
		(void)cli_usage(args, "option -%c needs a value", letter);
		return -1;
	}
	return letter;
}

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1];
}

/* The words that are left are operands, behind those that were met before. */
static int end_of_options(struct cli_args *args)
{
	while (*args->argv)
		args->operands[args->n_operands++] = *args->argv++;
	args->operands[args->n_operands] = NULL;
	args->argv = args->operands;
	return 0;
}

int cli_next(struct cli_args *args)
{
	if (args->bundle)
		return next_short(args);
	if (!args->operands)
		args->operands = args->argv;
	while (*args->argv && !is_option(*args->argv) && !args->command->command_follows)
		args->operands[args->n_operands++] = *args->argv++;
	if (!*args->argv || !is_option(*args->argv))
		return end_of_options(args);
	const char *word = *args->argv++;

	if (!strcmp(word, "--"))
		return end_of_options(args);
	if (word[1] == '-')
		return next_long(args, word + 2);
	args->bundle = word + 1;
	return next_short(args);
}

int cli_json_only(struct cli_args *args, bool *json)
{
	int r;

	*json = false;
	while ((r = cli_next(args)) > 0)
		*json = true;
	return r;
}

const char *cli_operand(const struct cli_args *args, const char *what)
{
	if (args->argv[0] && !args->argv[1])
		return args->argv[0];
	if (args->argv[0])
		(void)cli_usage(args, "\"%s\" is one too many", args->argv[1]);
	else
		(void)cli_usage(args, "which %s?", what);
	return NULL;
}

int cli_no_operands(const struct cli_args *args)
{
	return args->argv[0] ? cli_usage(args, "\"%s\" is one too many", args->argv[0]) : 0;
}

bool cli_only_json(struct cli_args *args, bool *json, int *status)
{
	int r = cli_json_only(args, json);

	*status = r < 0 ? cli_next_exit(r) : cli_no_operands(args);
	return r == 0 && *status == 0;
}

bool cli_number(const struct cli_args *args, long max, long *ret)
{
	char *end;

	errno = 0;
	long v = strtol(args->value, &end, 10);

	if (errno || end == args->value || *end || v < 1 || v > max) {
		(void)cli_usage(args, "\"%s\" is not a number from 1 to %ld", args->value, max);
		return false;
	}
	*ret = v;
	return true;
}
