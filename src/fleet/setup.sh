#!/bin/sh
# Makes this machine a worker of a Hatch fleet: a service that reports every
# five minutes that the machine lives and which containers it runs.
#
#   curl -fsS '<API>/api/setup?wallet=0x…&token=wk_…' | sudo sh
#   curl -fsS '<API>/api/setup?wallet=0x…&token=wk_…' | sudo sh -s -- uninstall
#
# Commands
#   (none)     install, or update, and start the service
#   run        report from the foreground until interrupted
#   beat       report once; the exit status is 0 if it was accepted
#   status     what is installed and whether it runs; 0 if it does, 3 if not
#   uninstall  stop the service and remove everything that was installed
#
# Environment
#   HATCH_HOME      an absolute directory to install into instead of
#                   /opt/hatch-worker; then neither root nor systemd is needed
#   HATCH_INTERVAL  seconds between beats instead of 300 (for tests)
#   HATCH_RETRY     seconds before the first retry instead of 15 (for tests)
#
# Nothing runs before the last line, so half a download does nothing.

set -eu
# Character ranges, decimal points and tools' messages as the code expects them.
LC_ALL=C
export LC_ALL

WALLET='@WALLET@'
TOKEN='@TOKEN@'
API='@API@'

say() { printf 'hatch-worker: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }

# The server has checked these; a script edited by hand has not been.
check_identity() {
  case $WALLET in
    0x*[!0-9a-f]*) die "the wallet must be 0x and 40 hexadecimal digits in lower case." ;;
    0x*) [ "${#WALLET}" -eq 42 ] || die "the wallet must have 42 characters, not ${#WALLET}." ;;
    G*[!A-Z2-7]*) die "a Stellar key must be G and 55 capital letters and digits from 2 to 7." ;;
    G*) [ "${#WALLET}" -eq 56 ] || die "a Stellar key must have 56 characters, not ${#WALLET}." ;;
    *) die "the wallet must begin with 0x, or with G for a Stellar key." ;;
  esac
  case ${TOKEN#wk_} in *[!0-9A-Za-z]*) die "the token holds characters that no worker token has." ;; esac
  case $TOKEN in wk_*) ;; *) die "the token must begin with wk_." ;; esac
  [ "${#TOKEN}" -eq 52 ] || die "the token must have 52 characters, not ${#TOKEN}."
  case $API in http://?* | https://?*) ;; *) die "the API must be an http:// or https:// address." ;; esac
  case ${API#http*://} in *[!][0-9A-Za-z.:_-]*) die "the API must be a host and a port, without a path." ;; esac
}

choose_home() {
  home=${HATCH_HOME:-/opt/hatch-worker}
  # The path goes into a systemd unit and a crontab, which quote differently.
  case $home in *[!0-9A-Za-z/._+-]*) die "HATCH_HOME may hold letters, digits and / . _ + - only." ;; esac
  case $home in /?*) home=${home%/} ;; *) die "HATCH_HOME must be an absolute path." ;; esac
  agent=$home/hatch-worker
}

check_machine() {
  [ -r /proc/self/cmdline ] || die "this is not Linux, or /proc is not mounted: a worker needs both."
  [ -n "${HATCH_HOME:-}" ] || [ "$(id -u)" -eq 0 ] ||
    die "run this as root (… | sudo sh), or set HATCH_HOME to a directory of yours to install without."
  for tool in awk cat chmod date df dirname grep head mkdir mv rm rmdir sleep tail timeout tr uname; do
    command -v "$tool" >/dev/null 2>&1 || die "'$tool' is missing on this machine."
  done
  choose_client
  choose_service
}

# Busybox's wget could only take the token on its command line, where every
# user of the machine would see it.
choose_client() {
  if command -v curl >/dev/null 2>&1; then
    client=curl
  elif wget --version 2>/dev/null | grep -q '^GNU Wget 1'; then
    client=wget
  else
    die "neither curl nor GNU wget is installed: install curl (apt-get install curl, apk add curl, dnf install curl) and run this again."
  fi
}

choose_service() {
  service=background
  [ -n "${HATCH_HOME:-}" ] || [ ! -d /run/systemd/system ] || service=systemd
  [ "$service" = systemd ] || command -v setsid >/dev/null 2>&1 || die "'setsid' is missing on this machine (package util-linux)."
}

