/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rule paths become file identities: the kernel notes the inode of every file that pid 1 opens
 * (pf_marks). The descriptors are held for as long as the rules, since an inode that is evicted may
 * come back under another number. A path whose file system does not answer has no mark.
 */
#include "init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <pinfold/policy.h>

#include "base/fd.h"

#ifndef HFSPLUS_MAGIC
#define HFSPLUS_MAGIC 0x482b
#define HFS_MAGIC 0x4244
#endif

/*
 * Symbolic links that may be on the way. What a session may write it may also fill with links,
 * which would lead the rules of a later session astray, or those that are loaded while it lives.
 */
enum links { LINKS_NONE, LINKS_TOP, LINKS_ANY };

/* One path, in memory that is shared with the child that opens it. */
struct slot {
	int held;  /* descriptor, negative: none yet */
	int error; /* positive errno; ETIMEDOUT: not to be tried again */
	enum links links;
	bool folds; /* names, in this directory */
};

/* A child works through all of them; after one that hangs, another child does, from the start. */
struct job {
	const struct setup *s;
	int proc;	      /* directory of procfs */
	const char **paths;   /* owned array of borrowed strings */
	size_t n, n_borrowed; /* the first of them with the caller's rights */
	size_t n_own;	      /* the last of them are the session's own filesystems */
	volatile size_t *at;  /* shared: the slot in work */
	struct slot *slots;   /* shared */
	size_t shared;	      /* bytes, of both */
};

/*
 * Is a name the same in upper and lower case here? Some file systems always do that; others say
 * which directories do.
 */
static bool folds_names(int dir)
{
	static const long always[] = {MSDOS_SUPER_MAGIC, EXFAT_SUPER_MAGIC, 0x7366746e /* ntfs3 */,
				      CIFS_SUPER_MAGIC,	 SMB2_SUPER_MAGIC,  HFSPLUS_MAGIC,
				      HFS_MAGIC};
	int flags = 0;
	struct statfs fs;

	if (fstatfs(dir, &fs) < 0)
		return true; /* not known: as if it did */
	for (size_t i = 0; i < ARRAY_LEN(always); i++)
		if (fs.f_type == always[i])
			return true;
	return ioctl(dir, FS_IOC_GETFLAGS, &flags) == 0 && flags & FS_CASEFOLD_FL;
}

/* Without the link that the first name of path may be, as /lib to usr/lib; -ELOOP: it is none. */
static int hold_below_link(const char *path)
{
	char link[64], name[64], *real; /* such names are short; longer ones are none of them */
	const char *rest = strchrnul(path + 1, '/');
	int len = snprintf(name, sizeof(name), "%.*s", (int)(rest - path), path);
	ssize_t n = len < (int)sizeof(name) ? readlink(name, link, sizeof(link)) : -1;

	if (n < 0 || (size_t)n == sizeof(link))
		return -ELOOP;
	link[n] = '\0';
	if (asprintf(&real, "%s%s%s", link[0] == '/' ? "" : "/", link, rest) < 0)
		return -ENOMEM;
	int fd = path_hold(real, true);

	free(real);
	return fd;
}

static int hold_once(struct slot *slot, const char *path)
{
	if (slot->held < 0)
		slot->held = path_hold(path, slot->links != LINKS_ANY);
	if (slot->held == -ELOOP && slot->links == LINKS_TOP)
		slot->held = hold_below_link(path);
	return slot->held < 0 ? slot->held : 0;
}

/* The kernel notes under this number what is opened next. */
static int set_number(size_t i)
{
	char name[16]; /* an unsigned int, with at least 7 digits */

	if (i > PF_MARK_NUMBER_MAX)
		return -E2BIG;
	(void)snprintf(name, sizeof(name), PF_MARK_NUMBER, (unsigned)i);
	return prctl(PR_SET_NAME, name) < 0 ? -errno : 0;
}

/*
 * Open path number i for holding, then once more for the mark. Returns 0 when the mark was made.
 * Devices and sockets have no mark: opening them may act.
 */
