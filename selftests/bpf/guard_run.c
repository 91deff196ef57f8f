// SPDX-License-Identifier: Apache-2.0
/*
 * Who makes the attempts of guard.c on what: a process outside on stand-ins without Pinfold
 * (baseline) and with it (nobody else is hindered), the same process on Pinfold's own (refused), an
 * admin on Pinfold's own (the deliberate way).
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include <linux/types.h>
#include <pinfold/abi.h>

#include "guard.h"
#include "kern/kern.h"
#include "slice.h"

#define STANDIN_TOP "/run/pf-standin"
#define STANDIN STANDIN_TOP "/bpf"

/* What the process outside is asked to do, and answers with one number each. */
enum job {
	JOB_STANDINS,
	JOB_PINFOLD,
	JOB_READ,
	JOB_NAMESPACE,
	JOB_INTERFACE,
	JOB_BESIDE,
	JOB_WRITABLE,
	JOB_LOOK_AND_CHANGE,
	JOB_SHARED_NAMESPACE,
};

/* What a look must not make of a process: who opens everything and then changes something. */
static const char *const reads[] = {
	"bpftool map show",
	"bpftool -f map show",
	"bpftool prog show",
	"bpftool link show",
	"bpftool map dump name pf_sessions",
	"bpftool map dump pinned " GUARD_BPFFS "/pinfold/maps/pf_cgroups",
	"bpftool map dump pinned " GUARD_BPFFS "/pinfold/maps/pf_admin",
	"bpftool map lookup pinned " GUARD_BPFFS "/pinfold/maps/pf_admin key 0 0 0 0",
	"bpftool prog dump xlated pinned " GUARD_BPFFS "/pinfold/progs/pf_egress",
	("bpftool cgroup show " SLICE),
};

static int pin_in(const char *dir, const char *name, int fd)
{
	char path[128];

	(void)snprintf(path, sizeof(path), STANDIN "/pins/%s/%s", dir, name);
	return fd < 0 || bpf_obj_pin(fd, path) < 0 ? -errno : fd;
}

static int standin_prog(enum bpf_prog_type type)
{
	const struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1},
					{.code = BPF_JMP | BPF_EXIT}};

	return bpf_prog_load(type, "pf_standin", "GPL", code, ARRAY_LEN(code), NULL);
}

static void standin_objects(void)
{
	__cleanup_fd int hash = bpf_map_create(BPF_MAP_TYPE_HASH, "pf_cgroups", 8, 16, 16, NULL);
	__cleanup_fd int sock = bpf_map_create(BPF_MAP_TYPE_SOCKHASH, "pf_sockhash", 8, 8, 4, NULL);
	__cleanup_fd int ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "pf_events", 0, 0, 4096, NULL);
	__cleanup_fd int egress = standin_prog(BPF_PROG_TYPE_CGROUP_SKB);
	__cleanup_fd int verdict = standin_prog(BPF_PROG_TYPE_SK_MSG);
	__cleanup_fd int cgroup = open(GUARD_CGROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__cleanup_fd int link = bpf_link_create(egress, cgroup, BPF_CGROUP_INET_EGRESS, NULL);

	must(bpf_prog_attach(verdict, sock, BPF_SK_MSG_VERDICT, 0), "verdict");
	must(pin_in("maps", GUARD_HASH, hash), "stand-in");
	must(pin_in("maps", "pf_sockhash", sock), "stand-in");
	must(pin_in("maps", "pf_events", ring), "stand-in");
	must(pin_in("progs", GUARD_PROG, egress), "stand-in");
	must(pin_in("progs", "pf_msg", verdict), "stand-in");
	must(pin_in("links", GUARD_PROG, link), "stand-in");
}

static void make_dir(const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		must(-1, path);
}

static void standin_make(void)
{
	make_dir(GUARD_CGROUP);
	make_dir(GUARD_CGROUP "/empty");
	make_dir(STANDIN_TOP);
	must(mount("tmpfs", STANDIN_TOP, "tmpfs", 0, NULL), "tmpfs");
	make_dir(STANDIN);
	must(mount("bpf", STANDIN, "bpf", 0, NULL), "bpffs");
	make_dir(STANDIN "/pins");
	make_dir(STANDIN "/pins/maps");
	make_dir(STANDIN "/pins/progs");
	make_dir(STANDIN "/pins/links");
	standin_objects();
}

static void standin_remove(void)
{
	(void)umount2(STANDIN, MNT_DETACH); /* two attempts were to do this */
	(void)umount2(STANDIN_TOP, MNT_DETACH);
	(void)rmdir(GUARD_CGROUP "/empty");
	must(rmdir(GUARD_CGROUP), GUARD_CGROUP);
}

