/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guard knows to be Pinfold's: the ids of its maps, programs and links (guard.h).
 */
#include <bpf/bpf.h>
#include <errno.h>

#include "base/fd.h"
#include "kern/internal.h"

static int id_of(int fd, __u32 *ret)
{
	struct {
		__u32 type, id;
	} info = {0}; /* what bpf_map_info, bpf_prog_info and bpf_link_info begin with */
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	*ret = info.id;
	return 0;
}

int own_add(int own, enum pf_own_type type, int fd)
{
	struct pf_own key = {.type = type};
	const __u32 one = 1;
	int r = id_of(fd, &key.id);

	return r < 0 ? r : map_put(own, &key, &one, BPF_ANY);
}

void own_drop(int own, enum pf_own_type type, int fd)
{
	struct pf_own key = {.type = type};

	if (id_of(fd, &key.id) == 0)
		(void)bpf_map_delete_elem(own, &key); /* own_prune() finds it otherwise */
}

void own_drop_map(int own, __u32 id)
{
	const struct pf_own key = {.type = PF_OWN_MAP, .id = id};

	(void)bpf_map_delete_elem(own, &key); /* own_prune() finds it otherwise */
}

static bool is_gone(const struct pf_own *key)
{
	int fd = key->type == PF_OWN_MAP    ? bpf_map_get_fd_by_id(key->id)
		 : key->type == PF_OWN_PROG ? bpf_prog_get_fd_by_id(key->id)
					    : bpf_link_get_fd_by_id(key->id);
	bool gone = fd < 0 && errno == ENOENT;

	fd_close(&fd);
	return gone;
}

void own_prune(int own)
{
	struct pf_own key, next;
	int more = bpf_map_get_next_key(own, NULL, &key) == 0;

	while (more) {
		more = bpf_map_get_next_key(own, &key, &next) == 0;
		if (is_gone(&key))
			(void)bpf_map_delete_elem(own, &key); /* what stays does no harm */
		key = next;
	}
}
