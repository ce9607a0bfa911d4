/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vfio_user/json.h>

#define MAX_DEPTH 16

struct reader {
	const char *p, *end;
	unsigned int depth;
};

/* Called for each member of an object; has to take its value. */
struct member {
	bool (*fn)(struct member *m, struct reader *r, const char *key, size_t len);
};

struct number_member {
	struct member m;
	struct vfu_json_number *num;
	unsigned int n;
};

struct object_member {
	struct member m;
	const char *name;
	struct number_member inner;
};

static void skip_space(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

static bool take(struct reader *r, char c)
{
	skip_space(r);
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

/* Its bytes as they stand, escapes included: no key that is looked for has one. */
static bool take_string(struct reader *r, const char **s, size_t *len)
{
	if (!take(r, '"'))
		return false;
	*s = r->p;
	while (r->p < r->end && *r->p != '"') {
		if ((unsigned char)*r->p < ' ')
			return false;
		if (*r->p == '\\' && ++r->p == r->end)
			return false;
		r->p++;
	}
	if (r->p == r->end)
		return false;
	*len = (size_t)(r->p - *s);
	r->p++;
	return true;
}

static bool is_digit(const struct reader *r)
{
	return r->p < r->end && *r->p >= '0' && *r->p <= '9';
}

static bool take_digits(struct reader *r)
{
	if (!is_digit(r))
		return false;
	while (is_digit(r))
		r->p++;
	return true;
}

static bool skip_number(struct reader *r)
{
	if (r->p < r->end && *r->p == '-')
		r->p++;
	if (!take_digits(r))
		return false;
	if (r->p < r->end && *r->p == '.') {
		r->p++;
		if (!take_digits(r))
			return false;
	}
	if (r->p == r->end || (*r->p != 'e' && *r->p != 'E'))
		return true;
	r->p++;
	if (r->p < r->end && (*r->p == '-' || *r->p == '+'))
		r->p++;
	return take_digits(r);
}

static bool skip_word(struct reader *r, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(r->end - r->p) < len || memcmp(r->p, word, len) != 0)
		return false;
	r->p += len;
	return true;
}

static bool skip_value(struct reader *r);

static bool take_object(struct reader *r, struct member *m)
{
	const char *key;
	bool ok = false;
	size_t len;

	if (r->depth == MAX_DEPTH || !take(r, '{'))
		return false;
	r->depth++;
	if (take(r, '}')) {
		r->depth--;
		return true;
	}
	do {
		ok = take_string(r, &key, &len) && take(r, ':') &&
		     (m ? m->fn(m, r, key, len) : skip_value(r));
	} while (ok && take(r, ','));
	r->depth--;
	return ok && take(r, '}');
}

static bool skip_array(struct reader *r)
{
	bool ok;

	if (r->depth == MAX_DEPTH || !take(r, '['))
		return false;
	r->depth++;
	if (take(r, ']')) {
		r->depth--;
		return true;
	}
	do {
		ok = skip_value(r);
	} while (ok && take(r, ','));
	r->depth--;
	return ok && take(r, ']');
}

/* At most MAX_DEPTH deep. */
static bool skip_value(struct reader *r) /* NOLINT(misc-no-recursion) */
{
	const char *s;
	size_t len;

	skip_space(r);
	if (r->p == r->end)
		return false;
	switch (*r->p) {
	case '{':
		return take_object(r, NULL);
	case '[':
		return skip_array(r);
	case '"':
		return take_string(r, &s, &len);
	case 't':
		return skip_word(r, "true");
	case 'f':
		return skip_word(r, "false");
	case 'n':
		return skip_word(r, "null");
	default:
		return skip_number(r);
	}
}

static bool take_u64(struct reader *r, uint64_t *v)
{
	skip_space(r);
	if (!is_digit(r))
		return false;
	*v = 0;
	for (; is_digit(r); r->p++) {
		unsigned int digit = (unsigned int)(*r->p - '0');

		if (*v > (UINT64_MAX - digit) / 10)
			return false;
		*v = *v * 10 + digit;
	}
	/* A fraction or an exponent is for nobody's count. */
	return r->p == r->end || !strchr(".eE", *r->p);
}

static bool number_taken(struct member *m, struct reader *r, const char *key, size_t len)
{
	struct number_member *nm = (struct number_member *)m;

	for (unsigned int i = 0; i < nm->n; i++) {
		struct vfu_json_number *num = &nm->num[i];

		if (strlen(num->key) != len || memcmp(num->key, key, len) != 0)
			continue;
		num->found = true;
		return take_u64(r, &num->value);
	}
	return skip_value(r);
}

static bool object_taken(struct member *m, struct reader *r, const char *key, size_t len)
{
	struct object_member *om = (struct object_member *)m;

	if (strlen(om->name) == len && memcmp(om->name, key, len) == 0)
		return take_object(r, &om->inner.m);
	return skip_value(r);
}

bool vfu_json_numbers(const char *text, size_t len, const char *object, struct vfu_json_number *num,
		      unsigned int n)
{
	struct reader r = { .p = text, .end = text + len };
	struct object_member om = { .m.fn = object_taken,
				    .name = object,
				    .inner = { .m.fn = number_taken, .num = num, .n = n } };

	for (unsigned int i = 0; i < n; i++)
		num[i].found = false;
	if (!take_object(&r, &om.m))
		return false;
	skip_space(&r);
	return r.p == r.end;
}
