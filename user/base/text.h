/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text from outside: UTF-8, names, paths, and a form of it that is safe to print. Pure and
 * thread-safe.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The length (1 to 4) of the UTF-8 character at p, of which len > 0 bytes are there, and *ret_c its
 * code point; 0 when it is not well-formed (overlong, surrogate, past U+10FFFF, cut off).
 */
size_t utf8_char(const uint8_t *p, size_t len, uint32_t *ret_c);

/* A control character: C0, DEL, C1, or one that turns the direction or the line of the rest. */
bool utf8_is_control(uint32_t c);

/* Whether s may name a policy or a session: 1 to max of [a-z0-9._-], the first of [a-z0-9]. */
bool text_name_ok(const char *s, size_t max);

/*
 * Whether path is dir or something in it; and the latter alone. Both absolute, without "." ".."
 * "//" or a slash at the end.
 */
bool path_in(const char *path, const char *dir);
bool path_below(const char *path, const char *dir);

/*
 * Write src to dst (size >= 4 bytes, always NUL-terminated): control characters and what is not
 * UTF-8 as \xNN, about max bytes of src (a character is
 * not cut), then "..." when there was more. Returns dst.
 */
char *text_escape(char *dst, size_t size, const char *src, size_t len, size_t max);

/* Write n bytes as 2 * n lower-case digits and a NUL to dst. Returns dst. */
char *text_hex(char *dst, const uint8_t *bytes, size_t n);

#endif
