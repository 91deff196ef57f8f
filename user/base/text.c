/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text from outside: UTF-8, names, paths, and a form of it that is safe to print.
 */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

size_t utf8_char(const uint8_t *p, size_t len, uint32_t *ret_c)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80	 ? 1
		   : p[0] < 0xc0 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
		   : p[0] < 0xf8 ? 4
				 : 0;

	if (n == 0 || n > len)
		return 0;
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_c = c;
	return n;
}

bool utf8_is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || (c >= 0x200e && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

bool text_name_ok(const char *s, size_t max)
{
	size_t len = strlen(s);

	return len >= 1 && len <= max &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len && !strchr("._-", s[0]);
}

bool path_in(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len == 1)
		return true; /* everything is in "/" */
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

bool path_below(const char *path, const char *dir)
{
	return path_in(path, dir) && strcmp(path, dir) != 0;
}

char *text_escape(char *dst, size_t size, const char *src, size_t len, size_t max)
{
	const uint8_t *p = (const uint8_t *)src;
	size_t at = 0, i = 0;

	while (i < len && i < max) {
		uint32_t c;
		size_t n = utf8_char(p + i, len - i, &c);
		bool plain = n > 0 && !utf8_is_control(c);
		size_t need = plain ? n : strlen("\\xNN");

		if (size - at < need + sizeof("..."))
			break;
		if (plain)
			memcpy(dst + at, p + i, n);
		else
			(void)snprintf(dst + at, size - at, "\\x%02x", p[i]);
		at += need;
		i += plain ? n : 1;
	}
	memcpy(dst + at, i < len ? "..." : "", i < len ? sizeof("...") : 1);
	return dst;
}

char *text_hex(char *dst, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		dst[2 * i] = digits[bytes[i] >> 4];
		dst[2 * i + 1] = digits[bytes[i] & 15];
	}
	dst[2 * n] = '\0';
	return dst;
}
