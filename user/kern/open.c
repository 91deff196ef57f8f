/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening: adopt what is pinned when it is of this very build, else load and attach, new programs
 * before the old links go, so that an upgrade leaves no gap (deny wins while both are attached).
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/log.h"
#include "kern/internal.h"
#include "pinfold.skel.h"

/* Room for the links of every program of the skeleton. */
#define LINKS_MAX 128

/* Pinned beside the maps: which build the links are of. A map, so that bpffs can hold it. */
#define BUILD_MAP "pf_build"

struct loader {
	struct pinfold_bpf *skel;
	int slice;   /* directory of pinfold.slice */
	__u64 build; /* hash of the programs and their settings */
	struct bpf_program *progs[LINKS_MAX];
	struct bpf_link *links[LINKS_MAX]; /* NULL: attached without a link (sk_msg) */
	size_t n;
	char *err;
};

static void loader_free(struct loader *l)
{
	for (size_t i = 0; i < l->n; i++)
		bpf_link__destroy(l->links[i]);
	pinfold_bpf__destroy(l->skel);
	if (l->slice >= 0)
		close(l->slice);
}

/*
 * libbpf tells what is wrong through a callback without context: its last warning that names a
 * program is kept for the error text, everything goes to the debug log.
 */
static _Thread_local char last_warning[256];

static int __printf_like(2, 0) on_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[1024];

	(void)vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	if (level == LIBBPF_WARN && strstr(line, "prog '"))
		(void)snprintf(last_warning, sizeof(last_warning), "%.*s",
			       (int)sizeof(last_warning) - 1, line);
	log_debug("%s", line);
	return 0;
}

/* Depth of <slice>/<id>/agent below the mount of cgroup v2: the root is level 0. */
static __u32 session_level(int slice)
{
	__u32 level = 2;
	struct stat here, up;
	__cleanup_fd int fd = dup(slice);

	while (fstat(fd, &here) == 0) {
		int parent = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (parent < 0)
			break;
		close(fd);
		fd = parent;
		if (fstat(fd, &up) < 0 || up.st_dev != here.st_dev)
			break;
		level++;
	}
	return level;
}

static int configure(struct loader *l)
{
	struct stat st;

	if (stat(PF_PIN_DIR, &st) < 0)
		return kern_fail(l->err, errno, "cannot look at " PF_PIN_DIR ": %s",
				 strerror(errno));
	l->skel->rodata->cfg_session_level = session_level(l->slice);
	l->skel->rodata->cfg_pin_dev = (__u32)(major(st.st_dev) << 20 | minor(st.st_dev));
	l->skel->rodata->cfg_pin_ino = st.st_ino;
	if (stat("/proc/self/ns/mnt", &st) < 0)
		return kern_fail(l->err, errno, "cannot look at /proc/self/ns/mnt: %s",
				 strerror(errno));
	l->skel->rodata->cfg_mnt_ns = (__u32)st.st_ino;
	if (fstat(l->slice, &st) < 0)
		return kern_fail(l->err, errno, "cannot look at the slice: %s", strerror(errno));
	l->skel->rodata->cfg_slice_ino = st.st_ino;
	return 0;
}

static __u64 build_hash(const struct loader *l)
{
	size_t size;
	const void *elf = pinfold_bpf__elf_bytes(&size);
	__u64 h = fnv(PF_FNV_OFFSET, elf, size);

	return fnv(h, l->skel->rodata, sizeof(*l->skel->rodata));
}

/* "file_open" of a program in section "lsm/file_open"; NULL for other programs. */
static const char *hook_of(const struct bpf_program *prog)
{
	const char *section = bpf_program__section_name(prog);

	if (strncmp(section, "lsm/", 4) == 0)
		return section + 4;
	return strncmp(section, "lsm.s/", 6) == 0 ? section + 6 : NULL;
}

/*
 * Hooks whose arguments changed: there is a program for each form, and the number of parameters
 * tells which one this kernel has. A form that no program knows is refused, since the hook would be
 * open.
 */
static const struct variant {
	const char *prog, *hook;
	int params;
} variants[] = {
	{"pf_inode_setattr", "inode_setattr", 2},
	{"pf_inode_setattr_idmap", "inode_setattr", 3},
	{"pf_bpf", "bpf", 3},
	{"pf_bpf_kernel", "bpf", 4},
	{"pf_perf_event_open", "perf_event_open", 1},
	{"pf_perf_event_open_attr", "perf_event_open", 2},
};

