/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking every session's permissions back through the pins alone, without a struct kern and without
 * the skeleton: for when there is no daemon.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "kern/internal.h"

/* -ENOENT: it ended meanwhile. */
static int revoke_one(int map, __u64 id, kern_revoked_fn *fn, void *arg)
{
	struct pf_session s;

	if (bpf_map_lookup_elem(map, &id, &s) < 0)
		return -errno;
	fn(arg, id, &s);
	s.flags &= ~PF_SESSION_LIVE;
	return bpf_map_update_elem(map, &id, &s, BPF_EXIST) < 0 ? -errno : 0;
}

/* One that cannot be revoked does not keep the others. */
static int revoke_each(int map, kern_revoked_fn *fn, void *arg)
{
	__u64 id, *prev = NULL;
	int result = 0;

	while (bpf_map_get_next_key(map, prev, &id) == 0) {
		int r = revoke_one(map, id, fn, arg);

		if (r < 0 && r != -ENOENT)
			result = r;
		prev = &id;
	}
	return result;
}

int kern_revoke_all(kern_revoked_fn *fn, void *arg, char *err)
{
	__u64 abi = 0;
	__cleanup_fd int door = pins_enter();

	if (door == -ENOENT)
		return 0;
	if (door < 0)
		return kern_fail(err, -door, "cannot open the admin pin: %s", strerror(-door));
	int r = pins_read_word(kern_map_names[KERN_MAP_ADMIN], &abi);

	if (r == 0 && abi != PF_ABI_VERSION)
		return kern_fail(err, EPROTO,
				 "programs of ABI %llu are pinned in " PF_PIN_DIR
				 ", this build has ABI %d: sessions are killed, but not revoked",
				 (unsigned long long)abi, PF_ABI_VERSION);
	__cleanup_fd int map = r < 0 ? r : pins_open("maps", kern_map_names[KERN_MAP_SESSIONS]);

	r = map < 0 ? map : revoke_each(map, fn, arg);
	return r < 0 ? kern_fail(err, -r, "the sessions in " PF_PIN_DIR " cannot be revoked: %s",
				 strerror(-r))
		     : 0;
}
