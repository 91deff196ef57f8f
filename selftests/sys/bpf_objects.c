// SPDX-License-Identifier: Apache-2.0
/*
 * Stand-ins: one array map, one cgroup_skb program that lets everything through (attached without a
 * link) and one link of a second copy of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bpf_objects.h"

static long load_pass(void)
{
	/* r0 = 1; exit */
	static const struct bpf_insn code[] = {{.code = 0xb7, .dst_reg = 0, .imm = 1},
					       {.code = 0x95}};
	union bpf_attr a = {.prog_type = BPF_PROG_TYPE_CGROUP_SKB,
			    .expected_attach_type = BPF_CGROUP_INET_EGRESS,
			    .insn_cnt = 2,
			    .insns = (uintptr_t)code,
			    .license = (uintptr_t) "Apache-2.0"};

	return sys_bpf(BPF_PROG_LOAD, &a);
}

static int pin_and_print(const char *dir, const char *kind, long fd)
{
	struct bpf_map_info map = {0};
	struct bpf_prog_info prog = {0};
	struct bpf_link_info link = {0};
	char path[256];
	union bpf_attr pin = {.pathname = (uintptr_t)path, .bpf_fd = (uint32_t)fd};
	union bpf_attr info = {.info.bpf_fd = (uint32_t)fd};
	uint32_t *id = &map.id;

	if (fd < 0)
		return (int)fd;
	info.info.info = (uintptr_t)&map;
	info.info.info_len = sizeof(map);
	if (kind[0] == 'p') {
		info.info.info = (uintptr_t)&prog;
		info.info.info_len = sizeof(prog);
		id = &prog.id;
	} else if (kind[0] == 'l') {
		info.info.info = (uintptr_t)&link;
		info.info.info_len = sizeof(link);
		id = &link.id;
	}
	(void)snprintf(path, sizeof(path), "%s/%s", dir, kind);
	long r = sys_bpf(BPF_OBJ_PIN, &pin);
	if (r >= 0)
		r = sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &info);
	if (r >= 0)
		printf("%s %u\n", kind, *id);
	return r < 0 ? (int)r : 0;
}

int bpf_objects_make(const char *dir, const char *cgroup)
{
	union bpf_attr map = {
		.map_type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 4, .max_entries = 4};
	int cg = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (cg < 0)
		return -errno;
	long prog = load_pass();
	union bpf_attr attach = {.target_fd = (uint32_t)cg,
				 .attach_bpf_fd = (uint32_t)prog,
				 .attach_type = BPF_CGROUP_INET_EGRESS,
				 .attach_flags = BPF_F_ALLOW_MULTI};
	union bpf_attr link = {.link_create = {.prog_fd = (uint32_t)load_pass(),
					       .target_fd = (uint32_t)cg,
					       .attach_type = BPF_CGROUP_INET_EGRESS}};

	long r = pin_and_print(dir, "map", sys_bpf(BPF_MAP_CREATE, &map));
	if (!r)
		r = pin_and_print(dir, "prog", prog);
	if (!r)
		r = sys_bpf(BPF_PROG_ATTACH, &attach);
	if (r >= 0)
		r = pin_and_print(dir, "link", sys_bpf(BPF_LINK_CREATE, &link));
	close(cg);
	return (int)r;
}
