/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target over files, or all files of folders, without libFuzzer: the
 * committed corpus is a regression test with every compiler and sanitizer.
 *
 * usage: TARGET FILE-OR-FOLDER...
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/input.h"

static unsigned files;

static int run_file(const char *path, size_t size)
{
	/* Of exactly this size, so that a sanitizer sees a read beyond it. */
	uint8_t *data = malloc(size ? size : 1);
	FILE *f = fopen(path, "rb");
	int err = data && f && fread(data, 1, size, f) == size ? 0 : -EIO;

	if (f)
		fclose(f);
	if (err) {
		fprintf(stderr, "%s: cannot be read\n", path);
	} else {
		LLVMFuzzerTestOneInput(data, size);
		files++;
	}
	free(data);
	return err;
}

static int run_path(const char *path);

static int run_folder(const char *path)
{
	struct dirent **list;
	int n = scandir(path, &list, NULL, alphasort);
	int err = n < 0 ? -errno : 0;

	for (int i = 0; i < n; i++) {
		char name[4096];

		snprintf(name, sizeof(name), "%s/%s", path, list[i]->d_name);
		if (!err && list[i]->d_name[0] != '.')
			err = run_path(name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return err;
}

static int run_path(const char *path)
{
	struct stat st;

	if (stat(path, &st)) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -errno;
	}
	return S_ISDIR(st.st_mode) ? run_folder(path)
				   : run_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (run_path(argv[i]))
			return 1;
	printf("%u inputs\n", files);
	return files ? 0 : 1;
}
