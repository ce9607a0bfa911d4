/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Classes of managed devices: what dev add takes for each, and how its configuration and its
 * queues are shown. One table for each class, in class_NAME.c; the rest of the daemon asks it.
 */
#ifndef TVQD_CLASS_H
#define TVQD_CLASS_H

#include <stdbool.h>
#include <stdint.h>

#include <virtio_transportq.h>
#include <tvq/driver.h>

#include "request.h"

struct json_object;
struct tvqd_class;
struct tvqd_dev;

/* dev_config of CREATE (section 5). */
union tvqd_dev_config {
	struct virtio_transportq_blk_config blk;
	struct virtio_transportq_net_config net;
};

/* An argument that needs a feature bit. */
struct tvqd_need {
	uint64_t above; /* it does where the value is above that */
	enum tvqd_key key;
	uint8_t bit;
	bool implied;	     /* CREATE adds the bit to the default features by itself (TQ-051) */
	const char *feature; /* the bit's name */
	const char *what;    /* the argument, as a sentence names it */
};

/* A field of the device's configuration, little-endian. */
struct tvqd_field {
	const char *name;
	uint8_t offset, size;
	int8_t feature; /* it counts with that bit only; -1: always */
};

struct tvqd_class_ops {
	uint64_t args; /* of dev add: those of this class and not of all */
	const struct tvqd_need *needs;
	unsigned int n_needs;
	bool volumes; /* a device is on a volume */
	uint16_t config_bytes;

	/* What is wrong with the arguments: -EINVAL and a sentence in err (TVQD_ERR_LEN). */
	int (*check)(const struct tvqd_class *class, const struct tvqd_args *args, char *err);
	/* Fills dev->num_asked and the like, and the configuration; returns its length. */
	uint32_t (*fill)(struct tvqd_dev *dev, const struct tvqd_args *args,
			 union tvqd_dev_config *config);
	/* Queues of a device with num_asked request queues or pairs and these features. */
	uint16_t (*num_queues)(uint64_t features, uint16_t num_asked);
	/* dev config show: adds what config (config_bytes) says; features are those offered. */
	void (*show_config)(struct json_object *o, const uint8_t *config, uint64_t features);
	/* dev vstats show: adds the queue's kind; features as for num_queues(). */
	void (*show_queue)(struct json_object *o, uint64_t features, uint16_t num_asked,
			   uint16_t index, const struct virtio_transportq_ctrl_vdev_vq_stats *st);
	/* Names of the bits below 24 and from 50 on, as the vdpa tool spells them; NULL: none. */
	const char *(*feature_name)(unsigned int bit);
};

/* A class of device that one may ask for. */
struct tvqd_class {
	const char *name; /* as in "dev add ... class NAME" */
	const char *type; /* as in "dev show" */
	uint32_t virtio_device_id;
	const struct tvqd_class_ops *ops;
	const char *mgmt; /* name of the management device that was asked */
	bool there;	  /* that has it: TYPE_GET succeeded */
	struct tvq_type_info info;
};
#define TVQD_CLASSES 2

extern const struct tvqd_class_ops tvqd_class_net, tvqd_class_blk;

/* All of them, none there yet. */
extern const struct tvqd_class tvqd_known_classes[TVQD_CLASSES];

/* Words of dev add that go with other classes only: -EINVAL and a sentence that names both. */
int tvqd_class_check_words(const struct tvqd_class *class, const struct tvqd_args *args, char *err);
/* Features and the arguments that need some, as for check(). */
int tvqd_class_check_features(const struct tvqd_class *class, const struct tvqd_args *args,
			      char *err);
/* What a device with these arguments will offer. */
uint64_t tvqd_class_offered(const struct tvqd_class *class, const struct tvqd_args *args);
/* For CREATE (TQ-051): 0 asks for the default, anything else is exactly what the device offers. */
uint64_t tvqd_class_features(const struct tvqd_class *class, const struct tvqd_args *args);

/* Adds the fields whose bit is there, as numbers. */
void tvqd_show_fields(struct json_object *o, const struct tvqd_field *f, unsigned int n,
		      const uint8_t *config, uint64_t features);

/* Names of the bits, in an array. */
struct json_object *tvqd_feature_names(uint64_t features, uint32_t virtio_device_id);

#endif
