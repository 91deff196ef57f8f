/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A valid POSIX ACL in the form of its extended attribute, with one entry beyond the mode bits.
 */
#ifndef SELFTESTS_SYS_ACL_H
#define SELFTESTS_SYS_ACL_H

#include <stdint.h>

struct acl_blob {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} entry[5];
};

/* user::rw-, user:65534:r--, group::r--, mask::r--, other::r-- */
struct acl_blob acl_blob_make(void);

#endif
