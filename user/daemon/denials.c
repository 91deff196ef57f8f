/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel refused, for the log and for people.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/stamp.h"
#include "daemon/session.h"

/* Room for an address and port, or for a name of PF_EVENT_NAME bytes with each byte escaped. */
struct object_text {
	char text[PF_EVENT_NAME * 4 + 16];
};

static void put_address(const struct pf_event *ev, struct object_text *o)
{
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	char ip[INET6_ADDRSTRLEN] = "?";
	bool v4 = memcmp(ev->addr, mapped, sizeof(mapped)) == 0;

	(void)inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? ev->addr + 12 : ev->addr, ip, sizeof(ip));
	(void)snprintf(o->text, sizeof(o->text), v4 ? "%s:%u" : "[%s]:%u", ip, ev->port);
}

/* Names are the agent's to choose: what is not plain ASCII is shown as \xNN. */
static void put_name(const struct pf_event *ev, struct object_text *o)
{
	size_t n = 0;

	for (size_t i = 0; i < PF_EVENT_NAME && ev->name[i]; i++) {
		unsigned char c = (unsigned char)ev->name[i];

		if (c >= 0x20 && c < 0x7f && c != '\\')
			o->text[n++] = (char)c;
		else
			n += (size_t)snprintf(o->text + n, 5, "\\x%02x", c);
	}
	o->text[n] = '\0';
	if (ev->flags & PF_EV_NAME_CUT)
		(void)snprintf(o->text + n, 4, "...");
}

static struct object_text object_of(const struct pf_event *ev)
{
	struct object_text o = {""};

	if (ev->flags & PF_EV_INET)
		put_address(ev, &o);
	else
		put_name(ev, &o);
	return o;
}

/* comm is the agent's too. */
static void plain(char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text == 0x7f || *text & 0x80)
			*text = '?';
}

json_t *denial_record(const struct session *s, const struct pf_event *ev)
{
	const struct stamp at = stamp_of_boottime(ev->time_ns);
	struct object_text object = object_of(ev);
	char comm[sizeof(ev->comm) + 1] = "", number[24]; /* 20 digits */

	memcpy(comm, ev->comm, sizeof(ev->comm));
	plain(comm);
	(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)ev->session);
	/* The guard's (0) are about no session, so nobody asks "why": the answer is in the record.
	 */
	return json_pack("{s:s, s:s, s:s*, s:I, s:s, s:s, s:s, s:i, s:s, s:i, s:i, s:i, s:s, s:i, "
			 "s:s, s:s*}",
			 "type", "denial", "at", at.text, "session",
			 s	       ? s->id
			 : ev->session ? number
				       : NULL,
			 "kseq", (json_int_t)ev->seq, "class", pf_class_name(ev->klass), "hook",
			 pf_hook_name(ev->hook), "reason", pf_reason_name(ev->reason), "rule",
			 (int)ev->rule, "object", object.text, "pid", (int)ev->pid, "tid",
			 (int)ev->tid, "uid", (int)ev->uid, "comm", comm, "error", (int)ev->error,
			 "kind", pf_kind_name(ev->kind), "advice",
			 ev->session ? NULL : pf_reason_hint(ev->reason));
}

static const char *path_among(const struct policy_rules *rules, uint32_t id)
{
	for (size_t i = 0; i < rules->n; i++)
		if (rules->v[i].id == id)
			return rules->v[i].path;
	return NULL;
}

/* The path that a rule's number stands for; NULL: built in, or of an earlier policy. */
static const char *rule_path(const struct session *s, uint32_t id)
{
	if (id == 0)
		return NULL;
	const char *path = path_among(&s->rules, id);

	return path ? path : path_among(&s->old_rules, id);
}

static json_t *explain_statement(const json_t *record)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i}", "time", ctl_str(record, "at"), "what",
			 "statement", "object", ctl_str(record, "text"), "reason",
			 ctl_str(record, "reason"), "rule", ctl_str(record, "rule"), "count", 1);
}

static json_t *explain_denial(const struct session *s, const json_t *record)
{
	json_int_t rule = json_integer_value(json_object_get(record, "rule"));
	__u32 reason = pf_reason_find(ctl_str(record, "reason"));

	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s*, s:s, s:i}", "seq",
			 json_integer_value(json_object_get(record, "kseq")), "time",
			 ctl_str(record, "at"), "what", ctl_str(record, "hook"), "object",
			 ctl_str(record, "object"), "reason", pf_reason_text(reason), "rule",
			 rule_path(s, (uint32_t)rule), "advice", pf_reason_hint(reason), "count",
			 1);
}

bool denial_is(const json_t *record)
{
	const char *type = ctl_str(record, "type"), *verdict = ctl_str(record, "verdict");

	return strcmp(type, "denial") == 0 ||
	       (strcmp(type, "statement") == 0 && strcmp(verdict, "allow") != 0);
}

/* An agent repeats itself: one entry and a count is what helps. */
static bool same(const json_t *a, const json_t *b)
{
	static const char *const keys[] = {"what", "object", "reason", "rule"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);

		if ((x || y) && !json_equal(x, y))
			return false;
	}
	return true;
}

void denials_add(struct session *s, const json_t *record)
{
	bool statement = strcmp(ctl_str(record, "type"), "statement") == 0;
	json_t *entry = statement ? explain_statement(record) : explain_denial(s, record);
	json_t *list = s->denials;
	size_t n = json_array_size(list);
	json_t *last = n > 0 ? json_array_get(list, n - 1) : NULL;

	if (!entry)
		return; /* it is in the log */
	why_changed(s);
	if (last && same(last, entry)) {
		json_int_t count = json_integer_value(json_object_get(last, "count"));

		(void)json_object_set_new(last, "count", json_integer(count + 1));
		json_decref(entry);
		return;
	}
	if (n == DENIALS_KEPT)
		(void)json_array_remove(list, 0);
	(void)json_array_append_new(list, entry);
}

json_t *denials_body(const struct session *s)
{
	size_t first = json_array_size(s->denials), bytes = 0;
	json_t *list = json_array();

	while (first > 0) {
		bytes += json_dumpb(json_array_get(s->denials, first - 1), NULL, 0, 0) + 1;
		if (bytes > DENIALS_BYTES)
			break;
		first--;
	}
	for (size_t i = first; i < json_array_size(s->denials); i++)
		(void)json_array_append(list, json_array_get(s->denials, i));
	return json_pack("{s:s, s:o}", "session", s->id, "denials", list);
}
