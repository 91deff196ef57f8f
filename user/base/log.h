/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines for the operator, on stderr (the journal, under systemd). Audit records are not log lines.
 * Thread-safe: one write(2) a line.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/cleanup.h"

enum log_level { LOG_LEVEL_ERR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* The name before each line (a literal that outlives the program) and the least urgent level told.
 */
void log_setup(const char *program, enum log_level level);

void log_line(enum log_level level, const char *fmt, ...) __printf_like(2, 3);

#define log_err(...) log_line(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
