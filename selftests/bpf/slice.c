// SPDX-License-Identifier: Apache-2.0
/*
 * Builds a session by hand on the BPF programs (labels, marks, rules, endpoints) and judges what an
 * agent in it can do: each attempt works without a session (baseline), is denied where the rules do
 * not allow it, and works where they do (twin).
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "kern/kern.h"
#include "slice.h"

#define SESSION SLICE "/bpfslice"
#define SELF "/var/tmp/pf-slice-bin"

/* The two filesystems: the root (an overlay in the VM) and a tmpfs. */
static const char *const bases[] = {"/var/tmp/pf-slice", "/dev/shm/pf-slice"};

enum set { SET_FILES_READ, SET_FILES_WORK, SET_BORDER, SET_OTHER, SETS };

struct record {
	int set, base, index, result;
};

static int passed, failed, skipped;

void check(bool ok, const char *what, const char *detail, int result)
{
	ok ? passed++ : failed++;
	printf("%-6s %s: %s%s%s\n", ok ? "ok" : "FAILED", what, detail, result < 0 ? " -> " : "",
	       result < 0 ? strerror(-result) : "");
	(void)fflush(stdout);
}

void must(long r, const char *what)
{
	if (r < 0) {
		(void)fprintf(stderr, "%s: %s\n", what, strerror(r == -1 ? errno : (int)-r));
		exit(2);
	}
}

/* ---- the side that tries ---- */

static void try_set(int out, int set, int base, const struct attempt *a, size_t n, const char *tree,
		    bool bare)
{
	for (size_t i = 0; i < n; i++) {
		struct record rec = {.set = set, .base = base, .index = (int)i};

		if (bare && set == SET_OTHER && !a[i].bare)
			continue;
		rec.result = a[i].fn(tree);
		must(fd_write_all(out, &rec, sizeof(rec)), "report");
	}
}

static void try_all(int out, bool bare)
{
	char work[128], read[128];

	for (int b = 0; b < (int)ARRAY_LEN(bases); b++) {
		(void)snprintf(work, sizeof(work), "%s/" TREE_WORK, bases[b]);
		(void)snprintf(read, sizeof(read), "%s/" TREE_READ, bases[b]);
		try_set(out, SET_FILES_READ, b, file_attempts, n_file_attempts, read, bare);
		try_set(out, SET_FILES_WORK, b, file_attempts, n_file_attempts, work, bare);
		try_set(out, SET_BORDER, b, border_attempts, n_border_attempts, bases[b], bare);
	}
	try_set(out, SET_OTHER, 0, other_attempts, n_other_attempts, NULL, bare);
}

/* Role "agent": try everything, then some of it whenever the tester asks. */
static int agent_main(void)
{
	const struct record end = {.set = SETS};

	try_all(103, false);
	must(fd_write_all(103, &end, sizeof(end)), "report");
	return live_agent(103, 104);
}

/* ---- the side that judges ---- */

static const char *describe(const struct record *rec, char *buf, size_t size)
{
	static const char *const sets[] = {"read-only tree", "writable tree", "border", "other"};
	const struct attempt *a = rec->set == SET_OTHER	   ? other_attempts
				  : rec->set == SET_BORDER ? border_attempts
							   : file_attempts;

	(void)snprintf(buf, size, "%s%s%s, %s", sets[rec->set], rec->set == SET_OTHER ? "" : " on ",
		       rec->set == SET_OTHER ? ""
		       : rec->base == 0	     ? "overlay"
					     : "tmpfs",
		       a[rec->index].name);
	return buf;
}

static bool is_denial(int r)
{
	return r == -EPERM || r == -EACCES;
}

/* What this kernel or machine does not have cannot be tried without a session either. */
static bool is_absent(int r)
{
	return r == -EAFNOSUPPORT || r == -EPROTONOSUPPORT || r == -ENOPROTOOPT || r == -ENOSYS ||
	       r == -EOPNOTSUPP;
}

