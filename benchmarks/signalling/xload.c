/* xload: load for a signalling server that speaks XMPP over WebSocket (RFC 7395).
 *
 * One thread, epoll, no dependencies:  gcc -O3 -march=native -o xload xload.c -lm
 * Prints one JSON line. README.md beside this file explains modes and figures.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000ull
#define RAMP_LIMIT_S 60
#define READ_SIZE (256 * 1024)
#define MAX_SAMPLES 8000000

enum state { CONNECTING, UPGRADING, FEATURES, AUTHENTICATING, RESTARTED, BINDING, READY, DEAD };

/* Bytes that wait: an incomplete frame that came in, or what the socket did not take. */
typedef struct {
  char* data;
  uint32_t length, capacity;
} buffer;

typedef struct {
  int fd, index, wants_output;
  enum state state;
  buffer in, out, fragments;
  uint64_t started_at;
} connection;

static struct {
  const char *host, *path, *domain, *user_format, *password, *mode, *payload, *pids;
  int port, clients, first, concurrency, sources, pairs, window, size;
  double rate, warm, duration, settle, hold;
} opt = {
    .host = "127.0.0.1",
    .path = "/chat",
    .domain = "localhost",
    .user_format = "%d-1",
    .password = "",
    .mode = "pair",
    .payload = "sdp",
    .pids = "",
    .port = 8080,
    .clients = 1000,
    .first = 1,
    .concurrency = 64,
    .pairs = 200,
    .window = 1,
    .size = 2048,
    .warm = 1,
    .duration = 5,
    .settle = 2,
    .hold = 3,
};

static int epoll_fd, client_count;
static connection* clients;
static char** passwords;
static struct sockaddr_in server_address;

static int ready, failed, closed, in_flight;
static uint64_t sent, received, error_stanzas, wrong_from, last_ready_at;
static int measuring, replying;
static uint64_t measured;
static uint32_t *latencies, *handshakes; /* units of 0.1 us and of 1 us */
static size_t latency_count, handshake_count;
static char first_problem[256];

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * NS + t.tv_nsec;
}

static uint64_t random_bits(void) {
  static uint64_t x = 0x9E3779B97F4A7C15ull;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return x;
}

static void die(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(2);
}

static void problem(const char* format, ...) {
  if (first_problem[0]) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(first_problem, sizeof first_problem, format, arguments);
  va_end(arguments);
}

static void append(buffer* b, const char* data, size_t length) {
  if (b->length + length > b->capacity) {
    b->capacity = (b->length + length) * 2;
    b->data = realloc(b->data, b->capacity);
  }
  memcpy(b->data + b->length, data, length);
  b->length += length;
}

static void release(buffer* b) {
  free(b->data);
  *b = (buffer){0};
}

/* ---- what the server used, from /proc ---- */

typedef struct {
  double cpu, busy, rss, pss; /* seconds, seconds of the whole machine, KB, KB */
} usage;

static int server_pids[4096], server_pid_count;

static void add_server_pid(int pid) {
  for (int i = 0; i < server_pid_count; i++)
    if (server_pids[i] == pid) return;
  if (server_pid_count < 4096) server_pids[server_pid_count++] = pid;
}

/* The processes named with --pid, and all their descendants. */
static void collect_server_pids(void) {
  static int pids[65536], parents[65536];
  int count = 0;
  DIR* directory = opendir("/proc");
  for (struct dirent* entry; (entry = readdir(directory)) && count < 65536;) {
    char path[300], text[1024], status;
    if (!isdigit(entry->d_name[0])) continue;
    snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
    FILE* file = fopen(path, "r");
    if (!file) continue;
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    char* after_name = strrchr(text, ')');
    if (after_name && sscanf(after_name + 2, "%c %d", &status, &parents[count]) == 2)
      pids[count++] = atoi(entry->d_name);
  }
  closedir(directory);
  server_pid_count = 0;
  char named[1024];
  snprintf(named, sizeof named, "%s", opt.pids);
  for (char* pid = strtok(named, ","); pid; pid = strtok(NULL, ",")) add_server_pid(atoi(pid));
  for (int i = 0; i < server_pid_count; i++)
    for (int j = 0; j < count; j++)
      if (parents[j] == server_pids[i]) add_server_pid(pids[j]);
}

