// A real browser: Chromium, where the machine has one.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PLACES = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Chromium's path, or undefined. */
export const chromium = PLACES.find((path) => path && existsSync(path));

/**
 * Opens a page, lets its scripts run until they and the network are quiet,
 * and answers with the document as it is then, as HTML, and with what went to the console.
 */
export async function visit(url) {
  const profile = await mkdtemp(join(tmpdir(), "hatch-chromium-"));
  const flags = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", `--user-data-dir=${profile}`,
    // Of the page's own clock, which stands still while the network is busy.
    "--virtual-time-budget=5000", "--enable-logging=stderr", "--dump-dom",
  ];
  try {
    const { stdout, stderr } = await new Promise((resolve, reject) => {
      execFile(chromium, [...flags, url], { timeout: 60_000, maxBuffer: 1 << 24 }, (error, stdout, stderr) =>
        error ? reject(error) : resolve({ stdout, stderr }));
    });
    return { html: stdout, console: stderr.split("\n").filter((line) => line.includes(":CONSOLE")).join("\n") };
  } finally {
    await rm(profile, { recursive: true, force: true });
  }
}
