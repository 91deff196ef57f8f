/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies: from text to a checked policy, from there to the rules of the kernel. Pure: no I/O, no
 * clock, no globals, so it may be run on hostile text and in any thread. It does not look names up,
 * open files or read credentials: that is the daemon's, with the marks kept here for its errors.
 *
 * The way of a policy: policy_parse() -> policy_check_untrusted() unless root owns the text ->
 * policy_rules(), the paths to open in order -> policy_entries(), what to put into the kernel's
 * map.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>
#include <pinfold/policy.h>

#include "base/cleanup.h"

/* Limits of a policy text; one more of anything is an error. */
#define POLICY_TEXT_MAX (256u * 1024u)
#define POLICY_SCALAR_MAX 4095u	 /* bytes of one value: a path */
#define POLICY_NAME_MAX 31u	 /* bytes of a policy's name: struct pf_session.name */
#define POLICY_LIST_MAX 1024u	 /* items of files.read, .write, .deny, exec.allow each */
#define POLICY_DATABASES_MAX 64u /* databases */
#define POLICY_DB_NAMES_MAX 16u	 /* names and addresses of one database */
#define POLICY_HOST_MAX 253u	 /* bytes of a host name */
#define POLICY_IDENT_MAX 63u /* bytes of a database or user name (PostgreSQL's NAMEDATALEN - 1) */

/* Where something stands in the text; from 1. line 0: not in the text (a default). */
struct policy_mark {
	unsigned line;
	unsigned column; /* in characters, not bytes */
};

enum policy_code {
	POLICY_E_SYNTAX = 1,	  /* not YAML, not UTF-8, or YAML that a policy may not use */
	POLICY_E_KEY = 2,	  /* unknown or repeated key */
	POLICY_E_MISSING = 3,	  /* a key that must be there */
	POLICY_E_TYPE = 4,	  /* a list where a value belongs, or the like */
	POLICY_E_VALUE = 5,	  /* a bad size, duration, address, path, name */
	POLICY_E_LIMIT = 6,	  /* more than the limits above */
	POLICY_E_UNAVAILABLE = 7, /* known, but this version cannot do it yet */
	POLICY_E_UNTRUSTED = 8,	  /* only a policy owned by root may say this */
	POLICY_E_FILE = 9,	  /* a path of the policy could not be opened */
	POLICY_E_MEMORY = 10,
	POLICY_E_CHANGE = 11, /* a live session cannot have this changed */
};

/*
 * The longest text made here holds one quoted piece of input cut to 64 bytes (at most 4 bytes each
 * when escaped) and a sentence of ours of less than 250 bytes.
 */
#define POLICY_ERR_TEXT 512
struct policy_err {
	unsigned line; /* from 1; 0: no place in the text is to blame */
	unsigned column;
	int code;		    /* enum policy_code */
	char text[POLICY_ERR_TEXT]; /* what is wrong, and what is allowed; without the place */
};

/* Fill *err and return -EINVAL. */
int policy_error(struct policy_err *err, struct policy_mark mark, enum policy_code code,
		 const char *fmt, ...) __printf_like(4, 5);

/* A value and where it stands. text is NUL-terminated UTF-8 without control characters, owned. */
struct policy_item {
	char *text; /* NULL: not given */
	struct policy_mark mark;
};

struct policy_list {
	struct policy_item *items; /* owned */
	size_t n;
	bool given; /* false: the text has no such list, the default holds */
	struct policy_mark mark;
};

/* Whether path, absolute and in its only form, is in a tree of the list. */
bool policy_list_covers(const struct policy_list *list, const char *path);

enum policy_db_type {
	POLICY_DB_POSTGRES,
	POLICY_DB_MYSQL,
	POLICY_DB_MSSQL,
	POLICY_DB_MONGODB,
};

enum policy_tls { POLICY_TLS_VERIFY_FULL, POLICY_TLS_REQUIRE, POLICY_TLS_OFF };

