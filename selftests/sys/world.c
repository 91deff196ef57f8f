// SPDX-License-Identifier: Apache-2.0
/*
 * Makes and photographs the directories that the rows act on, and opens the descriptors that the
 * rows about inheritance find. Runs outside any session.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "acl.h"
#include "attempt.h"
#include "uring.h"
#include "world.h"

void world_path(const struct place *p, const char *kind, const char *name, char *out)
{
	(void)snprintf(out, PATH_MAX, "%s/%s/%s/%s/%s", p->base, p->fs, kind, p->mode, name);
}

/* --- making --- */

struct owner {
	uid_t uid;
	gid_t gid;
};

static int make_file(int dir, const char *name, size_t size, const struct owner *o)
{
	char block[WORLD_FILE_BYTES];
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	memset(block, 'o', size);
	bool good = write(fd, block, size) == (ssize_t)size && !fchown(fd, o->uid, o->gid);
	int r = good ? 0 : -errno;
	close(fd);
	return r;
}

static int make_dir(int dir, const char *name, const struct owner *o)
{
	if (mkdirat(dir, name, 0755) < 0 || fchownat(dir, name, o->uid, o->gid, 0) < 0)
		return -errno;
	return 0;
}

/* Attributes where the filesystem has them: the baseline shows where it has not. */
static void decorate(int dir, const char *name)
{
	struct acl_blob acl = acl_blob_make();
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fsetxattr(fd, "user.pf", "1", 1, 0);
	(void)fsetxattr(fd, "system.posix_acl_access", &acl, sizeof(acl), 0);
	close(fd);
}

static int make_case(const char *path, const struct owner *o)
{
	int r = make_dir(AT_FDCWD, path, o);
	if (r < 0)
		return r;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	r = make_file(dir, "file", WORLD_FILE_BYTES, o);
	if (!r)
		r = make_file(dir, "file2", 4096, o);
	if (!r)
		r = make_dir(dir, "dir", o);
	if (!r)
		r = make_dir(dir, "full", o);
	if (!r)
		r = make_file(dir, "full/inner", 16, o);
	if (!r)
		decorate(dir, "file2");
	close(dir);
	return r;
}

int world_make(const char *base, const char *list)
{
	char line[PATH_MAX + 64], path[PATH_MAX];
	struct owner o;
	FILE *f = fopen(list, "re");

	if (!f || chdir(base) < 0) {
		perror(list);
		return -errno;
	}
	int r = 0;
	while (!r && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%4095s %u %u", path, &o.uid, &o.gid) != 3)
			r = -EINVAL;
		else
			r = make_case(path, &o);
		if (r < 0)
			fprintf(stderr, "attempt: %s: %s\n", line, strerror(-r));
	}
	(void)fclose(f);
	return r;
}

/* --- photographing --- */

#define FNV_OFFSET 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL

static uint64_t fnv(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * FNV_PRIME;
	return h;
}

static uint64_t hash_content(const char *path, mode_t mode)
{
	char block[WORLD_FILE_BYTES];
	uint64_t h = FNV_OFFSET;
	ssize_t n;

	if (S_ISLNK(mode)) {
		n = readlink(path, block, sizeof(block));
		return n < 0 ? 0 : fnv(h, block, (size_t)n);
	}
	if (!S_ISREG(mode))
		return 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOATIME);
	if (fd < 0)
		return 1;
	while ((n = read(fd, block, sizeof(block))) > 0)
		h = fnv(h, block, (size_t)n);
	close(fd);
	return h;
}

static uint64_t hash_xattrs(const char *path)
{
	char names[4096], value[4096];
	uint64_t h = FNV_OFFSET;
	ssize_t n = llistxattr(path, names, sizeof(names));

	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(names + at) + 1) {
		ssize_t v = lgetxattr(path, names + at, value, sizeof(value));
		h = fnv(h, names + at, strlen(names + at));
		if (v > 0)
			h = fnv(h, value, (size_t)v);
	}
	return h;
}

