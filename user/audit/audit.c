/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the audit log. Nothing here decides what is worth a record.
 */
#include "audit/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fd.h"
#include "base/stamp.h"
#include "audit/tail.h"

/* What a record may take, its number and time apart; and each of its members when it is longer. */
#define LINE_ROOM (AUDIT_LINE_MAX - 128)
#define CUT_BYTES 4096

struct audit {
	char *path; /* owned */
	int fd;
	int error;     /* -errno of the last write, 0 when it worked */
	uint64_t seq;  /* of the last record, lost ones included */
	uint64_t lost; /* not yet told in a loss record */
	bool torn;     /* the file does not end in a newline */
};

/* json_object_update_missing() does not tell when memory is short. */
static int add_missing(json_t *out, const json_t *record)
{
	const char *key;
	json_t *value;
	int r = 0;

	json_object_foreach((json_t *)record, key, value)
	{
		if (r == 0 && !json_object_get(out, key))
			r = json_object_set(out, key, value);
	}
	return r;
}

/* {"seq":..,"time":..} and then the record's own members, in the record's order. */
static char *make_line(uint64_t seq, const json_t *record)
{
	struct stamp now = stamp_now();
	json_t *out = json_pack("{s:I, s:s}", "seq", (json_int_t)seq, "time", now.text);

	if (!out || add_missing(out, record) < 0) {
		json_decref(out);
		return NULL;
	}
	char *line = json_dumps(out, JSON_COMPACT | JSON_PRESERVE_ORDER);

	json_decref(out);
	return line;
}

/* One write(2) per line. What it leaves behind on failure is ended by the next line. */
static int append(struct audit *a, const char *line)
{
	__cleanup_free char *text = NULL;
	int len = asprintf(&text, "%s%s\n", a->torn ? "\n" : "", line);

	if (len < 0)
		return -ENOMEM;
	ssize_t n;

	do
		n = write(a->fd, text, (size_t)len);
	while (n < 0 && errno == EINTR);
	if (n == len) {
		a->torn = false;
		return 0;
	}
	if (n > 0)
		a->torn = text[n - 1] != '\n';
	return n < 0 ? -errno : -ENOSPC;
}

static int write_numbered(struct audit *a, const json_t *record, char **ret_line)
{
	__cleanup_free char *line = make_line(++a->seq, record);

	if (!line)
		return -ENOMEM;
	int r = append(a, line);

	if (r == 0 && ret_line)
		*ret_line = TAKE_PTR(line);
	return r;
}

static int tell_loss(struct audit *a)
{
	const char *name = a->error ? strerrorname_np(-a->error) : "ENODATA";
	json_t *loss = json_pack("{s:s, s:I, s:s}", "type", "loss", "count", (json_int_t)a->lost,
				 "error", name ? name : "EIO");

	if (!loss)
		return -ENOMEM;
	uint64_t seq = a->seq;
	int r = write_numbered(a, loss, NULL);

	json_decref(loss);
	if (r == 0)
		a->lost = 0;
	else
		a->seq = seq; /* a loss record is no loss itself: it comes again */
	return r;
}

int audit_retry(struct audit *a)
{
	if (a->error == 0)
		return 0;
	int r = tell_loss(a);

	a->error = r;
	return r;
}