# Moves standard input to a file in one step: no reader ever sees half of it.
# The umask keeps it from everybody else from its first byte.
write_file() {
  cat >"$1.new"
  chmod "$2" "$1.new"
  mv -f "$1.new" "$1"
}

write_files() {
  umask 077
  mkdir -p "$home"
  write_agent | write_file "$agent" 700
  write_file "$home/config" 600 <<CONFIG
wallet='$WALLET'
api='$API'
client='$client'
service='$service'
CONFIG
  write_auth | write_file "$home/auth" 600
}

# The only place where the token is kept, in the form that the client reads
# from a file.
write_auth() {
  case $client in
    curl) cat <<CURL ;;
header = "Authorization: Bearer $TOKEN"
CURL
    wget) cat <<WGET ;;
header = Authorization: Bearer $TOKEN
hsts = off
WGET
  esac
}

install_worker() {
  say "installing into $home: wallet $WALLET, API $API"
  # A version from before knows best how to stop itself.
  [ ! -f "$agent" ] || sh "$agent" stop
  write_files
  sh "$agent" start
  say "see 'sh $agent status'; remove it by 'sh $agent uninstall'"
}

main() {
  check_identity
  choose_home
  case ${1:-} in
    status | uninstall)
      [ -f "$agent" ] || die "nothing is installed in $home."
      exec sh "$agent" "$1"
      ;;
    '')
      check_machine
      install_worker
      ;;
    run | beat)
      check_machine
      write_files
      exec sh "$agent" "$1"
      ;;
    *) die "unknown command '$1': give none to install, or one of run, beat, status, uninstall." ;;
  esac
}

