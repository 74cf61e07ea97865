// What the API answers, as public/openapi.json has it; only what is shown.

export interface Me {
  id: string;
  wallet: string | null;
  email: string | null;
  name: string | null;
  isStaff: boolean;
  credential: "development" | "key" | "session" | "stack-auth";
  scopes: string[];
  limits: Limit[];
}

export interface Limit {
  name: string;
  limit: number;
  used: number;
  remaining: number;
  resetsAt: string;
}

export interface Project {
  id: string;
  name: string;
  description: string | null;
  /** JSON: path to content. */
  code: string | null;
  status: "draft" | "deployed";
  deploymentUrl: string | null;
  version: number;
  createdAt: string;
  updatedAt: string;
}

export interface Version {
  version: number;
  origin: "create" | "update" | "chat" | "rollback" | "remix" | "deploy" | "generate" | "agent" | "pull";
  messageId: string | null;
  files: number;
  createdAt: string;
}

export interface Usage {
  input_tokens: number;
  output_tokens: number;
}

export interface Picture {
  mediaType: string;
  /** Base64. */
  data: string;
}

/** What an answer did to the code. */
export interface Changes {
  version: number;
  files: FileMark[];
  notes?: string[];
}

export interface Message {
  id: string;
  role: "user" | "assistant";
  content: string;
  images: Picture[] | null;
  status: "complete" | "streaming" | "interrupted";
  model: string | null;
  usage: Usage | null;
  costMicroUsd: number | null;
  changes: Changes | null;
  createdAt: string;
}

export type FileStatus = "added" | "changed" | "unchanged" | "incomplete" | "refused";

export interface FileMark {
  path: string;
  bytes: number;
  status: FileStatus;
}

export type Target = "edge" | "cloudflare" | "vercel" | "koyeb";

export interface Deployment {
  id: string;
  projectId: string;
  target: Target;
  status: "pending" | "building" | "deploying" | "live" | "failed";
  url: string | null;
  takenDownAt: string | null;
  createdAt: string;
  updatedAt: string;
}

export interface App {
  id: string;
  name: string;
  description: string | null;
  deploymentUrl: string;
  visits: number;
  createdAt: string;
}

export interface Skill {
  id: string;
  name: string;
  type: string;
  description: string;
  author: string | null;
  categories: string[];
  githubUrl: string | null;
  stars: number;
  installCommand: string | null;
}

export interface SkillPage {
  skills: Skill[];
  total: number;
  page: number;
  has_more: boolean;
  source: string;
}

export interface Installation {
  skill: Skill;
  installCommand: string | null;
  instructions: string[];
  installPath: string;
  files: { path: string; content: string }[];
}

export type JobStatus = "processing" | "completed" | "failed" | "cancelled";

export interface GenerationUsage {
  model: string | null;
  input_tokens: number;
  output_tokens: number;
  cost_micro_usd: number;
}

export interface Generation {
  job_id: string;
  status: JobStatus;
  progress: number;
  project_id: string | null;
  project_name: string;
  prompt: string;
  created_at: string;
}

export interface GenerationStatus {
  job_id: string;
  status: JobStatus;
  progress: number;
  steps: { id: number; title: string; status: "pending" | "in_progress" | "completed" | "failed" }[];
  project_id: string | null;
  project_name: string;
  error: string | null;
  usage: GenerationUsage;
}

export interface LogLine {
  timestamp: string;
  message: string;
  /** Of startups. */
  type?: "info" | "success" | "error";
  /** Of deployments. */
  level?: "info" | "success" | "error";
}

export interface Competitor {
  name: string;
  url: string | null;
  description: string;
  features: string[];
  technology: string[];
}

export interface Startup {
  project_id: string;
  project_name: string;
  tagline: string;
  prompt: string;
  stack: string[];
  verified: boolean;
  marketing_assets: {
    video: { video_url: string | null; status: string };
    pitch_deck: { deck_url: string | null; slides: number; status: string };
  };
  launch_channels: { name: string; description: string; priority: "high" | "medium" | "low" }[];
  competitors: Competitor[];
  competitors_source: string | null;
  files: { path: string; bytes: number }[];
  usage: GenerationUsage;
  created_at: string;
}

export type Health = "UNKNOWN" | "HEALTHY" | "WARNING" | "DEAD";

export interface Machine {
  walletAddress: string;
  tokenHint: string | null;
  createdAt: string;
  lastSeen: string | null;
  hostname: string | null;
  status: Health;
}

