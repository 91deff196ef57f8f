/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroups of a session.
 */
#include "session/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/types.h>
#include <pinfold/abi.h>

#include "base/fd.h"

/* One file of cgroupfs or procfs. */
#define FILE_MAX (1024 * 1024)

/* What a gate may use: it is ours, but what it parses is not. And who opens paths in the marks. */
#define GATE_MEMORY "536870912"
#define GATE_TASKS "64"

/* The mount point of a line of mountinfo (its fifth field) if that is of type cgroup2. */
static char *cgroup2_of(char *line)
{
	char *type = strstr(line, " - cgroup2 "), *save = NULL, *field = NULL;

	if (!type)
		return NULL;
	for (int i = 0; i < 5; i++)
		field = strtok_r(i == 0 ? line : NULL, " ", &save);
	return field;
}

static int find_mount(char **ret)
{
	__cleanup_free char *text = NULL;
	char *save = NULL;
	int r = file_read(AT_FDCWD, "/proc/self/mountinfo", FILE_MAX, &text, NULL);

	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *path = cgroup2_of(line);

		if (path) {
			*ret = strdup(path);
			return *ret ? 0 : -ENOMEM;
		}
	}
	return -ENOENT;
}

static const struct {
	unsigned bit;
	const char *enable, *file;
} controllers[] = {
	{CGROUP_MEMORY, "+memory", "memory.max"},
	{CGROUP_PIDS, "+pids", "pids.max"},
	{CGROUP_CPU, "+cpu", "cpu.max"},
};

/* Pass on what can be passed on; what cannot, shows by its files being absent below. */
static void pass_on(int dir)
{
	for (size_t i = 0; i < ARRAY_LEN(controllers); i++) {
		int r = file_write(dir, "cgroup.subtree_control", controllers[i].enable);

		if (r < 0)
			continue;
	}
}

static unsigned available(int dir)
{
	unsigned have = 0;

	for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
		if (faccessat(dir, controllers[i].file, F_OK, 0) == 0)
			have |= controllers[i].bit;
	return have;
}

static int open_dir(int at, const char *path)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int cgroup_slice_make(char **ret_path, unsigned *ret_controllers)
{
	__cleanup_free char *mount = NULL, *path = NULL;
	int r = find_mount(&mount);

	if (r < 0)
		return r;
	__cleanup_fd int root = open_dir(AT_FDCWD, mount);

	if (root < 0 || asprintf(&path, "%s/" PF_SLICE, mount) < 0)
		return root < 0 ? root : -ENOMEM;
	pass_on(root);
	if (mkdirat(root, PF_SLICE, 0755) < 0 && errno != EEXIST)
		return -errno;
	__cleanup_fd int slice = open_dir(root, PF_SLICE);

	if (slice < 0)
		return slice;
	pass_on(slice);
	*ret_controllers = available(slice);
	*ret_path = TAKE_PTR(path);
	return 0;
}

int cgroup_slice_find(char **ret_path)
{
	__cleanup_free char *mount = NULL;
	char *path;
	int r = find_mount(&mount);

	if (r < 0)
		return r;
	if (asprintf(&path, "%s/" PF_SLICE, mount) < 0)
		return -ENOMEM;
	*ret_path = path;
	return 0;
}

