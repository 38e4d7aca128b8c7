/* The client of a warm program: found on PATH under the program's name, it has the program forked by the attempt's
 * program server and ends as the program ends. See program_server.py and request.py for the other side.
 *
 * Whatever goes wrong before the server says that the program runs, the plain program is executed instead, with nothing
 * changed. Once it is said, the program is never started a second time. It writes nothing, to nobody.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 200          /* descriptors that can be passed; the kernel's limit is 253 */
#define SIGNALS 64
#define FORKED 'F'        /* what the server's side says */
#define ENDED 'E'

extern char **environ;

static int server = -1;
static int passed[MOST];
static int passed_count;

/* ---- the plain program ---- */

static void execute_plain(char **argv) {
    char self[PATH_MAX];
    struct stat own, other;
    const char *name = strrchr(argv[0], '/');
    const char *path = getenv("PATH");
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

    name = name ? name + 1 : argv[0];
    if (length < 0 || !path)
        _exit(127);
    self[length] = 0;
    *strrchr(self, '/') = 0;
    if (stat(self, &own) != 0)
        _exit(127);
    while (*path) {
        size_t width = strcspn(path, ":");
        char candidate[PATH_MAX];
        if (width && width + strlen(name) + 2 <= sizeof candidate) {
            memcpy(candidate, path, width);
            candidate[width] = 0;
            if (stat(candidate, &other) == 0 && (other.st_ino != own.st_ino || other.st_dev != own.st_dev)) {
                candidate[width] = '/';
                strcpy(candidate + width + 1, name);
                if (access(candidate, X_OK) == 0)
                    execv(candidate, argv);
            }
        }
        path += width + (path[width] == ':');
    }
    _exit(127);
}

/* ---- what is sent ---- */

static int list_descriptors(void) {
    DIR *listing = opendir("/proc/self/fd");
    struct dirent *entry;
    if (!listing)
        return -1;
    while ((entry = readdir(listing))) {
        int number = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || number == dirfd(listing))
            continue;
        if (passed_count == MOST)
            return -1;
        passed[passed_count++] = number;
    }
    closedir(listing);
    return 0;
}

static void read_signals(uint64_t *ignored, uint64_t *blocked) {
    sigset_t mask;
    struct sigaction action;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int number = 1; number <= SIGNALS; number++) {
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            *ignored |= 1ULL << (number - 1);
        if (sigismember(&mask, number) == 1)
            *blocked |= 1ULL << (number - 1);
    }
}

static size_t count(char **strings, size_t *bytes) {
    size_t number = 0;
    for (; strings[number]; number++)
        *bytes += strlen(strings[number]) + 1;
    return number;
}

static char *append(char *to, const void *from, size_t bytes) {
    memcpy(to, from, bytes);
    return to + bytes;
}

/* The request in memory (struct _HEAD of request.py, targets, strings), as a file of its own. */
static int write_request(char **argv) {
    struct { char magic[4]; uint32_t mask, targets, arguments, variables, reserved; uint64_t ignored, blocked; } head =
        {.magic = {'L', 'L', 'W', '1'}};
    size_t bytes = sizeof head + sizeof passed;
    char *memory, *end;
    int file;

    head.mask = umask(0);
    umask(head.mask);
    read_signals(&head.ignored, &head.blocked);
    head.targets = passed_count;
    head.arguments = count(argv, &bytes);
    head.variables = count(environ, &bytes);
    if (!(memory = malloc(bytes)))
        return -1;
    end = append(memory, &head, sizeof head);
    end = append(end, passed, passed_count * sizeof *passed);
    for (char **each = argv; *each; each++)
        end = append(end, *each, strlen(*each) + 1);
    for (char **each = environ; *each; each++)
        end = append(end, *each, strlen(*each) + 1);
    file = memfd_create("request", MFD_CLOEXEC);
    for (char *from = memory; file >= 0 && from < end;) {
        ssize_t written = write(file, from, end - from);
        if (written <= 0)
            return -1;
        from += written;
    }
    return file;
}

