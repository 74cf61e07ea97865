// The console in Chromium, against the built Worker. The rules for all pages are
// checked when a page is closed.

import assert from "node:assert/strict";
import { after } from "node:test";
import { chromium as driver } from "playwright-core";
import { chromium } from "./browser.js";
export { inBrowser } from "./browser.js";
import { startWorker } from "./harness.js";

/**
 * Starts the Worker and a browser.
 *
 * @param {Record<string, string>} vars
 * @param {object[]} others Workers that run beside it
 * @returns the Worker, and `open(hash?, options?)`: a page of the console in a browser of its own, as Playwright has it
 */
export async function startConsole(vars, others) {
  const hatch = await startWorker(vars, others);
  // Beside `localhost` apps have origins of their own, beside a numeric address they do not.
  const origin = hatch.url.replace("127.0.0.1", "localhost");
  return { ...hatch, origin, open: await browserOf(origin) };
}

/** Starts a browser for the console at `origin`; answers with `open`. */
export async function browserOf(origin) {
  const browser = chromium ? await driver.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-dev-shm-usage"] }) : undefined;
  after(() => browser?.close());

  /**
   * @param {string} hash
   * @param {{width?: number, height?: number, theme?: "light" | "dark", mayLeaveFor?: string, prepare?: (page: import("playwright-core").Page) => unknown, mayFail?: RegExp, context?: object}} options
   */
  async function open(hash = "", { width = 1280, height = 800, theme = "light", prepare, mayFail, mayLeaveFor, context: more } = {}) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: "reduce", acceptDownloads: true, ...more });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const foreign = [], wrong = [];
    page.on("request", (request) => {
      const { protocol, host } = new URL(request.url());
      const isOwn = request.url().startsWith(`${origin}/`) || ["data:", "blob:", "about:"].includes(protocol) || host.endsWith(`.${new URL(origin).host}`);
      const isLeaving = request.isNavigationRequest() && mayLeaveFor !== undefined && request.url().startsWith(`${mayLeaveFor}/`);
      if (!isOwn && !isLeaving) foreign.push(request.url());
    });
    page.on("console", (message) => {
      const isOfApp = message.location().url.startsWith("http") && !message.location().url.startsWith(`${origin}/`);
      if (message.type() === "error" && !isOfApp && !mayFail?.test(`${message.text()} ${message.location().url}`)) wrong.push(`${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", (error) => error.stack?.includes(`${origin}/console/`) && wrong.push(error.stack));
    await prepare?.(page);
    await page.goto(`${origin}/${hash}`);
    await page.locator("main h1, main [role=log]").first().waitFor();
    return Object.assign(page, {
      /** Closes the page, and fails for a request to another origin or an error of the page. */
      async done() {
        await context.close();
        assert.deepEqual({ foreign, wrong }, { foreign: [], wrong: [] });
      },
    });
  }

  return open;
}
