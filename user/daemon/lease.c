/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lease: until when sessions count as attended. It is renewed by an alarm on the loop, which
 * rings after whatever was ready has been done, and from nowhere else: a daemon that is dead, hangs
 * or is cut off from the kernel lets it run out.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/stamp.h"
#include "daemon/session.h"

/* Renewals in the time of one lease: what is left at any moment is long enough for a restart. */
#define RENEWALS 6

/* What each session did meanwhile stands in its policy. */
static void tell_lapse(struct daemon *d, uint64_t over_ns)
{
	const struct stamp from = stamp_ago(over_ns), until = stamp_now();
	bool any = false;

	list_for_each (pos, &d->sessions) {
		const struct session *s = list_entry(pos, struct session, node);

		if (s->state != SESSION_RUNNING)
			continue;
		json_t *record = session_record(s, "unattended");

		if (record)
			(void)json_object_update_new(
				record,
				json_pack("{s:s, s:s, s:s}", "from", from.text, "until", until.text,
					  "rule", policy_unattended_name(s->policy->unattended)));
		daemon_audit(d, record);
		any = true;
	}
	if (!any)
		return;
	(void)snprintf(d->lapse, sizeof(d->lapse), "from %s until %s", from.text, until.text);
	log_warn("nobody attended to sessions %s", d->lapse);
}

static void renew(void *arg)
{
	struct daemon *d = arg;
	__u64 over_ns = 0;
	int r = kern_lease_renew(d->kern, d->lease_s * 1000000000ull, &over_ns);

	if (r < 0)
		log_err("the lease cannot be renewed: %s; when it is over, sessions do what their "
			"policies say about that (unattended)",
			strerror(-r));
	else if (over_ns > 0)
		tell_lapse(d, over_ns);
}

int lease_start(struct daemon *d)
{
	d->lease = alarm_new(d->loop, 0, d->lease_s * 1000ull / RENEWALS, renew, d);
	return d->lease ? 0 : -ENOMEM;
}