/* kind: "maps", "progs" or "links". */
static __u32 object_id(const char *dir, const char *kind, const char *name)
{
	char path[128];
	struct {
		__u32 type, id;
	} info = {0}; /* what bpf_map_info, bpf_prog_info and bpf_link_info begin with */
	__u32 len = sizeof(info);

	(void)snprintf(path, sizeof(path), "%s/%s/%s", dir, kind, name);
	__cleanup_fd int fd = bpf_obj_get(path);

	must(bpf_obj_get_info_by_fd(fd, &info, &len), path);
	return info.id;
}

static struct guard_target find_target(const char *dir, const char *bpffs, const char *parent,
				       const char *cgroup)
{
	struct guard_target t = {.map = object_id(dir, "maps", GUARD_HASH),
				 .sockhash = object_id(dir, "maps", "pf_sockhash"),
				 .ring = object_id(dir, "maps", "pf_events"),
				 .prog = object_id(dir, "progs", GUARD_PROG),
				 .verdict = object_id(dir, "progs", "pf_msg"),
				 .link = object_id(dir, "links", GUARD_PROG)};

	(void)snprintf(t.dir, sizeof(t.dir), "%s", dir);
	(void)snprintf(t.parent, sizeof(t.parent), "%s", parent);
	(void)snprintf(t.bpffs, sizeof(t.bpffs), "%s", bpffs);
	(void)snprintf(t.cgroup, sizeof(t.cgroup), "%s", cgroup);
	return t;
}

static struct guard_target pinfold_target(void)
{
	return find_target(PF_PIN_DIR, GUARD_BPFFS, "/sys", SLICE);
}

static void answer(int sock, int r)
{
	must(fd_write_all(sock, &r, sizeof(r)), "answer");
}

static void serve_standins(int sock)
{
	for (size_t i = 0; i < n_guard_attempts; i++) {
		standin_make();
		struct guard_target t =
			find_target(STANDIN "/pins", STANDIN, STANDIN_TOP, GUARD_CGROUP);

		answer(sock, guard_attempts[i].fn(&t));
		standin_remove();
	}
}

static void serve_pinfold(int sock)
{
	struct guard_target t = pinfold_target();

	make_dir(GUARD_CGROUP);
	for (size_t i = 0; i < n_guard_attempts; i++)
		answer(sock, guard_attempts[i].fn(&t));
	must(rmdir(GUARD_CGROUP), GUARD_CGROUP);
}

static void serve_reads(int sock)
{
	char command[160];

	for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
		(void)snprintf(command, sizeof(command), "%s >/dev/null", reads[i]);
		answer(sock, system(command) == 0 ? 0 : -EIO);
	}
}

/* What somebody does with a copy of all mounts, as any service's sandbox has. */
static int in_namespace(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mount("none", GUARD_BPFFS, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0 ||
	    mount("none", GUARD_BPFFS, "tmpfs", 0, NULL) < 0 || umount(GUARD_BPFFS) < 0 ||
	    umount(GUARD_BPFFS) < 0 || umount2("/sys", MNT_DETACH) < 0)
		return -errno;
	return 0;
}

/* A process that has opened the admin map to look at it is no admin. */
static int look_and_change(void)
{
	struct guard_target t = pinfold_target();
	__cleanup_fd int by_pin = bpf_obj_get(PF_PIN_DIR "/maps/pf_admin");
	__cleanup_fd int by_id = bpf_map_get_fd_by_id(object_id(PF_PIN_DIR, "maps", "pf_admin"));

	return by_pin < 0 || by_id < 0 ? -EIO : guard_attempts[0].fn(&t);
}

/* A copy of the mounts that hands its changes on to where it was made. */
static int in_shared_namespace(void)
{
	return unshare(CLONE_NEWNS) < 0 ? -ENOLINK : umount(GUARD_BPFFS) < 0 ? -errno : 0;
}

/* On the mount that the bpffs is on, but not on the way to that. */
static int beside_pins(void)
{
	if (mount("none", "/sys", NULL, MS_REMOUNT, NULL) < 0 ||
	    mount("none", "/sys/kernel", "tmpfs", 0, NULL) < 0 || umount("/sys/kernel") < 0)
		return -errno;
	return 0;
}

static int at_interface(void)
{
	struct guard_target t = pinfold_target();

	return guard_try_interface(&t);
}

static int writable_again(void)
{
	struct guard_target t = pinfold_target();

	return guard_try_make_writable(&t);
}