/* Parameters of the kernel's bpf_lsm_HOOK, or -ENOENT. */
static int hook_params(const struct btf *btf, const char *hook)
{
	char name[128];

	(void)snprintf(name, sizeof(name), "bpf_lsm_%s", hook);
	__s32 id = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);

	if (id < 0)
		return -ENOENT;
	return btf_vlen(btf__type_by_id(btf, btf__type_by_id(btf, (__u32)id)->type));
}

static const struct variant *variant_of(const struct bpf_program *prog)
{
	for (size_t i = 0; i < ARRAY_LEN(variants); i++)
		if (strcmp(variants[i].prog, bpf_program__name(prog)) == 0)
			return &variants[i];
	return NULL;
}

static bool form_is_known(const char *hook, int params)
{
	for (size_t i = 0; i < ARRAY_LEN(variants); i++)
		if (strcmp(variants[i].hook, hook) == 0 && variants[i].params == params)
			return true;
	return false;
}

/* Leave a program out when this kernel lacks its hook, or has it in another form. */
static int choose_program(struct loader *l, const struct btf *btf, struct bpf_program *prog)
{
	const char *hook = hook_of(prog);
	const struct variant *v = variant_of(prog);

	if (!hook)
		return 0;
	int params = hook_params(btf, hook);

	if (params >= 0 && !v)
		return 0;
	if (params >= 0 && !form_is_known(hook, params))
		return kern_fail(l->err, EOPNOTSUPP,
				 "this kernel's hook %s has %d parameters, a form that "
				 "this build does not know",
				 hook, params);
	if (v && params == v->params)
		return 0;
	return bpf_program__set_autoload(prog, false);
}

/* kern_probe() reports what is left out. */
static int choose_programs(struct loader *l)
{
	struct btf *btf = btf__load_vmlinux_btf();
	struct bpf_program *prog;
	int r = 0;

	if (!btf)
		return kern_fail(l->err, errno, "cannot read the kernel's BTF: %s",
				 strerror(errno));
	bpf_object__for_each_program(prog, l->skel->obj)
	{
		r = choose_program(l, btf, prog);
		if (r < 0)
			break;
	}
	btf__free(btf);
	return r;
}

static int set_map_pins(struct loader *l)
{
	char path[KERN_PATH_MAX];

	for (size_t i = 0; i < KERN_MAPS; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(l->skel->obj, kern_map_names[i]);
		int r = map ? pin_path(path, "maps", kern_map_names[i]) : -ENOENT;

		if (r == 0)
			r = bpf_map__set_pin_path(map, path);
		if (r < 0)
			return kern_fail(l->err, -r, "map %s: %s", kern_map_names[i], strerror(-r));
	}
	return 0;
}

static int attach_one(struct loader *l, struct bpf_program *prog, struct bpf_link **ret)
{
	struct bpf_link *link = NULL;
	int r = 0;

	switch (bpf_program__type(prog)) {
	case BPF_PROG_TYPE_LSM:
		link = bpf_program__attach_lsm(prog);
		r = link ? 0 : -errno;
		break;
	case BPF_PROG_TYPE_SK_MSG:
		r = bpf_prog_attach(bpf_program__fd(prog), bpf_map__fd(l->skel->maps.pf_sockhash),
				    BPF_SK_MSG_VERDICT, 0);
		break;
	default:
		link = bpf_program__attach_cgroup(prog, l->slice);
		r = link ? 0 : -errno;
	}
	if (r == 0)
		*ret = link;
	return r;
}

/* What is loaded is Pinfold's before anything is attached. */
static int own_loaded(struct loader *l)
{
	const int own = bpf_map__fd(l->skel->maps.pf_own);
	struct bpf_program *prog;
	struct bpf_map *map;
	int r = 0;

	own_prune(own); /* of what earlier attempts left that failed */
	bpf_object__for_each_map(map, l->skel->obj)
	{
		if (r == 0)
			r = own_add(own, PF_OWN_MAP, bpf_map__fd(map));
	}
	bpf_object__for_each_program(prog, l->skel->obj)
	{
		if (r == 0 && bpf_program__autoload(prog))
			r = own_add(own, PF_OWN_PROG, bpf_program__fd(prog));
	}
	return r < 0 ? kern_fail(l->err, -r, "cannot guard what is loaded: %s", strerror(-r)) : 0;
}

