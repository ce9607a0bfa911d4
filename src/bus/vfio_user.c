/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vfio-user client: a PCI function that another process serves on a UNIX socket, as a driver
 * reaches it (virtio_pci.h).
 *
 *   vfio_user.c        connecting: version, what the function has
 *   vfio_user_ops.c    what the driver may do, message by message
 *   vfio_user_check.c  what the server may say
 *   vfio_user_flight.c requests in flight, and who is told of their replies
 *   vfio_user_io.c     the socket: sending, receiving, waiting, the end
 *
 * Registers that are read are round trips; whatever is written is posted (no reply). The socket
 * keeps the order, so that a read sees the writes before it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bus/vfio_user.h"
#include "device/util.h"

#define VERSION_TEXT "{\"capabilities\":{\"max_msg_fds\":1,\"max_data_xfer_size\":65536}}"

/* Room in the socket for bursts of notifications; the kernel caps it. */
#define SEND_BUFFER (1 << 20)

static int open_socket(const char *path, char *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, size = SEND_BUFFER;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		snprintf(err, TVQ_VIRTIO_PCI_ERR_LEN, "a socket's path has at most %zu bytes",
			 sizeof(sun.sun_path) - 1);
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		return fd;
	}
	snprintf(err, TVQ_VIRTIO_PCI_ERR_LEN, "%s",
		 errno == EAGAIN ? "others wait to be let in already" : strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* A request whose reply is awaited; -errno with a sentence in *why, "": the connection's own. */
static int ask(struct vuc *c, struct vuc_request *r, uint16_t command, const void *body,
	       uint32_t len, const char **why)
{
	int err = vuc_send(c, r, command, body, len, NULL, 0, -1);

	*why = "";
	if (!err)
		err = vuc_wait(c, r);
	if (err && !vuc_is_gone(c))
		*why = strerror(-err);
	return err;
}

static int ask_version(struct vuc *c, const char **why)
{
	struct {
		struct vu_version v;
		char text[sizeof(VERSION_TEXT)];
	} say = { { VU_MAJOR, VU_MINOR }, VERSION_TEXT };
	uint8_t answer[sizeof(struct vu_version) + VU_MAX_JSON];
	struct vuc_request r = { .reply = answer, .len = sizeof(answer) };
	/* Without what the compiler puts behind the text. */
	int err = ask(c, &r, VU_VERSION, &say, sizeof(say.v) + sizeof(VERSION_TEXT), why);

	return err ? err : vuc_check_version(answer, r.got, why);
}

static int ask_device(struct vuc *c, const char **why)
{
	struct vu_device_info info = { .argsz = sizeof(info) };
	struct vuc_request r = { .reply = &info, .len = sizeof(info) };
	int err = ask(c, &r, VU_DEVICE_GET_INFO, &info, sizeof(info), why);

	return err ? err : vuc_check_device(&info, why);
}

static int ask_region(struct vuc *c, uint32_t index, const char **why)
{
	struct vu_region_info info = { .argsz = sizeof(info), .index = index };
	struct vuc_request r = { .reply = &info, .len = sizeof(info) };
	int err = ask(c, &r, VU_DEVICE_GET_REGION_INFO, &info, sizeof(info), why);

	return err ? err : vuc_check_region(&info, index, &c->fn.region_size[index], why);
}

static int ask_vectors(struct vuc *c, const char **why)
{
	struct vu_irq_info info = { .argsz = sizeof(info), .index = VU_IRQ_MSIX };
	struct vuc_request r = { .reply = &info, .len = sizeof(info) };
	int err = ask(c, &r, VU_DEVICE_GET_IRQ_INFO, &info, sizeof(info), why);

	return err ? err : vuc_check_irq(&info, &c->fn.n_vectors, why);
}

static int find_function(struct vuc *c, const char **why)
{
	int err = ask_version(c, why);

	if (!err)
		err = ask_device(c, why);
	/* The BARs and the configuration space; ROM and VGA are of no use. */
	for (uint32_t i = 0; i <= VU_REGION_CONFIG && !err; i++)
		if (i != VU_REGION_ROM)
			err = ask_region(c, i, why);
	return err ? err : ask_vectors(c, why);
}

static struct vuc *client_new(struct tvq_loop *loop, int fd)
{
	struct vuc *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->fn.ops = &vuc_ops;
	c->fn.loop = loop;
	c->fn.exec = tvq_loop_exec(loop);
	c->fn.os = c->fn.exec->os;
	c->waiter.exec = c->fn.exec;
	c->waiter.os = c->fn.os;
	c->fd = fd;
	c->deadline = c->fn.os->now() + TVQ_BUS_TIMEOUT_NS;
	vuc_io_start(c);
	return c;
}

static void explain(char *err, const char *path, const char *why)
{
	snprintf(err, TVQ_VIRTIO_PCI_ERR_LEN, "%.100s: %.150s", path, why);
}

struct tvq_bus *tvq_vfio_user_bus(struct tvq_loop *loop, const char *path, char *err)
{
	char why_not[TVQ_VIRTIO_PCI_ERR_LEN];
	const char *why;
	struct tvq_bus *b;
	struct vuc *c;
	int fd = open_socket(path, why_not);

	if (fd < 0) {
		explain(err, path, why_not);
		return NULL;
	}
	c = client_new(loop, fd);
	if (!c) {
		close(fd);
		explain(err, path, strerror(ENOMEM));
		return NULL;
	}
	if (find_function(c, &why)) {
		snprintf(why_not, sizeof(why_not), "the vfio-user server cannot be used: %s",
			 why[0] ? why : c->why);
		explain(err, path, why_not);
		vuc_io_free(c);
		return NULL;
	}
	b = tvq_virtio_pci_new(&c->fn, why_not);
	if (!b) {
		explain(err, path, why_not);
		return NULL;
	}
	c->deadline = 0;
	return b;
}
