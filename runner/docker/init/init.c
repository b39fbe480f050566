/* The first process (PID 1) of the container of a step or a service. It needs no C library.
 *
 *   init run PROGRAM ARGUMENT...    starts the program
 *   init gate PROGRAM ARGUMENT...   first reads `TOKEN LENGTH\n` and a script of LENGTH bytes from standard input; the
 *                                   program gets the script as file descriptor 3, and an empty standard input
 *   init gate-git ...               a gate that first lets git work in folders of other users, in /etc/gitconfig
 *   init measure TOKEN PROGRAM ...  as `run`, and reports what the container used
 *   init files MODE ...             first writes files, see below, then as `init MODE ...`
 *
 * It reaps all processes of the container and forwards signals to the program; a SIGTERM of the engine goes to all
 * processes. When the program has ended, it kills those that are left a moment later (a `tee` has its last lines to write),
 * unless that SIGTERM came: then it waits until the last has ended, so that each has time to clean up. The sender of
 * SIGTERM limits that time with SIGKILL.
 * With a gate it then writes `\x1eTOKEN STATUS SIGNAL\n` to both outputs: STATUS is what a shell shows as $?, SIGNAL is 0
 * unless a signal ended the program. Where its control group says what the container used, `PEAK CPU` stand before the
 * newline: the most memory in bytes, and processor time in microseconds, each 0 if unknown. `measure` writes the same to
 * the error output, only if one is known: the program can read that token. It exits with STATUS; with 125 if the script does not arrive, and with 127, 126 or 1
 * if the program cannot be started, as docker-init does.
 * With `files`, standard input begins with the files: of each `LENGTH MODE PATH\n` and its LENGTH bytes, then an empty line.
 * They are secrets: a file that is not on a tmpfs, or cannot be written whole, ends the container with 1 before any program
 * starts. `headway/scripts/build_init.sh` compiles it.
 */

#define AT_FDCWD (-100)
#define O_WRONLY 01
#define O_RDWR 2
#define O_CREAT 0100
#define O_EXCL 0200
#define O_NOCTTY 0400
#define O_APPEND 02000
#define O_NONBLOCK 04000
#define O_CLOEXEC 02000000
#define O_DIRECTORY_TMPFILE (020000000 | O_DIRECTORY)
#define SIGKILL 9
#define SIGTERM 15
#define SIGCHLD 17
#define SIG_SETMASK 2
#define WNOHANG 1
#define ENOENT 2
#define EINTR 4
#define ENOEXEC 8
#define ECHILD 10
#define EACCES 13
#define ENOTDIR 20
#define SCRIPT_FD 3
#define TMPFS_MAGIC 0x01021994
#define STATFS_WORDS 32
#define PATH_BYTES_MAX 4096
#define ARGUMENTS_MAX 65536
#define CHUNK_BYTES 65536
#define HEADER_BYTES_MAX 96
#define USAGE_BYTES_MAX 48
#define SMALL_FILE_BYTES_MAX 512
#define BROKEN_OFF 125
#define LINGER_NS 250000000L
#define SECOND_NS 1000000000L
#define CLOCK_MONOTONIC 1

#if defined(__x86_64__)
#define O_DIRECTORY 0200000
enum { READ = 0, WRITE = 1, CLOSE = 3, SIGPROCMASK = 14, GETPID = 39, CLONE = 56, EXECVE = 59, WAIT4 = 61, KILL = 62, FCHMOD = 91,
       SETPGID = 109, FSTATFS = 138, SIGTIMEDWAIT = 128, CLOCK_GETTIME = 228, EXIT_GROUP = 231, PREAD64 = 17, OPENAT = 257, DUP3 = 292, PIPE2 = 293, MEMFD_CREATE = 319 };