/* Attach, and tell the guard of the link. */
static int attach(struct loader *l, struct bpf_program *prog)
{
	if (l->n == LINKS_MAX)
		return kern_fail(l->err, E2BIG, "more than %d programs", LINKS_MAX);
	struct bpf_link *link = NULL;
	int r = attach_one(l, prog, &link);

	if (r == 0) {
		l->progs[l->n] = prog;
		l->links[l->n] = link;
		l->n++;
	}
	if (r == 0 && link)
		r = own_add(bpf_map__fd(l->skel->maps.pf_own), PF_OWN_LINK, bpf_link__fd(link));
	return r < 0 ? kern_fail(l->err, -r, "cannot attach %s: %s", bpf_program__name(prog),
				 strerror(-r))
		     : 0;
}

/* From the attachment on the guard holds, for us as well: only an admin may touch what is pinned.
 */
static int enter_fresh(void)
{
	__cleanup_fd int door = pins_enter();

	return door < 0 ? door : 0;
}

/* What makes an admin goes first, then we enter by it, then the others, the guard among them. */
static int attach_all(struct loader *l)
{
	struct bpf_program *prog, *door = l->skel->progs.pf_bpf_map;
	int r = attach(l, door);

	if (r == 0)
		r = enter_fresh();
	bpf_object__for_each_program(prog, l->skel->obj)
	{
		if (r == 0 && prog != door && bpf_program__autoload(prog))
			r = attach(l, prog);
	}
	return r;
}

/*
 * Pin under a new name (without a dot: bpffs refuses those), then rename over the old pin: the old
 * link or program goes with it.
 */
static int pin_over(const char *dir, const char *name, int fd)
{
	char path[KERN_PATH_MAX], fresh[KERN_PATH_MAX + 4];
	int r = pin_path(path, dir, name);

	if (r < 0)
		return r;
	(void)snprintf(fresh, sizeof(fresh), "%s_new", path);
	if (unlink(fresh) < 0 && errno != ENOENT)
		return -errno;
	if (bpf_obj_pin(fd, fresh) < 0 || rename(fresh, path) < 0)
		return -errno;
	return 0;
}

static int pin_all(struct loader *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *name = bpf_program__name(l->progs[i]);
		int r = pin_over("progs", name, bpf_program__fd(l->progs[i]));

		if (r == 0 && l->links[i])
			r = pin_over("links", name, bpf_link__fd(l->links[i]));
		if (r < 0)
			return kern_fail(l->err, -r, "cannot pin %s: %s", name, strerror(-r));
	}
	return 0;
}

static bool is_current(void *arg, const char *name)
{
	const struct loader *l = arg;

	for (size_t i = 0; i < l->n; i++)
		if (strcmp(bpf_program__name(l->progs[i]), name) == 0)
			return true;
	return false;
}

/* What is pinned may now be incomplete, or of two builds: a later start loads, it does not adopt.
 */