# The agent travels in here because a script that is piped into a shell cannot
# read itself a second time, and fetching it again could fail or differ.
write_agent() {
  cat <<'AGENT'
#!/bin/sh
# The heartbeat of a Hatch worker, installed by GET /api/setup.
# hatch-worker run | beat | start | stop | status | uninstall

set -u
umask 077
LC_ALL=C
export LC_ALL

home=$(cd "$(dirname "$0")" && pwd) || exit 1
agent=$home/hatch-worker
unit=hatch-worker.service
unit_file=/etc/systemd/system/$unit
boot_line="@reboot /bin/sh $agent start # hatch-worker"

say() { printf 'hatch-worker: %s\n' "$*"; }
log() { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"; }
die() { say "$*" >&2; exit 1; }

wallet='' api='' client='' service=''
[ -r "$home/config" ] || die "$home/config cannot be read: be the user who installed it, or run the set-up again."
# shellcheck source=/dev/null
. "$home/config"

interval=${HATCH_INTERVAL:-300}
first_retry=${HATCH_RETRY:-15}
for seconds in "$interval" "$first_retry"; do
  case $seconds in '' | 0* | *[!0-9]* | ??????*) die "HATCH_INTERVAL and HATCH_RETRY are whole seconds, from 1 to 99999." ;; esac
done

# --- one beat ---------------------------------------------------------------

# Docker's list, a line "name<tab>ports" each. A docker that fails or hangs
# must not keep the machine from reporting itself: then the list is empty.
list_containers() {
  command -v docker >/dev/null 2>&1 || return 0
  listing=$(timeout 20 docker ps --format '{{.Names}}\t{{.Ports}}' 2>/dev/null </dev/null) || return 0
  printf '%s\n' "$listing"
}

# The JSON of a beat, from Docker's list on standard input.
beat_json() {
  WALLET=$wallet TIMESTAMP=$(date -u +%Y-%m-%dT%H:%M:%SZ) HOST=$(uname -n) CPU_FILE=$home/cpu awk '
    function quoted(text,   i, c, out) {
      for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == "\"" || c == "\\") out = out "\\" c
        else if (c in control) out = out sprintf("\\u%04x", control[c])
        else out = out c
      }
      return "\"" out "\""
    }
    # 8080 of "80/tcp, 0.0.0.0:8080->80/tcp", 8000 of ":::8000-8009->80-89/tcp".
    function host_port(ports,   port) {
      if (!match(ports, /:[0-9]+(-[0-9]+)?->/)) return ""
      port = substr(ports, RSTART + 1, RLENGTH - 3)
      sub(/-.*/, "", port)
      return port
    }
    function figure(name, value) {
      if (value == "") return
      figures = figures (figures == "" ? "" : ",") "\"" name "\":" value
    }
    # How busy the processors were since the last beat, or since the start.
    # Of /proc/stat: all the time there was, and of it what they idled away.
    function cpu_figure(line,   field, i, all, idle, was) {
      split(line, field, / +/)
      for (i = 2; i <= 9; i++) all += field[i]
      idle = field[5] + field[6]
      if ((getline line < ENVIRON["CPU_FILE"]) > 0) split(line, was, / /)
      close(ENVIRON["CPU_FILE"])
      if (was[1] > all) split("0 0", was, / /)
      if (all > was[1]) figure("cpuUsagePercent", sprintf("%.1f", 100 - 100 * (idle - was[2]) / (all - was[1])))
      printf "%.0f %.0f\n", all, idle > ENVIRON["CPU_FILE"]
    }
    function read_figures(   line, field, cpus, total, free, mem) {
      while ((getline line < "/proc/stat") > 0) {
        if (line ~ /^cpu[0-9]/) cpus++
        if (line ~ /^cpu /) cpu_figure(line)
      }
      figure("cpus", cpus)
      figure("cpuCores", cpus)
      while ((getline line < "/proc/meminfo") > 0) if (split(line, field, / +/) > 1) mem[field[1]] = field[2]
      total = mem["MemTotal:"]
      # Kernels before 3.14 do not say what is available.
      free = "MemAvailable:" in mem ? mem["MemAvailable:"] : mem["MemFree:"] + mem["Buffers:"] + mem["Cached:"]
      if (total != "") {
        figure("memTotalMb", sprintf("%d", total / 1024))
        figure("memUsedMb", sprintf("%d", (total - free) / 1024))
        figure("ramTotalGb", sprintf("%.2f", total / 1048576))
        figure("ramUsedGb", sprintf("%.2f", (total - free) / 1048576))
      }
      if ((getline line < "/proc/loadavg") > 0 && split(line, field, / /)) figure("load1", field[1])
      while (("df -P / 2>/dev/null" | getline line) > 0) if (match(line, /[0-9]+%/)) {
        figure("diskUsedPercent", substr(line, RSTART, RLENGTH - 1))
        split(line, field, / +/)
        figure("storageTotalGb", sprintf("%.2f", field[2] / 1048576))
        figure("storageUsedGb", sprintf("%.2f", field[3] / 1048576))
      }
      if ((getline line < "/proc/uptime") > 0) figure("uptimeSeconds", sprintf("%d", line))
    }
    BEGIN { for (i = 1; i < 32; i++) control[sprintf("%c", i)] = i }
    {
      name = $0
      ports = ""
      if (match($0, /\t[^\t]*$/)) {
        name = substr($0, 1, RSTART - 1)
        ports = host_port(substr($0, RSTART + 1))
      }
      if (name == "") next
      list = list (list == "" ? "" : ",") "{\"containerName\":" quoted(name)
      if (ports != "") list = list ",\"port\":\"" ports "\""
      list = list "}"
    }
    END {
      read_figures()
      printf "{\"walletAddress\":%s,\"timestamp\":%s,\"hostname\":%s,\"containers\":[%s],\"system\":{%s}}",
        quoted(ENVIRON["WALLET"]), quoted(ENVIRON["TIMESTAMP"]), quoted(ENVIRON["HOST"]), list, figures
    }'
}

# Posts standard input and gives the answer with its headers, or the client's
# complaint. The token reaches the client by a file, never by its arguments.
post() {
  case $client in
    curl) post_with_curl ;;
    wget) post_with_wget ;;
  esac
}

post_with_curl() {
  curl -q --config "$home/auth" --silent --show-error --include --suppress-connect-headers \
    --connect-timeout 15 --max-time 30 --header 'Content-Type: application/json' --header 'Expect:' \
    --data-binary @- "$api/heartbeat" 2>&1
}

post_with_wget() {
  cat >"$home/body"
  wget --config="$home/auth" --no-verbose --server-response --content-on-error --tries=1 --timeout=30 \
    --max-redirect=0 --header='Content-Type: application/json' --post-file="$home/body" \
    --output-document=- "$api/heartbeat" 2>&1
}