static int photograph(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	printf("%s\t%o %u:%u links=%lu size=%lld dev=%lx mtime=%lld.%09ld ctime=%lld.%09ld "
	       "data=%016llx xattr=%016llx\n",
	       path, st.st_mode, st.st_uid, st.st_gid, (unsigned long)st.st_nlink,
	       (long long)st.st_size, (unsigned long)st.st_rdev, (long long)st.st_mtim.tv_sec,
	       st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec,
	       (unsigned long long)hash_content(path, st.st_mode),
	       (unsigned long long)hash_xattrs(path));
	if (!S_ISDIR(st.st_mode))
		return 0;

	DIR *dir = opendir(path);
	if (!dir)
		return -errno;
	struct dirent *e;
	int r = 0;
	while (!r && (e = readdir(dir))) {
		char below[PATH_MAX];
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		(void)snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
		r = photograph(below);
	}
	closedir(dir);
	return r;
}

int world_snapshot(const char *root)
{
	int r = photograph(root);

	if (r < 0)
		fprintf(stderr, "attempt: %s: %s\n", root, strerror(-r));
	return r;
}

/* --- descriptors for the rows about inheritance --- */

static int open_tcp(const char *where, bool listening)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	char ip[64];

	if (sscanf(where, "%63[0-9.]:%hu", ip, &a.sin_port) != 2)
		return -EINVAL;
	a.sin_port = htons(a.sin_port);
	if (inet_pton(AF_INET, ip, &a.sin_addr) != 1)
		return -EINVAL;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		return -errno;
	int r;
	if (listening)
		r = bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 4);
	else
		r = connect(fd, (struct sockaddr *)&a, sizeof(a));
	return r ? -errno : fd;
}

/*
 * A ring whose polling thread sees this process's memory: the path lies at a known address, so that
 * whoever gets the ring can name it.
 */
static int open_ring(const char *path)
{
	struct uring ring;
	char *page = mmap((void *)WORLD_RING_PATH, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (page == MAP_FAILED)
		return -errno;
	(void)snprintf(page, 4096, "%s", path);
	int r = uring_open(&ring, IORING_SETUP_SQPOLL);
	return r < 0 ? r : ring.fd;
}

static int open_held(const char *kind, const char *arg)
{
	if (!strcmp(kind, "tcp") || !strcmp(kind, "listen"))
		return open_tcp(arg, kind[0] == 'l');
	if (!strcmp(kind, "ring"))
		return open_ring(arg);
	int flags = !strcmp(kind, "rw") ? O_RDWR : !strcmp(kind, "path") ? O_PATH : O_RDONLY;
	return (int)rc_of(open(arg, flags));
}

static int hold_line(const char *line)
{
	char word[8], kind[16], arg[PATH_MAX];
	int fd;

	if (sscanf(line, "%7s %d %15s %4095s", word, &fd, kind, arg) != 4 || strcmp(word, "hold"))
		return 0;
	int got = open_held(kind, arg);
	if (got < 0) {
		fprintf(stderr, "attempt: hold %s %s: %s\n", kind, arg, strerror(-got));
		return got;
	}
	if (dup2(got, fd) < 0)
		return -errno;
	close(got);
	return 0;
}

static int exit_status(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int world_hold(const char *list, char **argv)
{
	char line[PATH_MAX + 64];
	FILE *f = fopen(list, "re");
	int r = f ? 0 : -errno;

	while (!r && fgets(line, sizeof(line), f))
		r = hold_line(line);
	if (f)
		(void)fclose(f);
	if (r < 0)
		return 1;

	/* This process stays: a ring's polling thread belongs to the one that made it. */
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	return exit_status(pid);
}

int world_as_pid(const char *wanted, char **argv)
{
	pid_t id = (pid_t)strtol(wanted, NULL, 10);
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&id, .set_tid_size = 1};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
			execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	if (pid < 0)
		perror("clone3");
	return exit_status(pid);
}
