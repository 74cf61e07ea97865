-- What Tassium's own clients read of machines and deployments.

-- Repositories in one form, https://github.com/owner/repository, and a URL from
-- the beginning: here by the default of FLEET_DOMAIN.
UPDATE fleet_deployments SET github = rtrim(github, '/');
UPDATE fleet_deployments SET github = substr(github, 1, length(github) - 4) WHERE substr(github, -4) = '.git';
UPDATE fleet_deployments SET url = 'http://' || name || '.localhost' WHERE url IS NULL;

ALTER TABLE worker_windows ADD COLUMN said_at INTEGER;   -- of the last beat that told of containers
ALTER TABLE worker_windows ADD COLUMN tailscale_ip TEXT; -- as last sent

-- What a machine last said in each hour of a day. The present hour is in
-- worker_windows, so that a beat writes here once an hour.
CREATE TABLE worker_metrics (
  wallet TEXT NOT NULL,
  hour INTEGER NOT NULL,                  -- of the day, UTC: the next day's takes its place
  said_at INTEGER NOT NULL,
  cpu_usage_percent REAL,
  ram_used_gb REAL,
  ram_total_gb REAL,
  containers INTEGER NOT NULL,            -- how many
  PRIMARY KEY (wallet, hour)
) STRICT, WITHOUT ROWID;

-- A beat of another hour than the one before keeps what that one said, and
-- drops what is a day old. A machine may say anything of its system, so that
-- only numbers are taken for such.
CREATE TRIGGER worker_hour_ends AFTER UPDATE OF said_at ON worker_windows
WHEN NEW.said_at / 3600000 <> OLD.said_at / 3600000
BEGIN
  INSERT INTO worker_metrics (wallet, hour, said_at, cpu_usage_percent, ram_used_gb, ram_total_gb, containers)
  VALUES (
    OLD.wallet, OLD.said_at / 3600000 % 24, OLD.said_at,
    iif(json_type(OLD.system, '$.cpuUsagePercent') IN ('integer', 'real'), json_extract(OLD.system, '$.cpuUsagePercent'), NULL),
    iif(json_type(OLD.system, '$.ramUsedGb') IN ('integer', 'real'), json_extract(OLD.system, '$.ramUsedGb'), NULL),
    iif(json_type(OLD.system, '$.ramTotalGb') IN ('integer', 'real'), json_extract(OLD.system, '$.ramTotalGb'), NULL),
    json_array_length(OLD.containers)
  )
  ON CONFLICT (wallet, hour) DO UPDATE SET said_at = excluded.said_at,
    cpu_usage_percent = excluded.cpu_usage_percent, ram_used_gb = excluded.ram_used_gb,
    ram_total_gb = excluded.ram_total_gb, containers = excluded.containers;
  DELETE FROM worker_metrics WHERE wallet = NEW.wallet AND said_at <= NEW.said_at - 86400000;
END;