# Sends one beat. Sets `code` (the status, or empty where none came),
# `retry_after` and `next_beat` (seconds, or empty) and `detail` (what the
# server or the client says is wrong).
send_beat() {
  answer=$(list_containers | beat_json | post)
  code='' retry_after='' next_beat='' detail=''
  {
    read -r code
    read -r retry_after
    read -r next_beat
    read -r detail
  } <<ANSWER
$(printf '%s\n' "$answer" | tr -d '\r' | awk '
  # An interim answer (1xx) comes before the one that counts.
  !body && $1 ~ /^HTTP\// { code = $2; retry = ""; next }
  !body && tolower($1) == "retry-after:" && $2 ~ /^[0-9]+$/ { retry = $2 > 3600 ? 3600 : $2 + 0 }
  $0 == "" { if (code >= 200) body = 1; next }
  { last = $0 }
  match($0, /"nextBeatSeconds"[ \t]*:[ \t]*[0-9]+[ \t]*[,}]/) {
    wish = substr($0, RSTART, RLENGTH)
    gsub(/[^0-9]/, "", wish)
    if (wish + 0 >= 60 && wish + 0 <= 1500) beat = wish + 0
  }
  match($0, /"detail"[ \t]*:[ \t]*"[^"]*"/) { detail = substr($0, RSTART, RLENGTH); sub(/^[^:]*:[ \t]*/, "", detail) }
  END {
    if (code == "") detail = last
    gsub(/[^ -~]/, "?", detail)
    print code; print retry; print beat; print substr(detail, 1, 200)
  }')
ANSWER
}

accepted() { case $code in 2??) return 0 ;; *) return 1 ;; esac }

outcome() {
  case $code in
    2??) echo "accepted by $api" ;;
    '') echo "no answer from $api: $detail" ;;
    401 | 403) echo "$api refuses this machine's token ($code): it was revoked or replaced; run the set-up again with a new one" ;;
    *) echo "$api answered $code $detail" ;;
  esac
}

beat() {
  send_beat
  say "$(outcome)"
  accepted
}

# --- beat after beat --------------------------------------------------------

# A number from 0 to $1. A fleet that starts together must not beat together.
random_up_to() {
  digits=$(head -c 512 /dev/urandom | tr -dc 0-9 | head -c 8)
  # The 1 makes it a decimal number whatever comes, even nothing.
  echo $((1$digits % ($1 + 1)))
}

# The delay doubles from the first retry to 200 seconds, and up to a half of
# it is added: never more than 300.
backoff() {
  delay=$first_retry
  doublings=1
  while [ "$doublings" -lt "$failures" ] && [ "$delay" -lt 200 ]; do
    delay=$((delay * 2))
    doublings=$((doublings + 1))
  done
  [ "$delay" -le 200 ] || delay=200
  delay=$((delay + $(random_up_to $((delay / 2)))))
}

# Never earlier than the server asks for; a date instead of seconds is not
# understood, and the backoff must do.
wait_as_told() {
  [ -n "$retry_after" ] || return 0
  told=$((retry_after + $(random_up_to $((retry_after / 10)))))
  [ "$told" -le "$delay" ] || delay=$told
}

# Sets `delay` from the last answer: a tenth of the interval more or less,
# unless the server is in trouble. What it refuses for good (a revoked token)
# is tried again at the same slow pace, for an operator may put it right.
plan_next() {
  case $code in
    '' | 429 | 5??)
      failures=$((failures + 1))
      backoff
      wait_as_told
      return
      ;;
  esac
  failures=0
  [ -z "$next_beat" ] || ! accepted || interval=$next_beat
  spread=$((interval / 10))
  delay=$((interval - spread + $(random_up_to $((spread * 2)))))
}

# A change is told at once, and what stays wrong with every twelfth beat.
log_outcome() {
  if [ "$code" != "$last_code" ]; then
    log "$(outcome)"
    repeats=0
  else
    repeats=$((repeats + 1))
    accepted || [ $((repeats % 12)) -ne 0 ] || log "$(outcome) (still)"
  fi
  last_code=$code
}

# The shell would hear a signal only after `sleep` in the foreground.
pause() {
  sleep "$1" &
  sleeper=$!
  wait "$sleeper"
  sleeper=''
}

