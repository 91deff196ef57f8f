/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pinfoldd and pid 1 of a session share: descriptors of the rules of a policy that was loaded
 * into the live session are held by pid 1. They are sent into the socket that pid 1 has as
 * HOLD_FD_IN, which a later pinfoldd finds there as well; pid 1 reads them at HOLD_FD_OUT. What it
 * has not read yet is held by the socket.
 *
 * A message is struct hold_msg, with at most FD_MSG_MAX descriptors. The policy in force has one
 * slot, the next one is gathered in the other; the rules of the start have none and stay.
 */
#ifndef BASE_HOLD_H
#define BASE_HOLD_H

enum { HOLD_FD_IN = 10, HOLD_FD_OUT = 11 };
#define HOLD_SLOTS 2

enum hold_what {
	HOLD_KEEP = 'k', /* hold the descriptors of the message, in the slot */
	HOLD_DROP = 'd', /* close all of the slot */
};

struct hold_msg {
	unsigned char what, slot;
};

#endif