static void judge(const struct record *rec, bool bare)
{
	bool allowed = rec->set == SET_FILES_WORK ||
		       (rec->set == SET_OTHER && other_attempts[rec->index].allowed);
	char what[192];

	describe(rec, what, sizeof(what));
	if (is_absent(rec->result)) {
		skipped++;
		printf("absent %s: %s\n", what, strerror(-rec->result));
	} else if (bare) {
		check(rec->result == 0, "baseline", what, rec->result);
	} else if (allowed) {
		check(rec->result == 0, "allowed", what, rec->result);
	} else {
		check(is_denial(rec->result), "denied", what, rec->result);
	}
}

static int judge_all(int in, bool bare)
{
	struct record rec;
	int n = 0;

	for (; fd_read_full(in, &rec, sizeof(rec)) == sizeof(rec) && rec.set != SETS; n++)
		judge(&rec, bare);
	return n;
}

/* ---- the processes ---- */

static void make_bases(void)
{
	for (size_t b = 0; b < ARRAY_LEN(bases); b++)
		make_trees(bases[b]);
}

static void run_baseline(void)
{
	int p[2];

	make_bases();
	must(pipe(p), "pipe");
	pid_t pid = fork();

	must(pid, "fork");
	if (pid == 0) {
		close(p[0]);
		try_all(p[1], true);
		exit(0);
	}
	close(p[1]);
	(void)judge_all(p[0], true);
	close(p[0]);
	must(waitpid(pid, NULL, 0), "wait");
}

/* A process that is in no session: a unix listener, a signal's target, and the guard's tester. */
static void outside_main(int sock)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(sa.sun_path + 1, OUTSIDE_UNIX, sizeof(OUTSIDE_UNIX) - 1);
	must(bind(fd, (struct sockaddr *)&sa,
		  offsetof(struct sockaddr_un, sun_path) + sizeof(OUTSIDE_UNIX)),
	     "bind outside");
	must(listen(fd, 16), "listen outside");
	must(fd_write_all(sock, "r", 1), "ready");
	guard_serve(sock);
	exit(0);
}

static int start_outside(void)
{
	int sv[2];
	char c;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), "socketpair");
	outside_pid = fork();
	must(outside_pid, "fork");
	if (outside_pid == 0) {
		close(sv[0]);
		outside_main(sv[1]);
	}
	close(sv[1]);
	must(fd_read_full(sv[0], &c, 1) == 1 ? 0 : -EPIPE, "outside");
	return sv[0];
}

static __u64 cgroup_id(const char *path)
{
	struct stat st;

	must(stat(path, &st), path);
	return st.st_ino;
}

static void make_cgroup(const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		must(-1, path);
}

/*
 * A bare child in the cgroup, labelled while it waits, which then runs SELF in this role with the
 * given descriptors as 3 and 4.
 */
static pid_t start_labelled(struct kern *k, __u64 session, enum pf_kind kind, const char *cgroup,
			    const char *role, int fd3, int fd4)
{
	int go[2];
	char text[32], path[128], c;

	must(pipe2(go, O_CLOEXEC), "pipe");
	pid_t pid = fork();

	must(pid, "fork");
	if (pid == 0) {
		must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
		must(fd_read_full(go[0], &c, 1) == 1 ? 0 : -EPIPE, "go");
		if (kind == PF_KIND_GATE_BOOT)
			must(gate_listen(&fd3, &fd4), "gate's listeners");
		must(dup3(fd3, 103, 0), "dup");
		must(dup3(fd4, 104, 0), "dup");
		(void)snprintf(text, sizeof(text), "%d", outside_pid);
		execl(SELF, SELF, role, text, (char *)NULL);
		must(-1, "exec");
	}
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	(void)snprintf(text, sizeof(text), "%d", pid);
	must(file_write(AT_FDCWD, path, text), path);
	__cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	must(kern_label_task(k, pidfd, session, kind), "label");
	must(fd_write_all(go[1], "g", 1), "go");
	close(go[0]);
	close(go[1]);
	return pid;
}

