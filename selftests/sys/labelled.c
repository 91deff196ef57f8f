// SPDX-License-Identifier: Apache-2.0
/*
 * labelled CGROUP COMMAND...: runs a command that carries the label of a live session but keeps
 * root's capabilities, the host's namespaces and no system call filter, so that nothing but
 * Pinfold's BPF programs stands in its way. CGROUP is the session's directory; "-" leaves the label
 * out (the baseline). For tests only; needs the admin pin, as pinfoldd does.
 *
 * The command finds a socket as descriptor 403, through which it is sent a BPF map: the one with
 * the labels, or for the baseline a stand-in.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pinfold/abi.h>
#include <pinfold/session.h>

#include "beside.h"

#define HANDED_FD 403

static int sys_bpf(int cmd, union bpf_attr *attr)
{
	int r = (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return r < 0 ? -errno : r;
}

static int open_pin(const char *name, uint32_t flags)
{
	char path[128];
	union bpf_attr a = {.pathname = (uintptr_t)path, .file_flags = flags};

	(void)snprintf(path, sizeof(path), "%s/maps/%s", PF_PIN_DIR, name);
	int fd = sys_bpf(BPF_OBJ_GET, &a);
	if (fd < 0)
		fprintf(stderr, "labelled: %s: %s\n", path, strerror(-fd));
	return fd;
}

static int make_map(void)
{
	union bpf_attr a = {
		.map_type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 4, .max_entries = 1};

	return sys_bpf(BPF_MAP_CREATE, &a);
}

/* The child: stopped on the pipe until it carries its label. */
static void become(int go, int sock, char **argv)
{
	char byte;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || read(go, &byte, 1) != 1)
		_exit(125);
	close(go);
	if (dup2(sock, HANDED_FD) < 0)
		_exit(125);
	close(sock);
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

static pid_t start(const char *cgroup, int *ret_pidfd, const int *go, const int *pair, char **argv)
{
	char path[512];
	struct clone_args args = {
		.flags = CLONE_PIDFD, .pidfd = (uintptr_t)ret_pidfd, .exit_signal = SIGCHLD};

	if (strcmp(cgroup, "-") != 0) {
		(void)snprintf(path, sizeof(path), "%s/%s", cgroup, PF_CG_AGENT);
		int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0) {
			perror(path);
			return -1;
		}
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)(unsigned int)dir;
	}
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		close(go[1]);
		close(pair[0]);
		become(go[0], pair[1], argv);
	}
	if (pid < 0)
		perror("clone3");
	return pid;
}

/* Become admin, put the label on the child; the map of labels, or -errno. */
static int put_label(const char *cgroup, int pidfd)
{
	struct stat st;
	struct pf_label label = {.kind = PF_KIND_AGENT};

	if (stat(cgroup, &st) < 0)
		return -errno;
	label.session = st.st_ino;
	int admin = open_pin("pf_admin", BPF_F_WRONLY);
	int tasks = open_pin("pf_tasks", 0);
	if (admin < 0 || tasks < 0)
		return -ENOENT;
	union bpf_attr a = {
		.map_fd = (uint32_t)tasks, .key = (uintptr_t)&pidfd, .value = (uintptr_t)&label};
	int r = sys_bpf(BPF_MAP_UPDATE_ELEM, &a);
	if (r < 0) {
		fprintf(stderr, "labelled: pf_tasks: %s\n", strerror(-r));
		return r;
	}
	return tasks;
}

int main(int argc, char **argv)
{
	int pair[2], go[2], pidfd = -1, status;

	if (argc < 3) {
		fprintf(stderr, "usage: labelled CGROUP|- COMMAND...\n");
		return 2;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    pipe2(go, O_CLOEXEC) < 0)
		return 1;
	pid_t pid = start(argv[1], &pidfd, go, pair, argv + 2);
	if (pid < 0)
		return 1;
	int map = strcmp(argv[1], "-") != 0 ? put_label(argv[1], pidfd) : make_map();
	if (map < 0 || send_fd(pair[0], map) < 0 || write(go[1], "", 1) != 1) {
		fprintf(stderr, "labelled: the command is not started\n");
		(void)kill(pid, SIGKILL);
		return 1;
	}
	if (waitpid(pid, &status, 0) != pid)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