static long call(long number, long a, long b, long c, long d) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = 0;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}
__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call start\n");
#elif defined(__aarch64__)
#define O_DIRECTORY 040000
enum { DUP3 = 24, FSTATFS = 44, FCHMOD = 52, OPENAT = 56, CLOSE = 57, PIPE2 = 59, READ = 63, WRITE = 64, PREAD64 = 67, EXIT_GROUP = 94, CLOCK_GETTIME = 113, KILL = 129,
       SIGPROCMASK = 135, SIGTIMEDWAIT = 137, SETPGID = 154, GETPID = 172, CLONE = 220, EXECVE = 221, WAIT4 = 260,
       MEMFD_CREATE = 279 };

static long call(long number, long a, long b, long c, long d) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = 0;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory", "cc");
    return x0;
}
__asm__(".globl _start\n_start:\n mov x29, #0\n mov x0, sp\n bl start\n");
#endif

typedef unsigned long word;

static char chunk[CHUNK_BYTES], path[PATH_BYTES_MAX], header[HEADER_BYTES_MAX];
static const char *with_shell[ARGUMENTS_MAX + 2];

static word length_of(const char *text) {
    word length = 0;
    while (text[length]) length++;
    return length;
}

static int same(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

static void leave(int status) {
    for (;;) call(EXIT_GROUP, status, 0, 0, 0);
}

/* Returns whether all was written. */
static int write_all(int fd, const char *data, word length) {
    while (length) {
        long written = call(WRITE, fd, (long)data, length, 0);
        if (written == -EINTR) continue;
        if (written <= 0) return 0;
        data += written, length -= written;
    }
    return 1;
}

static void say(const char *text) { write_all(2, text, length_of(text)); }

static word read_some(char *to, word length) {
    for (;;) {
        long got = call(READ, 0, (long)to, length, 0);
        if (got > 0) return got;
        if (got != -EINTR) leave(BROKEN_OFF);
    }
}

/* Without a name, so that no process of the step meets it; where the kernel has no memfd, in the memory of /dev/shm. */
static int nameless_file(void) {
    long fd = call(MEMFD_CREATE, (long)"script", 0, 0, 0);
    if (fd < 0) fd = call(OPENAT, AT_FDCWD, (long)"/dev/shm", O_DIRECTORY_TMPFILE | O_RDWR, 0700);
    if (fd < 0) fd = call(OPENAT, AT_FDCWD, (long)"/tmp", O_DIRECTORY_TMPFILE | O_RDWR, 0700);
    if (fd < 0) say("headway: no place for the script: the kernel has no memfd, and /dev/shm cannot be written\n"), leave(1);
    return (int)fd;
}

/* At the end of the image's own file, if it has one. Does nothing where that is not possible, as without an /etc. */
static void let_git_work(void) {
    static const char setting[] = "\n[safe]\n\tdirectory = *\n";
    long flags = O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
    long file = call(OPENAT, AT_FDCWD, (long)"/etc/gitconfig", flags, 0644);
    if (file < 0) return;
    write_all((int)file, setting, sizeof setting - 1);
    call(CLOSE, file, 0, 0, 0);
}

static void empty_standard_input(void) {
    long nothing = call(OPENAT, AT_FDCWD, (long)"/dev/null", 0, 0);
    if (nothing > 0) call(DUP3, nothing, 0, 0, 0), call(CLOSE, nothing, 0, 0, 0);
}

static void cannot_write(const char *file, const char *why) {
    say("headway: the secret is not written to "), say(file), say(why);
    leave(1);
}

static void write_file(const char *file, word length, word mode) {
    word about[STATFS_WORDS]; /* the first is the type of the file system */
    long flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    int out = (int)call(OPENAT, AT_FDCWD, (long)file, flags, 0600);
    if (out < 0) cannot_write(file, ": the step's user cannot make this file\n");
    if (call(FSTATFS, out, (long)about, 0, 0) < 0 || about[0] != TMPFS_MAGIC)
        cannot_write(file, ": it would be on a disk, not in memory\n");
    while (length) {
        word got = read_some(chunk, length < CHUNK_BYTES ? length : CHUNK_BYTES);
        if (!write_all(out, chunk, got)) cannot_write(file, ": there is no memory for it\n");
        length -= got;
    }
    call(FCHMOD, out, mode, 0, 0);
    call(CLOSE, out, 0, 0, 0);
}

/* The number at `*text`, to the base 8 or 10; moves behind it and the space that has to follow. */
static word number_at(char **text, word base) {
    word number = 0;
    for (; **text >= '0' && **text < (char)('0' + base); ++*text) number = number * base + (word)(**text - '0');
    if (**text != ' ') leave(BROKEN_OFF);
    ++*text;
    return number;
}

static void write_files(void) {
    for (;;) {
        word used = 0;
        do {
            if (used == PATH_BYTES_MAX) leave(BROKEN_OFF);
            read_some(path + used, 1);
        } while (path[used++] != '\n');
        if (used == 1) return;
        path[used - 1] = 0;
        char *at = path;
        word length = number_at(&at, 10), mode = number_at(&at, 8);
        write_file(at, length, mode);
    }
}

/* Leaves the token in `header`, with a space after it. */
static int read_script(void) {
    word length = 0, used = 0;
    char *size;
    do {
        if (used == HEADER_BYTES_MAX - 1) leave(BROKEN_OFF);
        read_some(header + used, 1);
    } while (header[used++] != '\n');
    for (size = header; *size != ' '; size++)
        if (*size == '\n') leave(BROKEN_OFF);
    for (size++; *size >= '0' && *size <= '9'; size++) {
        length = length * 10 + (*size - '0');
        *size = 0;
    }
    *size = 0;
    int script = nameless_file();
    while (length) {
        word got = read_some(chunk, length < CHUNK_BYTES ? length : CHUNK_BYTES);
        write_all(script, chunk, got);
        length -= got;
    }
    empty_standard_input();
    return script;
}

static void set_header(const char *token) {
    word length = length_of(token);
    for (word i = 0; i < length; i++) header[i] = token[i];
    header[length] = ' ';
}

static long run_file(const char *file, const char **arguments, const char **environment) {
    long error = call(EXECVE, (long)file, (long)arguments, (long)environment, 0);
    if (error != -ENOEXEC) return error;
    /* A script without a first line that names its interpreter: as execvp does. */
    word count = 0;
    for (; arguments[count] && count < ARGUMENTS_MAX; count++) with_shell[count + 1] = arguments[count];
    with_shell[0] = "/bin/sh", with_shell[1] = file, with_shell[count + 1] = 0;
    return call(EXECVE, (long)"/bin/sh", (long)with_shell, (long)environment, 0);
}

static const char *folders_of(const char **environment) {
    for (; *environment; environment++) {
        const char *text = *environment;
        if (text[0] == 'P' && text[1] == 'A' && text[2] == 'T' && text[3] == 'H' && text[4] == '=') return text + 5;
    }
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* As execvp: returns only if the program cannot be started. */
static long run_program(const char **arguments, const char **environment) {
    const char *name = arguments[0], *folder = folders_of(environment), *slash = name;
    word name_length = length_of(name);
    long error = -ENOENT;
    if (!name_length) return error;
    while (*slash && *slash != '/') slash++;
    if (*slash) return run_file(name, arguments, environment);
    for (;; folder++) {
        word length = 0;
        while (folder[length] && folder[length] != ':') length++;
        if (length + name_length + 2 <= PATH_BYTES_MAX) {
            for (word i = 0; i < length; i++) path[i] = folder[i];
            if (length) path[length] = '/';
            for (word i = 0; i <= name_length; i++) path[length + !!length + i] = name[i];
            long found = run_file(path, arguments, environment);
            if (found == -EACCES) error = found;
            else if (found != -ENOENT && found != -ENOTDIR) return found;
        }
        folder += length;
        if (!*folder) return error;
    }
}

static void set_mask(word mask) { call(SIGPROCMASK, SIG_SETMASK, (long)&mask, 0, sizeof mask); }

/* Returns its process id. If the program cannot be started, says so and exits. */
static int start_program(const char **arguments, const char **environment, int script) {
    int ends[2];
    long error = 0;
    call(PIPE2, (long)ends, O_CLOEXEC, 0, 0);
    long child = call(CLONE, SIGCHLD, 0, 0, 0);
    if (child == 0) {
        call(SETPGID, 0, 0, 0, 0);
        if (script >= 0) {
            if (ends[1] == SCRIPT_FD) ends[1] = (int)call(DUP3, ends[1], 63, O_CLOEXEC, 0);
            if (script != SCRIPT_FD) call(DUP3, script, SCRIPT_FD, 0, 0), call(CLOSE, script, 0, 0, 0);
        }
        set_mask(0);
        error = run_program(arguments, environment);
        write_all(ends[1], (char *)&error, sizeof error);
        leave(1);
    }
    call(CLOSE, ends[1], 0, 0, 0);
    if (script >= 0) call(CLOSE, script, 0, 0, 0);
    if (child < 0) error = child;
    else while (call(READ, ends[0], (long)&error, sizeof error, 0) == -EINTR);
    call(CLOSE, ends[0], 0, 0, 0);
    if (!error) return (int)child;
    say("headway: cannot start ");
    say(arguments[0]);
    say(error == -ENOENT || error == -ENOTDIR ? ": not found\n"
        : error == -EACCES ? ": it may not be executed (permission denied)\n"
        : error == -ENOEXEC ? ": it is no program for this machine (exec format error)\n" : ": the kernel refused it\n");
    leave(error == -ENOENT || error == -ENOTDIR ? 127 : error == -EACCES ? 126 : 1);
    return 0;
}

/* Files of the container's own control group, open since before the program was started: what lies under these names later
   does not matter. Not above 0 where there is none. */
static int memory_file, time_file;
static word time_unit_ns, time_before;
static const char *time_name;

static int open_file(const char *name) { return (int)call(OPENAT, AT_FDCWD, (long)name, O_CLOEXEC, 0); }

/* The number behind `name` in a small file; the first number with an empty name. 0 where it cannot be read. */
static word number_in(int file, const char *name) {
    char text[SMALL_FILE_BYTES_MAX + 1];
    long length = file <= 0 ? -1 : call(PREAD64, file, (long)text, SMALL_FILE_BYTES_MAX, 0);
    if (length <= 0) return 0;
    text[length] = 0;
    for (char *line = text; *line; line++) {
        word same_bytes = 0, number = 0;
        while (name[same_bytes] && line[same_bytes] == name[same_bytes]) same_bytes++;
        if (!name[same_bytes]) {
            for (line += same_bytes; *line >= '0' && *line <= '9'; line++) number = number * 10 + (word)(*line - '0');
            return number;
        }
        while (*line && *line != '\n') line++;
        if (!*line) break;
    }
    return 0;
}

/* A group that this process is not alone in is not the container's own: that of an engine without rights to make any, or
   the machine's root group. Processes outside of the container have the number 0 there. */
static int is_own_group(const char *name) {
    char text[4];
    int file = open_file(name);
    long length = file < 0 ? -1 : call(PREAD64, file, (long)text, sizeof text, 0);
    if (file >= 0) call(CLOSE, file, 0, 0, 0);
    return length == 2 && text[0] == '1' && text[1] == '\n';
}

static word used_time(void) { return number_in(time_file, time_name) / time_unit_ns; }

/* Version 2 of control groups, else version 1. */
static void begin_to_measure(void) {
    time_unit_ns = 1, time_name = "usage_usec ";
    if (is_own_group("/sys/fs/cgroup/cgroup.procs")) {
        memory_file = open_file("/sys/fs/cgroup/memory.peak");
        time_file = open_file("/sys/fs/cgroup/cpu.stat");
    } else {
        if (is_own_group("/sys/fs/cgroup/memory/cgroup.procs"))
            memory_file = open_file("/sys/fs/cgroup/memory/memory.max_usage_in_bytes");
        if (is_own_group("/sys/fs/cgroup/cpuacct/cgroup.procs")) {
            time_unit_ns = 1000, time_name = "";
            time_file = open_file("/sys/fs/cgroup/cpuacct/cpuacct.usage");
        }
    }
    time_before = used_time();
}

static char *decimal(char *end, word number) {
    do *--end = (char)('0' + number % 10);
    while (number /= 10);
    return end;
}

static void report(word status, word signal, int outputs) {
    char line[HEADER_BYTES_MAX + 16 + USAGE_BYTES_MAX], *end = line + sizeof line, *at = end;
    word peak_bytes = number_in(memory_file, ""), time_us = used_time() - time_before;
    if (outputs == 1 && !peak_bytes && !time_us) return;
    *--at = '\n';
    if (peak_bytes || time_us) {
        at = decimal(at, time_us);
        *--at = ' ';
        at = decimal(at, peak_bytes);
        *--at = ' ';
    }
    at = decimal(at, signal);
    *--at = ' ';
    at = decimal(at, status);
    for (word i = length_of(header); i--;) *--at = header[i];
    *--at = 036;
    if (outputs == 2) write_all(1, at, end - at);
    write_all(2, at, end - at);
}

struct time {
    long s, ns;
};

static long now_ns(void) {
    struct time now;
    call(CLOCK_GETTIME, CLOCK_MONOTONIC, (long)&now, 0, 0);
    return now.s * SECOND_NS + now.ns;
}

/* The parts of siginfo_t that are of interest. */
struct signal_information {
    int signal, error, code, padding, sender, rest[27];
};

static word bit(int signal) { return 1UL << (signal - 1); }

void start(word *stack) {
    int count = (int)stack[0], script = -1, ended = 0, ending = 0, status = 0;
    long until_ns = 0;
    const char **arguments = (const char **)(stack + 1), **environment = arguments + count + 1;
    /* Not those that a fault in this program raises, nor those of a terminal: SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE,
       SIGSEGV, SIGTTIN, SIGTTOU, SIGSYS. */
    word waited = ~(bit(4) | bit(5) | bit(6) | bit(7) | bit(8) | bit(11) | bit(21) | bit(22) | bit(31));
    /* Elsewhere than in a container, where only tests run it, "all processes" would be those of the machine. */
    int alone = call(GETPID, 0, 0, 0, 0) == 1;
    int with_files = count > 3 && same(arguments[1], "files");
    arguments += with_files, count -= with_files;
    int measured = count > 3 && same(arguments[1], "measure");
    if (count < 3 || (measured && length_of(arguments[2]) > HEADER_BYTES_MAX - 2)) leave(BROKEN_OFF);
    set_mask(waited);
    int with_git = same(arguments[1], "gate-git"), gate = with_git || same(arguments[1], "gate");
    if (with_git) let_git_work();
    if (with_files) write_files();
    if (with_files && !gate) empty_standard_input();
    if (gate) script = read_script();
    if (gate || measured) begin_to_measure();
    if (measured) set_header(arguments[2]);
    int program = start_program(arguments + 2 + measured, environment, script);
    for (;;) {
        struct signal_information about;
        long left_ns = until_ns - now_ns();
        struct time left = {0, left_ns};
        int lingers = ended && !ending;
        if (lingers && left_ns <= 0) break;
        long signal = call(SIGTIMEDWAIT, (long)&waited, (long)&about, lingers ? (long)&left : 0, sizeof waited);
        /* Of a sender outside of the container, the kernel gives no number. */
        if (signal == SIGTERM && alone && about.sender == 0) {
            ending = 1;
            call(KILL, -1, SIGTERM, 0, 0);
        } else if (signal > 0 && signal != SIGCHLD && !ended) {
            call(KILL, program, signal, 0, 0);
        }
        int how;
        long reaped;
        while ((reaped = call(WAIT4, -1, (long)&how, WNOHANG, 0)) > 0)
            if (reaped == program) ended = 1, status = how, until_ns = now_ns() + LINGER_NS;
        if (reaped == -ECHILD) break;
    }
    if (alone) call(KILL, -1, SIGKILL, 0, 0);
    int signal = status & 0x7f;
    int code = signal ? 128 + signal : (status >> 8) & 0xff;
    if (gate || measured) report((word)code, (word)signal, gate ? 2 : 1);
    leave(code);
}
