/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/launch/supervise_parts.h"

#include "sim/launch/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WORDS = 8 /* of mpirun's own command line, at most */
};

int moe_supervise_threads(int ranks)
{
    int threads = moe_launch_cores() / ranks;

    return threads > 1 ? threads : 1;
}

/* Settings of the user win. */
static void set_env(const char *name, const char *value)
{
    (void)setenv(name, value, 0);
}

static bool is_in_path(const char *name)
{
    const char *path = getenv("PATH");
    char file[4096];

    while (path != NULL && *path != '\0') {
        size_t n = strcspn(path, ":");

        (void)snprintf(file, sizeof(file), "%.*s/%s", (int)n, path, name);
        if (access(file, X_OK) == 0) {
            return true;
        }
        path += n + (path[n] == ':');
    }
    return false;
}

/* Folder of what ranks share; "" if there is none. */
static const char *shared_folder = "";

static bool is_in_allocation(void)
{
    return getenv("SLURM_JOB_ID") != NULL || getenv("PBS_NODEFILE") != NULL ||
           getenv("LSB_JOBID") != NULL;
}

/* Open MPI as root, on fewer cores than ranks, without a word about network
 * hardware that is not there. */
static void set_open_mpi(int ranks)
{
    set_env("OMPI_MCA_rmaps_base_oversubscribe", "1");
    set_env("OMPI_MCA_hwloc_base_binding_policy", "none");
    set_env("OMPI_MCA_btl_base_warn_component_unused", "0");
    set_env("OMPI_MCA_opal_warn_on_missing_libcuda", "0");
    /* copies by ptrace are refused in many containers */
    set_env("OMPI_MCA_btl_vader_single_copy_mechanism", "none");
    if (geteuid() == 0) {
        set_env("OMPI_ALLOW_RUN_AS_ROOT", "1");
        set_env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    }
    if (ranks > moe_launch_cores()) {
        set_env("OMPI_MCA_mpi_yield_when_idle", "1");
    }
    if (!is_in_allocation()) {
        set_env("OMPI_MCA_btl", "self,vader");
        if (shared_folder[0] != '\0') {
            set_env("OMPI_MCA_btl_vader_backing_directory", shared_folder);
        }
        if (!is_in_path("ssh") && !is_in_path("rsh")) {
            set_env("OMPI_MCA_plm_rsh_agent", "sh");
        }
    }
}

static void set_environment(int ranks, const char *state_path)
{
    char threads[32];

    (void)snprintf(threads, sizeof(threads), "%d",
                   moe_supervise_threads(ranks));
    set_env("OPENBLAS_NUM_THREADS", threads);
    set_env("OMP_NUM_THREADS", threads);
    (void)setenv(MOE_RUNSTATE_ENV, state_path, 1);
    set_open_mpi(ranks);
}

/* The child's descriptors: nothing to read, all that is said to the pipe. */
static bool set_descriptors(int noise)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

    return nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 &&
           dup2(noise, STDOUT_FILENO) >= 0 && dup2(noise, STDERR_FILENO) >= 0;
}

/* Never returns; tells the parent why it could not start. */
static void become_mpirun(const moe_supervise_t *what, const char *state_path,
                          char **words, int noise, int trouble)
{
    int error;

    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
    (void)signal(SIGPIPE, SIG_DFL);
    set_environment(what->ranks, state_path);
    if (set_descriptors(noise)) {
        (void)execvp(words[0], words);
    }
    error = errno;
    if (write(trouble, &error, sizeof(error)) < 0) {
        _exit(126);
    }
    _exit(127);
}

static char *copy(const char *text)
{
    char *word;

    /* execvp() takes char *, and changes nothing */
    memcpy(&word, &text, sizeof(word));
    return word;
}

/* mpirun's words, then those of the ranks; in one allocation. */
static char **make_words(const moe_supervise_t *what, const char *program,
                         const char *ranks)
{
    size_t n = 0;
    size_t at = 0;
    char **words;

    while (what->argv[n] != NULL) {
        n++;
    }
    words = calloc(WORDS + n + 1, sizeof(*words));
    if (words == NULL) {
        return NULL;
    }
    words[at++] = copy("mpirun");
    words[at++] = copy("-n");
    words[at++] = copy(ranks);
    words[at++] = copy(program);
    for (size_t i = 1; i < n; i++) {
        words[at++] = what->argv[i];
    }
    return words;
}

static moe_status_t own_file(char *path, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", path, size - 1);

    if (n <= 0) {
        return moe_fail(MOE_ERR_IO, "cannot find this program's own file: %s",
                        strerror(errno));
    }
    path[n] = '\0';
    return MOE_OK;
}

/* Waits until exec has happened, or has not. */
static moe_status_t learn_trouble(int trouble, pid_t pid)
{
    int error = 0;
    ssize_t n;

    do {
        n = read(trouble, &error, sizeof(error));
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(error)) {
        return MOE_OK;
    }
    (void)waitpid(pid, NULL, 0);
    if (error == ENOENT) {
        return moe_fail(MOE_ERR_MPI,
                        "mpirun was not found in PATH; it starts the ranks "
                        "(Debian: openmpi-bin)");
    }
    return moe_fail(MOE_ERR_MPI, "cannot start mpirun: %s", strerror(error));
}

static moe_status_t make_pipes(int noise[2], int trouble[2])
{
    if (pipe2(noise, O_CLOEXEC) != 0) {
        return moe_fail(MOE_ERR_IO, "cannot make a pipe: %s", strerror(errno));
    }
    if (pipe2(trouble, O_CLOEXEC) != 0) {
        (void)close(noise[0]);
        (void)close(noise[1]);
        return moe_fail(MOE_ERR_IO, "cannot make a pipe: %s", strerror(errno));
    }
    return MOE_OK;
}

static moe_status_t fork_mpirun(const moe_supervise_t *what,
                                const char *state_path, char **words,
                                moe_child_t *child_p)
{
    int noise[2];
    int trouble[2];
    moe_status_t status = make_pipes(noise, trouble);

    if (status != MOE_OK) {
        return status;
    }
    child_p->pid = fork();
    if (child_p->pid == 0) {
        become_mpirun(what, state_path, words, noise[1], trouble[1]);
    }
    (void)close(noise[1]);
    (void)close(trouble[1]);
    if (child_p->pid < 0) {
        status =
            moe_fail(MOE_ERR_IO, "cannot start mpirun: %s", strerror(errno));
    } else {
        (void)setpgid(child_p->pid, child_p->pid);
        status = learn_trouble(trouble[0], child_p->pid);
    }
    (void)close(trouble[0]);
    child_p->noise = noise[0];
    if (status != MOE_OK) {
        (void)close(noise[0]);
    }
    return status;
}

moe_status_t moe_supervise_start(const moe_supervise_t *what,
                                 const char *state_path, moe_child_t *child_p)
{
    char own[4096];
    char ranks[32];
    char **words;
    const char *program = what->program;
    moe_status_t status = MOE_OK;

    if (program == NULL) {
        status = own_file(own, sizeof(own));
        program = own;
    }
    if (status != MOE_OK) {
        return status;
    }
    (void)snprintf(ranks, sizeof(ranks), "%d", what->ranks);
    shared_folder = moe_supervise_shared();
    words = make_words(what, program, ranks);
    if (words == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory to start mpirun");
    }
    status = fork_mpirun(what, state_path, words, child_p);
    free(words);
    return status;
}
