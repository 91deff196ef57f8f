/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rule paths become file identities: the kernel notes the inode of every file that pid 1 opens
 * (pf_marks). The descriptors are held until the session ends, since an inode that is evicted may
 * come back under another number.
 */
#include "init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

/*
 * O_PATH: unseen by the kernel side. plain: no symbolic link on the way. What a session may write
 * it may also fill with links, which would lead the rules of a later session astray.
 */
static int hold(const char *path, bool plain)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = plain ? RESOLVE_NO_SYMLINKS : 0};

	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

/*
 * Open path for holding, then once more for the mark. Returns 0 when the mark was made. Devices and
 * sockets have no mark: opening them may act.
 */
static int mark_one(const char *path, bool plain)
{
	struct stat st;
	char self[64]; /* "/proc/self/fd/" and an int */
	__cleanup_fd int held = hold(path, plain);

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

/* plain: a list of booleans beside paths; NULL: none is. */
static int mark_all(json_t *paths, const json_t *plain, json_t *results)
{
	size_t i;
	json_t *path;

	json_array_foreach(paths, i, path)
	{
		const char *p = json_string_value(path);
		int r = p ? mark_one(p, json_is_true(json_array_get(plain, i))) : -EBADMSG;

		if (json_array_append_new(results, json_integer(-r)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int mark_rules(const json_t *mark, json_t *results)
{
	return mark_all(json_object_get(mark, "paths"), json_object_get(mark, "plain"), results);
}

static int mark_as_caller(const json_t *mark, const struct setup *s, json_t *results)
{
	int r = priv_borrow(s);

	if (r == 0)
		r = mark_rules(mark, results);
	int back = priv_return();

	return r < 0 ? r : back;
}

int marks_make(const json_t *mark, const struct setup *s, json_t **ret_results)
{
	bool as_caller = json_is_true(json_object_get(mark, "as_caller"));
	json_t *results = json_array();
	int r = results ? 0 : -ENOMEM;

	if (r == 0)
		r = as_caller ? mark_as_caller(mark, s, results) : mark_rules(mark, results);
	if (r == 0)
		r = mark_all(json_object_get(mark, "own"), NULL, results);
	if (r < 0) {
		json_decref(results);
		return r;
	}
	*ret_results = results;
	return 0;
}
