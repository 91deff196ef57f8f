/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The targets: a directory per case and mode on each filesystem, all alike, made by root before
 * anything runs and looked at by root afterwards, so that any side effect shows from outside.
 *
 *	<base>/<fs>/victim/<mode>/<row>.<way>/	  under attack
 *	<base>/<fs>/allowed/<mode>/<row>.<way>/	  the row's own
 *	<base>/<fs>/allowed/<mode>/<row>.<way>+/  target of the twin
 */
#ifndef SELFTESTS_SYS_WORLD_H
#define SELFTESTS_SYS_WORLD_H

#include <limits.h>

struct place {
	const char *base;
	const char *fs;
	const char *mode;
};

/* Bytes in "file" of every directory. */
#define WORLD_FILE_BYTES 8192

/* Where the owner of a held ring keeps the path that the ring may be told to open. */
#define WORLD_RING_PATH 0x200000000UL

/* The directory of a case; kind is "victim" or "allowed", out has PATH_MAX bytes. */
void world_path(const struct place *p, const char *kind, const char *name, char *out);

/*
 * Make the directories that a list file names ("PATH UID GID" per line; parents exist), each with
 * its objects. Returns 0 or -errno, the failing path on stderr.
 */
int world_make(const char *base, const char *list);

/* Print one line per object below root: its path and everything that an attempt could change. */
int world_snapshot(const char *root);

/*
 * Open what a plan file lists ("hold FD rw|ro|path|tcp|listen|ring ARG" per line) under these
 * numbers, then run the command with them open. Returns its exit status.
 */
int world_hold(const char *list, char **argv);

/*
 * Run the command in a process of this id (row C07), with no_new_privs set as in a session. Returns
 * its exit status.
 */
int world_as_pid(const char *pid, char **argv);

#endif