int cgroup_slice_remove(void)
{
	__cleanup_free char *path = NULL;
	int r = cgroup_slice_find(&path);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int write_number(int dir, const char *file, uint64_t value)
{
	char text[24]; /* 20 digits */

	if (value == 0)
		return 0;
	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	int r = file_write(dir, file, text);

	return r == -ENOENT ? 0 : r; /* no such controller: the daemon said so at its start */
}

static int write_cpu(int dir, uint32_t milli)
{
	char text[48]; /* two numbers of at most 20 digits */

	if (milli == 0)
		return 0;
	(void)snprintf(text, sizeof(text), "%" PRIu64 " 100000", (uint64_t)milli * 100);
	int r = file_write(dir, "cpu.max", text);

	return r == -ENOENT ? 0 : r;
}

static int limit_ours(int dir)
{
	int r = file_write(dir, "memory.max", GATE_MEMORY);

	if (r == 0 || r == -ENOENT)
		r = file_write(dir, "pids.max", GATE_TASKS);
	return r == -ENOENT ? 0 : r;
}

/* The agent's side ends as a whole when it has no memory left; the gate lives on for its log. */
static int set_limits(const struct cgroup *cg, const struct cgroup_limits *l)
{
	int r = write_number(cg->agent, "memory.max", l->memory_bytes);

	if (r == 0)
		r = write_number(cg->agent, "memory.oom.group", 1);
	if (r == 0)
		r = write_number(cg->agent, "pids.max", l->processes ? l->processes + 1ULL : 0);
	if (r == 0)
		r = write_cpu(cg->agent, l->cpu_milli);
	return r == 0 || r == -ENOENT ? limit_ours(cg->gate) : r;
}

static int dir_id(int dir, uint64_t *ret)
{
	struct stat st;

	if (fstat(dir, &st) < 0)
		return -errno;
	*ret = st.st_ino;
	return 0;
}

static int open_parts(struct cgroup *cg)
{
	int r = dir_id(cg->dir, &cg->id);

	if (r < 0)
		return r;
	cg->agent = open_dir(cg->dir, PF_CG_AGENT);
	cg->gate = open_dir(cg->dir, PF_CG_GATE);
	if (cg->agent >= 0)
		r = dir_id(cg->agent, &cg->agent_id);
	if (r == 0 && cg->gate >= 0)
		r = dir_id(cg->gate, &cg->gate_id);
	return r;
}

static int make_parts(int slice, const char *name, const struct cgroup_limits *limits,
		      struct cgroup *cg)
{
	cg->dir = open_dir(slice, name);
	if (cg->dir < 0)
		return cg->dir;
	pass_on(cg->dir);
	if (mkdirat(cg->dir, PF_CG_AGENT, 0755) < 0 || mkdirat(cg->dir, PF_CG_GATE, 0755) < 0)
		return -errno;
	int r = open_parts(cg);

	if (r < 0)
		return r;
	if (cg->agent < 0 || cg->gate < 0)
		return -ENOENT;
	return set_limits(cg, limits);
}

int cgroup_make(const char *slice, const char *name, const struct cgroup_limits *limits,
		struct cgroup *ret)
{
	struct cgroup cg = CGROUP_INIT;
	__cleanup_fd int dir = open_dir(AT_FDCWD, slice);

	if (dir < 0)
		return dir;
	pass_on(dir); /* systemd may have taken the controllers back while the slice was empty */
	if (mkdirat(dir, name, 0755) < 0)
		return -errno;
	int r = make_parts(dir, name, limits, &cg);

	if (r < 0) {
		cgroup_close(&cg);
		int removed = cgroup_remove(slice, name);

		return removed < 0 ? removed : r;
	}
	*ret = cg;
	return 0;
}

int cgroup_open(const char *slice, const char *name, struct cgroup *ret)
{
	struct cgroup cg = CGROUP_INIT;
	__cleanup_fd int dir = open_dir(AT_FDCWD, slice);

	if (dir < 0)
		return dir;
	cg.dir = open_dir(dir, name);
	int r = cg.dir < 0 ? cg.dir : open_parts(&cg);

	if (r < 0) {
		cgroup_close(&cg);
		return r;
	}
	*ret = cg;
	return 0;
}

void cgroup_close(struct cgroup *cg)
{
	fd_close(&cg->dir);
	fd_close(&cg->agent);
	fd_close(&cg->gate);
}

int cgroup_kill(const struct cgroup *cg)
{
	return cg->dir < 0 ? 0 : file_write(cg->dir, "cgroup.kill", "1");
}

int cgroup_kill_agent(const struct cgroup *cg)
{
	return cg->agent < 0 ? 0 : file_write(cg->agent, "cgroup.kill", "1");
}

int cgroup_kill_gate(const struct cgroup *cg)
{
	return cg->gate < 0 ? 0 : file_write(cg->gate, "cgroup.kill", "1");
}

int cgroup_freeze(const struct cgroup *cg, bool on)
{
	return file_write(cg->agent, "cgroup.freeze", on ? "1" : "0");
}

int cgroup_freeze_wanted(const struct cgroup *cg, bool *ret)
{
	__cleanup_free char *text = NULL;
	int r = file_read(cg->agent, "cgroup.freeze", FILE_MAX, &text, NULL);

	if (r == 0)
		*ret = text[0] != '0';
	return r;
}

int cgroup_marks_make(const struct cgroup *cg)
{
	if (mkdirat(cg->dir, PF_CG_MARKS, 0755) < 0 && errno != EEXIST)
		return -errno;
	__cleanup_fd int dir = open_dir(cg->dir, PF_CG_MARKS);
	int r = dir < 0 ? dir : limit_ours(dir);

	return r < 0 ? r : TAKE_FD(dir);
}

int cgroup_kill_marks(const struct cgroup *cg)
{
	int r = cg->dir < 0 ? 0 : file_write(cg->dir, PF_CG_MARKS "/cgroup.kill", "1");

	return r == -ENOENT ? 0 : r;
}

void cgroup_marks_remove(const struct cgroup *cg)
{
	if (cg->dir >= 0)
		(void)unlinkat(cg->dir, PF_CG_MARKS, AT_REMOVEDIR); /* else it goes with the rest */
}

int cgroup_events_open(int dir)
{
	int fd = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool cgroup_events_have(int events, const char *line)
{
	char text[256]; /* "populated 0\nfrozen 0\n", and what kernels to come may add */
	ssize_t n = pread(events, text, sizeof(text) - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	return strstr(text, line) != NULL;
}

bool cgroup_populated(const struct cgroup *cg)
{
	__cleanup_free char *text = NULL;

	if (cg->dir < 0)
		return false;
	int r = file_read(cg->dir, "cgroup.events", FILE_MAX, &text, NULL);

	if (r < 0) /* gone, or unknown: then it counts as populated */
		return r != -ENOENT && r != -ENODEV;
	return strstr(text, "populated 1") != NULL;
}

static size_t count_lines(int dir)
{
	__cleanup_free char *text = NULL;
	size_t n = 0;

	if (dir < 0 || file_read(dir, "cgroup.procs", FILE_MAX, &text, NULL) < 0)
		return 0;
	for (const char *c = text; *c; c++)
		n += *c == '\n';
	return n;
}

size_t cgroup_processes(const struct cgroup *cg)
{
	return count_lines(cg->agent) + count_lines(cg->gate);
}

bool cgroup_oom_killed(const struct cgroup *cg)
{
	__cleanup_free char *text = NULL;

	if (cg->agent < 0 || file_read(cg->agent, "memory.events", FILE_MAX, &text, NULL) < 0)
		return false;
	const char *kills = strstr(text, "oom_kill ");

	return kills && kills[strlen("oom_kill ")] != '0';
}

static int remove_dir(int at, const char *name)
{
	return unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int cgroup_remove(const char *slice, const char *name)
{
	__cleanup_fd int dir = open_dir(AT_FDCWD, slice);

	if (dir < 0)
		return dir;
	__cleanup_fd int own = open_dir(dir, name);

	if (own < 0)
		return own == -ENOENT ? 0 : own;
	int r = remove_dir(own, PF_CG_AGENT);

	if (r == 0)
		r = remove_dir(own, PF_CG_GATE);
	if (r == 0)
		r = remove_dir(own, PF_CG_MARKS);
	return r < 0 ? r : remove_dir(dir, name);
}