/* The paths that pid 1 opens, in the order of rules[] in make_rules(). */
static const char *const rule_paths[] = {
	"/",
	"/var/tmp/pf-slice/" TREE_WORK,
	"/var/tmp/pf-slice/" TREE_SECRET,
	"/dev/shm/pf-slice",
	"/dev/shm/pf-slice/" TREE_WORK,
	"/dev/shm/pf-slice/" TREE_SECRET,
	"/proc",
	"/dev",
};
#define N_TREES 6
#define N_MARKS ARRAY_LEN(rule_paths)
#define N_RULES (N_TREES + 2)

static const __u32 tree_rights[N_TREES] = {
	PF_R_READ | PF_R_EXEC, PF_R_READ | PF_R_WRITE | PF_R_NAMES | PF_R_SEALED, PF_R_SEALED,
	PF_R_READ | PF_R_EXEC, PF_R_READ | PF_R_WRITE | PF_R_NAMES | PF_R_SEALED, PF_R_SEALED,
};

static void leave_mark(unsigned number, const char *path)
{
	char name[16];

	(void)snprintf(name, sizeof(name), PF_MARK_NUMBER, number);
	must(prctl(PR_SET_NAME, name), "name");
	must(open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY), path);
}

/* Role "init": leave marks, say so, wait, become the agent. The descriptors stay open: they hold
 * the inodes. */
static int init_main(const char *outside)
{
	char c;

	for (size_t i = N_MARKS; i-- > 0;) /* their order does not matter */
		leave_mark((unsigned)i, rule_paths[i]);
	leave_mark(N_MARKS, "/"); /* and those that nobody asks for move none */
	must(fd_write_all(103, "m", 1), "marked");
	must(fd_read_full(104, &c, 1) == 1 ? 0 : -EPIPE, "go");
	execl(SELF, SELF, "agent", outside, (char *)NULL);
	return 2;
}

static size_t make_rules(const struct pf_mark *marks, struct kern_rule rules[N_RULES])
{
	size_t n = 0;

	for (size_t i = 0; i < N_TREES; i++)
		rules[n++] = (struct kern_rule){
			.key = {.ino = marks[i].ino, .dev = marks[i].dev, .self = marks[i].self},
			.rule = {.rights = tree_rights[i], .id = (__u32)i + 1}};
	for (size_t i = 0; i < N_TREES; i++) {
		if (!(tree_rights[i] & PF_R_NAMES))
			continue;
		rules[n] = rules[i];
		rules[n].key.name = kern_name_hash(DENIED_NAME, strlen(DENIED_NAME));
		rules[n].rule = (struct pf_rule){.rights = PF_R_READ, .id = 100};
		n++;
	}
	return n;
}

static void map_v4(__u8 addr[16], const char *ip)
{
	memset(addr, 0, 10);
	addr[10] = addr[11] = 0xff;
	(void)inet_pton(AF_INET, ip, addr + 12);
}

static void publish(struct kern *k, struct kern_session *s, const struct pf_mark *marks)
{
	struct kern_endpoint ep[2] = {
		{.port = DB_PORT, .proto = IPPROTO_TCP, .gate_port = GATE_TCP_PORT},
		{.port = UDP_PORT, .proto = IPPROTO_UDP, .gate_port = GATE_UDP_PORT, .id = 1},
	};
	const struct pf_own_fs own[2] = {
		{.dev = marks[6].dev, .rights = PF_R_READ | PF_R_WRITE | PF_R_PROC},
		{.dev = marks[7].dev, .rights = PF_R_READ | PF_R_WRITE | PF_R_DEV},
	};
	struct kern_rule rules[N_RULES];

	map_v4(ep[0].addr, DB_ADDR);
	map_v4(ep[1].addr, DB_ADDR);
	s->rules = rules;
	s->n_rules = make_rules(marks, rules);
	s->own_fs = own;
	s->n_own_fs = 2;
	s->endpoints = ep;
	s->n_endpoints = 2;
	must(kern_session_publish(k, s), "publish");
}

