/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfoldd: loads what enforces, starts and buries sessions, writes the log. It can be killed and
 * started again at any moment; sessions do not notice.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/core.h"
#include "base/fd.h"
#include "base/log.h"
#include "ctl/ctl.h"
#include "daemon/conn.h"
#include "daemon/daemon.h"
#include "session/cgroup.h"

#define LOCK_FILE RUN_DIR "/pinfoldd.lock"
/* How often a log that cannot be written is tried again. */
#define HOUSEKEEPING_MS 5000
/* Of a user who is not root, unless the command line says otherwise. */
#define SESSIONS_PER_USER 256
/* Seconds without a renewal until sessions count as unattended. */
#define LEASE_S 120
#define LEASE_MIN_S 30
#define LEASE_MAX_S 3600
/* A refusal that another try would only repeat: this kernel cannot enforce, or the pins are of
 * another ABI. dist/pinfoldd.service knows the number. */
#define EXIT_REFUSED 78

void daemon_audit(struct daemon *d, json_t *record)
{
	char *line = NULL;
	bool worked = audit_error(d->audit) == 0;
	int r = audit_write(d->audit, record, &line);

	if (r < 0 && worked)
		log_err("the audit log cannot be written (%s): no session starts until it can",
			strerror(-r));
	if (line) {
		json_t *written = json_loads(line, 0, NULL);

		conns_follow(d, written);
		json_decref(written);
	}
	free(line);
}

void daemon_event(struct daemon *d, const char *event, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_info("%s: %s", event, text);
	daemon_audit(d,
		     json_pack("{s:s, s:s, s:s}", "type", "daemon", "event", event, "text", text));
}

/* Passwords pass through JSON on their way to a gate: no freed memory keeps them. */
static void wiping_free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static int make_dirs(void)
{
	static const struct {
		const char *path;
		mode_t mode;
	} dirs[] = {{RUN_DIR, 0755}, {SESSIONS_DIR, 0700}, {"/var/log/pinfold", 0700}};

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (mkdir(dirs[i].path, dirs[i].mode) < 0 && errno != EEXIST) {
			log_err("%s: %s", dirs[i].path, strerror(errno));
			return -errno;
		}
	return 0;
}

/* Two daemons would fight over the sockets; the lock goes with the process. */
static int take_lock(void)
{
	__cleanup_fd int fd = open(LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int r = -errno;

		log_err("%s: %s", LOCK_FILE,
			r == -EWOULDBLOCK ? "a pinfoldd is running: stop it first (systemctl "
					    "disable --now pinfoldd)"
					  : strerror(-r));
		return r;
	}
	return TAKE_FD(fd);
}

static void find_accounts(struct daemon *d)
{
	const struct passwd *pw = getpwnam(GATE_USER);
	const struct group *gr = getgrnam(CTL_GROUP);

	if (!pw)
		pw = getpwnam("nobody");
	d->gate_uid = pw ? pw->pw_uid : 65534;
	d->gate_gid = pw ? pw->pw_gid : 65534;
	d->ctl_gid = gr ? gr->gr_gid : 0;
	if (!gr)
		log_warn("no group " CTL_GROUP ": only root can run sessions");
}

static void tell_missing(const struct kern_report *report)
{
	for (size_t i = 0; i < KERN_CHECKS; i++)
		if (report->checks[i].state == KERN_MISSING)
			log_err("%s: %s", report->checks[i].name, report->checks[i].text);
}

static int find_slice(struct daemon *d)
{
	struct stat st;

	if (stat(d->slice, &st) < 0)
		return -errno;
	d->slice_id = st.st_ino;
	return 0;
}

static int open_kernel(struct daemon *d)
{
	char why[KERN_TEXT_MAX] = "";
	int r = kern_probe(&d->report);

	if (r < 0)
		return r;
	if (!d->report.can_enforce) {
		tell_missing(&d->report);
		log_err("this kernel cannot enforce, so no session can be run");
		return -EOPNOTSUPP;
	}
	r = cgroup_slice_make(&d->slice, &d->controllers);
	if (r < 0) {
		log_err("cannot make " PF_SLICE ": %s", strerror(-r));
		return r;
	}
	if (d->controllers != CGROUP_ALL)
		log_warn("not all cgroup controllers are available: some limits do not hold");
	r = find_slice(d);
	if (r == 0)
		r = kern_open(&d->kern, d->slice, why);
	if (r < 0)
		log_err("cannot enforce: %s", why[0] ? why : strerror(-r));
	return r;
}

static int open_log(struct daemon *d)
{
	int r = audit_open(&d->audit, AUDIT_FILE);

	if (r < 0)
		log_err(AUDIT_FILE ": %s", strerror(-r));
	return r;
}

static int open_sockets(struct daemon *d)
{
	int r = gate_server_start(d);

	if (r == 0)
		r = ring_start(d);
	if (r == 0)
		r = adopt_all(d);
	if (r == 0)
		r = ctl_server_start(d); /* last: who can connect finds everything there */
	if (r < 0)
		log_err("cannot start: %s", strerror(-r));
	return r;
}

static void housekeeping(void *arg)
{
	struct daemon *d = arg;

	if (audit_error(d->audit) && audit_retry(d->audit) == 0)
		log_info("the audit log can be written again");
}

static void on_stop(uv_signal_t *sig, int number)
{
	struct daemon *d = sig->data;

	daemon_event(d, "stopped", "signal %d; sessions go on", number);
	uv_stop(d->loop);
}

