// SPDX-License-Identifier: BSD-3-Clause
/* Profiles: what tests may use of the device that is judged. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/profile.h"

void ct_profile_default(struct ct_profile *p)
{
	*p = (struct ct_profile){
		.volume = "ct-rw",
		.ro_volume = "ct-ro",
		.slow_volume = "ct-slow",
		.volume_bytes = 16u << 20,
	};
}

/* -1: why, quoting the value. */
static int set(struct ct_profile *p, const char *word, const char *value, const char **why)
{
	char *end;

	*why = "at most 20 bytes are right";
	if (!strcmp(word, "volume") || !strcmp(word, "ro_volume")) {
		char *to = word[0] == 'v' ? p->volume : p->ro_volume;

		if (strlen(value) > 20)
			return -1;
		memcpy(to, value, strlen(value) + 1);
		return 0;
	}
	if (!strcmp(word, "volume_bytes")) {
		errno = 0;
		p->volume_bytes = strtoull(value, &end, 0);
		*why = "a number of bytes, a multiple of 512, is right";
		return errno || end == value || *end || p->volume_bytes % 512 ? -1 : 0;
	}
	*why = "volume, ro_volume and volume_bytes are known words";
	return -1;
}

int ct_profile_read(struct ct_profile *p, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[256], word[64], value[128];
	unsigned int n = 0;
	int err = 0;

	if (!f) {
		fprintf(stderr, "tvq-conformance: %s: %s\n", path, strerror(errno));
		return -1;
	}
	while (!err && fgets(line, sizeof(line), f)) {
		const char *why = "a word and its value are right";

		n++;
		if (strchr(line, '#'))
			*strchr(line, '#') = '\0';
		if (strspn(line, " \t\r\n") == strlen(line))
			continue;
		if (sscanf(line, "%63s %127s", word, value) != 2 || set(p, word, value, &why)) {
			fprintf(stderr, "tvq-conformance: %s:%u: '%.*s': %s\n", path, n,
				(int)strcspn(line, "\r\n"), line, why);
			err = -1;
		}
	}
	fclose(f);
	return err;
}
