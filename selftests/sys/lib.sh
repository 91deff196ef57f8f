# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For the system tests' scripts: the product as a user would have it, in a virtual machine.

install_product() {
	tools/install.sh install "" /usr/local "$1/bin" >/dev/null
}
