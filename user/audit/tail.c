/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the end of the audit log.
 */
#include "audit/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/audit.h"
#include "base/fd.h"

#define SESSION_BYTES 64 /* of an identifier, with the NUL: longer ones are nobody's */

/* The last max bytes of the file, NUL-terminated; *ret_start: whether that is all of it. */
static int read_end(int fd, size_t max, char **ret, size_t *ret_len, bool *ret_start)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	size_t len = (size_t)st.st_size < max ? (size_t)st.st_size : max;
	__cleanup_free char *buf = malloc(len + 1);

	if (!buf)
		return -ENOMEM;
	ssize_t n = pread(fd, buf, len, st.st_size - (off_t)len);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	*ret_len = (size_t)n;
	*ret_start = (off_t)len == st.st_size;
	*ret = TAKE_PTR(buf);
	return 0;
}

static json_t *parse_line(const char *line, size_t len)
{
	json_t *record = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	if (record && json_is_object(record))
		return record;
	json_decref(record);
	return NULL;
}

/* The line that ends before end (exclusive, at a newline or the end of the text). */
static const char *line_start(const char *buf, const char *end)
{
	const char *newline = memrchr(buf, '\n', (size_t)(end - buf));

	return newline ? newline + 1 : buf;
}

/* 0: not a record (a line that was torn and ended later) */
static uint64_t line_seq(const char *line, size_t len)
{
	json_t *record = parse_line(line, len);
	json_int_t seq = json_integer_value(json_object_get(record, "seq"));

	json_decref(record);
	return seq > 0 ? (uint64_t)seq : 0;
}

int tail_last_seq(int fd, uint64_t *ret_seq, bool *ret_torn)
{
	__cleanup_free char *buf = NULL;
	size_t len;
	bool all;
	/* Two torn lines and the whole one before them, each with its newline. */
	int r = read_end(fd, 3 * (AUDIT_LINE_MAX + 2), &buf, &len, &all);

	if (r < 0)
		return r;
	const char *end = line_start(buf, buf + len);

	*ret_torn = end != buf + len;
	if (end == buf)
		return all ? -ENODATA : -EINVAL;
	for (uint64_t seq; end > buf; end = line_start(buf, end - 1)) {
		const char *start = line_start(buf, end - 1);

		seq = line_seq(start, (size_t)(end - 1 - start));
		if (seq > 0) {
			*ret_seq = seq;
			return 0;
		}
	}
	return -EINVAL;
}

/*
 * Whether a line is of a session that is wanted. The key is looked for in the text: in a string of
 * the record its quotes would stand behind backslashes.
 */
static bool is_of_session(const struct audit_filter *f, const char *line, size_t len)
{
	static const char key[] = "\"session\":\"";
	const char *at = memmem(line, len, key, sizeof(key) - 1), *end;
	char id[SESSION_BYTES];

	if (!at)
		return false;
	at += sizeof(key) - 1;
	end = memchr(at, '"', (size_t)(line + len - at));
	if (!end || (size_t)(end - at) >= sizeof(id))
		return false;
	memcpy(id, at, (size_t)(end - at));
	id[end - at] = '\0';
	return f->session(f->arg, id);
}

/* The record of a line, or NULL when it is not wanted, or none. */
static json_t *wanted(const struct audit_filter *f, const char *line, size_t len)
{
	if (f && f->session && !is_of_session(f, line, len))
		return NULL;
	json_t *record = parse_line(line, len);

	if (!record || !f || !f->record || f->record(f->arg, record))
		return record;
	json_decref(record);
	return NULL;
}

/* Walk the lines backwards, newest first, until there are n. */
static int collect(const char *buf, const char *end, size_t n, const struct audit_filter *f,
		   json_t *out)
{
	while (end > buf && json_array_size(out) < n) {
		const char *start = line_start(buf, end - 1);
		json_t *record = wanted(f, start, (size_t)(end - 1 - start));

		end = start;
		if (record && json_array_append_new(out, record) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Add to out, newest first, what the file has; *ret_all: it was looked at to its start. */
static int collect_file(const char *path, size_t n, const struct audit_filter *f, json_t *out,
			bool *ret_all)
{
	__cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	__cleanup_free char *buf = NULL;
	size_t len;

	if (fd < 0)
		return -errno;
	int r = read_end(fd, AUDIT_TAIL_BYTES, &buf, &len, ret_all);

	return r < 0 ? r : collect(buf, line_start(buf, buf + len), n, f, out);
}

static int collect_all(const char *path, size_t n, const struct audit_filter *f, json_t *out)
{
	__cleanup_free char *rotated = NULL;
	bool all = true;
	int r = collect_file(path, n, f, out, &all);

	if ((r < 0 && r != -ENOENT) || !all || json_array_size(out) == n)
		return r;
	if (asprintf(&rotated, "%s.1", path) < 0)
		return -ENOMEM;
	int older = collect_file(rotated, n, f, out, &all);

	return older == -ENOENT ? r : older;
}

int audit_tail(const char *path, size_t n, const struct audit_filter *filter, json_t **ret)
{
	json_t *newest = json_array(), *out = json_array();
	int r = newest && out ? collect_all(path, n, filter, newest) : -ENOMEM;

	for (size_t i = json_array_size(newest); r == 0 && i > 0; i--)
		r = json_array_append(out, json_array_get(newest, i - 1)) < 0 ? -ENOMEM : 0;
	json_decref(newest);
	if (r < 0) {
		json_decref(out);
		return r;
	}
	*ret = out;
	return 0;
}