/* Time on a processor of every live thread, in seconds: exact, unlike the ticks in `stat`. */
static double thread_seconds(int pid) {
  char path[400];
  double total = 0;
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR* directory = opendir(path);
  if (!directory) return 0;
  for (struct dirent* entry; (entry = readdir(directory));) {
    unsigned long long nanoseconds;
    if (!isdigit(entry->d_name[0])) continue;
    snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, entry->d_name);
    FILE* file = fopen(path, "r");
    if (!file) continue;
    if (fscanf(file, "%llu", &nanoseconds) == 1) total += nanoseconds / 1e9;
    fclose(file);
  }
  closedir(directory);
  return total;
}

static usage measure_usage(int with_memory) {
  usage result = {0};
  char path[64], line[2048];
  collect_server_pids();
  for (int i = 0; i < server_pid_count; i++) {
    result.cpu += thread_seconds(server_pids[i]);
    if (!with_memory) continue;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", server_pids[i]);
    FILE* file = fopen(path, "r");
    if (!file) continue;
    for (double kb; fgets(line, sizeof line, file);)
      if (sscanf(line, "Rss: %lf", &kb) == 1) result.rss += kb;
      else if (sscanf(line, "Pss: %lf", &kb) == 1) result.pss += kb;
    fclose(file);
  }
  FILE* file = fopen("/proc/stat", "r");
  unsigned long t[7] = {0};
  if (file && fscanf(file, "cpu %lu %lu %lu %lu %lu %lu %lu", t, t + 1, t + 2, t + 3, t + 4, t + 5,
                     t + 6) == 7)
    result.busy = (double)(t[0] + t[1] + t[2] + t[5] + t[6]) / sysconf(_SC_CLK_TCK);
  if (file) fclose(file);
  return result;
}

static double own_cpu(void) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return r.ru_utime.tv_sec + r.ru_stime.tv_sec + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* ---- sockets and frames ---- */

static void drop(connection* c, const char* why) {
  if (c->state == DEAD) return;
  if (c->state == READY) {
    ready--;
    closed++;
  } else {
    failed++;
    in_flight--;
  }
  problem("client %d in state %d: %s", c->index, c->state, why);
  close(c->fd);
  c->state = DEAD;
  release(&c->in);
  release(&c->out);
  release(&c->fragments);
}

