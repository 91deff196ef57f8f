/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel can do, found out by looking and by trying, never by its version.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <fcntl.h>

#include "base/fd.h"
#include "kern/internal.h"

#define LSM_LIST_MAX 4096

static const char *const check_names[KERN_CHECKS] = {
	[KERN_CHECK_RELEASE] = "kernel",    [KERN_CHECK_BTF] = "kernel types (BTF)",
	[KERN_CHECK_LSM] = "BPF LSM",	    [KERN_CHECK_CGROUP2] = "cgroup v2",
	[KERN_CHECK_BPFFS] = "bpffs",	    [KERN_CHECK_SECURITY_PATH] = "path hooks",
	[KERN_CHECK_HOOKS] = "newer hooks", [KERN_CHECK_SOCKMAP] = "fast road (sockmap)",
};

/* Hooks that only newer kernels have; without one the older hook in brackets decides. */
static const struct {
	const char *hook, *without;
} optional_hooks[] = {
	{"file_truncate", "path_truncate decides"},
	{"inode_set_acl", "inode_setxattr decides"},
	{"inode_remove_acl", "inode_removexattr decides"},
	{"inode_file_setattr", "the system call does not exist"},
};

static void say(struct kern_report *report, enum kern_check_id id, enum kern_state state,
		const char *text)
{
	struct kern_check *c = &report->checks[id];

	c->name = check_names[id];
	c->state = state;
	(void)snprintf(c->text, sizeof(c->text), "%s", text);
}

int btf_has_func(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

static void check_release(struct kern_report *report)
{
	struct utsname u;

	if (uname(&u) < 0) {
		say(report, KERN_CHECK_RELEASE, KERN_MISSING, strerror(errno));
		return;
	}
	(void)snprintf(report->release, sizeof(report->release), "%s", u.release);
	if (strcmp(u.machine, "x86_64") != 0)
		say(report, KERN_CHECK_RELEASE, KERN_MISSING, "only x86-64 is supported");
	else
		say(report, KERN_CHECK_RELEASE, KERN_OK, u.release);
}

/* lsm= names the modules, separated by commas. */
static bool in_list(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (strncmp(p, word, len) == 0 && strchr(",\n", p[len]))
			return true;
	}
	return false;
}

static void check_lsm(struct kern_report *report)
{
	__cleanup_free char *list = NULL;
	int r = file_read(AT_FDCWD, "/sys/kernel/security/lsm", LSM_LIST_MAX, &list, NULL);

	if (r < 0)
		say(report, KERN_CHECK_LSM, KERN_MISSING,
		    "/sys/kernel/security/lsm cannot be read: mount securityfs there "
		    "(mount -t securityfs none /sys/kernel/security)");
	else if (!in_list(list, "bpf"))
		say(report, KERN_CHECK_LSM, KERN_MISSING,
		    "bpf is not among the kernel's security modules: boot with lsm=... as in "
		    "/sys/kernel/security/lsm, with ,bpf added");
	else
		say(report, KERN_CHECK_LSM, KERN_OK, "bpf is active");
}

static void check_mount(struct kern_report *report, enum kern_check_id id, const char *path,
			long magic)
{
	struct statfs fs;
	char text[KERN_TEXT_MAX];

	if (statfs(path, &fs) == 0 && fs.f_type == magic) {
		say(report, id, KERN_OK, path);
		return;
	}
	(void)snprintf(text, sizeof(text), "not mounted at %s: mount -t %s none %s", path,
		       magic == BPF_FS_MAGIC ? "bpf" : "cgroup2", path);
	say(report, id, KERN_MISSING, text);
}

static void check_optional(struct kern_report *report, const struct btf *btf)
{
	char text[KERN_TEXT_MAX] = "";
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_LEN(optional_hooks); i++) {
		char func[64];

		(void)snprintf(func, sizeof(func), "bpf_lsm_%s", optional_hooks[i].hook);
		if (btf_has_func(btf, func))
			continue;
		int n = snprintf(text + at, sizeof(text) - at, "%sno %s (%s)", at ? ", " : "",
				 optional_hooks[i].hook, optional_hooks[i].without);

		if (n > 0 && (size_t)n < sizeof(text) - at)
			at += (size_t)n;
	}
	say(report, KERN_CHECK_HOOKS, KERN_OK, at ? text : "all");
}

static void check_btf(struct kern_report *report)
{
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf) {
		say(report, KERN_CHECK_BTF, KERN_MISSING,
		    "/sys/kernel/btf/vmlinux is missing: a kernel with CONFIG_DEBUG_INFO_BTF is "
		    "needed");
		say(report, KERN_CHECK_SECURITY_PATH, KERN_MISSING, "unknown without BTF");
		say(report, KERN_CHECK_HOOKS, KERN_MISSING, "unknown without BTF");
		return;
	}
	say(report, KERN_CHECK_BTF, KERN_OK, "/sys/kernel/btf/vmlinux");
	if (btf_has_func(btf, "bpf_lsm_path_unlink"))
		say(report, KERN_CHECK_SECURITY_PATH, KERN_OK, "present");
	else
		say(report, KERN_CHECK_SECURITY_PATH, KERN_MISSING,
		    "a kernel with CONFIG_SECURITY_PATH is needed");
	check_optional(report, btf);
	btf__free(btf);
}

static void check_sockmap(struct kern_report *report)
{
	char text[KERN_TEXT_MAX];
	int r = sockmap_try(text);

	report->road = r == 0 ? KERN_ROAD_FAST : KERN_ROAD_PLAIN;
	if (r == 0)
		say(report, KERN_CHECK_SOCKMAP, KERN_OK, "redirects and wakes its reader");
	else
		say(report, KERN_CHECK_SOCKMAP, r == -EPERM ? KERN_MISSING : KERN_DEGRADED, text);
}

int kern_probe(struct kern_report *ret)
{
	*ret = (struct kern_report){.road = KERN_ROAD_PLAIN};
	check_release(ret);
	check_btf(ret);
	check_lsm(ret);
	check_mount(ret, KERN_CHECK_CGROUP2, "/sys/fs/cgroup", CGROUP2_SUPER_MAGIC);
	check_mount(ret, KERN_CHECK_BPFFS, "/sys/fs/bpf", BPF_FS_MAGIC);
	check_sockmap(ret);
	ret->can_enforce = true;
	for (size_t i = 0; i < KERN_CHECKS; i++)
		if (ret->checks[i].state == KERN_MISSING)
			ret->can_enforce = false;
	return 0;
}
