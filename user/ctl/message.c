/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and replies as JSON in one message each: shapes and bounds.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "ctl/ctl.h"
#include "ctl/message.h"

int ctl_bad(struct ctl_err *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -EBADMSG;
}

void ctl_request_free(struct ctl_request *req)
{
	for (size_t i = 0; i < req->nfds; i++)
		fd_close(&req->fds[i]);
	json_decref(req->args);
	*req = CTL_REQUEST_INIT;
}

/*
 * Whether the brackets of a JSON text nest deeper than CTL_DEPTH_MAX: jansson's own bound is 2048,
 * and it recurses.
 */
static bool too_deep(const char *text, size_t len)
{
	size_t depth = 0;
	bool string = false;

	for (size_t i = 0; i < len; i++) {
		if (string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			string = !string;
		else if (!string && (text[i] == '{' || text[i] == '['))
			depth++;
		else if (!string && (text[i] == '}' || text[i] == ']') && depth > 0)
			depth--;
		if (depth > CTL_DEPTH_MAX)
			return true;
	}
	return false;
}

static json_t *load_object(const char *text, size_t len, struct ctl_err *err)
{
	json_error_t e;

	if (too_deep(text, len)) {
		(void)ctl_bad(err, "more than %u lists and objects inside each other",
			      CTL_DEPTH_MAX);
		return NULL;
	}
	/* without JSON_ALLOW_NUL no string has a NUL in it: none is longer than it looks */
	json_t *body = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);

	if (!body)
		(void)ctl_bad(err, "not JSON: %.160s", e.text);
	else if (!json_is_object(body))
		(void)ctl_bad(err, "a message is an object");
	if (json_is_object(body))
		return body;
	json_decref(body);
	return NULL;
}

static int check_keys(const json_t *body, struct ctl_err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)body, key, value)
	{
		if (strcmp(key, "v") != 0 && strcmp(key, "cmd") != 0 && strcmp(key, "args") != 0)
			return ctl_bad(err, "unknown key \"%.40s\": v, cmd, args", key);
	}
	return 0;
}

static int decode_body(const json_t *body, struct ctl_request *req, struct ctl_err *err)
{
	const json_t *v = json_object_get(body, "v");
	const json_t *cmd = json_object_get(body, "cmd");
	json_t *args = json_object_get(body, "args");
	int r = check_keys(body, err);

	if (r < 0)
		return r;
	if (!json_is_integer(v) || json_integer_value(v) != CTL_VERSION)
		return ctl_bad(err, "another version of the protocol: this is %d", CTL_VERSION);
	if (!json_is_string(cmd))
		return ctl_bad(err, "cmd must be a string");
	int found = ctl_command_find(json_string_value(cmd));

	if (found < 0)
		return ctl_bad(err, "unknown command \"%.40s\"", json_string_value(cmd));
	if (args && !json_is_object(args))
		return ctl_bad(err, "args must be an object");
	req->args = args ? json_incref(args) : json_object();
	if (!req->args)
		return -ENOMEM;
	req->cmd = (enum ctl_cmd)found;
	return 0;
}

int ctl_request_decode(const char *text, size_t len, struct ctl_request *req, struct ctl_err *err)
{
	if (len > CTL_MSG_MAX) {
		(void)ctl_bad(err, "a message has at most %u bytes", CTL_MSG_MAX);
		return -EMSGSIZE;
	}
	json_t *body = load_object(text, len, err);

	if (!body)
		return -EBADMSG;
	int r = decode_body(body, req, err);

	json_decref(body);
	return r;
}