static void want_output(connection* c, int wanted) {
  if (c->wants_output == wanted) return;
  c->wants_output = wanted;
  struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static void write_bytes(connection* c, const char* data, size_t length) {
  if (c->state == DEAD) return;
  if (!c->out.length) {
    ssize_t n = write(c->fd, data, length);
    if (n < 0 && errno != EAGAIN) return drop(c, strerror(errno));
    if (n < 0) n = 0;
    if ((size_t)n == length) return;
    data += n;
    length -= n;
  }
  append(&c->out, data, length);
  want_output(c, 1);
}

static void flush_output(connection* c) {
  while (c->out.length) {
    ssize_t n = write(c->fd, c->out.data, c->out.length);
    if (n < 0) {
      if (errno != EAGAIN) drop(c, strerror(errno));
      return;
    }
    memmove(c->out.data, c->out.data + n, c->out.length - n);
    c->out.length -= n;
  }
  want_output(c, 0);
}

static void send_frame(connection* c, int opcode, const char* payload, size_t length) {
  static unsigned char frame[1 << 18];
  size_t header = 2;
  frame[0] = 0x80 | opcode;
  if (length < 126) {
    frame[1] = 0x80 | length;
  } else if (length < 65536) {
    frame[1] = 0x80 | 126;
    frame[2] = length >> 8;
    frame[3] = length;
    header = 4;
  } else {
    die("a message of %zu bytes is too long", length);
  }
  uint32_t mask = random_bits() >> 16;
  uint64_t wide_mask = (uint64_t)mask << 32 | mask;
  memcpy(frame + header, &mask, 4);
  header += 4;
  size_t i = 0;
  for (; i + 8 <= length; i += 8) {
    uint64_t word;
    memcpy(&word, payload + i, 8);
    word ^= wide_mask;
    memcpy(frame + header + i, &word, 8);
  }
  for (; i < length; i++) frame[header + i] = payload[i] ^ ((unsigned char*)&mask)[i & 3];
  write_bytes(c, (char*)frame, header + length);
}

static void send_text(connection* c, const char* text) { send_frame(c, 1, text, strlen(text)); }

/* ---- stanzas ---- */

static char children[65536]; /* of every <message/>, with its end tag */
static int children_length;

static void add(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  children_length +=
      vsnprintf(children + children_length, sizeof children - children_length, format, arguments);
  va_end(arguments);
}

/* A call signal that with a start tag of about 110 bytes comes to opt.size bytes. */
static void make_children(void) {
  int wanted = opt.size - 118, ice = !strcmp(opt.payload, "ice");
  add("<extraParams xmlns=\"jabber:client\"><moduleIdentifier>WebRTCVideoChat</moduleIdentifier>"
      "<signalType>%s</signalType><sessionID>1b2c7a5e-2f0a-4c35-9f1d-55ac6e1f0b77</sessionID>"
      "<callType>1</callType><platform>web</platform><callerID>10001</callerID>"
      "<opponentsIDs><opponentID>10002</opponentID></opponentsIDs>",
      ice ? "iceCandidates" : "call");
  if (ice) {
    add("<iceCandidates>");
    for (int k = 0; children_length < wanted - 260; k++)
      add("<iceCandidate><sdpMLineIndex>%d</sdpMLineIndex><sdpMid>%d</sdpMid>"
          "<candidate>candidate:%d 1 udp 2122260223 192.168.1.%d %d typ host generation 0 "
          "ufrag Yf3k network-id 1</candidate></iceCandidate>",
          k & 1, k & 1, 84216000 + k, k + 2, 50000 + k);
    add("</iceCandidates>");
    while (children_length < wanted - 36) add(" ");
  } else {
    add("<sdp>v=0&#xD;\no=- 4611731400430051336 2 IN IP4 127.0.0.1&#xD;\ns=-&#xD;\nt=0 0&#xD;\n"
        "a=group:BUNDLE 0 1&#xD;\nm=video 9 UDP/TLS/RTP/SAVPF 96 97 98&#xD;\n");
    for (int k = 0; children_length < wanted - 110; k++)
      add("a=rtpmap:%d VP8/90000&#xD;\na=rtcp-fb:%d nack pli&#xD;\n", 96 + k % 32, 96 + k % 32);
    while (children_length < wanted - 36) add("x");
    add("</sdp>");
  }
  add("</extraParams></message>");
}

static void user_name(int index, char name[64]) {
  snprintf(name, 64, opt.user_format, opt.first + index);
}

/* To the other client of the pair. The id carries the time at which it was due. */
static void send_stanza(connection* c, uint64_t due) {
  static char text[1 << 17];
  char name[64];
  user_name(c->index ^ 1, name);
  int length = sprintf(text,
                       "<message to=\"%s@%s\" id=\"s%016llx\" type=\"headline\" "
                       "xmlns=\"jabber:client\">",
                       name, opt.domain, (unsigned long long)due);
  memcpy(text + length, children, children_length);
  sent++;
  send_frame(c, 1, text, length + children_length);
}

static int contains(const char* data, size_t length, const char* text) {
  return memmem(data, length, text, strlen(text)) != NULL;
}

static void on_message(connection* c, char* data, size_t length) {
  size_t head = length < 420 ? length : 420;
  char name[64], *id = NULL;
  for (char* s = data + 1; s + 21 < data + head && !id; s++)
    if (s[-1] == ' ' && !memcmp(s, "id=", 3) && s[4] == 's') id = s + 5;
  user_name(c->index ^ 1, name);
  if (contains(data, head, "type=\"error\"") || contains(data, head, "type='error'") || !id) {
    error_stanzas++;
    problem("error stanza: %.*s", (int)(length < 200 ? length : 200), data);
    return;
  }
  if (!contains(data, head, name)) wrong_from++;
  received++;
  if (measuring) {
    uint64_t due = 0;
    for (int i = 0; i < 16; i++) due = due << 4 | (id[i] <= '9' ? id[i] - '0' : id[i] - 'a' + 10);
    uint64_t late = (now_ns() - due) / 100;
    measured++;
    if (latency_count < MAX_SAMPLES)
      latencies[latency_count++] = late > UINT32_MAX ? UINT32_MAX : late;
  }
  if (replying) send_stanza(c, now_ns());
}

static void answer_ping(connection* c, char* data, size_t length) {
  char *id = memmem(data, length, " id=", 4), answer[300];
  if (!id || !contains(data, length, "urn:xmpp:ping")) return;
  char* end = memchr(id + 5, id[4], data + length - id - 5);
  if (!end || end - id > 100) return;
  snprintf(answer, sizeof answer, "<iq xmlns=\"jabber:client\" type=\"result\" id=\"%.*s\"/>",
           (int)(end - id - 5), id + 5);
  send_text(c, answer);
}

/* ---- login ---- */

static void send_upgrade(connection* c) {
  char request[1024];
  int length = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n",
                        opt.path, opt.domain, opt.port);
  c->state = UPGRADING;
  write_bytes(c, request, length);
}