run() {
  failures=0 repeats=0 sleeper='' last_code=none
  trap '[ -z "$sleeper" ] || kill "$sleeper" 2>/dev/null; exit 0' TERM INT
  log "beating for $wallet every $interval seconds, more or less"
  while :; do
    send_beat
    log_outcome
    plan_next
    pause "$delay"
  done
}

# --- the service ------------------------------------------------------------

# Whether the process of the pid file is the loop, and not another one that
# has its number by now. A zombie has no command line and does not count.
is_running() {
  [ -f "$home/pid" ] || return 1
  read -r pid <"$home/pid"
  tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$agent run"
}

# It reads Docker's socket as root, and has no other power: not even to write,
# outside its own directory.
write_unit() {
  cat >"$unit_file" <<UNIT
[Unit]
Description=Heartbeat of a Hatch worker
Wants=network-online.target
After=network-online.target docker.service

[Service]
ExecStart=/bin/sh $agent run
Restart=always
RestartSec=15
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ReadWritePaths=$home
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectControlGroups=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
UNIT
  chmod 644 "$unit_file"
}

# Sets `lines` to the user's crontab without our line. It fails where the
# crontab may exist and cannot be read: writing one then would destroy it.
read_crontab() {
  command -v crontab >/dev/null 2>&1 || return 1
  if ! lines=$(crontab -l 2>&1); then
    case $lines in *"no crontab"* | *"No such file"*) lines='' ;; *) return 1 ;; esac
  fi
  lines=$(printf '%s\n' "$lines" | grep -vxF "$boot_line")
  return 0
}

start_at_boot() {
  if read_crontab && printf '%s\n' ${lines:+"$lines"} "$boot_line" | crontab -; then
    say "a line in your crontab starts it again after a reboot"
  else
    say "no crontab here: it will NOT start again after a reboot; run 'sh $agent start' then"
  fi
}

forget_boot() {
  crontab -l 2>/dev/null | grep -qxF "$boot_line" || return 0
  read_crontab || return 0
  if [ -n "$lines" ]; then printf '%s\n' "$lines" | crontab -; else crontab -r; fi
}

start() {
  stop
  if [ "$service" = systemd ]; then
    if ! { write_unit && systemctl daemon-reload && systemctl enable --quiet --now "$unit"; }; then
      die "systemd did not start $unit."
    fi
    say "started as the systemd service $unit"
    return
  fi
  # A session of its own outlives this terminal and can be stopped as a whole.
  setsid sh "$agent" run >>"$home/log" 2>&1 </dev/null &
  echo "$!" >"$home/pid"
  say "started in the background, process $!; it writes to $home/log"
  start_at_boot
}

stop() {
  if [ "$service" = systemd ]; then
    [ ! -f "$unit_file" ] || systemctl stop "$unit"
    return
  fi
  for signal in TERM TERM TERM KILL KILL; do
    is_running || break
    kill -s "$signal" -- "-$pid" 2>/dev/null
    sleep 1
  done
  ! is_running || die "process $pid cannot be stopped."
  rm -f "$home/pid"
}

status() {
  say "wallet $wallet, API $api, installed in $home"
  if [ "$service" = systemd ]; then
    state=$(systemctl is-active "$unit")
    journalctl --quiet --no-pager --unit "$unit" --lines 3 2>/dev/null
  else
    is_running && state="active, process $pid" || state=inactive
    [ ! -f "$home/log" ] || tail -n 3 "$home/log"
  fi
  say "$state"
  case $state in active*) return 0 ;; *) return 3 ;; esac
}

uninstall() {
  stop
  if [ "$service" = systemd ]; then
    systemctl disable --quiet "$unit"
    rm -f "$unit_file"
    systemctl daemon-reload
  fi
  forget_boot
  for file in hatch-worker config auth pid log body cpu; do
    rm -f "$home/$file" "$home/$file.new"
  done
  rmdir "$home" 2>/dev/null || say "$home is kept: it holds files that are not ours"
  say "uninstalled"
}

case ${1:-} in
  run) run ;;
  beat) beat ;;
  start) start ;;
  stop) stop ;;
  status) status ;;
  uninstall) uninstall ;;
  *) die "give one of run, beat, start, stop, status, uninstall." ;;
esac
exit
AGENT
}

main "$@"; exit
