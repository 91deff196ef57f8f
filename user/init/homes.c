/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names in /home, where the built-in secrets are. It is often on a server.
 */
#include "init/init.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define HOME "/home"
/* No session starts where there are more: the secrets of the rest would not be denied. */
#define HOMES_MAX 1024

struct homes {
	volatile size_t progress;
	int error; /* positive errno; E2BIG: more than HOMES_MAX */
	size_t n;
	char names[HOMES_MAX][NAME_MAX + 1];
};

static void add_name(struct homes *h, const char *name)
{
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	if (h->n == HOMES_MAX)
		h->error = E2BIG;
	else
		memcpy(h->names[h->n++], name, strlen(name) + 1);
}

static void read_names(void *arg)
{
	struct homes *h = arg;
	__cleanup_dir DIR *dir = opendir(HOME);

	if (!dir) {
		h->error = errno == ENOENT || errno == ENOTDIR ? 0 : errno;
		return;
	}
	while (h->error == 0) {
		errno = 0;
		const struct dirent *e = readdir(dir);

		if (!e) {
			h->error = errno;
			break;
		}
		add_name(h, e->d_name);
		h->progress++;
	}
}

static json_t *names(const struct homes *h)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < h->n; i++)
		if (json_array_append_new(list, json_string(h->names[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static int read_home(struct homes *h, struct failure *f)
{
	int r = bounded(read_names, h, &h->progress);

	if (r == -ETIMEDOUT || r == -EUCLEAN)
		return fail(f, ETIMEDOUT, "cannot read " HOME ": its file system does not answer");
	if (r == 0 && h->error == E2BIG)
		return fail(f, E2BIG,
			    HOME " has more than %d names: their secrets cannot all be denied",
			    HOMES_MAX);
	if (r == 0)
		r = -h->error;
	if (r < 0)
		return fail(f, -r, "cannot read " HOME ", where secrets must be denied: %s",
			    strerror(-r));
	return 0;
}

json_t *homes_list(struct failure *f)
{
	struct homes *h =
		mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (h == MAP_FAILED) {
		(void)fail(f, ENOMEM, "out of memory");
		return NULL;
	}
	json_t *list = read_home(h, f) == 0 ? names(h) : NULL;

	(void)munmap(h, sizeof(*h));
	if (!list) /* unless there is a better reason */
		(void)fail(f, ENOMEM, "cannot read " HOME ": a name is not UTF-8");
	return list;
}
