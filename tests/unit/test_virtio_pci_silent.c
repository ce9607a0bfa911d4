/* SPDX-License-Identifier: BSD-3-Clause */
/* A vfio-user server that does not answer, from one message on: whoever waits gives up. */
#include "virtio_pci_liar.h"

#include <tvq/dma.h>

/* TQ-035 */
static void connecting_to_a_silent_server_ends_with_a_sentence(void **state)
{
	static const unsigned int at[] = { 0, 20 };
	struct tvq_loop *loop = liar_loop();

	(void)state;
	for (int i = 0; i < 2; i++) {
		char err[TVQ_VIRTIO_PCI_ERR_LEN];
		struct liar l;

		liar_init(&l);
		l.lie = LIE_SILENT;
		l.at = at[i];
		liar_start(&l);
		assert_null(tvq_vfio_user_bus(loop, l.path, err));
		if (!strstr(err, "does not answer") && !strstr(err, "timed out"))
			fail_msg("%s", err);
		liar_stop(&l);
	}
	tvq_loop_free(loop);
}

static void a_map_that_is_not_answered_ends_the_connection(void **state)
{
	struct vp_done ended = { .done.fn = vp_ended };
	struct tvq_bus_mem mem = { .iova = 4096, .len = 4096, .fd = -1, .perm = TVQ_DMA_READ };
	struct tvq_loop *loop = liar_loop();
	char err[TVQ_VIRTIO_PCI_ERR_LEN];
	struct liar_gone g = { 0 };
	struct tvq_bus *b;
	uint32_t asid;
	uint64_t iova;
	struct liar l;

	(void)state;
	liar_init(&l);
	liar_start(&l);
	b = tvq_vfio_user_bus(loop, l.path, err);
	assert_non_null(b);
	tvq_vfio_user_bus_gone(b, liar_note, &g);
	assert_int_equal(b->ops->space_new(b, &asid), 0);
	assert_int_equal(b->ops->map(b, asid, &mem, 1), 0);
	l.at = atomic_load(&l.messages);
	l.lie = LIE_SILENT;
	assert_int_equal(b->ops->unmap(b, asid, 4096, 4096, &ended.done), 0);
	assert_null(b->ops->dma_alloc(b, 4096, &iova));
	/* Nobody is told from inside a call. */
	assert_true(!ended.ended && !g.n);
	loop_until(loop, ended.ended && g.n);
	assert_int_equal(ended.err, -ENODEV);
	assert_non_null(strstr(g.why, "does not answer"));
	b->ops->free(b);
	liar_stop(&l);
	tvq_loop_free(loop);
}

/* Nobody waits for it, and yet it does not go on for ever. */
static void an_unmap_that_is_not_answered_ends_the_connection(void **state)
{
	struct vp_done ended = { .done.fn = vp_ended };
	struct tvq_bus_mem mem = { .iova = 4096, .len = 4096, .fd = -1, .perm = TVQ_DMA_READ };
	struct tvq_loop *loop = liar_loop();
	char err[TVQ_VIRTIO_PCI_ERR_LEN];
	struct liar_gone g = { 0 };
	struct tvq_bus *b;
	uint32_t asid;
	struct liar l;

	(void)state;
	liar_init(&l);
	liar_start(&l);
	b = tvq_vfio_user_bus(loop, l.path, err);
	assert_non_null(b);
	tvq_vfio_user_bus_gone(b, liar_note, &g);
	assert_int_equal(b->ops->space_new(b, &asid), 0);
	assert_int_equal(b->ops->map(b, asid, &mem, 1), 0);
	l.at = atomic_load(&l.messages);
	l.lie = LIE_SILENT;
	assert_int_equal(b->ops->unmap(b, asid, 4096, 4096, &ended.done), 0);
	/* It sleeps, and is woken. */
	while (!ended.ended || !g.n)
		tvq_loop_turn(loop, true);
	assert_int_equal(ended.err, -ENODEV);
	b->ops->free(b);
	liar_stop(&l);
	tvq_loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connecting_to_a_silent_server_ends_with_a_sentence),
		cmocka_unit_test(a_map_that_is_not_answered_ends_the_connection),
		cmocka_unit_test(an_unmap_that_is_not_answered_ends_the_connection),
	};

	return cmocka_run_group_tests_name("virtio_pci_silent", tests, NULL, NULL);
}
