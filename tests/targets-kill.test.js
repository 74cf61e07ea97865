// kill -9 of `wrangler dev` and its workerd while Vercel and Koyeb are being
// told of deployments: they have done it, we do not know. Started again on
// the same state, each deployment ends live, once.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { until } from "./deployments.js";
import { startKoyeb } from "./fakes/koyeb.js";
import { startVercel } from "./fakes/vercel.js";
import { killable } from "./killable.js";

const [vercel, koyeb] = [await startVercel(), await startKoyeb()];
after(() => Promise.all([vercel.close(), koyeb.close()]));

test("killed while a cloud answers and started again, each deployment is there once", async () => {
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