static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	must(pid, "fork");
	if (pid == 0)
		_exit(-fn());
	must(waitpid(pid, &status, 0), "wait");
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

void guard_serve(int sock)
{
	char job;

	must(mount("none", GUARD_BPFFS, NULL, MS_SHARED, NULL), GUARD_BPFFS);

	while (fd_read_full(sock, &job, 1) == 1) {
		switch (job) {
		case JOB_STANDINS:
			serve_standins(sock);
			break;
		case JOB_PINFOLD:
			serve_pinfold(sock);
			break;
		case JOB_READ:
			serve_reads(sock);
			break;
		case JOB_NAMESPACE:
			answer(sock, in_child(in_namespace));
			break;
		case JOB_INTERFACE:
			answer(sock, in_child(at_interface));
			break;
		case JOB_BESIDE:
			answer(sock, in_child(beside_pins));
			break;
		case JOB_WRITABLE:
			answer(sock, in_child(writable_again));
			break;
		case JOB_SHARED_NAMESPACE:
			answer(sock, in_child(in_shared_namespace));
			break;
		case JOB_LOOK_AND_CHANGE:
			answer(sock, in_child(look_and_change));
			break;
		}
	}
}

static void ask(int sock, char job)
{
	must(fd_write_all(sock, &job, 1), "ask");
}

static int next_answer(int sock)
{
	int r;

	must(fd_read_full(sock, &r, sizeof(r)) == sizeof(r) ? 0 : -EPIPE, "outside");
	return r;
}

static bool is_past(const struct guard_attempt *a, int r)
{
	return r == 0 || r == a->past;
}

void guard_check_standins(int sock, const char *when)
{
	ask(sock, JOB_STANDINS);
	for (size_t i = 0; i < n_guard_attempts; i++) {
		int r = next_answer(sock);

		check(is_past(&guard_attempts[i], r), when, guard_attempts[i].name, r);
	}
}

void guard_check(int sock)
{
	ask(sock, JOB_PINFOLD);
	for (size_t i = 0; i < n_guard_attempts; i++) {
		int r = next_answer(sock);

		check(r == -EPERM, "guard", guard_attempts[i].name, r);
	}
	ask(sock, JOB_READ);
	for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
		int r = next_answer(sock);

		check(r == 0, "guard lets pass", reads[i], r);
	}
	ask(sock, JOB_NAMESPACE);
	int r = next_answer(sock);

	check(r == 0, "guard lets pass", "mounts of a namespace of one's own", r);
	ask(sock, JOB_INTERFACE);
	r = next_answer(sock);
	check(r == 0, "guard lets pass", "an interface with the number of a descriptor", r);
	ask(sock, JOB_BESIDE);
	r = next_answer(sock);
	check(r == 0, "guard lets pass", "mounts beside the way to the pins", r);
	ask(sock, JOB_WRITABLE);
	r = next_answer(sock);
	check(r == 0, "guard lets pass", "the bpffs made writable again", r);
	ask(sock, JOB_LOOK_AND_CHANGE);
	r = next_answer(sock);
	check(r == -EPERM, "guard", "update of a map after a look at the admin map", r);
	ask(sock, JOB_SHARED_NAMESPACE);
	r = next_answer(sock);
	check(r == -EPERM, "guard", "umount in a namespace that shares its mounts", r);
}

void guard_check_admin(void)
{
	struct guard_target t = pinfold_target();

	make_dir(GUARD_CGROUP);
	for (size_t i = 0; i < n_guard_attempts; i++) {
		const struct guard_attempt *a = &guard_attempts[i];
		int r = a->needs_pins ? 0 : a->fn(&t);

		if (!a->needs_pins)
			check(is_past(a, r), "admin", a->name, r);
	}
	must(rmdir(GUARD_CGROUP), GUARD_CGROUP);
}

static int on_event(void *arg, const struct pf_event *ev)
{
	size_t *n = arg;

	*n += ev->session == 0 && ev->klass == PF_CLASS_GUARD && ev->error == EPERM &&
	      ev->reason == PF_REASON_GUARDED && ev->kind == PF_KIND_NONE;
	return 0;
}

void guard_check_records(struct kern *k)
{
	struct pf_stats st = {0};
	size_t n = 0;

	must(kern_ring_drain(k, KERN_RING_RECORDS, on_event, &n), "drain");
	must(kern_stats(k, 0, &st), "stats");
	check(n == n_guard_attempts + 2, "records", "one for each refusal of the guard", 0);
	check(st.denied[PF_CLASS_GUARD] == n && st.seq == n, "counted", "each of them", 0);
}
