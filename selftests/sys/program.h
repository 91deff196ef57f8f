/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same binary as the program that the exec rows run: "--be-PART" tells what it is to be, and
 * its exit status is 0 or an errno.
 */
#ifndef SELFTESTS_SYS_PROGRAM_H
#define SELFTESTS_SYS_PROGRAM_H

/* The status of a program that ran, and was what it should not have been able to be, is 0. */
int program_main(char **argv);

#endif
