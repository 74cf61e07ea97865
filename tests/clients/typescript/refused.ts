// What a type-checker finds in a program that misuses the API: each line under
// an expectation is an error, and the test fails where it is none.

import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const api = createClient<paths>({ baseUrl: "http://localhost:8787" });

export async function refused(): Promise<void> {
  // @ts-expect-error a path that is not there
  await api.GET("/api/nothing");
  // @ts-expect-error a project needs a name
  await api.POST("/api/projects", { body: {} });
  // @ts-expect-error a name is text
  await api.POST("/api/projects", { body: { name: 1 } });
  // @ts-expect-error a target that is not there
  await api.POST("/api/deploy", { body: { projectId: "a", target: "moon" } });
  // @ts-expect-error a deployment on the fleet has a name
  await api.POST("/deployments", { body: { github: "a/b", creator: "0x" } });
  const { data, error } = await api.GET("/api/projects/{id}", { params: { path: { id: "a" } } });
  // @ts-expect-error there may be no project
  data.name;
  // @ts-expect-error a project has no such field
  data?.colour;
  // @ts-expect-error a version is a number
  data?.version satisfies string | undefined;
  // @ts-expect-error a code is a word
  error?.code satisfies number | undefined;
}

/** What it takes: each other name of a field, and code in both of its forms. */
export async function taken(): Promise<void> {
  await api.POST("/deployments", { body: { app_name: "a", github_repo: "a/b.c", creator: "0x", env_vars: { A: "b" }, branch: "feature/x" } });
  await api.POST("/heartbeat", { body: { walletAddress: "0x", timestamp: "2026-11-30T00:00:00+02:00", containers: [{ name: "a", port: 80 }] } });
  await api.POST("/api/projects", { body: { name: "a", code: { "index.html": "" } } });
  await api.POST("/api/projects", { body: { name: "a", code: "{}", description: null } });
  await api.POST("/api/deploy", { body: { projectId: "a", target: "koyeb", git: { repository: "github.com/a/b" } } });
}