enum policy_secret_from {
	POLICY_SECRET_NONE,    /* no password given */
	POLICY_SECRET_FILE,    /* value: absolute path; one trailing newline is not part of it */
	POLICY_SECRET_ENV,     /* value: name of a variable in pinfoldd's environment */
	POLICY_SECRET_SYSTEMD, /* value: name of a credential in $CREDENTIALS_DIRECTORY */
};

struct policy_secret {
	enum policy_secret_from from;
	struct policy_item value;
};

struct policy_db {
	struct policy_mark mark;
	/*
	 * names.items[0] is the host name for the agent, the others are further host names or
	 * literal IP addresses that lead to the same gate. Lower case, no two alike in a policy.
	 */
	struct policy_list names;
	enum policy_db_type type;
	struct policy_item address; /* as written */
	char *host;		    /* of address: name or IP address without brackets; owned */
	uint16_t port;		    /* of address, or the usual port of the type; host order */
	struct policy_item database;
	struct policy_item user;
	struct policy_secret password;
	enum policy_tls tls;
	struct policy_item ca; /* absolute path of PEM certificates; NULL: the system's */
};

enum policy_network { POLICY_NET_NONE, POLICY_NET_HOST_ONLY, POLICY_NET_LIMITED, POLICY_NET_FULL };

/* What a session may use. 0: no limit. What the text does not say has the default in brackets. */
struct policy_limits {
	uint64_t time_ms;      /* wall clock [no limit] */
	uint32_t cpu_milli;    /* thousandths of a processor [2000] */
	uint64_t memory_bytes; /* [2 GiB] */
	uint32_t processes;    /* tasks, threads included [512] */
	uint32_t files;	       /* open descriptors per process [4096] */
	uint64_t disk_bytes;   /* the session's own file systems, each [1 GiB] */
	struct policy_mark mark;
};

enum policy_action { POLICY_ACTION_RECORD, POLICY_ACTION_FREEZE, POLICY_ACTION_KILL };

struct policy_violations {
	uint32_t threshold; /* denials until the action; 0: never */
	enum policy_action action;
	struct policy_mark mark;
};

/* What a session may do while pinfoldd does not attend to it. */
enum policy_unattended {
	POLICY_UNATTENDED_NO_CONNECTIONS, /* whatever needs no new connection */
	POLICY_UNATTENDED_ALLOW,	  /* what it may do otherwise */
	POLICY_UNATTENDED_STOP,		  /* open nothing more, neither files nor connections */
};

struct policy {
	struct policy_item name;
	struct policy_db *dbs; /* owned */
	size_t n_dbs;
	struct policy_list read;  /* absolute paths without "." ".." "//" or a trailing slash */
	struct policy_list write; /* may also be read */
	struct policy_list deny;
	struct policy_list exec;
	enum policy_network network;
	struct policy_mark network_mark;
	struct policy_limits limits;
	struct policy_violations violations;
	enum policy_unattended unattended;
};

/*
 * Check len bytes of text (no NUL needed at the end). 0 and *ret (owned by the caller, free with
 * policy_free), or -EINVAL (-ENOMEM) with *err filled; *ret is untouched then.
 */
int policy_parse(const char *text, size_t len, struct policy **ret,
		 struct policy_err *err) __must_check;
void policy_free(struct policy *p);
static inline void policy_cleanup(struct policy **p)
{
	policy_free(*p);
}
#define __cleanup_policy __cleanup(policy_cleanup)

/* -EPERM and *err when p says what only a policy owned by root may say: databases. */
int policy_check_untrusted(const struct policy *p, struct policy_err *err) __must_check;

/*
 * May a session that was started with old be given new? -EINVAL and *err, with a place in new, when
 * they differ in what holds for its life: databases, limits, network.
 */
int policy_check_change(const struct policy *old, const struct policy *new,
			struct policy_err *err) __must_check;

/* "postgres", 5432 and the like. */
const char *policy_db_type_name(enum policy_db_type type);
uint16_t policy_db_type_port(enum policy_db_type type);
const char *policy_network_name(enum policy_network mode);
const char *policy_action_name(enum policy_action action);
const char *policy_tls_name(enum policy_tls tls);
const char *policy_unattended_name(enum policy_unattended unattended);

