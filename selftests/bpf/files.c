// SPDX-License-Identifier: Apache-2.0
/*
 * Attempts on files, each in a tree: denied where the agent may only read, allowed where it may
 * write, and allowed everywhere without a session.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "slice.h"

#define PATH_ROOM 256

static const char *in(const char *tree, const char *name)
{
	static char buf[4][PATH_ROOM];
	static unsigned next;
	char *p = buf[next++ % 4];

	(void)snprintf(p, PATH_ROOM, "%s/%s", tree, name);
	return p;
}

static int result(int r)
{
	return r < 0 ? -errno : 0;
}

static int open_close(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int try_create(const char *t)
{
	return open_close(in(t, "new"), O_CREAT | O_WRONLY | O_EXCL);
}

static int try_write(const char *t)
{
	return open_close(in(t, "file"), O_WRONLY);
}

static int try_append(const char *t)
{
	return open_close(in(t, "dir/file"), O_RDWR | O_APPEND);
}

static int try_open_trunc(const char *t)
{
	return open_close(in(t, "file"), O_RDONLY | O_TRUNC);
}

static int try_truncate(const char *t)
{
	return result(truncate(in(t, "file"), 1));
}

static int try_tmpfile(const char *t)
{
	return open_close(t, O_TMPFILE | O_WRONLY);
}

static int try_reopen(const char *t)
{
	char path[64];
	__cleanup_fd int fd = open(in(t, "file"), O_PATH | O_CLOEXEC);

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return fd < 0 ? -errno : open_close(path, O_WRONLY);
}

static int try_unlink(const char *t)
{
	return result(unlink(in(t, "gone")));
}

static int try_mkdir(const char *t)
{
	return result(mkdir(in(t, "newdir"), 0755));
}

static int try_rmdir(const char *t)
{
	return result(rmdir(in(t, "empty")));
}

static int try_symlink(const char *t)
{
	return result(symlink("/etc/passwd", in(t, "newlink")));
}

static int try_fifo(const char *t)
{
	return result(mkfifo(in(t, "newfifo"), 0644));
}

static int try_link(const char *t)
{
	return result(link(in(t, "file"), in(t, "hard")));
}

static int try_link_write(const char *t)
{
	return open_close(in(t, "hard"), O_CREAT | O_WRONLY);
}

static int try_rename(const char *t)
{
	return result(rename(in(t, "moving"), in(t, "moved")));
}

static int try_exchange(const char *t)
{
	return result((int)syscall(SYS_renameat2, AT_FDCWD, in(t, "file"), AT_FDCWD,
				   in(t, "dir/file"), 2));
}

static int try_chmod(const char *t)
{
	return result(chmod(in(t, "file"), 0600));
}

static int try_chown(const char *t)
{
	return result(chown(in(t, "file"), 1, 1));
}

static int try_utimes(const char *t)
{
	return result(utimensat(AT_FDCWD, in(t, "file"), NULL, 0));
}

static int try_bind_unix(const char *t)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	__cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%.*s/socket",
		       (int)sizeof(sa.sun_path) - 8, t);
	return result(bind(fd, (struct sockaddr *)&sa, sizeof(sa)));
}

static int try_shared_map(const char *t)
{
	__cleanup_fd int fd = open(in(t, "file"), O_RDWR | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return -errno;
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ | PROT_WRITE) < 0)
		return -errno;
	munmap(p, 4096);
	return 0;
}

const struct attempt file_attempts[] = {
	{.name = "create", .fn = try_create},
	{.name = "open for writing", .fn = try_write},
	{.name = "open for appending", .fn = try_append},
	{.name = "map shared, then writable", .fn = try_shared_map},
	{.name = "truncate", .fn = try_truncate},
	{.name = "O_RDONLY|O_TRUNC", .fn = try_open_trunc},
	{.name = "O_TMPFILE", .fn = try_tmpfile},
	{.name = "reopen an O_PATH descriptor", .fn = try_reopen},
	{.name = "unlink", .fn = try_unlink},
	{.name = "mkdir", .fn = try_mkdir},
	{.name = "rmdir", .fn = try_rmdir},
	{.name = "symlink", .fn = try_symlink},
	{.name = "mkfifo", .fn = try_fifo},
	{.name = "link", .fn = try_link},
	{.name = "write through the link", .fn = try_link_write},
	{.name = "rename", .fn = try_rename},
	{.name = "exchange", .fn = try_exchange},
	{.name = "chmod", .fn = try_chmod},
	{.name = "chown", .fn = try_chown},
	{.name = "utimensat", .fn = try_utimes},
	{.name = "bind a unix socket", .fn = try_bind_unix},
};
const size_t n_file_attempts = ARRAY_LEN(file_attempts);

static int try_denied_name(const char *b)
{
	return open_close(in(b, TREE_WORK "/" DENIED_NAME), O_CREAT | O_WRONLY);
}

static int try_rename_to_denied(const char *b)
{
	return result(rename(in(b, TREE_WORK "/spare"), in(b, TREE_WORK "/" DENIED_NAME)));
}

static int try_read_secret(const char *b)
{
	return open_close(in(b, TREE_SECRET "/dir/file"), O_RDONLY);
}

static int try_list_secret(const char *b)
{
	return open_close(in(b, TREE_SECRET), O_RDONLY | O_DIRECTORY);
}

static int try_link_in(const char *b)
{
	return result(link(in(b, TREE_READ "/file"), in(b, TREE_WORK "/stolen")));
}

static int try_move_in(const char *b)
{
	return result(rename(in(b, TREE_READ "/spare"), in(b, TREE_WORK "/stolen2")));
}

static int try_move_out(const char *b)
{
	return result(rename(in(b, TREE_WORK "/file"), in(b, TREE_READ "/planted")));
}

static int try_exec_work(const char *b)
{
	__cleanup_fd int fd = open(in(b, TREE_WORK "/dir/file"), O_RDONLY | O_CLOEXEC);
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, 4096);
	return 0;
}

static int try_old_link(const char *b)
{
	return open_close(in(b, TREE_WORK "/oldlink"), O_WRONLY);
}

static int try_setuid(const char *b)
{
	return result(chmod(in(b, TREE_WORK "/dir/file"), 04755));
}

static int try_device(const char *b)
{
	return result(mknod(in(b, TREE_WORK "/null"), S_IFCHR | 0666, 0x103));
}

static int try_move_secret(const char *b)
{
	return result(rename(in(b, TREE_SECRET), in(b, TREE_WORK "/open")));
}

static int try_move_root(const char *b)
{
	return result(rename(in(b, TREE_WORK), in(b, "elsewhere")));
}

const struct attempt border_attempts[] = {
	{"make a denied name", try_denied_name, false, true},
	{"rename to a denied name", try_rename_to_denied, false, true},
	{"read a secret", try_read_secret, false, true},
	{"list a secret folder", try_list_secret, false, true},
	{"link into the writable tree", try_link_in, false, true},
	{"move into the writable tree", try_move_in, false, true},
	{"move out of the writable tree", try_move_out, false, true},
	{"map the writable tree's code", try_exec_work, false, true},
	{"write through a hard link from before", try_old_link, false, true},
	{"set-user-ID in the writable tree", try_setuid, false, true},
	{"device node in the writable tree", try_device, false, true},
	{"move a secret folder", try_move_secret, false, true},
	{"move the rule's own folder", try_move_root, false, true},
};
const size_t n_border_attempts = ARRAY_LEN(border_attempts);

static void make_file(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

	must(fd, path);
	must((int)write(fd, "hello\n", 6), path);
	close(fd);
}

static void make_tree(const char *tree)
{
	static const char *const files[] = {"file", "dir/file", "gone", "moving", "spare"};

	must(mkdir(tree, 0755), tree);
	must(mkdir(in(tree, "dir"), 0755), tree);
	must(mkdir(in(tree, "empty"), 0755), tree);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		make_file(in(tree, files[i]));
}

void make_trees(const char *base)
{
	static const char *const trees[] = {TREE_WORK, TREE_READ, TREE_SECRET};
	char command[PATH_ROOM], tree[128];

	(void)snprintf(command, sizeof(command), "rm -rf %.200s", base);
	must(-(system(command) != 0), command);
	must(mkdir(base, 0755), base);
	for (size_t i = 0; i < ARRAY_LEN(trees); i++) {
		(void)snprintf(tree, sizeof(tree), "%s/%s", base, trees[i]);
		make_tree(tree);
	}
	(void)snprintf(tree, sizeof(tree), "%s/" TREE_READ "/gone", base);
	must(link(tree, in(base, TREE_WORK "/oldlink")), tree);
}
