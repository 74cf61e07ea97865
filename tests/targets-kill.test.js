// kill -9 of `wrangler dev` and its workerd while a cloud answers a deployment's
// call; it starts again on the same state.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { conforming } from "./contract.js";
import { until } from "./deployments.js";
import { startCloudflare } from "./fakes/cloudflare.js";
import { killable } from "./killable.js";

const cloudflare = await startCloudflare();
after(() => cloudflare.close());
const { url, start, kill, database } = await killable({ CLOUDFLARE_BASE_URL: cloudflare.apiUrl, CLOUDFLARE_APP_URL: cloudflare.appUrlTemplate });

/** Calls the Worker; the answer's JSON. */
const api = async (method, path, body, headers = {}) => (await conforming(method, path, await fetch(url + path, {
  method, headers: body ? { "content-type": "application/json", ...headers } : headers, body: body && JSON.stringify(body),
}))).json();

test("killed after any of its calls to a cloud, whose answer never came, a deployment ends live there, once", async () => {
  // What each deployment hangs in when the kill comes: done there, unknown here.
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

  // What the dead consumers held is free again when their leases have run out.
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
