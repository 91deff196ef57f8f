// SPDX-License-Identifier: Apache-2.0
/*
 * The one ACL that the tests set: values from acl(5), layout of linux/posix_acl_xattr.h.
 */
#include "acl.h"

#define ACL_TAG_USER_OBJ 0x01
#define ACL_TAG_USER 0x02
#define ACL_TAG_GROUP_OBJ 0x04
#define ACL_TAG_MASK 0x10
#define ACL_TAG_OTHER 0x20
#define ACL_NO_ID 0xffffffffu

struct acl_blob acl_blob_make(void)
{
	return (struct acl_blob){.version = 2,
				 .entry = {{ACL_TAG_USER_OBJ, 6, ACL_NO_ID},
					   {ACL_TAG_USER, 4, 65534},
					   {ACL_TAG_GROUP_OBJ, 4, ACL_NO_ID},
					   {ACL_TAG_MASK, 4, ACL_NO_ID},
					   {ACL_TAG_OTHER, 4, ACL_NO_ID}}};
}
