/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output: colours, text from outside, JSON. Whatever a session made up is escaped before it reaches
 * a terminal.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/cli.h"

const struct cli_colours *cli_colours(void)
{
	static const struct cli_colours plain = {"", "", "", "", "", ""};
	static const struct cli_colours ansi = {"\033[31m", "\033[32m", "\033[33m",
						"\033[1m",  "\033[2m",	"\033[0m"};
	const char *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !(no && no[0]) ? &ansi : &plain;
}

void cli_print_text(const char *text, size_t max)
{
	size_t len = strlen(text), size = 4 * (len < max ? len : max) + 32;
	__cleanup_free char *safe = malloc(size);

	if (safe)
		fputs(text_escape(safe, size, text, len, max), stdout);
}

int cli_print_json(const json_t *object)
{
	json_t *copy = json_copy((json_t *)object);
	char *text = NULL;

	if (copy) {
		(void)json_object_del(copy, "ok");   /* only -1 when it is not there */
		(void)json_object_del(copy, "more"); /* likewise */
		/* or control characters beyond ASCII would act on a terminal */
		text = json_dumps(copy, JSON_COMPACT | JSON_ENSURE_ASCII);
	}
	json_decref(copy);
	if (!text)
		return cli_fail("out of memory");
	puts(text);
	free(text);
	return CLI_OK;
}

int cli_finish(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return CLI_OK;
	if (errno == EPIPE)
		return CLI_FAILURE;
	return cli_fail("cannot write the output: %s", strerrordesc_np(errno));
}

long long cli_int(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}