static void send_open(connection* c) {
  char text[300];
  snprintf(text, sizeof text,
           "<open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" to=\"%s\" version=\"1.0\"/>",
           opt.domain);
  send_text(c, text);
}

static void base64(const unsigned char* in, int length, char* out) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int i = 0; i < length; i += 3) {
    int bits =
        in[i] << 16 | (i + 1 < length ? in[i + 1] << 8 : 0) | (i + 2 < length ? in[i + 2] : 0);
    *out++ = digits[bits >> 18];
    *out++ = digits[bits >> 12 & 63];
    *out++ = i + 1 < length ? digits[bits >> 6 & 63] : '=';
    *out++ = i + 2 < length ? digits[bits & 63] : '=';
  }
  *out = 0;
}

static void send_auth(connection* c) {
  char name[64], plain[300], encoded[420], text[600];
  user_name(c->index, name);
  const char* password = passwords ? passwords[c->index] : opt.password;
  int length = 1 + snprintf(plain + 1, sizeof plain - 1, "%s%c%s", name, 0, password);
  plain[0] = 0;
  base64((unsigned char*)plain, length, encoded);
  snprintf(text, sizeof text,
           "<auth xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\" mechanism=\"PLAIN\">%s</auth>",
           encoded);
  c->state = AUTHENTICATING;
  send_text(c, text);
}

static void on_ready(connection* c) {
  c->state = READY;
  ready++;
  in_flight--;
  last_ready_at = now_ns();
  handshakes[handshake_count++] = (last_ready_at - c->started_at) / 1000;
  send_text(c, "<presence xmlns=\"jabber:client\"/>");
}

