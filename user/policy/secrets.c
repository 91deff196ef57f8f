/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in list of what a session must not read although "/" is readable: credentials where
 * well-known programs keep them. It is the second net: file modes are the first, but a session may
 * well run as the user who owns these, or as root.
 */
#include "policy/secrets.h"

#include <stddef.h>

#include "base/text.h"

/* /run/pinfold is not here: a session has a /run of its own, with its own folder of that name. */
const char *const secrets_always[] = {
	"/etc/gshadow",
	"/etc/gshadow-",
	"/etc/pinfold",
	"/etc/shadow",
	"/etc/shadow-",
	"/sys/fs/bpf",
	"/sys/kernel/debug",
	"/sys/kernel/tracing",
	"/var/lib/pinfold",
	"/var/log/pinfold",
	NULL,
};

const char *const secrets_system[] = {
	"/etc/NetworkManager/system-connections",
	"/etc/credstore",
	"/etc/credstore.encrypted",
	"/etc/krb5.keytab",
	"/etc/kubernetes",
	"/etc/security/opasswd",
	"/etc/ssh/ssh_host_ecdsa_key",
	"/etc/ssh/ssh_host_ed25519_key",
	"/etc/ssh/ssh_host_rsa_key",
	"/etc/ssl/private",
	"/etc/sudoers",
	"/etc/sudoers.d",
	"/etc/wireguard",
	"/var/backups",
	"/var/lib/docker",
	"/var/lib/kubelet",
	"/var/lib/systemd/credential.secret",
	"/var/spool/cron",
	NULL,
};

const char *const secrets_home[] = {
	".aws",
	".azure",
	".cargo/credentials",
	".cargo/credentials.toml",
	".config/containers/auth.json",
	".config/gcloud",
	".config/gh",
	".docker",
	".git-credentials",
	".gnupg",
	".kube",
	".local/share/keyrings",
	".my.cnf",
	".mylogin.cnf",
	".netrc",
	".npmrc",
	".oci",
	".password-store",
	".pgpass",
	".pypirc",
	".ssh",
	".terraform.d",
	".vault-token",
	NULL,
};

const char *secrets_always_over(const char *path)
{
	for (size_t i = 0; secrets_always[i]; i++)
		if (path_in(path, secrets_always[i]))
			return secrets_always[i];
	return NULL;
}
