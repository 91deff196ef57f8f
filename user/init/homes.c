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
/* Names that are told; whoever has more has their homes denied as a whole, or named. */
#define HOMES_MAX 1024

struct homes {
	volatile size_t progress;
	size_t n;
	char names[HOMES_MAX][NAME_MAX + 1];
};

static void read_names(void *arg)
{
	struct homes *h = arg;
	DIR *dir = opendir(HOME);

	for (struct dirent *e = dir ? readdir(dir) : NULL; e && h->n < HOMES_MAX;
	     e = readdir(dir)) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			memcpy(h->names[h->n++], e->d_name, strlen(e->d_name) + 1);
		h->progress++;
	}
	if (dir)
		closedir(dir);
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

json_t *homes_list(struct failure *f)
{
	struct homes *h =
		mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int r = h == MAP_FAILED ? -ENOMEM : bounded(read_names, h, &h->progress);
	json_t *list = r == 0 ? names(h) : NULL;

	if (h != MAP_FAILED)
		(void)munmap(h, sizeof(*h));
	if (r == -ETIMEDOUT || r == -EUCLEAN)
		(void)fail(f, ETIMEDOUT, "cannot read " HOME ": its file system does not answer");
	else if (!list)
		(void)fail(f, ENOMEM, "cannot read " HOME ": %s",
			   r ? strerror(-r) : "a name is not UTF-8");
	return list;
}
