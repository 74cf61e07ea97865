// kill -9 of `wrangler dev` and its workerd while a cloud answers a deployment's
// call; it starts again on the same state.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { until } from "./support/deployments.js";
import { startCloudflare } from "./fakes/cloudflare.js";
import { startKoyeb } from "./fakes/koyeb.js";
import { startVercel } from "./fakes/vercel.js";
import { killable } from "./support/killable.js";

const [cloudflare, vercel, koyeb] = await Promise.all([startCloudflare(), startVercel(), startKoyeb()]);
after(() => Promise.all([cloudflare.close(), vercel.close(), koyeb.close()]));
const { api, start, kill, database } = await killable({ CLOUDFLARE_BASE_URL: cloudflare.apiUrl, CLOUDFLARE_APP_URL: cloudflare.appUrlTemplate });

test("killed after any call to a cloud without its response, a deployment ends live there, once", async () => {
  // The call in which each deployment hangs at the kill: it has taken effect there, but is unknown here.
  const calls = {
    "a look at whose the name is": "services/NAME", "a look at the address": "subdomain", "a session": "scripts/NAME/assets-upload-session",
    "an upload": "assets/upload", "a script": "scripts/NAME", "an address": "scripts/NAME/subdomain",
  };
  await start();

  const deployments = [];
  for (const text of Object.keys(calls)) {
    const { id } = await api("POST", "/api/projects", { name: text });
    deployments.push({ text, projectId: id, name: `${text.replaceAll(" ", "-")}-${id.slice(0, 8)}`, account: cloudflare.account() });
  }
  const places = deployments.map(({ text, name, account }) => `/client/v4/accounts/${account.id}/workers/${calls[text].replace("NAME", name)}`);
  cloudflare.setFault(...places.map((path) => ({ path, hang: true })));
  for (const deployment of deployments) {
    const { projectId, text, account } = deployment;
    const headers = { "x-cloudflare-api-token": account.token, "x-cloudflare-account-id": account.id };
    const code = { "index.html": `<p>${text}`, "style.css": text, "app.js": text };
    ({ deploymentId: deployment.id } = await api("POST", "/api/deploy", { projectId, target: "cloudflare", code }, headers));
  }
  const hanging = () => cloudflare.requests.filter(({ fault }) => fault?.hang).length;
  await until(() => hanging() === deployments.length, "all calls");
  await kill();
  await until(() => cloudflare.openRequests === 0, "its death");

  // The dead consumers' jobs are free again when their leases have expired.
  await database((db) => db.exec("UPDATE jobs SET lease_until = 0; UPDATE outbox SET send_at = 0"));
  await start();
  for (const { text, id, name, account } of deployments) {
    const deployment = await until(async () => {
      const found = await api("GET", `/api/deploy/${id}`);
      return ["live", "failed"].includes(found.status) && found;
    }, text);
    assert.equal(deployment.status, "live", `${text}: ${deployment.logs}`);
    assert.deepEqual([...account.scripts.keys()], [name], text);
    const script = cloudflare.script(account, name);
    assert.deepEqual([...script.files].map(([path, { content }]) => [path, String(content)]), [["/app.js", text], ["/index.html", `<p>${text}`], ["/style.css", text]]);
    assert.equal(script.enabled, true);
    assert.equal(deployment.logs.split("\n").filter((line) => line.includes("Live at")).length, 1, text);
  }
  await kill();
});

test("killed during a cloud's response and restarted, each deployment is there once", async () => {
  const hatch = await killable({
    VERCEL_BASE_URL: vercel.url, VERCEL_TOKEN: "vercel-token-0123456789", KOYEB_BASE_URL: koyeb.url, KOYEB_TOKEN: "koyeb-token-0123456789",
  });
  await hatch.start();
  vercel.setFault({ hang: true, path: "/v13/deployments" });
  // The first asks whether there is a service, the second makes it.
  koyeb.setFault({ delayMs: 1, path: "/v1/services" }, { hang: true, path: "/v1/services" });
  const { id } = await hatch.api("POST", "/api/projects", { name: "Killed" });
  const code = { "index.html": "<p>killed" };
  const started = [];
  for (const target of ["vercel", "koyeb"]) {
    started.push(await hatch.api("POST", "/api/deploy", { projectId: id, target, code }));
  }
  await until(() => vercel.deployments.length === 1 && koyeb.services.length === 1, "the clouds' hearing of it");
  await hatch.kill();
  vercel.setFault();
  koyeb.setFault();
  await hatch.start();
  for (const { deploymentId } of started) {
    await until(async () => (await hatch.api("GET", `/api/deploy/${deploymentId}`)).status === "live", "live");
  }
  assert.equal(vercel.deployments.length, 1);
  assert.deepEqual([koyeb.apps.length, koyeb.services.length, koyeb.deployments.length], [1, 1, 1]);
});