static void check_label(struct kern *k, pid_t pid, enum pf_kind want, const char *what)
{
	struct pf_label label = {0};
	__cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r = kern_task_label(k, pidfd, &label);

	check(r == 0 && label.kind == want, "label", what, r);
}

struct seen {
	__u64 records, unattended;
	bool file, net;
};

static int on_event(void *arg, const struct pf_event *ev)
{
	struct seen *s = arg;

	s->records++;
	s->unattended += ev->reason == PF_REASON_UNATTENDED;
	s->file |= ev->hook == PF_HOOK_FILE_OPEN && ev->error == EACCES &&
		   strcmp(ev->name, "file") == 0 && ev->rule == 1;
	s->net |= ev->hook == PF_HOOK_SOCKET_CONNECT && ev->reason == PF_REASON_DESTINATION &&
		  ev->port == 443 && ev->flags & PF_EV_INET;
	return 0;
}

static void check_records(struct kern *k, __u64 id)
{
	struct pf_stats st = {0};
	struct seen seen = {0};
	__u64 denied = 0;

	must(kern_stats(k, id, &st), "stats");
	check(kern_ring_drain(k, 2, on_event, &seen) == 2, "drain", "no more than asked for", 0);
	must(kern_ring_drain(k, KERN_RING_RECORDS, on_event, &seen), "drain");
	for (int i = 0; i < PF_CLASS_MAX; i++) {
		denied += st.denied[i];
		check(st.denied[i] > 0, "counted", pf_class_name((__u32)i), 0);
	}
	check(st.seq == seen.records + st.merged + st.lost, "records", "seq accounts for all", 0);
	check(denied == st.seq, "records", "every denial had its number", 0);
	check(seen.unattended > 0 && st.unattended >= seen.unattended &&
		      st.unattended <= seen.unattended + st.merged,
	      "records", "the lease is the reason, and counted", 0);
	check(seen.file, "records", "a file with its rule", 0);
	check(seen.net, "records", "a destination", 0);
	if (kern_road(k) == KERN_ROAD_FAST)
		check(st.redirected > 0, "road", "requests were handed over", 0);
	printf("       road %s, redirected %llu, by TCP %llu, records %llu, merged %llu, lost "
	       "%llu\n",
	       kern_road(k) == KERN_ROAD_FAST ? "fast" : "plain", st.redirected, st.tcp_msgs,
	       seen.records, st.merged, st.lost);
}

static void on_revoked(void *arg, __u64 id, const struct pf_session *s)
{
	__u64 *seen = arg;

	if (s->flags & PF_SESSION_LIVE)
		*seen = id;
}

static __u32 policy_of(struct kern *k, __u64 id)
{
	struct pf_session s;

	must(kern_session_get(k, id, &s), "session");
	return s.policy;
}

/* What `pinfold panic` does first, without what it does next. */
static void check_revoked(struct kern *k, int in, int out, __u64 id)
{
	char err[KERN_TEXT_MAX] = "";
	__u64 seen = 0;

	int r = kern_revoke_all(on_revoked, &seen, err);

	check(r == 0 && seen == id, "revoked", r < 0 ? err : "the session", r);
	r = kern_session_set_rules(k, id, policy_of(k, id), NULL, 0, 0);
	check(r == -ECANCELED, "revoked", "gets no other rules", r);
	r = kern_session_set_unattended(k, id, PF_SESSION_UNATTENDED_ALLOW);
	check(r == -ECANCELED, "revoked", "may not go on unattended", r);
	live_check_revoked(in, out);
	close(out);
}

