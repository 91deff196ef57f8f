/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session's own view of the filesystem: the host's root stays visible (what may be read or
 * written there is for the kernel side to say), but everything that is shared, or belongs to
 * others, is covered by filesystems that exist for this session alone.
 */
#include "init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/text.h"

#define DISK_DEFAULT (1ULL << 30)

/* An empty directory to put over what the session has no business with. */
#define EMPTY_DIR "/run/pinfold/empty"

/* "/proc/self/fd/" and an int; for mount(2), which takes no descriptors */
struct fd_path {
	char text[64];
};

static struct fd_path fd_path(int fd)
{
	struct fd_path p;

	(void)snprintf(p.text, sizeof(p.text), "/proc/self/fd/%d", fd);
	return p;
}

/* Rights are those of pf_own_fs, in words that pinfoldd knows. */
static const struct own_fs {
	const char *path, *type, *rights;
	unsigned long flags;
	const char *options;
	bool sized, optional;
} own_fs[] = {
	{.path = "/proc",
	 .type = "proc",
	 .rights = "proc",
	 .flags = MS_NOSUID | MS_NODEV | MS_NOEXEC},
	{.path = "/dev",
	 .type = "tmpfs",
	 .rights = "rwdev",
	 .flags = MS_NOSUID | MS_NOEXEC,
	 .options = "mode=755,size=64k"},
	{.path = "/dev/pts",
	 .type = "devpts",
	 .rights = "rwdev",
	 .flags = MS_NOSUID | MS_NOEXEC,
	 .options = "newinstance,ptmxmode=0666,mode=620,gid=5"},
	{.path = "/dev/shm",
	 .type = "tmpfs",
	 .rights = "rw",
	 .flags = MS_NOSUID | MS_NODEV,
	 .options = "mode=1777",
	 .sized = true},
	{.path = "/run",
	 .type = "tmpfs",
	 .rights = "rw",
	 .flags = MS_NOSUID | MS_NODEV,
	 .options = "mode=755,size=16m"},
	{.path = "/run/pinfold",
	 .type = "tmpfs",
	 .rights = "r",
	 .flags = MS_NOSUID | MS_NODEV | MS_NOEXEC,
	 .options = "mode=755,size=16m"},
	{.path = "/tmp",
	 .type = "tmpfs",
	 .rights = "rw",
	 .flags = MS_NOSUID | MS_NODEV,
	 .options = "mode=1777",
	 .sized = true},
	{.path = "/var/tmp",
	 .type = "tmpfs",
	 .rights = "rw",
	 .flags = MS_NOSUID | MS_NODEV,
	 .options = "mode=1777",
	 .sized = true,
	 .optional = true},
};

/* Pins, logs, policies with their secrets: /run, with the sockets, is covered anyway. */
static const char *const hidden[] = {"/sys/fs/bpf", "/var/log/pinfold", "/etc/pinfold"};