static int mark_one(const struct job *j, size_t i)
{
	struct slot *slot = &j->slots[i];
	struct stat st;
	char self[32]; /* "self/fd/" and an int */
	int r = hold_once(slot, j->paths[i]);

	if (r == 0)
		r = set_number(i);

	if (r < 0)
		return r;
	if (fstat(slot->held, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		return -ENODEV;
	(void)snprintf(self, sizeof(self), "self/fd/%d", slot->held);
	__cleanup_fd int fd = openat(j->proc, self, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	slot->folds = S_ISDIR(st.st_mode) && folds_names(fd);
	return 0;
}

/* In the child. It exits early, with something else than 0, when it cannot change its identity. */
static void mark_all(void *arg)
{
	struct job *j = arg;

	if (j->n_borrowed > 0 && priv_borrow(j->s) < 0)
		_exit(1);
	for (size_t i = 0; i < j->n; i++) {
		if (i > 0 && i == j->n_borrowed && priv_return() < 0)
			_exit(1);
		*j->at = i;
		if (j->slots[i].error != ETIMEDOUT)
			j->slots[i].error = -mark_one(j, i);
	}
}

/* What an earlier child has marked the next one marks again: it is the same, as it is held. */
static int run(struct job *j, struct failure *f)
{
	for (;;) {
		int r = bounded(mark_all, j, j->at);

		if (r == -EUCLEAN)
			return fail(
				f, ETIMEDOUT,
				"cannot open %s: its file system does not answer, and the attempt "
				"cannot be ended",
				j->paths[*j->at]);
		if (r != -ETIMEDOUT)
			return r;
		j->slots[*j->at].error = ETIMEDOUT;
	}
}

/* In words that pinfoldd knows. */
static enum links links_of(const json_t *word)
{
	const char *text = json_string_value(word);

	if (text && strcmp(text, "any") == 0)
		return LINKS_ANY;
	return text && strcmp(text, "top") == 0 ? LINKS_TOP : LINKS_NONE;
}

/* links NULL: none. */
static int add(struct job *j, const json_t *paths, const json_t *links)
{
	size_t i;
	json_t *path;

	json_array_foreach((json_t *)paths, i, path)
	{
		j->paths[j->n] = json_string_value(path);
		j->slots[j->n] =
			(struct slot){.held = -1, .links = links_of(json_array_get(links, i))};
		if (!j->paths[j->n++])
			return -EBADMSG;
	}
	return 0;
}

static int job_make(struct job *j, const json_t *mark)
{
	const json_t *paths = json_object_get(mark, "paths"), *own = json_object_get(mark, "own");
	size_t n = json_array_size(paths) + json_array_size(own);

	j->n_own = json_array_size(own);
	j->paths = calloc(n + 1, sizeof(*j->paths));
	j->shared = sizeof(*j->at) + n * sizeof(*j->slots);
	void *shared =
		mmap(NULL, j->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (!j->paths || shared == MAP_FAILED)
		return -ENOMEM;
	j->at = shared;
	j->slots = (struct slot *)((size_t *)shared + 1);
	int r = add(j, paths, json_object_get(mark, "links"));

	if (json_is_true(json_object_get(mark, "as_caller")))
		j->n_borrowed = j->n;
	return r < 0 ? r : add(j, own, NULL);
}

static void job_free(struct job *j)
{
	free(j->paths);
	if (j->at)
		munmap((void *)j->at, j->shared);
}

/* pinfoldd takes the rights of its own to be those of whatever was opened there. */
static int check_own(const struct job *j, struct failure *f)
{
	for (size_t i = j->n - j->n_own; i < j->n; i++)
		if (j->slots[i].error)
			return fail(f, j->slots[i].error, "cannot open the session's own %s: %s",
				    j->paths[i], strerror(j->slots[i].error));
	return 0;
}

static json_t *results(const struct job *j)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < j->n; i++)
		if (json_array_append_new(
			    list, json_integer(j->slots[i].folds ? -1 : j->slots[i].error)) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static int take_held(const struct job *j, struct held *ret)
{
	ret->v = calloc(j->n + 1, sizeof(*ret->v));
	if (!ret->v)
		return -ENOMEM;
	for (size_t i = 0; i < j->n; i++)
		if (j->slots[i].held >= 0)
			ret->v[ret->n++] = j->slots[i].held;
	return 0;
}

int marks_make(const json_t *mark, const struct setup *s, int proc, struct held *ret_held,
	       json_t **ret_results, struct failure *f)
{
	struct job j = {.s = s, .proc = proc};
	int r = job_make(&j, mark);

	if (r == 0)
		r = run(&j, f);
	if (r == 0)
		r = check_own(&j, f);
	if (r == 0 && ret_held)
		r = take_held(&j, ret_held);
	json_t *list = r == 0 ? results(&j) : NULL;

	job_free(&j);
	if (r == 0 && !list)
		r = -ENOMEM;
	if (r < 0)
		return fail(f, -r, "cannot open the paths of the policy: %s", strerror(-r));
	*ret_results = list;
	return 0;
}
