// SPDX-License-Identifier: Apache-2.0
/*
 * Loading and unloading that end half-way: what they leave must not pass for what a build has
 * pinned. Something is in the way of one pin.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kern/internal.h"
#include "slice.h"

#define BUILD_MAP "pf_build"
/* A link is pinned by this name before it takes another's place. */
#define IN_THE_WAY PF_PIN_DIR "/links/pf_file_open_new"

static int read_build(void)
{
	__u64 build;

	return pins_read_word(BUILD_MAP, &build);
}

/* As if all that is pinned were of another build, and complete. */
static void pin_another_build(void)
{
	const __u32 zero = 0;
	const __u64 build = 1;
	char path[KERN_PATH_MAX];
	__cleanup_fd int fd =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, BUILD_MAP, sizeof(zero), sizeof(build), 1, NULL);

	must(pin_path(path, "maps", BUILD_MAP), "path");
	must(fd, "map");
	must(bpf_map_update_elem(fd, &zero, &build, BPF_ANY), "build");
	must(unlink(path) < 0 && errno != ENOENT ? -errno : 0, path);
	must(bpf_obj_pin(fd, path), path);
	must(read_build(), path);
}

void pins_check_upgrade(void)
{
	struct kern *k = NULL;
	char err[KERN_TEXT_MAX] = "";

	pin_another_build();
	must(mkdir(IN_THE_WAY, 0700), IN_THE_WAY);
	int r = kern_open(&k, SLICE, err);

	check(r < 0 && !k, "upgrade", "fails half-way", 0);
	printf("       %s\n", err);
	check(read_build() == -ENOENT, "upgrade", "what it left is of no build", 0);
	must(rmdir(IN_THE_WAY), IN_THE_WAY);
}

void pins_check_unload(void)
{
	char err[KERN_TEXT_MAX] = "";

	pin_another_build();
	must(mkdir(IN_THE_WAY, 0700), IN_THE_WAY);
	check(kern_unload(err) < 0, "unload", "fails half-way", 0);
	check(read_build() == -ENOENT, "unload", "what it left is of no build", 0);
	must(rmdir(IN_THE_WAY), IN_THE_WAY);
}
