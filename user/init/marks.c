/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rule paths become file identities: the kernel notes the inode of every file that pid 1 opens
 * (pf_marks). The descriptors are held until the session ends, since an inode that is evicted may
 * come back under another number.
 */
#include "init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"

/*
 * Open path for holding (O_PATH: unseen by the kernel side), then once more for the mark. Returns 0
 * when the mark was made. Devices and sockets have no mark: opening them may act.
 */
static int mark_one(const char *path)
{
	struct stat st;
	char self[64]; /* "/proc/self/fd/" and an int */
	__cleanup_fd int held = open(path, O_PATH | O_CLOEXEC);

	if (held < 0 || fstat(held, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		return -ENODEV;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", held);
	__cleanup_fd int fd = open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	(void)TAKE_FD(held); /* until pid 1 ends */
	return 0;
}

static int mark_all(json_t *paths, json_t *results)
{
	size_t i;
	json_t *path;

	json_array_foreach(paths, i, path)
	{
		const char *p = json_string_value(path);
		int r = p ? mark_one(p) : -EBADMSG;

		if (json_array_append_new(results, json_integer(-r)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int mark_as_caller(json_t *paths, const struct setup *s, json_t *results)
{
	int r = priv_borrow(s);

	if (r == 0)
		r = mark_all(paths, results);
	int back = priv_return();

	return r < 0 ? r : back;
}

int marks_make(const json_t *mark, const struct setup *s, json_t **ret_results)
{
	bool as_caller = json_is_true(json_object_get(mark, "as_caller"));
	json_t *paths = json_object_get(mark, "paths"), *results = json_array();
	int r = results ? 0 : -ENOMEM;

	if (r == 0)
		r = as_caller ? mark_as_caller(paths, s, results) : mark_all(paths, results);
	if (r == 0)
		r = mark_all(json_object_get(mark, "own"), results);
	if (r < 0) {
		json_decref(results);
		return r;
	}
	*ret_results = results;
	return 0;
}
