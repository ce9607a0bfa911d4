/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>
#include <linux/virtio_config.h>

#include <tvq/device.h>

#include "class.h"
#include "json.h"

#define BIT(n)		  (1ull << (n))
#define REQUIRED_FEATURES (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM))

const struct tvqd_class tvqd_known_classes[TVQD_CLASSES] = {
	{ .name = "net",
	  .type = "network",
	  .virtio_device_id = TVQ_TYPE_NET,
	  .ops = &tvqd_class_net },
	{ .name = "block",
	  .type = "block",
	  .virtio_device_id = TVQ_TYPE_BLK,
	  .ops = &tvqd_class_blk },
};

int tvqd_class_check_words(const struct tvqd_class *class, const struct tvqd_args *args, char *err)
{
	for (unsigned int i = 0; i < TVQD_CLASSES; i++) {
		const struct tvqd_class *other = &tvqd_known_classes[i];
		uint64_t wrong = args->have & other->ops->args & ~class->ops->args;

		if (!wrong)
			continue;
		snprintf(err, TVQD_ERR_LEN, "%s goes with class %s, not with class %s",
			 tvqd_key_name((enum tvqd_key)__builtin_ctzll(wrong)), other->name,
			 class->name);
		return -EINVAL;
	}
	return 0;
}

static bool needed(const struct tvqd_need *need, const struct tvqd_args *args)
{
	return tvqd_num(args, need->key) > need->above;
}

int tvqd_class_check_features(const struct tvqd_class *class, const struct tvqd_args *args,
			      char *err)
{
	uint64_t f = tvqd_has(args, TVQD_FEATURES) ? tvqd_num(args, TVQD_FEATURES)
						   : class->info.features | REQUIRED_FEATURES;

	if (tvqd_has(args, TVQD_FEATURES) && f & ~class->info.features) {
		snprintf(err, TVQD_ERR_LEN,
			 "features 0x%llx: %s cannot offer 0x%llx; a %s device has 0x%llx",
			 (unsigned long long)f, class->mgmt,
			 (unsigned long long)(f & ~class->info.features), class->name,
			 (unsigned long long)class->info.features);
		return -EINVAL;
	}
	if ((f & REQUIRED_FEATURES) != REQUIRED_FEATURES) {
		snprintf(err, TVQD_ERR_LEN,
			 "features 0x%llx: VERSION_1 and ACCESS_PLATFORM are required: 0x%llx",
			 (unsigned long long)f, (unsigned long long)(f | REQUIRED_FEATURES));
		return -EINVAL;
	}
	for (unsigned int i = 0; i < class->ops->n_needs; i++) {
		const struct tvqd_need *need = &class->ops->needs[i];

		if (!needed(need, args) || f & BIT(need->bit))
			continue;
		snprintf(err, TVQD_ERR_LEN, "features 0x%llx: %s needs %s, bit %u",
			 (unsigned long long)f, need->what, need->feature, need->bit);
		return -EINVAL;
	}
	return 0;
}

uint64_t tvqd_class_offered(const struct tvqd_class *class, const struct tvqd_args *args)
{
	uint64_t all = class->info.default_features;

	if (tvqd_has(args, TVQD_FEATURES))
		return tvqd_num(args, TVQD_FEATURES);
	for (unsigned int i = 0; i < class->ops->n_needs; i++) {
		if (needed(&class->ops->needs[i], args))
			all |= BIT(class->ops->needs[i].bit);
	}
	return all;
}

uint64_t tvqd_class_features(const struct tvqd_class *class, const struct tvqd_args *args)
{
	uint64_t all = tvqd_class_offered(class, args), by_itself = class->info.default_features;

	for (unsigned int i = 0; i < class->ops->n_needs; i++) {
		if (class->ops->needs[i].implied)
			by_itself |= BIT(class->ops->needs[i].bit);
	}
	return tvqd_has(args, TVQD_FEATURES) || all & ~by_itself ? all : 0;
}

void tvqd_show_fields(struct json_object *o, const struct tvqd_field *f, unsigned int n,
		      const uint8_t *config, uint64_t features)
{
	for (; n--; f++) {
		uint64_t v = 0;

		if (f->feature >= 0 && !(features >> f->feature & 1))
			continue;
		memcpy(&v, config + f->offset, f->size);
		tvqd_add_num(o, f->name, le64toh(v));
	}
}