int ctl_request_recv(int sock, struct ctl_request *req, struct ctl_err *err)
{
	__cleanup_free char *text = malloc(CTL_MSG_MAX);

	if (!text)
		return -ENOMEM;
	ssize_t n = fd_recv_all(sock, text, CTL_MSG_MAX, req->fds, &req->nfds);

	if (n > 0 && req->nfds > CTL_FDS_MAX)
		n = -EMSGSIZE;
	if (n == -EMSGSIZE)
		(void)ctl_bad(err, "a message has at most %u bytes and %u descriptors", CTL_MSG_MAX,
			      CTL_FDS_MAX);
	if (n <= 0)
		return (int)n;
	int r = ctl_request_decode(text, (size_t)n, req, err);

	if (r < 0)
		return r;
	const struct ctl_command *c = &ctl_commands[req->cmd];

	if (req->nfds < c->min_fds || req->nfds > c->max_fds)
		return ctl_bad(err, "%s takes %zu to %zu descriptors, not %zu", c->name, c->min_fds,
			       c->max_fds, req->nfds);
	return 1;
}

/* Send an object that this function takes over (NULL: no memory). */
static int send_object(int sock, json_t *body, const int *fds, size_t nfds)
{
	__cleanup_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	if (!text)
		return -ENOMEM;
	size_t len = strlen(text);

	if (len > CTL_MSG_MAX)
		return -EMSGSIZE;
	return fd_send_msg(sock, text, len, fds, nfds);
}

int ctl_request_send(int sock, enum ctl_cmd cmd, json_t *args, const int *fds, size_t nfds)
{
	json_t *body = json_pack("{s:i, s:s, s:O*}", "v", CTL_VERSION, "cmd",
				 ctl_commands[cmd].name, "args", args);

	return send_object(sock, body, fds, nfds);
}

int ctl_reply_send(int sock, json_t *body, bool more)
{
	json_t *reply = json_pack("{s:b}", "ok", 1);

	if (reply && body && json_object_update(reply, body) < 0) {
		json_decref(reply);
		reply = NULL;
	}
	if (reply && more && json_object_set_new(reply, "more", json_true()) < 0) {
		json_decref(reply);
		reply = NULL;
	}
	return send_object(sock, reply, NULL, 0);
}

int ctl_error_send(int sock, const struct ctl_error_reply *e)
{
	const char *code = strerrorname_np(e->error);
	json_t *error = json_pack("{s:s, s:s}", "code", code ? code : "EIO", "message", e->message);
	bool ok = error != NULL;

	if (ok && e->file)
		ok = json_object_set_new(error, "file", json_string(e->file)) == 0;
	if (ok && e->line > 0)
		ok = json_object_set_new(error, "line", json_integer(e->line)) == 0 &&
		     json_object_set_new(error, "column", json_integer(e->column)) == 0;
	if (!ok) {
		json_decref(error);
		return -ENOMEM;
	}
	return send_object(sock, json_pack("{s:b, s:o}", "ok", 0, "error", error), NULL, 0);
}

int ctl_reply_recv(int sock, json_t **ret)
{
	__cleanup_free char *text = malloc(CTL_MSG_MAX);
	struct ctl_err err;

	if (!text)
		return -ENOMEM;
	ssize_t n = fd_recv_msg(sock, text, CTL_MSG_MAX, NULL, NULL);

	if (n <= 0)
		return (int)n;
	json_t *body = load_object(text, (size_t)n, &err);

	if (!body)
		return -EBADMSG;
	if (!json_is_boolean(json_object_get(body, "ok"))) {
		json_decref(body);
		return -EBADMSG;
	}
	*ret = body;
	return 1;
}

static unsigned position(const json_t *error, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(error, key));

	return v > 0 && v <= INT32_MAX ? (unsigned)v : 0;
}

bool ctl_reply_error(const json_t *reply, struct ctl_reply_error *ret)
{
	const json_t *error = json_object_get(reply, "error");
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));

	if (json_is_true(json_object_get(reply, "ok")))
		return false;
	*ret = (struct ctl_reply_error){
		.code = code ? code : "EIO",
		.message = message ? message : "no reason given",
		.file = json_string_value(json_object_get(error, "file")),
		.line = position(error, "line"),
		.column = position(error, "column"),
	};
	return true;
}

const char *ctl_str(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

bool ctl_reply_more(const json_t *reply)
{
	return json_is_true(json_object_get(reply, "more"));
}