static void take_marks(struct kern *k, __u64 id, struct pf_mark marks[N_MARKS])
{
	struct pf_mark other;

	for (size_t i = 0; i < N_MARKS; i++)
		must(kern_mark_get(k, id, i, &marks[i]), rule_paths[i]);
	check(kern_mark_get(k, id, N_MARKS + 1, &other) == -ENOENT, "mark", "of no open", 0);
	kern_marks_drop(k, id, N_MARKS);
	check(kern_mark_get(k, id, 0, &other) == -ENOENT, "mark", "dropped", 0);
	check(kern_mark_get(k, id, N_MARKS, &other) == 0, "mark", "of another number stays", 0);
	kern_marks_drop(k, id, N_MARKS + 1);
}

static void run_session(struct kern *k)
{
	struct kern_session s = {.id = cgroup_id(SESSION),
				 .agent_cgroup = cgroup_id(SESSION "/" PF_CG_AGENT),
				 .gate_cgroup = cgroup_id(SESSION "/" PF_CG_GATE),
				 .name = "bpfslice"};
	struct pf_mark marks[N_MARKS];
	int up[2], down[2];
	char c;

	must(pipe2(up, O_CLOEXEC), "pipe");
	must(pipe2(down, O_CLOEXEC), "pipe");
	must(kern_session_reserve(k, s.id, s.agent_cgroup, s.gate_cgroup), "reserve");
	pid_t init = start_labelled(k, s.id, PF_KIND_BOOT, SESSION "/" PF_CG_AGENT, "init", up[1],
				    down[0]);

	close(up[1]);
	must(fd_read_full(up[0], &c, 1) == 1 ? 0 : -EPIPE, "init");
	check_label(k, init, PF_KIND_INIT, "pid 1 after its exec");
	take_marks(k, s.id, marks);
	publish(k, &s, marks);
	pid_t gate =
		start_labelled(k, s.id, PF_KIND_GATE_BOOT, SESSION "/" PF_CG_GATE, "gate", 0, 0);

	must(fd_write_all(down[1], "g", 1), "go");
	check(judge_all(up[0], false) > 0, "agent", "reported", 0);
	check_label(k, gate, PF_KIND_GATE, "the gate after its exec");
	live_check(k, s.id, up[0], down[1]);
	check_revoked(k, up[0], down[1], s.id);
	must(kill(gate, SIGKILL), "kill");
	must(waitpid(gate, NULL, 0), "wait");
	must(waitpid(init, NULL, 0), "wait");
	check_records(k, s.id);
	check(kern_session_drop(k, s.id) == 0, "session", "dropped", 0);
}

static void copy_self(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "cp /proc/%d/exe " SELF, getpid());
	must(-(system(command) != 0), command);
}

static int tester_main(void)
{
	struct kern *k = NULL;
	char err[KERN_TEXT_MAX] = "";

	(void)signal(SIGPIPE, SIG_IGN);
	copy_self();
	make_cgroup(SLICE);
	make_cgroup(SLICE "/empty");
	make_cgroup(SESSION);
	make_cgroup(SESSION "/" PF_CG_AGENT);
	make_cgroup(SESSION "/" PF_CG_GATE);
	int outside = start_outside();

	rules_check();
	guard_check_standins(outside, "baseline");
	run_baseline();
	make_bases();
	int r = kern_open(&k, SLICE, err);

	check(r == 0, "kern_open", err, r);
	if (r == 0) {
		guard_check(outside);
		guard_check_records(k);
		guard_check_standins(outside, "others");
		live_check_start(k, SLICE);
		run_session(k);
		pins_check_upgrade();
		guard_check_admin();
		kern_close(k);
		pins_check_unload();
		check(kern_unload(err) == 0, "kern_unload", err, 0);
	}
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return tester_main();
	outside_pid = atoi(argv[2]);
	if (strcmp(argv[1], "init") == 0)
		return init_main(argv[2]);
	if (strcmp(argv[1], "gate") == 0)
		return gate_serve(103, 104) ? 1 : 0;
	return agent_main();
}
