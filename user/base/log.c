/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines for the operator, on stderr.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longer lines are cut; a line is for people, and one write(2) keeps it whole. */
#define LOG_LINE_MAX 2048

static const char *log_program = "pinfold";
static enum log_level log_level = LOG_LEVEL_INFO;

void log_setup(const char *program, enum log_level level)
{
	log_program = program;
	log_level = level;
}

static const char *level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERR:
		return "error: ";
	case LOG_LEVEL_WARN:
		return "warning: ";
	case LOG_LEVEL_INFO:
		return "";
	case LOG_LEVEL_DEBUG:
		return "debug: ";
	}
	return "";
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	va_list ap;

	if (level > log_level)
		return;
	int n = snprintf(line, sizeof(line), "%s: %s", log_program, level_name(level));

	va_start(ap, fmt);
	(void)vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	size_t len = strlen(line);

	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* nobody is left to tell */
}