static void on_text(connection* c, char* data, size_t length) {
  if (contains(data, length, "stream:error") || contains(data, length, "<failure") ||
      (length > 7 && !memcmp(data, "<close ", 7)))
    problem("state %d: %.*s", c->state, (int)(length < 200 ? length : 200), data);
  if (c->state == READY) {
    if (length > 8 && !memcmp(data, "<message", 8)) on_message(c, data, length);
    else if (length > 3 && !memcmp(data, "<iq", 3)) answer_ping(c, data, length);
  } else if (c->state == FEATURES && contains(data, length, "features")) {
    send_auth(c);
  } else if (c->state == AUTHENTICATING && contains(data, length, "<success")) {
    c->state = RESTARTED;
    send_open(c);
  } else if (c->state == RESTARTED && contains(data, length, "features")) {
    c->state = BINDING;
    send_text(c,
              "<iq xmlns=\"jabber:client\" type=\"set\" id=\"bind1\">"
              "<bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"/></iq>");
  } else if (c->state == BINDING && contains(data, length, "bind1")) {
    if (contains(data, length, "result")) on_ready(c);
    else drop(c, "bind refused");
  }
}

/* One frame at `data`: its length with header, or 0 if it is not complete yet. */
static size_t on_frame(connection* c, char* data, size_t available) {
  unsigned char* f = (unsigned char*)data;
  if (available < 2) return 0;
  size_t length = f[1] & 127, header = length == 126 ? 4 : length == 127 ? 10 : 2;
  if (available < header) return 0;
  if (header > 2) {
    length = 0;
    for (size_t i = 2; i < header; i++) length = length << 8 | f[i];
  }
  if (available < header + length) return 0;
  int opcode = f[0] & 15, final = f[0] >> 7;
  data += header;
  if (opcode == 8) {
    problem("WebSocket close %d",
            length >= 2 ? (unsigned char)data[0] << 8 | (unsigned char)data[1] : 0);
    drop(c, "closed by the server");
  } else if (opcode == 9) {
    send_frame(c, 10, data, length);
  } else if (opcode == 0 || (opcode == 1 && !final)) {
    append(&c->fragments, data, length);
    if (final) {
      size_t whole = c->fragments.length;
      c->fragments.length = 0;
      on_text(c, c->fragments.data, whole);
    }
  } else if (opcode == 1) {
    on_text(c, data, length);
  }
  return header + length;
}

static void on_bytes(connection* c, char* data, size_t length) {
  size_t used = 0, n;
  if (c->state == UPGRADING) {
    char* end = memmem(data, length, "\r\n\r\n", 4);
    if (end) {
      if (!memmem(data, end - data, " 101 ", 5)) return drop(c, "no WebSocket there");
      used = end - data + 4;
      c->state = FEATURES;
      send_open(c);
    }
  }
  while (c->state > UPGRADING && c->state != DEAD && (n = on_frame(c, data + used, length - used)))
    used += n;
  if (c->state == DEAD) return;
  c->in.length = 0;
  append(&c->in, data + used, length - used);
}

static void on_event(struct epoll_event* event) {
  static char bytes[1 << 20];
  connection* c = event->data.ptr;
  if (c->state == DEAD) return;
  if (c->state == CONNECTING) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) return drop(c, strerror(error));
    if (event->events & EPOLLOUT) {
      want_output(c, 0);
      send_upgrade(c);
    }
    return;
  }
  if (event->events & EPOLLOUT) flush_output(c);
  if (c->state == DEAD || !(event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  size_t kept = c->in.length;
  memcpy(bytes, c->in.data, kept);
  ssize_t n = read(c->fd, bytes + kept, READ_SIZE);
  if (n > 0) on_bytes(c, bytes, kept + n);
  else if (n == 0) drop(c, "end of stream");
  else if (errno != EAGAIN) drop(c, strerror(errno));
}

static void turn(int64_t limit_ns) {
  struct epoll_event events[512];
  struct timespec limit = {limit_ns / NS, limit_ns % NS};
  int n = epoll_pwait2(epoll_fd, events, 512, &limit, NULL);
  for (int i = 0; i < n; i++) on_event(&events[i]);
}

static void run_for(double seconds) {
  uint64_t end = now_ns() + (uint64_t)(seconds * NS), now;
  while ((now = now_ns()) < end) turn(end - now < NS / 1000 ? end - now : NS / 1000);
}

static void start_client(int index) {
  connection* c = &clients[index];
  int on = 1;
  c->index = index;
  c->started_at = now_ns();
  c->state = CONNECTING;
  c->wants_output = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) die("socket: %s", strerror(errno));
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  struct sockaddr_in source = {.sin_family = AF_INET};
  source.sin_addr.s_addr = htonl(0x7f000002 + index % opt.sources);
  if (bind(c->fd, (void*)&source, sizeof source)) die("bind: %s", strerror(errno));
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
  in_flight++;
  if (connect(c->fd, (void*)&server_address, sizeof server_address) && errno != EINPROGRESS)
    drop(c, strerror(errno));
}

/* ---- the two measurements ---- */

static int by_size(const void* a, const void* b) {
  uint32_t x = *(const uint32_t*)a, y = *(const uint32_t*)b;
  return x < y ? -1 : x > y;
}

static double percentile(const uint32_t* sorted, size_t count, double p, double unit) {
  if (!count) return -1;
  size_t i = p * count;
  return sorted[i < count ? i : count - 1] * unit;
}

static void log_everybody_in(void) {
  usage before = measure_usage(0), after;
  uint64_t start = now_ns();
  for (int started = 0; ready + failed < client_count;) {
    while (started < client_count && in_flight < opt.concurrency) start_client(started++);
    turn(NS / 20);
    if (now_ns() - start > RAMP_LIMIT_S * NS || failed > 200) break;
  }
  after = measure_usage(0);
  double seconds = ((last_ready_at ? last_ready_at : now_ns()) - start) / 1e9;
  qsort(handshakes, handshake_count, sizeof *handshakes, by_size);
  printf(
      "{\"mode\":\"%s\",\"clients\":%d,\"ready\":%d,\"failed\":%d,\"logins_per_s\":%.1f,"
      "\"cpu_ms_per_login\":%.4f,\"login_p50_ms\":%.3f,\"login_p99_ms\":%.3f",
      opt.mode, client_count, ready, failed, ready / seconds,
      ready ? (after.cpu - before.cpu) * 1e3 / ready : 0,
      percentile(handshakes, handshake_count, .5, 1e-3),
      percentile(handshakes, handshake_count, .99, 1e-3));
}

