/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A non-blocking socket with optional TLS and a buffer in each direction. It moves bytes and knows
 * no protocol: whoever owns it decides when to read and what the bytes mean. One thread.
 */
#ifndef GATE_STREAM_H
#define GATE_STREAM_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <uv.h>

#include "base/buf.h"

struct stream {
	uv_poll_t poll;
	int fd;	  /* owned; -1 = closed */
	SSL *ssl; /* owned; NULL = plain */
	struct buf in, out;
	int armed;			 /* events that the loop waits for */
	bool handle;			 /* poll is registered with the loop */
	bool closing;			 /* and on its way out of it */
	bool readable;			 /* a read may find something */
	bool eof;			 /* the peer has ended its side, and all it said is read */
	bool gone;			 /* it has ended its side, or the socket has failed */
	bool want_read;			 /* the owner wants to be told of input */
	bool want_end;			 /* and, while it does not want that, of the peer's end */
	bool tls_write;			 /* TLS cannot go on before it may write */
	bool connecting;		 /* waiting for connect(2) */
	void (*ready)(struct stream *s); /* the loop saw something; called from the loop only */
	void (*closed)(struct stream *s);
};

/* An unconnected stream; ready is called with s whenever the loop reports something. */
void stream_init(struct stream *s, void (*ready)(struct stream *s));

/* Take fd (non-blocking, owned from now on, also on failure) into the loop. */
int stream_open(struct stream *s, uv_loop_t *loop, int fd) __must_check;

/* Begin TLS as the server or the client side; ctx is borrowed for the call. */
int stream_tls(struct stream *s, SSL_CTX *ctx, bool server) __must_check;
/* Go on with the handshake: 1 done, 0 not yet, -EPROTO failed. */
int stream_handshake(struct stream *s) __must_check;

/*
 * Read once, at most max bytes, into in. The number of bytes; 0 when there is nothing now or the
 * peer has ended (s->eof); -errno.
 */
ssize_t stream_fill(struct stream *s, size_t max) __must_check;

/* Write what out holds, as far as it goes: 0 or -errno. */
int stream_flush(struct stream *s) __must_check;

/* Tell the loop what to wait for, from want_read, out, and TLS. */
void stream_arm(struct stream *s);

/* Send nothing any more, not even what out holds, and end our side. What comes is raw bytes. */
void stream_mute(struct stream *s);

/* TLS may hold input that the loop cannot see. */
bool stream_pending(const struct stream *s);

/*
 * Close at once; closed(s) is called from the loop when s may be freed. Buffers are freed. While
 * that is under way, another call only says who is to be called instead.
 */
void stream_close(struct stream *s, void (*closed)(struct stream *s));

#endif