export interface MachineView {
  exists: boolean;
  status?: Health;
  lastSeen?: string | null;
  window?: { startTime: string; endTime: string } | null;
  hostname?: string | null;
  tailscaleIp?: string | null;
  cpuCores?: number | null;
  ramTotalGb?: number | null;
  storageTotalGb?: number | null;
  credits?: number;
}

export interface Interval {
  timeFrom: string;
  timeTo: string;
  durationSeconds: number;
  open: boolean;
}

export interface Container {
  containerName: string;
  port?: string;
  cpuPercent: number;
  memUsageMb: number;
}

export interface Metric {
  timestamp: string;
  cpuUsagePercent: number;
  ramUsedGb: number;
  ramTotalGb: number;
  containerCount: number;
}

export interface FleetDeployment {
  id: number;
  name: string;
  url: string;
  port: number;
  branch: string;
  status: "pending" | "processing" | "success" | "failed";
  githubRepo: string;
  replicas: number;
  creator: string;
  errorMessage: string | null;
  envVarNames: string[];
  createdAt: string;
  updatedAt: string;
}

export interface Payment {
  id: number;
  name: string;
  amount: string;
  creator: string;
  txHash: string | null;
  createdAt: string;
}

export interface ApiKey {
  id: string;
  name: string;
  hint: string;
  scopes: string[];
  createdAt: string;
  expiresAt: string | null;
  lastUsedAt: string | null;
  revokedAt: string | null;
  gateway: KeyLimits | null;
}

export interface Session {
  id: string;
  createdAt: string;
  expiresAt: string;
  endedAt: string | null;
}

export interface StoredCredentials {
  /** A cloud, or a provider of models. */
  target: string;
  account: string | null;
  hint: string;
  updatedAt: string;
}

export interface Job {
  id: string;
  kind: string;
  subjectId: string;
  userId: string;
  step: string;
  state: "queued" | "done" | "failed";
  attempts: number;
  error: string | null;
  createdAt: string;
  updatedAt: string;
}

export interface DeadLetter {
  id: string;
  jobId: string | null;
  body: string;
  reason: string;
  createdAt: string;
  redrivenAt: string | null;
}

export interface AuditEntry {
  seq: number;
  at: string;
  actor: string;
  action: string;
  subject: string;
  requestId: string;
  hash: string | null;
}

/** An app of the agent's: a project of the same id. */
export interface AgentApp {
  id: string;
  appName: string;
  appUrl: string | null;
  repositoryUrl: string | null;
  deploymentId: string | null;
  deployStatus: "pending" | "deploying" | "deployed" | "failed" | null;
  recompileInProgress: boolean;
  createdAt: string;
  updatedAt: string;
}

export interface AgentAppPage {
  data: AgentApp[];
  pagination: { total: number; page: number; limit: number; totalPages: number };
}

/** Something that was said of an app. */
export interface AppMessage {
  id: string;
  kind: "user" | "assistant";
  messageKind: string;
  prompt: string;
  metadata: AppNotice | null;
  createdAt: string;
}

export interface AppNotice {
  type?: string;
  deploymentId?: string;
  deploymentUrl?: string;
  githubUrl?: string;
}

export interface MessageLimit {
  dailyMessageLimit: number;
  remainingMessages: number;
  nextResetTime: string;
}

/** A model of the gateway's, in OpenAI's form. */
export interface GatewayModel {
  id: string;
  owned_by: string;
  display_name?: string;
}

export interface UsageRow {
  day: string | null;
  model: string | null;
  keyId: string | null;
  requests: number;
  failed: number;
  inputTokens: number;
  outputTokens: number;
  costMicroUsd: number;
}

export interface KeyLimits {
  models?: string[];
  rpm?: number;
  budget?: { microUsd: number; per: "day" | "month" };
  lenient?: boolean;
}

export type GuardAction = "flag" | "redact" | "block";

/** What holds on one side; rules that the console has no form for stay as they are. */
export interface GuardRules {
  secrets?: { action: GuardAction };
  flagNamedSecrets?: boolean;
  pii?: { action: GuardAction };
  injection?: { action: GuardAction };
  maxBytes?: { bytes: number; action: GuardAction };
  terms?: { name: string; terms: string[]; action: GuardAction }[];
}

export interface GuardPolicy {
  input: GuardRules;
  output: GuardRules;
}