static int reach_server(void) {
    const char *name = getenv("LOSSLINE_WARM");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!name || !*name || strlen(name) > sizeof address.sun_path - 1)
        return -1;
    memcpy(address.sun_path + 1, name, strlen(name)); /* a name that begins with NUL is in no file system */
    if ((server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
        return -1;
    return connect(server, (struct sockaddr *)&address,
                   offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

static int send_request(int request, int directory) {
    int all[MOST + 2] = {request, directory};
    union { char room[CMSG_SPACE(sizeof all)]; struct cmsghdr aligned; } control;
    char byte = '.';
    struct iovec payload = {&byte, 1};
    size_t width = (passed_count + 2) * sizeof(int);
    struct msghdr message = {.msg_iov = &payload, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(width)};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

    memcpy(all + 2, passed, passed_count * sizeof(int));
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(width);
    memcpy(CMSG_DATA(rights), all, width);
    return sendmsg(server, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static int receive(void *into, size_t bytes) {
    size_t got = 0;
    while (got < bytes) {
        ssize_t more = recv(server, (char *)into + got, bytes - got, 0);
        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0)
            return -1;
        got += more;
    }
    return 0;
}

/* Returns when the program runs; on every other way there is -1, and nothing has been started. */
static int have_it_forked(char **argv) {
    int request, directory;
    sigset_t all;
    char word = 0;
    if (list_descriptors() != 0 || reach_server() != 0)
        return -1;
    if ((request = write_request(argv)) < 0)
        return -1;
    if ((directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        return -1;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL); /* one that comes when the program runs must find this process with its handlers */
    if (send_request(request, directory) != 0)
        return -1;
    close(request);
    close(directory);
    return receive(&word, 1) == 0 && word == FORKED ? 0 : -1;
}

/* ---- while it runs ---- */

static void pass_on(int number) {
    int saved = errno;
    char byte = number;
    send(server, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (number == SIGTSTP || number == SIGTTIN || number == SIGTTOU)
        kill(getpid(), SIGSTOP);
    errno = saved;
}

/* Signals that tell of a mistake of this process (SIGSEGV, …) keep their meaning. */
static void pass_signals_on(void) {
    static const int own[] = {SIGKILL, SIGSTOP, SIGCHLD, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART}, before;
    for (int number = 1; number <= SIGNALS; number++) {
        int skip = 0;
        for (size_t index = 0; index < sizeof own / sizeof *own; index++)
            skip |= own[index] == number;
        if (!skip && sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(number, &action, NULL);
    }
}

static void die_of(int number) {
    struct rlimit none = {0, 0};
    sigset_t only;
    setrlimit(RLIMIT_CORE, &none); /* the program has left its own */
    signal(number, SIG_DFL);
    sigemptyset(&only);
    sigaddset(&only, number);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    kill(getpid(), number);
    _exit(128 + number);
}

static void end_as_it_ends(void) {
    char word = 0;
    int32_t status = 0;
    if (receive(&word, 1) != 0 || word != ENDED || receive(&status, sizeof status) != 0)
        die_of(SIGKILL); /* the server is dead, and with it the program: the attempt ends as lost */
    if (WIFSIGNALED(status))
        die_of(WTERMSIG(status));
    _exit(WEXITSTATUS(status));
}

int main(int argc, char **argv) {
    sigset_t given;
    (void)argc;
    sigprocmask(SIG_SETMASK, NULL, &given);
    if (have_it_forked(argv) != 0) {
        sigprocmask(SIG_SETMASK, &given, NULL);
        execute_plain(argv);
    }
    for (int index = 0; index < passed_count; index++)
        close(passed[index]); /* a writing end that stayed open here would keep its reader waiting */
    pass_signals_on();
    sigprocmask(SIG_SETMASK, &given, NULL);
    end_as_it_ends();
}
