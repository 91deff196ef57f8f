# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition, never longer than a deadline."""

import time


def until(condition, seconds, pause=0.05):
    """What condition() says once it is true, or what it said last."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(pause)  # between two looks
