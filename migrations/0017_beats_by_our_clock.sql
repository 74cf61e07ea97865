-- What a machine's clock said at its last beat. Its window goes no further than
-- ours; by this a beat that comes again is known all the same.
ALTER TABLE worker_windows ADD COLUMN stamped_at INTEGER;
UPDATE worker_windows SET stamped_at = end_at;
