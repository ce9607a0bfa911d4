/* SPDX-License-Identifier: BSD-3-Clause */
/* A vfio-user server that is after its client: its memory, and its time. */
#include "virtio_pci_liar.h"

#include <fcntl.h>

/* What a descriptor that a server is given lets it do to the memory behind it. */
static void the_servers_descriptor_cannot_take_the_drivers_memory_away(void **state)
{
	struct tvq_loop *loop = liar_loop();
	char err[TVQ_VIRTIO_PCI_ERR_LEN];
	struct tvq_bus *b;
	struct liar l;
	uint64_t iova;
	uint8_t *mem;
	int fd;

	(void)state;
	liar_init(&l);
	liar_start(&l);
	b = tvq_vfio_user_bus(loop, l.path, err);
	assert_non_null(b);
	mem = b->ops->dma_alloc(b, 8192, &iova);
	assert_non_null(mem);
	/* The very file that went to the server. */
	fd = tvq_virtio_pci_dma_fd(b, mem);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 4096), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	memset(mem, 0x5a, 8192);
	b->ops->dma_free(b, mem, 8192);
	b->ops->free(b);
	liar_stop(&l);
	tvq_loop_free(loop);
}

/* A clock of which each look takes so many seconds. */
static uint64_t look_takes, looked;

static uint64_t slow_now(void)
{
	looked += look_takes * 1000000000ull;
	return tvq_os_host.now() + looked;
}

/* More than is read at once, and the answer behind it. */
static void send_late_answer(struct liar *l)
{
	struct {
		struct vu_hdr h;
		struct vu_dma_rw rw;
	} m = {
		.h = { .command = VU_DMA_WRITE, .size = sizeof(m), .flags = VU_NO_REPLY },
		.rw = { .addr = 4096 },
	};
	struct vu_hdr answer = {
		.id = l->id, .command = VU_DMA_MAP, .size = sizeof(answer), .flags = VU_REPLY
	};
	static uint8_t much[160 << 10];
	size_t len = 0;

	for (; len + sizeof(m) + sizeof(answer) <= sizeof(much); len += sizeof(m))
		memcpy(much + len, &m, sizeof(m));
	memcpy(much + len, &answer, sizeof(answer));
	assert_true(liar_write(atomic_load(&l->conn), much, len + sizeof(answer)));
}

/* Whoever waits for an answer waits for a bounded time, whatever else comes meanwhile. */
static void messages_instead_of_an_answer_gain_no_time(void **state)
{
	struct tvq_loop *loop = liar_loop();
	struct tvq_os slow = tvq_os_host;
	char err[TVQ_VIRTIO_PCI_ERR_LEN];
	struct liar_gone g = { 0 };
	uint64_t iova, other;
	struct tvq_bus *b;
	struct liar l;
	uint8_t *mem;

	(void)state;
	slow.now = slow_now;
	look_takes = 0;
	tvq_loop_exec(loop)->os = &slow;
	liar_init(&l);
	liar_start(&l);
	b = tvq_vfio_user_bus(loop, l.path, err);
	assert_non_null(b);
	tvq_vfio_user_bus_gone(b, liar_note, &g);
	mem = b->ops->dma_alloc(b, 4096, &iova);
	assert_non_null(mem);
	l.at = atomic_load(&l.messages);
	l.lie = LIE_SILENT;
	send_late_answer(&l);
	look_takes = 10;
	assert_null(b->ops->dma_alloc(b, 4096, &other));
	look_takes = 0;
	loop_until(loop, g.n);
	assert_non_null(strstr(g.why, "does not answer"));
	b->ops->dma_free(b, mem, 4096);
	b->ops->free(b);
	liar_stop(&l);
	tvq_loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_servers_descriptor_cannot_take_the_drivers_memory_away),
		cmocka_unit_test(messages_instead_of_an_answer_gain_no_time),
	};

	return cmocka_run_group_tests_name("virtio_pci_hostile", tests, NULL, NULL);
}
