/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound ownership: a local marked __cleanup(f) is released when it goes out of scope, and
 * TAKE_FD/TAKE_PTR hand it over instead.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define __cleanup(f) __attribute__((cleanup(f)))
#ifndef __must_check
#define __must_check __attribute__((warn_unused_result))
#endif
#define __printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline void fd_cleanup(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void free_cleanup(void *p)
{
	free(*(void **)p);
}

static inline void file_cleanup(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void dir_cleanup(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define __cleanup_fd __cleanup(fd_cleanup)
#define __cleanup_free __cleanup(free_cleanup)
#define __cleanup_file __cleanup(file_cleanup)
#define __cleanup_dir __cleanup(dir_cleanup)

/* Give a descriptor or a pointer away: the variable no longer owns it. */
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int *__take_p = &(fd);                                                             \
		int __take_v = *__take_p;                                                          \
		*__take_p = -1;                                                                    \
		__take_v;                                                                          \
	})
#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) *__take_p = &(p);                                                    \
		__typeof__(p) __take_v = *__take_p;                                                \
		*__take_p = NULL;                                                                  \
		__take_v;                                                                          \
	})

#endif