/* Bytes of JSON; 0: no memory. */
static size_t size_of(const json_t *value)
{
	return json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* The beginning of a text that takes at most room bytes in JSON; no character is cut. */
static json_t *cut_text(const json_t *text, size_t room)
{
	const char *p = json_string_value(text);
	size_t len = json_string_length(text);

	len = len < room ? len : room;
	for (;;) {
		while (len > 0 && ((unsigned char)p[len] & 0xc0) == 0x80)
			len--;
		json_t *cut = json_stringn(p, len);
		size_t size = size_of(cut);

		if (size > 0 && (len == 0 || size <= room))
			return cut;
		json_decref(cut);
		if (size == 0)
			return NULL;
		len = len / 2;
	}
}

/* The first items of a list, the last of them cut. */
static json_t *cut_list(const json_t *list, size_t room)
{
	json_t *out = json_array(), *item;
	size_t i, used = 2;
	int r = 0;

	json_array_foreach((json_t *)list, i, item)
	{
		size_t size = size_of(item);
		bool fits = used + size + 1 <= room;

		if (size == 0)
			r = -ENOMEM;
		else if (fits)
			r = json_array_append(out, item);
		else if (json_is_string(item))
			r = json_array_append_new(out, cut_text(item, room - used));
		if (!fits || r < 0)
			break;
		used += size + 1;
	}
	if (r < 0) {
		json_decref(out);
		return NULL;
	}
	return out;
}

static json_t *cut(const json_t *value)
{
	if (json_is_string(value))
		return cut_text(value, CUT_BYTES);
	return json_is_array(value) ? cut_list(value, CUT_BYTES) : json_null();
}

/* A member that is short as it is; of a long one what fits, and its size. */
static int put_cut(json_t *out, json_t *sizes, const char *key, json_t *value)
{
	size_t size = size_of(value);

	if (size == 0)
		return -ENOMEM;
	if (size <= CUT_BYTES)
		return json_object_set(out, key, value);
	if (json_object_set_new(out, key, cut(value)) < 0)
		return -ENOMEM;
	return json_object_set_new(sizes, key, json_integer((json_int_t)size));
}

/*
 * Numbers and short texts stay; what is long is cut, and its size noted under "truncated". NULL: no
 * memory; a record that lacks a member without saying so would be a lie.
 */
static json_t *cut_record(const json_t *record)
{
	json_t *out = json_object(), *sizes = json_object(), *value;
	const char *key;
	int r = 0;

	json_object_foreach((json_t *)record, key, value)
	{
		if (r == 0)
			r = put_cut(out, sizes, key, value);
	}
	if (r < 0)
		json_decref(sizes);
	else
		r = json_object_set_new(out, "truncated", sizes);
	if (r < 0) {
		json_decref(out);
		return NULL;
	}
	return out;
}

/*
 * The record as it fits a line: itself, with its long members cut, or what says how long it was.
 * NULL: no memory.
 */
static json_t *fitting(json_t *record)
{
	size_t size = size_of(record);

	if (size > 0 && size < LINE_ROOM)
		return record;
	json_t *short_one = size > 0 ? cut_record(record) : NULL;
	size_t left = size_of(short_one);

	if (left == 0 || left >= LINE_ROOM) {
		json_decref(short_one);
		short_one = NULL;
	}
	if (left >= LINE_ROOM)
		short_one = json_pack("{s:O?, s:O?, s:I}", "type", json_object_get(record, "type"),
				      "session", json_object_get(record, "session"), "too_long",
				      (json_int_t)size);
	json_decref(record);
	return short_one;
}

int audit_write(struct audit *a, json_t *record, char **ret_line)
{
	int r = record ? audit_retry(a) : -ENOMEM;

	if (r == 0) {
		record = fitting(record);
		r = record ? write_numbered(a, record, ret_line) : -ENOMEM;
	} else {
		a->seq++;
	}
	json_decref(record);
	if (r < 0) {
		a->lost++;
		a->error = r;
	}
	return r;
}

int audit_lost(struct audit *a, json_t *about, uint64_t n)
{
	if (about && (json_object_set_new(about, "type", json_string("loss")) < 0 ||
		      json_object_set_new(about, "count", json_integer((json_int_t)n)) < 0)) {
		json_decref(about);
		about = NULL;
	}
	return audit_write(a, about, NULL);
}

int audit_error(const struct audit *a)
{
	return a->error;
}

uint64_t audit_seq(const struct audit *a)
{
	return a->seq;
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

/* Where the numbers stand: the file's last whole record, or that of the rotated file. */
static int find_last(struct audit *a)
{
	__cleanup_free char *rotated = NULL;
	int r = tail_last_seq(a->fd, &a->seq, &a->torn);

	if (r != -ENODATA || a->torn)
		return r == -ENODATA ? 0 : r;
	if (asprintf(&rotated, "%s.1", a->path) < 0)
		return -ENOMEM;
	__cleanup_fd int fd = open(rotated, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	bool torn;

	if (fd < 0)
		return 0;
	r = tail_last_seq(fd, &a->seq, &torn);
	return r == -ENODATA ? 0 : r;
}

int audit_open(struct audit **ret, const char *path)
{
	struct audit *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->path = strdup(path);
	a->fd = a->path ? open_file(path) : -ENOMEM;
	int r = a->fd < 0 ? a->fd : find_last(a);

	if (r == 0 && a->torn) {
		a->lost = 1;
		a->seq++; /* the number that the torn record had */
		r = tell_loss(a);
	}
	if (r < 0) {
		audit_close(a);
		return r;
	}
	*ret = a;
	return 0;
}

void audit_close(struct audit *a)
{
	if (!a)
		return;
	fd_cleanup(&a->fd);
	free(a->path);
	free(a);
}

int audit_reopen(struct audit *a)
{
	__cleanup_fd int fd = open_file(a->path);
	uint64_t seq; /* known already */
	bool torn = false;

	if (fd < 0)
		return fd;
	int r = tail_last_seq(fd, &seq, &torn);

	if (r < 0 && r != -ENODATA)
		return r;
	fd_cleanup(&a->fd);
	a->fd = TAKE_FD(fd);
	a->torn = torn;
	return 0;
}
