/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard's one way in, for who is not pinfoldd: through the pins alone, without a struct kern
 * and without the skeleton.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kern/internal.h"

/* The kernel hands out the door's descriptor to some whom it does not make admin. */
static int check_label(void)
{
	struct pf_label label = {0};
	__cleanup_fd int tasks = pins_open("maps", kern_map_names[KERN_MAP_TASKS]);

	if (tasks < 0)
		return tasks;
	__cleanup_fd int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (self < 0)
		return -errno;
	if (bpf_map_lookup_elem(tasks, &self, &label) < 0 && errno != ENOENT)
		return -errno;
	return label.kind == PF_KIND_ADMIN ? 0 : -EPERM;
}

int kern_enter(char *err)
{
	__u64 abi = 0;
	__cleanup_fd int door = pins_enter();

	if (door == -ENOENT)
		return kern_fail(err, ENOENT,
				 "nothing is pinned in " PF_PIN_DIR " that can be seen from here: "
				 "there is nothing to unlock");
	int r = door < 0 ? door : pins_read_word(kern_map_names[KERN_MAP_ADMIN], &abi);

	if (r == 0 && abi != PF_ABI_VERSION)
		return kern_fail(err, EPROTO,
				 "programs of ABI %llu are pinned in " PF_PIN_DIR
				 ", this build has ABI %d: use the pinfold of the build that made "
				 "them, or end all sessions and run pinfoldd --unload",
				 (unsigned long long)abi, PF_ABI_VERSION);
	if (r == 0)
		r = check_label();
	return r < 0 ? kern_fail(err, -r,
				 "the admin pin in " PF_PIN_DIR " does not open: %s; it does for "
				 "root of the initial user namespace, in no session",
				 strerror(-r))
		     : 0;
}
