/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories of pins under PF_PIN_DIR, and the door among them.
 */
#include "kern/internal.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

const char *const kern_map_names[KERN_MAPS] = {
	[KERN_MAP_TASKS] = "pf_tasks",	       [KERN_MAP_SOCKS] = "pf_socks",
	[KERN_MAP_CGROUPS] = "pf_cgroups",     [KERN_MAP_SESSIONS] = "pf_sessions",
	[KERN_MAP_STATS] = "pf_stats",	       [KERN_MAP_POLICIES] = "pf_policies",
	[KERN_MAP_MARKS] = "pf_marks",	       [KERN_MAP_ENDPOINTS] = "pf_endpoints",
	[KERN_MAP_UPSTREAMS] = "pf_upstreams", [KERN_MAP_EVENTS] = "pf_events",
	[KERN_MAP_ERRORS] = "pf_errors",       [KERN_MAP_ADMIN] = "pf_admin",
	[KERN_MAP_SOCKHASH] = "pf_sockhash",   [KERN_MAP_OWN] = "pf_own",
	[KERN_MAP_ADMINS] = "pf_admins",       [KERN_MAP_LEASE] = "pf_lease",
};

static const char *const pin_dirs[] = {"maps", "progs", "links"};

int kern_fail(char *err, int error, const char *fmt, ...)
{
	va_list ap;

	if (err) {
		va_start(ap, fmt);
		(void)vsnprintf(err, KERN_TEXT_MAX, fmt, ap);
		va_end(ap);
	}
	return -error;
}

int pin_path(char path[KERN_PATH_MAX], const char *dir, const char *name)
{
	int n = snprintf(path, KERN_PATH_MAX, "%s/%s/%s", PF_PIN_DIR, dir, name);

	return n < 0 || n >= KERN_PATH_MAX ? -ENAMETOOLONG : 0;
}

int pins_open(const char *dir, const char *name)
{
	char path[KERN_PATH_MAX];
	int r = pin_path(path, dir, name);

	if (r < 0)
		return r;
	r = bpf_obj_get(path);
	return r < 0 ? -errno : r;
}

static int make_dir(const char *path, char *err)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return kern_fail(err, errno, "cannot make %s: %s", path, strerror(errno));
	return 0;
}

int pins_make_dirs(char *err)
{
	char path[KERN_PATH_MAX];
	int r = make_dir(PF_PIN_DIR, err);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(pin_dirs); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", PF_PIN_DIR, pin_dirs[i]);
		r = make_dir(path, err);
	}
	return r;
}

static DIR *open_pins(const char *dir)
{
	char path[KERN_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", PF_PIN_DIR, dir);
	return opendir(path);
}

int pins_remove(const char *dir, bool (*keep)(void *arg, const char *name), void *arg)
{
	__cleanup_dir DIR *d = open_pins(dir);

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.' || (keep && keep(arg, e->d_name)))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

int pins_count(const char *dir)
{
	__cleanup_dir DIR *d = open_pins(dir);
	int n = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	return n;
}

int pins_remove_dirs(void)
{
	char path[KERN_PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(pin_dirs); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", PF_PIN_DIR, pin_dirs[i]);
		if (rmdir(path) < 0 && errno != ENOENT)
			return -errno;
	}
	return rmdir(PF_PIN_DIR) < 0 && errno != ENOENT ? -errno : 0;
}

int pins_enter(void)
{
	LIBBPF_OPTS(bpf_obj_get_opts, writing, .file_flags = BPF_F_WRONLY);
	char path[KERN_PATH_MAX];
	int r = pin_path(path, "maps", kern_map_names[KERN_MAP_ADMIN]);

	if (r < 0)
		return r;
	r = bpf_obj_get_opts(path, &writing);
	return r < 0 ? -errno : r;
}

int pins_read_word(const char *map, __u64 *ret)
{
	const __u32 zero = 0;
	__cleanup_fd int fd = pins_open("maps", map);

	if (fd < 0)
		return fd;
	return bpf_map_lookup_elem(fd, &zero, ret) < 0 ? -errno : 0;
}