static void measure_idle(usage before) {
  run_for(opt.settle);
  usage settled = measure_usage(1);
  run_for(opt.hold);
  usage after = measure_usage(1);
  int up = ready ? ready : 1;
  printf(
      ",\"rss_before_mb\":%.1f,\"rss_mb\":%.1f,\"rss_kb_per_client\":%.3f,"
      "\"pss_kb_per_client\":%.3f,\"idle_cpu_pct\":%.3f,\"alive\":%d",
      before.rss / 1024, settled.rss / 1024, (settled.rss - before.rss) / up,
      (settled.pss - before.pss) / up, (after.cpu - settled.cpu) / opt.hold * 100, ready);
}

static double next_arrival(void) {
  double uniform = ((random_bits() >> 11) + 1) / 9007199254740993.0;
  return -log(uniform) / opt.rate * 1e9;
}

/* Closed loop: `window` stanzas in flight per pair. Open loop: Poisson arrivals at `rate`. */
static void measure_pairs(void) {
  run_for(0.5);
  int members = 2 * opt.pairs;
  uint64_t begin = now_ns() + (uint64_t)(opt.warm * NS),
           end = begin + (uint64_t)(opt.duration * NS);
  uint64_t began_at = 0, now, turns = 0;
  usage before = {0}, after;
  double own_before = 0, due = now_ns();
  replying = opt.rate <= 0;
  if (replying)
    for (int pair = 0; pair < opt.pairs; pair++)
      for (int w = 0; w < opt.window; w++) send_stanza(&clients[2 * pair + (w & 1)], now_ns());
  while ((now = now_ns()) < end) {
    if (!measuring && now >= begin) {
      before = measure_usage(0);
      own_before = own_cpu();
      began_at = now_ns();
      measuring = 1;
    }
    int64_t wait = NS / 1000, until = (measuring ? end : begin) - now;
    if (until < wait) wait = until;
    if (opt.rate > 0) {
      for (int burst = 0; due <= now && burst < 256; burst++) {
        connection* c = &clients[turns++ * 7919 % members];
        if (c->state == READY) send_stanza(c, due);
        due += next_arrival();
      }
      if (due - now < wait) wait = due > now ? due - now : 0;
    }
    turn(wait > 0 ? wait : 0);
  }
  measuring = replying = 0;
  after = measure_usage(0);
  double seconds = (now_ns() - began_at) / 1e9, cpu = after.cpu - before.cpu;
  double own = own_cpu() - own_before;
  uint64_t stanzas = measured;
  run_for(0.2);
  for (int i = 0; received < sent && i < 100; i++) run_for(0.1);
  qsort(latencies, latency_count, sizeof *latencies, by_size);
  printf(
      ",\"pairs\":%d,\"stanzas\":%llu,\"stanzas_per_s\":%.0f,\"cpu_us_per_stanza\":%.3f,"
      "\"server_cpu_pct\":%.1f,\"own_cpu_pct\":%.1f,\"other_cpu_pct\":%.1f,"
      "\"p50_ms\":%.4f,\"p99_ms\":%.4f,\"p999_ms\":%.4f,\"max_ms\":%.3f,"
      "\"lost\":%lld,\"wrong_from\":%llu",
      opt.pairs, (unsigned long long)stanzas, stanzas / seconds, stanzas ? cpu * 1e6 / stanzas : 0,
      cpu / seconds * 100, own / seconds * 100,
      (after.busy - before.busy - cpu - own) / seconds * 100,
      percentile(latencies, latency_count, .5, 1e-4),
      percentile(latencies, latency_count, .99, 1e-4),
      percentile(latencies, latency_count, .999, 1e-4),
      percentile(latencies, latency_count, 1, 1e-4), (long long)(sent - received),
      (unsigned long long)wrong_from);
}

static void print_escaped(const char* text) {
  for (; *text; text++)
    if (*text == '"' || *text == '\\') printf("\\%c", *text);
    else putchar((unsigned char)*text < 32 || (unsigned char)*text > 126 ? '?' : *text);
}

static void read_passwords(const char* path) {
  FILE* file = fopen(path, "r");
  char line[512];
  if (!file) die("%s: %s", path, strerror(errno));
  passwords = calloc(client_count, sizeof *passwords);
  for (int i = 0; i < client_count; i++) {
    if (!fgets(line, sizeof line, file)) die("%s has fewer than %d lines", path, client_count);
    line[strcspn(line, "\n")] = 0;
    passwords[i] = strdup(line);
  }
  fclose(file);
}