int path_hold(const char *path, bool plain)
{
	const struct open_how how = {.flags = O_PATH | O_CLOEXEC,
				     .resolve = plain ? RESOLVE_NO_SYMLINKS : 0};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/*
 * By way of a symbolic link (/var/tmp to /tmp, or /var to elsewhere) it is none: what that leads to
 * is covered, or not, as itself. It may be the host's, even if only because a policy shows it, and
 * what is the session's own has rights as a whole.
 */
static bool is_directory(const char *path)
{
	__cleanup_fd int fd = path_hold(path, true);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

json_t *mounts_own(void)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < ARRAY_LEN(own_fs); i++) {
		if (!is_directory(own_fs[i].path)) /* not mounted: the host's */
			continue;
		if (json_array_append_new(list, json_pack("{s:s, s:s}", "path", own_fs[i].path,
							  "rights", own_fs[i].rights)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static int mount_own(const struct own_fs *fs, uint64_t disk)
{
	char options[160]; /* the longest of the table is 45, plus ",size=" and 20 digits */

	if (!is_directory(fs->path))
		return fs->optional ? 0 : -ENOTDIR;
	(void)snprintf(options, sizeof(options), "%s", fs->options ? fs->options : "");
	if (fs->sized)
		(void)snprintf(options, sizeof(options), "%s,size=%llu", fs->options,
			       (unsigned long long)(disk ? disk : DISK_DEFAULT));
	if (mount(fs->type, fs->path, fs->type, fs->flags, options) < 0)
		return -errno;
	return 0;
}

/* Directories that the next filesystems of the table are put on. */
static int make_dirs_for(const struct own_fs *fs)
{
	static const struct {
		const char *of, *path;
		mode_t mode;
	} dirs[] = {
		{"/dev", "/dev/pts", 0755},	   {"/dev", "/dev/shm", 01777},
		{"/run", "/run/pinfold", 0755},	   {"/run", "/run/lock", 01777},
		{"/run/pinfold", EMPTY_DIR, 0555},
	};

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (strcmp(dirs[i].of, fs->path) == 0 && mkdir(dirs[i].path, dirs[i].mode) < 0)
			return -errno;
	return 0;
}

static int make_devices(void)
{
	static const struct {
		const char *path;
		unsigned minor, major;
	} nodes[] = {
		{"/dev/null", 3, 1},   {"/dev/zero", 5, 1},    {"/dev/full", 7, 1},
		{"/dev/random", 8, 1}, {"/dev/urandom", 9, 1}, {"/dev/tty", 0, 5},
	};
	static const struct {
		const char *path, *to;
	} links[] = {
		{"/dev/fd", "/proc/self/fd"},	    {"/dev/stdin", "/proc/self/fd/0"},
		{"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"},
		{"/dev/ptmx", "pts/ptmx"},
	};

	for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
		if (mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) <
		    0)
			return -errno;
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (symlink(links[i].to, links[i].path) < 0)
			return -errno;
	return 0;
}

static int hide(void)
{
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		if (lstat(hidden[i], &st) < 0)
			continue;
		if (mount(EMPTY_DIR, hidden[i], NULL, MS_BIND, NULL) < 0)
			return -errno;
	}
	return 0;
}

/* Make what leads to path, and path itself as a directory or an empty file. */
static int make_place(const char *path, bool dir)
{
	int r = make_parents(path);

	if (r < 0)
		return r;
	if (dir)
		return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
	__cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);

	return fd < 0 ? -errno : 0;
}

static int bind_fd(int fd, const char *path)
{
	struct fd_path from = fd_path(fd);
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	int r = make_place(path, S_ISDIR(st.st_mode));

	if (r < 0)
		return r;
	return mount(from.text, path, NULL, MS_BIND | MS_REC, NULL) < 0 ? -errno : 0;
}

static size_t count(const char *const *list)
{
	size_t n = 0;

	while (list[n])
		n++;
	return n;
}

/*
 * Hold what will be covered and must be seen nevertheless; a path that is missing is skipped: the
 * rule for it fails later, with its place in the policy. These paths begin in directories that
 * anybody may write to: with our own rights no symbolic link is followed, which would lead to where
 * the caller has none.
 */
static int open_binds(const struct setup *s, int *fds)
{
	int r = s->binds_as_caller ? priv_borrow(s) : 0;

	for (size_t i = 0; r == 0 && s->binds[i]; i++)
		fds[i] = path_hold(s->binds[i], !s->binds_as_caller);
	return r == 0 && s->binds_as_caller ? priv_return() : r;
}

static bool is_covered(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(own_fs); i++)
		if (path_below(path, own_fs[i].path) && is_directory(own_fs[i].path))
			return true;
	return false;
}

/*
 * Is the i-th path seen already, since nothing covers it or through another that leads to it? On
 * the way to it nothing may be made then, and nothing mounted: what is there is the host's, and
 * others may change it.
 */
static bool is_seen(const struct setup *s, const int *fds, size_t i)
{
	if (!is_covered(s->binds[i]))
		return true;
	for (size_t j = 0; s->binds[j]; j++) {
		if (j == i || fds[j] < 0)
			continue;
		if (path_below(s->binds[i], s->binds[j]) ||
		    (j < i && strcmp(s->binds[i], s->binds[j]) == 0))
			return true;
	}
	return false;
}

static int place_binds(const struct setup *s, int *fds, struct failure *f)
{
	int r = 0;

	for (size_t i = 0; r == 0 && s->binds[i]; i++) {
		if (fds[i] >= 0 && !is_seen(s, fds, i))
			r = bind_fd(fds[i], s->binds[i]);
		if (r < 0)
			(void)fail(f, -r, "cannot show %s in the session: %s", s->binds[i],
				   strerror(-r));
	}
	for (size_t i = 0; s->binds[i]; i++)
		fd_cleanup(&fds[i]);
	return r;
}

static int cover(const struct setup *s, struct failure *f)
{
	for (size_t i = 0; i < ARRAY_LEN(own_fs); i++) {
		int r = mount_own(&own_fs[i], s->max_disk);

		if (r == 0)
			r = make_dirs_for(&own_fs[i]);
		if (r < 0)
			return fail(f, -r, "cannot make the session's %s: %s", own_fs[i].path,
				    r == -ENOTDIR ? "it must be a directory on this machine, not "
						    "a symbolic link"
						  : strerror(-r));
	}
	int r = make_devices();

	if (r < 0)
		return fail(f, -r, "cannot make the session's devices: %s", strerror(-r));
	r = hide();
	return r < 0 ? fail(f, -r, "cannot cover Pinfold's own files: %s", strerror(-r)) : 0;
}

int mounts_make(const struct setup *s, struct failure *f)
{
	__cleanup_free int *fds = malloc((count(s->binds) + 1) * sizeof(*fds));

	if (!fds)
		return fail(f, ENOMEM, "out of memory");
	memset(fds, 0xff, (count(s->binds) + 1) * sizeof(*fds));
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail(f, errno, "cannot make the mounts private: %s", strerror(errno));
	int r = open_binds(s, fds);

	if (r < 0)
		return fail(f, -r, "cannot take the caller's identity: %s", strerror(-r));
	(void)umask(0);
	r = cover(s, f);
	if (r == 0)
		r = place_binds(s, fds, f);
	(void)umask(022);
	return r;
}
