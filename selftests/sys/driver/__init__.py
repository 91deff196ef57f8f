# SPDX-License-Identifier: Apache-2.0
"""The side of the system tests that stands outside the sessions. See ../drive.py."""
