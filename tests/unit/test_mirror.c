// SPDX-License-Identifier: BSD-3-Clause
/* Mirroring of a port to a pcap file, read back byte by byte, and by tcpdump. */
#include "uplink_lab.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static struct tvq_mirror *mirror_try(struct ul_lab *lab, struct ul_user *u, const char *path,
				     uint64_t max, int *err, char *why)
{
	struct ul_told t = { .done.fn = ul_told };
	struct tvq_mirror *m = tvq_mirror_new(lab->sw, u->port, path, max, &t.done, why);

	*err = -EINVAL;
	if (!m)
		return NULL;
	ul_until(lab, t.told);
	*err = t.err;
	if (t.err)
		memcpy(why, t.done.why, TVQ_UPLINK_ERR_LEN);
	return t.err ? NULL : m;
}

static struct tvq_mirror *mirror(struct ul_lab *lab, struct ul_user *u, const char *path,
				 uint64_t max)
{
	char why[TVQ_UPLINK_ERR_LEN];
	int err;
	struct tvq_mirror *m = mirror_try(lab, u, path, max, &err, why);

	if (!m)
		fail_msg("%s", why);
	return m;
}

static void mirror_free(struct ul_lab *lab, struct tvq_mirror *m)
{
	struct ul_told t = { .done.fn = ul_told };

	tvq_mirror_free(m, &t.done);
	ul_until(lab, t.told);
	assert_int_equal(t.err, 0);
}

static struct tvq_mirror_stats stats(const struct tvq_mirror *m)
{
	struct tvq_mirror_stats st;

	tvq_mirror_stats(m, &st);
	return st;
}

/* ---- the file ---- */

struct file {
	uint8_t *data;
	size_t len, at;
};

