/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf(2) without a library, and stand-ins for Pinfold's objects that the baselines may damage.
 */
#ifndef SELFTESTS_SYS_BPF_OBJECTS_H
#define SELFTESTS_SYS_BPF_OBJECTS_H

#include <linux/bpf.h>

/* The result, or -errno. */
long sys_bpf(int cmd, union bpf_attr *attr);

/*
 * Make a map, a program attached to the cgroup, and a link, pin them as dir/map, dir/prog and
 * dir/link, and print "map ID", "prog ID", "link ID". Returns 0 or -errno.
 */
int bpf_objects_make(const char *dir, const char *cgroup);

#endif
