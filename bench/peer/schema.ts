/** `schema.sql` as Drizzle sees it. */
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

export const projects = sqliteTable("projects", {
  id: text("id").primaryKey(),
  userId: text("user_id").notNull(),
  name: text("name").notNull(),
  description: text("description"),
  code: text("code"),
  status: text("status").notNull().default("draft"),
  deploymentUrl: text("deployment_url"),
  version: integer("version").notNull().default(0),
  createdAt: integer("created_at", { mode: "timestamp_ms" }).notNull(),
  updatedAt: integer("updated_at", { mode: "timestamp_ms" }).notNull(),
});

export const chatMessages = sqliteTable("chat_messages", {
  id: text("id").primaryKey(),
  projectId: text("project_id").notNull().references(() => projects.id),
  userId: text("user_id").notNull(),
  seq: integer("seq").notNull(),
  role: text("role", { enum: ["user", "assistant"] }).notNull(),
  content: text("content").notNull(),
  status: text("status").notNull().default("complete"),
  model: text("model"),
  usage: text("usage"),
  createdAt: integer("created_at", { mode: "timestamp_ms" }).notNull(),
});

export const uptimeRecords = sqliteTable("worker_uptime_records", {
  wallet: text("wallet").notNull(),
  timeFrom: integer("time_from", { mode: "timestamp_ms" }).notNull(),
  timeTo: integer("time_to", { mode: "timestamp_ms" }).notNull(),
});