/* A file whose header is right. */
static struct file file_read(const char *path)
{
	/* Little-endian, as the machines that this runs on. */
	static const uint8_t head[24] = { 0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0,
					  0,	0,    0,    0,	  0, 0, 4, 0, 1, 0, 0, 0 };
	struct file f = { .at = sizeof(head) };
	struct stat st;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	f.len = (size_t)st.st_size;
	f.data = malloc(f.len);
	assert_int_equal(read(fd, f.data, f.len), f.len);
	close(fd);
	assert_true(f.len >= sizeof(head));
	assert_memory_equal(f.data, head, sizeof(head));
	return f;
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* The next frame; NULL: no more, and the file ends there. */
static const uint8_t *file_next(struct file *f, uint32_t *len)
{
	const uint8_t *r = f->data + f->at;

	if (f->at == f->len)
		return NULL;
	assert_true(f->len - f->at >= 16);
	*len = le32(r + 8);
	assert_int_equal(le32(r + 12), *len);
	assert_in_range(le32(r), 1600000000, UINT32_MAX);
	assert_in_range(le32(r + 4), 0, 999999999);
	assert_true(f->len - f->at - 16 >= *len);
	f->at += 16 + *len;
	return r + 16;
}

static unsigned int file_count(struct file *f)
{
	unsigned int n = 0;
	uint32_t len;

	while (file_next(f, &len))
		n++;
	return n;
}

static void send_one(struct ul_user *from, uint8_t to, uint32_t number, uint32_t len)
{
	uint8_t *data = malloc(UL_LONGEST);
	struct tvq_seg seg;
	struct tvq_frame f;

	ul_frame_fill(data, to, from->cfg.mac[5], number, len);
	f = ul_frame(&seg, data, len);
	ul_user_send(from, &f, 1);
	free(data);
}

/* n frames of len bytes, a batch at a time. */
static void send_many(struct ul_user *from, uint8_t to, unsigned int n, uint32_t len)
{
	uint8_t *data = malloc(UL_LONGEST);
	struct tvq_frame f[TVQ_SWITCH_BATCH];
	struct tvq_seg seg;

	ul_frame_fill(data, to, from->cfg.mac[5], 7, len);
	for (unsigned int i = 0; i < TVQ_SWITCH_BATCH; i++)
		f[i] = ul_frame(&seg, data, len);
	for (unsigned int i = 0; i < n; i += TVQ_SWITCH_BATCH)
		ul_user_send(from, f, n - i < TVQ_SWITCH_BATCH ? n - i : TVQ_SWITCH_BATCH);
	free(data);
}

struct world {
	struct ul_lab lab;
	struct ul_user *a, *b;
	char path[100];
};

static void world_start(struct world *w)
{
	ul_start(&w->lab, false);
	w->a = ul_user(&w->lab, 1, 9000, NULL);
	w->b = ul_user(&w->lab, 2, 9000, NULL);
	snprintf(w->path, sizeof(w->path), "%s", ul_path());
}

static void world_end(struct world *w)
{
	unlink(w->path);
	ul_user_free(w->a);
	ul_user_free(w->b);
	ul_end(&w->lab);
}

/* ---- tests ---- */

static void both_directions_are_in_the_file_as_they_passed(void **state)
{
	static const uint32_t lens[] = { 14, 15, 60, 61, 1514, 9014 };
	struct tvq_mirror *m;
	struct world w;
	struct file f;
	uint8_t *want = malloc(UL_LONGEST);
	uint32_t len;

	(void)state;
	world_start(&w);
	m = mirror(&w.lab, w.a, w.path, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(lens); i++) {
		send_one(w.a, 2, i, lens[i]);
		send_one(w.b, 1, 100 + i, lens[i]);
	}
	mirror_free(&w.lab, m);
	/* Not mirrored any more. */
	send_one(w.a, 2, 0, 60);
	f = file_read(w.path);
	for (unsigned int i = 0; i < ARRAY_SIZE(lens); i++) {
		for (unsigned int dir = 0; dir < 2; dir++) {
			const uint8_t *got = file_next(&f, &len);

			assert_non_null(got);
			assert_int_equal(len, lens[i]);
			ul_frame_fill(want, dir ? 1 : 2, dir ? 2 : 1, 100 * dir + i, len);
			assert_memory_equal(got, want, len);
		}
	}
	assert_null(file_next(&f, &len));
	free(f.data);
	free(want);
	world_end(&w);
}

static void statistics_say_what_is_in_the_file(void **state)
{
	struct tvq_mirror *m;
	struct world w;
	struct file f;

	(void)state;
	world_start(&w);
	m = mirror(&w.lab, w.a, w.path, 0);
	send_many(w.a, 2, 500, 100);
	ul_until(&w.lab, stats(m).frames == 500);
	assert_int_equal(stats(m).bytes, 500 * 100);
	assert_int_equal(stats(m).dropped, 0);
	f = file_read(w.path);
	assert_int_equal(file_count(&f), 500);
	free(f.data);
	mirror_free(&w.lab, m);
	world_end(&w);
}

static void tags_are_shown_as_the_ports_user_has_them(void **state)
{
	static const uint8_t tag[] = { 0x81, 0x00, 0x60, 0x05, 0x88, 0xb5 };
	/* It may send its untagged VLAN with a tag, and does; it would get it without. */
	struct tvq_port_vlan trunk = { .mode = TVQ_VLAN_TRUNK, .pvid = 5, .set = { 1 << 5 } };
	struct tvq_port_vlan access = { .mode = TVQ_VLAN_ACCESS, .pvid = 5 };
	struct tvq_mirror *mt, *ma;
	char other[100];
	struct ul_user *t, *a;
	uint8_t data[64];
	const uint8_t *got;
	struct tvq_seg seg;
	struct tvq_frame fr;
	struct world w;
	struct file f;
	uint32_t len;

	(void)state;
	world_start(&w);
	snprintf(other, sizeof(other), "%s", ul_path());
	t = ul_user(&w.lab, 3, 1500, &trunk);
	a = ul_user(&w.lab, 4, 1500, &access);
	mt = mirror(&w.lab, t, w.path, 0);
	ma = mirror(&w.lab, a, other, 0);
	ul_frame_fill(data, 4, 3, 0, sizeof(data));
	fr = ul_frame(&seg, data, sizeof(data));
	fr.tagged = true;
	fr.tci = 0x6005;
	ul_user_send(t, &fr, 1);
	ul_user_wait(a, 1);
	mirror_free(&w.lab, mt);
	mirror_free(&w.lab, ma);

	f = file_read(w.path);
	got = file_next(&f, &len);
	assert_int_equal(len, sizeof(data) + 4);
	assert_memory_equal(got, data, 12);
	assert_memory_equal(got + 12, tag, sizeof(tag));
	free(f.data);
	f = file_read(other);
	got = file_next(&f, &len);
	assert_int_equal(len, sizeof(data));
	assert_memory_equal(got, data, sizeof(data));
	free(f.data);
	unlink(other);
	ul_user_free(t);
	ul_user_free(a);
	world_end(&w);
}

static void file_that_is_there_is_left_alone(void **state)
{
	char why[TVQ_UPLINK_ERR_LEN], text[8] = "";
	struct world w;
	int err, fd;

	(void)state;
	world_start(&w);
	fd = open(w.path, O_CREAT | O_RDWR, 0644);
	assert_int_equal(write(fd, "precious", 8), 8);
	assert_null(mirror_try(&w.lab, w.a, w.path, 0, &err, why));
	assert_int_equal(err, -EEXIST);
	assert_non_null(strstr(why, w.path));
	send_one(w.a, 2, 0, 60);
	assert_int_equal(pread(fd, text, 8, 0), 8);
	assert_memory_equal(text, "precious", 8);
	close(fd);
	/* Nor where a link leads. */
	unlink(w.path);
	assert_int_equal(symlink("/tmp/tvq-mirror-elsewhere", w.path), 0);
	assert_null(mirror_try(&w.lab, w.a, w.path, 0, &err, why));
	assert_int_equal(access("/tmp/tvq-mirror-elsewhere", F_OK), -1);
	world_end(&w);
}

static void path_that_cannot_be_is_refused_with_a_sentence(void **state)
{
	char why[TVQ_UPLINK_ERR_LEN] = "", *path = malloc(5000);
	struct world w;
	int err;

	(void)state;
	world_start(&w);
	memset(path, 'x', 4999);
	path[4999] = '\0';
	assert_null(mirror_try(&w.lab, w.a, path, 0, &err, why));
	assert_non_null(strstr(why, "4999"));
	assert_null(mirror_try(&w.lab, w.a, "", 0, &err, why));
	assert_null(mirror_try(&w.lab, w.a, "/nowhere/at/all", 0, &err, why));
	assert_int_equal(err, -ENOENT);
	assert_non_null(strstr(why, "/nowhere/at/all"));
	assert_null(mirror_try(&w.lab, w.a, w.path, 23, &err, why));
	assert_int_equal(access(w.path, F_OK), -1);
	/* The port can be mirrored all the same. */
	mirror_free(&w.lab, mirror(&w.lab, w.a, w.path, 0));
	free(path);
	world_end(&w);
}

static void port_has_one_mirror_at_most(void **state)
{
	char why[TVQ_UPLINK_ERR_LEN], other[100];
	struct tvq_mirror *m;
	struct world w;
	struct file f;
	int err;

	(void)state;
	world_start(&w);
	snprintf(other, sizeof(other), "%s", ul_path());
	m = mirror(&w.lab, w.a, w.path, 0);
	assert_null(mirror_try(&w.lab, w.a, other, 0, &err, why));
	assert_int_equal(err, -EBUSY);
	assert_int_equal(access(other, F_OK), -1);
	/* The first one goes on. */
	send_one(w.a, 2, 0, 60);
	mirror_free(&w.lab, m);
	f = file_read(w.path);
	assert_int_equal(file_count(&f), 1);
	free(f.data);
	mirror_free(&w.lab, mirror(&w.lab, w.a, other, 0));
	unlink(other);
	world_end(&w);
}

static void file_ends_with_a_whole_frame_at_its_limit(void **state)
{
	const uint32_t one = 16 + 100;

	(void)state;
	for (unsigned int more = 0; more < one; more += one - 1) {
		struct tvq_mirror *m;
		struct world w;
		struct file f;

		world_start(&w);
		m = mirror(&w.lab, w.a, w.path, 24 + 10 * one + more);
		send_many(w.a, 2, 1000, 100);
		/* A shorter one might fit: it has ended all the same. */
		send_one(w.a, 2, 0, 14);
		mirror_free(&w.lab, m);
		f = file_read(w.path);
		assert_int_equal(file_count(&f), 10);
		free(f.data);
		world_end(&w);
	}
}

/* ---- a disk that is slow, or full ---- */

struct blocker {
	struct tvq_job job;
	atomic_bool *go;
	bool done;
};

static void blocker_run(struct tvq_job *j)
{
	struct blocker *b = (struct blocker *)j;

	while (!atomic_load(b->go))
		usleep(1000);
}

static void blocker_done(struct tvq_job *j)
{
	((struct blocker *)j)->done = true;
}

/* Nobody's jobs run from here on until unblock_jobs(). */
#define BLOCKERS 32
static struct blocker blockers[BLOCKERS];
static atomic_bool unblock;

static void block_jobs(struct ul_lab *lab)
{
	atomic_store(&unblock, false);
	for (unsigned int i = 0; i < BLOCKERS; i++) {
		blockers[i] = (struct blocker){ .job = { .run = blocker_run, .done = blocker_done },
						.go = &unblock };
		tvq_job_post(tvq_loop_exec(lab->control), &blockers[i].job);
	}
}

static void unblock_jobs(struct ul_lab *lab)
{
	atomic_store(&unblock, true);
	for (unsigned int i = 0; i < BLOCKERS; i++)
		ul_until(lab, blockers[i].done);
}

static void frames_that_pass_while_the_file_is_being_opened_are_in_it(void **state)
{
	struct ul_told t = { .done.fn = ul_told };
	char why[TVQ_UPLINK_ERR_LEN];
	struct tvq_mirror *m;
	struct world w;

	(void)state;
	world_start(&w);
	block_jobs(&w.lab);
	m = tvq_mirror_new(w.lab.sw, w.a->port, w.path, 0, &t.done, why);
	assert_non_null(m);
	send_one(w.a, 2, 0, 60);
	assert_false(t.told);
	unblock_jobs(&w.lab);
	ul_until(&w.lab, t.told);
	assert_int_equal(t.err, 0);
	ul_until(&w.lab, stats(m).frames == 1);
	mirror_free(&w.lab, m);
	world_end(&w);
}

static void frames_that_the_disk_is_too_slow_for_are_dropped_and_counted(void **state)
{
	enum { FRAMES = 4096 };
	struct tvq_mirror *m;
	struct world w;
	struct file f;
	uint64_t dropped;

	(void)state;
	world_start(&w);
	m = mirror(&w.lab, w.a, w.path, 0);
	block_jobs(&w.lab);
	send_many(w.a, 2, FRAMES, 1514);
	/* Nobody waited for it: all have arrived, more than the mirror has memory for. */
	ul_user_wait(w.b, FRAMES);
	dropped = stats(m).dropped;
	assert_in_range(dropped, 1, FRAMES - 1);
	unblock_jobs(&w.lab);
	ul_until(&w.lab, stats(m).frames + dropped == FRAMES);
	/* And it goes on. */
	send_one(w.a, 2, 0, 60);
	ul_until(&w.lab, stats(m).frames + dropped == FRAMES + 1);
	mirror_free(&w.lab, m);
	f = file_read(w.path);
	assert_int_equal(file_count(&f), FRAMES + 1 - dropped);
	free(f.data);
	world_end(&w);
}

static void full_disk_leaves_whole_frames_and_the_port_goes_on(void **state)
{
	struct rlimit old, small = { .rlim_cur = 50000 };
	struct tvq_mirror *m;
	struct world w;
	struct file f;

	(void)state;
	world_start(&w);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	m = mirror(&w.lab, w.a, w.path, 0);
	for (unsigned int i = 0; i < 100; i++)
		send_one(w.a, 2, i, 1000);
	ul_until(&w.lab, stats(m).frames + stats(m).dropped == 100);
	ul_user_wait(w.b, 100);
	assert_true(stats(m).dropped > 0);
	mirror_free(&w.lab, m);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	f = file_read(w.path);
	assert_in_range(file_count(&f), 0, 49);
	free(f.data);
	world_end(&w);
}

/* ---- ports that go ---- */

static void count_gone(void *ctx)
{
	++*(unsigned int *)ctx;
}

static void port_may_go_before_its_mirror(void **state)
{
	unsigned int gone = 0, late = 0;
	struct tvq_mirror *m;
	struct ul_user *c;
	struct world w;
	struct file f;

	(void)state;
	world_start(&w);
	c = ul_user(&w.lab, 3, 1500, NULL);
	m = mirror(&w.lab, c, w.path, 0);
	tvq_mirror_on_gone(m, count_gone, &gone);
	send_one(c, 2, 0, 60);
	assert_int_equal(gone, 0);
	ul_user_free(c);
	ul_until(&w.lab, gone == 1);
	tvq_mirror_on_gone(m, count_gone, &late);
	assert_int_equal(late, 1);
	mirror_free(&w.lab, m);
	assert_int_equal(gone, 1);
	f = file_read(w.path);
	assert_int_equal(file_count(&f), 1);
	free(f.data);
	world_end(&w);
}

/* The port goes while the file is being opened, and while the mirror ends. */
static void port_that_goes_meanwhile_does_no_harm(void **state)
{
	struct world w;

	(void)state;
	world_start(&w);
	for (unsigned int i = 0; i < 20; i++) {
		struct ul_told opened = { .done.fn = ul_told }, ended = opened;
		struct ul_user *c = ul_user(&w.lab, 3, 1500, NULL);
		char why[TVQ_UPLINK_ERR_LEN];
		struct tvq_mirror *m =
			tvq_mirror_new(w.lab.sw, c->port, w.path, 0, &opened.done, why);

		assert_non_null(m);
		if (i % 2) {
			ul_until(&w.lab, opened.told);
			tvq_mirror_free(m, &ended.done);
			ul_user_free(c);
		} else {
			ul_user_free(c);
			ul_until(&w.lab, opened.told);
			tvq_mirror_free(m, &ended.done);
		}
		assert_int_equal(opened.err, 0);
		ul_until(&w.lab, ended.told);
		unlink(w.path);
	}
	world_end(&w);
}

/* ---- tcpdump ---- */

static void tcpdump_reads_what_was_written(void **state)
{
	char command[200], line[200];
	bool ethernet = false;
	unsigned int frames = 0;
	struct tvq_mirror *m;
	struct world w;
	FILE *said;

	(void)state;
	if (system("command -v tcpdump >/dev/null 2>&1")) {
		print_message("skipped: there is no tcpdump\n");
		skip();
	}
	world_start(&w);
	m = mirror(&w.lab, w.a, w.path, 0);
	send_many(w.a, 2, 3, 64);
	mirror_free(&w.lab, m);
	snprintf(command, sizeof(command), "tcpdump -Z root -ner %s 2>&1", w.path);
	said = popen(command, "r");
	assert_non_null(said);
	while (fgets(line, sizeof(line), said)) {
		ethernet |= !!strstr(line, "link-type EN10MB");
		frames += strstr(line, "02:00:00:00:00:01 > 02:00:00:00:00:02") &&
			  strstr(line, "0x88b5") && strstr(line, "length 64");
	}
	assert_true(ethernet);
	assert_int_equal(frames, 3);
	assert_int_equal(pclose(said), 0);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_directions_are_in_the_file_as_they_passed),
		cmocka_unit_test(statistics_say_what_is_in_the_file),
		cmocka_unit_test(tags_are_shown_as_the_ports_user_has_them),
		cmocka_unit_test(file_that_is_there_is_left_alone),
		cmocka_unit_test(path_that_cannot_be_is_refused_with_a_sentence),
		cmocka_unit_test(port_has_one_mirror_at_most),
		cmocka_unit_test(file_ends_with_a_whole_frame_at_its_limit),
		cmocka_unit_test(frames_that_pass_while_the_file_is_being_opened_are_in_it),
		cmocka_unit_test(frames_that_the_disk_is_too_slow_for_are_dropped_and_counted),
		cmocka_unit_test(full_disk_leaves_whole_frames_and_the_port_goes_on),
		cmocka_unit_test(port_may_go_before_its_mirror),
		cmocka_unit_test(port_that_goes_meanwhile_does_no_harm),
		cmocka_unit_test(tcpdump_reads_what_was_written),
	};

	return cmocka_run_group_tests_name("mirror", tests, NULL, NULL);
}
