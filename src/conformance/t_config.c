// SPDX-License-Identifier: BSD-3-Clause
/* Section 4.5: the configuration and its generation. */
#include <string.h>

#include <tvq/device.h>
#include <tvq/inproc.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

/* virtio 1.4, 5.2.4: virtio_blk_config. */
#define BLK_CONFIG 96
#define CAPACITY   0
#define WRITEBACK  32

/* Which bit a byte of it belongs to; -1: none, always there; -2: padding. */
static int bit_of(uint32_t at)
{
	static const struct {
		uint32_t from, to;
		int bit;
	} fields[] = {
		{ 0, 8, -1 },	{ 8, 12, 1 },	{ 12, 16, 2 },	{ 16, 20, 4 },	{ 20, 24, 6 },
		{ 24, 32, 10 }, { 32, 33, 11 }, { 33, 34, -2 }, { 34, 36, 12 }, { 36, 48, 13 },
		{ 48, 57, 14 }, { 57, 60, -2 }, { 60, 72, 16 }, { 72, 96, 17 },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (at >= fields[i].from && at < fields[i].to)
			return fields[i].bit;
	return -2;
}

static uint32_t get(struct ct *t, uint64_t id, uint32_t offset, uint32_t size, void *buf,
		    uint32_t room)
{
	struct virtio_transportq_ctrl_vdev_config_get g;

	tvq_put32(&g.offset, offset);
	tvq_put32(&g.size, size);
	return ct_run(t, id, CONFIG, GET, &g, sizeof(g), buf, room);
}

static uint32_t set(struct ct *t, uint64_t id, uint32_t offset, uint32_t size, const void *data,
		    uint32_t len)
{
	uint8_t out[8 + 128];

	tvq_put32(out, offset);
	tvq_put32(out + 4, size);
	memcpy(out + 8, data, len);
	return ct_run(t, id, CONFIG, SET, out, 8 + len, NULL, 0);
}

static uint32_t generation(struct ct *t, uint64_t id)
{
	uint8_t g[4];

	ct_ok(t, id, GENERATION, GET, NULL, 0, g, 4);
	return tvq_get32(g);
}

static void whole(struct ct *t, uint64_t id, uint8_t *buf)
{
	ct_check(t, get(t, id, 0, BLK_CONFIG, buf, BLK_CONFIG) == CT_OK,
		 "the whole space cannot be read");
}

static uint64_t with_writeback(struct ct *t)
{
	uint64_t id = ct_new_blk(t);

	if (!(ct_offered(t, id) & CT_F(11)))
		ct_skip(t, "block devices do not offer CONFIG_WCE");
	return id;
}

static void generation_differs_after_the_driver_changed_a_byte(struct ct *t)
{
	uint64_t id = with_writeback(t);
	uint8_t before[BLK_CONFIG], after[BLK_CONFIG], v;
	uint32_t g;

	ct_negotiate(t, id, 0);
	for (int i = 0; i < 4; i++) {
		g = generation(t, id);
		whole(t, id, before);
		v = !before[WRITEBACK];
		ct_check(t, set(t, id, WRITEBACK, 1, &v, 1) == CT_OK, "CONFIG SET of writeback %u",
			 v);
		whole(t, id, after);
		ct_check(t, after[WRITEBACK] == v, "writeback reads %u, not %u", after[WRITEBACK],
			 v);
		ct_check(t, generation(t, id) != g, "it is the same");
	}
	v = 0;
	ct_check(t, set(t, id, WRITEBACK, 1, &v, 1) == CT_OK, "CONFIG SET of writeback 0");
}

static void generation_differs_after_a_reset_that_changed_a_byte(struct ct *t)
{
	uint64_t id = with_writeback(t);
	uint8_t first[BLK_CONFIG], before[BLK_CONFIG], after[BLK_CONFIG], v;
	uint32_t g;

	whole(t, id, first);
	ct_negotiate(t, id, 0);
	v = !first[WRITEBACK];
	ct_check(t, set(t, id, WRITEBACK, 1, &v, 1) == CT_OK, "CONFIG SET of writeback %u", v);
	whole(t, id, before);
	g = generation(t, id);
	ct_reset_device(t, id);
	whole(t, id, after);
	ct_check(t, memcmp(before, after, BLK_CONFIG) == 0 || generation(t, id) != g,
		 "the configuration changed, the generation did not");
}

static void generation_holds_while_nothing_changes(struct ct *t)
{
	uint64_t id = ct_new_blk(t), other = ct_new_blk(t);
	uint8_t buf[BLK_CONFIG];
	uint32_t g = generation(t, id);

	whole(t, id, buf);
	ct_up(t, other, 0, 16);
	ct_check(t, generation(t, id) == g, "a driver that reads until it holds never ends");
}

static void the_space_is_whole_and_readable_from_creation_on(struct ct *t)
{
	uint64_t id = ct_new_volume(t, t->profile->volume, 0);
	uint8_t all[BLK_CONFIG], byte;

	whole(t, id, all);
	ct_check(t, tvq_get64(all + CAPACITY) == t->profile->volume_bytes / 512, "capacity %llu",
		 (unsigned long long)tvq_get64(all + CAPACITY));
	for (uint32_t i = 0; i < BLK_CONFIG; i++) {
		ct_check(t, get(t, id, i, 1, &byte, 1) == CT_OK && byte == all[i],
			 "byte %u reads 0x%x, not 0x%x", i, byte, all[i]);
		for (uint32_t n = 2; n <= BLK_CONFIG - i; n += 13) {
			uint8_t part[BLK_CONFIG];

			ct_check(t, get(t, id, i, n, part, n) == CT_OK && !memcmp(part, all + i, n),
				 "bytes %u to %u", i, i + n);
		}
	}
}

static void fields_whose_bit_is_not_offered_read_0(struct ct *t)
{
	uint64_t needed = CT_F(TVQ_F_VERSION_1) | CT_F(TVQ_F_ACCESS_PLATFORM), full, id = 0;
	uint8_t all[BLK_CONFIG];

	full = ct_new_blk(t);
	for (int round = 0; round < 2; round++) {
		uint64_t offered;

		if (round)
			id = full;
		else
			ct_check(t, ct_create(t, 2, 0, needed, NULL, 0, &id) == CT_OK,
				 "CREATE with two bits");
		offered = ct_offered(t, id);
		whole(t, id, all);
		for (uint32_t i = 0; i < BLK_CONFIG; i++) {
			int bit = bit_of(i);

			if (bit == -2 || (bit >= 0 && !(offered & CT_F(bit))))
				ct_check(t, !all[i], "byte %u is 0x%x without bit %d", i, all[i],
					 bit);
		}
		/* And the others are there: blk_size. */
		if (offered & CT_F(6))
			ct_check(t, tvq_get32(all + 20) >= 512, "blk_size %u", tvq_get32(all + 20));
	}
}

static void an_access_that_does_not_lie_in_the_space_fails(struct ct *t)
{
	static const struct {
		uint32_t offset, size;
	} bad[] = {
		{ 0, 0 },
		{ 8, 0 },
		{ BLK_CONFIG, 0 },
		{ 0, BLK_CONFIG + 1 },
		{ 1, BLK_CONFIG },
		{ BLK_CONFIG - 1, 2 },
		{ BLK_CONFIG, 1 },
		{ BLK_CONFIG + 1, 1 },
		{ 0xffffffff, 1 },
		{ 0xffffffff, 2 },
		{ 0xfffffff0, 0x20 },
		{ 32, 0xffffffff },
		{ 1, 0xffffffff },
		{ 0x80000000, 0x80000001 },
	};
	uint64_t id = with_writeback(t);
	uint8_t buf[128] = { 0 };

	ct_negotiate(t, id, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ct_check(t, get(t, id, bad[i].offset, bad[i].size, buf, 128) == CT_ERR,
			 "GET of %u at %u", bad[i].size, bad[i].offset);
		ct_check(t,
			 set(t, id, bad[i].offset, bad[i].size, buf,
			     bad[i].size > 128 ? 128 : bad[i].size) == CT_ERR,
			 "SET of %u at %u", bad[i].size, bad[i].offset);
	}
	/* size says one thing, the length of the data another. */
	ct_check(t, set(t, id, WRITEBACK, 1, buf, 2) == CT_ERR, "SET of 1 with 2 bytes");
	ct_check(t, set(t, id, WRITEBACK, 2, buf, 1) == CT_ERR, "SET of 2 with 1 byte");
	ct_check(t, get(t, id, 0, 8, buf, 7) == CT_ERR, "GET of 8 with room for 7");
}

static void a_set_that_touches_what_the_driver_may_not_write_fails_whole(struct ct *t)
{
	uint64_t id = with_writeback(t);
	uint8_t before[BLK_CONFIG], after[BLK_CONFIG], data[BLK_CONFIG];
	uint32_t g;

	ct_negotiate(t, id, 0);
	whole(t, id, before);
	g = generation(t, id);
	memcpy(data, before, BLK_CONFIG);
	data[WRITEBACK] = !before[WRITEBACK];
	for (uint32_t i = 0; i < BLK_CONFIG; i++)
		if (i != WRITEBACK)
			ct_check(t, set(t, id, i, 1, data + i, 1) == CT_ERR, "byte %u", i);
	ct_check(t, set(t, id, 0, BLK_CONFIG, data, BLK_CONFIG) == CT_ERR, "all");
	ct_check(t, set(t, id, WRITEBACK - 1, 2, data + WRITEBACK - 1, 2) == CT_ERR,
		 "a byte before");
	ct_check(t, set(t, id, WRITEBACK, 2, data + WRITEBACK, 2) == CT_ERR, "a byte behind");
	whole(t, id, after);
	ct_check(t, !memcmp(before, after, BLK_CONFIG), "one that failed changed something");
	ct_check(t, generation(t, id) == g, "one that failed changed the generation");
}

static void set_fails_before_features_ok_and_without_the_fields_feature(struct ct *t)
{
	uint64_t id = with_writeback(t);
	uint8_t before[BLK_CONFIG], after[BLK_CONFIG], v, f[8];

	whole(t, id, before);
	v = !before[WRITEBACK];
	ct_check(t, set(t, id, WRITEBACK, 1, &v, 1) == CT_ERR, "in status 0");
	ct_check(t, ct_set_status(t, id, 3) == CT_OK, "DRIVER");
	ct_check(t, set(t, id, WRITEBACK, 1, &v, 1) == CT_ERR, "before DRIVER_SET");
	tvq_put64(f, ct_features(t, id, false, false));
	ct_ok(t, id, FEAT, DRIVER_SET, f, 8, NULL, 0);
	ct_check(t, set(t, id, WRITEBACK, 1, &v, 1) == CT_ERR, "before FEATURES_OK");
	ct_reset_device(t, id);
	ct_negotiate(t, id, ct_features(t, id, false, false) & ~CT_F(11));
	ct_check(t, set(t, id, WRITEBACK, 1, &v, 1) == CT_ERR, "without CONFIG_WCE");
	whole(t, id, after);
	ct_check(t, after[WRITEBACK] == before[WRITEBACK], "one that failed changed it");
	ct_reset_device(t, id);
	ct_negotiate(t, id, 0);
	ct_check(t, set(t, id, WRITEBACK, 1, &v, 1) == CT_OK, "with FEATURES_OK");
}

static void resize(struct ct *t, uint64_t id, uint64_t sectors)
{
	ct_check(t, tvq_device_resize(tvq_inproc_device(t->bus), id, sectors * 512) == 0,
		 "the owner's resize");
}

static void a_change_on_the_devices_side_raises_the_interrupt_and_the_generation(struct ct *t)
{
	uint64_t id = ct_new_blk(t), iova, sectors;
	uint32_t *word = ct_alloc(t, 4, 4, &iova);
	uint8_t all[BLK_CONFIG];
	uint32_t g;

	whole(t, id, all);
	sectors = tvq_get64(all + CAPACITY);
	g = generation(t, id);
	resize(t, id, ++sectors);
	ct_check(t, generation(t, id) != g, "the generation is the same");
	ct_check(t, ct_msi_set(t, id, CT_CONFIG, iova, 0x55) == CT_OK, "MSI CONFIG_SET");
	ct_check(t, ct_msi_enable(t, id, CT_CONFIG, 1) == CT_OK, "MSI CONFIG_ENABLE");
	ct_negotiate(t, id, 0);
	resize(t, id, ++sectors);
	ct_pause(t, CT_CHANCE_NS);
	ct_check(t, !*word, "an interrupt before DRIVER_OK"); /* TQ-071 */
	ct_check(t, ct_set_status(t, id, 15) == CT_OK, "DRIVER_OK");
	for (int i = 0; i < 3; i++) {
		*word = 0;
		g = generation(t, id);
		resize(t, id, ++sectors);
		ct_check(t, ct_wait_word(t, word, 0x55), "no interrupt");
		ct_check(t, generation(t, id) != g, "the generation is the same");
		whole(t, id, all);
		ct_check(t, tvq_get64(all + CAPACITY) == sectors, "capacity %llu, not %llu",
			 (unsigned long long)tvq_get64(all + CAPACITY),
			 (unsigned long long)sectors);
	}
}

const struct ct_test ct_tests_config[] = {
	{ "TQ-075", "generation_differs_after_the_driver_changed_a_byte",
	  generation_differs_after_the_driver_changed_a_byte, 0 },
	{ "TQ-075", "generation_differs_after_a_reset_that_changed_a_byte",
	  generation_differs_after_a_reset_that_changed_a_byte, 0 },
	{ "TQ-075", "generation_holds_while_nothing_changes",
	  generation_holds_while_nothing_changes, 0 },
	{ "TQ-076", "the_space_is_whole_and_readable_from_creation_on",
	  the_space_is_whole_and_readable_from_creation_on, CT_NEEDS_VOLUME },
	{ "TQ-076", "fields_whose_bit_is_not_offered_read_0",
	  fields_whose_bit_is_not_offered_read_0, 0 },
	{ "TQ-077", "an_access_that_does_not_lie_in_the_space_fails",
	  an_access_that_does_not_lie_in_the_space_fails, 0 },
	{ "TQ-078", "a_set_that_touches_what_the_driver_may_not_write_fails_whole",
	  a_set_that_touches_what_the_driver_may_not_write_fails_whole, 0 },
	{ "TQ-078", "set_fails_before_features_ok_and_without_the_fields_feature",
	  set_fails_before_features_ok_and_without_the_fields_feature, 0 },
	{ "TQ-079 TQ-075 TQ-071",
	  "a_change_on_the_devices_side_raises_the_interrupt_and_the_generation",
	  a_change_on_the_devices_side_raises_the_interrupt_and_the_generation, CT_NEEDS_OWNER },
	{ 0 },
};