static void on_hangup(uv_signal_t *sig, int number)
{
	struct daemon *d = sig->data;
	int r = audit_reopen(d->audit);

	(void)number;
	if (r < 0)
		log_err(AUDIT_FILE ": %s; the old file goes on", strerror(-r));
	else
		daemon_event(d, "log-reopened", "%s", AUDIT_FILE);
}

/* A log that is rotated while the programs load: kept for the loop, or it would end us. */
static void hold_hangup(int how)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(how, &set, NULL); /* fails only for a bad how */
}

static int serve(struct daemon *d)
{
	uv_signal_t term, interrupt, hangup;
	const struct {
		uv_signal_t *handle;
		uv_signal_cb fn;
		int number;
	} signals[] = {{&term, on_stop, SIGTERM},
		       {&interrupt, on_stop, SIGINT},
		       {&hangup, on_hangup, SIGHUP}};

	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		signals[i].handle->data = d;
		if (uv_signal_init(d->loop, signals[i].handle) < 0)
			return -ENOMEM;
		signals[i].handle->data = d;
		if (uv_signal_start(signals[i].handle, signals[i].fn, signals[i].number) < 0)
			return -ENOMEM;
	}
	hold_hangup(SIG_UNBLOCK);
	d->minute = alarm_new(d->loop, HOUSEKEEPING_MS, HOUSEKEEPING_MS, housekeeping, d);
	if (lease_start(d) < 0)
		return -ENOMEM;
	daemon_event(d, "started", "version %s on %s", PF_VERSION, d->report.release);
	int r = notify_ready();

	if (r < 0)
		log_warn("cannot tell systemd that all is ready: %s", strerror(-r));
	(void)uv_run(d->loop, UV_RUN_DEFAULT); /* what is left at the end goes with the process */
	return 0;
}

struct options {
	enum log_level level;
	bool take_out;
	size_t sessions_per_user, lease_s;
};

static int run_daemon(const struct options *o)
{
	struct daemon d = {.loop = uv_default_loop(),
			   .sessions_per_user = o->sessions_per_user,
			   .lease_s = (unsigned)o->lease_s};

	list_init(&d.sessions);
	list_init(&d.conns);
	list_init(&d.hellos);
	list_init(&d.closings);
	json_set_alloc_funcs(malloc, wiping_free);
	(void)signal(SIGPIPE, SIG_IGN);
	hold_hangup(SIG_BLOCK);
	(void)umask(022);
	int r = d.loop ? core_never() : -ENOMEM;

	if (r == 0)
		r = make_dirs();
	if (r < 0)
		return r;
	__cleanup_fd int lock = take_lock();

	if (lock < 0)
		return lock;
	d.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	find_accounts(&d);
	r = open_log(&d);
	if (r == 0)
		r = open_kernel(&d);
	if (r == 0)
		r = open_sockets(&d);
	return r < 0 ? r : serve(&d);
}

/* The lock first: a daemon without its programs would make sessions that nothing holds. */
static int unload(void)
{
	char why[KERN_TEXT_MAX] = "";
	int r = make_dirs();

	if (r < 0)
		return r;
	__cleanup_fd int lock = take_lock();

	if (lock < 0)
		return lock;
	r = kern_unload(why);
	if (r == 0)
		r = cgroup_slice_remove();
	if (r < 0)
		log_err("%s", why[0] ? why : strerror(-r));
	return r;
}

static void usage(FILE *out)
{
	(void)fputs("usage: pinfoldd [--debug] [--lease SECONDS] [--sessions-per-user N]\n"
		    "                             run the daemon in the foreground\n"
		    "       pinfoldd --unload     take Pinfold's programs out of the kernel\n"
		    "       pinfoldd --version\n",
		    out);
}

static bool parse_number(const char *text, size_t min, size_t max, size_t *ret)
{
	char *end;

	*ret = strtoul(text, &end, 10);
	return end != text && !*end && *ret >= min && *ret <= max;
}

/* An option that has a value; false: a bad one, or no such option. */
static bool parse_value(int c, struct options *o)
{
	if (c == 'l')
		return parse_number(optarg, LEASE_MIN_S, LEASE_MAX_S, &o->lease_s);
	return c == 's' && parse_number(optarg, 1, PF_MAX_SESSIONS, &o->sessions_per_user);
}

/* What to exit with, or -1: go on. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {{"debug", no_argument, NULL, 'd'},
						{"lease", required_argument, NULL, 'l'},
						{"sessions-per-user", required_argument, NULL, 's'},
						{"unload", no_argument, NULL, 'u'},
						{"version", no_argument, NULL, 'V'},
						{"help", no_argument, NULL, 'h'},
						{0}};

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'd') {
			o->level = LOG_LEVEL_DEBUG;
		} else if (c == 'u') {
			o->take_out = true;
		} else if (c == 'V') {
			(void)printf("pinfoldd %s\n", PF_VERSION);
			return 0;
		} else if (c == 'h') {
			usage(stdout);
			return 0;
		} else if (!parse_value(c, o)) {
			usage(stderr);
			return 2;
		}
	}
	return -1;
}

/* The unit tries again after 1, not after EXIT_REFUSED: see there. */
static int exit_status(int r)
{
	if (r == -EPROTO || r == -EOPNOTSUPP)
		return EXIT_REFUSED;
	return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct options o = {.level = LOG_LEVEL_INFO,
			    .sessions_per_user = SESSIONS_PER_USER,
			    .lease_s = LEASE_S};
	int status = parse(argc, argv, &o);

	if (status >= 0)
		return status;
	log_setup("pinfoldd", o.level);
	return exit_status(o.take_out ? unload() : run_daemon(&o));
}
