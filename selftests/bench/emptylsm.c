/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaches the empty programs of emptylsm.bpf.c, runs the command and takes them away again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "emptylsm.skel.h"

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs("usage: emptylsm COMMAND...\n", stderr);
		return 2;
	}
	struct emptylsm_bpf *skel = emptylsm_bpf__open_and_load();

	if (!skel || emptylsm_bpf__attach(skel)) {
		fprintf(stderr, "emptylsm: %s\n", strerror(errno));
		return 1;
	}
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	int status = 0;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	emptylsm_bpf__destroy(skel);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