/*
 * Homes whose secrets are denied one by one; of those after them the whole home is denied. So the
 * caller's own comes first.
 */
#define POLICY_HOMES_MAX 32u

/*
 * What policy_rules() must know of the machine: absolute paths, borrowed for the call. In own file
 * systems rules are made only for what the policy itself names (something bound there from the
 * host); the rest has the rights that own file systems have.
 */
struct policy_host {
	const char *const *homes; /* home directories: /root, the caller's, those in /home */
	size_t n_homes;
	const char *const *mounts; /* mount points that the session sees, without its own */
	size_t n_mounts;
	const char *const *own; /* mount points of its own file systems: /proc, /tmp, ... */
	size_t n_own;
};

/* A path that pinfold-init opens. */
struct policy_rule {
	char *path;	 /* owned */
	uint32_t rights; /* PF_R_READ, _WRITE, _EXEC of the tree from here on; 0: denied */
	uint32_t id;	 /* from 1 for paths of the policy, 0: built in or a step on the way */
	bool must_exist; /* the policy names it: if it does not open, that is POLICY_E_FILE */
	bool deny;	 /* holds by name too: entries (directory, name) are made for it */
	bool step;	 /* only there to be sealed, or to carry the names of denied entries */
	struct policy_mark mark;
};

struct policy_rules {
	struct policy_rule *v; /* owned; sorted by path, a directory before what is in it */
	size_t n;
	bool exec_listed; /* exec.allow was given: writable and executable is then what it says */
};

/*
 * The ordered list of paths with the rights of each. What each list of the policy means together:
 * deny wins over everything, at and below its path; write includes read; without exec.allow, what
 * is readable and not writable may be executed; built-in secrets (policy_secrets.c) are denied
 * unless the policy itself names them or something in them; files that the policy has passwords in
 * are denied always; a mount point has the rights that its path has. 0, or -EINVAL/-ENOMEM and
 * *err. Free with policy_rules_free().
 */
int policy_rules(const struct policy *p, const struct policy_host *host, struct policy_rules *ret,
		 struct policy_err *err) __must_check;
void policy_rules_free(struct policy_rules *rules);
#define __cleanup_policy_rules __cleanup(policy_rules_free)

/* What became of opening rules->v[i].path. */
struct policy_found {
	int error;    /* 0: opened; else a positive errno */
	uint64_t ino; /* from pf_marks */
	uint32_t dev;
	uint32_t self;
	bool folds; /* a directory that does not tell names apart by case alone */
};

struct policy_entry {
	struct pf_rule_key key;
	struct pf_rule value;
};

struct policy_entries {
	struct policy_entry *v; /* owned; sorted by key, each key once */
	size_t n;
};

/*
 * Entries of the policy's inner map from what was found: found[i] belongs to rules->v[i]. Every
 * rule's inode is sealed; a denied path also gets an entry by name in its parent, so that it stays
 * denied when it is made or replaced later. Where the parent is missing as well, the first missing
 * name on the way is what is denied (built-in secrets below a writable directory apart: they wait
 * for the parent). Two paths with one inode: denied if one of them is, else the rights of both.
 * 0, or -EINVAL with *err (POLICY_E_FILE at the item that is missing, or that would be denied by
 * name where one name has many spellings or behind a link that was not followed; POLICY_E_LIMIT),
 * -ENOMEM.
 */
int policy_entries(const struct policy_rules *rules, const struct policy_found *found,
		   struct policy_entries *ret, struct policy_err *err) __must_check;
void policy_entries_free(struct policy_entries *entries);
#define __cleanup_policy_entries __cleanup(policy_entries_free)

/* FNV-1a 64 as struct pf_rule_key.name wants it; never 0. */
uint64_t policy_name_hash(const char *name, size_t len);

/* SHA-256 of the entries, or of a policy's text: equal means the same policy. */
#define POLICY_HASH_LEN 32
int policy_hash(const void *data, size_t len, uint8_t ret[POLICY_HASH_LEN]) __must_check;

#endif
