/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold doctor: whether this machine can enforce. What can be seen without the daemon is looked
 * at here, so that there is an answer when the daemon refuses to start; the rest it is asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <linux/magic.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/cli.h"

/* The longest values are the LSM list and a kernel release (65 bytes). */
#define VALUE_MAX 256

struct check {
	const char *name;
	bool (*look)(char value[VALUE_MAX]); /* value is "" before */
	const char *advice;
};

static bool kernel_is_new(char value[VALUE_MAX])
{
	struct utsname u;
	unsigned major = 0, minor = 0;

	if (uname(&u) < 0)
		return false;
	(void)snprintf(value, VALUE_MAX, "%s %s", u.release, u.machine);
	return sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 1));
}

static bool has_btf(char value[VALUE_MAX])
{
	(void)snprintf(value, VALUE_MAX, "/sys/kernel/btf/vmlinux");
	return access("/sys/kernel/btf/vmlinux", R_OK) == 0;
}

static bool lsm_has_bpf(char value[VALUE_MAX])
{
	__cleanup_free char *list = NULL;
	int r = file_read(AT_FDCWD, "/sys/kernel/security/lsm", VALUE_MAX - 1, &list, NULL);

	if (r < 0) {
		(void)snprintf(value, VALUE_MAX, "/sys/kernel/security/lsm: %s",
			       strerrordesc_np(-r));
		return false;
	}
	(void)snprintf(value, VALUE_MAX, "%s", list);
	for (char *rest = list, *lsm; (lsm = strsep(&rest, ",\n"));)
		if (!strcmp(lsm, "bpf"))
			return true;
	return false;
}

static bool is_mounted(const char *path, long magic, char value[VALUE_MAX])
{
	struct statfs s;

	(void)snprintf(value, VALUE_MAX, "%s", path);
	return statfs(path, &s) == 0 && s.f_type == magic;
}

static bool has_cgroup2(char value[VALUE_MAX])
{
	return is_mounted("/sys/fs/cgroup", CGROUP2_SUPER_MAGIC, value);
}

static bool has_bpffs(char value[VALUE_MAX])
{
	return is_mounted("/sys/fs/bpf", BPF_FS_MAGIC, value);
}

/*
 * A crash must not hand a session's memory to the host. Its processes have a core limit of 1, which
 * the kernel takes as "no dump" where the pattern is a pipe (fs/coredump.c), and which is too small
 * where it is a file. For a socket the limit means nothing.
 */
static bool cores_stay(char value[VALUE_MAX])
{
	__cleanup_free char *pattern = NULL;
	int r = file_read(AT_FDCWD, "/proc/sys/kernel/core_pattern", VALUE_MAX - 1, &pattern, NULL);

	if (r < 0) {
		(void)snprintf(value, VALUE_MAX, "/proc/sys/kernel/core_pattern: %s",
			       strerrordesc_np(-r));
		return false;
	}
	pattern[strcspn(pattern, "\n")] = '\0';
	(void)snprintf(value, VALUE_MAX, "%.100s%s", pattern,
		       pattern[0] == '|' ? " (not run for sessions: their core limit is 1)" : "");
	return pattern[0] != '@';
}

static const struct check checks[] = {
	{"kernel", kernel_is_new, "Linux 6.1 or newer is needed"},
	{"btf", has_btf, "a kernel with CONFIG_DEBUG_INFO_BTF=y is needed"},
	{"lsm", lsm_has_bpf,
	 "add bpf to the list: boot with lsm=...,bpf (see /etc/default/grub), CONFIG_BPF_LSM=y"},
	{"cgroup2", has_cgroup2, "boot with systemd.unified_cgroup_hierarchy=1"},
	{"bpffs", has_bpffs, "mount -t bpf bpf /sys/fs/bpf"},
	{"core dumps", cores_stay,
	 "a socket gets the memory of whatever crashes: have kernel.core_pattern name a file or a "
	 "pipe"},
};

static json_t *look_here(void)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < ARRAY_LEN(checks); i++) {
		char value[VALUE_MAX] = "";
		bool ok = checks[i].look(value);

		value[strcspn(value, "\n")] = '\0';
		json_t *c = json_pack("{s:s, s:b, s:s, s:s?}", "name", checks[i].name, "ok", ok,
				      "value", value, "advice", ok ? NULL : checks[i].advice);

		if (json_array_append_new(list, c) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* Add what the daemon found, or that it cannot be asked; false: no memory. */
static bool ask_daemon(json_t *list)
{
	struct ctl_err err;
	json_t *reply = NULL;
	__cleanup_fd int sock = ctl_connect(cli_socket_path(), &err);
	struct ctl_reply_error e = {.message = "no answer"};
	bool ok = sock >= 0 && ctl_request_send(sock, CTL_DOCTOR, NULL, NULL, 0) == 0 &&
		  ctl_reply_recv(sock, &reply) > 0 && !ctl_reply_error(reply, &e);
	json_t *c = json_pack("{s:s, s:b, s:s, s:s?}", "name", "pinfoldd", "ok", ok, "value",
			      ok ? ctl_str(reply, "version") : "", "advice",
			      ok	 ? NULL
			      : sock < 0 ? err.text
					 : e.message);

	ok = json_array_append_new(list, c) == 0 &&
	     (!json_object_get(reply, "checks") ||
	      json_array_extend(list, json_object_get(reply, "checks")) == 0);
	json_decref(reply);
	return ok;
}

static void print_check(const json_t *c)
{
	const struct cli_colours *col = cli_colours();
	bool ok = json_is_true(json_object_get(c, "ok"));

	printf("%s%-4s%s ", ok ? col->green : col->red, ok ? "ok" : "FAIL", col->off);
	cli_print_text(ctl_str(c, "name"), 40);
	printf(": ");
	cli_print_text(ctl_str(c, "value"), 200);
	if (ctl_str(c, "advice")[0]) {
		printf("\n     -> ");
		cli_print_text(ctl_str(c, "advice"), 250);
	}
	printf("\n");
}

static int print_all(json_t *list, bool json)
{
	bool healthy = true;
	size_t i;
	json_t *c;
	int r = CLI_OK;

	json_array_foreach(list, i, c)
	{
		healthy = healthy && json_is_true(json_object_get(c, "ok"));
		if (!json)
			print_check(c);
	}
	if (!json)
		printf("what a session can do all the same: SECURITY.md, \"What is weaker than it "
		       "sounds\"\n");
	if (json) {
		json_t *all = json_pack("{s:b, s:O}", "healthy", healthy, "checks", list);

		r = all ? cli_print_json(all) : cli_fail("out of memory");
		json_decref(all);
	}
	if (r == CLI_OK)
		r = cli_finish();
	return r == CLI_OK && !healthy ? CLI_FAILURE : r;
}

int cmd_doctor(struct cli_args *args)
{
	bool json;
	int r;

	if (!cli_only_json(args, &json, &r))
		return r;
	json_t *list = look_here();

	if (!list || !ask_daemon(list))
		r = cli_fail("out of memory");
	else
		r = print_all(list, json);
	json_decref(list);
	return r;
}