static const char* read_options(int argc, char** argv) {
  enum {
    FIRST = 256,
    PASSWORDS,
    SOURCES,
    PAIRS,
    WINDOW,
    RATE,
    SIZE,
    PAYLOAD,
    WARM,
    SETTLE,
    HOLD,
    PID
  };
  static const struct option names[] = {{"host", 1, 0, 'h'},
                                        {"port", 1, 0, 'p'},
                                        {"path", 1, 0, 'P'},
                                        {"domain", 1, 0, 'd'},
                                        {"user", 1, 0, 'u'},
                                        {"password", 1, 0, 'w'},
                                        {"mode", 1, 0, 'm'},
                                        {"clients", 1, 0, 'n'},
                                        {"concurrency", 1, 0, 'c'},
                                        {"duration", 1, 0, 't'},
                                        {"first", 1, 0, FIRST},
                                        {"passwords", 1, 0, PASSWORDS},
                                        {"sources", 1, 0, SOURCES},
                                        {"pairs", 1, 0, PAIRS},
                                        {"window", 1, 0, WINDOW},
                                        {"rate", 1, 0, RATE},
                                        {"size", 1, 0, SIZE},
                                        {"payload", 1, 0, PAYLOAD},
                                        {"warm", 1, 0, WARM},
                                        {"settle", 1, 0, SETTLE},
                                        {"hold", 1, 0, HOLD},
                                        {"pid", 1, 0, PID},
                                        {0}};
  const char* password_file = NULL;
  for (int o; (o = getopt_long(argc, argv, "", names, NULL)) > 0;) switch (o) {
      case 'h': opt.host = optarg; break;
      case 'p': opt.port = atoi(optarg); break;
      case 'P': opt.path = optarg; break;
      case 'd': opt.domain = optarg; break;
      case 'u': opt.user_format = optarg; break;
      case 'w': opt.password = optarg; break;
      case 'm': opt.mode = optarg; break;
      case 'n': opt.clients = atoi(optarg); break;
      case 'c': opt.concurrency = atoi(optarg); break;
      case 't': opt.duration = atof(optarg); break;
      case FIRST: opt.first = atoi(optarg); break;
      case PASSWORDS: password_file = optarg; break;
      case SOURCES: opt.sources = atoi(optarg); break;
      case PAIRS: opt.pairs = atoi(optarg); break;
      case WINDOW: opt.window = atoi(optarg); break;
      case RATE: opt.rate = atof(optarg); break;
      case SIZE: opt.size = atoi(optarg); break;
      case PAYLOAD: opt.payload = optarg; break;
      case WARM: opt.warm = atof(optarg); break;
      case SETTLE: opt.settle = atof(optarg); break;
      case HOLD: opt.hold = atof(optarg); break;
      case PID: opt.pids = optarg; break;
      default: die("usage: xload --mode idle|pair …, see README.md");
    }
  return password_file;
}

int main(int argc, char** argv) {
  const char* password_file = read_options(argc, argv);
  int idle = !strcmp(opt.mode, "idle");
  struct rlimit files;
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1);
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  client_count = idle ? opt.clients : 2 * opt.pairs;
  if (!opt.sources) opt.sources = client_count / 20000 + 1;
  if (password_file) read_passwords(password_file);
  server_address.sin_family = AF_INET;
  server_address.sin_port = htons(opt.port);
  if (inet_pton(AF_INET, opt.host, &server_address.sin_addr) != 1)
    die("--host must be an IPv4 address");
  clients = calloc(client_count, sizeof *clients);
  handshakes = calloc(client_count, sizeof *handshakes);
  latencies = idle ? NULL : malloc(MAX_SAMPLES * sizeof *latencies);
  epoll_fd = epoll_create1(0);
  make_children();

  usage before = measure_usage(idle);
  log_everybody_in();
  if (idle) measure_idle(before);
  else measure_pairs();
  printf(",\"closed\":%d,\"error_stanzas\":%llu,\"problem\":\"", closed,
         (unsigned long long)error_stanzas);
  print_escaped(first_problem);
  printf("\"}\n");

  struct linger reset = {1, 0}; /* leave no sockets in TIME-WAIT behind */
  for (int i = 0; i < client_count; i++)
    if (clients[i].state == READY)
      setsockopt(clients[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  return 0;
}