static int forget_build(void)
{
	char path[KERN_PATH_MAX];
	int r = pin_path(path, "maps", BUILD_MAP);

	if (r == 0 && unlink(path) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

static int write_versions(struct loader *l)
{
	const __u32 zero = 0;
	const __u64 abi = PF_ABI_VERSION;
	__cleanup_fd int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, BUILD_MAP, sizeof(zero),
					     sizeof(l->build), 1, NULL);

	if (fd < 0 || bpf_map_update_elem(fd, &zero, &l->build, BPF_ANY) < 0 ||
	    bpf_map_update_elem(bpf_map__fd(l->skel->maps.pf_admin), &zero, &abi, BPF_ANY) < 0)
		return -errno;
	int r = own_add(bpf_map__fd(l->skel->maps.pf_own), PF_OWN_MAP, fd);

	return r < 0 ? r : pin_over("maps", BUILD_MAP, fd);
}

/* Load, attach all, pin all; the programs of an older build go last. */
static int install(struct loader *l)
{
	int r = set_map_pins(l);

	if (r == 0)
		r = choose_programs(l);
	if (r < 0)
		return r;
	r = pinfold_bpf__load(l->skel);
	if (r < 0)
		return kern_fail(l->err, -r, "the kernel refuses the programs: %s (%s)",
				 strerror(-r), last_warning);
	r = own_loaded(l);
	if (r == 0)
		r = forget_build();
	if (r == 0)
		r = attach_all(l);
	if (r == 0)
		r = pin_all(l);
	if (r == 0)
		r = pins_remove("links", is_current, l);
	if (r == 0)
		r = pins_remove("progs", is_current, l);
	return r == 0 ? write_versions(l) : r;
}

static bool hangs_on(const char *name, __u64 slice)
{
	struct bpf_link_info info = {0};
	__u32 len = sizeof(info);
	__cleanup_fd int fd = pins_open("links", name);

	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
	       info.cgroup.cgroup_id == slice;
}

/* A cgroup that is removed takes what hung on it along: the pins of the links stay, for nothing. */
static bool slice_is_served(const struct loader *l)
{
	struct bpf_program *prog;
	struct stat st;

	if (fstat(l->slice, &st) < 0)
		return false;
	bpf_object__for_each_program(prog, l->skel->obj)
	{
		if (hook_of(prog) || bpf_program__type(prog) == BPF_PROG_TYPE_SK_MSG)
			continue;
		if (!hangs_on(bpf_program__name(prog), st.st_ino))
			return false;
	}
	return true;
}

/* What is pinned: 1 this very build, 0 nothing or another build of this ABI, -EPROTO another ABI.
 */
static int compare_pins(const struct loader *l)
{
	__u64 abi = 0, build = 0;
	int r = pins_read_word(kern_map_names[KERN_MAP_ADMIN], &abi);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return kern_fail(l->err, -r, "cannot read the pins in " PF_PIN_DIR ": %s",
				 strerror(-r));
	/* 0: a first load that was cut off before it was complete. */
	if (abi != 0 && abi != PF_ABI_VERSION)
		return kern_fail(l->err, EPROTO,
				 "programs of ABI %llu are pinned in " PF_PIN_DIR
				 ", this build has ABI %d: end all "
				 "sessions, then run pinfoldd --unload of the build that made them",
				 (unsigned long long)abi, PF_ABI_VERSION);
	return abi && pins_read_word(BUILD_MAP, &build) == 0 && build == l->build &&
	       slice_is_served(l);
}

/* The counters of what the guard refuses outside of sessions. */
static int guard_stats(struct kern *k)
{
	const struct pf_stats stats = {.tokens = PF_EVENT_BURST};
	const __u64 nobody = 0;
	int r = map_put(k->maps[KERN_MAP_STATS], &nobody, &stats, BPF_NOEXIST);

	return r == -EEXIST ? 0 : r;
}

static int open_maps(struct kern *k, char *err)
{
	for (size_t i = 0; i < KERN_MAPS; i++) {
		k->maps[i] = pins_open("maps", kern_map_names[i]);
		if (k->maps[i] < 0)
			return kern_fail(err, -k->maps[i], "cannot open " PF_PIN_DIR "/maps/%s: %s",
					 kern_map_names[i], strerror(-k->maps[i]));
	}
	int r = guard_stats(k);

	if (r < 0)
		return kern_fail(err, -r, "cannot count what the guard refuses: %s", strerror(-r));
	own_prune(k->maps[KERN_MAP_OWN]);
	r = ring_open(k);
	return r < 0 ? kern_fail(err, -r, "cannot map the audit ring: %s", strerror(-r)) : 0;
}

static int prepare(struct loader *l, const char *slice)
{
	last_warning[0] = '\0';
	libbpf_set_print(on_libbpf);
	l->slice = open(slice, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->slice < 0)
		return kern_fail(l->err, errno, "cannot open the cgroup %s: %s", slice,
				 strerror(errno));
	l->skel = pinfold_bpf__open();
	if (!l->skel)
		return kern_fail(l->err, errno, "cannot open the BPF object: %s", strerror(errno));
	int r = configure(l);

	l->build = build_hash(l);
	return r;
}

/* The program that hangs on no link: the one that is pinned, whichever was attached last. */
static int attach_pinned_verdict(void)
{
	__cleanup_fd int prog = pins_open("progs", "pf_msg");
	__cleanup_fd int sockhash = pins_open("maps", kern_map_names[KERN_MAP_SOCKHASH]);

	if (prog < 0 || sockhash < 0)
		return prog < 0 ? prog : sockhash;
	return bpf_prog_attach(prog, sockhash, BPF_SK_MSG_VERDICT, 0);
}

/*
 * A first load that failed leaves no pin behind. A failed upgrade leaves a program in force at
 * every place that had one, of the old build or the new one; the next start loads.
 */
static int install_or_undo(struct loader *l)
{
	const bool first = pins_count("links") == 0;
	int r = install(l);

	if (r == 0)
		return 0;
	(void)enter_fresh(); /* attached or not: what follows tells */
	if (!first)
		(void)attach_pinned_verdict(); /* either of them will do */
	if (first &&
	    (pins_remove("links", NULL, NULL) < 0 || pins_remove("progs", NULL, NULL) < 0 ||
	     pins_remove("maps", NULL, NULL) < 0 || pins_remove_dirs() < 0))
		return kern_fail(l->err, -r,
				 "loading failed (%s), and so did taking it back: see " PF_PIN_DIR,
				 strerror(-r));
	return r;
}

/* Only before a load: what is attached already has proven the kernel, and a restart is to be quick.
 */
static int require_kernel(char *err)
{
	struct kern_report report;
	int r = kern_probe(&report);

	for (size_t i = 0; r == 0 && i < KERN_CHECKS; i++)
		if (report.checks[i].state == KERN_MISSING)
			return kern_fail(err, EOPNOTSUPP, "this kernel cannot enforce: %s: %s",
					 report.checks[i].name, report.checks[i].text);
	return r;
}

static int load_or_adopt(const char *slice, char *err)
{
	struct loader l __cleanup(loader_free) = {.slice = -1, .err = err};
	/* Admin first: the guard keeps everybody else from the pins. -ENOENT: nothing is there yet.
	 */
	__cleanup_fd int door = pins_enter();
	int r = door == -ENOENT ? require_kernel(err) : 0;

	if (door < 0 && door != -ENOENT)
		return kern_fail(err, -door, "cannot open the admin pin: %s", strerror(-door));
	if (r == 0)
		r = pins_make_dirs(err);
	if (r == 0)
		r = prepare(&l, slice);
	if (r == 0)
		r = compare_pins(&l);
	if (r >= 0 && lease_begin() < 0)
		return kern_fail(err, EIO, "cannot read or write the lease in " PF_PIN_DIR);
	if (r == 0)
		r = install_or_undo(&l);
	return r < 0 ? r : 0;
}

int kern_open(struct kern **ret, const char *slice, char *err)
{
	struct kern *k __cleanup(kern_close_cleanup) = NULL;
	char unused[KERN_TEXT_MAX]; /* kern_probe() tells it to those who ask */
	int r = load_or_adopt(slice, err);

	if (r < 0)
		return r;
	k = calloc(1, sizeof(*k));
	if (!k)
		return kern_fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < KERN_MAPS; i++)
		k->maps[i] = -1;
	k->road = sockmap_try(unused) == 0 ? KERN_ROAD_FAST : KERN_ROAD_PLAIN;
	r = open_maps(k, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(k);
	return 0;
}

void kern_close(struct kern *k)
{
	if (!k)
		return;
	ring_buffer__free(k->ring);
	for (size_t i = 0; i < KERN_MAPS; i++)
		if (k->maps[i] >= 0)
			close(k->maps[i]);
	free(k);
}

enum kern_road kern_road(const struct kern *k)
{
	return k->road;
}

static int any_session(void)
{
	char key[64]; /* wider than the key of any ABI */
	__cleanup_fd int fd = pins_open("maps", kern_map_names[KERN_MAP_SESSIONS]);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	return bpf_map_get_next_key(fd, NULL, key) == 0;
}

int kern_unload(char *err)
{
	__cleanup_fd int door = pins_enter();

	if (door < 0 && door != -ENOENT)
		return kern_fail(err, -door, "cannot open the admin pin: %s", strerror(-door));
	int r = any_session();

	if (r > 0)
		return kern_fail(err, EBUSY,
				 "sessions are running: end them first (pinfold ps, pinfold kill)");
	if (r == 0)
		r = forget_build();
	if (r == 0)
		r = pins_remove("links", NULL, NULL);
	if (r == 0)
		r = pins_remove("progs", NULL, NULL);
	if (r == 0)
		r = pins_remove("maps", NULL, NULL);
	if (r == 0)
		r = pins_remove_dirs();
	return r < 0 ? kern_fail(err, -r, "cannot remove the pins: %s", strerror(-r)) : 0;
}
